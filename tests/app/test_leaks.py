"""Hostile agencies: every way we know of by which something outside an agreement has left systems of this kind, tried on this one."""

import base64
import io
import itertools
import json
import logging
import re
import socket
import statistics
import time
from dataclasses import replace
from datetime import timedelta

import geopandas
import numpy as np
import pytest
import shapely
from ows_county import CRS, LEFT, MIDDLE, STEP, TOP, WEST_HALF, WHOLE, ask, box_in, click_query, county, map_query, picture, pixels_of  # noqa: F401
from PIL import Image

from agreements.areas import area_on_the_ground
from agreements.model import BUREAU, Agency, Operation, ScaleWindow, State, Term
from geoserver_app.clock import now
from geoserver_app.ingesting import remove
from layers.crs import scale_denominator, transform_bounds, transform_geometry
from layers.model import Bounds, View
from tiles.grids import TILE_MATRIX_SETS

WMS = "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST="
TDT = TILE_MATRIX_SETS["tdt_c"]
PIXELS = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"II*", b"MM\x00")
Z = 16


def ground(left: float, bottom: float, right: float, top: float) -> shapely.Geometry:
    """A box in the county's metres, in degrees."""
    return transform_geometry(shapely.segmentize(shapely.box(left, bottom, right, top), 50), CRS, "CRS:84")


SOUTH_HALF = ground(LEFT - 500, WHOLE.bottom - 500, WHOLE.right + 500, (WHOLE.bottom + TOP) / 2)
EAST_HALF = ground(MIDDLE, WHOLE.bottom - 500, WHOLE.right + 500, TOP + 500)


def tile_at(x: float, y: float, z: int = Z) -> tuple[int, int, int]:
    lon, lat = shapely.get_coordinates(transform_geometry(shapely.Point(x, y), CRS, "CRS:84"))[0]
    row, _, col, _ = TDT.limits(z, Bounds(lon, lat, lon, lat))
    return z, row, col


EDGE = tile_at(MIDDLE, TOP - 500)
WITHIN = tile_at(LEFT + 240, TOP - 500, 18)
BEYOND = tile_at(LEFT + 760, TOP - 500, 18)


def tile_path(layer: str, place: tuple[int, int, int], extension: str = "png") -> str:
    z, row, col = place
    return f"/tiles/{layer}/tdt_c/{z}/{col}/{row}.{extension}"


def rgba(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)).convert("RGBA"))


def ways(layer: str = "dom") -> dict[str, tuple[str, dict]]:
    """Every way in which pixels, values or descriptions of a layer leave the service."""
    return {
        "map": ("/ows", map_query(layer)),
        "map 1.1.1": ("/wms", map_query(layer, version="1.1.1")),
        "feature info": ("/ows", click_query(layer, 10, 10)),
        "legend": ("/ows", {"SERVICE": "WMS", "REQUEST": "GetLegendGraphic", "LAYER": layer, "FORMAT": "image/png"}),
        "tile": (tile_path(layer, EDGE), {}),
        "inside tile": (tile_path(layer, WITHIN), {}),
        "WMTS tile": (f"/wmts/1.0.0/{layer}/default/tdt_c/{EDGE[0]}/{EDGE[1]}/{EDGE[2]}.png", {}),
        "WMTS KVP tile": ("/wmts", {
            "REQUEST": "GetTile", "LAYER": layer, "STYLE": "", "FORMAT": "image/png", "TILEMATRIXSET": "tdt_c", "TILEMATRIX": str(EDGE[0]),
            "TILEROW": str(EDGE[1]), "TILECOL": str(EDGE[2]),
        }),
        "TileJSON": (f"/tiles/{layer}.json", {}),
        "TileJSON of a set": (f"/tiles/{layer}/tdt_c.json", {}),
        **of_values(layer),
    }


def of_values(layer: str = "dom") -> dict[str, tuple[str, dict]]:
    """... and those that rasters alone have."""
    wcs = {"SERVICE": "WCS", "VERSION": "2.0.1", "COVERAGEID": layer}
    return {
        "coverage": ("/wcs", wcs | {"REQUEST": "GetCoverage"}),
        "coverage 1.0.0": ("/ows", {
            "SERVICE": "WCS", "VERSION": "1.0.0", "REQUEST": "GetCoverage", "COVERAGE": layer, "CRS": CRS, "BBOX": ",".join(map(repr, WHOLE)),
            "WIDTH": "100", "HEIGHT": "100", "FORMAT": "image/tiff",
        }),
        "coverage description": ("/wcs", wcs | {"REQUEST": "DescribeCoverage"}),
        "map of a time": ("/ows", map_query(layer, TIME="current")),
        "sheets": (f"/layers/{layer}/sheets", {}),
        "lineage": ("/lineage", {"layer": layer, "crs": CRS, "bbox": ",".join(map(repr, WHOLE))}),
    }


DESCRIPTIONS = {
    "WMS document": ("/ows", {"SERVICE": "WMS", "REQUEST": "GetCapabilities"}),
    "WMS 1.1.1 document": ("/ows", {"SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetCapabilities"}),
    "WMTS document": ("/wmts/1.0.0/WMTSCapabilities.xml", {}),
    "WCS document": ("/wcs", {"SERVICE": "WCS", "REQUEST": "GetCapabilities"}),
    "WCS 1.0.0 document": ("/wcs", {"SERVICE": "WCS", "REQUEST": "GetCapabilities", "VERSION": "1.0.0"}),
    "WCS 1.0.0 description of all": ("/wcs", {"SERVICE": "WCS", "REQUEST": "DescribeCoverage", "VERSION": "1.0.0"}),
    "catalogue": ("/api/v1/layers", {}),
}


def knock(house, way: tuple[str, dict], agency: str | None, **headers):
    return ask(house, way[1], agency, way[0], **headers)


_newcomers = itertools.count(1)


def newcomer(house) -> str:
    name = f"agency-{next(_newcomers)}"
    house.agency(name)
    return name


def forget_answers(house) -> None:
    """As in a worker that has just begun: what it remembers of tiles is gone, the shared cache is not."""
    house.services.tiles._bodies = type(house.services.tiles._bodies)(64 << 20)


def amended(house, agreement, *grants, **changes):
    """Version 2 of an agreement, in force from now on."""
    version = replace(agreement, version=agreement.version + 1, grants=grants or agreement.grants, term=Term(start=now()), **changes)
    house.services.register.register(version, f"version {version.version}")
    return version


def answered_until(house, way, agency: str, status: int, **headers) -> float:
    """Seconds until `way` is answered with `status`."""
    began = time.monotonic()
    while knock(house, way, agency, **headers).status_code != status:
        assert time.monotonic() - began < 3.0, f"not {status} after three seconds"
        time.sleep(0.02)
    return time.monotonic() - began


# -- caches and HTTP

def test_an_old_etag_is_answered_with_the_narrower_picture_after_an_amendment(county):
    agency = newcomer(county)
    agreement = county.grant(agency, "dom")
    full = county.get(tile_path("dom", EDGE), agency)
    assert county.get(tile_path("dom", EDGE), agency, **{"If-None-Match": full.headers["ETag"]}).status_code == 304
    amended(county, agreement, county.clause("dom", area=WEST_HALF))
    time.sleep(county.services.gate.recheck + 0.05)
    narrow = county.get(tile_path("dom", EDGE), agency, **{"If-None-Match": full.headers["ETag"]})
    assert narrow.status_code == 200 and narrow.headers["ETag"] != full.headers["ETag"]
    assert not rgba(narrow.data)[..., 3].all() and rgba(full.data)[..., 3].sum() > rgba(narrow.data)[..., 3].sum()


