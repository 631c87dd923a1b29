"""What is told of real files before they are published; and real heights through every format that is taken."""

import numpy as np
import pytest
import rasterio

from layers.ingest.adding import AddLayer
from layers.ingest.job import check_layer
from layers.ingest.validation import State, validate
from layers.model import ProductType

pytestmark = pytest.mark.real_data


@pytest.fixture
def report_of(memory, store):
    def run(product, *paths, name="layer", edition="2011", **options):
        found = []
        request = AddLayer(product=ProductType(product), name=name, edition=edition, paths=paths, **options)
        check_layer(memory, store, request, lambda inspected: found.append(validate(inspected, memory)), workers=0)
        return found[0]
    return run


def test_two_adjoining_sheets_are_good_and_their_overlap_is_told(report_of, shared_data):
    report = report_of("DOM", *sorted((shared_data / "swellendam").glob("ortho_*.tif")))
    assert report.count(State.GOOD) == 2 and not report.gaps and len(report.overlaps) == 1
    assert all(sheet.crs == "EPSG:4326" and sheet.bands == 4 and sheet.thumbnail for sheet in report.sheets)


def test_a_newer_edition_of_the_same_ground_stands_beside_the_older(add, memory, report_of, shared_data):
    old, new = (next((shared_data / "chips").glob(f"naip_nd_{year}_*.tif")) for year in (2009, 2020))
    add("DOM", old, name="naip", edition="2009")
    report = report_of("DOM", new, name="naip", edition="2020")
    assert [sheet.state for sheet in report.sheets] == [State.GOOD] and report.sheets[0].currency == "2020-01-01"
    edition = add("DOM", new, name="naip", edition="2020")
    assert [each.name for each in memory.snapshot().layers["naip"].editions] == ["2020", "2009"] and edition.resolution == pytest.approx(5, abs=0.1)
    (again,) = report_of("DOM", new, name="naip", edition="2009").sheets
    assert again.state is State.WARNED and [finding.code for finding in again.findings] == ["copy-served"]


def test_files_of_other_places_and_systems_each_get_their_sentence_in_one_report(report_of, shared_data):
    paths = [shared_data / "utah" / "provo_dem_30m_26912.tif", shared_data / "dc_lidar" / "dtm.tif", shared_data / "itasca" / "usgs_drg_1926.tif"]
    told = {sheet.name: sheet for sheet in report_of("DEM", *paths).sheets}
    assert "no heights (-32767 to" in told["provo_dem_30m_26912.tif"].fault and "--nodata -32767" in told["provo_dem_30m_26912.tif"].mend
    assert told["dtm.tif"].state is State.GOOD and told["dtm.tif"].nodata == -9999
    assert told["usgs_drg_1926.tif"].fault == "it is a picture with a palette, not a DEM"
    assert report_of("DOM", paths[2], crs="EPSG:26915").sheets[0].state is State.GOOD


def test_a_surface_and_its_ground_differ_as_a_seam_would(report_of, shared_data):
    report = report_of("DEM", shared_data / "dc_lidar" / "dsm.tif", shared_data / "dc_lidar" / "dtm.tif")
    with rasterio.open(shared_data / "dc_lidar" / "dsm.tif") as a, rasterio.open(shared_data / "dc_lidar" / "dtm.tif") as b:
        difference = (b.read(1, masked=True).astype(float) - a.read(1, masked=True)).compressed()
    (seam,) = report.seams
    assert seam.cells == difference.size and seam.rms == pytest.approx(np.sqrt((difference ** 2).mean())) and seam.most == pytest.approx(abs(difference).max())


@pytest.mark.parametrize("form", ["asc", "img", "nsdtf"])
def test_real_heights_are_the_same_through_every_format(taken, shared_data, tmp_path, form):
    with rasterio.open(shared_data / "dc_lidar" / "dtm.tif") as source:
        heights, profile, bounds = source.read(1, masked=True), source.profile, source.bounds
    grid, path = profile["transform"], tmp_path / f"dtm.{'dem' if form == 'nsdtf' else form}"
    if form == "img":
        with rasterio.open(path, "w", **(profile | {"driver": "HFA", "tiled": False})) as target:
            target.write(heights.filled(-9999), 1)
    else:
        cells = heights.filled(-9999) if form == "asc" else np.where(heights.mask, -99999, np.round(heights.data * 100)).astype(int)
        head = (f"ncols {heights.shape[1]}\nnrows {heights.shape[0]}\nxllcorner {grid.c!r}\nyllcorner {grid.f + grid.e * heights.shape[0]!r}\ncellsize {grid.a!r}\n"
                f"nodata_value -9999\n" if form == "asc" else
                f"NSDTF-DEM\n1.0\nM\n0\n0\n{grid.c + grid.a / 2}\n{grid.f + grid.e / 2}\n{grid.a}\n{-grid.e}\n{heights.shape[0]}\n{heights.shape[1]}\n100\n")
        path.write_text(head + "\n".join(" ".join(map(repr if form == "asc" else str, row.tolist())) for row in cells))
    sheet, written = taken("DEM", path, crs=None if form == "img" else "EPSG:26918")
    with rasterio.open(written) as target:
        result = target.read(1, masked=True)
        assert target.bounds == pytest.approx(tuple(bounds), abs=1e-3)
    assert (result.mask == heights.mask).all() and abs(result - heights).max() <= (0.0051 if form == "nsdtf" else 0.0)
