"""Vector tiles over HTTP: cut at the border without a buffer, hidden attributes and rows not in them, the same bytes as the cache's inside."""

import gzip

import geopandas
import numpy as np
import pytest
import shapely
from ows_county import CRS, LEFT, MIDDLE, SIDE, STEP, TOP, WEST_HALF, WHOLE, pixels_of
from read_tiles import EXTENT, read_tile

from agreements.model import Operation, ScaleWindow
from layers.crs import transform_bounds, transform_geometry
from layers.model import Bounds
from tiles.grids import TILE_MATRIX_SETS

BUFFER = 64
VECTORS = {Operation.GET_FEATURE}
TMS = TILE_MATRIX_SETS["WebMercatorQuad"]
EAST_HALF = transform_geometry(shapely.segmentize(shapely.box(MIDDLE, WHOLE.bottom - 500, WHOLE.right + 500, TOP + 500), 50), CRS, "CRS:84")


def place(x: float, y: float) -> tuple[float, float]:
    """Metres east and south of the county's corner."""
    return LEFT + x, TOP - y


def world() -> dict[str, geopandas.GeoDataFrame]:
    """West of the middle (x < 500), east of it, and across."""
    across = shapely.LineString([place(50, 500), place(950, 500)])
    lake = shapely.Polygon([place(300, 600), place(700, 600), place(700, 800), place(300, 800)], [
        [place(450, 650), place(450, 700), place(550, 700), place(550, 650)],
    ])
    return {
        "LRDL": geopandas.GeoDataFrame({
            "GB": [420101, 420301, 430503], "NAME": ["国道一", "县道二", None], "SHAPE_LENGTH": [900.0, 300.0, 100.0],
            "SECRET": ["canary-road", "canary-west", "canary-east"],
        }, geometry=[across, shapely.LineString([place(100, 100), place(400, 100)]), shapely.LineString([place(600, 100), place(900, 150)])], crs=CRS),
        "HYDA": geopandas.GeoDataFrame({"GB": [230101], "NAME": ["青石湖"], "DEPTH": [7.25]}, geometry=[lake], crs=CRS),
        "AGNP": geopandas.GeoDataFrame({
            "NAME": ["西村", "东村", "界村"], "CLASS": ["AE", "AE", "AE"],
        }, geometry=[shapely.Point(place(x, 300)) for x in (200, 800, 499)], crs=CRS),
        "CPTP": geopandas.GeoDataFrame({"NAME": ["canary-point"]}, geometry=[shapely.Point(place(250, 250))], crs=CRS),
    }


def deliver(house, name: str, tables: dict, file: str = "", **options) -> None:
    path = house.folder / "delivered" / f"{file or name}.gpkg"
    path.parent.mkdir(exist_ok=True)
    for table, frame in tables.items():
        frame.to_file(path, layer=table, driver="GPKG")
    house.layer(name, path, product="DLG", title_zh="线划图", title_en="Line map", **options)


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    deliver(house, "lines", world())
    house.raster("dom", pixels_of(), LEFT, TOP, STEP)
    for agency in ("all", "west", "rows", "names", "pieces", "pictures", "nobody", "coarse", "hidden"):
        house.agency(agency)
    house.grant("all", "lines", "dom", operations=VECTORS | {Operation.GET_TILE}, attributes=None)
    house.grant("west", "lines", area=WEST_HALF, operations=VECTORS, attributes=None)
    house.grant("rows", "lines", rows="LRDL.GB = 420301", operations=VECTORS, attributes=None)
    house.grant("names", "lines", attributes=frozenset({"NAME"}), operations=VECTORS)
    house.agree(
        "pieces", house.clause("lines", area=WEST_HALF, operations=VECTORS, clause="3.1", attributes=None),
        house.clause("lines", area=EAST_HALF, operations=VECTORS, attributes=frozenset({"LRDL.NAME"}), clause="3.2"),
    )
    house.grant("pictures", "lines", operations={Operation.GET_TILE, Operation.GET_MAP})
    house.grant("coarse", "lines", operations=VECTORS, attributes=None, scale=ScaleWindow(finest=20_000.0))
    house.grant("hidden", "lines", operations=VECTORS)
    return house


