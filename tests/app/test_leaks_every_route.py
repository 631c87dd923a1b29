"""Every route that tells of a line map - features, tiles, questions, legends, descriptions, downloads: two offices whose maps differ in all that is not
granted (rows, columns, and how shapes go on beyond the border) answer to the byte alike."""

import io
import random
import re
import zipfile
from urllib.parse import quote, urlencode

import numpy as np
import pyogrio
import pytest
import shapely
from county import CRS, EAST, NORTH, SOUTH, WEST, make_other_beyond, write_county
from houses import build_house
from ordering import fetch, made

from layers import crs as crs_room
from layers.model import Bounds
from tiles.grids import TILE_MATRIX_SETS

MIDDLE_X, MIDDLE_Y = (WEST + EAST) / 2, (SOUTH + NORTH) / 2
GROUND = shapely.Polygon([
    (MIDDLE_X - 2300, MIDDLE_Y - 1900), (MIDDLE_X + 1700, MIDDLE_Y - 2100), (MIDDLE_X + 2200, MIDDLE_Y + 600), (MIDDLE_X - 1900, MIDDLE_Y + 1200),
])
AREA = crs_room.transform_geometry(shapely.segmentize(GROUND, 50), CRS, "CRS:84")
TABLES = ("HYDL", "HYDA", "LRDL", "RESA", "TERL", "VEGA", "RESP", "BOUL", "ABSENT")
GRANTED = frozenset({"NAME", "GB"})
AGENCIES = ("water", "water", "rows", "pictures", "nobody")
FAR = 150.0
"""Metres beyond the border from which shapes that cross it go other ways."""

MOMENT = re.compile(rb'(timeStamp|updateSequence)="[^"]*"|"timeStamp":\s*"[^"]*"')
USUAL = 240


def write_secrets(geopackage, seed: int, *, is_other: bool) -> None:
    """A column that nobody is granted; in the other map the shapes that cross the border go another way beyond it, and rows beyond are more or fewer."""
    target, chance = geopackage.with_name("whole.gpkg"), np.random.default_rng(seed)
    near = GROUND.buffer(FAR)
    for name, _ in pyogrio.list_layers(geopackage):
        frame = pyogrio.read_dataframe(geopackage, layer=name)
        frame["SECRET"] = chance.integers(0, 1000, len(frame))
        if is_other:
            frame.geometry = [_gone_another_way(shape, near) for shape in frame.geometry]
            beyond = ~shapely.intersects(near, frame.geometry.to_numpy())
            frame = frame[~(beyond & (np.arange(len(frame)) >= (np.flatnonzero(~beyond).max(initial=0) + 1)))]          # keys of what stays are the same
        pyogrio.write_dataframe(frame, target, layer=name, append=target.exists())
    target.replace(geopackage)


def _gone_another_way(shape, near):
    if shape.geom_type != "LineString":
        return shape
    places = shapely.get_coordinates(shape)
    is_far = ~shapely.contains_xy(near, places)
    inner = is_far.copy()
    inner[1:] &= is_far[:-1]
    inner[:-1] &= is_far[1:]
    places[inner] += (41.0, -37.0)
    moved = shapely.LineString(places)
    return moved if shapely.equals(shapely.intersection(moved, near), shapely.intersection(shape, near)) else shape


@pytest.fixture(scope="module")
def twins(tmp_path_factory, config_folder):
    found = []
    for name in ("one", "other"):
        folder = tmp_path_factory.mktemp(name)
        house, county = build_house(folder), write_county(folder, config_folder)
        path = county.folder / county.edition.vectors
        if name == "other":
            make_other_beyond(path, GROUND.buffer(1))
        write_secrets(path, len(name), is_other=name == "other")
        house.layer("dlg", path, product="DLG", title_zh="线划图", title_en="Line map")
        for agency in (*AGENCIES, "everywhere"):
            if agency not in house.keys:
                house.agency(agency)
        house.grant("water", "dlg", area=AREA, attributes=GRANTED)
        house.grant("rows", "dlg", area=AREA, attributes=GRANTED, rows="GB >= 4000000")
        house.grant("pictures", "dlg", area=AREA, attributes=frozenset(), operations=("GetMap", "GetTile", "GetLegendGraphic", "GetFeatureInfo"))
        house.grant("everywhere", "dlg", attributes=None)
        found.append(house)
    one, other = found
    other.services.feature_ids._secret, other.services.feature_ids._ciphers = one.services.feature_ids._secret, type(one.services.feature_ids._ciphers)()
    return found


