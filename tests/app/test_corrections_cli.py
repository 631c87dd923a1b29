"""Corrections as the operator of the machine types them."""

import json

import pytest
from test_cli import Office

from geoserver_app.cli.corrections import book_of
from geoserver_app.corrections.tickets import Kind
from geoserver_app.settings import Settings

PLACE = {"type": "Point", "coordinates": [118.75, 32.0]}


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture
def ticket(office) -> str:
    book, _ = book_of(Settings.at(office.folder / "var"))
    return book.report(agency="water", by="member", layer="dlg", edition="2011", kind=Kind.NAME, place=PLACE, text="路名有误").correction_id


def test_a_correction_is_listed_shown_and_moved_on(office, ticket):
    assert next(one for one in office.rows("correction", "list", "--open") if one["correction"] == ticket)["state"] == "reported"
    assert office.done("correction", "move", ticket, "taken") == f"correction {ticket}: taken\n"
    assert office.done("correction", "move", ticket, "refused", "--text", "实地无误") == f"correction {ticket}: refused\n"
    shown = json.loads(office.done("correction", "show", ticket, "--json"))
    assert (shown["answer"], [one["state"] for one in shown["history"]]) == ("实地无误", ["reported", "taken", "refused"])
    assert "路名有误" in office.done("correction", "show", ticket)


@pytest.mark.parametrize(("words", "told"), [
    (("show", "ABCD-EFGH"), "there is no correction `ABCD-EFGH`: see `geoshare correction list`"),
    (("move", "ABCD-EFGH", "taken"), "there is no correction `ABCD-EFGH`"),
])
def test_one_that_is_none_is_told(office, words, told):
    result = office.types("correction", *words)
    assert result.exit_code == 3 and told in result.output


def test_a_way_that_there_is_not_is_told(office, ticket):
    result = office.types("correction", "move", ticket, "answered", "--text", "t")
    assert result.exit_code == 3 and "the correction is `reported` and can't become `answered`" in result.output
    office.done("correction", "move", ticket, "taken")
    result = office.types("correction", "move", ticket, "mended", "--edition", "2099")
    assert result.exit_code == 3 and "`2099` is no edition of layer `dlg`" in result.output


def test_figures_and_a_file_for_a_gis(office, ticket):
    figures = json.loads(office.done("correction", "figures", "--json"))
    assert figures["count"] >= 1 and figures["by_agency"]["water"] == figures["count"]
    path = office.folder / "corrections.geojson"
    office.done("correction", "export", str(path), "--open")
    assert ticket in {one["id"] for one in json.loads(path.read_text("utf-8"))["features"]}
    assert "nothing to close" in office.types("correction", "remind").output