def tile_at(z: int, x: float = SIDE * STEP / 2, y: float = SIDE * STEP / 2, tms=TMS) -> tuple[int, int]:
    """Row and column of the tile that holds a place of the county."""
    bounds = transform_bounds(Bounds(*place(x, y), *place(x, y)), CRS, tms.crs)
    row, _, col, _ = tms.limits(z, bounds)
    return row, col


def ask(house, agency: str, z: int, row: int, col: int, tms: str = "WebMercatorQuad", layer: str = "lines", extension: str = "mvt", **headers):
    return house.get(f"/tiles/{layer}/{tms}/{z}/{col}/{row}.{extension}", agency, **headers)


def features(house, agency: str, z: int = 14, at: tuple[int, int] | None = None, tms=TMS, name: str = "lines") -> dict:
    answer = ask(house, agency, z, *(at or tile_at(z, tms=tms)), tms=tms.id, layer=name)
    assert answer.status_code in (200, 204), answer.text
    return read_tile(answer.data)


def everywhere(house, agency: str, z: int, tms=TMS, name: str = "lines") -> dict:
    """Layers over all tiles of the county; what lies across tiles comes more than once."""
    found = {}
    for at in tiles_of(z, tms):
        for table, some in features(house, agency, z, at, tms, name).items():
            found.setdefault(table, []).extend(some)
    return found


def tiles_of(z: int, tms=TMS) -> list[tuple[int, int]]:
    first_row, last_row, first_col, last_col = tms.limits(z, transform_bounds(WHOLE, CRS, tms.crs))
    return [(row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)]


def on_the_ground(house, agency: str, layer: str, z: int, tms=TMS, name: str = "lines") -> list[np.ndarray]:
    """Every vertex of a table over all tiles of the county, in metres east and south of its corner."""
    found = []
    for row, col in tiles_of(z, tms):
        bounds = tms.bounds(z, row, col)
        for one in features(house, agency, z, (row, col), tms, name).get(layer, []):
            points = np.concatenate(one.paths) * bounds.width / EXTENT
            placed = shapely.points(bounds.left + points[:, 0], bounds.top - points[:, 1])
            ground = shapely.get_coordinates(transform_geometry(shapely.multipoints(placed), tms.crs, CRS))
            found.append(np.column_stack([ground[:, 0] - LEFT, TOP - ground[:, 1]]))
    return found


def test_who_is_granted_everything_sees_everything_but_control_points(county):
    found = everywhere(county, "all", 13)
    assert set(found) == {"LRDL", "HYDA", "AGNP"}
    roads = {one.properties.get("NAME"): one for one in found["LRDL"]}
    assert roads["国道一"].properties == {"GB": 420101, "NAME": "国道一", "SECRET": "canary-road", "_kind": "national"}
    assert len(found["HYDA"][0].paths) == 2 and found["HYDA"][0].properties["DEPTH"] == 7.25
    assert sorted(one.properties["NAME"] for one in found["AGNP"]) == sorted(["西村", "东村", "界村"])


@pytest.mark.parametrize("extension", ["mvt", "pbf"])
def test_either_extension_gives_the_same_tile(county, extension):
    assert ask(county, "all", 14, *tile_at(14), extension=extension).data == ask(county, "all", 14, *tile_at(14)).data


@pytest.mark.parametrize("tms", TILE_MATRIX_SETS.values(), ids=lambda one: one.id)
def test_every_set_has_them_and_none_shows_a_vertex_beyond_the_border(county, tms):
    z = {"jiangsu_gk120": 7}.get(tms.id, 14)
    unit = tms.resolutions[z] * tms.tile_size / EXTENT * (111_320 if tms.crs == "EPSG:4490" else 1)
    for layer in ("LRDL", "HYDA", "AGNP"):
        whole, west = on_the_ground(county, "all", layer, z, tms), on_the_ground(county, "west", layer, z, tms)
        assert max(points[:, 0].max() for points in whole) > 650
        assert whole and west
        most = max(points[:, 0].max() for points in west)
        assert most <= 500 + unit
        if layer != "AGNP":
            assert most >= 500 - unit                       # cut at the very border, not before it


