"""The text grids of Chinese elevation models, NSDTF-DEM and CNSDTF-DEM (GB/T 17798), and ESRI's ASCII grid: what their heads say.

No driver opens the first two. Their values are read by `layers.delivery.text_values`. What a head leaves open is settled here, once, and told in a
sentence: whether X0, Y0 is the first node or the corner of the first cell, which of the two is the easting, and which zone it lies in.
"""

import re
import unicodedata
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from layers import crs as reference
from layers.errors import LayerRejected

NSDTF, CNSDTF, RASTER, ESRI = "NSDTF-DEM", "CNSDTF-DEM", "CNSDTF-RAS", "ESRI ASCII grid"

NODE, CORNER = "node", "corner"
"""What X0, Y0 names: the centre of the first cell, as photogrammetric stations write it, or its outer corner."""
REGISTRATIONS = (NODE, CORNER)

NODATA = -99999.0
"""Of GB/T 17798, where a file declares none."""

HEAD_BYTES = 65_536
MOST_CELLS = 4_000_000_000

MARKS = {"NSDTF-DEM": NSDTF, "CNSDTF-DEM": CNSDTF, "CSDTF-DEM": CNSDTF, "CNSDTF-RAS": RASTER, "CSDTF-RAS": RASTER}
ESRI_KEYS = ("ncols", "nrows", "xllcorner", "yllcorner", "xllcenter", "yllcenter", "cellsize", "dx", "dy", "nodata_value", "nodata")

POSITIONAL = ("version", "unit", "alpha", "compress", "x0", "y0", "dx", "dy", "row", "col", "hzoom")
"""What stands in lines 2 to 12 of an NSDTF-DEM."""

NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")

ZONES_OF_3_DEGREES, ZONES_OF_6_DEGREES = range(25, 46), range(13, 24)
"""No zone number belongs to both, so that a prefix tells which it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGrid:
    """The head of a text grid.

    `left`, `top` are the outer corner of the north-western cell and `dx`, `dy` the size of a cell: metres, or degrees where
    `is_geographic`. A height is its stored number divided by `zoom`. `begins` is the byte at which the values begin.
    """

    kind: str
    version: str
    left: float
    top: float
    dx: float
    dy: float
    rows: int
    columns: int
    zoom: float
    nodata: float
    begins: int
    registration: str
    is_geographic: bool
    zone: int | None                # the prefix of the easting, where it has one
    remarks: tuple[str, ...]


def mark_of(head: bytes) -> str | None:
    """Which text grid begins so; None where it is none."""
    text = unicodedata.normalize("NFKC", text_of(head[:4096]))
    for mark, kind in MARKS.items():
        if re.search(rf"(^|\n)\s*(DataMark\s*:\s*)?{mark}\b", text, re.IGNORECASE):
            return kind
    first = text.split(maxsplit=2)
    return ESRI if len(first) > 1 and first[0].lower() in ESRI_KEYS and NUMBER.match(first[1]) else None


def read_head(path: Path, registration: str = NODE) -> TextGrid:
    """What the head of a text grid says.

    Parameters
    ----------
    registration : str
        `node` or `corner`: what X0, Y0 names in NSDTF and CNSDTF, which do not say. An ASCII grid says it itself.

    Raises
    ------
    LayerRejected
        It is no such grid, a line of the head is missing or makes no sense, its grid is turned, or its values are packed.
    """
    if registration not in REGISTRATIONS:
        raise ValueError(f"registration `{registration}` is neither `node` nor `corner`")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind = mark_of(head)
    if kind is None:
        raise LayerRejected(path.name, "it is not a text grid", "give NSDTF-DEM, CNSDTF-DEM or an ESRI ASCII grid")
    if kind == ESRI:
        return _esri(path.name, head)
    fields, begins = _positional(path.name, head) if kind == NSDTF and not _has_keys(head) else _keyed(head)
    return _grid(path.name, kind, fields, begins, registration)


def check_zone(name: str, zone: int | None, declared: str | None) -> None:
    """Raises LayerRejected where no CRS is declared for a grid whose file names no datum, or one of another zone than its eastings say."""
    if zone is None:
        if declared is None:
            raise LayerRejected(name, "a text grid names no datum, and its eastings have no zone prefix", "say its CRS with `--crs EPSG:n`")
        return
    width = 3 if zone in ZONES_OF_3_DEGREES else 6
    meant = f"EPSG:{4513 + zone - 25 if width == 3 else 4491 + zone - 13}"
    if declared is None:
        raise LayerRejected(name, f"a text grid names no datum; its eastings begin with zone {zone}, of {width} degrees",
                            f"say `--crs {meant}` if it is in CGCS2000, else its own CRS")
    false_easting = _false_easting(declared)
    if false_easting is not None and false_easting != zone * 1_000_000 + 500_000:
        raise LayerRejected(name, f"its eastings begin with zone {zone}, of {width} degrees, but `{declared}` is not a CRS of that zone with a prefix",
                            f"say `--crs {meant}` if it is in CGCS2000, or correct the coordinates")


def _false_easting(declared: str) -> float | None:
    operation = reference.to_pyproj(reference.crs_name(declared)).coordinate_operation
    return next((p.value for p in operation.params if p.name == "False easting"), None) if operation else None


# Heads

def text_of(head: bytes) -> str:
    """Chinese or not: UTF-8 where it is that, else GB18030; bytes that are neither become question marks."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return head.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start > len(head) - 4:                     # cut within a character
                return head[:error.start].decode(encoding)
    return head.decode("gb18030", errors="replace")


