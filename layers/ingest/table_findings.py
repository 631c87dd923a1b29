"""What is found in the tables of one delivered vector file, before anything of it is mended: features by the ids that they were delivered with.

Findings are codes with a count, the ids of the first features and, where it helps, where and why; who shows them puts them into words.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import geopandas
import numpy as np
import pandas
import shapely

from layers import crs as reference
from layers.errors import LayersError
from layers.feature_classes import FeatureClassTable
from layers.sheets import numbers as sheets

MOST_KEYS = 20
"""Features that are named by each finding; all of them are counted."""

MARGIN_ON_THE_MAP = 0.0001
"""Metres of paper by which a feature may reach beyond its sheet: the width of a drawn line, 1 m at 1:10,000."""

CODE_FIELD = re.compile(r"gb|gbcode|gb_code|fcode|featcode|国标码|要素代码|分类代码", re.IGNORECASE)
SIX_DIGITS = re.compile(r"(\d{6})\d{0,4}(\.0+)?")
UNDECODABLE = re.compile("\ufffd|锟斤拷|锟斤|烫烫|屯屯屯")
"""What is left of a text after it was read in a wrong encoding and written again: it can't be got back."""

MAY_BE_GARBLED = re.compile("[\u00a1-\u00ff]")
CHINESE = re.compile("[\u4e00-\u9fff]")

