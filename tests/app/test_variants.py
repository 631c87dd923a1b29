"""Terms that change pixels and features, through every service: filtered rows, coarser cells, marks, and several of them at once."""

import io
import json
import zipfile
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import shapely
from ows_county import LEFT, SIDE, STEP, TOP, WHOLE, ask, click_query, map_query, picture
from PIL import Image

from agreements.model import Mark, Operation
from geoserver_app.gate import Asked
from geoserver_app.identity import Carriage, Presented
from geoserver_app.registering import doubtful_terms
from layers.crs import transform_geometry
from layers.model import Bounds, LayerName, View
from layers.mosaic.cells import CellReader
from tiles.grids import TILE_MATRIX_SETS
from tiles.variants import Variant

CRS = "EPSG:4549"
ROWS = "LRDL.GRADE <= 2 OR HYDL.SECRET_DEPTH > 3"
CELL = 35.0
MARK = Mark(text="仅供试验使用", opacity=0.5)
MIDDLE = LEFT + SIDE * STEP / 2
SECRETS = ("SECRET_DEPTH", "GRADE", "canary")


def half(left: float, right: float):
    return transform_geometry(shapely.segmentize(shapely.box(left, WHOLE.bottom - 500, right, TOP + 500), 50), CRS, "CRS:84")


WEST, EAST = half(LEFT - 500, MIDDLE), half(MIDDLE, WHOLE.right + 500)


def roads(shown: bool) -> geopandas.GeoDataFrame:
    """Twelve level roads, every third of the first grade; `shown` leaves the others out."""
    rows = [
        {"NAME": f"路{n}" if n % 3 else f"大路{n}", "GRADE": 1 if n % 3 == 0 else 3 if n % 2 else None, "NOTE": f"canary{n}",
         "geometry": shapely.LineString([(LEFT + 20, TOP - 60 - 70 * n), (LEFT + 980, TOP - 70 - 70 * n)])}
        for n in range(12)
    ]
    return geopandas.GeoDataFrame([row for row in rows if not shown or row["GRADE"] == 1], geometry="geometry", crs=CRS)


def rivers(shown: bool) -> geopandas.GeoDataFrame:
    rows = [
        {"NAME": f"河{n}", "SECRET_DEPTH": float(n), "geometry": shapely.LineString([(LEFT + 80 + 120 * n, TOP - 20), (LEFT + 100 + 120 * n, TOP - 980)])}
        for n in range(7)
    ]
    return geopandas.GeoDataFrame([row for row in rows if not shown or row["SECRET_DEPTH"] > 3], geometry="geometry", crs=CRS)


def borders() -> geopandas.GeoDataFrame:
    line = shapely.LineString([(LEFT + 500, TOP - 10), (LEFT + 510, TOP - 990)])
    return geopandas.GeoDataFrame([{"NAME": "界", "geometry": line}], geometry="geometry", crs=CRS)


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    for name, shown in (("dlg", False), ("twin", True)):
        path = house.folder / "delivered" / f"{name}.gpkg"
        path.parent.mkdir(exist_ok=True)
        roads(shown).to_file(path, layer="LRDL", driver="GPKG")
        rivers(shown).to_file(path, layer="HYDL", driver="GPKG")
        if not shown:
            borders().to_file(path, layer="BOUL", driver="GPKG")
        house.layer(name, path, product="DLG", title_zh="线划图", title_en="Line map")
    rng = np.random.default_rng(4)
    heights = np.cumsum(rng.normal(size=(SIDE, SIDE)), axis=1).astype(np.float32)[None]
    house.raster("dem", heights, LEFT, TOP, STEP, product="DEM", nodata=-9999)
    house.raster("dom", rng.integers(40, 220, (3, SIDE, SIDE), np.uint8), LEFT, TOP, STEP)
    for agency in ("filtered", "mixed", "coarse", "layered", "marked", "whole", "also-filtered", "remarked", "west", "filtered-west", "east"):
        house.agency(agency)
    house.grant("filtered", "dlg", "twin", rows=ROWS, attributes=None)
    house.grant("also-filtered", "dlg", rows=ROWS, attributes=frozenset({"NAME"}))
    house.agree("mixed", house.clause("dlg", rows=ROWS, area=WEST, attributes=None), house.clause("dlg", clause="3.2", area=EAST, attributes=None))
    house.grant("coarse", "dem", "dom", degrade=CELL)
    house.agree("layered", house.clause("dem", degrade=CELL), house.clause("dem", clause="3.2", area=WEST))
    house.agree("marked", house.clause("dom", "dlg", area=WEST, attributes=None), mark=MARK, credit="© 测绘局 <测试>")
    house.grant("west", "dlg", area=WEST, attributes=None)
    house.grant("filtered-west", "dlg", rows=ROWS, area=WEST, attributes=None)
    house.grant("east", "dlg", area=EAST, attributes=None)
    house.grant("whole", "dom", "dem", "dlg", "twin", attributes=None)
    return house