ENDINGS = {
    "key revoked": (401, lambda house, agency, agreement: house.services.register.revoke_key(
        house.services.gate.standing().register.keys and next(
            k.key_id for k in house.services.register.snapshot().keys.values() if k.agency_id == agency))),
    "agency put out": (401, lambda house, agency, agreement: house.services.register.add_agency(
        Agency(agency_id=agency, name_zh=agency, name_en=agency, is_active=False))),
    "agreement suspended": (403, lambda house, agency, agreement: house.services.register.suspend(agreement.agreement_id, "review")),
    "layer suspended": (403, lambda house, agency, agreement: house.services.register.suspend(
        agreement.agreement_id, "review", layers=frozenset({"dom"}))),
    "agreement terminated": (403, lambda house, agency, agreement: amended(house, agreement, state=State.TERMINATED)),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_within_two_seconds_of_the_end_nothing_is_answered_by_any_way_also_not_by_304(county, ending):
    agency, (status, end) = newcomer(county), ENDINGS[ending]
    agreement = county.grant(agency, "dom", area=WEST_HALF)
    before = {name: knock(county, way, agency) for name, way in ways().items()}
    assert {name: one.status_code for name, one in before.items()} == dict.fromkeys(before, 200)
    end(county, agency, agreement)
    assert answered_until(county, ways()["tile"], agency, status) < 2.0
    for name, way in ways().items():
        old = {"If-None-Match": before[name].headers["ETag"]} if "ETag" in before[name].headers else {}
        after = knock(county, way, agency, **old)
        assert (after.status_code, after.data.startswith(PIXELS)) == (status, False), name
    for name, way in DESCRIPTIONS.items():
        told = knock(county, way, agency)
        assert told.status_code == status == 401 or (told.status_code == 200 and b"dom" not in told.data.replace(b"random", b"")), name


def test_a_suspension_of_a_part_takes_that_part_out_of_every_answer(county):
    agency = newcomer(county)
    agreement = county.grant(agency, "dom")
    corner = ground(LEFT - 500, WHOLE.bottom - 500, MIDDLE, TOP + 500)
    before = {name: knock(county, way, agency) for name, way in ways().items()}
    assert before["inside tile"].status_code == 200 and rgba(before["inside tile"].data)[..., 3].all()
    county.services.register.suspend(agreement.agreement_id, "flood", area=area_on_the_ground(corner, "west"))
    time.sleep(county.services.gate.recheck + 0.05)
    after = {name: knock(county, way, agency, **{"If-None-Match": before[name].headers.get("ETag", "")}) for name, way in ways().items()}
    assert not rgba(after["inside tile"].data).any() and not picture(after["map"])[:, :50].any() and picture(after["map"])[:, 51:, 3].all()
    assert after["feature info"].json["features"] == [] and before["feature info"].json["features"]
    assert after["TileJSON"].json["bounds"][0] > before["TileJSON"].json["bounds"][0] + 0.004


def test_a_layer_that_was_withdrawn_is_gone_from_every_memory_and_does_not_come_back_with_its_name(county):
    agency = newcomer(county)
    county.raster("brief", pixels_of(), LEFT, TOP, STEP)
    county.grant(agency, "brief")
    before = {name: knock(county, way, agency) for name, way in ways("brief").items()}
    assert {one.status_code for one in before.values()} == {200}
    remove(county.services.settings, "brief")
    time.sleep(county.services.gate.recheck + 0.05)
    assert {knock(county, way, agency).status_code for way in ways("brief").values()} == {403}
    county.raster("brief", pixels_of()[::-1].copy(), LEFT, TOP, STEP)
    for name in ("map", "tile", "inside tile"):
        assert knock(county, ways("brief")[name], agency).data != before[name].data


def test_an_error_told_in_the_picture_is_painted_for_nobody_we_do_not_know(county):
    for form in ("INIMAGE", "BLANK"):
        answer = ask(county, map_query(EXCEPTIONS=form, WIDTH="4096", HEIGHT="4096"), None)
        assert answer.status_code == 401 and not answer.data.startswith(PIXELS) and len(answer.data) < 2000


def test_a_view_or_place_outside_the_area_touches_neither_source_nor_cache(county, monkeypatch):
    for name in ("map", "tile", "stored_tile", "reader"):
        monkeypatch.setattr(county.services.engine, name, lambda *_, **__: pytest.fail("what lies outside was looked at"))
    monkeypatch.setattr(type(county.services.features), "batches", lambda *_, **__: pytest.fail("what lies outside was read"))
    east = Bounds(MIDDLE + 100, TOP - 600, MIDDLE + 400, TOP - 300)
    for layer in ("dom", "dlg"):
        assert not picture(ask(county, map_query(layer, bounds=east))).any()
        assert ask(county, click_query(layer, 80, 30)).json["features"] == []
        assert not rgba(county.get(tile_path(layer, BEYOND), "water").data).any()


@pytest.mark.parametrize("moment", ("Fri, 31 Dec 2099 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"))
def test_a_date_of_the_client_never_makes_a_304(county, moment):
    for place in (EDGE, WITHIN, BEYOND):
        answer = county.get(tile_path("dom", place), "water", **{"If-Modified-Since": moment})
        assert answer.status_code == 200 and "Last-Modified" not in answer.headers
    assert county.get(tile_path("dom", WITHIN), "nobody", **{"If-Modified-Since": moment}).status_code == 403


@pytest.mark.parametrize("extension", ("png", "jpg", "webp"))
def test_a_thousand_tiles_outside_are_one_answer_with_or_without_data_there(county, extension):
    """Some lie where the county has imagery, some where there is none; some were asked for by the owner before."""
    z, row, col = BEYOND
    for place in (BEYOND, (z, row, col + 1)):
        assert county.get(tile_path("dom", place, extension), BUREAU).status_code == 200
    places = [(z, row + down, col + right) for down in range(-8, 8) for right in range(0, 20)]
    places += [(z, 1000 + 7 * n, 2000 + n) for n in range(100)] if extension == "png" else []
    answers = {(one.status_code, one.data, tuple(one.headers.items())) for one in (county.get(tile_path("dom", p, extension), "water") for p in places)}
    assert len(answers) == 1


def test_a_tile_of_the_area_where_nothing_of_it_is_drawn_is_the_constant_too(county):
    """An edge tile whose visible part is empty: whether the layer goes on beyond the border must not be told."""
    agency = newcomer(county)
    strip = ground(WHOLE.right + 1, WHOLE.bottom, WHOLE.right + 40, TOP)       # beside the data, in tiles that the data touch
    county.grant(agency, "dom", area=strip)
    place = tile_at(WHOLE.right + 10, TOP - 500, 16)
    for extension in ("png", "jpg", "webp"):
        beside = county.get(tile_path("dom", place, extension), agency)
        constant = county.get(tile_path("dom", (16, 2000, 3000), extension), agency)
        assert (beside.data, beside.headers["ETag"]) == (constant.data, constant.headers["ETag"]), extension


@pytest.mark.parametrize("place", (EDGE, WITHIN), ids=("edge", "inside"))
def test_an_answer_does_not_tell_whether_somebody_has_asked_for_the_tile_before(county, place):
    county.services.engine.forget(county.services.catalogue.snapshot().layers["dom"].editions[0].edition_id)
    forget_answers(county)
    first, second = (county.get(tile_path("dom", place, "jpg"), "water") for _ in range(2))
    assert first.data == second.data
    assert sorted(first.headers.items()) == sorted(second.headers.items())


ALLOWED_HEADERS = {
    "Content-Type", "Content-Length", "ETag", "Cache-Control", "Vary", "X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy",
    "Cross-Origin-Resource-Policy", "Content-Language", "WWW-Authenticate", "Retry-After", "Allow", "Content-Disposition",
    "Warning",                                  # of maps: the day of the edition that answered
}


@pytest.mark.parametrize("way", [*ways(), *DESCRIPTIONS])
@pytest.mark.parametrize("agency", ("water", "nobody", None))
def test_no_header_but_the_known_ones_leaves_the_service(county, way, agency):
    answer = knock(county, (ways() | DESCRIPTIONS)[way], agency, Origin="http://evil.test")
    assert set(answer.headers.keys()) <= ALLOWED_HEADERS
    assert "private" in answer.headers["Cache-Control"] and "public" not in answer.headers["Cache-Control"]
    assert {"Authorization", "X-API-Key"} <= {one.strip() for one in answer.headers["Vary"].split(",")}
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers.get("Cross-Origin-Resource-Policy") == "same-origin"


def test_a_cut_tile_is_never_stored_for_others(county):
    """A part-holder asks first, the owner afterwards: the owner gets the very master that a cache which never met the other holds."""
    engine, edition = county.services.engine, county.services.catalogue.snapshot().layers["dom"].editions[0]
    folder = county.services.settings.cache / str(edition.edition_id)
    paths = [tile_path("dom", EDGE, extension) for extension in ("png", "jpg", "webp")]
    engine.forget(edition.edition_id)
    alone = [county.get(path, BUREAU).data for path in paths]
    masters = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    engine.forget(edition.edition_id)
    forget_answers(county)
    for path in paths:
        assert county.get(path, "water").status_code == 200
    assert [county.get(path, BUREAU).data for path in paths] == alone
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()} == masters
    assert rgba(alone[0])[..., 3].sum() > rgba(county.get(paths[0], "water").data)[..., 3].sum()


