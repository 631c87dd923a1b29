"""The page about deliveries names what is taken, and nothing else."""

import re
from pathlib import Path

import pytest

from layers.delivery.formats import DRIVERS
from layers.delivery.sheet_facts import COLUMNS
from layers.ingest.validation import MANY_SHEETS, SEAM_THRESHOLD


@pytest.fixture(scope="module")
def page():
    return (Path(__file__).resolve().parents[2] / "docs" / "deliveries.md").read_text("utf-8")


def test_every_suffix_that_is_taken_is_in_the_table(page):
    table = page.partition("| suffix |")[2].partition("\n\n")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\.\w+)`", first)) == set(DRIVERS)


def test_the_columns_of_the_table_of_sheets_are_told(page):
    assert ",".join(COLUMNS) in page


def test_thresholds_are_those_that_are_kept(page):
    assert f"`--seam-threshold` ({SEAM_THRESHOLD:g} m)" in page and f"beyond {MANY_SHEETS} sheets" in page