def test_the_two_differ_in_columns_rows_and_shapes(twins):
    """Else what follows would be no proof."""
    one, other = ([pyogrio.read_dataframe(next(house.folder.glob("county.gpkg")), layer=name) for name in ("LRDL", "TERL")] for house in twins)
    for mine, theirs in zip(one, other, strict=True):
        assert len(mine) >= len(theirs) and list(mine["SECRET"])[: len(theirs)] != list(theirs["SECRET"])
        both = min(len(mine), len(theirs))
        changed = ~shapely.equals_exact(mine.geometry.to_numpy()[:both], theirs.geometry.to_numpy()[:both])
        assert changed.any() and (changed & shapely.intersects(GROUND, mine.geometry.to_numpy()[:both])).any()
        assert all(
            shapely.equals(shapely.intersection(GROUND, a), shapely.intersection(GROUND, b)) for a, b in zip(mine.geometry[:both], theirs.geometry, strict=True)
        )


# One question of each kind

def a_place(rng: random.Random) -> tuple[float, float]:
    """Metres; often near the border."""
    if rng.random() < 0.6:
        at = GROUND.exterior.interpolate(rng.random(), normalized=True)
        return at.x + rng.gauss(0, 60), at.y + rng.gauss(0, 60)
    return rng.uniform(WEST, EAST), rng.uniform(SOUTH, NORTH)


def a_box(rng: random.Random, crs: str, largest: float = 4000.0) -> Bounds:
    x, y = a_place(rng)
    half = rng.uniform(20, largest) / 2
    return crs_room.transform_bounds(Bounds(x - half, y - half, x + half, y + half), CRS, crs)


def degrees(rng: random.Random) -> tuple[float, float]:
    at = crs_room.transform_geometry(shapely.Point(*a_place(rng)), CRS, "CRS:84")
    return round(at.x, 7), round(at.y, 7)


def some_map(rng: random.Random) -> str:
    crs = rng.choice((CRS, "EPSG:3857", "CRS:84"))
    size = rng.choice((48, 160, 256))
    return "/ows?" + urlencode({
        "SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetMap", "LAYERS": "dlg", "STYLES": rng.choice(("", "unlabelled", "grey")), "SRS": crs,
        "BBOX": ",".join(map(repr, a_box(rng, crs, 9000))), "WIDTH": size, "HEIGHT": size, "FORMAT": "image/png", "TRANSPARENT": "TRUE",
    })


def some_tile(rng: random.Random) -> str:
    tms = TILE_MATRIX_SETS[rng.choice(("WebMercatorQuad", "WebMercatorQuad", "CGCS2000Quad" if "CGCS2000Quad" in TILE_MATRIX_SETS else "WebMercatorQuad"))]
    z = rng.choice((8, 11, 13, 14, 15, 16))
    lon, lat = degrees(rng)
    bounds = crs_room.transform_bounds(Bounds(lon, lat, lon + 1e-6, lat + 1e-6), "CRS:84", tms.crs)
    row, _, col, _ = tms.limits(z, bounds)
    suffix = rng.choice(("mvt", "mvt", "png", "png?style=unlabelled", "png?style=grey"))
    return f"/tiles/dlg/{tms.id}/{z}/{col}/{row}.{suffix}"


