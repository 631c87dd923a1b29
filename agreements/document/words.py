"""The words of agreement documents, one reader each: layers, operations, formats, CRS, classifications, networks, numbers with their units."""

import re
from dataclasses import dataclass

from agreements.document.marked import Node, Scalar
from agreements.document.reading import Reading, is_known, listed, looked_up, matching, meant, number, scalar, text
from agreements.model import CLASSIFICATIONS, FOLLOWS_FROM, GRANTABLE, Operation

FORMATS = {
    "png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp", "tiff": "image/tiff", "geotiff": "image/tiff",
    "json": "application/json", "geojson": "application/geo+json", "html": "text/html", "text": "text/plain",
    "gml": "application/vnd.ogc.gml", "gml32": "application/gml+xml", "mvt": "application/vnd.mapbox-vector-tile",
    "gpkg": "application/geopackage+sqlite3", "flatgeobuf": "application/flatgeobuf", "shapefile": "application/x-shapefile",
}
"""Short names of media types: pictures, answers to GetFeatureInfo, features and their files."""

PRODUCTS = ("DOM", "DEM", "DLG", "OVERLAY")

CLASSIFICATION_WORDS = {
    **{name: level for level, name in enumerate(CLASSIFICATIONS)},
    **{name: level for level, name in enumerate(("公开", "内部", "秘密", "机密", "绝密"))},
}

AGENCY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LAYER = re.compile(r"[a-z][a-z0-9_-]{0,62}(@[0-9A-Za-z][0-9A-Za-z._-]{0,30})?")
EDITION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,30}")
STYLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
APP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
CODE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
CRS = re.compile(r"(?:EPSG:)?(\d{4,6})|(?:OGC:|CRS:)(?:CRS)?84", re.IGNORECASE)
ATTRIBUTE = re.compile(r"[^\s.,;*]{1,63}(\.[^\s.,;*]{1,63})?")
IDENTIFIER = re.compile(r"\S(?:.{0,98}\S)?")
CLAUSE = re.compile(r"\S{1,40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")

agency = matching(AGENCY, "is not the id of an agency: lower-case letters, digits, `-` and `_`, as in `geoshare agency list`")
layer = matching(LAYER, "is not the name of a layer: `dom`, or `dom@2011` for one edition")
edition = matching(EDITION, "is not the name of an edition: `2011`, or `latest` for whichever is the newest")
style = matching(STYLE, "is not the name of a style: see those of the layer in its capabilities")
clause = matching(CLAUSE, "is not a clause: give its number in the agreement, such as 3.1")
attribute = matching(ATTRIBUTE, "is not an attribute: `NAME`, or `HYDL.NAME` for one feature class; `attributes: all` for all")
app = matching(APP, "is not the name of an application: letters, digits, `.`, `-` and `_`, as the keys of the agency say it")
indicator = matching(CODE, "is not the code of an indicator: lower-case letters, digits, `-` and `_`")
sha256 = matching(SHA256, "is not a SHA-256: give the 64 lower-case hex digits that `sha256sum` prints")
email = matching(EMAIL, "is not an e-mail address: give one such as liaison@example.org")
purpose = looked_up("purpose", CODE, "is not the code of a purpose: see config/purposes.csv")

version = number("a version: give 1, and one more for each amendment", least=1, most=999_999, is_whole=True)
days = number("a number of days, such as 30", least=0, most=3660, is_whole=True, units={"d": 1, "days": 1, "天": 1, "日": 1})
month = number("a month, from 1 to 12", least=1, most=12, is_whole=True, units={"月": 1})
metres = number("a number of metres, such as 2.5", least=0.001, most=1_000_000, units={"m": 1, "metres": 1, "米": 1})
km2 = number("a number of square kilometres, such as 25", least=0.0001, most=1e9, units={"km2": 1, "km²": 1, "平方公里": 1})
opacity = number("an opacity, such as 0.25", least=0.05, most=1)
rate = number("a number a second, such as 50", least=0.001, most=1_000_000)
burst = number("a number of requests at once, such as 200", least=1, most=1_000_000, is_whole=True)
amount = number("a number, such as 10000", least=0, most=1e15, units={"万": 10_000})
bytes_ = number("a number of bytes, such as 50 GB", least=0, most=1e18, units={
    "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
})


