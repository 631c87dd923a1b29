"""Ways round an agreement that no other test tries: by what another agreement lets out, by one person alone, by papers, by files of the record."""

import csv
import io
import json
import zipfile
from datetime import timedelta

import numpy as np
import pytest
from api_office import TO_APPROVAL, Office
from PIL import Image
from test_downloads import DOWNLOAD, LEFT, SIZE, STEP, TOP, on_earth, path

from agreements.quota import Quota
from geoserver_app.audit.sql import QueryInvalid, connect, export, recorded_days, select
from layers.crs import geodesic_km2


@pytest.fixture(scope="module")
def office(lasting_house):
    rows, cols = np.mgrid[0:SIZE, 0:SIZE]
    pixels = np.stack([cols // 10, rows // 10, np.full_like(rows, 77)]).astype(np.uint8)
    lasting_house.raster("dom", pixels, LEFT, TOP, STEP, lossless=True)
    return Office(lasting_house)


def seen_columns(answer) -> set[int]:
    """Hundreds of metres from the western edge of which a downloaded archive shows anything."""
    assert answer.status_code == 200, answer.data[:400]
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        found: set[int] = set()
        for one in json.loads(archive.read("manifest.json"))["pictures"]:
            pixels = np.array(Image.open(io.BytesIO(archive.read(one["name"]))).convert("RGBA"))
            found |= set(pixels[..., 0][pixels[..., 3] > 0].tolist())
        return found


def test_a_spent_export_is_not_downloaded_under_another_agreement_that_lets_out_less(office):
    """A quarter is granted without a limit of exports, the whole under one that is too small for it."""
    house, quarter = office.house, on_earth(0, 12_000, 3_000, 0)
    house.agency("twofold")
    house.agree("twofold", house.clause("dom", operations=DOWNLOAD), quota=Quota(export_km2=geodesic_km2(quarter) / 10))
    house.agree("twofold", house.clause("dom", operations=DOWNLOAD, area=quarter))
    assert max(seen_columns(house.get(path(), "twofold"))) <= 30


def test_one_person_alone_does_not_keep_an_emergency_in_force_by_amending_it(office):
    at = office.house.services.gate.clock()
    end = {"from": "2020-01-01", "until": (at + timedelta(hours=20)).strftime("%Y-%m-%dT%H:%M:00+08:00")}
    first = office.drafted(term=end, emergency=True)
    office.moved(first, ("administrator", "activate-emergency"))
    second = office.drafted(agreement=first["agreement"], version=2, term=end, emergency=True)
    answer = office.visitor("administrator").ask(
        f"POST /agreements/{second['agreement']}/versions/2/moves", json=office.move(second, "activate-emergency"),
    )
    assert answer.status_code == 409, answer.text


SECRET = "we think that they sell it"


@pytest.mark.parametrize("ended", [("approver", "refuse"), ("administrator", "withdraw"), None], ids=["refused", "withdrawn", "open"])
def test_the_papers_of_a_review_do_not_tell_a_party_what_the_bureau_prepares(office, ended):
    first = office.active()
    second = office.drafted(agreement=first["agreement"], version=2)
    office.moved(second, *TO_APPROVAL[:2])
    if ended:
        body = office.move(second, ended[1]) | {"comment": SECRET}
        assert office.visitor(ended[0]).ask(f"POST /agreements/{first['agreement']}/versions/2/moves", json=body).status_code == 200
    today = office.house.services.gate.clock().date()
    paper = office.visitor("member").ask(f"GET /agreements/{first['agreement']}/review?first={today}&last={today}&lang=en")
    assert paper.status_code == 200, paper.text
    assert SECRET not in paper.text and "version 2" not in paper.text
    assert f"{first['agreement']}/2" not in paper.text and paper.text.count("agreements.draft<") == 1          # that of version 1


def test_an_amendment_does_not_hand_an_agreement_and_its_papers_to_another_agency(office):
    first = office.active()
    sent = office.document(agreement=first["agreement"], version=2, parties={"grantor": "bureau", "grantee": "police"})
    answer = office.visitor("data_manager").ask("POST /agreements", json=sent)
    assert answer.status_code == 409 and answer.json["errors"][0]["code"] == "other-parties", answer.text
    second = office.drafted(agreement=first["agreement"], version=2)
    digest = office.house.services.register.document_hash(second["agreement"], 2)
    edited = office.visitor("data_manager").ask(f"PUT /agreements/{first['agreement']}/versions/2/document", json=sent, headers={"If-Match": f'"{digest}"'})
    assert edited.status_code == 409, edited.text


@pytest.mark.parametrize("ended", [("approver", "refuse"), ("administrator", "withdraw")], ids=["refused", "withdrawn"])
def test_a_draft_that_was_given_up_is_not_told_to_the_agency_it_was_about(office, ended):
    given_up = office.drafted(title=SECRET)
    office.moved(given_up, *TO_APPROVAL[:2], ended)
    member, place = office.visitor("member"), f"/agreements/{given_up['agreement']}"
    for read in (place, f"{place}/versions/1", f"{place}/versions/1/document", f"{place}/versions/1/text", f"{place}/history", f"{place}/review?first=2026-01-01&last=2026-01-02"):
        answer = member.ask(f"GET {read}")
        assert answer.status_code == 404, (read, answer.text)
    assert SECRET not in member.ask("GET /agreements").text and office.visitor("auditor").ask(f"GET {place}").status_code == 200


def test_an_agreement_that_ended_and_was_archived_stays_in_sight_of_its_parties(office):
    ended = office.moved(office.active(), ("administrator", "terminate"), ("data_manager", "archive"))
    assert office.visitor("member").ask(f"GET /agreements/{ended['agreement']}").json["state"] == "archived"
    assert office.visitor("stranger").ask(f"GET /agreements/{ended['agreement']}").status_code == 404


def test_no_cell_of_an_exported_record_begins_like_a_formula_not_even_full_width(office, tmp_path):
    for begun in ("＝", "＋", "－", "＠", "\n="):
        office.house.services.log.write({"event": "overlay.unidentified", "operation": f"{begun}HYPERLINK()", "code": "key-unknown"})
    folder = office.house.services.settings.decisions
    days = recorded_days(folder)
    export(folder, tmp_path / "out.csv", "csv", first=days[0], last=days[-1])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["operation"] for row in csv.DictReader(file) if "HYPERLINK" in row["operation"]]
    assert len(cells) == 5 and all(cell.startswith("'") for cell in cells)


def test_a_query_of_the_record_reads_no_other_file(office, tmp_path):
    (tmp_path / "other.txt").write_text("secret")
    with connect(office.house.services.settings.decisions) as connection:
        for sql in (
            f"SELECT * FROM read_text('{tmp_path}/other.txt')", f"SELECT * FROM glob('{tmp_path}/*')", f"SELECT * FROM '{tmp_path}/other.txt'",
            f"SELECT * FROM read_csv_auto('{tmp_path}/other.txt')", f"SELECT * FROM query('FROM read_text(''{tmp_path}/other.txt'')')",
            "SELECT * FROM read_text('https://maps.test/')", "SET enable_external_access = true", f"COPY (SELECT 1) TO '{tmp_path}/made'",
            f"ATTACH '{tmp_path}/made'", "SELECT getenv('HOME')", "SELECT 1; SELECT 2",
        ):
            with pytest.raises(QueryInvalid):
                select(connection, sql)