def some_info(rng: random.Random) -> str:
    box, size = a_box(rng, CRS, 900), 101
    return "/ows?" + urlencode({
        "SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetFeatureInfo", "LAYERS": "dlg", "QUERY_LAYERS": "dlg", "STYLES": "", "SRS": CRS,
        "BBOX": ",".join(map(repr, box)), "WIDTH": size, "HEIGHT": size, "X": rng.randrange(size), "Y": rng.randrange(size), "FEATURE_COUNT": rng.choice((1, 5, 50)),
        "INFO_FORMAT": rng.choice(("application/json", "text/plain", "text/html", "application/geo+json")),
        **rng.choice(({}, {"BUFFER": "30"}, {"TOLERANCE": "20"}, {"RADIUS": "8"})),
    })


def some_legend(rng: random.Random) -> str:
    asked = {"SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetLegendGraphic", "LAYER": "dlg", "FORMAT": "image/png", "STYLE": rng.choice(("", "unlabelled", "grey"))}
    if rng.random() < 0.7:
        asked |= {"BBOX": ",".join(map(repr, a_box(rng, CRS))), "CRS": CRS, "WIDTH": 256, "HEIGHT": 256}
    if rng.random() < 0.5:
        asked["SCALE"] = rng.choice((2_000, 10_000, 100_000, 1_000_000))
    return "/ows?" + urlencode(asked)


def a_condition(rng: random.Random) -> str:
    lon, lat = degrees(rng)
    ring = shapely.to_wkt(shapely.box(lon, lat, lon + rng.uniform(1e-4, 0.02), lat + rng.uniform(1e-4, 0.02)), rounding_precision=7)
    return rng.choice((
        f"GB >= {rng.randrange(1_000_000, 8_000_000)}", "NAME IS NULL", "NAME LIKE '%路'", f"SECRET < {rng.randrange(1000)}", f"ABSENT < {rng.randrange(1000)}",
        f"S_INTERSECTS(geometry, {ring})", f"NOT S_INTERSECTS(geometry, {ring})", f"GB > 3000000 OR S_WITHIN(geometry, {ring})",
    ))


def some_features(rng: random.Random) -> str:
    table, (lon, lat) = rng.choice(TABLES), degrees(rng)
    asked = rng.choice((
        {"bbox": f"{lon},{lat},{lon + 0.01},{lat + 0.008}", "limit": rng.choice((1, 7, 300))}, {"filter": a_condition(rng), "limit": 40},
        {"filter": a_condition(rng), "crs": "EPSG:3857"}, {"properties": rng.choice(("NAME", "SECRET", "ABSENT"))}, {"sortby": rng.choice(("NAME", "SECRET"))}, {},
    ))
    kind = rng.choice(("items", "items", "items", "nearest", "containing", "schema", "queryables"))
    if kind in ("nearest", "containing"):
        asked = {"lon": lon, "lat": lat} | ({"count": rng.choice((1, 4)), "within": rng.choice((50, 900, 9000))} if kind == "nearest" else {})
        asked |= {"filter": a_condition(rng)} if rng.random() < 0.3 else {}
    if kind in ("schema", "queryables"):
        asked = {}
    return f"/features/collections/dlg.{table}/{kind}?{urlencode(asked, quote_via=quote)}"


def some_wfs(rng: random.Random) -> str:
    table = rng.choice(TABLES)
    base = "/wfs?SERVICE=WFS&VERSION=2.0.0&REQUEST="
    if rng.random() < 0.1:
        return f"{base}DescribeFeatureType&TYPENAMES=gs:dlg.{table}"
    query = f"{base}GetFeature&TYPENAMES=gs:dlg.{table}"
    if rng.random() < 0.5:
        query += "&BBOX=" + ",".join(f"{value:.3f}" for value in a_box(rng, CRS)) + f",{CRS}"
    elif rng.random() < 0.6:
        name, value = rng.choice(("GB", "NAME", "SECRET", "ABSENT")), rng.choice(("4000000", "青石湖", "500"))
        inner = f"<PropertyIsLessThan><ValueReference>{name}</ValueReference><Literal>{value}</Literal></PropertyIsLessThan>"
        query += "&FILTER=" + quote(f'<Filter xmlns="http://www.opengis.net/fes/2.0">{inner}</Filter>')
    query += rng.choice(("", "&RESULTTYPE=hits", "&OUTPUTFORMAT=json", "&PROPERTYNAME=NAME", "&PROPERTYNAME=SECRET", "&SORTBY=NAME", "&SORTBY=SECRET", "&SRSNAME=EPSG:3857"))
    return query + rng.choice(("", "&COUNT=3", "&COUNT=5&STARTINDEX=9", "&STARTINDEX=400"))


