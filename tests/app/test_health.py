"""What an operator's probe is told."""


def test_the_process_answers(house):
    assert house.get("/healthz").json == {"status": "ok"}


def test_ready_means_that_a_request_could_be_served_now(house, monkeypatch, tmp_path):
    assert house.get("/readyz").json == {"status": "ready"}
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(house.services.log, "folder", tmp_path / "file")
    answer = house.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "not ready"})


def test_the_first_page_and_its_libraries_are_served_without_a_key_and_without_another_host(house):
    page = house.get("/")
    assert page.status_code == 200 and "http://" not in page.text.replace("http://www.w3.org", "") and "https://" not in page.text
    for name, kind in (("ol.js", "text/javascript"), ("ol.css", "text/css"), ("proj4.js", "text/javascript")):
        answer = house.get(f"/static/vendor/{name}")
        assert answer.status_code == 200 and answer.content_type.startswith(kind) and len(answer.data) > 1000
    assert house.get("/static/vendor/../../etc/passwd").status_code == 404
    assert house.get("/static/vendor/__init__.py").status_code == 404


def test_keys_are_shown_on_a_demo_alone(house):
    assert house.get("/api/v1/demo").status_code == 404
