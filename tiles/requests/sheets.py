"""What is asked of sheets: a search, the list of a layer's sheets, the lineage of a view. Closed grammars; nothing raises but RequestInvalid.

    /sheets?q=I-50-142-(53)     /sheets?lon=118.78&lat=32.05&scale=10000     /sheets?division=320106&scale=10000
    /layers/{layer}/sheets?bbox=118,32,119,33&edition=2011&newer_than=2024-03-01T00:00:00Z&have=I50G095077:9f86d081,...
    /lineage?layer=dom@2011&bbox=118,32,119,33&crs=CRS:84     /lineage?layer=dom&tile=WebMercatorQuad/14/13596/6645

A bbox is x before y in every CRS. Names of parameters are read in any case, each at most once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from layers.crs import SERVED, parse_crs
from layers.errors import CrsNotServed, SheetNumberInvalid
from layers.model import EDITION, Bounds, LayerName, View
from layers.sheets import any_number, numbers_meant, scale_named
from tiles.errors import RequestTooLarge
from tiles.requests.ogc import WHOLE, Limits, Pairs, Parameters, decimal, fault, layer_name, may_be_shown, tile_matrix_set

DEFAULT_SCALE = "G"
CHINA_TIME = timezone(timedelta(hours=8))
LIMITS = Limits()
MOST_HELD = 20_000
"""Sheets that a caller may say he has."""

MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?")
CHECKSUM = re.compile(r"[0-9a-f]{8,64}")
DIVISION = re.compile(r"[0-9]{2,12}")

SEARCH_PARAMETERS = frozenset({"Q", "NUMBER", "LON", "LAT", "DIVISION", "VINTAGE", "SCALE", "LANG"})
LIST_PARAMETERS = frozenset({"BBOX", "EDITION", "NEWER_THAN", "HAVE", "LANG"})
LINEAGE_PARAMETERS = frozenset({"LAYER", "BBOX", "CRS", "TILE", "LANG"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSheets:
    """By `numbers` that a text means, by a `point` (lon, lat), or by a `division`: one of them. `scale_letter` is of the last two."""

    numbers: tuple[str, ...] = ()
    point: tuple[float, float] | None = None
    division: str | None = None
    vintage: str | None = None
    scale_letter: str = DEFAULT_SCALE


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSheets:
    """`bounds` CRS84. `have` is number -> beginning of a checksum, of what the caller holds; `loose` are such beginnings of sheets without a number.
    None of `newer_than` and `have` asks for all."""

    layer: LayerName
    bounds: Bounds | None = None
    newer_than: datetime | None = None
    have: Mapping[str, str] | None = None
    loose: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What is asked of the ground of a view; its width and height mean nothing."""

    layer: LayerName
    view: View


def parse_find(pairs: Pairs, limits: Limits = LIMITS) -> FindSheets:
    """
    >>> parse_find([("q", "i-50-142-(53)")]).numbers, parse_find([("lon", "118.78"), ("lat", "32.05"), ("scale", "1:5万")]).scale_letter
    (('I50G095077',), 'E')
    """
    parameters = Parameters(pairs, SEARCH_PARAMETERS, limits)
    if text := parameters.text("Q") or parameters.text("NUMBER"):
        return FindSheets(numbers=sheet_numbers(text))
    letter = _scale(parameters.text("SCALE"))
    if parameters.text("LON") or parameters.text("LAT"):
        point = tuple(decimal(name, parameters.required(name, "give degrees")) for name in ("LON", "LAT"))
        return FindSheets(point=point, scale_letter=letter)
    division = parameters.required("DIVISION", "give `q`, `lon` and `lat`, or `division`")
    if not DIVISION.fullmatch(division):
        raise fault("InvalidParameterValue", "DIVISION", "no-division", value=division)
    vintage = parameters.text("VINTAGE")
    if vintage and not EDITION.fullmatch(vintage):
        raise fault("InvalidParameterValue", "VINTAGE", "no-division", value=vintage)
    return FindSheets(division=division, vintage=vintage or None, scale_letter=letter)


def sheet_numbers(text: str) -> tuple[str, ...]:
    """The numbers that a text means, in any spelling: one, or the four of an old sheet of 1:200,000."""
    try:
        return numbers_meant(text)
    except SheetNumberInvalid:
        raise fault("InvalidParameterValue", "q", "sheet-number", value=text) from None


