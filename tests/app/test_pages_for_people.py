"""What every page of the console begins with: `page`, who is signed in, and its forms."""

import flask
import pytest
from api_office import Office

from agreements.life.lifecycle import Role
from geoserver_app.routes import GOVERNED
from geoserver_app.views.session import current_person, page


@pytest.fixture
def office(house) -> Office:
    app = house.app

    @page("console.test", frozenset({Role.APPROVER, Role.AUDITOR}))
    def shown(signed_in, **places):
        assert signed_in.person == current_person()
        return f"{signed_in.person.login} {places} {flask.request.form.get('word', '')}"

    app.add_url_rule("/test/<place>", endpoint="test", view_func=shown, methods=["GET", "POST"])
    return Office(house)


def test_a_page_is_shown_to_who_may_see_it_and_put_down(office):
    answer = office.visitor("auditor").client.get("/test/here")
    assert answer.text.startswith("auditor {'place': 'here'}")
    assert (answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]) == ("same-origin", "private, no-store")
    act = office.acts()[-1]
    assert (act["operation"], act["actor"], act["outcome"]) == ("console.test", "auditor", "shown")
    assert getattr(office.house.app.view_functions["test"], GOVERNED) == ("console.test",)


def test_nobody_is_sent_to_sign_in_and_led_back(office):
    answer = office.visitor().client.get("/test/here?a=1&b=2")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/test/here%3Fa%3D1%26b%3D2")
    assert office.acts()[-1]["outcome"] == "refused"


def test_who_must_change_his_password_is_sent_to_do_so(office):
    office.person("newcomer", "auditor", must_change=True)
    assert office.visitor("newcomer").client.get("/test/here").headers["Location"] == "/password?next=/test/here"


@pytest.mark.parametrize("login", ("administrator", "data_manager", "member"))
def test_who_has_not_the_role_is_refused_with_the_roles_that_have_it(office, login):
    answer = office.visitor(login).client.get("/test/here")
    assert answer.status_code == 403 and "approver, auditor" in answer.json["detail"]
    assert (office.acts()[-1]["actor"], office.acts()[-1]["outcome"]) == (login, "refused")


def test_a_form_that_is_posted_must_be_a_form_of_ours(office):
    visitor = office.visitor("auditor")
    assert visitor.client.post("/test/here", data={"csrf": visitor.csrf, "word": "yes"}).text.endswith(" yes")
    for data, headers in (
        ({}, {}), ({"csrf": "0" * 64}, {}), ({"csrf": office.visitor("auditor").csrf}, {}), ({"csrf": visitor.csrf}, {"Origin": "https://evil.test"}),
        ({"csrf": visitor.csrf}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        assert visitor.client.post("/test/here", data=data, headers=headers).status_code == 403