def tile_address(layer: str, z: int = 15, extension: str = "png", tms_id: str = "WebMercatorQuad") -> tuple[str, View]:
    """The tile in the middle of the county."""
    tms = TILE_MATRIX_SETS[tms_id]
    middle = transform_geometry(shapely.Point(MIDDLE, TOP - SIDE * STEP / 2), CRS, tms.crs)
    row, _, col, _ = tms.limits(z, Bounds(middle.x, middle.y, middle.x, middle.y))
    return f"/tiles/{layer}/{tms_id}/{z}/{col}/{row}.{extension}", tms.view(z, row, col)


def pixels(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA")).astype(int)


def told(house, layer: str, agency: str, column: int, row: int, **changes) -> list[dict]:
    answer = ask(house, click_query(layer, column, row, **changes), agency)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)["features"]


# Rows

@pytest.mark.parametrize("size", [(100, 100), (333, 250)])
def test_a_map_of_filtered_rows_is_the_map_of_a_layer_that_has_no_others(county, size):
    query = {"WIDTH": str(size[0]), "HEIGHT": str(size[1])}
    filtered = picture(ask(county, map_query("dlg", **query), "filtered"))
    assert (filtered == picture(ask(county, map_query("twin", **query), "whole"))).all()
    assert (filtered != picture(ask(county, map_query("dlg", **query), "whole"))).any() and filtered[..., 3].any()


@pytest.mark.parametrize("z", [14, 16])
def test_a_tile_of_filtered_rows_is_the_tile_of_a_layer_that_has_no_others(county, z):
    path, _ = tile_address("dlg", z)
    twin = pixels(county.get(path.replace("/dlg/", "/twin/"), "whole"))
    for address in (path, path.replace(".png", ".png?style=topographic")):
        for _ in range(2):                           # drawn, then from the cache
            assert (pixels(county.get(address, "filtered")) == twin).all()
    assert (twin != pixels(county.get(path, "whole"))).any() and twin[..., 3].any()


def test_what_is_told_are_the_rows_that_are_drawn(county):
    for column, row in [(50, n) for n in range(3, 100, 3)] + [(n, 45) for n in range(3, 100, 3)]:
        filtered = told(county, "dlg", "filtered", column, row)
        whole = told(county, "dlg", "whole", column, row)
        meant = [
            one for one in whole
            if (one["feature_class"] == "LRDL" and (one["properties"]["GRADE"] or 9) <= 2) or (one["feature_class"] == "HYDL" and one["properties"]["SECRET_DEPTH"] > 3)
        ]
        assert [one["properties"] for one in filtered] == [one["properties"] for one in meant]


def test_rows_that_do_not_count_never_crowd_out_those_that_do(county):
    assert len(told(county, "dlg", "filtered", 50, 50, FEATURE_COUNT="1", WIDTH="8", HEIGHT="8", I="4", J="4")) == 1


