"""One tile, whichever way it is asked for; and the documents that lead to it."""

import io

import numpy as np
import pytest
from ows_county import WEST_HALF, ask, county, exception  # noqa: F401
from owslib.wmts import WebMapTileService
from PIL import Image

from tiles.grids import TILE_MATRIX_SETS

Z, ROW, COL = 15, 5275, 27194


def kvp(**changes) -> dict:
    return {
        "SERVICE": "WMTS", "VERSION": "1.0.0", "REQUEST": "GetTile", "LAYER": "dom", "STYLE": "default", "FORMAT": "image/png",
        "TILEMATRIXSET": "tdt_c",
        "TILEMATRIX": str(Z), "TILEROW": str(ROW), "TILECOL": str(COL),
    } | changes


@pytest.fixture(scope="module")
def place(county):
    """A tile of tdt_c that the edge of the grant crosses."""
    west, south, east, north = WEST_HALF.bounds
    tms = TILE_MATRIX_SETS["tdt_c"]
    min_row, _, min_col, _ = tms.limits(16, type(tms.extent)(east - 1e-4, (south + north) / 2, east + 1e-4, (south + north) / 2 + 1e-4))
    return 16, min_row, min_col


def test_every_way_of_asking_is_answered_with_the_same_bytes(county, place):
    z, row, col = place
    answers = [
        ask(county, kvp(TILEMATRIX=str(z), TILEROW=str(row), TILECOL=str(col)), path="/wmts"),
        ask(county, kvp(TILEMATRIX=str(z), TILEROW=str(row), TILECOL=str(col)), path="/ows"),
        ask(county, {}, path=f"/wmts/1.0.0/dom/default/tdt_c/{z}/{row}/{col}.png"),
        ask(county, {}, path=f"/tiles/dom/tdt_c/{z}/{col}/{row}.png"),
    ]
    assert {one.status_code for one in answers} == {200}
    assert len({one.data for one in answers}) == 1
    assert len({one.headers["ETag"] for one in answers}) == 1
    shown = np.array(Image.open(io.BytesIO(answers[0].data)).convert("RGBA"))
    assert shown[..., 3].any() and not shown[..., 3].all()
    assert (shown[shown[..., 3] == 0] == 0).all()


def test_a_tile_outside_the_area_is_one_constant(county):
    answers = [ask(county, {}, path=f"/tiles/dom/tdt_c/16/{col}/10000.png") for col in (54000, 50000, 40000)]
    assert len({one.data for one in answers}) == 1
    assert len({one.headers["ETag"] for one in answers}) == 1


def test_a_known_tile_is_not_sent_again_but_is_decided_again(county, place):
    z, row, col = place
    path = f"/tiles/dom/tdt_c/{z}/{col}/{row}.png"
    etag = ask(county, {}, path=path).headers["ETag"]
    again = ask(county, {}, path=path, **{"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    assert ask(county, {}, "nobody", path, **{"If-None-Match": etag}).status_code == 403


def test_owslib_reads_the_document_and_fetches_a_tile_by_its_own_arithmetic(county, place):
    for path, query in (("/wmts", {"SERVICE": "WMTS", "REQUEST": "GetCapabilities"}), ("/wmts/1.0.0/WMTSCapabilities.xml", {}),
                        ("/ows", {"SERVICE": "WMTS", "REQUEST": "GetCapabilities"})):
        text = ask(county, query, path=path).data
        service = WebMapTileService("http://maps.test/wmts", xml=text)
        assert set(service.contents) == {"dom", "dem", "dlg"}
        assert b"secret" not in text
    z, row, col = place
    limits = service["dom"].tilematrixsetlinks["tdt_c"].tilematrixlimits[str(z)]
    assert limits.mintilerow <= row <= limits.maxtilerow and limits.mintilecol <= col <= limits.maxtilecol
    address = service.buildTileResource(layer="dom", style="default", tilematrixset="tdt_c", tilematrix=str(z), row=row, column=col)
    assert f"/dom/default/tdt_c/{z}/{row}/{col}." in address
    assert ask(county, {}, path=address.removeprefix("http://maps.test")).status_code == 200


def test_tile_json_leads_to_tiles(county):
    told = ask(county, {}, path="/tiles/dom.json").json
    assert told["tilejson"] == "3.0.0"
    assert told["tiles"] == ["http://maps.test/tiles/dom/WebMercatorQuad/{z}/{x}/{y}.png"]
    assert told["bounds"][2] == pytest.approx(WEST_HALF.bounds[2], abs=1e-3)
    assert ask(county, {}, path="/tiles/dem/tdt_c.json").json["crs"] == "EPSG:4490"
    assert ask(county, {"style": "slope"}, path="/tiles/dem/tdt_c.json").json["tiles"][0].endswith(".png?style=slope")
    assert ask(county, {"style": "relief"}, path="/tiles/dem/tdt_c.json").status_code == 403
    assert ask(county, {}, path="/tiles/dom/nowhere.json").status_code == 400


def test_wmts_exceptions_are_ows_exception_reports(county):
    response = ask(county, kvp(TILEROW="999999"), path="/wmts")
    assert response.status_code == 400
    assert exception(response)[:2] == ("TileOutOfRange", "TileRow")
    refused = ask(county, kvp(LAYER="secret"), path="/wmts")
    assert exception(refused)[:2] == ("LayerNotDefined", "Layer")