REASON = re.compile(r"(?P<why>[^\[]+)(?:\[(?P<x>\S+) (?P<y>\S+?)(?: \S+)?\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFinding:
    """One thing worth telling of a table. `keys` are delivered ids, of the first `MOST_KEYS` of `count` features.

    `places`: x, y in the file's CRS beside each key, and why, where the finding has places. `values`: what its sentence names.
    """

    code: str
    count: int
    is_warning: bool
    keys: tuple[int, ...] = ()
    places: tuple[tuple[float, float, str], ...] = ()
    values: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChecked:
    """One table of a delivered file, as it was delivered."""

    table: str
    features: int
    findings: tuple[TableFinding, ...]

    def as_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping) -> "TableChecked":
        findings = tuple(
            TableFinding(code=one["code"], count=one["count"], is_warning=one["is_warning"], keys=tuple(one["keys"]),
                         places=tuple((x, y, why) for x, y, why in one["places"]), values=one["values"])
            for one in values["findings"]
        )
        return cls(table=values["table"], features=values["features"], findings=findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCodes:
    """Codes of GB/T 13923 by the first three letters of their class (config/gb_codes.csv), and how tables are called (dlg_classes.csv)."""

    themes: Mapping[str, str]
    classes: FeatureClassTable

    @classmethod
    def load(cls, config: Path) -> "KnownCodes":
        with (config / "gb_codes.csv").open(encoding="utf-8-sig", newline="") as rows:
            themes = {row["code"]: row["class"] for row in csv.DictReader(rows)}
        return cls(themes=themes, classes=FeatureClassTable.load(config / "dlg_classes.csv"))


@lru_cache(maxsize=4)
def known_codes(config: Path) -> KnownCodes:
    return KnownCodes.load(config)


def look_at(
    table: str, frame: geopandas.GeoDataFrame, crs: str, *, number: str | None = None, codes: KnownCodes | None = None,
    curved: Sequence[int] = (), has_measures: bool = False,
) -> TableChecked:
    """Everything there is to say of a table as it was delivered.

    Parameters
    ----------
    frame : GeoDataFrame
        Its index holds the delivered ids; geometries in `crs`.
    number : str, optional
        The sheet that the file says it is: its frame is what features should lie in.
    codes : KnownCodes, optional
        Of a line map, whose codes are looked up.
    curved, has_measures
        See `layers.delivery.dimensions`.
    """
    keys, shapes = np.asarray(frame.index), np.asarray(frame.geometry.values)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    bounds = shapely.bounds(shapes)
    endless = ~empty & ~np.isfinite(bounds).all(axis=1)
    sound = ~empty & ~endless
    found: list[TableFinding | None] = [
        _counted("empty", keys, empty),
        _counted("no-numbers", keys, endless),
        *_invalid(keys, shapes, sound),
        _duplicates(keys, frame, shapes, sound),
        _outside(keys, shapes, bounds, sound, crs, number) if number else None,
        *_texts(keys, frame),
        *(_codes(table, keys, frame, shapes[sound], codes) if codes else ()),
    ]
    if len(curved):
        found.append(TableFinding(code="curves", count=len(curved), is_warning=False, keys=tuple(curved[:MOST_KEYS])))
    if has_measures:
        found.append(TableFinding(code="measures", count=len(frame), is_warning=True))
    if shapely.has_z(shapes[sound]).any():
        found.append(TableFinding(code="heights-kept", count=int(shapely.has_z(shapes[sound]).sum()), is_warning=False))
    return TableChecked(table=table, features=len(frame), findings=tuple(one for one in found if one is not None))


def _counted(code: str, keys: np.ndarray, which: np.ndarray, *, is_warning: bool = True, places=(), **values) -> TableFinding | None:
    count = int(np.count_nonzero(which))
    if not count:
        return None
    return TableFinding(code=code, count=count, is_warning=is_warning, keys=tuple(int(key) for key in keys[which][:MOST_KEYS]), places=tuple(places), values=values)


# Geometry

def _invalid(keys: np.ndarray, shapes: np.ndarray, sound: np.ndarray) -> Iterable[TableFinding | None]:
    """Those that are no geometry by OGC 06-103r4, where and why; and what mending will make of them."""
    valid = np.ones(len(shapes), bool)
    valid[sound] = shapely.is_valid(shapes[sound])
    if valid.all():
        return
    wrong = ~valid
    named = shapes[wrong][:MOST_KEYS]
    yield _counted("invalid", keys, wrong, places=[_place(reason, shape) for reason, shape in zip(shapely.is_valid_reason(named), named, strict=True)])
    mended = shapely.make_valid(shapes[wrong])
    kept = np.zeros(len(shapes), bool)
    kept[wrong] = _holds_dimension(mended, shapely.get_dimensions(shapes[wrong]))
    yield _counted("repaired", keys, kept, is_warning=False)
    yield _counted("lost", keys, wrong & ~kept)


def _holds_dimension(mended: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    """Whether anything of the dimension of the geometry is left in what was made of it."""
    return np.array([any(shapely.get_dimensions(part) == dimension and not part.is_empty for part in _all_parts(shape))
                     for shape, dimension in zip(mended, dimensions, strict=True)])


def _all_parts(shape: shapely.Geometry) -> Iterable[shapely.Geometry]:
    for part in shapely.get_parts(shape):
        if part is not shape and hasattr(part, "geoms"):
            yield from _all_parts(part)
        else:
            yield part


def _place(reason: str, shape: shapely.Geometry) -> tuple[float, float, str]:
    match = REASON.match(reason)
    try:
        return float(match["x"]), float(match["y"]), match["why"].strip()
    except (TypeError, ValueError):
        x, y = shapely.get_coordinates(shape)[0]
        return float(x), float(y), match["why"].strip()


def _duplicates(keys: np.ndarray, frame: geopandas.GeoDataFrame, shapes: np.ndarray, sound: np.ndarray) -> TableFinding | None:
    """Features that an earlier one has already: the same ground, in whatever direction it is drawn, and the same attributes."""
    marks = np.zeros(len(frame), np.uint64)
    marks[sound] = pandas.util.hash_array(shapely.to_wkb(shapely.normalize(shapes[sound])))
    attributes = pandas.DataFrame(frame.drop(columns=frame.geometry.name)).astype(str)
    if len(attributes.columns):
        marks = marks * np.uint64(31) + pandas.util.hash_pandas_object(attributes, index=False).to_numpy()
    again = pandas.Series(marks).duplicated().to_numpy() & sound
    first = dict(reversed(list(zip(marks.tolist(), keys.tolist(), strict=True))))
    places = [(*_somewhere(shape), f"{first[mark]}") for shape, mark in zip(shapes[again][:MOST_KEYS], marks[again][:MOST_KEYS].tolist(), strict=True)]
    return _counted("duplicate", keys, again, places=places)


def _somewhere(shape: shapely.Geometry) -> tuple[float, float]:
    x, y = shapely.get_coordinates(shape)[0]
    return float(x), float(y)


def _outside(
    keys: np.ndarray, shapes: np.ndarray, bounds: np.ndarray, sound: np.ndarray, crs: str, number: str,
) -> TableFinding | None:
    """Features with vertices beyond the frame of their sheet by more than a line's width on the map, and how far the farthest lies."""
    try:
        frame = reference.transform_geometry(sheets.sheet_frame(number), "CRS:84", crs)
    except LayersError:
        return None
    metre = 1 / 111_320 if reference.is_geographic(crs) else 1.0
    allowed = shapely.buffer(frame, sheets.scale_of(number).denominator * MARGIN_ON_THE_MAP * metre)
    low, high = np.array(frame.bounds[:2]), np.array(frame.bounds[2:])
    far = sound.copy()
    far[sound] = (bounds[sound][:, :2] < low + (high - low) / 20).any(axis=1) | (bounds[sound][:, 2:] > high - (high - low) / 20).any(axis=1)
    places, owners = shapely.get_coordinates(shapes[far], return_index=True)
    beyond = ~shapely.contains_xy(allowed, places)
    out = np.zeros(len(shapes), bool)
    out[np.flatnonzero(far)[owners[beyond]]] = True
    if not out.any():
        return None
    farthest = float(shapely.distance(shapely.points(places[beyond]), frame).max() / metre)
    return _counted("outside-frame", keys, out, sheet=number, metres=round(farthest, 1))


# Attributes

def _texts(keys: np.ndarray, frame: geopandas.GeoDataFrame) -> Iterable[TableFinding | None]:
    columns = [name for name in frame.columns.drop(frame.geometry.name) if not pandas.api.types.is_numeric_dtype(frame[name])]
    for code, is_so in (("undecodable", _is_destroyed), ("garbled", _is_garbled)):
        for name in columns:
            values = frame[name].to_numpy(dtype=object)
            hit = np.array([isinstance(value, str) and not value.isascii() and is_so(value) for value in values], bool)
            if hit.any():
                yield _counted(code, keys, hit, field=str(name)[:60], sample=str(values[hit][0])[:40])


def _is_destroyed(text: str) -> bool:
    return UNDECODABLE.search(text) is not None


@lru_cache(maxsize=50_000)
def _is_garbled(text: str) -> bool:
    """Whether the letters of a text, taken for bytes, are UTF-8, or GB 2312 with two Chinese characters at least: names of Europe are neither."""
    if not MAY_BE_GARBLED.search(text):
        return False
    for read_as in ("cp1252", "latin-1"):
        for meant, least in (("utf-8", 0), ("gb2312", 2)):
            try:
                if len(CHINESE.findall(text.encode(read_as).decode(meant))) >= least:
                    return True
            except UnicodeError:
                continue
    return False


def _codes(
    table: str, keys: np.ndarray, frame: geopandas.GeoDataFrame, shapes: np.ndarray, known: KnownCodes,
) -> Iterable[TableFinding | None]:
    """Codes that the table of codes does not have, that stand in a table of another theme, or that are missing."""
    column = next((name for name in frame.columns.drop(frame.geometry.name) if CODE_FIELD.fullmatch(str(name))), None)
    if column is None:
        return
    codes = np.array([_six_digits(value) for value in frame[column].to_numpy(dtype=object)], dtype=object)
    missing = codes == ""
    unknown = np.array([code != "" and code not in known.themes for code in codes], bool)
    yield _counted("code-missing", keys, missing, field=str(column))
    if unknown.any():
        yield _counted("code-unknown", keys, unknown, field=str(column), codes=_most_frequent(codes[unknown]))
    dimension = int(shapely.get_dimensions(shapes).max()) if len(shapes) else 0
    theme = known.classes.kind_of(table, ("point", "line", "area")[max(dimension, 0)])[:3]
    if theme:
        elsewhere = np.array([known.themes.get(code, theme) != theme for code in codes], bool)
        if elsewhere.any():
            yield _counted("code-elsewhere", keys, elsewhere, field=str(column), theme=theme, codes=_most_frequent(codes[elsewhere]))


def _six_digits(value: object) -> str:
    """A code as six digits, whatever the type of its field; what is none as it is, nothing as ""."""
    text = "" if value is None or (np.isscalar(value) and pandas.isna(value)) else str(value).strip()
    match = SIX_DIGITS.fullmatch(text)
    return match[1] if match else "" if text in ("", "0", "0.0") else text[:20]


def _most_frequent(codes: np.ndarray, most: int = 8) -> str:
    counts = pandas.Series(codes).value_counts()
    rest = f", +{len(counts) - most}" if len(counts) > most else ""
    return ", ".join(f"{code} ({count})" for code, count in counts.iloc[:most].items()) + rest


