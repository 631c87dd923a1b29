"""Pictures of a line map tell nothing of what lies beyond the border: two offices that differ there alone answer to the byte alike."""

import random
from urllib.parse import urlencode

import numpy as np
import pytest
import shapely
from county import CRS, EAST, NORTH, SOUTH, WEST, make_other_beyond, write_county
from houses import build_house

from layers import crs as crs_room
from layers.model import Bounds, LayerName
from tiles import drawing_copy
from tiles.encode import decode
from tiles.grids import TILE_MATRIX_SETS

MIDDLE_X, MIDDLE_Y = (WEST + EAST) / 2, (SOUTH + NORTH) / 2
GROUND = shapely.Polygon([
    (MIDDLE_X - 2300, MIDDLE_Y - 1900), (MIDDLE_X + 1700, MIDDLE_Y - 2100), (MIDDLE_X + 2200, MIDDLE_Y + 600), (MIDDLE_X - 1900, MIDDLE_Y + 1200),
])
AREA = crs_room.transform_geometry(shapely.segmentize(GROUND, 50), CRS, "CRS:84")
STYLES = ("topographic", "unlabelled", "grey", "grey-unlabelled", "")


@pytest.fixture(scope="module")
def twins(tmp_path_factory, config_folder):
    """One house with the county, one in which all is other beyond the grant."""
    found = []
    for name in ("one", "other"):
        folder = tmp_path_factory.mktemp(name)
        house, county = build_house(folder), write_county(folder, config_folder)
        path = county.folder / county.edition.vectors
        if name == "other":
            make_other_beyond(path, GROUND.buffer(1))
        house.layer("dlg", path, product="DLG")
        for agency, terms in (("all", {}), ("rows", {"rows": "GB >= 4000000"}), ("everywhere", {})):
            house.agency(agency)
            house.grant(agency, "dlg", area=None if agency == "everywhere" else AREA, attributes=None, **terms)
        found.append(house)
    return found


def a_map(rng: random.Random) -> str:
    crs = rng.choice((CRS, "EPSG:3857", "CRS:84"))
    size, resolution = rng.choice((64, 200, 384)), rng.choice((1.0, 2.8, 6.0, 14.0, 40.0, 150.0))
    x, y, half = rng.uniform(WEST, EAST), rng.uniform(SOUTH, NORTH), size * resolution / 2
    bounds = crs_room.transform_bounds(Bounds(x - half, y - half, x + half, y + half), CRS, crs)
    return "/ows?" + urlencode({
        "SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetMap", "LAYERS": "dlg", "STYLES": rng.choice(STYLES), "SRS": crs,
        "BBOX": ",".join(map(repr, bounds)), "WIDTH": size, "HEIGHT": size, "FORMAT": rng.choice(("image/png", "image/webp", "image/jpeg")),
        "TRANSPARENT": rng.choice(("TRUE", "FALSE")), **rng.choice(({}, {"MAP_RESOLUTION": "180"})),
    })


def a_tile(rng: random.Random) -> str:
    tms, z = TILE_MATRIX_SETS["WebMercatorQuad"], rng.choice((10, 12, 14, 15, 16))
    first_row, last_row, first_col, last_col = tms.limits(z, crs_room.transform_bounds(Bounds(WEST, SOUTH, EAST, NORTH), CRS, tms.crs))
    place = rng.randint(first_row, last_row), rng.randint(first_col, last_col)
    return f"/tiles/dlg/WebMercatorQuad/{z}/{place[1]}/{place[0]}.png?style={rng.choice(STYLES)}"


def test_two_offices_that_differ_beyond_the_border_draw_one_map(twins, request):
    rng, count = random.Random(11), int(request.config.getoption("--fuzz-requests", default=None) or 90)
    clients, shown, apart = [house.client() for house in twins], 0, 0
    for number in range(count):
        ask = (a_map, a_tile, a_tile)[number % 3]
        path, agency = ask(rng), rng.choice(("all", "all", "rows"))
        one, other = (client.get(path, headers={"X-API-Key": house.keys[agency]}) for client, house in zip(clients, twins, strict=True))
        assert (one.status_code, one.data, one.headers.get("ETag")) == (other.status_code, other.data, other.headers.get("ETag")), (agency, path)
        assert one.status_code == 200, (path, one.data[:200])
        shown += bool(np.asarray(decode(one.data).convert("RGB")).min() < 200)
        if number % 9 == 0:
            wide = [client.get(path, headers={"X-API-Key": house.keys["everywhere"]}).data for client, house in zip(clients, twins, strict=True)]
            apart += wide[0] != wide[1]
    assert shown > count // 5 and apart, "there is something to see, and they do differ"


def test_a_new_delivery_is_drawn_from_a_copy_of_its_own(twins, config_folder):
    """Comes last: the other house is given the county of the one, and then both draw one map for everybody."""
    one, other = twins
    before = other.services.catalogue.snapshot().find(LayerName.parse("dlg"))[1]
    tile = "/tiles/dlg/WebMercatorQuad/14/13597/6648.png"
    assert one.get(tile, "everywhere").data != other.get(tile, "everywhere").data
    other.layer("dlg", one.folder / "county.gpkg", product="DLG")
    after = other.services.catalogue.snapshot().find(LayerName.parse("dlg"))[1]
    settings = other.services.settings
    assert after.generation > before.generation and drawing_copy.find(settings.cache, after, settings.config / "styles")
    assert one.get(tile, "everywhere").data == other.get(tile, "everywhere").data
