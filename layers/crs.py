"""Coordinate reference systems: their names, axis order, bounds and scale, and the only place that makes a Transformer.

Whether coordinates may go from one datum to another is decided by the pair of datums (config/datums.csv), never by PROJ's flags: PROJ
answers Xian 1980 -> CGCS2000 with a zero shift that it calls the best available, and Beijing 1954 -> WGS 84 with an operation made for
the Yellow Sea, point by point, so that one layer tears apart at 119.23 E.

Transformers may be shared by threads: since pyproj 3.1 each keeps one PROJ object per thread.
"""

import csv
import math
import re
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyproj
import shapely
from pyproj.aoi import AreaOfInterest
from pyproj.crs import Datum
from pyproj.exceptions import CRSError
from pyproj.transformer import TransformerGroup
from shapely.geometry.base import BaseGeometry

from layers.errors import CrsNotServed, DatumShiftRefused, OutsideAreaOfUse
from layers.model import Bounds, View

SERVED: tuple[str, ...] = (
    "EPSG:4326", "CRS:84", "EPSG:3857", "EPSG:4490",
    "EPSG:4547", "EPSG:4548", "EPSG:4549", "EPSG:4550",
    "EPSG:4527", "EPSG:4528", "EPSG:4529",
)
"""The closed list of what may be asked for; the spelling here is the canonical one."""

POLICY_FILE = Path(__file__).resolve().parent.parent / "config" / "datums.csv"

WGS84 = "EPSG:6326"
UNKNOWN = "unknown"
EARTH_RADIUS = 6378137.0
"""Metres: semi-major axis of WGS 84, CGCS2000 and the sphere of EPSG:3857."""

MERCATOR_EDGE = 20037508.342789244
MERCATOR_LATITUDE = 85.05112877980659
PIXEL_OF_OGC = 0.00028
"""Metres: the standardised rendering pixel of WMS 1.3.0 (7.2.4.6.9) and WMTS."""

LONGEST_EDGE_DEGREES = 0.01
LONGEST_EDGE_METRES = 1000.0
POINTS_PER_SIDE = 65

_EPSG_NAME = re.compile(
    r"(?:EPSG:"
    r"|urn:(?:x-)?ogc:def:crs:EPSG:[0-9.]*:"
    r"|https?://www\.opengis\.net/def/crs/EPSG/[0-9.]+/"
    r"|https?://www\.opengis\.net/gml/srs/epsg\.xml#)(\d{4,5})",
    re.IGNORECASE,
)
_CRS84_NAME = re.compile(
    r"CRS:84|CRS84|OGC:CRS84"
    r"|urn:(?:x-)?ogc:def:crs:OGC:[0-9.]*:CRS84"
    r"|https?://www\.opengis\.net/def/crs/OGC/[0-9.]+/CRS84",
    re.IGNORECASE,
)
_DATUM_ALIASES = {
    "CGCS2000": "EPSG:1043", "CGCS_2000": "EPSG:1043", "D_CGCS2000": "EPSG:1043", "D_CGCS_2000": "EPSG:1043",
    "China_Geodetic_Coordinate_System_2000": "EPSG:1043", "China Geodetic Coordinate System 2000": "EPSG:1043",
}


# Names

def parse_crs(text: str) -> str:
    """The canonical name, out of `SERVED`, of what a request calls `text`.

    Raises
    ------
    CrsNotServed
        `text` is no spelling of a served CRS.

    >>> parse_crs("urn:ogc:def:crs:EPSG::4549"), parse_crs("http://www.opengis.net/def/crs/OGC/1.3/CRS84")
    ('EPSG:4549', 'CRS:84')
    """
    if _CRS84_NAME.fullmatch(text):
        return "CRS:84"
    match = _EPSG_NAME.fullmatch(text)
    name = f"EPSG:{match[1]}" if match else ""
    if name not in SERVED:
        raise CrsNotServed(text[:80], SERVED)
    return name


