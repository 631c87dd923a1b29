"""`geoshare tiles`: drawn before anybody asks, proved, and told when they are out of date."""

import json

import geopandas
import numpy as np
import pyogrio
import pytest
from click.testing import CliRunner
from shapely.geometry import LineString

from geoserver_app.cli import main
from layers import crs as crs_room
from layers.model import Bounds, LayerName
from tiles.grids import TILE_MATRIX_SETS
from tiles.permits import PermitPiece
from tiles.vector.grid import TileGrid
from tiles.vector.mvt import variant_of


@pytest.fixture
def run(house, monkeypatch):
    """Types a command into the house; its exit code and what it said."""
    monkeypatch.setenv("GEOSHARE_DATA", str(house.services.settings.data))

    def typed(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, words)
        return result.exit_code, result.output

    return typed


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (3, 400, 400), np.uint8)


def test_tiles_are_seeded_verified_counted_and_told_to_be_stale_after_a_change(house, run, tmp_path):
    house.raster("dom", picture(1), 380_000.0, 3_550_000.0, 10.0)
    manifest = tmp_path / "seeded.json"
    seed = ("tiles", "seed", "dom", "--zooms", "10,12", "--workers", "0", "--manifest", str(manifest))
    code, said = run(*seed)
    assert code == 0 and "meta tiles, level 12" in said
    levels = json.loads(manifest.read_text())["levels"]
    assert [(level["z"], level["expected"] == level["present"] > 0) for level in levels] == [(10, True), (12, True)]
    assert run("tiles", "verify", str(manifest)) == (0, "complete\n")
    _, told = run("tiles", "status", "dom", "--json")
    assert {row["level"]: row["tiles"] for row in json.loads(told)}.keys() == {10, 12}
    house.raster("dom", picture(2), 380_000.0, 3_550_000.0, 10.0)
    code, told = run("tiles", "verify", str(manifest), "--json")
    finding = json.loads(told)
    assert code == 1 and finding["stale"] and finding["missing"] == sum(level["expected"] for level in levels)
    assert run(*seed)[0] == 0 and run("tiles", "verify", str(manifest))[0] == 0


@pytest.mark.parametrize(("words", "sentence"), [
    (("--zooms", "a-b"), "names no levels"), (("--zooms", "30"), "has no level 30"), (("--zooms", "10", "--style", "sepia"), "has no style"),
    (("--zooms", "10", "--coverage", "10,5,9,6"), "is no box"), (("--zooms", "10", "--coverage", "0,0,1,1"), "nothing of this edition"),
    (("--zooms", "10", "--coverage", "X99"), "X99"), (("--zooms", "10", "--coverage", "320100"), "320100"),
])
def test_what_can_not_be_meant_is_told_in_one_sentence(lasting_house, monkeypatch, words, sentence):
    house = lasting_house
    if not house.services.catalogue.snapshot().layers:
        house.raster("dom", picture(1), 380_000.0, 3_550_000.0, 10.0)
    monkeypatch.setenv("GEOSHARE_DATA", str(house.services.settings.data))
    result = CliRunner().invoke(main, ["tiles", "seed", "dom", "--workers", "0", *words])
    assert result.exit_code == 3 and sentence in result.output and "Traceback" not in result.output


def test_coverage_may_be_a_box_sheets_or_a_file(house, run, tmp_path):
    house.raster("dom", picture(1), 380_000.0, 3_550_000.0, 10.0)
    shape = tmp_path / "area.wkt"
    shape.write_text("POLYGON((118.74 32.04, 118.75 32.04, 118.75 32.05, 118.74 32.04))")
    manifest = tmp_path / "m.json"
    counts = []
    for coverage in (None, "118.74,32.05,118.75,32.06", "I50G095077", str(shape)):
        words = ("--coverage", coverage) if coverage else ()
        code, said = run("tiles", "seed", "dom", "--zooms", "15", "--workers", "0", "--manifest", str(manifest), *words)
        assert code == 0, said
        counts.append(json.loads(manifest.read_text())["levels"][0]["expected"])
    assert counts[0] > max(counts[1:]) and min(counts) > 0
    (tmp_path / "bad.txt").write_text("nonsense")
    code, said = run("tiles", "seed", "dom", "--zooms", "15", "--coverage", str(tmp_path / "bad.txt"))
    assert code == 3 and "neither WKT nor GeoJSON" in said


def test_vector_tiles_are_seeded_where_requests_find_them(house, run, tmp_path):
    roads = geopandas.GeoDataFrame(
        [{"NAME": "滨河路", "GB": "420101", "geometry": LineString([(380_000, 3_550_000), (383_000, 3_551_000)])}], geometry="geometry", crs="EPSG:4549",
    )
    pyogrio.write_dataframe(roads, tmp_path / "roads.gpkg", layer="LRDL")
    house.layer("dlg", tmp_path / "roads.gpkg", product="DLG")
    manifest = tmp_path / "vectors.json"
    code, said = run("tiles", "seed", "dlg", "--vector", "--attributes", "NAME", "--zooms", "10-12", "--workers", "0", "--manifest", str(manifest))
    assert code == 0, said
    assert run("tiles", "verify", str(manifest)) == (0, "complete\n")
    house.look_again()
    edition = house.services.catalogue.snapshot().find(LayerName.parse("dlg"))[1]
    shelf, shown = house.services.tiles.shelf, variant_of(edition, PermitPiece(area=None, attributes=frozenset({"NAME"})))
    tms = TILE_MATRIX_SETS["WebMercatorQuad"]
    row, _, col, _ = tms.limits(12, crs_room.transform_bounds(Bounds(380_900, 3_550_300, 381_000, 3_550_400), "EPSG:4549", tms.crs))
    kept = shelf.stored(edition, shown, TileGrid(tms, 12, row, col))
    assert kept and shelf.inflated(kept) == shelf.made(edition, shown, TileGrid(tms, 12, row, col)), "the same names of features too"
    for words, fault in ((("--vector", "--style", "grey"), "have no style"), (("--vector", "--rows", "NAME ="), "--rows"), (("--attributes", "NAME"), "pictures are seeded whole")):
        code, said = run("tiles", "seed", "dlg", "--zooms", "10", "--workers", "0", *words)
        assert code == 3 and fault in said, said
