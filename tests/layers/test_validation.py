"""What is told of a delivery before it is published: sheets, seams, holes, copies."""

import numpy as np
import pytest
import shapely

from layers import crs as reference
from layers.errors import IngestFailed
from layers.ingest.adding import AddLayer
from layers.ingest.coverage_gaps import gaps_between, missing_sheets, overlapping
from layers.ingest.job import add_layer, check_layer
from layers.ingest.validation import State, validate
from layers.model import Bounds, ProductType
from layers.sheets import numbers as sheets

CELL = 50.0


@pytest.fixture
def elevation_sheet(write_raster):
    """Writes the DEM of a 1:10,000 sheet in EPSG:4549 with a margin of some cells: heights rise to the east, `lift` metres above the others."""
    def write(number, lift=0.0, name=None, margin=3, crs="EPSG:4549", **profile):
        frame = reference.transform_bounds(sheets.sheet_bounds(number), "CRS:84", crs)
        left, top = (np.floor(frame.left / CELL) - margin) * CELL, (np.ceil(frame.top / CELL) + margin) * CELL
        columns = int(np.ceil((frame.right - left) / CELL)) + margin
        rows = int(np.ceil((top - frame.bottom) / CELL)) + margin
        x = left + (np.arange(columns) + 0.5) * CELL
        values = np.repeat(((x - 380_000) / 1000 + lift)[None, None, :], rows, axis=1).astype(np.float32)
        return write_raster(name or f"{number}DEM.tif", values, crs=crs, left=left, top=top, cell=CELL, **profile)
    return write


@pytest.fixture
def report_of(memory, store):
    """The report of a check; nothing may be left in the store or the catalogue."""
    def run(product, *paths, name="layer", edition="2011", **options):
        before = memory.snapshot()
        found = []
        files = sorted(path for path in store.rglob("*") if path.is_file())
        check_layer(memory, store, AddLayer(product=ProductType(product), name=name, edition=edition, paths=paths, **options),
                    lambda inspected: found.append(validate(inspected, memory)), workers=0)
        assert memory.snapshot() == before
        assert files == sorted(path for path in store.rglob("*") if path.is_file())
        return found[0]
    return run


def by_name(report):
    return {sheet.name: sheet for sheet in report.sheets}


def codes(sheet):
    return [finding.code for finding in sheet.findings]


def test_nine_sheets_less_one_with_a_step_are_told_so(report_of, elevation_sheet):
    numbers = [f"I50G{row}{column}" for row in ("094", "095", "096") for column in ("077", "078", "079")]
    missing, lifted = "I50G095078", "I50G094079"
    paths = [elevation_sheet(number, lift=5.0 if number == lifted else 0.0) for number in numbers if number != missing]
    report = report_of("DEM", *paths)
    assert [gap.number for gap in report.gaps] == [missing] and report.gaps[0].km2 == pytest.approx(27.3, abs=0.5)
    assert not report.overlaps
    steps = [seam for seam in report.seams if seam.rms > report.seam_threshold]
    assert {name for seam in steps for name in (seam.first, seam.second)} == {f"{n}DEM.tif" for n in (lifted, "I50G094078", "I50G095079")}
    assert all(seam.rms == pytest.approx(5, abs=0.01) and seam.most == pytest.approx(5, abs=0.01) for seam in steps)
    assert len(report.seams) >= 10 and all(seam.rms < 0.01 for seam in report.seams if seam not in steps)
    checked = by_name(report)
    assert checked[f"{lifted}DEM.tif"].state is State.WARNED and "step-at-seam" in codes(checked[f"{lifted}DEM.tif"])
    good = checked["I50G096077DEM.tif"]
    assert good.state is State.GOOD and good.findings == () and good.thumbnail.startswith("data:image/webp;base64,")
    assert good.crs == "EPSG:4549" and good.datum_accuracy == 1.0 and good.frame.left > good.bounds.left


def test_sheets_of_two_zones_are_compared_where_they_meet(report_of, elevation_sheet):
    west, east = "I50G095048", "I50G095049"             # 118.5 E parts the zones of 117 and 120
    flat = {"crs": "EPSG:4548"}
    report = report_of("DEM", elevation_sheet(west, lift=-200, **flat), elevation_sheet(east, crs="EPSG:4549"))
    assert len(report.seams) == 1 and report.seams[0].cells > 50


def test_refused_files_and_good_ones_are_in_one_report(report_of, elevation_sheet, tmp_path):
    good = elevation_sheet("I50G095077")
    (tmp_path / "empty.tif").touch()
    report = report_of("DEM", tmp_path / "empty.tif", good, tmp_path / "none.tif")
    assert [(sheet.name, sheet.state) for sheet in report.sheets] == [
        ("empty.tif", State.REFUSED), ("none.tif", State.REFUSED), ("I50G095077DEM.tif", State.GOOD)]
    assert by_name(report)["empty.tif"].fault == "the file is empty" and not report.is_clean


