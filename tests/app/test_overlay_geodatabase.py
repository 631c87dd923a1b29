"""An agency may register a file geodatabase, zipped as its folder, as an overlay: opened by the program that opens all uploads."""

import warnings
import zipfile

import geopandas
import pyogrio
import pytest
import shapely

from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.sandbox import Caps, opened


@pytest.fixture
def zipped(tmp_path):
    stations = geopandas.GeoDataFrame({"NAME": ["鼓楼所", "玄武所"]}, geometry=[shapely.Point(118.76, 32.05), shapely.Point(118.79, 32.06)], crs="EPSG:4490")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.write_dataframe(stations, tmp_path / "stations.gdb", driver="OpenFileGDB", layer="stations")
    archive = tmp_path / "upload.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted((tmp_path / "stations.gdb").iterdir()):
            target.writestr(f"stations.gdb/{path.name}", path.read_bytes())
    return archive


def test_a_zipped_geodatabase_becomes_a_clean_geopackage(zipped, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    told = opened(zipped, folder, "vectors", Caps())
    (made,) = told["files"]
    assert list(pyogrio.read_dataframe(folder / made, layer="stations").NAME) == ["鼓楼所", "玄武所"]


def test_its_features_count_for_the_caps(zipped, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    with pytest.raises(OverlayInvalid) as caught:
        opened(zipped, folder, "vectors", Caps(most_features=1))
    assert caught.value.finding.code == "overlay-too-many"
