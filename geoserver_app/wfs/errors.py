"""Errors as WFS 2.0 tells them: ows:ExceptionReport (OGC 06-121r9)."""

from dataclasses import replace
from typing import TYPE_CHECKING

import flask

from geoserver_app.ows_documents import document

if TYPE_CHECKING:
    from geoserver_app.errors import Told

CODES = {"LayerNotDefined": "InvalidParameterValue", "InvalidCRS": "InvalidParameterValue", "AccessDenied": "NoApplicableCode", "OverQuota": "NoApplicableCode"}
"""What a code of WMS is called here."""


def wfs_exception(words: "Told", language: str) -> flask.Response:
    locator = "typeNames" if words.locator == "LAYERS" else words.locator
    told = replace(words, code=CODES.get(words.code, words.code), locator=locator)
    return flask.Response(document("exception_wfs_2_0_0.xml", told=told, language=language), content_type="text/xml; charset=utf-8")