def test_the_filter_may_use_what_nobody_is_told_and_is_never_told_itself(county):
    found = told(county, "dlg", "also-filtered", 50, 6)
    assert [set(one["properties"]) for one in found] == [{"NAME"}]
    answers = [
        ask(county, {"SERVICE": "WMS", "REQUEST": "GetCapabilities", "VERSION": "1.3.0"}, "also-filtered"),
        ask(county, {"SERVICE": "WMTS", "REQUEST": "GetCapabilities"}, "also-filtered", path="/wmts"),
        county.get("/api/v1/layers", "also-filtered"), county.get("/tiles/dlg.json", "also-filtered"),
        ask(county, map_query("dlg", FORMAT="image/gif"), "also-filtered"), ask(county, map_query("dlg", STYLES="x"), "also-filtered"),
        ask(county, click_query("dlg", 50, 6, info="text/plain"), "also-filtered"),
        ask(county, click_query("dlg", 50, 6, info="text/html"), "also-filtered"), ask(county, map_query("dom"), "also-filtered"),
    ]
    for answer in answers:
        for word in ("SECRET_DEPTH", "<= 2", "&lt;= 2", "canary", "rows"):
            assert word not in answer.text, (word, answer.text)


def test_a_legend_does_not_depend_on_the_filter(county):
    legends = {
        ask(county, {"SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetLegendGraphic", "LAYER": "dlg", "FORMAT": "image/png"}, agency).data
        for agency in ("filtered", "also-filtered", "whole")
    }
    assert len(legends) == 1


def test_each_piece_of_ground_keeps_its_own_filter(county):
    query = map_query("dlg", "EPSG:4549", WIDTH="200", HEIGHT="200")
    mixed, filtered, east = (picture(ask(county, query, agency)) for agency in ("mixed", "filtered-west", "east"))
    assert (mixed[:, :100] == filtered[:, :100]).all() and (mixed[:, 100:] == east[:, 100:]).all()
    path, view = tile_address("dlg", 16)
    mixed, filtered, east = (pixels(county.get(path, agency)) for agency in ("mixed", "filtered-west", "east"))
    assert all(((mixed == one).all(axis=2) | (mixed == other).all(axis=2)).all() for one, other in ((filtered, east),))
    assert (mixed != filtered).any() and (mixed != east).any()
    road = 60 + 70 * 1                                # of the third grade
    assert told(county, "dlg", "mixed", 25, round(road / 10)) == [] and told(county, "dlg", "mixed", 75, round(road / 10))


def test_a_grant_of_all_rows_beside_one_of_some_shows_all(county):
    county.agency("both")
    county.agree("both", county.clause("dlg", rows=ROWS, attributes=None), county.clause("dlg", clause="3.2", attributes=None))
    query = map_query("dlg", WIDTH="150", HEIGHT="150")
    assert (picture(ask(county, query, "both")) == picture(ask(county, query, "whole"))).all()
    path, _ = tile_address("dlg", 15)
    assert county.get(path, "both").data == county.get(path, "whole").data


def test_agencies_whose_agreements_show_the_same_share_tiles_that_name_none_of_them(county):
    path, _ = tile_address("dlg", 17)
    assert county.get(path, "filtered").status_code == 200
    cache = county.services.settings.cache
    before = set(cache.rglob("*.png"))
    assert county.get(path, "also-filtered").status_code in (200, 403)
    assert county.get(path + "?style=unlabelled", "also-filtered").status_code == 200
    fresh = {one.relative_to(cache).parts[1] for one in set(cache.rglob("*.png")) - before}
    assert fresh == {f"unlabelled+{Variant(rows=ROWS).name}"}
    for folder in cache.rglob("*"):
        assert not any(word in str(folder.relative_to(cache)) for word in ("filtered", "GRADE", "DEPTH"))


def test_a_grant_of_rows_grants_no_pixels_and_one_of_cells_no_lines(county):
    county.agency("confused")
    county.agree("confused", county.clause("dom", "dem", rows="GRADE = 1"), county.clause("dlg", clause="3.2", degrade=10.0, attributes=None))
    path, _ = tile_address("dom")
    for answer in (ask(county, map_query("dom"), "confused"), county.get(path, "confused"), ask(county, click_query("dem", 5, 5), "confused"),
                   ask(county, map_query("dlg"), "confused"), ask(county, click_query("dlg", 50, 6), "confused")):
        assert answer.status_code == 403 and "GRADE" not in answer.text
    assert "clause 3.1" in ask(county, map_query("dom"), "confused").text