def test_a_method_override_or_a_preflight_gets_nothing(county):
    for path in (tile_path("dom", EDGE), "/ows", "/api/v1/layers"):
        for method in ("OPTIONS", "TRACE", "POST", "PROPFIND"):
            answer = county.client().open(path, method=method, headers={
                "X-API-Key": county.keys["water"], "X-HTTP-Method-Override": "GET", "Origin": "http://evil.test",
                "Access-Control-Request-Method": "GET",
            })
            assert answer.status_code == 405 and not [name for name in answer.headers.keys() if name.lower().startswith("access-control")]


def test_head_has_the_headers_of_get_also_where_it_is_refused(county):
    for agency in ("water", "nobody"):
        for name, (path, query) in (ways() | DESCRIPTIONS).items():
            got = ask(county, query, agency, path)
            head = county.client().head(path, query_string=query, headers={"X-API-Key": county.keys[agency]})
            assert (head.status_code, head.data, head.content_type) == (got.status_code, b"", got.content_type), name


def test_a_range_or_a_foreign_condition_changes_nothing(county):
    whole = county.get(tile_path("dom", EDGE), "water")
    for headers in ({"Range": "bytes=0-10"}, {"If-Match": '"x"'}, {"If-None-Match": "*"}, {"If-Range": whole.headers["ETag"], "Range": "bytes=5-"}):
        assert (again := county.get(tile_path("dom", EDGE), "water", **headers)).status_code == 200 and again.data == whole.data
        assert county.get(tile_path("dom", EDGE), "nobody", **headers).status_code == 403


# -- keys

def carried(key: str) -> dict[str, tuple[str, str, dict]]:
    """How a key may come: before the path, in the query, in the headers."""
    basic = base64.b64encode(f"agency:{key}".encode()).decode()
    return {
        "X-API-Key": ("", "", {"X-API-Key": key}), "bearer": ("", "", {"Authorization": f"Bearer {key}"}),
        "basic": ("", "", {"Authorization": f"Basic {basic}"}), "query": ("", f"key={key}", {}), "path": (f"/k/{key}", "", {}),
    }