DESCRIPTIONS = (
    "/tiles/dlg.json", "/tiles/dlg/vector.json", "/styles/dlg.json", "/features/collections", "/features/api", "/api/v1/layers",
    "/wfs?SERVICE=WFS&REQUEST=GetCapabilities", "/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetCapabilities", "/wmts/1.0.0/WMTSCapabilities.xml", "/layers/dlg/sheets",
)


def some_description(rng: random.Random) -> str:
    return rng.choice(DESCRIPTIONS)


KINDS = (some_map, some_tile, some_tile, some_info, some_features, some_features, some_wfs, some_legend)


def test_every_route_answers_alike(twins, request):
    rng, count = random.Random(23), int(request.config.getoption("--fuzz-requests", default=None) or USUAL)
    clients = [house.client() for house in twins]
    asked = [*DESCRIPTIONS * len(AGENCIES), *(KINDS[number % len(KINDS)](rng) for number in range(count))]
    told, apart = {}, 0
    for number, path in enumerate(asked):
        agency = AGENCIES[number // len(DESCRIPTIONS)] if number < len(DESCRIPTIONS) * len(AGENCIES) else rng.choice(AGENCIES)
        one, other = (client.get(path, headers={"X-API-Key": house.keys[agency]}) for client, house in zip(clients, twins, strict=True))
        texts = [MOMENT.sub(b"", answer.data).replace(house.keys[agency].encode(), b"") for answer, house in zip((one, other), twins, strict=True)]
        assert (one.status_code, one.content_type) == (other.status_code, other.content_type) and texts[0] == texts[1], (agency, path)
        kind = path.split("?")[0].split("/")[1]
        told[kind] = told.get(kind, 0) + (one.status_code == 200)
        if number % 7 == 0:
            wide = [client.get(path, headers={"X-API-Key": house.keys["everywhere"]}).data for client, house in zip(clients, twins, strict=True)]
            apart += wide[0] != wide[1]
    assert min(told[kind] for kind in ("ows", "tiles", "features", "wfs")) > count // 40, told
    assert apart > count // 60, "the two are told apart by who may see all"


@pytest.mark.parametrize("form", ["gpkg", "geojson", "shapefile", "flatgeobuf"])
def test_downloads_are_alike(twins, form):
    """Files of what is granted: the same bytes, but for the names and moments of the job itself."""
    x0, y0, x1, y1 = GROUND.buffer(300).bounds
    area = {"bounds": list(crs_room.transform_bounds(Bounds(x0, y0, x1, y1), CRS, "CRS:84"))}
    for agency in ("water", "rows"):
        held = []
        for house in twins:
            package = made(house, agency, layers=["dlg"], area=area, format=form)
            files = {}
            for name in (one["name"] for one in package["files"]):
                data = fetch(house, agency, package, name)
                files |= _members(data) if name == "package.zip" else {name: data}
            held.append({name: _without_the_job(data, package, house.keys[agency]) for name, data in files.items()})
        assert held[0].keys() == held[1].keys() and len(held[0]) >= 2
        for name, data in held[0].items():
            assert data == held[1][name], (agency, form, name)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        return {name: held.read(name) for name in held.namelist()}


def _without_the_job(data: bytes, package: dict, key: str) -> bytes:
    """The name of the package, moments, names of records (moments too), and checksums (of files that hold moments) aside."""
    data = data.replace(package["package"].encode(), b"").replace(key.encode(), b"")
    data = re.sub(rb"\b[0-9a-f]{64}\b", b"", data)
    data = re.sub(rb"\b20\d{6}T\d{12}-\d+-\d+\b", b"", data)
    return re.sub(rb"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?", b"", data)