def test_a_register_that_holds_a_filter_nobody_can_read_is_trusted_with_nothing(house):
    path = house.folder / "delivered" / "one.gpkg"
    path.parent.mkdir(exist_ok=True)
    roads(False).to_file(path, layer="LRDL", driver="GPKG")
    house.layer("dlg", path, product="DLG")
    house.agency("water")
    house.grant("water", "dlg", rows="GRADE = = 1", attributes=None)
    tile, _ = tile_address("dlg")
    for answer in (ask(house, map_query("dlg")), house.get(tile, "water"), ask(house, click_query("dlg", 50, 6))):
        assert answer.status_code == 503 and "GRADE" not in answer.text


@pytest.mark.parametrize("rows, told", [
    ("LRDL.GRADE <= 2 AND NAME LIKE '路%'", []), ("GRADE = '2'", ["`GRADE` of LRDL holds numbers: write its values without quotes"]),
    ("NAME = 5 OR NOTE = 'x'", ["`NAME` of BOUL, HYDL, LRDL holds text: write its values in quotes"]),
    ("GRAD = 1", ["no class has a field `GRAD`"]), ("HYDL.GRADE = 1", ["no class has a field `HYDL.GRADE`"]), ("NOTE IS NULL", []),
])
def test_a_filter_that_shows_less_than_it_seems_is_remarked_on(county, rows, told):
    agreement = county.agree("remarked", county.clause("dlg", rows=rows))
    found = doubtful_terms(county.services.catalogue, county.services.settings.store, [(agreement, "")])
    assert len(found) == len(told) and all(sentence in one for sentence, one in zip(told, found, strict=True))


def test_conditions_of_another_kind_are_remarked_on(county):
    agreement = county.agree("remarked", county.clause("dlg", "dom", rows="NAME = 'x'"), county.clause("dlg", "dem", clause="3.2", degrade=10.0))
    found = doubtful_terms(county.services.catalogue, county.services.settings.store, [(agreement, "")])
    assert [one.split(":")[0] for one in found] == [f"{agreement.agreement_id}, clause 3.1, layer `dom`", f"{agreement.agreement_id}, clause 3.2, layer `dlg`"]


# Cells

def permit(house, agency: str, layer: str):
    gate = house.services.gate
    caller = gate.identify(Presented(secret=house.keys[agency], carriage=Carriage.HEADER))
    return gate.permits(caller, [Asked(layer=LayerName(layer), operation=Operation.GET_MAP)])[0]


def height(house, agency: str, column: int, row: int) -> float:
    (found,) = told(house, "dem", agency, column, row)
    return found["properties"]["height"]


def test_heights_are_those_of_the_agreed_cells_whatever_grid_they_are_asked_in(county):
    edition = permit(county, "coarse", "dem").edition
    reader = CellReader(county.services.settings.store / edition.folder, edition, CELL)
    for column, row in ((10, 10), (46, 81), (98, 3)):
        x, y = LEFT + (column + 0.5) * 10, TOP - (row + 0.5) * 10
        (expected,) = reader.sample(x, y, CRS)
        assert height(county, "coarse", column, row) == round(expected, 3)
        assert height(county, "whole", column, row) != round(expected, 3)
        for version, crs in (("1.1.1", "EPSG:4549"), ("1.3.0", "EPSG:4490"), ("1.3.0", "EPSG:3857")):
            view = transform_geometry(shapely.Point(x, y), CRS, "EPSG:4490" if crs == "EPSG:4490" else crs)
            span = 1e-5 if crs == "EPSG:4490" else 1.0
            left, bottom, right, top = view.x - span, view.y - span, view.x + span, view.y + span
            box = f"{bottom},{left},{top},{right}" if version == "1.3.0" and crs != "EPSG:3857" else f"{left},{bottom},{right},{top}"
            query = click_query("dem", 1, 1, version=version) | {"CRS" if version == "1.3.0" else "SRS": crs, "BBOX": box, "WIDTH": "3", "HEIGHT": "3"}
            (found,) = json.loads(ask(county, query, "coarse").text)["features"]
            assert found["properties"]["height"] == round(expected, 3)


