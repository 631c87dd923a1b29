"""The report as people and machines read it."""

import json
import re
from datetime import UTC, datetime

import geopandas
import jsonschema
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.transform import Affine

from geoserver_app.cli import main
from geoserver_app.ingesting import check, ingest
from geoserver_app.settings import Settings
from geoserver_app.validation.report import SCHEMA, write_report
from geoserver_app.validation.words import FINDINGS, finding_in_words, in_chinese

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    return Settings.at(tmp_path / "data")


@pytest.fixture
def delivered(tmp_path):
    """A folder with one good sheet, one that is empty, and one whose name has markup in it."""
    folder = tmp_path / "delivered"
    folder.mkdir()
    values = np.random.default_rng(2).integers(1, 255, (3, 94, 120)).astype(np.uint8)
    with rasterio.open(folder / "I50G095077DOM.tif", "w", driver="GTiff", count=3, height=94, width=120, dtype="uint8", crs="EPSG:4549",
                       transform=Affine(50, 0, 381950, 0, -50, 3551800)) as target:
        target.write(values)
    (folder / "empty.tif").touch()
    (folder / "<script>alert(1)<.tif").write_bytes(b"%PDF-1.4")
    return folder


def test_the_report_of_a_check_is_whole_bilingual_and_holds_to_its_schema(settings, delivered, tmp_path):
    check(settings, tmp_path / "report", product="DOM", name="dom", edition="2011", paths=[delivered], workers=0)
    document = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text("utf-8")))
    assert document["counts"]["refused"] == 2 and document["job"] is None
    assert [sheet["fault_zh"] for sheet in document["sheets"] if sheet["name"] == "empty.tif"] == ["文件为空"]
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "没有发布任何内容" in page and "nothing was published" in page and "文件为空" in page and "deliver it again" in page
    assert "data:image/webp" in page and 'name="viewport"' in page
    assert "<script" not in page and not re.search(r"(src|href)=\"(?!data:)", page) and str(tmp_path) not in page
    assert not list((settings.store).rglob("*.tif"))


def test_every_ingest_leaves_its_report_by_the_number_of_the_job(settings, delivered):
    for path in delivered.iterdir():
        if path.name != "I50G095077DOM.tif":
            path.unlink()
    ingest(settings, product="DOM", name="dom", edition="2011", paths=[delivered], workers=0)
    (page,) = (settings.data / "reports").rglob("report.html")
    document = json.loads(page.with_name("report.json").read_text("utf-8"))
    assert page.parent.name == str(document["job"]) and document["counts"]["good"] == 1
    jsonschema.validate(document, json.loads(SCHEMA.read_text("utf-8")))


def test_the_command_ends_with_1_where_a_file_would_be_refused(settings, delivered, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSHARE_DATA", str(settings.data))
    words = ["layer", "check", "--product", "DOM", "--name", "dom", "--edition", "2011", "--report", str(tmp_path / "r"), "--workers", "1"]
    result = CliRunner().invoke(main, [*words, str(delivered / "empty.tif")])
    assert result.exit_code == 1 and "empty.tif: the file is empty: deliver it again" in result.output
    assert "dom@2011: 0 good, 0 warned, 1 refused" in result.output and (tmp_path / "r" / "report.html").exists()


@pytest.mark.parametrize("code", sorted(FINDINGS))
def test_every_finding_has_both_languages(code):
    values = dict.fromkeys(("crs", "of", "where", "name", "currency", "new", "old", "percent", "other", "rms", "most", "table", "loose", "ends"), "X") | {"sentence": "the file is empty"}
    chinese, english = finding_in_words(code, values)
    assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english)


def test_sentences_keep_what_they_name_in_chinese():
    assert in_chinese("its head says 3 rows of 4 columns, which is 12 values, but it holds more") == "文件头为 3 行 4 列，共 12 个数，实际为 more"
    assert in_chinese("something nobody foresaw") == "something nobody foresaw"


def test_a_report_replaces_the_one_before_as_a_whole(settings, delivered, tmp_path):
    report = check(settings, tmp_path / "r", product="DOM", name="dom", edition="2011", paths=[delivered], workers=0)
    write_report(report, tmp_path / "r", now=NOW)
    assert "2026-11-25T00:00:00+00:00" in (tmp_path / "r" / "report.json").read_text("utf-8")
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["report.html", "report.json"]


def lines_of_two_sheets(folder):
    """Two neighbouring sheets of a line map: a road that does not go on, an area that crosses itself, the same pond twice, an unknown code."""
    bow = shapely.Polygon([(118.76, 32.05), (118.77, 32.06), (118.77, 32.05), (118.76, 32.06)])
    ponds = geopandas.GeoDataFrame({"GB": ["230102"] * 3}, geometry=[bow, *[shapely.box(118.78, 32.05, 118.781, 32.051)] * 2], crs="EPSG:4490")
    for number, roads in (("I50G095077", [[(118.79, 32.05), (118.8125, 32.05)], [(118.79, 32.06), (118.8125, 32.06)]]), ("I50G095078", [[(118.8125, 32.05), (118.83, 32.05)]])):
        lines = geopandas.GeoDataFrame({"GB": ["420201"] * (len(roads) - 1) + ["999999"]}, geometry=[shapely.LineString(road) for road in roads], crs="EPSG:4490")
        pyogrio.write_dataframe(lines, folder / f"{number}.gpkg", layer="LRDL")
    pyogrio.write_dataframe(ponds, folder / "I50G095077.gpkg", layer="HYDA")


def test_the_report_of_a_line_map_tells_tables_and_edges_in_both_languages(settings, tmp_path):
    (tmp_path / "lines").mkdir()
    lines_of_two_sheets(tmp_path / "lines")
    check(settings, tmp_path / "report", product="DLG", name="dlg", edition="2011", paths=[tmp_path / "lines"], workers=0)
    document = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text("utf-8")))
    assert document["counts"]["loose_ends"] == 1 and [(edge["table"], edge["ends"], edge["loose"]) for edge in document["edges"]] == [("LRDL", 3, 1)]
    (west,) = (sheet for sheet in document["sheets"] if sheet["number"] == "I50G095077")
    found = {(table["table"], one["code"]): one for table in west["tables"] for one in table["findings"]}
    assert found["HYDA", "invalid"]["keys"] == [1] and found["HYDA", "invalid"]["places"][0]["why_zh"] == "自相交"
    assert found["HYDA", "duplicate"]["keys"] == [3] and found["HYDA", "duplicate"]["places"][0]["why"] == "2"
    assert found["LRDL", "code-unknown"]["keys"] == [2] and "999999 (1)" in found["LRDL", "code-unknown"]["en"]
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    for words in ("线状要素接边", "Lines at the edges of sheets", "自相交", "Self-intersection", "与其重复", "999999 (1)", "1 of 3 ends of LRDL at the edge with I50G095078.gpkg have no partner there"):
        assert words in page
    assert "built-in method" not in page and str(tmp_path) not in page
