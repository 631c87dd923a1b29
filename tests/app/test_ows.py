"""WMS, WMTS and tiles as clients meet them: one county, its agencies, and what each may see."""

import io
import json
import re

import geopandas
import numpy as np
import pytest
import shapely
from lxml import etree
from ogc_schemas import official, schema
from ows_county import CRS, RIVER, WEST_HALF, ask, click_query, county, exception, map_query, picture  # noqa: F401
from owslib.wms import WebMapService
from PIL import Image
from werkzeug.test import EnvironBuilder, run_wsgi_app

from geoserver_app.gate import NotTrusted
from layers.crs import SERVED, transform_geometry
from layers.model import Bounds
from tiles.errors import RenderFailed

# -- maps

@pytest.mark.parametrize("crs", SERVED)
def test_the_same_place_in_both_versions_is_the_same_picture(county, crs):
    new, old = (picture(ask(county, map_query(crs=crs, version=version))) for version in ("1.3.0", "1.1.1"))
    assert (new == old).all()
    assert new[50, 20, 3] == 255 and new[50, 20, 0] == 200


def test_a_map_is_cut_to_the_area_and_nothing_is_left_under_the_transparency(county):
    shown = picture(ask(county, map_query()))
    assert (shown[:, :50, 3] == 255).all() and (shown[:, :50, 0] == 200).all()
    assert (shown[:, 50:] == 0).all()