@lru_cache(maxsize=256)
def to_pyproj(crs: str) -> pyproj.CRS:
    """The horizontal CRS that `crs` names: one of `SERVED`, any EPSG code, or WKT. Heights and TOWGS84 hints are dropped.

    Raises
    ------
    CrsNotServed
        PROJ does not understand `crs`.
    """
    try:
        return _horizontal(pyproj.CRS.from_user_input("OGC:CRS84" if crs == "CRS:84" else crs))
    except CRSError as error:
        raise CrsNotServed(crs[:80]) from error


@lru_cache(maxsize=256)
def crs_name(crs: str) -> str:
    """The shortest true name of a CRS given as a code, WKT, .prj text or PROJ string: `EPSG:n` where the register has it, else WKT2.

    A CRS84 becomes EPSG:4326: files keep x before y under either name.
    """
    known = to_pyproj(crs)
    if known == to_pyproj("CRS:84"):
        return "EPSG:4326"
    authority = known.to_authority(min_confidence=70)
    return ":".join(authority) if authority and authority[0] in ("EPSG", "ESRI") else known.to_wkt()


@lru_cache(maxsize=256)
def wkt(crs: str) -> str:
    """WKT 2 (OGC 18-010), axes in the order of the register, for files beside a picture."""
    return to_pyproj(crs).to_wkt("WKT2_2019")


@lru_cache(maxsize=256)
def is_north_first(crs: str) -> bool:
    """Whether the EPSG register puts north (latitude, northing) first: the order of BBOX in WMS 1.3.0.

    >>> [is_north_first(name) for name in ("EPSG:4490", "EPSG:4549", "CRS:84", "EPSG:3857")]
    [True, True, False, False]
    """
    return to_pyproj(crs).axis_info[0].direction == "north"


@lru_cache(maxsize=256)
def is_geographic(crs: str) -> bool:
    """Whether coordinates are degrees rather than metres (or feet)."""
    return to_pyproj(crs).is_geographic


def _horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    if crs.is_compound:
        return _horizontal(crs.sub_crs_list[0])
    if crs.is_bound:
        return _horizontal(crs.source_crs)
    return crs.to_2d() if len(crs.axis_info) > 2 and not crs.is_geocentric else crs


# Datum policy

@dataclass(frozen=True, slots=True, kw_only=True)
class DatumRule:
    """One row of config/datums.csv; `source` and `target` are EPSG datum codes, `*` or `unknown`."""

    source: str
    target: str
    rule: str                   # identity | refuse | operation
    accuracy: float | None      # metres
    note: str

    def holds_for(self, a: str, b: str) -> bool:
        return any(self.source in ("*", x) and self.target in ("*", y) for x, y in ((a, b), (b, a)))