@pytest.mark.parametrize("style", ["hillshade", "relief", "shaded-relief", "slope"])
def test_every_style_is_made_of_the_cells(county, style):
    query = map_query("dem", STYLES=style, WIDTH="500", HEIGHT="500")
    coarse, whole = (picture(ask(county, query, agency)).astype(int) for agency in ("coarse", "whole"))
    assert (coarse != whole).any()
    grey = coarse[..., :3].mean(axis=2)
    # pixels of 2 m from cells of 35 m: what is left of pixel-to-pixel change is a small part
    assert np.abs(np.diff(grey, axis=1)).mean() < 0.35 * np.abs(np.diff(whole[..., :3].mean(axis=2), axis=1)).mean()


def test_imagery_is_shown_from_its_cells_on_maps_and_tiles(county):
    query = map_query("dom", WIDTH="1000", HEIGHT="1000")
    coarse, whole = (picture(ask(county, query, agency)).astype(int)[..., 0] for agency in ("coarse", "whole"))
    assert coarse[100:900, 100:900].std() < 0.5 * whole[100:900, 100:900].std()
    path, view = tile_address("dom", 17, "png")
    coarse, whole = (pixels(county.get(path, agency))[..., 0] for agency in ("coarse", "whole"))
    assert coarse.std() < 0.5 * whole.std()


def test_the_finest_that_is_granted_of_a_place_is_shown_on_top(county):
    query = map_query("dem", STYLES="hillshade", WIDTH="400", HEIGHT="400")
    layered, coarse, whole = (picture(ask(county, query, agency)) for agency in ("layered", "coarse", "whole"))
    assert (layered[:, :200] == whole[:, :200]).all() and (layered[:, 200:] == coarse[:, 200:]).all()
    assert height(county, "layered", 20, 40) == height(county, "whole", 20, 40)
    assert height(county, "layered", 80, 40) == height(county, "coarse", 80, 40)
    path, _ = tile_address("dem", 16)
    layered, coarse, whole = (pixels(county.get(path, agency)) for agency in ("layered", "coarse", "whole"))
    is_whole, is_coarse = (layered == whole).all(axis=2), (layered == coarse).all(axis=2)
    assert (is_whole | is_coarse).all() and is_whole.any() and is_coarse.any() and not is_whole.all() and not is_coarse.all()


def test_a_tile_of_cells_and_a_map_of_its_pixels_are_one(county):
    path, view = tile_address("dem", 16)
    query = map_query("dem", "EPSG:3857", version="1.1.1", STYLES="hillshade", WIDTH="256", HEIGHT="256", BBOX=",".join(map(repr, view.bounds)))
    tile = pixels(county.get(path, "coarse"))
    assert (picture(ask(county, query, "coarse")) == tile).all()


def test_a_changed_sheet_expires_the_tiles_of_every_variant_it_touches(house):
    heights = np.cumsum(np.random.default_rng(4).normal(size=(1, SIDE, SIDE)), axis=2).astype(np.float32)
    house.raster("dem", heights, LEFT, TOP, STEP, product="DEM", nodata=-9999)
    house.agency("coarse")
    house.grant("coarse", "dem", degrade=CELL)
    path, _ = tile_address("dem", 16)
    before = pixels(house.get(path, "coarse"))
    variant = f"hillshade+{Variant(degrade=CELL).name}"
    tiles = [one for one in house.services.settings.cache.rglob("*.png") if variant in one.parts]
    assert tiles
    published = house.raster("dem", heights[:, ::-1] * 3, LEFT, TOP, STEP, product="DEM", nodata=-9999)
    assert published.generation > 1
    left = [one for one in tiles if one.exists()]
    assert len(left) < len(tiles) and all(Image.open(one).convert("RGBA").getextrema()[3] == (0, 0) for one in left), "of those drawn beside it"
    assert (pixels(house.get(path, "coarse")) != before).any()


def test_the_catalogue_says_how_fine_what_is_granted_is(county):
    fineness = {
        agency: {one["name"]: one["resolution_m"] for one in county.get("/api/v1/layers", agency).get_json()["layers"]} for agency in ("coarse", "layered", "whole")
    }
    assert fineness["coarse"] == {"dem": CELL, "dom": CELL} and fineness["layered"] == {"dem": STEP} and fineness["whole"]["dem"] == STEP