@pytest.mark.parametrize(("media_type", "kind"),
                         [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/webp", "WEBP"), ("image/png; mode=8bit", "PNG")])
def test_maps_come_in_the_format_asked(county, media_type, kind):
    response = ask(county, map_query(FORMAT=media_type))
    assert response.content_type == media_type.split(";")[0]
    assert Image.open(io.BytesIO(response.data)).format == kind


def test_the_background_shows_where_nothing_may_be_seen(county):
    shown = picture(ask(county, map_query(TRANSPARENT="FALSE", BGCOLOR="0x102030")))
    assert (shown[:, 60:] == (0x10, 0x20, 0x30, 255)).all()
    assert tuple(picture(ask(county, map_query(FORMAT="image/jpeg")))[50, 90, :3]) == (255, 255, 255)


def test_layers_are_cut_each_by_its_own_area_before_they_are_laid_over_one_another(county):
    shown = picture(ask(county, map_query("dem,dom")))
    assert (shown[..., 3] == 255).all()                        # elevation is granted everywhere
    assert (shown[:, :49, 0] == 200).all()                     # imagery lies over it in the west alone
    assert (shown[:, 51:, 0] == shown[:, 51:, 2]).all()        # hillshade is grey


def test_a_map_far_from_the_data_or_overhanging_the_world_is_empty_and_fine(county):
    far = picture(ask(county, map_query(bounds=Bounds(600000, 3800000, 601000, 3801000))))
    assert not far.any()
    over = ask(county, map_query(crs="EPSG:4326", BBOX="-100,-200,100,200", WIDTH="400", HEIGHT="200"))
    assert picture(over).shape == (200, 400, 4)


def test_a_print_of_many_dots_per_inch_draws_its_symbols_larger_and_shows_no_more(county):
    screen, printed = (picture(ask(county, map_query("dlg", **dots))) for dots in ({}, {"DPI": "288", "MAP_RESOLUTION": "288"}))
    assert (printed[..., 3] > 0).sum() > 1.8 * (screen[..., 3] > 0).sum() > 0
    assert not printed[:, 50:].any()


BARE, ALL_STYLES = ["unlabelled", "grey-unlabelled"], ["topographic", "unlabelled", "grey", "grey-unlabelled"]


@pytest.mark.parametrize("attributes,styles", (
    (frozenset(), BARE), (frozenset({"HYDL.WIDTH"}), BARE), (frozenset({"NAME"}), ALL_STYLES), (frozenset({"HYDL.NAME"}), ALL_STYLES), (None, ALL_STYLES),
))
def test_names_are_written_on_the_map_of_those_alone_who_may_be_told_them(county, attributes, styles):
    agency = f"mapper-{len(attributes or 'all')}-{len(styles)}-{sorted(attributes or ['x'])[0][:4].lower()}"
    county.agency(agency)
    county.grant(agency, "dlg", attributes=attributes)
    (layer,) = county.get("/api/v1/layers", agency).json["layers"]
    assert [style["name"] for style in layer["styles"]] == styles
    assert ask(county, map_query("dlg", STYLES="topographic"), agency).status_code == (200 if "topographic" in styles else 403)
    assert ask(county, map_query("dlg", STYLES="grey"), agency).status_code == (200 if "grey" in styles else 403)
    assert ask(county, map_query("dlg", STYLES="grey-unlabelled"), agency).status_code == 200
    bare, plain = (ask(county, map_query("dlg", STYLES=style), agency) for style in ("", "unlabelled"))
    assert bare.status_code == plain.status_code == 200
    assert bare.data == plain.data or "topographic" in styles


def test_a_style_of_another_product_is_not_defined(county):
    response = ask(county, map_query(STYLES="topographic"))
    assert response.status_code == 400
    assert exception(response)[:2] == ("StyleNotDefined", "STYLES")


def test_an_empty_style_draws_the_first_that_is_granted_and_others_are_refused(county):
    assert (picture(ask(county, map_query("dem"))) == picture(ask(county, map_query("dem", STYLES="hillshade")))).all()
    response = ask(county, map_query("dem", STYLES="relief"))
    assert response.status_code == 403
    assert exception(response)[0] == "AccessDenied"
    assert "style" in exception(response)[2] and "AG-TEST" in exception(response)[2] and "data@bureau.test" in exception(response)[2]


def test_one_layer_refused_refuses_the_map(county):
    assert ask(county, map_query("dom,secret")).status_code == 403


# -- errors in the protocol of who asks

EVERYWHERE = {
    "a WMS 1.3.0 map": ("/ows", lambda name: map_query(name)), "a WMS 1.1.1 map": ("/wms", lambda name: map_query(name, version="1.1.1")),
    "feature info": ("/ows", lambda name: click_query(name, 10, 10)),
    "a legend": ("/ows", lambda name: {"REQUEST": "GetLegendGraphic", "LAYER": name, "FORMAT": "image/png"}),
    "a KVP tile": ("/wmts", lambda name: {
        "REQUEST": "GetTile", "LAYER": name, "STYLE": "", "FORMAT": "image/png", "TILEMATRIXSET": "tdt_c", "TILEMATRIX": "10",
        "TILEROW": "164", "TILECOL": "849"}),
    "a REST tile": (lambda name: f"/wmts/1.0.0/{name}/default/tdt_c/10/164/849.png", lambda name: {}),
    "an XYZ tile": (lambda name: f"/tiles/{name}/tdt_c/10/849/164.png", lambda name: {}),
    "TileJSON": (lambda name: f"/tiles/{name}.json", lambda name: {}),
}


@pytest.mark.parametrize("route", EVERYWHERE)
@pytest.mark.parametrize("agency", ["water", "nobody"])
@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_an_unknown_layer_and_an_unshared_one_get_the_same_answer(county, route, agency, tongue):
    path, query = EVERYWHERE[route]
    answers = []
    for name in ("secret", "sacred"):
        response = ask(county, query(name), agency, path(name) if callable(path) else path, **{"Accept-Language": tongue})
        assert response.status_code == 403
        headers = {k: v for k, v in response.headers if k != "Content-Length"}
        answers.append((response.data.replace(name.encode(), b"NAME"), headers))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("route", EVERYWHERE)
def test_nobody_without_a_key_gets_anything_but_the_question_for_one(county, route):
    path, query = EVERYWHERE[route]
    response = ask(county, query("dom"), None, path("dom") if callable(path) else path)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert b"dom" not in response.data


@pytest.mark.parametrize("path", ["/api/v1/layers?key=gsk_wrong", "/k/gsk_wrong/tiles/dom/tdt_c/15/27194/5275.png", "/ows?tk=gsk_wrong"])
def test_a_bad_key_in_the_address_opens_no_password_window_in_a_browser(county, path):
    response = ask(county, path.partition("?")[2], None, path.partition("?")[0])
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    with_password = ask(county, {}, None, "/api/v1/layers", Authorization="Basic Z3NrX3dyb25nOg==")
    assert with_password.headers["WWW-Authenticate"].startswith("Basic ")


def test_each_version_has_its_own_form_of_exception(county):
    new = ask(county, map_query(BBOX="1,2,3"))
    assert (new.status_code, new.content_type) == (400, "text/xml; charset=utf-8")
    assert etree.fromstring(new.data).tag == "{http://www.opengis.net/ogc}ServiceExceptionReport"
    assert exception(new)[:2] == ("InvalidParameterValue", "BBOX")
    old = ask(county, map_query(version="1.1.1", LAYERS=""))
    assert old.content_type.startswith("application/vnd.ogc.se_xml")
    assert etree.fromstring(old.data).tag == "ServiceExceptionReport"
    assert exception(old)[0] == "MissingParameterValue"
    tile = ask(county, {"REQUEST": "GetTile", "LAYER": "dom"}, path="/wmts")
    assert etree.fromstring(tile.data).tag == "{http://www.opengis.net/ows/1.1}ExceptionReport"
    assert exception(tile)[0] == "MissingParameterValue"
    plain = ask(county, {}, path="/tiles/dom/tdt_c/99/0/0.png")
    assert plain.content_type.startswith("application/problem+json")
    assert plain.json["status"] == 400 and plain.json["locator"] == "TileMatrix"


def test_exceptions_hold_to_the_schemas_of_their_protocols(county):
    rules = schema(official("wms/1.3.0/exceptions_1_3_0.xsd").read_bytes(), official("wms/1.3.0/exceptions_1_3_0.xsd"))
    for query in (map_query("secret"), map_query(BBOX=""), map_query("dem", STYLES="relief"), map_query("<b>")):
        assert rules.validate(etree.fromstring(ask(county, query).data)), rules.error_log
    with official("wms/1.1.1/exception_1_1_1.dtd").open() as file:
        dtd = etree.DTD(file)
    for query in (map_query("secret", version="1.1.1"), map_query(version="1.1.1", WIDTH="x")):
        assert dtd.validate(etree.fromstring(ask(county, query).data)), dtd.error_log
    report = official("ows/1.1.0/owsExceptionReport.xsd")
    rules = schema(report.read_bytes(), report)
    for query in ({"REQUEST": "GetTile"}, {"REQUEST": "Nothing"},
                  {"SERVICE": "WMTS", "REQUEST": "GetTile", "LAYER": "a", "LAYERs": "b", "FORMAT": "x"}):
        assert rules.validate(etree.fromstring(ask(county, query, path="/wmts").data)), rules.error_log


@pytest.mark.parametrize(("form", "has_ink"), [("INIMAGE", True), ("BLANK", False), ("application/vnd.ogc.se_inimage", True)])
@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_an_error_can_be_told_in_the_picture_or_by_a_blank_one(county, form, has_ink, tongue):
    query = map_query("secret", WIDTH="400", HEIGHT="120", EXCEPTIONS=form, TRANSPARENT="FALSE")
    response = ask(county, query, **{"Accept-Language": tongue})
    assert (response.status_code, response.content_type) == (403, "image/png")
    shown = np.array(Image.open(io.BytesIO(response.data)).convert("RGB"))
    assert shown.shape == (120, 400, 3)
    assert bool((shown != 255).any()) == has_ink


def test_messages_come_in_the_language_of_the_client(county):
    assert "未共享" in exception(ask(county, map_query("secret"), **{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}))[2]
    assert "未共享" in exception(ask(county, map_query("secret", lang="zh")))[2]
    assert "not shared" in exception(ask(county, map_query("secret")))[2]


def test_too_much_is_told_apart_from_wrong(county):
    assert ask(county, map_query(WIDTH="20000", HEIGHT="20000")).status_code == 413


def test_other_methods_and_addresses_are_refused(county):
    client, key = county.client(), {"X-API-Key": county.keys["water"]}
    for path in ("/ows", "/wmts", "/api/v1/layers", "/tiles/dom/tdt_c/10/849/164.png"):
        assert client.options(path, headers=key).status_code == 405
        response = client.post(path, headers=key)
        assert response.status_code == 405
        assert "GET" in response.headers["Allow"]
    lost = client.get("/nowhere", headers=key)
    assert (lost.status_code, lost.content_type) == (404, "application/problem+json; charset=utf-8")
    assert client.get("/tiles/dom/tdt_c/10/849/164", headers=key).status_code == 404


@pytest.mark.parametrize("path", [
    "//evil.test/ows", "/ows/", "/ows;x=1", "/OWS", "/tiles//dom/tdt_c/10/849/164.png", "/wmts/1.0.0//WMTSCapabilities.xml",
])
def test_an_address_with_a_second_spelling_is_no_address_and_never_a_redirect(county, path):
    environ = EnvironBuilder(path="/", query_string={"REQUEST": "GetCapabilities", "key": county.keys["water"]}).get_environ()
    _, status, headers = run_wsgi_app(county.app, environ | {"PATH_INFO": path})
    assert status.startswith(("400", "404"))
    assert "Location" not in headers


def test_head_says_what_get_would(county):
    for path, query in (("/ows", map_query()), ("/ows", {"REQUEST": "GetCapabilities", "SERVICE": "WMS"}),
                        ("/tiles/dom/tdt_c/10/849/164.png", {})):
        got = ask(county, query, path=path)
        head = county.client().head(path, query_string=query, headers={"X-API-Key": county.keys["water"]})
        assert (head.status_code, head.content_type, head.data) == (200, got.content_type, b"")


def test_an_unexpected_failure_tells_a_number_and_nothing_else(county, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("SELECT secret FROM /var/lib/geoshare")

    monkeypatch.setattr(county.services.engine, "map", fail)
    response = ask(county, map_query())
    assert response.status_code == 500
    text = response.get_data(as_text=True)
    assert not re.search(r"SELECT|/var|RuntimeError|Traceback|\.py", text)
    (incident,) = re.findall(r"`([0-9a-f]{12})`", text)
    assert incident in caplog.text


@pytest.mark.parametrize("failure", [RenderFailed("sheet 3 is gone: /var/x"), NotTrusted("no register")])
def test_what_cannot_be_served_now_is_asked_to_come_back(county, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(county.services.engine if isinstance(failure, RenderFailed) else county.services.gate,
                        "map" if isinstance(failure, RenderFailed) else "serve", fail)
    response = ask(county, map_query())
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "/var" not in response.text


# -- feature info

def features(response) -> list[dict]:
    assert response.status_code == 200, response.text
    return response.json["features"]


def test_heights_and_pixels_are_told_where_they_are_granted(county):
    (height,) = features(ask(county, click_query("dem", 80, 50)))
    assert height["properties"]["height"] == pytest.approx(161, abs=1)
    (pixel,) = features(ask(county, click_query("dom", 20, 50)))
    assert pixel["properties"]["red"] == 200 and pixel["properties"]["blue"] == 0
    assert pixel["layer"] == "dom"


def test_a_point_outside_the_area_is_answered_as_one_where_nothing_is(county):
    outside = ask(county, click_query("dom", 80, 50))
    nothing = ask(county, click_query("dlg", 20, 90))
    assert outside.status_code == nothing.status_code == 200
    assert outside.data == nothing.data
    assert features(outside) == []


def test_a_feature_is_cut_and_tells_only_the_attributes_granted(county):
    (river,) = features(ask(county, click_query("dlg", 30, 30)))
    assert river["feature_class"] == "HYDL"
    assert river["properties"] == {"NAME": "秦淮河 <b>"}                        # its length was of the whole: not told of a part
    told = shapely.from_geojson(json.dumps(river["geometry"]))
    assert told.difference(WEST_HALF.buffer(2e-7)).is_empty
    assert told.length == pytest.approx(transform_geometry(RIVER, CRS, "CRS:84").length / 2, rel=0.01)
    assert features(ask(county, click_query("dlg", 70, 30))) == []


@pytest.mark.parametrize(("info", "begins"), [
    ("text/plain", "dlg"), ("text/html", "<!DOCTYPE html>"), ("application/vnd.ogc.gml", "<?xml"), ("application/geo+json", "{"),
    ("application/json", "{"),
])
def test_no_form_of_feature_info_tells_a_hidden_attribute_or_unescaped_markup(county, info, begins):
    response = ask(county, click_query("dlg", 30, 30, info))
    assert response.content_type == f"{info}; charset=utf-8"
    text = response.get_data(as_text=True)
    assert text.startswith(begins)
    assert "秦淮河" in text and "canary" not in text and "HIDDEN" not in text and "12.5" not in text
    if info in ("text/html", "application/vnd.ogc.gml"):
        assert "<b>" not in text


def test_gml_is_read_by_gdal(county, tmp_path):
    path = tmp_path / "info.gml"
    path.write_bytes(ask(county, click_query("dlg", 30, 30, "application/vnd.ogc.gml")).data)
    read = geopandas.read_file(path)
    assert list(read["NAME"]) == ["秦淮河 <b>"]
    assert read.geometry.iloc[0].difference(WEST_HALF.buffer(1e-6)).is_empty


def test_version_1_1_1_asks_by_x_and_y(county):
    assert features(ask(county, click_query("dem", 80, 50, version="1.1.1"))) == features(ask(county, click_query("dem", 80, 50)))


def test_layers_and_query_layers_are_decided_together(county):
    assert ask(county, click_query("dom", 10, 10) | {"LAYERS": "dom,secret"}).status_code == 403
    assert ask(county, click_query("dom", 10, 10) | {"QUERY_LAYERS": "secret"}).status_code == 400
    assert ask(county, click_query("dom", 10, 10), "tiler").status_code == 403


# -- legends

def test_a_legend_is_a_picture_for_those_who_may_see_the_layer(county):
    for name, style in (("dem", "slope"), ("dlg", ""), ("dom", "")):
        response = ask(county,
                       {"SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetLegendGraphic", "LAYER": name, "STYLE": style,
                        "FORMAT": "image/png"})
        assert response.content_type == "image/png", response.text
        assert Image.open(io.BytesIO(response.data)).width > 20


# -- documents

@pytest.mark.parametrize("version", ["1.1.1", "1.3.0"])
def test_capabilities_are_those_of_the_caller(county, version):
    text = ask(county, {"SERVICE": "WMS", "REQUEST": "GetCapabilities", "VERSION": version}).data
    service = WebMapService("http://maps.test/ows", version=version, xml=text)
    assert set(service.contents) == {"dom", "dem", "dlg"}
    assert b"secret" not in text
    assert service["dom"].boundingBoxWGS84[2] < service["dem"].boundingBoxWGS84[2]
    assert service["dom"].title == "Imagery"
    empty = ask(county, {"SERVICE": "WMS", "REQUEST": "GetCapabilities", "VERSION": version}, "nobody")
    assert empty.status_code == 200 and b"<Name>d" not in empty.data


def test_the_key_is_carried_on_as_it_came(county):
    key = county.keys["water"]
    query = {"SERVICE": "WMS", "REQUEST": "GetCapabilities"}
    by_query = county.client().get("/ows", query_string=query | {"key": key})
    by_path = county.client().get(f"/k/{key}/ows", query_string=query)
    by_header = ask(county, query)
    assert f"/ows?key={key}&amp;".encode() in by_query.data
    assert f"http://maps.test/k/{key}/ows?".encode() in by_path.data
    assert key.encode() not in by_header.data


def test_the_catalogue_tells_what_the_caller_may_see(county):
    told = ask(county, {}, path="/api/v1/layers").json
    layers = {one["name"]: one for one in told["layers"]}
    assert set(layers) == {"dom", "dem", "dlg"}
    assert layers["dlg"]["attributes"] == {"HYDL": ["NAME", "SHAPE_LENGTH"]}
    assert layers["dom"]["title"] == {"zh": "影像", "en": "Imagery"}
    assert [s["name"] for s in layers["dem"]["styles"]] == ["hillshade", "slope"]
    assert {t["id"] for t in layers["dom"]["tile_matrix_sets"]} == {"WebMercatorQuad", "tdt_c", "jiangsu_gk120"}
    assert layers["dom"]["addresses"]["tiles"]["tdt_c"] == "http://maps.test/tiles/dom/tdt_c/{z}/{x}/{y}.png"
    assert "GetFeatureInfo" in layers["dom"]["operations"]
    assert "secret" not in json.dumps(told) and "HIDDEN" not in json.dumps(told)
    assert ask(county, {}, "nobody", "/api/v1/layers").json["layers"] == []


def test_every_answer_is_private(county):
    for path, query in (("/ows", map_query()), ("/ows", map_query("secret")), ("/api/v1/layers", {}),
                        ("/tiles/dom/tdt_c/10/849/164.png", {})):
        assert ask(county, query, path=path).headers["Cache-Control"].startswith("private")