@lru_cache(maxsize=8)
def load_datum_rules(path: Path = POLICY_FILE) -> tuple[DatumRule, ...]:
    """The rows of the policy table in its order: the first that holds for a pair decides."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            DatumRule(
                source=row["source_datum"], target=row["target_datum"], rule=row["rule"],
                accuracy=float(row["accuracy_m"]) if row["accuracy_m"] else None, note=row["note"],
            )
            for row in csv.DictReader(file)
        )


def datum_of(crs: str) -> str:
    """EPSG code of the datum of `crs` ("EPSG:1043" is CGCS2000), or "unknown": engineering, unnamed or merely an ellipsoid."""
    return _datum_of(to_pyproj(crs))


def check_datum(crs: str) -> None:
    """Raises DatumShiftRefused where no approved way leads from the datum of `crs` to WGS 84, and so to what we serve."""
    _hub_steps(crs)


def accuracy(source: str, target: str) -> float:
    """Metres that the way from `source` to `target` may be wrong by: 0 within one datum, 1 for CGCS2000 as WGS 84.

    Raises
    ------
    DatumShiftRefused
        There is no approved way.
    """
    if _same_datum(source, target):
        return 0.0
    pair = {datum_of(source), datum_of(target)}
    direct = _rule(*pair) if len(pair) == 2 else None
    if direct and direct.rule == "identity":
        return direct.accuracy or 0.0
    return _hub_steps(source)[1] + _hub_steps(target)[1]


def _datum_of(crs: pyproj.CRS) -> str:
    if crs.is_engineering or crs.datum is None:
        return UNKNOWN
    identifier = crs.datum.to_json_dict().get("id")
    if identifier:
        return f"{identifier['authority']}:{identifier['code']}"
    return _datum_by_name(crs.datum.name)


def _datum_by_name(name: str) -> str:
    if name in _DATUM_ALIASES:
        return _DATUM_ALIASES[name]
    for spelling in (name, f"D_{name}", name.replace("_", " ")):
        try:
            identifier = Datum.from_name(spelling).to_json_dict().get("id")
        except CRSError:
            continue
        if identifier:
            return f"{identifier['authority']}:{identifier['code']}"
    return UNKNOWN


def _rule(a: str, b: str) -> DatumRule:
    refusals_first = sorted(load_datum_rules(), key=lambda row: row.rule != "refuse")
    for row in refusals_first:
        if row.holds_for(a, b):
            return row
    return DatumRule(source=a, target=b, rule="refuse", accuracy=None, note="the policy table names no rule for this pair")


def _same_datum(source: str, target: str) -> bool:
    a, b = to_pyproj(source), to_pyproj(target)
    return a == b or (_datum_of(a) == _datum_of(b) != UNKNOWN)


def _refused(crs: str, why: str) -> DatumShiftRefused:
    known = to_pyproj(crs)
    datum = known.datum.name if known.datum else "unknown"
    name = crs if len(crs) < 30 else known.name
    return DatumShiftRefused(
        f"datum `{datum}` of `{name}` has no approved way to another datum ({why}): "
        "register an approved transformation, or deliver the data in CGCS2000"
    )


# Transformers

@lru_cache(maxsize=512)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """From `source` to `target`, x before y on both sides whatever their axis order; pinned to one operation.

    Every point goes the same way, so that a layer can't tear. Datums meet in WGS 84, which CGCS2000 is taken to be (1 m).
    Made once for a pair (some 20 ms) and safe to share: a thread's first use costs one PROJ object.

    Raises
    ------
    CrsNotServed
        PROJ does not understand one of the two.
    DatumShiftRefused
        config/datums.csv refuses the pair, or PROJ has nothing better than a ballpark for it.
    """
    if _same_datum(source, target):
        return pyproj.Transformer.from_crs(to_pyproj(source), to_pyproj(target), always_xy=True)
    there, back = _hub_steps(source)[0], _hub_steps(target)[0]
    return pyproj.Transformer.from_pipeline(_pipeline(there + _inverted(back)))


@lru_cache(maxsize=256)
def _hub_steps(crs: str) -> tuple[tuple[str, ...], float]:
    """PROJ steps from `crs` to longitude and latitude in WGS 84 (degrees), and their accuracy in metres."""
    known = to_pyproj(crs)
    datum = _datum_of(known)
    if datum == WGS84:
        return _projection_steps(known), 0.0
    rule = _rule(datum, WGS84)
    if rule.rule == "refuse":
        raise _refused(crs, rule.note)
    if rule.rule == "identity":
        return _projection_steps(known), rule.accuracy or 0.0
    return _operation_steps(crs)


def _projection_steps(crs: pyproj.CRS) -> tuple[str, ...]:
    return _steps(pyproj.Transformer.from_crs(crs, crs.geodetic_crs.to_2d(), always_xy=True).definition)


_warning_filters = threading.Lock()


def _operation_steps(crs: str) -> tuple[tuple[str, ...], float]:
    known = to_pyproj(crs)
    area = AreaOfInterest(*known.area_of_use.bounds) if known.area_of_use else None
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)        # a finer operation lacks its grid: the next one states its accuracy
        group = TransformerGroup(known, to_pyproj("EPSG:4326"), always_xy=True, area_of_interest=area, allow_ballpark=False)
    stated = [operation for operation in group.transformers if operation.accuracy >= 0]
    if not stated:
        raise _refused(crs, "PROJ offers no operation of known accuracy")
    return _steps(stated[0].definition), stated[0].accuracy


def _steps(definition: str) -> tuple[str, ...]:
    if "step" not in definition.split():
        return () if "proj=noop" in definition else (definition,)
    return tuple(step.strip() for step in re.split(r"\bstep\b", definition)[1:])


def _inverted(steps: tuple[str, ...]) -> tuple[str, ...]:
    swapped = {"omit_fwd": "omit_inv", "omit_inv": "omit_fwd"}
    back = (" ".join(swapped.get(word, word) for word in step.split()) for step in reversed(steps))
    return tuple(step.removeprefix("inv ") if step.startswith("inv ") else f"inv {step}" for step in back)


def _pipeline(steps: tuple[str, ...]) -> str:
    plus = (" ".join(f"+{word}" for word in step.split()) for step in steps)
    return " ".join(["+proj=pipeline", *(f"+step {step}" for step in plus)]) if steps else "+proj=noop"


# Bounds and geometry

def transform_bounds(bounds: Bounds, source: str, target: str) -> Bounds:
    """Smallest box in `target` around `bounds` of `source`, its edges densified: four corners lose the bulge of a curved edge.

    Raises
    ------
    OutsideAreaOfUse
        `target` can't express a part of the edge.

    >>> transform_bounds(Bounds(300000, 3000000, 900000, 4000000), "EPSG:32650", "CRS:84").rounded(2)
    Bounds(left=114.78, bottom=27.06, right=121.44, top=36.14)
    """
    if source == target:
        return Bounds(*bounds)
    x = np.linspace(bounds.left, bounds.right, POINTS_PER_SIDE)
    y = np.linspace(bounds.bottom, bounds.top, POINTS_PER_SIDE)
    along_x, along_y = np.concatenate([x, x]), np.concatenate([y, y])
    edge_x = np.concatenate([along_x, np.repeat([bounds.left, bounds.right], POINTS_PER_SIDE)])
    edge_y = np.concatenate([np.repeat([bounds.bottom, bounds.top], POINTS_PER_SIDE), along_y])
    there_x, there_y = _expressible(transformer(source, target).transform(edge_x, edge_y), source, target)
    return Bounds(float(there_x.min()), float(there_y.min()), float(there_x.max()), float(there_y.max()))


def transform_geometry(geometry: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """`geometry` with every vertex transformed, Z untouched; `densify` it first where an edge must stay straight in `source`.

    Raises
    ------
    OutsideAreaOfUse
        `target` can't express a vertex.
    """
    if source == target:
        return geometry
    way = transformer(source, target)

    def moved(points: np.ndarray) -> np.ndarray:
        x, y = _expressible(way.transform(points[:, 0], points[:, 1]), source, target)
        return np.column_stack([x, y])

    if not shapely.has_z(geometry):
        return shapely.transform(geometry, moved)
    return shapely.transform(geometry, lambda points: np.column_stack([moved(points), points[:, 2]]), include_z=True)


def transform_shapes(shapes: np.ndarray, source: str, target: str, *, digits: int | None = None) -> np.ndarray:
    """`transform_geometry` of (n,) geometries at once: a call of PROJ costs as much for a thousand vertices as for a few. `digits` rounds x and y on
    the way. Raises OutsideAreaOfUse."""
    if source == target or not len(shapes):
        return shapes
    way = transformer(source, target)

    def moved(points: np.ndarray) -> np.ndarray:
        x, y = _expressible(way.transform(points[:, 0], points[:, 1]), source, target)
        if digits is not None:
            x, y = x.round(digits), y.round(digits)
        return np.column_stack([x, y, *points.T[2:]])

    has_z = shapely.has_z(shapes)
    if not has_z.any():
        return shapely.transform(shapes, moved)
    found = np.empty(len(shapes), dtype=object)
    found[has_z] = shapely.transform(shapes[has_z], moved, include_z=True)
    found[~has_z] = shapely.transform(shapes[~has_z], moved)
    return found


def densify(geometry: BaseGeometry, crs: str) -> BaseGeometry:
    """`geometry`, one or an array of them, with no edge longer than 0.01 degree or 1000 m: its sagitta in Gauss-Krueger is then about 1 cm at 33 N."""
    return shapely.segmentize(geometry, LONGEST_EDGE_DEGREES if is_geographic(crs) else LONGEST_EDGE_METRES / _metres_per_unit(crs))


BAND = 3
"""Degrees of longitude that are measured in one Transverse Mercator: scale is true to 0.1 % within 280 km of its middle."""


def buffer(geometry: BaseGeometry, metres: float) -> BaseGeometry:
    """All ground within `metres` of a CRS84 geometry, in CRS84: true on the ground to 0.2 %, never more than is meant by its corners.

    Each band of 3 degrees is measured in a Transverse Mercator of its own. Edges of what is answered are cut to 1000 m.

    Raises
    ------
    OutsideAreaOfUse
        It would reach beyond the antimeridian or within a degree of a pole.
    """
    west, south, east, north = geometry.bounds
    height = math.degrees(metres / EARTH_RADIUS) * 1.01
    highest = max(abs(south), abs(north)) + height
    width = height / math.cos(math.radians(highest)) if highest < 89 else math.inf
    if west - width < -180 or east + width > 180:
        raise OutsideAreaOfUse("what surrounds the shape would reach beyond the antimeridian or to a pole: draw it as a polygon")
    whole = geometry if geometry.is_valid else shapely.make_valid(geometry)
    bands = (shapely.box(left, -90, left + BAND, 90) for left in range(BAND * math.floor(west / BAND), math.floor(east) + 1, BAND))
    parts = [(part, band.bounds[0]) for band in bands if not (part := shapely.intersection(whole, band)).is_empty]
    return shapely.union_all([_buffer_within(part, left + BAND / 2, metres) for part, left in parts])


def _buffer_within(geometry: BaseGeometry, meridian: float, metres: float) -> BaseGeometry:
    plane = f"+proj=tmerc +lat_0=0 +lon_0={meridian:g} +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m"
    around = shapely.buffer(transform_geometry(geometry, "CRS:84", plane), metres, quad_segs=32)
    return transform_geometry(shapely.segmentize(around, LONGEST_EDGE_METRES), plane, "CRS:84")


_ELLIPSOID = pyproj.Geod(ellps="GRS80")
"""Of CGCS2000, and to 0.1 mm that of WGS 84."""


def geodesic_km2(geometry: BaseGeometry) -> float:
    """Square kilometres of polygons in CRS84, on the ellipsoid; lines and points have none.

    >>> round(geodesic_km2(shapely.box(118.75, 32, 118.8125, 32 + 1 / 24)), 3)
    27.28
    """
    polygons = [part for part in shapely.get_parts(shapely.get_parts(geometry)) if part.geom_type == "Polygon" and not part.is_empty]
    return sum(abs(_ELLIPSOID.geometry_area_perimeter(part)[0]) for part in shapely.orient_polygons(polygons)) / 1e6


def world_bounds(crs: str) -> Bounds:
    """Where `crs` is meant to be used, in its own units: the whole square or globe, or the area of use in the EPSG register.

    >>> world_bounds("EPSG:3857").rounded(2)
    Bounds(left=-20037508.34, bottom=-20037508.34, right=20037508.34, top=20037508.34)
    """
    if crs == "EPSG:3857":
        return Bounds(-MERCATOR_EDGE, -MERCATOR_EDGE, MERCATOR_EDGE, MERCATOR_EDGE)
    if is_geographic(crs):
        return Bounds(-180.0, -90.0, 180.0, 90.0)
    area = to_pyproj(crs).area_of_use
    if area is None:
        raise OutsideAreaOfUse(f"CRS `{crs[:60]}` states no area of use: name it by its EPSG code")
    return transform_bounds(Bounds(*area.bounds), _geographic_of(crs), crs)


def reach(crs: str) -> Bounds:
    """Longitude and latitude (degrees) between which coordinates of `crs` are meaningful.

    Wider than the area of use of a Gauss-Krueger zone: 6 degrees to each side of the central meridian, since one zone may serve a
    whole province; north of the equator only. A CRS of another kind reaches as far as its area of use, one that states none everywhere.

    >>> reach("EPSG:4549")
    Bounds(left=114.0, bottom=0.0, right=126.0, top=60.0)
    """
    if crs == "EPSG:3857":
        return Bounds(-180.0, -MERCATOR_LATITUDE, 180.0, MERCATOR_LATITUDE)
    if is_geographic(crs):
        return Bounds(-180.0, -90.0, 180.0, 90.0)
    meridian = _central_meridian(crs)
    if meridian is not None and datum_of(crs) == "EPSG:1043":
        return Bounds(meridian - 6.0, 0.0, meridian + 6.0, 60.0)
    area = to_pyproj(crs).area_of_use
    return Bounds(*area.bounds) if area else Bounds(-180.0, -90.0, 180.0, 90.0)


def _central_meridian(crs: str) -> float | None:
    operation = to_pyproj(crs).coordinate_operation
    if operation is None or operation.method_name != "Transverse Mercator":
        return None
    return next(parameter.value for parameter in operation.params if parameter.name == "Longitude of natural origin")


def _geographic_of(crs: str) -> str:
    return crs_name(to_pyproj(crs).geodetic_crs.to_wkt())


@lru_cache(maxsize=256)
def _sane(crs: str) -> tuple[float, float, float]:
    """Centre of x, and how far x and y may lie from it and from 0: PROJ gives finite nonsense for the far side of the globe."""
    if crs == "EPSG:3857":
        return 0.0, 1.5 * MERCATOR_EDGE, 1.5 * MERCATOR_EDGE
    if _central_meridian(crs) is None:
        return 0.0, math.inf, math.inf
    parameters = {parameter.name: parameter.value for parameter in to_pyproj(crs).coordinate_operation.params}
    return parameters["False easting"], 4_000_000.0, 10_010_000.0 + abs(parameters["False northing"])


def _expressible(points: tuple, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = points[0], points[1]
    centre, widest, highest = _sane(target)
    fit = np.isfinite(x) & np.isfinite(y) & (np.abs(x - centre) <= widest) & (np.abs(y) <= highest)
    if not fit.all():
        raise OutsideAreaOfUse(f"coordinates of `{source[:60]}` leave what `{target[:60]}` can express: ask for a smaller area")
    return x, y


# Scale

def ground_resolution(view: View) -> float:
    """Finest true metres on the ground per pixel of `view`, computed by us, never taken from the client (design R4).

    The smaller of x and y, at the latitude of the view farthest from the equator, on a sphere (0.4 % of the ellipsoid); latitudes beyond
    85.05 count as 85.05. The scale distortion of Gauss-Krueger, at most 0.15 % within the province, is left out.
    """
    x, y = view.resolution
    shortest = finest_unit(view.bounds, view.crs)
    return min(x * shortest, y * math.radians(1.0) * EARTH_RADIUS if is_geographic(view.crs) else y * shortest)


def finest_unit(bounds: Bounds, crs: str) -> float:
    """Fewest true metres on the ground that one unit of `crs` stands for within `bounds`: along a parallel, at the latitude farthest from the
    equator, on a sphere, as `ground_resolution` has it."""
    if is_geographic(crs):
        return math.radians(1.0) * EARTH_RADIUS * math.cos(_farthest_latitude(bounds.bottom, bounds.top))
    if crs == "EPSG:3857":
        return math.cos(_farthest_latitude(*(math.degrees(math.atan(math.sinh(v / EARTH_RADIUS))) for v in (bounds.bottom, bounds.top))))
    return _metres_per_unit(crs)


def scale_denominator(view: View) -> float:
    """n of the scale 1:n of `view`, at OGC's pixel of 0.28 mm."""
    return ground_resolution(view) / PIXEL_OF_OGC


def _farthest_latitude(south: float, north: float) -> float:
    """Radians."""
    return math.radians(min(max(abs(south), abs(north)), MERCATOR_LATITUDE))


@lru_cache(maxsize=256)
def _metres_per_unit(crs: str) -> float:
    return to_pyproj(crs).axis_info[0].unit_conversion_factor
