"""VCT files that were delivered: listed by their heads for the bureau, and never served."""

import geopandas
import pytest
import shapely
from click.testing import CliRunner

from geoserver_app.cli import main
from geoserver_app.database import connect
from geoserver_app.ingesting import check, ingest
from geoserver_app.quarantine import quarantined
from geoserver_app.settings import Settings
from layers.catalogue import SqlCatalogue
from layers.errors import IngestFailed

HEAD = """HeadBegin
DataMark: LANDUSE-VCT
Version: 2.0
CoordinateSystemType: P
ExtentMin: 40382000.0,3551000.0
ExtentMax: 40390000.0,3556000.0
MapScale: 10000
Projection: 高斯-克吕格投影
Date: 20110601
HeadEnd
"""


@pytest.fixture
def settings(tmp_path):
    return Settings.at(tmp_path / "data")


@pytest.fixture
def vct(tmp_path):
    folder = tmp_path / "delivered"
    folder.mkdir()
    (folder / "土地利用.vct").write_bytes(HEAD.encode("gb18030"))
    return folder / "土地利用.vct"


def listed(settings):
    database = connect(settings.database_url)
    found = quarantined(database)
    layers = SqlCatalogue(database).snapshot().layers
    database.dispose()
    return found, layers


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_vct_file_is_refused_and_its_head_is_listed(settings, vct, as_folder):
    with pytest.raises(IngestFailed, match="VCT file"):
        ingest(settings, product="DLG", name="landuse", edition="2011", paths=[vct.parent if as_folder else vct], workers=0)
    (one,), layers = listed(settings)
    assert (one.file_name, one.layer, one.edition, one.format, one.scale) == ("土地利用.vct", "landuse", "2011", "LANDUSE-VCT 2.0", "1:10000")
    assert (one.extent, one.projection, one.dated, one.bytes) == ("40382000.0 3551000.0 40390000.0 3556000.0", "高斯-克吕格投影", "20110601", vct.stat().st_size)
    assert len(one.checksum) == 64 and one.job is not None and not layers


def test_it_is_listed_once_however_often_it_is_delivered_and_beside_good_files_too(settings, vct):
    line = geopandas.GeoDataFrame({"NAME": ["x"]}, geometry=[shapely.LineString([(118.7, 32), (118.8, 32.1)])], crs="EPSG:4490")
    line.to_file(vct.parent / "HYDL.gpkg", layer="HYDL", driver="GPKG")
    for _ in range(2):
        edition = ingest(settings, product="DLG", name="landuse", edition="2011", paths=[vct.parent], workers=0)
    found, layers = listed(settings)
    assert len(found) == 1 and [one.name for one in edition.classes] == ["HYDL"] and edition.sheet_count == 1
    assert not list(settings.store.rglob("*.vct"))


def test_a_check_lists_nothing_and_what_has_no_head_is_not_listed(settings, vct, tmp_path):
    check(settings, tmp_path / "report", product="DLG", name="landuse", edition="2011", paths=[vct], workers=0)
    assert listed(settings)[0] == ()
    vct.write_bytes(b"no head")
    with pytest.raises(IngestFailed):
        ingest(settings, product="DLG", name="landuse", edition="2011", paths=[vct], workers=0)
    assert listed(settings)[0] == ()


def test_the_list_is_told_at_the_shell(settings, vct, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSHARE_DATA", str(settings.data))
    with pytest.raises(IngestFailed):
        ingest(settings, product="DLG", name="landuse", edition="2011", paths=[vct], workers=0)
    done = CliRunner().invoke(main, ["layer", "quarantined", "--json"])
    assert done.exit_code == 0 and "LANDUSE-VCT 2.0" in done.output and str(tmp_path) not in done.output