def parse_list(layer: str, pairs: Pairs, have: Mapping[str, str] | None = None, limits: Limits = LIMITS) -> ListSheets:
    """`have` is what was sent in the body of a request, where it was."""
    parameters = Parameters(pairs, LIST_PARAMETERS, limits)
    name, edition = layer_name(layer, "Layer"), parameters.text("EDITION")
    if edition:
        if not EDITION.fullmatch(edition) or name.edition not in (None, edition):
            raise fault("InvalidParameterValue", "EDITION", "edition-name", value=edition)
        name = replace(name, edition=edition)
    bounds = _bounds(parameters, "CRS:84") if parameters.text("BBOX") else None
    held = _held(have if have is not None else _pairs(parameters.text("HAVE"))) if have is not None or parameters.text("HAVE") else None
    return ListSheets(
        layer=name, bounds=bounds, newer_than=_moment(parameters.text("NEWER_THAN")),
        have=held and {number: digest for number, digest in held if number}, loose=frozenset(digest for number, digest in held or () if not number),
    )


def parse_lineage(pairs: Pairs, limits: Limits = LIMITS) -> Lineage:
    """
    >>> parse_lineage([("layer", "dom"), ("bbox", "118,32,119,33")]).view.bounds
    Bounds(left=118.0, bottom=32.0, right=119.0, top=33.0)
    """
    parameters = Parameters(pairs, LINEAGE_PARAMETERS, limits)
    layer = layer_name(parameters.required("LAYER", "name one layer"), "LAYER")
    if tile := parameters.text("TILE"):
        return Lineage(layer=layer, view=_tile(tile))
    crs = parameters.text("CRS") or "CRS:84"
    try:
        crs = parse_crs(crs)
    except CrsNotServed:
        raise fault("InvalidCRS", "CRS", "crs-not-served", value=crs, choices=", ".join(SERVED)) from None
    parameters.required("BBOX", "give x_min,y_min,x_max,y_max, or `tile` as matrix set/z/x/y")
    return Lineage(layer=layer, view=View(crs=crs, bounds=_bounds(parameters, crs), width=256, height=256))


def _tile(text: str) -> View:
    parts = text.split("/")
    if len(parts) != 4 or not all(WHOLE.fullmatch(part) for part in parts[1:]):
        raise fault("InvalidParameterValue", "TILE", "tile-address", value=text)
    tms, (z, col, row) = tile_matrix_set(parts[0]), map(int, parts[1:])
    if not (tms.min_zoom <= z <= tms.max_zoom and tms.holds(z, row, col)):
        raise fault("TileOutOfRange", "TILE", "tile-address", value=text)
    return tms.view(z, row, col)


def _bounds(parameters: Parameters, crs: str) -> Bounds:
    texts, order = parameters.text("BBOX").split(","), "x_min,y_min,x_max,y_max"
    if len(texts) != 4:
        raise fault("InvalidParameterValue", "BBOX", "bbox-not-four", count=len(texts), order=order)
    bounds = Bounds(*(decimal("BBOX", text.strip(" ")) for text in texts))
    if bounds.left >= bounds.right or bounds.bottom >= bounds.top:
        raise fault("InvalidParameterValue", "BBOX", "bbox-order", crs=crs, order=order)
    if not may_be_shown(crs, bounds):
        raise fault("InvalidParameterValue", "BBOX", "bbox-far", crs=crs, order=order)
    return bounds


def _scale(text: str) -> str:
    try:
        return scale_named(text).letter if text else DEFAULT_SCALE
    except SheetNumberInvalid:
        raise fault("InvalidParameterValue", "SCALE", "sheet-scale", value=text) from None


def _moment(text: str) -> datetime | None:
    """A moment without a zone is of China."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text) if MOMENT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise fault("InvalidParameterValue", "NEWER_THAN", "moment", value=text)
    return moment if moment.tzinfo else moment.replace(tzinfo=CHINA_TIME)


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(number, digest) for number, _, digest in (one.strip(" ").rpartition(":") for one in text.split(","))]


def _held(said: Mapping[str, str] | list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Numbers as the standard writes them, "" for none (`-`), with the beginnings of their checksums."""
    listed = list(said.items()) if isinstance(said, Mapping) else said
    if len(listed) > MOST_HELD:
        raise fault("InvalidParameterValue", "HAVE", "too-many-held", RequestTooLarge, most=MOST_HELD)
    found = []
    for number, digest in listed:
        if not isinstance(digest, str) or not CHECKSUM.fullmatch(digest.lower()):
            raise fault("InvalidParameterValue", "HAVE", "held", value=f"{number}:{digest}")
        try:
            found.append(("" if number == "-" else any_number(number), digest.lower()))
        except SheetNumberInvalid:
            raise fault("InvalidParameterValue", "HAVE", "held", value=f"{number}:{digest}") from None
    return found

