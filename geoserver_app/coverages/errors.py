"""Errors as WCS tells them: ServiceExceptionReport 1.2.0 in version 1.0.0 (OGC 03-065r6, annex A), ows:ExceptionReport in 2.0.1 (OGC 06-121r9)."""

from dataclasses import replace
from typing import TYPE_CHECKING

import flask

from geoserver_app.ows_documents import document
from tiles.errors import RequestInvalid
from tiles.requests import pairs_of
from tiles.requests.wcs import NEW, OLD, wcs_version

if TYPE_CHECKING:
    from geoserver_app.errors import Told

CODES = {
    OLD: {"LayerNotDefined": "CoverageNotDefined"},
    NEW: {"LayerNotDefined": "NoSuchCoverage", "InvalidFormat": "InvalidParameterValue", "InvalidCRS": "InvalidParameterValue"},
}
"""What a code of WMS is called here."""

LOCATORS = {"LAYERS": {OLD: "coverage", NEW: "coverageId"}, "COVERAGE": {OLD: "coverage"}, "COVERAGEID": {NEW: "coverageId"}}


def wcs_exception(words: "Told", query: str, language: str) -> flask.Response:
    version = version_of(query)
    code = CODES[version].get(words.code, words.code)
    told = replace(words, code=code, locator=LOCATORS.get(words.locator, {}).get(version, words.locator))
    if version == OLD:
        return flask.Response(document("exception_wcs_1_0_0.xml", told=told), content_type="application/vnd.ogc.se_xml; charset=utf-8")
    return flask.Response(document("exception_wcs_2_0_1.xml", told=told, language=language), content_type="text/xml; charset=utf-8")


def version_of(query: str) -> str:
    """As the request is read, as far as it can be. Never raises."""
    try:
        first: dict[str, str] = {}
        for name, value in pairs_of(query):
            first.setdefault(name.upper(), value)
        if first.get("REQUEST", "").upper() == "GETCAPABILITIES":
            return OLD if first.get("VERSION", "").startswith(("0", "1")) else NEW
        return wcs_version(first.get("VERSION", ""), has_coverage=bool(first.get("COVERAGE")))
    except RequestInvalid:
        return NEW