def _lines(head: bytes) -> list[tuple[str, int]]:
    """Lines of the head with the byte after each; the last may be cut."""
    lines, end = [], 0
    for line in head.splitlines(keepends=True):
        end += len(line)
        lines.append((text_of(line).strip(), end))
    return lines


def _has_keys(head: bytes) -> bool:
    return any(":" in unicodedata.normalize("NFKC", line) for line, _ in _lines(head)[:3])


def _positional(name: str, head: bytes) -> tuple[dict[str, str], int]:
    lines = [(line, end) for line, end in _lines(head) if line]
    if len(lines) < 1 + len(POSITIONAL):
        raise LayerRejected(name, f"its head ends after {len(lines)} lines: an NSDTF-DEM has {1 + len(POSITIONAL)}", "deliver it again")
    return ({key: line.split()[0] for key, (line, _) in zip(POSITIONAL, lines[1:], strict=False)}, lines[len(POSITIONAL)][1])


def _keyed(head: bytes) -> tuple[dict[str, str], int]:
    """`key:value` lines up to the first line of numbers; whatever else stands between is a comment."""
    fields, begins = {}, 0
    for line, end in _lines(head):
        key, colon, value = unicodedata.normalize("NFKC", line).partition(":")
        if colon and not NUMBER.match(key.strip()):
            fields.setdefault(key.strip().lower(), value.strip())
        elif {"row", "col"} <= fields.keys() and line and NUMBER.match(line.split()[0]):
            break
        begins = end
    return fields, begins


def _grid(name: str, kind: str, fields: dict[str, str], begins: int, registration: str) -> TextGrid:
    _check_straight(name, fields)
    unit = fields.get("unit", "M").upper()[:1]
    if unit not in "MKDS":
        raise LayerRejected(name, f"its unit `{fields['unit'][:20]}` is none of M, K, D and S", "correct the head: M is metre, D degree")
    x, y, dx, dy = (_measure(name, fields, key, unit) for key in ("x0", "y0", "dx", "dy"))
    rows, columns = _count(name, fields, "row"), _count(name, fields, "col")
    remarks = []
    if _is_swapped(x, y, is_geographic=unit in "DS"):
        x, y = y, x
        remarks.append("warning: X0 and Y0 were swapped: X0 held the northing")
    if unit in "DS":
        remarks.append("coordinates are degrees" if unit == "D" else "coordinates were written as DDDMMSS and were turned into degrees")
    if unit == "K":
        remarks.append("coordinates were kilometres and were turned into metres")
    zoom = _number(name, fields, "hzoom", "1") or 1.0
    if zoom < 0:
        raise LayerRejected(name, f"its HZoom is {zoom:g}", "correct the head: HZoom is 1, 10, 100 or 1000")
    if zoom != 1:
        remarks.append(f"heights are the stored numbers divided by HZoom {zoom:g}")
    if fields.get("valuetype", "Integer").lower() not in ("integer", "int", "float", "real", "double", "") and kind != RASTER:
        raise LayerRejected(name, f"its ValueType is `{fields['valuetype'][:20]}`", "deliver heights as Integer")
    if fields.get("zunit", "M").upper() not in ("M", ""):
        raise LayerRejected(name, f"its heights are in `{fields['zunit'][:20]}`", "convert them to metres")
    zone = None if unit in "DS" else _zone(x)
    if zone is not None:
        remarks.append(f"the eastings begin with zone {zone}, of {3 if zone in ZONES_OF_3_DEGREES else 6} degrees")
    half = 0.5 if registration == NODE else 0.0
    remarks.append("X0, Y0 were taken for the first node: the grid begins half a cell before it" if half
                   else "X0, Y0 were taken for the corner of the first cell, as declared")
    return TextGrid(
        kind=kind, version=fields.get("version", "")[:40], left=x - half * dx, top=y + half * dy, dx=dx, dy=dy, rows=rows, columns=columns,
        zoom=zoom, nodata=_number(name, fields, "nodata_value", str(NODATA)), begins=begins, registration=registration,
        is_geographic=unit in "DS", zone=zone, remarks=(f"read as {kind} (GB/T 17798)", *remarks),
    )


