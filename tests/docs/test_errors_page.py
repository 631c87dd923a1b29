"""The page of errors has a heading for every name that an answer may bear."""

import re
from pathlib import Path

from agreements.terms import REASON_CODES
from geoserver_app.errors import SILENT
from tiles.requests import FAULTS
from tiles.requests.wcs_faults import WCS_FAULTS
from tiles.requests.wfs_faults import WFS_FAULTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text("utf-8")
HEADINGS = set(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE))
OF_THE_SERVICE = {
    "key-missing", "key-unknown", "key-ambiguous", "no-agreement", "style-not-defined", "no-edition-then", "time-contradicts", "outside-crs", "datum-refused",
    "datum-not-known", "datum-not-stated", "datum-ellipsoidal", "datum-of-gauges", "datum-no-way", "datum-elsewhere", "not-elevation",
    "too-many-guesses", "not-signed-in", "sign-in-refused", "password-must-change", "role-missing", "own-session-only", "form-forged",
    "nothing-there", "input-faulty", "body-media-type", "in-conflict", "changed-meanwhile",
    "package-no-data", "package-not-ready", "package-gone", "package-taken-back", "package-narrower", "package-numbers", "package-features", "package-one-range", "package-range", "packages-waiting",
    "route-none", "route-tables", "route-name", "route-far", "stake-spelling", "stake-none", "stake-twice", "stakes-order",
    "gauge-none", "gauge-name", "gauge-tables", "gauge-no-level", "gauge-no-datum", "gauge-datum-own", "gauge-datum-contradiction", "gauge-water-not-there",
    "gauge-one-elevation",
    "request-invalid", "no-route", "no-method", "http", "not-trusted", "render-failed", "unexpected",
}


def test_every_fault_of_a_request_has_its_heading():
    assert FAULTS.keys() | WCS_FAULTS.keys() | WFS_FAULTS.keys() <= HEADINGS


def test_every_reason_of_an_agreement_has_its_heading():
    assert set(REASON_CODES) - SILENT <= HEADINGS


def test_no_heading_is_of_a_name_that_no_answer_bears():
    assert HEADINGS == FAULTS.keys() | WCS_FAULTS.keys() | WFS_FAULTS.keys() | OF_THE_SERVICE | (set(REASON_CODES) - SILENT)