def test_a_key_is_in_no_record_no_log_and_no_error_and_only_in_addresses_where_it_came_in_one(county, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    key = county.keys["water"]
    faults = {"REQUEST": "GetMap", "LAYERS": "nothing-here"}, {"REQUEST": "GetMap"}, {"REQUEST": "GetMap", "BBOX": "x"}, {"REQUEST": "Steal"}
    for way, (prefix, query, headers) in carried(key).items():
        for fault in faults:
            told = county.client().get(f"{prefix}/ows", query_string=fault if not query else fault | {"key": key}, headers=headers)
            assert told.status_code in (400, 403) and key not in told.text + str(told.headers), way
        for path in ("/nowhere", "/tiles/secret.json", "/tiles/dom/tdt_c/99/0/0.png", "/wmts?REQUEST=GetTile"):
            told = county.client().get(f"{prefix}{path}{'&' if '?' in path else '?'}{query}", headers=headers)
            assert told.status_code in (400, 403, 404) and key not in told.text + str(told.headers), (way, path)
        document = county.client().get(f"{prefix}/ows?REQUEST=GetCapabilities&{query}", headers=headers).text
        assert (key in document) == (way in ("query", "path")), way
    monkeypatch.setattr(county.services.engine, "map", lambda *_, **__: 1 / 0)
    assert county.client().get(f"/k/{key}/ows", query_string=map_query()).status_code == 500
    assert key not in caplog.text
    assert not [path for path in county.services.settings.decisions.rglob("*.jsonl") if key in path.read_text("utf-8")]


def test_a_wrong_key_beside_a_right_one_is_never_the_right_one(county):
    right, wrong = county.keys["water"], county.keys["nobody"]
    path = tile_path("dom", EDGE)
    for address, headers in (
        (f"{path}?key={right}&KEY={wrong}", {}), (f"{path}?key={right}", {"X-API-Key": wrong}), (f"/k/{right}{path}?tk={wrong}", {}),
        (f"{path}", {"X-API-Key": right, "Authorization": f"Bearer {wrong}"}),
    ):
        assert county.client().get(address, headers=headers).status_code == 401


def test_half_a_key_a_longer_one_and_its_digest_count_for_nothing(county):
    import hashlib
    key = county.keys["water"]
    for wrong in (key[:-1], f"{key}x", key.upper(), hashlib.sha256(key.encode()).hexdigest(), f"{key}\x00", "' OR 1=1 --", "*", "%"):
        assert county.client().get(tile_path("dom", EDGE), query_string={"key": wrong}).status_code == 401


# -- spelling of requests

TRAVERSALS = ("../../x", "..%2f..%2fx", "%2e%2e/x", "....//", "/etc/passwd", "\\..\\..", "图层", "x" * 10_000, "\x00", "‮", "2011\r\nX-Evil: 1")


@pytest.mark.parametrize("value", TRAVERSALS, ids=range(len(TRAVERSALS)))
def test_no_dimension_style_layer_or_matrix_set_leads_to_another_path(county, value):
    files = set(county.services.settings.cache.rglob("*"))
    attempts = [
        ask(county, map_query(**{name: value})) for name in ("TIME", "ELEVATION", "DIM_EDITION", "LAYERS", "STYLES", "CRS", "FORMAT", "VERSION")
    ]
    attempts += [
        ask(county, {name: value}, path=tile_path("dom", EDGE)) for name in ("TIME", "DIM_A", "SLD", "FILTER")
    ] + [ask(county, {"style": value}, path=tile_path("dom", EDGE))]
    attempts += [ask(county, dict(ways()["WMTS KVP tile"][1], **{name: value}), path="/wmts") for name in ("LAYER", "STYLE", "TILEMATRIXSET", "TILEMATRIX", "TIME")]
    for answer in attempts:
        assert answer.status_code in (400, 403, 413), answer.text[:200]
        assert not answer.data.startswith(PIXELS) and "X-Evil" not in answer.headers
        assert str(county.folder) not in answer.text and len(answer.data) < 3000
    assert set(county.services.settings.cache.rglob("*")) == files


@pytest.mark.parametrize("name", ("LAYERS", "STYLES", "CRS", "BBOX", "WIDTH", "HEIGHT", "FORMAT", "REQUEST", "VERSION", "SERVICE", "TRANSPARENT"))
def test_a_parameter_given_twice_in_any_case_is_refused(county, name):
    query = map_query()
    for other, value in ((name.lower(), query[name]), (name.title(), "x"), (name, query[name])):
        assert ask(county, [*query.items(), (other, value)]).status_code == 400


def test_the_name_of_a_parameter_is_told_back_no_longer_and_no_wilder_than_a_value(county):
    wild = "DIM_" + "<script>\r\n`" * 300
    for query in ([(wild, "1"), (wild, "2")], [(wild, "1")], [(wild, "x" * 5000)]):
        for path, more in (("/ows", [("REQUEST", "GetMap")]), ("/wmts", [("REQUEST", "GetTile")]), (tile_path("dom", EDGE), [])):
            answer = ask(county, [*query, *more], path=path)
            assert answer.status_code in (400, 413) and "<script>" not in answer.text.replace('\\"', "") or answer.is_json
            assert len(answer.data) < 1500


def test_a_layer_cannot_hide_behind_another_parameter(county):
    for more in ({"LAYER": "secret"}, {"QUERY_LAYERS": "secret"}, {"map": "secret"}, {"layers[]": "secret"}, {"LAYERS ": "secret"}):
        answer = ask(county, map_query() | more)
        assert answer.status_code == 400 or (picture(answer) == picture(ask(county, map_query()))).all()
    for layers in ("dom,secret", "secret,dom", "dom,,secret", "dom%2Csecret", "DOM", "dom;secret", "dom\tsecret", "*", "dom,*", ""):
        assert ask(county, map_query(layers)).status_code in (400, 403)


REFERENCES = ("SLD", "SLD_BODY", "REMOTE_OWS_URL", "WFS", "FILTER", "CQL_FILTER", "EXP_FILTER", "PROPERTYNAME", "SORTBY", "SELECTION", "VIEWPARAMS", "ENV")


@pytest.mark.parametrize("name", REFERENCES)
def test_nothing_of_the_clients_is_fetched_drawn_or_filtered_by(county, name, monkeypatch):
    def no_network(*_):
        raise AssertionError("the service reached out")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    for spelling in (name, name.lower()):
        for query in (map_query(), click_query("dlg", 30, 30), ways()["legend"][1]):
            assert ask(county, query | {spelling: "http://127.0.0.1:9/x.sld"}).status_code == 400
        assert ask(county, {spelling: "http://127.0.0.1:9/x"}, path=tile_path("dom", EDGE)).status_code == 400
    for header in ("X-Forwarded-Host", "Host", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"):
        assert b"127.0.0.9" not in knock(county, DESCRIPTIONS["WMS document"], "water", **{header: "127.0.0.9"}).data


@pytest.mark.parametrize("way", DESCRIPTIONS | {"TileJSON": ways()["TileJSON"], "404": ("/nowhere", {}), "redirect": ("/api/v1/layers/", {})})
def test_a_forged_host_is_in_no_address_we_print(county, way):
    target = (DESCRIPTIONS | {"TileJSON": ways()["TileJSON"], "404": ("/nowhere", {}), "redirect": ("/api/v1/layers/", {})})[way]
    answer = knock(county, target, "water", Host="evil.test", **{"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test"})
    assert "evil.test" not in answer.text + str(answer.headers) and "Location" not in answer.headers


# -- boxes, sizes, scales

BAD_BOXES = (
    "nan,0,1,1", "NaN,NaN,NaN,NaN", "inf,0,1,1", "-inf,-inf,inf,inf", "1e308,0,1.7e308,1", "1e999,0,1,1", "0x10,0,1,1", "1_000,0,1,1", "１,2,3,4",
    "3548000,385000,3547000,384000", "3547000,385000,3548000,384000", "3547000,384000,3547000,385000", "1,2,3", "1,2,3,4,5", ",,,", "",
    "-1e15,-1e15,1e15,1e15", "3547000;384000;3548000;385000",
)


@pytest.mark.parametrize("box", BAD_BOXES)
def test_a_box_that_is_no_box_is_refused_in_every_operation(county, box):
    for query in (map_query(BBOX=box), click_query("dem", 1, 1) | {"BBOX": box}):
        assert ask(county, query).status_code == 400


@pytest.mark.parametrize("box", ("-90,300,90,660", "31,479,33,481", "-90,480,90,481"))
def test_a_longitude_beyond_the_globe_is_not_wrapped_onto_the_data(county, box):
    answer = ask(county, map_query("dem", crs="EPSG:4326", BBOX=box))
    assert answer.status_code == 400 or not picture(answer).any()


@pytest.mark.parametrize("size", ((20_000, 20_000), (10**9 - 1, 1), (1, 10**9 - 1), (16_385, 1), (0, 10), (-1, 10), (10**12, 10)))
def test_a_picture_too_large_is_refused_before_anything_is_drawn(county, size, monkeypatch):
    monkeypatch.setattr(county.services.engine, "map", lambda *_, **__: pytest.fail("something was drawn"))
    for query in (map_query(WIDTH=str(size[0]), HEIGHT=str(size[1])), click_query("dem", 0, 0) | {"WIDTH": str(size[0]), "HEIGHT": str(size[1])}):
        assert ask(county, query).status_code in (400, 413)
    assert ask(county, map_query(",".join(["dom"] * 21))).status_code == 413


@pytest.fixture(scope="module")
def scaled(county):
    """An agency that may see nothing finer than 1:20,000."""
    county.agency("scaled")
    county.grant("scaled", "dem", "dom", scale=ScaleWindow(finest=20_000), attributes=None)
    return county


def view_at(crs: str, denominator: float, width: int = 64, height: int = 64) -> View:
    """A view of square pixels in the midst of the county, at just this ground scale."""
    middle = transform_bounds(Bounds(MIDDLE - 1, TOP - 501, MIDDLE + 1, TOP - 499), CRS, crs)
    x, y = (middle.left + middle.right) / 2, (middle.bottom + middle.top) / 2
    step = middle.width / 2
    for _ in range(6):
        view = View(crs=crs, bounds=Bounds(x - step * width / 2, y - step * height / 2, x + step * width / 2, y + step * height / 2), width=width, height=height)
        step *= denominator / scale_denominator(view)
    return view


@pytest.mark.parametrize("crs", ("EPSG:4326", "CRS:84", "EPSG:3857", "EPSG:4490", "EPSG:4549", "EPSG:4548"))
def test_the_threshold_of_scale_is_kept_to_a_thousandth_by_every_trick(scaled, crs):
    for factor, status in ((0.999, 403), (1.001, 200)):
        view = view_at(crs, 20_000 * factor)
        query = map_query("dem", crs=crs) | {"BBOX": ",".join(map(repr, swapped(view))), "WIDTH": "64", "HEIGHT": "64"}
        assert ask(scaled, query, "scaled").status_code == status
        click = {"REQUEST": "GetFeatureInfo", "QUERY_LAYERS": "dem", "I": "1", "J": "1", "INFO_FORMAT": "application/json"}
        assert ask(scaled, query | click, "scaled").status_code == status
        for trick in ({"DPI": "72"}, {"DPI": "400"}, {"MAP_RESOLUTION": "9"}, {"FORMAT_OPTIONS": "dpi:10"}, {"SCALE": "50000"}, {"TILED": "true"},
                      {"scale-denominator": "50000"}, {"pixelRatio": "0.1"}, {"RESX": "100"}):
            answer = ask(scaled, query | trick, "scaled")
            assert answer.status_code == status
            assert status == 403 or picture(answer).shape == (64, 64, 4)


def swapped(view: View) -> tuple[float, ...]:
    left, bottom, right, top = view.bounds
    return (left, bottom, right, top) if view.crs in ("CRS:84", "EPSG:3857") else (bottom, left, top, right)


@pytest.mark.parametrize("size", ((640, 64), (64, 640)))
def test_pixels_finer_in_one_direction_alone_are_too_fine(scaled, size):
    view = view_at("EPSG:4549", 20_100)
    query = map_query("dem") | {"BBOX": ",".join(map(repr, swapped(view))), "WIDTH": str(size[0]), "HEIGHT": str(size[1])}
    assert ask(scaled, query, "scaled").status_code == 403


def test_no_tile_is_finer_than_the_scale_granted_in_any_set(scaled):
    middle = transform_geometry(shapely.Point(MIDDLE, TOP - 500), CRS, "CRS:84")
    for tms in TILE_MATRIX_SETS.values():
        x, y = shapely.get_coordinates(transform_geometry(middle, "CRS:84", tms.crs))[0]
        for z in tms.zooms:
            row, _, col, _ = tms.limits(z, Bounds(x, y, x, y))
            is_granted = scale_denominator(tms.view(z, row, col)) >= 20_000
            answer = scaled.get(f"/tiles/dem/{tms.id}/{z}/{col}/{row}.png", "scaled")
            assert answer.status_code == (200 if is_granted else 403), (tms.id, z)
            for address in (f"/tiles/dem/{tms.id}/{z}/{col}/{row}@2x.png", f"/tiles/dem/{tms.id}/{z}/{col}/{row}.png?width=1024&tileSize=1024"):
                other = scaled.get(address, "scaled")
                assert other.status_code != 200 or other.data == answer.data


@pytest.mark.parametrize("path", (
    "/static/../settings.py", "/static/%2e%2e/settings.py", "/static//etc/passwd", "/static/vendor/../viewer.js/../../cli.py", "/var/geoshare.sqlite",
    "/static/vendor/..%2f..%2fcli.py", "/cache/1/default/tdt_c/16/54390/10550.png", "/store/", "/decisions/", "/api/v1/demo", "/metrics", "/.git/config",
))
def test_no_folder_of_the_service_is_reached_by_an_address(county, path):
    for agency in ("water", None):
        answer = county.get(path, agency)
        assert answer.status_code == 404 and "import" not in answer.text


@pytest.mark.parametrize("address", (
    "/tiles/dom/tdt_c/{z}/{col}/-{row}.png", "/tiles/dom/tdt_c/{z}.0/{col}/{row}.png", "/tiles/dom/tdt_c/+{z}/{col}/{row}.png", "/tiles/dom/tdt_c/0{z}/{col}/{row}.png",
    "/tiles/dom/tdt_c/99/0/0.png", "/tiles/dom/tdt_c/{z}/{col}/{row}e0.png", "/tiles/dom/tdt_c/{z}/ {col}/{row}.png", "/tiles/dom/tdt_c/{z}/{col}/１.png",
    "/tiles/dom/tdt_c/{z}/{col}/999999999999.png", "/tiles/dom/TDT_C/{z}/{col}/{row}.png", "/tiles/dom/tdt_c/{z}/{col}/{row}.PNG", "/tiles/dom/tdt_c/{z}/{col}/{row}.tif",
))
def test_a_tile_has_one_address_and_no_other(county, address):
    z, row, col = WITHIN
    answer = county.get(address.format(z=z, row=row, col=col), "water")
    assert answer.status_code in (400, 404) and not answer.data.startswith(PIXELS)


def test_a_row_counted_from_the_bottom_shows_no_more(county):
    z, row, col = WITHIN
    flipped = TDT.size(z)[1] - 1 - row
    assert not rgba(county.get(tile_path("dom", (z, flipped, col)), "water").data).any()


# -- pixels

def test_two_layers_with_two_areas_are_each_cut_before_they_meet(county):
    agency = newcomer(county)
    county.agree(agency, county.clause("dom", area=WEST_HALF), county.clause("dem", area=SOUTH_HALF, clause="3.2"))
    both, dom, dem = (picture(ask(county, map_query(layers), agency)) for layers in ("dem,dom", "dom", "dem"))
    assert (dom[:, 51:] == 0).all() and (dem[:49] == 0).all()
    assert (both[:49, 51:] == 0).all() and (both[51:, 51:] == dem[51:, 51:]).all() and (both[:, :49] == dom[:, :49]).all()
    for media_type in ("image/jpeg", "image/webp"):
        shown = picture(ask(county, map_query("dem,dom", FORMAT=media_type, TRANSPARENT="FALSE"), agency))
        assert abs(shown[:40, 66:, :3].astype(int) - 255).max() <= 3                 # beyond the block of JPEG that the border is in


def test_where_a_layer_may_not_be_seen_its_colours_are_not_in_the_file(county):
    for media_type, transparent in (("image/png", "TRUE"), ("image/webp", "TRUE"), ("image/png", "FALSE"), ("image/jpeg", "FALSE")):
        shown = picture(ask(county, map_query(FORMAT=media_type, TRANSPARENT=transparent)))
        hidden = shown[:, 60:]
        assert not hidden.any() if transparent == "TRUE" and media_type == "image/png" else True
        blue = hidden[..., 2].astype(int) - hidden[..., 0]
        assert blue.max() < 60, "the blue of the hidden half"
    tile = rgba(county.get(tile_path("dom", EDGE), "water").data)
    assert tile[..., 3].any() and not tile[tile[..., 3] == 0].any()


CHUNKS = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"}


def chunks_of(png: bytes) -> set[str]:
    at, names = 8, set()
    while at < len(png):
        names.add(png[at + 4:at + 8].decode())
        at += 12 + int.from_bytes(png[at:at + 4], "big")
    return names


def test_no_picture_holds_anything_but_pixels(county):
    for layer in ("dom", "dem", "dlg"):
        for agency in ("water", BUREAU):
            for way in ("map", "legend", "tile", "inside tile"):
                assert chunks_of(knock(county, ways(layer)[way], agency).data) <= CHUNKS, (layer, agency, way)
    for media_type, extension in (("image/jpeg", "jpg"), ("image/webp", "webp")):
        for answer in (ask(county, map_query(FORMAT=media_type)), county.get(tile_path("dom", WITHIN, extension), "water")):
            read = Image.open(io.BytesIO(answer.data))
            assert not read.getexif() and not {"exif", "xmp", "icc_profile", "comment"} & set(read.info), read.info
            assert not re.search(rb"Exif|XMP |ICCP|xpacket|ICC_PROFILE", answer.data)


def test_an_area_smaller_than_a_pixel_shows_nothing_at_a_small_scale(county):
    agency = newcomer(county)
    county.grant(agency, "dom", area=ground(LEFT + 300, TOP - 502, LEFT + 302, TOP - 500))
    far = Bounds(LEFT - 50_001, TOP - 50_003, LEFT + 50_001, TOP + 50_003)
    assert not picture(ask(county, map_query(bounds=far), agency)).any()
    z, row, col = tile_at(LEFT + 301, TOP - 501, 9)
    assert not rgba(county.get(tile_path("dom", (z, row, col)), agency).data).any()


def test_an_area_that_a_reference_system_cannot_express_shows_nothing_in_it(county):
    agency = newcomer(county)
    county.grant(agency, "dom", area=shapely.box(-60, -40, -50, -30))
    for crs in ("EPSG:4549", "EPSG:4547", "EPSG:3857", "EPSG:4326"):
        assert not picture(ask(county, map_query(crs=crs), agency)).any()
    assert not rgba(county.get(tile_path("dom", WITHIN), agency).data).any()
    assert not rgba(county.get("/tiles/dom/jiangsu_gk120/9/0/0.png", agency).data).any()
    for way in DESCRIPTIONS.values():
        assert b"dom" not in knock(county, way, agency).data.replace(b"random", b"")


@pytest.fixture(scope="module")
def twins(county):
    """Two layers alike inside the granted half and as unlike as can be outside of it."""
    rng = np.random.default_rng(3)
    one = rng.integers(0, 255, (3, 200, 200), dtype=np.uint8)
    other = one.copy()
    other[:, :, 100:] = 255 - other[:, :, 100:]
    for name, bands in (("twin-a", one), ("twin-b", other)):
        county.raster(name, bands, LEFT, TOP, STEP, nearest=True, lossless=True)
        county.raster(f"smooth-{name}", bands, LEFT, TOP, STEP)
    county.agency("twin")
    county.grant("twin", "twin-a", "twin-b", "smooth-twin-a", "smooth-twin-b", area=WEST_HALF)
    return county


def test_what_lies_beyond_the_border_changes_no_byte_of_an_exact_layer(twins):
    for z in range(12, 19):
        place = tile_at(MIDDLE - 2, TOP - 500, z)
        assert twins.get(tile_path("twin-a", place), "twin").data == twins.get(tile_path("twin-b", place), "twin").data, z
    for crs in ("EPSG:4549", "EPSG:3857", "EPSG:4490"):
        for size in ("100", "36", "332"):
            one, other = (ask(twins, map_query(name, crs=crs, WIDTH=size, HEIGHT=size), "twin").data for name in ("twin-a", "twin-b"))
            assert one == other, (crs, size)
    for column in (10, 45, 49, 50, 60):
        one, other = (ask(twins, click_query(name, column, 20), "twin").text.replace(name, "") for name in ("twin-a", "twin-b"))
        assert one == other


def test_beyond_the_reach_of_a_kernel_and_a_block_of_jpeg_nothing_tells_of_the_other_side(twins):
    """The standard class of areas: sheets are kept as JPEG and mixed when drawn, so that 20 of their pixels along the border may tell a shade."""
    for bounds, clear in ((WHOLE, 30), (Bounds(MIDDLE - 400, TOP - 800, MIDDLE + 100, TOP - 300), 60)):
        one, other = (picture(ask(twins, map_query(f"smooth-{name}", bounds=bounds), "twin")) for name in ("twin-a", "twin-b"))
        assert (one[:, :clear] == other[:, :clear]).all() and one[:, :clear, 3].all()
    far = tile_at(MIDDLE - 300, TOP - 500, 18)
    assert twins.get(tile_path("smooth-twin-a", far), "twin").data == twins.get(tile_path("smooth-twin-b", far), "twin").data


# -- features and attributes

@pytest.fixture(scope="module")
def roads(county):
    """A road across the border, gates a pixel to either side of it, a crowd of things beyond, and a canary in every hidden field."""
    y = TOP - 700
    lines = geopandas.GeoDataFrame(
        {"NAME": ["长江大道"], "LENGTH": [81234.5], "长度": [81234.5], "Shape_Leng": [81234.5], "面积": [81234.5], "周长": [81234.5], "HIDDEN": ["canary-road"]},
        geometry=[shapely.LineString([(LEFT + 100, y), (WHOLE.right - 100, y)])], crs=CRS,
    )
    gates = geopandas.GeoDataFrame(
        {"NAME": ["<script>alert(1)</script>", "canary-outside"], "HIDDEN": ["canary-in", "canary-out"]},
        geometry=[shapely.Point(MIDDLE - 3, TOP - 200), shapely.Point(MIDDLE + 3, TOP - 200)], crs=CRS,
    )
    crowd = geopandas.GeoDataFrame({"NAME": [f"canary-crowd-{n}" for n in range(300)]},
                                   geometry=[shapely.Point(MIDDLE + 4 + n / 100, TOP - 400) for n in range(300)] , crs=CRS)
    alone = geopandas.GeoDataFrame({"NAME": ["alone"]}, geometry=[shapely.LineString([(MIDDLE - 8, TOP - 400), (MIDDLE - 5, TOP - 400)])], crs=CRS)
    path = county.folder / "delivered" / "roads.gpkg"
    for table, frame in (("LRDL", lines), ("RESP", gates), ("CROWD", crowd), ("ZLINE", alone)):
        frame.to_file(path, layer=table, driver="GPKG")
    county.layer("roads", path, product="DLG")
    county.agency("walker")
    names = frozenset({"NAME", "LENGTH", "长度", "Shape_Leng", "面积", "周长"})
    county.grant("walker", "roads", area=WEST_HALF, attributes=names)
    county.agency("mute")
    county.grant("mute", "roads", area=WEST_HALF)
    return county


def around(x: float, y: float, half: float = 50.0) -> dict:
    return {"BBOX": f"{y - half},{x - half},{y + half},{x + half}", "WIDTH": "101", "HEIGHT": "101", "I": "50", "J": "50"}


INFO_FORMATS = ("application/json", "application/geo+json", "text/html", "text/plain", "application/vnd.ogc.gml")


@pytest.mark.parametrize("info", INFO_FORMATS)
def test_a_feature_a_pixel_beyond_the_border_is_told_in_no_form(roads, info):
    for x in (MIDDLE - 3, MIDDLE - 0.6, MIDDLE + 0.6, MIDDLE + 3):
        told = ask(roads, click_query("roads", 50, 50, info) | around(x, TOP - 200), "walker")
        assert told.status_code == 200 and "canary" not in told.text
        assert "<script>" not in told.text or info in ("application/json", "application/geo+json", "text/plain")
        assert ("alert(1)" in told.text) == (x < MIDDLE)
        assert told.headers["Content-Type"].startswith(info) and told.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("info", INFO_FORMATS)
def test_a_road_across_the_border_is_cut_and_its_length_is_not_told_under_any_name(roads, info):
    told = ask(roads, click_query("roads", 50, 50, info) | around(MIDDLE - 100, TOP - 700), "walker")
    assert "长江大道" in told.text and "81234" not in told.text and "canary" not in told.text
    if "json" in info:
        (road,) = told.json["features"]
        assert road["properties"] == {"NAME": "长江大道"}
        assert shapely.from_geojson(json.dumps(road["geometry"])).difference(WEST_HALF.buffer(1e-7)).is_empty


@pytest.mark.parametrize("info", INFO_FORMATS)
def test_an_agency_that_is_told_no_attribute_is_told_no_name_of_one(roads, info):
    told = ask(roads, click_query("roads", 50, 50, info) | around(MIDDLE - 100, TOP - 700), "mute").text
    for hidden in ("NAME", "LENGTH", "长度", "HIDDEN", "长江", "canary"):
        assert hidden not in told
    catalogue = knock(roads, DESCRIPTIONS["catalogue"], "mute").text
    assert "HIDDEN" not in catalogue and "长度" not in catalogue


def test_a_crowd_beyond_the_border_takes_no_place_in_the_answer(roads):
    for count in ("1", "10"):
        told = ask(roads, click_query("roads", 50, 50) | around(MIDDLE - 5, TOP - 400, 150) | {"FEATURE_COUNT": count}, "walker")
        assert [one["properties"]["NAME"] for one in told.json["features"]] == ["alone"]


def test_a_wide_click_tells_no_more_than_the_area_and_the_count(roads):
    wide = {"BBOX": f"{TOP - 100_000},{LEFT - 100_000},{TOP + 100_000},{LEFT + 100_000}", "WIDTH": "1", "HEIGHT": "1", "I": "0", "J": "0", "FEATURE_COUNT": "999999"}
    told = ask(roads, click_query("roads", 0, 0) | wide, "walker")
    assert "canary" not in told.text and len(told.json["features"]) <= 100


def test_layers_that_are_only_shown_are_decided_too(roads):
    assert ask(roads, click_query("roads", 50, 50) | {"LAYERS": "roads,secret"}, "walker").status_code == 403
    assert ask(roads, click_query("roads", 50, 50) | {"LAYERS": "roads,dom"}, "walker").status_code == 403
    assert ask(roads, click_query("dom", 50, 50) | {"QUERY_LAYERS": "roads"}, "walker").status_code == 400


def test_a_form_of_feature_info_that_is_not_granted_is_refused(county):
    agency = newcomer(county)
    county.grant(agency, "dem", formats=frozenset({"image/png", "application/json"}))
    assert ask(county, click_query("dem", 10, 10), agency).status_code == 200
    for info in INFO_FORMATS[1:]:
        assert ask(county, click_query("dem", 10, 10, info), agency).status_code == 403


def test_control_points_are_told_to_nobody_not_even_the_names_of_their_fields(county):
    points = geopandas.GeoDataFrame({"NAME": ["canary-point"], "GRADE": ["canary-grade"]}, geometry=[shapely.Point(LEFT + 250, TOP - 250)], crs=CRS)
    river = geopandas.GeoDataFrame({"NAME": ["river"]}, geometry=[shapely.LineString([(LEFT, TOP - 900), (LEFT + 900, TOP - 900)])], crs=CRS)
    path = county.folder / "delivered" / "control.gpkg"
    points.to_file(path, layer="CPTP", driver="GPKG")
    river.to_file(path, layer="HYDL", driver="GPKG")
    county.layer("control", path, product="DLG")
    agency = newcomer(county)
    county.grant(agency, "control", attributes=None)
    for who in (agency, BUREAU):
        for way in DESCRIPTIONS.values():
            assert not re.search("CPTP|GRADE", knock(county, way, who).text)
        assert ask(county, click_query("control", 25, 25), who).json["features"] == []
        assert not picture(ask(county, map_query("control"), who))[10:40, 10:40].any()


# -- grants

def test_two_grants_never_make_a_third(county):
    """West as PNG and east as JPEG: neither east as PNG nor west as JPEG; and so for styles, scales, operations and attributes."""
    agency = newcomer(county)
    county.agree(
        agency,
        county.clause("dom", area=WEST_HALF, formats=frozenset({"image/png"})),
        county.clause("dom", area=EAST_HALF, formats=frozenset({"image/jpeg"}), clause="3.2"),
        county.clause("dem", area=WEST_HALF, styles=frozenset({"slope"}), clause="3.3"),
        county.clause("dem", area=EAST_HALF, styles=frozenset({"hillshade"}), clause="3.4"),
        county.clause("dlg", area=WEST_HALF, operations={Operation.GET_FEATURE_INFO}, attributes=frozenset({"NAME"}), clause="3.5"),
        county.clause("dlg", area=EAST_HALF, operations={Operation.GET_FEATURE_INFO}, attributes=frozenset({"WIDTH"}), clause="3.6"),
        county.clause("dlg", area=EAST_HALF, operations={Operation.GET_MAP}, clause="3.7"),
    )
    png = picture(ask(county, map_query(), agency))
    assert png[:, :49, 3].all() and not png[:, 51:].any()
    jpeg = picture(ask(county, map_query(FORMAT="image/jpeg"), agency)).astype(int)
    assert (abs(jpeg[:, :40, :3] - 255) <= 3).all() and (jpeg[:, 60:, 0] < 100).all()
    slope, shade = (picture(ask(county, map_query("dem", STYLES=style), agency)) for style in ("slope", "hillshade"))
    assert not slope[:, 51:].any() and slope[:, :49, 3].all() and not shade[:, :49].any() and shade[:, 51:, 3].all()
    west, east = (ask(county, click_query("dlg", column, 30), agency).json["features"][0]["properties"] for column in (30, 70))
    assert (west, east) == ({"NAME": "秦淮河 <b>"}, {"WIDTH": 12.5})
    assert not picture(ask(county, map_query("dlg"), agency))[:, :50].any()
    assert ask(county, {}, agency, tile_path("dlg", EDGE)).status_code == 403
    edge = rgba(county.get(tile_path("dom", EDGE), agency).data)
    assert edge[:, 0, 3].any() != edge[:, -1, 3].any()


def test_an_overlay_is_its_owners_and_nobody_elses_until_the_owner_shares_it(county):
    owner, other = newcomer(county), newcomer(county)
    pumps = geopandas.GeoDataFrame({"NAME": ["pump-canary"]}, geometry=[shapely.Point(LEFT + 50, TOP - 250)], crs=CRS)
    path = county.folder / "delivered" / "pumps.gpkg"
    pumps.to_file(path, layer="PUMPS", driver="GPKG")
    county.layer("pumps", path, product="OVERLAY", owner=owner)
    county.grant(other, "pumps")                                               # by the bureau, which does not own it
    assert {knock(county, way, owner).status_code for name, way in ways("pumps").items() if name not in of_values()} == {200}
    for stranger in (other, BUREAU, "water"):
        assert {knock(county, way, stranger).status_code for way in ways("pumps").values()} == {403}
        assert not [name for name, way in DESCRIPTIONS.items() if b"pumps" in knock(county, way, stranger).data]
    county.grant(other, "pumps", grantor=owner, area=EAST_HALF)
    assert not picture(ask(county, map_query("pumps"), other)).any()
    assert "canary" not in ask(county, click_query("pumps", 5, 25), other).text


def test_a_grantor_that_does_not_own_a_layer_tells_not_even_that_there_is_one(county):
    false_owner, agency = newcomer(county), newcomer(county)
    county.grant(agency, "secret", "absent", grantor=false_owner)
    for name in ways():
        unshared, unknown = (knock(county, ways(layer)[name], agency) for layer in ("secret", "absent"))
        assert unshared.status_code == unknown.status_code == 403
        assert unshared.data.replace(b"secret", b"absent") == unknown.data


def test_a_suspension_by_a_grantor_that_does_not_own_a_layer_tells_nothing_and_stops_nothing(county):
    false_owner, agency = newcomer(county), newcomer(county)
    county.grant(agency, "dom")
    bogus = county.grant(agency, "secret", "absent", "dom", grantor=false_owner)
    county.services.register.suspend(bogus.agreement_id, "review")
    county.look_again()
    unshared, unknown = (ask(county, map_query(layer), agency) for layer in ("secret", "absent"))
    assert unshared.data.replace(b"secret", b"absent") == unknown.data
    assert ask(county, map_query("dom"), agency).status_code == 200


@pytest.mark.parametrize("offset,is_in_force", ((-1, False), (0, True), (1, True)))
def test_a_grant_begins_at_its_first_moment_for_every_way(county, offset, is_in_force, monkeypatch):
    agency, start = newcomer(county), now() + timedelta(hours=1)
    county.agree(agency, county.clause("dom", area=WEST_HALF, term=Term(start=start)))
    for way in (ways() | DESCRIPTIONS).values():
        knock(county, way, agency)
    monkeypatch.setattr(county.services.gate, "clock", lambda: start + timedelta(milliseconds=offset))
    assert {knock(county, way, agency).status_code for way in ways().values()} == {200 if is_in_force else 403}
    assert {b"dom" in knock(county, way, agency).data.replace(b"random", b"") for way in DESCRIPTIONS.values()} == {is_in_force}


@pytest.mark.parametrize("offset,is_in_force", ((-1, True), (0, False), (1, False)))
def test_a_grant_ends_before_its_last_moment_for_every_way(county, offset, is_in_force, monkeypatch):
    agency, end = newcomer(county), now() + timedelta(hours=1)
    county.agree(agency, county.clause("dom", area=WEST_HALF, term=Term(end=end)))
    for way in (ways() | DESCRIPTIONS).values():
        assert knock(county, way, agency).status_code == 200
    monkeypatch.setattr(county.services.gate, "clock", lambda: end + timedelta(milliseconds=offset))
    assert {knock(county, way, agency).status_code for way in ways().values()} == {200 if is_in_force else 403}
    assert {b"dom" in knock(county, way, agency).data.replace(b"random", b"") for way in DESCRIPTIONS.values()} == {is_in_force}


def test_where_the_style_without_text_alone_is_granted_no_name_is_drawn_from_either_side_of_the_border(county):
    """Names differ in everything, and one stands so near the border that its letters would cross it, though its symbol does not."""
    places = [shapely.Point(MIDDLE - 80, TOP - 250), shapely.Point(LEFT + 250, TOP - 250), shapely.Point(WHOLE.right - 200, TOP - 600)]
    for layer, names in (("signs-a", ["canary", "沿江大道泵站", "x"]), ("signs-b", ["一个很长很长的名字在此", "", "yyyyyyyyyyyy"])):
        path = county.folder / "delivered" / f"{layer}.gpkg"
        geopandas.GeoDataFrame({"NAME": names}, geometry=places, crs=CRS).to_file(path, layer="SIGNS", driver="GPKG")
        county.layer(layer, path, product="OVERLAY")
    agency = newcomer(county)
    county.grant(agency, "signs-a", "signs-b", area=EAST_HALF, styles=frozenset({"unlabelled"}))
    for bounds in (WHOLE, Bounds(MIDDLE - 100, TOP - 700, MIDDLE + 100, TOP - 500)):
        one, other = (picture(ask(county, map_query(layer, bounds=bounds), agency)) for layer in ("signs-a", "signs-b"))
        assert (one == other).all()
    shown = picture(ask(county, map_query("signs-a"), agency))
    assert shown.any() and not shown[10:40].any()                    # one sign stands in the east, lower down
    assert (picture(ask(county, map_query("signs-a", STYLES="default"), agency)) == shown).all()         # `default` is whatever is granted first
    one, other = (county.get(tile_path(layer, EDGE), agency).data for layer in ("signs-a", "signs-b"))
    assert one == other


# -- what exists

@pytest.fixture(scope="module")
def editions(county):
    """`two` in an edition that is shared and a later one that is not; `shared` in one edition."""
    for edition in ("2006", "2011"):
        county.raster("two", pixels_of(), LEFT, TOP, STEP, edition=edition)
    county.agency("reader")
    county.grant("reader", "two@2006", "dom")
    return county


PAIRS = (("secret", "absent"), ("secret@2011", "absent@2011"), ("secret@1999", "absent@1999"), ("two@2011", "two@1999"), ("dom@1999", "dam@1999"))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("way", ways())
def test_what_is_not_shared_and_what_is_not_there_are_answered_alike_to_the_byte(editions, pair, way):
    unshared, unknown = (knock(editions, ways(layer)[way], "reader") for layer in pair)
    assert unshared.status_code == unknown.status_code == 403
    assert unshared.data.replace(pair[0].encode(), b"NAME") == unknown.data.replace(pair[1].encode(), b"NAME")
    ignoring = {"Content-Length"}
    assert {k: v for k, v in unshared.headers if k not in ignoring} == {k: v for k, v in unknown.headers if k not in ignoring}


def test_an_edition_that_is_not_shared_is_in_no_document(editions):
    for name, way in DESCRIPTIONS.items():
        told = knock(editions, way, "reader").text
        assert "two" in told and "two@2011" not in told and not re.search("2011 edition|2011 版", told), name
    assert knock(editions, ways("two@2006")["map"], "reader").status_code == 200


def test_a_newer_edition_that_is_not_shared_changes_no_document_and_no_answer(county):
    county.raster("late", pixels_of(), LEFT, TOP, STEP, edition="2006")
    agency = newcomer(county)
    county.grant(agency, "late@2006")
    asked = DESCRIPTIONS | {f"{name} of {layer}": way for layer in ("late", "late@2006") for name, way in ways(layer).items()}
    before = {name: knock(county, way, agency) for name, way in asked.items()}
    county.raster("late", pixels_of(), LEFT, TOP, STEP, edition="2011")
    for name, way in asked.items():
        after = knock(county, way, agency)
        assert (after.status_code, after.data) == (before[name].status_code, before[name].data), name


def test_documents_tell_the_bounds_of_the_grant_and_nobody_elses_names(county):
    agency = newcomer(county)
    county.grant(agency, "dom", area=WEST_HALF)
    extent = county.services.catalogue.snapshot().layers["dom"].editions[0].extent
    east = extent.bounds[2]
    for name, way in (DESCRIPTIONS | {"TileJSON": ways()["TileJSON"]}).items():
        text = knock(county, way, agency).text
        assert "secret" not in text and "water" not in text and "AG-TEST" not in text and str(county.folder) not in text
        lon = [float(n) for n in re.findall(r"118\.\d{3,}", text)]
        assert name == "catalogue" or lon
        assert all(n < east - 0.003 for n in lon), name
    entry = next(one for one in knock(county, DESCRIPTIONS["catalogue"], agency).json["layers"] if one["name"] == "dom")
    assert entry["bounds"][2] < WEST_HALF.bounds[2] + 1e-6 < east


def test_documents_of_one_agency_are_never_those_of_another(county):
    one, other = newcomer(county), newcomer(county)
    county.grant(one, "dom", area=WEST_HALF)
    county.grant(other, "dem", area=SOUTH_HALF)
    for way in DESCRIPTIONS.values():
        first, second, again = (knock(county, way, agency) for agency in (one, other, one))
        assert first.data == again.data != second.data and b"dem" not in first.data and b"Imagery" not in second.data
        assert first.headers["Cache-Control"] == "private, no-store" and "ETag" not in first.headers


def test_a_style_that_is_not_granted_has_no_legend_no_name_and_no_picture(county):
    agency = newcomer(county)
    county.grant(agency, "dem", styles=frozenset({"slope"}))
    for name, way in (DESCRIPTIONS | {"TileJSON": ways("dem")["TileJSON"]}).items():
        text = knock(county, way, agency).text
        assert "relief" not in text and "hillshade" not in text, name
    for style in ("relief", "hillshade", "shaded-relief", "no-such-style"):
        attempts = [
            ask(county, ways("dem")["legend"][1] | {"STYLE": style}, agency), ask(county, map_query("dem", STYLES=style), agency),
            ask(county, click_query("dem", 1, 1) | {"STYLES": style}, agency),
            county.get(f"/wmts/1.0.0/dem/{style}/tdt_c/{EDGE[0]}/{EDGE[1]}/{EDGE[2]}.png", agency), county.get(tile_path("dem", EDGE) + f"?style={style}", agency),
            county.get(f"/tiles/dem.json?style={style}", agency),
        ]
        assert [one.status_code for one in attempts] == [403] * len(attempts), style
        assert not [one for one in attempts if b"granted" in one.data and style != "relief" and b"relief" in one.data.replace(style.encode(), b"")]
    assert ask(county, ways("dem")["legend"][1], agency).data == ask(county, ways("dem")["legend"][1] | {"STYLE": "slope"}, agency).data


def test_an_answer_for_what_is_not_shared_takes_as_long_as_one_for_what_is_not_there(county):
    agency = newcomer(county)
    county.raster("secret-dem", pixels_of()[:1].astype(np.float32), LEFT, TOP, STEP, product="DEM", nodata=-9999)
    county.agree(agency, *(county.clause(f"other-{n}", "dom", clause=f"3.{n}") for n in range(40)))
    paths = {name: [(ways(layer)[name]) for layer in ("secret-dem", "absent-dem")] for name in ("map", "tile", "legend", "TileJSON")}
    for name, (unshared, unknown) in paths.items():
        spent = {0: [], 1: []}
        for _ in range(80):
            for which, way in enumerate((unshared, unknown)):
                began = time.perf_counter()
                knock(county, way, agency)
                spent[which].append(time.perf_counter() - began)
        quiet = [statistics.quantiles(spent[which], n=4)[0] for which in (0, 1)]       # what the machine does beside this is in the rest
        ratio = quiet[0] / quiet[1]
        assert 1 / 1.5 < ratio < 1.5, (name, ratio)


# -- when something is broken

def shows_nothing(answer) -> bool:
    return answer.status_code == 503 and not answer.data.startswith(PIXELS) and "Retry-After" in answer.headers


def test_without_its_register_the_service_answers_nothing_however_it_was_lost(tmp_path):
    from houses import build_house
    house = build_house(tmp_path)
    house.raster("dom", pixels_of(), LEFT, TOP, STEP)
    house.agency("water")
    house.grant("water", "dom", area=WEST_HALF)
    assert knock(house, ways()["tile"], "water").status_code == 200
    for file in (tmp_path / "var").glob("geoshare.sqlite*"):
        file.rename(file.with_name(f"lost-{file.name}"))
    time.sleep(house.services.settings.trust_seconds + 0.1)
    for name, way in (ways() | DESCRIPTIONS).items():
        assert shows_nothing(knock(house, way, "water")), name
    house.services.database.dispose()


@pytest.mark.parametrize("broken", ("register", "catalogue"))
def test_with_a_register_or_catalogue_that_fails_no_way_shows_anything(county, broken, monkeypatch):
    from agreements.errors import RegisterUnavailable
    from layers.errors import CatalogueUnavailable

    def fail(*_):
        raise {"register": RegisterUnavailable, "catalogue": CatalogueUnavailable}[broken]("/var/x is gone")

    for name in ("epoch", "snapshot"):
        monkeypatch.setattr(getattr(county.services, broken), name, fail)
    county.services.gate._standing.looked -= 10
    for name, way in (ways() | DESCRIPTIONS).items():
        answer = knock(county, way, "water")
        assert shows_nothing(answer) and "/var/x" not in answer.text, name


def test_without_a_record_no_way_shows_anything(county, monkeypatch):
    import geoserver_app.decision_log as room

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.os, "write", full)
    for name, way in (ways() | DESCRIPTIONS).items():
        assert shows_nothing(knock(county, way, "water")), name


@pytest.mark.parametrize("harm", ("torn", "rubbish", "folder"))
def test_a_broken_file_in_the_cache_is_never_shown_nor_spoken_of(county, harm):
    edition = county.services.catalogue.snapshot().layers["dom"].editions[0]
    forget_answers(county)
    county.get(tile_path("dom", EDGE), BUREAU)
    path = county.services.engine.tile_path(edition, "default", "tdt_c", *EDGE)
    from pathlib import Path
    file = Path(path)
    data = file.read_bytes()
    file.unlink()
    if harm == "folder":
        file.mkdir()
    else:
        file.write_bytes(data[:len(data) // 2] if harm == "torn" else b"rubbish /etc/passwd")
    forget_answers(county)
    try:
        for extension in ("webp", "png"):
            answer = county.get(tile_path("dom", EDGE, extension), "water")
            assert answer.status_code in (200, 500, 503)
            assert str(county.folder) not in answer.text
            if answer.status_code == 200:
                assert not rgba(answer.data)[:, -1, 3].any()
    finally:
        file.rmdir() if harm == "folder" else file.unlink()
        forget_answers(county)


def test_no_error_tells_of_what_runs_inside(county):
    inside = re.compile(r"Traceback|File \"|\.py\b|sqlite|SELECT |mapproxy|mapnik|werkzeug|flask|/tmp/|/var/|/home/|gpkg|site-packages", re.IGNORECASE)
    attempts = [knock(county, way, agency) for way in (ways("secret") | {"404": ("/x/../../etc/passwd", {})}).values() for agency in ("water", None)]
    attempts += [ask(county, map_query(**{name: "'\"<>&%00{{7*7}}"})) for name in map_query()]
    for answer in attempts:
        assert answer.status_code >= 400 and not inside.search(answer.text), answer.text
        assert "49" not in re.sub(r"EPSG:\d+|45\d\d", "", answer.text) and not re.search(r"<(?!/?\??[\w!])", answer.text.split("?>")[-1].replace("<>", ""))