def _check_straight(name: str, fields: dict[str, str]) -> None:
    if _number(name, fields, "alpha", "0"):
        raise LayerRejected(name, f"its grid is turned by Alpha {fields['alpha']}", "make it north-up")
    compress = _number(name, fields, "compress", "0")
    if compress:
        raise LayerRejected(name, f"its values are packed (Compress {compress:g}, or Beta where the writer put it there), which is not taken in",
                            "write it again with Compress 0")


def _number(name: str, fields: dict[str, str], key: str, otherwise: str | None = None) -> float:
    text = fields.get(key) or otherwise
    if text is None:
        raise LayerRejected(name, f"its head has no `{_spelled(key)}`", "complete the head")
    text = text.split()[0] if text.split() else text
    if not NUMBER.fullmatch(text) or not isfinite(float(text)):
        raise LayerRejected(name, f"its `{_spelled(key)}` is `{text[:30]}`, which is no number", "correct the head")
    return float(text)


def _spelled(key: str) -> str:
    return {"row": "Row", "col": "Col", "hzoom": "HZoom", "alpha": "Alpha", "compress": "Compress"}.get(key, key.upper() if len(key) == 2 else key)


def _count(name: str, fields: dict[str, str], key: str) -> int:
    count = _number(name, fields, key)
    if count != int(count) or count < 1:
        raise LayerRejected(name, f"its `{_spelled(key)}` is {count:g}", "correct the head: it is a whole number of at least 1")
    return int(count)


def _measure(name: str, fields: dict[str, str], key: str, unit: str) -> float:
    value = _number(name, fields, key)
    if key in ("dx", "dy") and value <= 0:
        raise LayerRejected(name, f"its `{_spelled(key)}` is {value:g}", "correct the head: a cell has a size above 0, and rows run from north to south")
    if unit == "S":
        sign, value = (-1 if value < 0 else 1), abs(value)
        degrees, minutes, seconds = value // 10_000, value % 10_000 // 100, value % 100
        if minutes >= 60 or seconds >= 60:
            raise LayerRejected(name, f"its `{_spelled(key)}` {fields[key].split()[0][:30]} is no DDDMMSS", "correct the head")
        return sign * (degrees + minutes / 60 + seconds / 3600)
    return value * 1000 if unit == "K" else value


def _is_swapped(x: float, y: float, *, is_geographic: bool) -> bool:
    """Northings in China are 7 digits and latitudes below 60; eastings are 6 digits, or 8 with the zone before them."""
    if is_geographic:
        return abs(y) > 60 > abs(x) and abs(y) <= 180
    return y >= 1e7 > x > 1e6 or (x >= 1e6 and 0 < y < 1e6 and x < 1e7)


def _zone(easting: float) -> int | None:
    """The two digits before an easting of six."""
    zone = int(easting // 1_000_000)
    return zone if zone in ZONES_OF_3_DEGREES or zone in ZONES_OF_6_DEGREES else None


def _esri(name: str, head: bytes) -> TextGrid:
    fields, begins = {}, 0
    for line, end in _lines(head):
        words = line.split()
        if words and words[0].lower() not in ESRI_KEYS:
            if NUMBER.match(words[0]):
                break
            raise LayerRejected(name, f"its head has a line `{words[0][:20]}` that an ASCII grid has not", "correct the head")
        if len(words) > 1:
            fields.setdefault(words[0].lower(), words[1])
        begins = end
    for key, text in fields.items():
        if "," in text:
            raise LayerRejected(name, f"its `{key}` is `{text[:30]}`: a decimal comma", "write it with decimal points")
    dx, dy = (_number(name, fields, axis if axis in fields else "cellsize") for axis in ("dx", "dy"))
    if dx <= 0 or dy <= 0:
        raise LayerRejected(name, f"its cellsize is {min(dx, dy):g}", "correct the head: a cell has a size above 0")
    rows, columns = _count(name, fields, "nrows"), _count(name, fields, "ncols")
    is_centre = "xllcenter" in fields
    corner = "center" if is_centre else "corner"
    x, y = (_number(name, fields, f"{axis}ll{corner}") for axis in "xy")
    half = 0.5 if is_centre else 0.0
    left, bottom = x - half * dx, y - half * dy
    nodata = _number(name, fields, "nodata_value", fields.get("nodata", "-9999"))
    return TextGrid(
        kind=ESRI, version="", left=left, top=bottom + rows * dy, dx=dx, dy=dy, rows=rows, columns=columns, zoom=1.0, nodata=nodata,
        begins=begins, registration=NODE if is_centre else CORNER, is_geographic=abs(left) <= 360 and dx < 1, zone=_zone(left),
        remarks=(f"read as {ESRI}, placed by the {'centre' if is_centre else 'corner'} of its south-western cell",),
    )
