"""The low-resolution copy: an updated one is, pixel by pixel, one that was made afresh; and who lies on whom."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from synthetic_sheets import edition_of, write_sheet

from layers import crs as crs_room
from layers.ingest.executors import ThisProcess
from layers.model import Bounds, Mosaic, ProductType, Sheet, View
from layers.mosaic.overviews import OverviewGrid, level_name
from layers.mosaic.reader import MosaicReader, build_mosaics
from layers.mosaic.sheet_table import read_table
from layers.mosaic.stacking import disturbed, stacked

LEFT, TOP, SIDE = 360_000.0, 3_550_000.0, 96


def sheet(folder: Path, row: int, col: int, *, seed: int = 0, product: ProductType = ProductType.DOM, side: int = SIDE, **more) -> Sheet:
    rng = np.random.default_rng(100 * seed + 10 * row + col)
    if product is ProductType.DEM:
        pixels = rng.normal(100, 20, (1, side, side)).astype(np.float32)
    else:
        pixels = rng.integers(1, 255, (3, side, side), np.uint8)
    return write_sheet(
        folder, f"r{row}c{col}-{seed}", pixels, left=LEFT + col * SIDE, top=TOP - row * SIDE, resolution=1.0, sheet_id=1 + 10 * row + col, **more,
    )


def build(folder: Path, sheets: Sequence[Sheet], generation: int, product=ProductType.DOM, **more) -> tuple[Mosaic, ...]:
    return build_mosaics(folder, sheets, product, nearest=False, lossless=False, generation=generation, **more)


def levels(folder: Path, mosaic: Mosaic) -> list[np.ndarray]:
    found, number = [], 0
    while (path := folder / level_name(mosaic.overview, number)).exists():
        with rasterio.open(path) as level:
            found.append(np.concatenate([level.read(), level.read_masks(1)[None]]))
        number += 1
    return found


@pytest.mark.parametrize("product", [ProductType.DOM, ProductType.DEM])
def test_an_updated_copy_is_one_that_was_made_afresh(tmp_path, product):
    sheets = [sheet(tmp_path, row, col, product=product) for row in range(5) for col in range(12)]
    (first,) = build(tmp_path, sheets, 1, product)
    bytes_before = (tmp_path / first.overview).read_bytes()
    changed = [sheet(tmp_path, 2, 3, seed=1, product=product), sheet(tmp_path, 0, 0, seed=2, product=product, side=50), *sheets[2:27], *sheets[29:]]
    told = []
    (updated,) = build(tmp_path, changed, 2, product, previous=(first,), told=lambda *step: told.append(step))
    (afresh,) = build(tmp_path, changed, 3, product, executor=ThisProcess())
    assert updated.bounds == afresh.bounds == first.bounds
    one, other = levels(tmp_path, updated), levels(tmp_path, afresh)
    assert len(one) == len(other) > 3
    for number, (left, right) in enumerate(zip(one, other, strict=True)):
        assert (left == right).all(), f"level {number}"
    assert (tmp_path / first.overview).read_bytes() == bytes_before
    assert told[-1][0] == told[-1][1] and "all of it" not in told[-1][2]


def test_a_sheet_beside_the_others_needs_no_new_copy_and_one_far_away_does_and_is_told(tmp_path):
    sheets = [sheet(tmp_path, row, col) for row in range(4) for col in range(5)]
    (first,) = build(tmp_path, sheets, 1)
    told = []
    (second,) = build(tmp_path, [*sheets, sheet(tmp_path, 1, -1)], 2, previous=(first,), told=lambda *step: told.append(step))
    assert second.bounds == first.bounds and "all of it" not in told[-1][2]
    (third,) = build(tmp_path, [*sheets, sheet(tmp_path, 1, 40)], 3, previous=(second,), told=lambda *step: told.append(step))
    assert third.bounds.right > second.bounds.right and "all of it" in told[-1][2]


def test_units_lie_on_one_lattice_whatever_sheets_there_are():
    def corner(data: Bounds) -> tuple[float, float]:
        grid = OverviewGrid.around(data, "EPSG:4549", 4.0, (0.5, 0.5))
        assert grid.holds(data)
        return (grid.bounds.left - 0.5) % 2048, (grid.bounds.top - 0.5) % 2048

    assert {corner(Bounds(x, x / 3, x + 5000, x / 3 + 4000)) for x in (360_000.5, 361_024.5, 377_777.5)} == {(0.0, 0.0)}


# Who lies on top

def test_the_newest_currency_lies_on_top_then_the_later_sheet_and_no_date_is_the_oldest(tmp_path):
    dates = {1: date(2012, 5, 1), 2: date(2010, 1, 1), 3: None, 4: date(2012, 5, 1)}
    sheets = [replace(sheet(tmp_path, 0, 0, seed=number), sheet_id=number, currency=day) for number, day in dates.items()]
    (stack,) = stacked(sheets)
    assert [one.sheet_id for one in stack] == [3, 2, 1, 4]
    (mosaic,) = build(tmp_path, sheets, 1)
    assert read_table(str(tmp_path / mosaic.index), False, False).paths[0] == sheets[3].path


def test_where_sheets_of_two_crs_overlap_each_lies_where_its_currency_puts_it(tmp_path):
    """Old and new of one zone, and between them in time one of the other: no order of two mosaics could show it."""
    grey = {value: np.full((3, 400, 400), value, np.uint8) for value in (50, 120, 200)}
    old = write_sheet(tmp_path, "old", grey[50], left=LEFT, top=TOP, resolution=1.0, sheet_id=1)
    x, y = crs_room.transformer("EPSG:4549", "EPSG:4548").transform(LEFT, TOP)
    between = write_sheet(tmp_path, "between", grey[120], left=round(x) + 100.0, top=round(y) - 100.0, resolution=1.0, crs="EPSG:4548", sheet_id=2)
    new = write_sheet(tmp_path, "new", grey[200], left=LEFT + 200, top=TOP - 200, resolution=1.0, sheet_id=3)
    days = {"old": date(2001, 1, 1), "between": date(2006, 1, 1), "new": date(2011, 1, 1)}
    sheets = [replace(one, currency=days[name]) for name, one in {"old": old, "between": between, "new": new}.items()]
    mosaics = build(tmp_path, sheets, 1)
    assert [mosaic.crs for mosaic in mosaics] == ["EPSG:4549", "EPSG:4548", "EPSG:4549"]
    reader = MosaicReader(tmp_path, edition_of(tmp_path, sheets, ProductType.DOM))
    seen = [reader.sample(LEFT + at, TOP - at, "EPSG:4549")[0] for at in (50, 150, 300)]
    assert seen == [50, 120, 200]
    view = View(crs="EPSG:4549", bounds=Bounds(LEFT, TOP - 400, LEFT + 400, TOP), width=400, height=400)
    assert [int(reader.read(view).values[0, at, at]) for at in (50, 150, 300)] == [50, 120, 200]
    without_new = [one for one in sheets if one.path != new.path]
    assert {one.path for one in disturbed(sheets, without_new, mosaics, build(tmp_path, without_new, 2))} == {old.path}


def test_a_finer_sheet_disturbs_all_of_its_mosaic(tmp_path):
    coarse = [write_sheet(tmp_path, f"c{n}", np.full((3, 64, 64), 90, np.uint8), left=LEFT + 128 * n, top=TOP, resolution=2.0, sheet_id=n) for n in range(3)]
    fine = write_sheet(tmp_path, "fine", np.full((3, 64, 64), 90, np.uint8), left=LEFT, top=TOP + 64, resolution=1.0, sheet_id=9)
    assert disturbed(coarse, [*coarse, fine], build(tmp_path, coarse, 1), build(tmp_path, [*coarse, fine], 2)) == [*coarse, fine]