def test_inside_the_very_bytes_of_the_cache_leave(county):
    z = 18
    at = tile_at(z, 250, 500)
    whole, west = ask(county, "all", z, *at), ask(county, "west", z, *at)
    assert whole.status_code == 200 and whole.data == west.data and whole.headers["ETag"] == west.headers["ETag"]


def test_a_tile_whose_buffer_crosses_the_border_is_cut_too(county):
    """Within the tile nothing is beyond the border, within its buffer something is."""
    for z in range(15, 21):
        row, col = tile_at(z, 499, 500)
        bounds = transform_bounds(TMS.bounds(z, row, col), TMS.crs, CRS)
        if bounds.right < MIDDLE + 0.5 and bounds.right + BUFFER / EXTENT * bounds.width > MIDDLE:
            break
    else:
        z, (row, col) = 16, tile_at(16, 499, 500)
    span = TMS.bounds(z, row, col).width
    border = transform_bounds(Bounds(MIDDLE, place(0, 500)[1], MIDDLE, place(0, 500)[1]), CRS, TMS.crs).left
    edge = (border - TMS.bounds(z, row, col).left) / span * EXTENT
    (road,) = features(county, "west", z, (row, col))["LRDL"]
    assert max(path[:, 0].max() for path in road.paths) <= np.ceil(edge)


def test_outside_is_one_constant_answer_which_says_nothing(county):
    answers = [ask(county, "west", z, *tile_at(z, 990, 500)) for z in (16, 17, 18)] + [ask(county, "all", 16, 3, 3)]
    assert {answer.status_code for answer in answers} == {204} and {answer.data for answer in answers} == {b""}
    assert len({tuple(sorted(dict(answer.headers).items())) for answer in answers}) == 1


def test_hidden_attributes_are_in_no_key_no_value_and_no_kind(county):
    for z in (8, 11, 14, 17):
        answer = ask(county, "names", z, *tile_at(z))
        found = read_tile(answer.data)
        assert {word for some in found.values() for one in some for word in one.properties} <= {"NAME", "_kind"}
        assert b"canary" not in answer.data and b"GB" not in answer.data and b"national" not in answer.data
    for one in features(county, "hidden", 14)["LRDL"]:
        assert one.properties == {}


def test_attributes_of_the_whole_shape_are_in_no_tile(county):
    assert b"SHAPE_LENGTH" not in ask(county, "all", 13, *tile_at(13)).data


def test_rows_that_are_not_granted_are_not_there(county):
    found = everywhere(county, "rows", 13)
    assert set(found) == {"LRDL"} and [one.properties["NAME"] for one in found["LRDL"]] == ["县道二"]
    assert b"canary-road" not in ask(county, "rows", 13, *tile_at(13)).data


def test_where_pieces_tell_different_attributes_a_feature_comes_in_parts(county):
    found = everywhere(county, "pieces", 14)
    parts = [one.properties for one in found["LRDL"] if one.properties.get("NAME") == "国道一"]
    assert {"NAME": "国道一"} in [{k: v for k, v in part.items() if k != "_kind"} for part in parts]
    assert any(part.get("SECRET") == "canary-road" for part in parts)
    east = [one.properties for one in found["AGNP"] if "NAME" not in one.properties]
    assert east                                             # told in the east without its name
    assert all("canary-east" not in one.properties.values() for one in found["LRDL"])


def test_identifiers_are_the_same_everywhere_and_tell_no_key(county):
    ids = {one.properties["NAME"]: one.id for one in everywhere(county, "all", 13)["AGNP"]}
    (named,) = [one.id for one in everywhere(county, "west", 13)["AGNP"] if one.properties["NAME"] == "西村"]
    assert named == ids["西村"] and len(set(ids.values())) == 3
    assert all(2**32 < one < 2**53 for one in ids.values())
    name = county.services.feature_ids.of("lines", "AGNP", [1], [0])[0]
    assert int(name, 16) >> 75 in ids.values()


