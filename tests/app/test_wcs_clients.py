"""Real clients of coverages over real HTTP: GDAL's WCS driver and OWSLib, in both versions, in CRS of either order of axes.

The one layer is a picture whose colours tell row and column; every pixel that a client saves is judged by PROJ alone. Which CRS a client is
offered first follows from what its agency may ask for.
"""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import rasterio
import rasterio.warp
from coded_picture import LEFT, MIDDLE, ROWS, STEP, TOP, WEST_HALF, house, judge  # noqa: F401
from owslib.wcs import WebCoverageService
from rasterio.io import MemoryFile
from served import PATIENCE, serving

from agreements.model import Operation
from layers.crs import transform_geometry
from layers.model import Bounds

pytestmark = pytest.mark.client

VERSIONS = ("1.0.0", "2.0.1")
NATIVE = {"metres": "EPSG:4549", "degrees": "EPSG:4490", "gps": "EPSG:4326", "web": "EPSG:3857"}
"""An agency for each CRS: that of the sheets, both orders of axes, degrees and metres."""

gdal = pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="GDAL's tools are not installed: apt-get install gdal-bin")


@pytest.fixture(scope="module")
def base(house):
    area = transform_geometry(WEST_HALF, "EPSG:4549", "CRS:84")
    for agency, crs in NATIVE.items():
        house.agency(agency)
        house.grant(agency, "coded", area=area, operations={Operation.GET_COVERAGE}, crs=frozenset({crs}))
    with serving(house) as address:
        yield address


def run(*command: str, folder) -> str:
    """What a tool of GDAL prints, with nothing of this process's own GDAL in its way, and a cache of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "PROJ_", "CPL_"))}
    environ |= {"GDAL_HTTP_TIMEOUT": "20", "HOME": str(folder)}
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pixels_of(found) -> np.ndarray:
    """(row, col, RGBA): GDAL's driver hands on no mask, but of this picture the third band tells where there is one."""
    bands = found.read()
    return np.dstack([*bands, np.where(bands[2] == 200, 255, 0).astype(np.uint8)])


def coverage(base: str, house, agency: str, version: str) -> str:
    return f"WCS:{base}/wcs?key={house.keys[agency]}&version={version}&coverage=coded"


@gdal
@pytest.mark.parametrize("version", VERSIONS)
def test_gdal_lists_what_is_granted_from_the_address_that_is_pasted(base, house, tmp_path, version):
    told = json.loads(run("gdalinfo", "-json", f"WCS:{base}/wcs?key={house.keys['water']}&version={version}", folder=tmp_path))
    names = [value for name, value in told["metadata"]["SUBDATASETS"].items() if name.endswith("_NAME")]
    assert len(names) == 1 and names[0].upper().split("COVERAGE")[-1].endswith("CODED")


@gdal
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("agency", NATIVE)
def test_gdals_wcs_driver_saves_the_granted_half_in_its_place(base, house, tmp_path, agency, version):
    run("gdal_translate", "-q", coverage(base, house, agency, version), "whole.tif", folder=tmp_path)
    with rasterio.open(tmp_path / "whole.tif") as found:
        assert found.crs.to_epsg() == int(NATIVE[agency].removeprefix("EPSG:"))
        judge(pixels_of(found), NATIVE[agency], Bounds(*found.bounds))
        if agency == "metres":
            assert tuple(found.bounds) == (LEFT, TOP - ROWS * STEP, MIDDLE, TOP) and found.res == (STEP, STEP)


@gdal
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("agency", ["metres", "degrees"])
def test_a_part_at_another_size_lies_where_gdal_thinks_it_does(base, house, tmp_path, agency, version):
    run("gdal_translate", "-q", "-outsize", "37", "51", "-srcwin", "20", "30", "60", "90", coverage(base, house, agency, version), "part.tif", folder=tmp_path)
    with rasterio.open(tmp_path / "part.tif") as found:
        assert found.shape == (51, 37)
        judge_part(pixels_of(found), NATIVE[agency], Bounds(*found.bounds))


def judge_part(pixels: np.ndarray, crs: str, bounds: Bounds) -> None:
    """As `judge`, of a window that lies wholly within what is granted."""
    assert (pixels[..., 3] > 0).all()
    number = (pixels[..., 0].astype(int) << 8) + pixels[..., 1]
    height, width = number.shape
    x = bounds.left + (np.arange(width) + 0.5) * bounds.width / width
    y = bounds.top - (np.arange(height) + 0.5) * bounds.height / height
    east, north = rasterio.warp.transform(crs, "EPSG:4549", *(one.ravel().tolist() for one in np.meshgrid(x, y)))
    off_col = (np.array(east).reshape(number.shape) - LEFT) / STEP - (number % 240 + 0.5)
    off_row = (TOP - np.array(north).reshape(number.shape)) / STEP - (number // 240 + 0.5)
    assert max(np.abs(off_col).max(), np.abs(off_row).max()) <= 2.0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("agency", NATIVE)
def test_owslib_reads_the_documents_and_the_coverage(base, house, agency, version):
    service = WebCoverageService(f"{base}/wcs?key={house.keys[agency]}", version=version, timeout=20)
    assert list(service.contents) == ["coded"]
    one, crs = service.contents["coded"], NATIVE[agency]
    west, south, east, north = transform_geometry(WEST_HALF, "EPSG:4549", "CRS:84").bounds
    if version == "1.0.0":
        box = one.boundingBoxWGS84
        assert west <= box[0] < box[2] <= east + 1e-3 and south <= box[1] < box[3] <= north
        assert {name.getcode() for name in one.supportedCRS} == {crs} and "image/tiff" in one.supportedFormats
        edges = one.boundingboxes[0]["bbox"]
        low, high = (int(value) for value in one.grid.highlimits)
        answer = service.getCoverage(identifier="coded", bbox=edges, crs=crs, format="image/tiff", width=low + 1, height=high + 1)
    else:
        assert one.supportedFormats and [float(value) for value in one.grid.origin]
        answer = service.getCoverage(identifier="coded", format="image/tiff")
    with MemoryFile(answer.read()) as memory, memory.open() as found:
        judge(np.dstack([*found.read(), found.read_masks(1)]), crs, Bounds(*found.bounds))


@pytest.mark.parametrize(("agency", "subsets"), [
    ("metres", [("X", TOP - 500, TOP - 200), ("Y", LEFT + 100, LEFT + 400)]), ("degrees", [("Long", 118.7725, 118.7755), ("Lat", 32.0430, 32.0455)]),
    ("gps", [("Lat", 32.0430, 32.0455), ("Long", 118.7725, 118.7755)]),
])
def test_owslib_asks_for_a_subset_by_the_names_of_the_axes(base, house, agency, subsets):
    service = WebCoverageService(f"{base}/wcs?key={house.keys[agency]}", version="2.0.1", timeout=20)
    answer = service.getCoverage(identifier="coded", format="image/tiff", subsets=subsets)
    with MemoryFile(answer.read()) as memory, memory.open() as found:
        judge_part(np.dstack([*found.read(), found.read_masks(1)]), NATIVE[agency], Bounds(*found.bounds))
