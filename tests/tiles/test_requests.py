"""What a client may spell in many ways comes out as one value, or as one clear fault."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.crs import SERVED, is_north_first, transform_bounds
from layers.model import Bounds, LayerName
from tiles.errors import RequestInvalid, RequestTooLarge
from tiles.grids import TILE_MATRIX_SETS
from tiles.requests import (
    FAULTS,
    Download,
    ExceptionForm,
    Exceptions,
    GetCapabilities,
    GetFeatureInfo,
    GetLegendGraphic,
    GetMap,
    GetTile,
    Limits,
    exception_form,
    expressible_bounds,
    negotiated,
    pairs_of,
    parse_download,
    parse_tile_json_style,
    parse_tile_path,
    parse_wms,
    parse_wmts_kvp,
    service_of,
)

MAP = {
    "SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "LAYERS": "dom", "STYLES": "", "CRS": "EPSG:4490", "BBOX": "32,118,33,119.5",
    "WIDTH": "300", "HEIGHT": "200", "FORMAT": "image/png",
}
CLICK = MAP | {"REQUEST": "GetFeatureInfo", "QUERY_LAYERS": "dom", "INFO_FORMAT": "application/json", "I": "10", "J": "20"}
TILE = {
    "SERVICE": "WMTS", "VERSION": "1.0.0", "REQUEST": "GetTile", "LAYER": "dom", "STYLE": "default", "FORMAT": "image/png",
    "TILEMATRIXSET": "tdt_c",
    "TILEMATRIX": "10", "TILEROW": "164", "TILECOL": "849",
}


def wms(parameters: dict, **changes):
    merged = parameters | changes
    return parse_wms([(name, value) for name, value in merged.items() if value is not None])


def wmts(**changes):
    return parse_wmts_kvp([(name, value) for name, value in (TILE | changes).items() if value is not None])


def refused(parse, *args, **changes) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        parse(*args, **changes)
    return caught.value


# -- axis order

SOMEWHERE = Bounds(118.7, 31.9, 118.9, 32.1)


@pytest.mark.parametrize("crs", SERVED)
def test_the_same_place_asked_in_both_versions_is_the_same_view(crs):
    left, bottom, right, top = transform_bounds(SOMEWHERE, "CRS:84", crs)
    x_first, y_first = f"{left!r},{bottom!r},{right!r},{top!r}", f"{bottom!r},{left!r},{top!r},{right!r}"
    old = wms(MAP, VERSION="1.1.1", CRS=None, SRS=crs, BBOX=x_first)
    new = wms(MAP, CRS=crs, BBOX=y_first if is_north_first(crs) else x_first)
    assert old.view == new.view
    assert old.view.bounds == (left, bottom, right, top)
    assert old.view.crs == crs


@pytest.mark.parametrize("crs", [crs for crs in SERVED if crs != "CRS:84"])
def test_a_urn_means_the_same_as_the_short_code_in_either_version(crs):
    left, bottom, right, top = transform_bounds(SOMEWHERE, "CRS:84", crs)
    box = f"{bottom!r},{left!r},{top!r},{right!r}" if is_north_first(crs) else f"{left!r},{bottom!r},{right!r},{top!r}"
    urn = f"urn:ogc:def:crs:EPSG::{crs.removeprefix('EPSG:')}"
    assert wms(MAP, CRS=urn, BBOX=box).view == wms(MAP, CRS=crs, BBOX=box).view


def test_easting_first_is_caught_where_version_1_3_0_wants_northing_first():
    fault = refused(wms, MAP, CRS="EPSG:4528", BBOX="40384000,3547000,40385000,3548000")
    assert (fault.code, fault.locator, fault.fault) == ("InvalidParameterValue", "BBOX", "bbox-far")
    assert "N_min,E_min,N_max,E_max" in fault.message


def test_longitude_first_is_caught_in_4490_where_version_1_3_0_wants_latitude_first():
    assert refused(wms, MAP, BBOX="218,32,219.5,33").fault == "bbox-far"


# -- names of parameters

def test_names_of_parameters_are_read_in_any_case():
    assert wms({name.lower(): value for name, value in MAP.items()}) == wms({name.title(): value for name, value in MAP.items()})


@pytest.mark.parametrize("name", ["layers", "LAYERS", "BBOX", "crs", "Request", "STYLES", "width", "SERVICE", "format", "SLD"])
def test_a_known_parameter_given_twice_is_refused_whatever_its_case(name):
    fault = refused(parse_wms, [*MAP.items(), (name.upper(), "a"), (name.swapcase(), "b")])
    assert fault.fault == "repeated"
    assert fault.locator == name.upper()


@pytest.mark.parametrize("name", ["LAYER", "TILEROW", "tilecol", "TileMatrix"])
def test_a_tile_parameter_given_twice_is_refused(name):
    assert refused(parse_wmts_kvp, [*TILE.items(), (name, TILE[name.upper()])]).fault == "repeated"


def test_unknown_parameters_and_keys_are_ignored():
    assert parse_wms([*MAP.items(), ("key", "secret"), ("tk", "x"), ("_ts", "1"), ("_ts", "2"), ("TILED", "true"),
                      ("map", "/etc/passwd")]) == wms(MAP)


@pytest.mark.parametrize("name",
                         ["SLD", "SLD_BODY", "CQL_FILTER", "FILTER", "exp_filter", "PropertyName", "ENV", "VIEWPARAMS", "SORTBY", "TIME",
                          "ELEVATION",
                                  "DIM_EDITION"])
def test_client_styles_filters_and_dimensions_are_refused_by_name(name):
    fault = refused(wms, MAP, **{name: "x"})
    assert fault.locator == name.upper()
    assert f"`{name.upper()}`" in fault.message
    assert wms(MAP, **{name: ""}) == wms(MAP)


@pytest.mark.parametrize("name", ["REQUEST", "LAYERS", "CRS", "BBOX", "WIDTH", "HEIGHT", "FORMAT"])
@pytest.mark.parametrize("absent", [None, "", " "])
def test_a_missing_or_empty_parameter_is_named(name, absent):
    fault = refused(wms, MAP, **{name: absent})
    assert (fault.code, fault.locator, fault.fault) == ("MissingParameterValue", name, "missing")


# -- versions

def test_a_client_without_version_gets_1_3_0():
    assert wms(MAP, VERSION=None).version == "1.3.0"
    assert wms({"REQUEST": "GetCapabilities"}) == GetCapabilities(service="WMS", version="1.3.0")


@pytest.mark.parametrize(("asked", "answered"), [
    ("1.1.1", "1.1.1"), ("1.3.0", "1.3.0"), ("1.3", "1.3.0"), ("1.1.0", "1.1.1"), ("1.0.0", "1.1.1"), ("1.2.0", "1.1.1"),
    ("1.4.0", "1.3.0"), ("2", "1.3.0"),
])
def test_versions_are_negotiated_downwards(asked, answered):
    assert negotiated(asked) == answered
    assert wms({"REQUEST": "GetCapabilities", "VERSION": asked}).version == answered


def test_old_clients_negotiate_with_wmtver():
    assert wms({"REQUEST": "GetCapabilities", "WMTVER": "1.0.0"}).version == "1.1.1"


@pytest.mark.parametrize("version", ["1.0.0", "1.3", "1.3.0 ", "2.0.0", "1.1.1;", "one"])
def test_a_map_is_drawn_for_an_exact_version_only_since_axis_order_hangs_on_it(version):
    if version.strip() == "1.3.0":
        assert wms(MAP, VERSION=version) == wms(MAP)
    else:
        assert refused(wms, MAP, VERSION=version).locator == "VERSION"


def test_srs_in_1_3_0_and_crs_in_1_1_1_are_refused_with_the_right_spelling():
    assert "`CRS`" in refused(wms, MAP, CRS=None, SRS="EPSG:4490").message
    assert "`SRS`" in refused(wms, MAP, VERSION="1.1.1").message
    assert refused(wms, MAP, SRS="EPSG:4326").fault == "crs-ambiguous"
    assert wms(MAP, SRS="EPSG:4490") == wms(MAP)


# -- numbers

@pytest.mark.parametrize("number",
                         ["inf", "nan", "-inf", "1e999", "0x20", "3_2", "+32", "٣٢", "３２", "32d", "1e", "", "--32", "1e308", "32 .0"])
def test_only_plain_decimal_numbers_are_numbers(number):
    assert refused(wms, MAP, BBOX=f"{number},118,33,119").locator == "BBOX"


@pytest.mark.parametrize(("text", "value"), [("32.", 32.0), (".5", 0.5), ("3.2e1", 32.0), ("-0", 0.0), ("32.000000000000001", 32.0)])
def test_decimal_numbers_may_be_short_or_have_an_exponent(text, value):
    assert wms(MAP, BBOX=f"{text},118,33,119").view.bounds.bottom == value


@pytest.mark.parametrize("box",
                         ["33,118,32,119", "32,119,33,118", "32,118,32,119", "32,118,33", "32,118,33,119,0", "32,118,33,119,",
                          "32;118;33;119"])
def test_a_box_needs_four_numbers_each_minimum_below_its_maximum(box):
    assert refused(wms, MAP, BBOX=box).locator == "BBOX"


@pytest.mark.parametrize(("crs", "box"), [
    ("EPSG:4490", "32,480,33,481"), ("EPSG:4490", "100,118,101,119"), ("EPSG:4490", "-900,-900,900,900"), ("EPSG:3857", "5e7,0,6e7,1e7"),
    ("EPSG:4549", "9000000,400000,9100000,500000"),
])
def test_a_box_beyond_what_the_crs_expresses_is_refused(crs, box):
    assert refused(wms, MAP, CRS=crs, BBOX=box).fault == "bbox-far"


@pytest.mark.parametrize(("crs", "box"),
                         [("EPSG:4490", "-120,-260,120,260"), ("EPSG:3857", "-3e7,-3e7,3e7,3e7"),
                          ("EPSG:4549", "3000000,-400000,4500000,1400000")])
def test_a_box_may_overhang_the_world_as_clients_do_when_zoomed_out(crs, box):
    assert wms(MAP, CRS=crs, BBOX=box).view.bounds.intersects(expressible_bounds(crs))


def test_a_box_of_nothing_is_refused():
    assert refused(wms, MAP, BBOX="32,118,32.00000001,118.00000001").fault == "bbox-fine"


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "+5", "1e3", "0x10", "٣", "9" * 30, "1_0", "05"])
def test_a_size_is_a_whole_number_of_pixels(size):
    assert refused(wms, MAP, WIDTH=size).locator == "WIDTH"


@pytest.mark.parametrize(("width", "height"), [("20000", "1"), ("20000", "20000"), ("4097", "4096"), ("999999999", "999999999")])
def test_a_map_too_large_is_told_apart_from_a_wrong_one(width, height):
    with pytest.raises(RequestTooLarge):
        wms(MAP, WIDTH=width, HEIGHT=height)


def test_the_largest_map_is_drawn():
    assert wms(MAP, WIDTH="4096", HEIGHT="4096").view.width == 4096


# -- layers, styles, formats

def test_layers_and_styles_pair_up():
    request = wms(MAP, LAYERS="dom@2011, dlg,dem", STYLES="default,,slope")
    assert request.layers == (LayerName("dom", "2011"), LayerName("dlg"), LayerName("dem"))
    assert request.styles == (None, None, "slope")


@pytest.mark.parametrize("styles", [None, "", ",", ",,"])
def test_styles_left_out_are_the_layers_own(styles):
    assert wms(MAP, LAYERS="a,b,c", STYLES=styles).styles == (None, None, None)


@pytest.mark.parametrize("styles", ["slope", "slope,relief", "a,b,c,d", ",,,"])
def test_a_style_for_some_layers_only_is_refused(styles):
    assert refused(wms, MAP, LAYERS="a,b,c", STYLES=styles).fault == "styles-count"


@pytest.mark.parametrize("name",
                         ["../etc/passwd", "DOM", "dom@", "dom@../x", "d m", "dom%00", "dom\x00", "層", "ｄｏｍ", "a" * 64, "<b>", "dom,", ",",
                          "dom@2011@2006"])
def test_a_name_that_can_be_no_layer_is_told_so(name):
    fault = refused(wms, MAP, LAYERS=name)
    assert fault.code == "LayerNotDefined"
    assert "\x00" not in fault.message


def test_a_message_repeats_little_of_what_the_client_wrote():
    fault = refused(wms, MAP, LAYERS="x" * 3000)
    assert len(fault.message) < 300


def test_many_layers_are_too_many():
    with pytest.raises(RequestTooLarge):
        wms(MAP, LAYERS=",".join(f"l{i}" for i in range(21)))


def test_a_long_value_is_too_long():
    with pytest.raises(RequestTooLarge):
        wms(MAP, LAYERS="x" * 5000)


@pytest.mark.parametrize(("asked", "given"), [
    ("image/png", "image/png"), ("image/jpeg", "image/jpeg"), ("IMAGE/WEBP", "image/webp"), ("image/png; mode=8bit", "image/png"),
    ("image/png;mode=24bit", "image/png"),
])
def test_pictures_come_in_three_formats(asked, given):
    assert wms(MAP, FORMAT=asked).media_type == given


@pytest.mark.parametrize("asked", ["image/tiff", "image/svg+xml", "png", "application/pdf", "text/html", "image/png; mode=1bit", "../x"])
def test_other_formats_are_refused(asked):
    assert refused(wms, MAP, FORMAT=asked).code == "InvalidFormat"


def test_transparency_and_background_are_read():
    request = wms(MAP, TRANSPARENT="true", BGCOLOR="0x336699")
    assert (request.transparent, request.background) == (True, (0x33, 0x66, 0x99))
    assert (wms(MAP).transparent, wms(MAP).background) == (False, (255, 255, 255))


@pytest.mark.parametrize("changes",
                         [{"TRANSPARENT": "yes"}, {"BGCOLOR": "336699"}, {"BGCOLOR": "0x33669"}, {"BGCOLOR": "0xGGGGGG"},
                          {"EXCEPTIONS": "JSON"}])
def test_wrong_values_of_drawing_parameters_are_refused(changes):
    assert refused(wms, MAP, **changes).locator == next(iter(changes))


@pytest.mark.parametrize(("given", "dpi"), [
    ({}, 90.714), ({"DPI": "192"}, 192.0), ({"MAP_RESOLUTION": "96"}, 96.0), ({"FORMAT_OPTIONS": "antialias:full;dpi:300"}, 300.0),
    ({"DPI": "20"}, 72.0), ({"DPI": "9600"}, 400.0),
    ({"DPI": "96", "MAP_RESOLUTION": "96", "FORMAT_OPTIONS": "dpi:96"}, 96.0),
])
def test_dots_per_inch_stay_within_what_can_be_drawn_and_never_touch_the_view(given, dpi):
    request = wms(MAP, **given)
    assert request.dpi == dpi
    assert request.view == wms(MAP).view


def test_the_crs_list_is_closed():
    for crs in ("EPSG:900913", "EPSG:3785", "AUTO2:42001", "EPSG:2364", "EPSG:4214", "+proj=longlat", "EPSG:4326;", "IGNF:LAMB93",
                "epsg:04326"):
        fault = refused(wms, MAP, CRS=crs)
        assert (fault.code, fault.fault) == ("InvalidCRS", "crs-not-served")
    assert refused(wms, MAP, VERSION="1.1.1", CRS=None, SRS="EPSG:900913").code == "InvalidSRS"


# -- feature info and legend

def test_a_click_is_a_pixel_of_the_map():
    request = wms(CLICK, FEATURE_COUNT="10")
    assert isinstance(request, GetFeatureInfo)
    assert (request.column, request.row, request.feature_count) == (10, 20, 10)
    x, y = request.point
    assert (round(x, 6), round(y, 6)) == (118 + 10.5 * 1.5 / 300, 33 - 20.5 / 200)


def test_version_1_1_1_names_the_pixel_x_and_y():
    request = wms(CLICK, VERSION="1.1.1", CRS=None, SRS="EPSG:4490", BBOX="118,32,119.5,33", I=None, J=None, X="10", Y="20")
    assert request.point == wms(CLICK).point
    assert refused(wms, CLICK, VERSION="1.1.1", CRS=None, SRS="EPSG:4490", BBOX="118,32,119.5,33").locator == "X"


@pytest.mark.parametrize("changes", [{"I": "300"}, {"J": "200"}, {"I": "-1"}, {"I": "1.5"}])
def test_a_click_beside_the_map_is_an_invalid_point(changes):
    assert refused(wms, CLICK, **changes).code == "InvalidPoint"


def test_what_is_queried_must_be_on_the_map():
    assert refused(wms, CLICK, QUERY_LAYERS="dem").fault == "not-in-layers"
    assert wms(CLICK, LAYERS="dom,dem", QUERY_LAYERS="dem").query_layers == (LayerName("dem"),)


def test_the_count_of_features_is_capped():
    assert wms(CLICK, FEATURE_COUNT="5000").feature_count == 100
    assert refused(wms, CLICK, FEATURE_COUNT="0").locator == "FEATURE_COUNT"


def test_info_comes_in_five_formats():
    for name in ("application/json", "application/geo+json", "text/html", "text/plain", "application/vnd.ogc.gml"):
        assert wms(CLICK, INFO_FORMAT=name).media_type == name
    assert refused(wms, CLICK, INFO_FORMAT="application/xml").code == "InvalidFormat"


def test_a_legend_is_of_one_layer():
    assert wms({"REQUEST": "GetLegendGraphic", "LAYER": "dem", "STYLE": "slope", "FORMAT": "image/png",
                "SLD_VERSION": "1.1.0"}) == GetLegendGraphic(
        version="1.3.0", layer=LayerName("dem"), style="slope", media_type="image/png",
    )
    assert refused(wms, {"REQUEST": "GetLegendGraphic", "LAYER": "dem,dom"}).code == "LayerNotDefined"


def test_other_operations_and_services_are_refused():
    assert refused(wms, MAP, REQUEST="DescribeLayer").code == "OperationNotSupported"
    assert refused(wms, MAP, SERVICE="WFS").locator == "SERVICE"
    assert refused(service_of, [("SERVICE", "CSW")]).locator == "SERVICE"
    assert service_of([("service", "wmts")]) == "WMTS"
    assert service_of([]) == "WMS"


# -- tiles

def test_one_tile_asked_in_three_ways_is_one_value():
    by_kvp = wmts()
    assert by_kvp == GetTile(layer=LayerName("dom"), style=None, tms=TILE_MATRIX_SETS["tdt_c"], z=10, row=164, col=849,
                             media_type="image/png")
    assert parse_tile_path("/tiles/dom/tdt_c/10/849/164.png") == by_kvp
    assert parse_tile_path("/wmts/1.0.0/dom/default/tdt_c/10/164/849.png") == by_kvp


def test_a_tile_may_be_of_an_edition_and_a_style():
    tile = parse_tile_path("/tiles/dem@2011/WebMercatorQuad/3/1/2.webp", [("style", "slope"), ("key", "secret")])
    assert (tile.layer, tile.style, tile.media_type) == (LayerName("dem", "2011"), "slope", "image/webp")
    assert parse_tile_path("/wmts/1.0.0/dem@2011/slope/WebMercatorQuad/3/2/1.webp", [("key", "secret")]) == tile
    assert parse_tile_json_style([("style", "slope")]) == "slope"


def test_tianditu_clients_name_their_format_tiles():
    assert wmts(FORMAT="tiles").media_type == "image/png"


@pytest.mark.parametrize("path", [
    "/tiles/dom/tdt_c/10/849/164", "/tiles/dom/tdt_c/10/849/164.png/", "/tiles//dom/tdt_c/10/849/164.png",
    "/tiles/a/b/tdt_c/10/849/164.png",
    "/wmts/2.0.0/dom/default/tdt_c/10/164/849.png", "/tiles/dom/tdt_c/10/849/164@2x.png.x", "/", "", "/tiles/dom.json",
    "/tiles/dom/tdt_c/10/849/164.PNG",
])
def test_other_addresses_are_no_tiles(path):
    assert parse_tile_path(path) is None


@pytest.mark.parametrize("path", [
    "/tiles/dom/tdt_c/-1/849/164.png", "/tiles/dom/tdt_c/19/0/0.png", "/tiles/dom/tdt_c/0/0/0.png", "/tiles/dom/tdt_c/99/0/0.png",
    "/tiles/dom/tdt_c/1e1/849/164.png",
    "/tiles/dom/tdt_c/10/849.5/164.png", "/tiles/dom/tdt_c/010/849/164.png", "/tiles/dom/tdt_c/10/+849/164.png",
    "/tiles/dom/tdt_c/10/٨/164.png", "/tiles/dom/tdt_c/10/-1/164.png",
    "/tiles/dom/tdt_c/10/1024/0.png", "/tiles/dom/tdt_c/10/0/512.png", "/tiles/dom/nowhere/10/849/164.png",
    "/tiles/dom/tdt_c/10/849/164.tiff",
    "/tiles/..%2fx/tdt_c/10/849/164.png", "/tiles/DOM/tdt_c/10/849/164.png", "/tiles/dom/tdt_c/10/849/164@2x.png",
])
def test_tiles_that_cannot_be_are_refused(path):
    assert refused(parse_tile_path, path).code in {"InvalidParameterValue", "TileOutOfRange", "InvalidFormat", "LayerNotDefined"}


def test_the_last_tile_of_a_matrix_is_there_and_the_next_is_not():
    for tms in TILE_MATRIX_SETS.values():
        cols, rows = tms.size(tms.max_zoom)
        assert parse_tile_path(f"/tiles/dom/{tms.id}/{tms.max_zoom}/{cols - 1}/{rows - 1}.png").col == cols - 1
        assert refused(parse_tile_path, f"/tiles/dom/{tms.id}/{tms.max_zoom}/{cols}/0.png").code == "TileOutOfRange"
        assert refused(parse_tile_path, f"/tiles/dom/{tms.id}/{tms.max_zoom}/0/{rows}.png").locator == "TileRow"


def test_tile_addresses_take_no_filters_or_second_styles():
    assert refused(parse_tile_path, "/tiles/dom/tdt_c/10/849/164.png", [("style", "a"), ("STYLE", "b")]).fault == "repeated"
    assert refused(parse_tile_path, "/tiles/dom/tdt_c/10/849/164.png", [("cql_filter", "1")]).fault == "refused-parameter"
    assert refused(parse_tile_path, "/tiles/dom/tdt_c/10/849/164.png", [("time", "2011")]).fault == "no-dimension"


def test_wmts_capabilities_are_of_version_1_0_0():
    assert parse_wmts_kvp([("SERVICE", "WMTS"), ("REQUEST", "GetCapabilities"),
                           ("ACCEPTVERSIONS", "1.1.0,1.0.0")]) == GetCapabilities(service="WMTS", version="1.0.0")
    assert refused(parse_wmts_kvp, [("REQUEST", "GetCapabilities"), ("AcceptVersions", "2.0.0")]).code == "VersionNegotiationFailed"
    assert refused(wmts, VERSION="1.1.0").locator == "VERSION"
    assert refused(wmts, REQUEST="GetFeatureInfo").code == "OperationNotSupported"


@pytest.mark.parametrize("added", [
    [], [("key", "secret")], [("SERVICE", "WMTS")], [("SERVICE", "WMS"), ("REQUEST", "GetCapabilities")],
])
def test_the_address_of_wmts_can_be_pasted_into_gdal_which_adds_nothing_and_qgis_which_adds_service_wms(added):
    assert parse_wmts_kvp(added) == GetCapabilities(service="WMTS", version="1.0.0")


def test_a_tile_is_asked_of_wmts_by_name():
    assert refused(wmts, SERVICE="WMS").locator == "SERVICE"
    assert refused(wmts, REQUEST=None).locator == "REQUEST"


@pytest.mark.parametrize("name", ["LAYER", "FORMAT", "TILEMATRIXSET", "TILEMATRIX", "TILEROW", "TILECOL"])
def test_a_missing_tile_parameter_is_named(name):
    assert refused(wmts, **{name: None}).locator == name


# -- how errors are to be told

def test_errors_are_told_as_the_client_asked_even_when_its_request_is_wrong():
    pairs = list((MAP | {"EXCEPTIONS": "INIMAGE", "LAYERS": "", "TRANSPARENT": "TRUE", "FORMAT": "image/webp"}).items())
    assert exception_form(pairs) == ExceptionForm(
        version="1.3.0", exceptions=Exceptions.INIMAGE, width=300, height=200, media_type="image/webp", transparent=True,
    )
    old = exception_form(list((MAP | {"VERSION": "1.1.1", "EXCEPTIONS": "application/vnd.ogc.se_blank"}).items()))
    assert (old.version, old.exceptions) == ("1.1.1", Exceptions.BLANK)


@pytest.mark.parametrize("changes",
                         [{"WIDTH": "x"}, {"WIDTH": "99999"}, {"FORMAT": "image/bmp"}, {"REQUEST": "GetFeatureInfo"},
                          {"WIDTH": "5000", "HEIGHT": "5000"}])
def test_errors_are_told_in_xml_where_no_picture_can_be_drawn(changes):
    assert exception_form(list((MAP | {"EXCEPTIONS": "INIMAGE"} | changes).items())).exceptions is Exceptions.XML


# -- whatever is thrown at it

NAMES = st.one_of(
    st.sampled_from(sorted({*MAP, *CLICK, *TILE, "SRS", "X", "Y", "DPI", "FORMAT_OPTIONS", "BGCOLOR", "TRANSPARENT", "EXCEPTIONS", "SLD",
                            "TIME", "ACCEPTVERSIONS"})),
    st.text(max_size=12),
)
VALUES = st.one_of(
    st.sampled_from(sorted({*MAP.values(), *CLICK.values(), *TILE.values(), "1.1.1", "INIMAGE", "TRUE", "dpi:x", "dpi:1e5", "0xFFFFFF",
                            "nan,inf,1e400,0", "-1"})),
    st.text(max_size=30), st.floats().map(str), st.integers().map(str),
    st.lists(st.floats(allow_nan=True, allow_infinity=True).map(repr), min_size=3, max_size=5).map(",".join),
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=16)


@settings(max_examples=400, deadline=None)
@given(base=st.sampled_from([{}, MAP, CLICK, TILE, {"REQUEST": "GetCapabilities"}, {"REQUEST": "GetLegendGraphic", "LAYER": "dem"}]),
       extra=PAIRS)
def test_nothing_makes_the_parsers_raise_anything_but_request_invalid(base, extra):
    changed = {name.upper() for name, _ in extra}
    pairs = [(name, value) for name, value in base.items() if name not in changed] + extra
    for parse in (parse_wms, parse_wmts_kvp, service_of):
        try:
            request = parse(pairs)
        except RequestInvalid as fault:
            assert fault.code and fault.fault in FAULTS
            assert "\n" not in fault.message
        else:
            assert request is not None
    exception_form(pairs)


@settings(max_examples=300, deadline=None)
@given(
    path=st.one_of(
        st.text(alphabet=string.printable, max_size=60),
        st.tuples(*[st.one_of(st.text(max_size=8), st.sampled_from(["dom", "tdt_c", "10", "1", "png"])) for _ in range(6)]).map(
            lambda p: f"/tiles/{p[0]}/{p[1]}/{p[2]}/{p[3]}/{p[4]}.{p[5]}"),
    ),
    pairs=PAIRS,
)
def test_nothing_makes_the_tile_parser_raise_anything_but_request_invalid(path, pairs):
    try:
        tile = parse_tile_path(path, pairs)
    except RequestInvalid as fault:
        assert fault.fault in FAULTS
    else:
        assert tile is None or isinstance(tile, GetTile)


@settings(max_examples=100, deadline=None)
@given(
    west=st.floats(-179, 178), south=st.floats(-89, 88), width=st.floats(1e-3, 1), height=st.floats(1e-3, 1), columns=st.integers(1, 4096),
    rows=st.integers(1, 4096),
)
def test_a_view_is_the_box_that_was_asked_and_no_other(west, south, width, height, columns, rows):
    box = (south, west, south + height, west + width)
    view = wms(MAP, BBOX=",".join(map(repr, box)), WIDTH=str(columns), HEIGHT=str(rows)).view
    assert view.bounds == (west, south, west + width, south + height)
    assert (view.width, view.height) == (columns, rows)


def test_a_query_of_very_many_parameters_is_too_large():
    with pytest.raises(RequestTooLarge):
        pairs_of("&".join("a=1" for _ in range(500)))
    assert pairs_of("FORMAT=image/png;%20mode=8bit&a=") == [("FORMAT", "image/png; mode=8bit"), ("a", "")]


def test_limits_can_be_narrower():
    with pytest.raises(RequestTooLarge):
        parse_wms(list(MAP.items()), Limits(max_pixels=300 * 200 - 1))
    assert isinstance(parse_wms(list(MAP.items()), Limits(max_pixels=300 * 200)), GetMap)


# -- files

def download(**parameters: str) -> Download:
    return parse_download("dom", [(name, value) for name, value in ({"CRS": "EPSG:4549", "BBOX": "0,0,10,10", "RESOLUTION": "1"} | parameters).items()])


def test_a_download_lies_on_whole_pixels_whatever_box_is_asked():
    one, other = download(BBOX="380000.2,3540000.7,381499.5,3541000"), download(BBOX="380000.9,3540000.1,381499.1,3540999.5")
    assert one.view == other.view
    assert one.view.bounds == Bounds(380000, 3540000, 381500, 3541000)


def test_the_blocks_of_a_download_cover_it_once():
    asked = download(BBOX="380000,3540000,382500,3541500")
    blocks = list(asked.blocks())
    assert [(row, col) for row, col, _ in blocks] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert sum(view.width * view.height for _, _, view in blocks) == asked.view.width * asked.view.height
    assert all(view.resolution == pytest.approx((1.0, 1.0)) for _, _, view in blocks)
    bounds = blocks[0][2].bounds
    for _, _, view in blocks:
        bounds = bounds.union(view.bounds)
    assert bounds == asked.view.bounds


@pytest.mark.parametrize(("parameters", "fault"), [
    ({"BBOX": "380000,3540000,480000,3640000"}, "too-much-to-download"), ({"RESOLUTION": "0"}, "bbox-fine"), ({"RESOLUTION": "-1"}, "bbox-fine"),
    ({"RESOLUTION": "one"}, "not-a-number"), ({"RESOLUTION": ""}, "missing"), ({"CRS": "EPSG:2000"}, "crs-not-served"),
    ({"CQL_FILTER": "a=1"}, "refused-parameter"), ({"FORMAT": "image/tiff"}, "not-offered"),
])
def test_a_download_that_cannot_be_meant_is_told(parameters, fault):
    with pytest.raises(RequestInvalid) as told:
        download(**parameters)
    assert told.value.fault == fault
