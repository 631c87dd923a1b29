"""What the data manager's page says of sheets is so."""

import re
from pathlib import Path

from layers.model import Bounds, Edition, ProductType, Sheet
from layers.sheets import any_number, old_number, scale_of, sheet_frame
from layers.sheets.index import CURRENT, HOLE, OLDER, SUPERSEDED, as_frame, index_of

FRAME = sheet_frame("I50G095077")
SHEET = Sheet(
    sheet_id=1, number="I50G095077", source_name="x.tif", path="", crs="EPSG:4549", bounds=Bounds(0, 0, 1, 1), footprint=FRAME, width=1, height=1, resolution=(1, 1), band_count=1,
    dtype="uint8", nodata=None, checksum="", lineage=(),
)
ONE = (Edition(edition_id=1, name="2011", layer="dom", product=ProductType.DOM, currency=(None, None), generation=1, folder="", crs="EPSG:4549", extent=FRAME, resolution=1.0), [SHEET])
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data-manager.md").read_text("utf-8")


def test_the_table_of_numbers_is_what_the_service_reads_and_writes():
    rows = re.findall(r"^\| `([^`]+)` \| `([A-V]\d{2}[^`]*)` \| 1:([\d,]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 8
    for old, new, denominator in rows:
        assert any_number(old) == new and old_number(new) == old and f"{scale_of(new).denominator:,}" == denominator


def test_the_spellings_that_are_named_are_one_sheet():
    (said,) = re.findall(r"^A number is read in any spelling: (.+?)\. What has", PAGE, re.MULTILINE | re.DOTALL)
    numbers = {any_number(text) for text in re.findall(r"`([^`]+)`", said)}
    assert numbers == {"I50G095077", "I50E024020"}


def test_every_column_and_status_of_the_index_is_told():
    told = set(re.findall(r"`([A-Z_]+)`", PAGE))
    assert set(as_frame(index_of([ONE])).columns) - {"NAME", "WITHIN", "geometry"} <= told
    assert {CURRENT, OLDER, SUPERSEDED, HOLE} <= set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE))