def identifier(reading: Reading, node: Node, path: str) -> str | None:
    said = text(reading, node, path)
    if said is not None and not IDENTIFIER.fullmatch(said):
        reading.fault(node.line, path, "is longer than 100 characters: give the number of the agreement alone")
        return None
    return said


def operation(reading: Reading, node: Node, path: str) -> Operation | None:
    said = scalar(reading, node, path)
    if said is None or said in GRANTABLE:
        return said and Operation(said)
    names = sorted(GRANTABLE)
    if said in FOLLOWS_FROM:
        message = f"`{said}` is granted along with {' or '.join(sorted(FOLLOWS_FROM[Operation(said)]))}: leave it out"
    else:
        by_folded = {name.casefold(): name for name in names}
        message = f"`{said[:60]}` is not an operation{meant(by_folded.get(said.casefold(), said), names)}"
    reading.fault(node.line, path, message)
    return None


def format_(reading: Reading, node: Node, path: str) -> str | None:
    said = scalar(reading, node, path)
    if said is None:
        return None
    folded = said.casefold()
    if folded in FORMATS or MEDIA_TYPE.fullmatch(folded):
        return FORMATS.get(folded, folded)
    reading.fault(node.line, path, f"`{said[:60]}` is not a format{meant(folded, FORMATS)} or a media type such as image/png")
    return None


def crs(reading: Reading, node: Node, path: str) -> str | None:
    said = scalar(reading, node, path)
    match = said and CRS.fullmatch(said)
    if match:
        return f"EPSG:{match.group(1)}" if match.group(1) else "CRS:84"
    if said is not None:
        reading.fault(node.line, path, f"`{said[:60]}` is not a CRS: give an EPSG code such as EPSG:4549, or CRS:84")
    return None


def product(reading: Reading, node: Node, path: str) -> str | None:
    said = scalar(reading, node, path)
    if said is not None and said.upper() not in PRODUCTS:
        reading.fault(node.line, path, f"`{said[:60]}` is not a product{meant(said.upper(), PRODUCTS)}")
        return None
    return said and said.upper()


def classification(reading: Reading, node: Node, path: str) -> int | None:
    said = scalar(reading, node, path)
    if said is not None and said.casefold() not in CLASSIFICATION_WORDS:
        reading.fault(node.line, path, f"`{said[:60]}` is not a classification{meant(said.casefold(), CLASSIFICATIONS)}")
        return None
    return None if said is None else CLASSIFICATION_WORDS[said.casefold()]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What `attributes` says: None is all, which a reader can't give, since None is a fault there."""

    granted: frozenset[str] | None


def attributes(reading: Reading, node: Node, path: str) -> Attributes | None:
    if isinstance(node, Scalar) and node.text in ("all", "none"):
        return Attributes(None if node.text == "all" else frozenset())
    values = listed(attribute, may_be_empty=True)(reading, node, path)
    if values is not None and "all" in values:
        reading.fault(node.line, path, "`all` stands in a list: write `attributes: all`, or name each attribute")
        return None
    return None if values is None else Attributes(frozenset(values))


def rows(reading: Reading, node: Node, path: str) -> str | None:
    """CQL2 text as it stands: white space within its quotes is part of a value."""
    if text(reading, node, path) is None:
        return None
    cql2 = node.text.strip()
    return cql2 if is_known(reading, node, path, "rows", cql2) else None


def denominator(reading: Reading, node: Node, path: str) -> float | None:
    said = scalar(reading, node, path)
    match = said and re.fullmatch(r"(?:1\s*:\s*)?(\d{1,3}(?:,\d{3})+|\d{1,12})(\.\d{1,6})?", said)
    value = float(match.group(1).replace(",", "") + (match.group(2) or "")) if match else 0.0
    if said is not None and value <= 0:
        reading.fault(node.line, path, f"`{said[:60]}` is not a scale: give its denominator, such as 10000 or 1:10,000")
    return value or None