def test_who_may_see_pictures_only_may_not_have_the_features(county):
    row, col = tile_at(14)
    assert ask(county, "pictures", 14, row, col).status_code == 403
    assert ask(county, "pictures", 14, row, col, extension="png").status_code == 200


def test_unknown_and_unshared_answer_alike(county):
    row, col = tile_at(14)
    unshared, unknown = (ask(county, "nobody", 14, row, col, layer=layer) for layer in ("lines", "nolayer"))
    assert unshared.status_code == unknown.status_code == 403
    assert unshared.text.replace("lines", "nolayer").split('"instance"')[0] == unknown.text.split('"instance"')[0]
    assert county.get(f"/tiles/lines/WebMercatorQuad/14/{col}/{row}.mvt").status_code == 401


def test_a_raster_has_none(county):
    answer = ask(county, "all", 14, *tile_at(14), layer="dom")
    assert answer.status_code in (400, 403)


def test_a_tile_finer_than_the_scale_that_is_granted_is_refused(county):
    assert ask(county, "coarse", 12, *tile_at(12)).status_code == 200
    assert ask(county, "coarse", 17, *tile_at(17)).status_code == 403


def test_they_leave_deflated_where_the_client_takes_it(county):
    at = tile_at(14)
    plain, small = ask(county, "all", 14, *at), ask(county, "all", 14, *at, **{"Accept-Encoding": "gzip, deflate, br"})
    refused = ask(county, "all", 14, *at, **{"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers and refused.data == plain.data
    assert small.headers["Content-Encoding"] == "gzip" and gzip.decompress(small.data) == plain.data
    assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in small.headers["Vary"]
    assert plain.headers["ETag"] != small.headers["ETag"]
    again = ask(county, "all", 14, *at, **{"Accept-Encoding": "gzip", "If-None-Match": small.headers["ETag"]})
    assert again.status_code == 304 and again.data == b""
    assert plain.content_type == "application/vnd.mapbox-vector-tile"


def test_a_head_is_a_get_without_its_body(county):
    row, col = tile_at(14)
    path, key = f"/tiles/lines/WebMercatorQuad/14/{col}/{row}.mvt", {"X-API-Key": county.keys["all"]}
    head, got = county.client().head(path, headers=key), county.client().get(path, headers=key)
    assert head.data == b"" and head.headers["Content-Length"] == got.headers["Content-Length"]


def test_a_style_is_refused(county):
    row, col = tile_at(14)
    assert county.get(f"/tiles/lines/WebMercatorQuad/14/{col}/{row}.mvt?style=unlabelled", "all").status_code == 400


def test_wmts_gives_the_same_tile(county):
    row, col = tile_at(14)
    rest = county.get(f"/wmts/1.0.0/lines/default/WebMercatorQuad/14/{row}/{col}.mvt", "all")
    kvp = county.get(
        "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=lines&STYLE=default&FORMAT=application/vnd.mapbox-vector-tile"
        f"&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=14&TILEROW={row}&TILECOL={col}", "all",
    )
    assert rest.data == kvp.data == ask(county, "all", 14, row, col).data


# What leads to them

def tile_json(house, agency: str, path: str = "/tiles/lines/vector.json") -> dict:
    answer = house.get(path, agency)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_tile_json_leads_to_the_tiles_and_names_what_is_told(county):
    document = tile_json(county, "all")
    assert document["tilejson"] == "3.0.0" and document["tiles"] == ["http://maps.test/tiles/lines/WebMercatorQuad/{z}/{x}/{y}.mvt"]
    layers = {one["id"]: one for one in document["vector_layers"]}
    assert set(layers) == {"LRDL", "HYDA", "AGNP"}
    assert layers["LRDL"]["fields"] == {"GB": "Number", "NAME": "String", "SECRET": "String", "_kind": "String"}
    assert layers["LRDL"]["minzoom"] < layers["AGNP"]["maxzoom"] == document["maxzoom"] == 16


def test_tile_json_and_style_name_nothing_that_is_hidden(county):
    for path in ("/tiles/lines/vector.json", "/styles/lines.json"):
        text = county.get(path, "names").text
        assert "NAME" in text
        for word in ("GB", "SECRET", "DEPTH", "SHAPE_LENGTH", "CLASS", "CPTP", "canary"):
            assert word not in text, (path, word)
        text = county.get(path, "hidden").text
        assert "NAME" not in text and "national" not in text
    assert {one["id"]: one["fields"] for one in tile_json(county, "hidden")["vector_layers"]}["LRDL"] == {}


def test_the_bounds_of_a_tile_json_are_those_of_the_grant(county):
    assert tile_json(county, "west")["bounds"][2] < tile_json(county, "all")["bounds"][2] - 0.004


def test_zooms_of_a_tile_json_are_those_of_the_grant(county):
    document = tile_json(county, "coarse")
    answers = {z: ask(county, "coarse", z, *tile_at(z)).status_code for z in range(8, 18)}
    assert document["maxzoom"] == max(z for z, status in answers.items() if status == 200)


@pytest.mark.parametrize("tms", [one for one in TILE_MATRIX_SETS if one != "WebMercatorQuad"])
def test_tile_json_of_other_sets(county, tms):
    document = tile_json(county, "all", f"/tiles/lines/{tms}/vector.json")
    assert document["tileMatrixSet"] == tms and document["minzoom"] <= document["maxzoom"]


def test_the_style_draws_by_attributes_that_are_in_the_tiles(county):
    document = county.get("/styles/lines.json", "all").json
    assert document["sources"]["lines"]["url"] == "http://maps.test/tiles/lines/vector.json"
    drawn = {layer["source-layer"] for layer in document["layers"] if "source-layer" in layer}
    assert drawn == {"LRDL", "HYDA", "AGNP"}
    bare = county.get("/styles/lines.json?style=unlabelled", "all").json
    assert any("text-field" in layer.get("layout", {}) for layer in document["layers"])
    assert not any("text-field" in layer.get("layout", {}) for layer in bare["layers"])
    assert county.get("/styles/lines.json?style=fancy", "all").status_code == 400


def test_addresses_carry_a_key_that_came_in_one_and_no_other(county):
    key = county.keys["all"]
    by_query = county.client().get(f"/styles/lines.json?key={key}").json
    assert key in by_query["sources"]["lines"]["url"] and key not in by_query["glyphs"] + by_query["sprite"]
    assert key not in county.get("/styles/lines.json", "all").text


def test_letters_and_symbols_are_there_for_everybody(county):
    answer = county.get("/glyphs/Noto Sans SC Regular/19968-20223.pbf")
    assert answer.status_code == 200 and len(answer.data) > 100_000 and "Set-Cookie" not in answer.headers
    assert county.get("/glyphs/Other,Noto Serif SC Regular/0-255.pbf").status_code == 200
    for path in ("/glyphs/Other/0-255.pbf", "/glyphs/Noto Sans SC Regular/1-256.pbf", "/glyphs/Noto Sans SC Regular/65536-65791.pbf", "/sprites/x.json"):
        assert county.get(path).status_code == 404
    index = county.get("/sprites/line-map.json").json
    assert index["shield-red"]["width"] == 30 and index["overlay-car"]["sdf"]
    assert county.get("/sprites/line-map@2x.png").data.startswith(b"\x89PNG")
    used = {layer["layout"]["icon-image"] for layer in county.get("/styles/lines.json", "all").json["layers"] if "icon-image" in layer.get("layout", {})}
    used |= {layer["paint"]["fill-pattern"] for layer in county.get("/styles/lines.json", "all").json["layers"] if "fill-pattern" in layer.get("paint", {})}
    assert used <= set(index)


def test_the_catalogue_says_where_they_begin_to_whom_they_are_granted(county):
    layers = {agency: {one["name"]: one["addresses"] for one in county.get("/api/v1/layers", agency).json["layers"]} for agency in ("all", "pictures")}
    assert layers["all"]["lines"]["vector_tiles"] == "http://maps.test/tiles/lines/vector.json"
    assert layers["all"]["lines"]["vector_style"] == "http://maps.test/styles/lines.json"
    assert "vector_tiles" not in layers["all"]["dom"] and "vector_tiles" not in layers["pictures"]["lines"]