def test_a_zip_that_can_t_be_opened_is_a_refused_file_of_the_report(report_of, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no")
    assert [sheet.fault for sheet in report_of("DEM", tmp_path / "a.zip").sheets] == ["it is not a zip archive, or is truncated"]


def test_copies_are_told_within_a_delivery_and_against_what_is_served(report_of, add, elevation_sheet, tmp_path):
    path = elevation_sheet("I50G095077")
    twin = tmp_path / "again" / path.name
    twin.parent.mkdir()
    twin.write_bytes(path.read_bytes())
    report = report_of("DEM", path, twin)
    assert sorted(codes(sheet) for sheet in report.sheets) == [[], ["copy-in-delivery"]]
    add("DEM", path, name="other")
    assert codes(report_of("DEM", path).sheets[0]) == ["copy-served"]
    assert codes(report_of("DEM", path, name="other").sheets[0]) == ["unchanged"]


def test_what_replaces_a_served_sheet_is_told_with_both_currencies(report_of, add, elevation_sheet):
    add("DEM", elevation_sheet("I50G095077", name="I50G095077DEM_2011.tif"))
    told = report_of("DEM", elevation_sheet("I50G095077", lift=1, name="I50G095077DEM_2009.tif")).sheets[0]
    assert codes(told) == ["replaces", "older-than-served"] and told.state is State.WARNED


def test_a_sheet_with_half_its_cells_says_how_much_of_its_frame_is_empty(report_of, write_raster):
    frame = reference.transform_bounds(sheets.sheet_bounds("I50G095077"), "CRS:84", "EPSG:4549")
    values = np.full((1, 94, 120), 7, np.float32)
    values[:, 50:] = -9999
    path = write_raster("I50G095077DEM.tif", values, left=frame.left, top=frame.top, cell=50.0, nodata=-9999)
    (sheet,) = report_of("DEM", path).sheets
    assert codes(sheet) == ["sheet-not-filled"] and 40 < sheet.findings[0].values["percent"] < 55 and sheet.hidden_share > 0.4


def test_a_report_is_shown_before_a_job_publishes_and_also_when_it_fails(memory, store, elevation_sheet, tmp_path):
    seen = []
    request = AddLayer(product=ProductType.DEM, name="layer", edition="2011", paths=(elevation_sheet("I50G095077"),))
    add_layer(memory, store, request, workers=0, inspect=lambda inspected: seen.append((inspected.job, dict(memory.snapshot().layers))))
    assert seen == [(memory.jobs()[0].job_id, {})]
    (tmp_path / "empty.tif").touch()
    with pytest.raises(IngestFailed):
        add_layer(memory, store, AddLayer(product=ProductType.DEM, name="bad", edition="1", paths=(tmp_path / "empty.tif",)), workers=0,
                  inspect=lambda inspected: seen.append([str(fault) for fault in inspected.faults]))
    assert seen[-1] == ["empty.tif: the file is empty: deliver it again"]


# Holes

@pytest.mark.parametrize("there, expected", [
    (["I50G095077", "I50G095079"], ["I50G095078"]),                                      # between west and east
    (["I50G095096", "I51G095002"], ["I51G095001"]),                                      # over the edge of the 1:1,000,000 sheet
    (["I50G095077", "I50G096078"], []),                                                  # a corner alone encloses nothing
    (["I50G095077", "I50E024021"], []),                                                  # of two scales
])
def test_sheets_missing_between_neighbours_are_named(there, expected):
    assert [number for number, _ in missing_sheets(there)] == expected


def test_a_hollow_of_many_sheets_is_named_whole():
    ring = [f"I50G{row:03d}{column:03d}" for row in range(10, 15) for column in range(20, 26) if row in (10, 14) or column in (20, 25)]
    assert {number for number, _ in missing_sheets(ring)} == {f"I50G{row:03d}{column:03d}" for row in range(11, 14) for column in range(21, 25)}


def test_slivers_are_found_but_not_those_of_arithmetic(a_sheet):
    def box(name, *bounds):
        return a_sheet(name, number=None, footprint=shapely.box(*bounds), crs="EPSG:4490", resolution=(0.001, 0.001), bounds=Bounds(*bounds))
    around = [box("s", 0, 0, 3, 1), box("n", 0, 2, 3, 3), box("w", 0, 1, 1, 2)]
    (hole,) = gaps_between([*around, box("e", 2, 1, 3, 2)], [])
    assert hole.area == pytest.approx(1, rel=0.01)
    assert gaps_between([*around, box("e", 1.0005, 1, 3, 2)], []) == []
    assert gaps_between([*around, box("e", 2, 1, 3, 2)], [shapely.box(1, 1, 2, 2)]) == []


def test_sheets_that_cover_one_another_are_told_with_how_much(a_sheet):
    one, other = (a_sheet(name, footprint=shapely.box(left, 32, left + 0.1, 32.1)) for name, left in (("a.tif", 118.0), ("b.tif", 118.05)))
    ((first, second, km2),) = overlapping([one, other])
    assert (first, second) == ("a.tif", "b.tif") and km2 == pytest.approx(52.4, abs=0.5)