# Marks

def test_a_marked_map_differs_from_the_plain_one_where_it_is_seen_and_nowhere_else(county):
    query = map_query("dom", WIDTH="400", HEIGHT="400")
    plain, marked = (picture(ask(county, query, agency)).astype(int) for agency in ("whole", "marked"))
    assert not marked[:, 200:].any()                                          # beyond the area: nothing, not even a mark
    changed = (plain != marked).any(axis=2)[:, :200]
    assert 0.03 < changed.mean() < 0.5
    assert (marked[:, :200, 3] == 255).all()


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_every_format_of_a_tile_bears_the_mark(county, extension):
    for z in (15, 17):
        path, _ = tile_address("dom", z, extension)
        plain, marked = (pixels(county.get(path, agency)) for agency in ("whole", "marked"))
        seen = marked[..., 3] > 0 if extension != "jpg" else (marked[..., :3] < 245).any(axis=2)
        assert (np.abs(plain - marked).max(axis=2) > 40)[seen].mean() > 0.02
        assert county.get(path, "marked").data == county.get(path, "marked").data


def test_a_mark_adds_nothing_where_a_line_map_is_transparent(county):
    query = map_query("dlg", WIDTH="400", HEIGHT="400")
    plain, marked = (picture(ask(county, query, agency)).astype(int) for agency in ("west", "marked"))
    west = (slice(None), slice(0, 200))
    assert (plain[west][..., 3] == marked[west][..., 3]).all()
    assert not marked[marked[..., 3] == 0].any()
    assert (plain[west] != marked[west]).any()


def test_the_cache_never_sees_a_mark(county):
    path, _ = tile_address("dom", 16, "jpg")
    first = county.get(path, "marked").data
    assert county.get(path, "whole").data != first
    edition = permit(county, "whole", "dom").edition
    cache = county.services.settings.cache / str(edition.edition_id)
    assert {one.name for one in cache.iterdir() if one.is_dir()} <= {"default", f"default+{Variant(degrade=CELL).name}"}
    assert county.get(path, "marked").data == first


def test_what_is_told_carries_the_line_that_the_agreement_wants_shown(county):
    for info, expected in (
        ("application/json", '"credits": ["© 测绘局 <测试>"]'), ("text/plain", "© 测绘局 <测试>"), ("text/html", "© 测绘局 &lt;测试&gt;"),
        ("application/vnd.ogc.gml", "<gml:description>© 测绘局 &lt;测试&gt;</gml:description>"),
    ):
        answer = ask(county, click_query("dom", 20, 50, info=info), "marked")
        assert answer.status_code == 200 and expected in answer.text
        beyond = ask(county, click_query("dom", 80, 50, info=info), "marked")
        assert "测绘局" not in beyond.text


# Files to keep

@pytest.mark.parametrize("agency, layer", [("filtered", "dlg"), ("mixed", "dlg"), ("coarse", "dem"), ("layered", "dem"), ("coarse", "dom"), ("marked", "dom")])
def test_a_downloaded_picture_is_the_map_of_its_ground(county, agency, layer):
    box = f"{LEFT},{WHOLE.bottom},{WHOLE.right},{TOP}"
    answer = county.get(f"/download/{layer}.zip?CRS=EPSG:4549&BBOX={box}&RESOLUTION=5", agency)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".png")]
        downloaded = np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGBA"))
        aside = b"".join(archive.read(one) for one in archive.namelist() if not one.endswith(".png")).decode()
    assert (downloaded == picture(ask(county, map_query(layer, WIDTH="200", HEIGHT="200"), agency))).all()
    assert not any(word in aside for word in SECRETS)


# The door

def test_no_variant_is_drawn_that_no_piece_of_the_permit_shows(county):
    coarse = permit(county, "coarse", "dem")
    assert coarse.covers(coarse.edition, Variant(degrade=CELL)) and not coarse.covers(coarse.edition)
    assert not coarse.covers(coarse.edition, Variant(degrade=10.0))
    assert not coarse.covers(replace(coarse.edition, edition_id=999), Variant(degrade=CELL))
