"""The words of an area -> one geometry in CRS84.

An area is said in one mapping, or a list of them; all that they name is one area:

    divisions: ["320104", "320105"]      administrative divisions, by code, as they were bounded at `vintage` (the latest unless said)
    sheets: [I50G095077]                 GB/T 13989 map sheets
    geojson: {type: Polygon, ...}        drawn, x before y, in `crs` (CRS:84 unless said)
    buffer: {of: {type: LineString, ...}, metres: 500}      all ground within a distance of a drawn shape; with a `crs` of its own
    everywhere: true                     the whole extent of the layer

The geometry is fixed when the agreement is registered: a division that changes later changes no agreement. The vintage whose boundaries were
used is written into the words of the area, so that they name the same ground ever after.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.errors import AreaInvalid
from agreements.model import Area, Gazetteer

LONGEST_EDGE = 0.01
"""Degrees: the sagitta of such an edge in Gauss-Krueger is about 1 cm at 33 N."""

LONGEST_EDGE_METRES = 1000.0
"""The same of a shape drawn in a projected CRS."""

SMALLEST_AREA = 1e-11
"""Square degrees, some 0.1 m2: what is left of a line that was drawn as a polygon is smaller."""

MOST_VERTICES = 2_000_000
"""Of one area, densified: 32 MB. The outline of a province at 1:10,000 has some 200,000."""

MOST_BUFFERED = 100_000
"""Vertices of a shape whose surroundings are an area, densified: those of a river through a province."""

WIDEST_BUFFER = 100_000.0
"""Metres."""

PARTS = ("divisions", "sheets", "geojson", "buffer", "everywhere")
QUALIFIERS = {"crs": "geojson", "vintage": "divisions"}
WORDS = (*PARTS, *QUALIFIERS)
BUFFER_WORDS = ("of", "metres", "crs")

POLYGONAL = ("Polygon", "MultiPolygon")
COLLECTIONS = {"GeometryCollection": "geometries", "FeatureCollection": "features"}
NESTING = {"Point": 1, "MultiPoint": 2, "LineString": 2, "Polygon": 3, "MultiLineString": 3, "MultiPolygon": 4}


def area_of(spec: Mapping | Sequence[Mapping], gazetteer: Gazetteer) -> Area:
    """The area that `spec` names: the union of everything in it.

    Returns
    -------
    Area
        Valid polygons in CRS84 (lon lat degrees), edges at most 0.01 degree; `words` holds `spec` as JSON text, with the vintage of every
        division that was used.

    Raises
    ------
    AreaInvalid
        With every fault: nothing named, an unknown division or sheet, a shape that is no polygon, coordinates off the globe.
    """
    specs = [spec] if isinstance(spec, Mapping) else list(spec)
    faults: list[tuple[str, str]] = []
    parts: list[_Part] = []
    pinned: list[Mapping] = []
    for position, one in enumerate(specs):
        found = _parts(one, gazetteer, "" if isinstance(spec, Mapping) else f"[{position}]", faults)
        parts += found
        if found:
            pinned += _pinned(one, found)
    if not specs and not faults:
        faults.append(("", f"the area names nothing: give {_one_of(PARTS)}"))
    if faults:
        raise AreaInvalid(tuple(faults))
    words = json.dumps(pinned[0] if isinstance(spec, Mapping) and len(pinned) == 1 else pinned, ensure_ascii=False, sort_keys=True)
    title = _title([part.title for part in parts])
    if any(part.shape is WORLD for part in parts):
        return Area(geometry=WORLD, digest=EVERYWHERE_DIGEST, title=EVERYWHERE_TITLE, words=words)
    return area_on_the_ground(shapely.union_all([part.shape for part in parts]), title, words)


class _Part(NamedTuple):
    """One thing that an area names; `code` and `vintage` of a division."""

    title: str
    shape: BaseGeometry
    code: str = ""
    vintage: str = ""


def _pinned(spec: Mapping, parts: list[_Part]) -> list[Mapping]:
    """`spec` with the vintages of its divisions: several mappings where they are of several."""
    codes: dict[str, list[str]] = {}
    for part in parts:
        if part.vintage:
            codes.setdefault(part.vintage, []).append(part.code)
    if not codes:
        return [spec]
    if len(codes) == 1:
        return [{**spec, "vintage": next(iter(codes))}]
    rest = {name: value for name, value in spec.items() if name != "divisions"}
    return [*([rest] if rest else []), *({"divisions": named, "vintage": vintage} for vintage, named in codes.items())]


def divisions_named(area: Area) -> tuple[tuple[str, str], ...]:
    """(code, vintage) of every division that the words of an area name; the vintage is "" where it is not known."""
    said = json.loads(area.words) if area.words else []
    return tuple(
        (code, spec.get("vintage", ""))
        for spec in ([said] if isinstance(said, Mapping) else said) for _, code in (_listed(spec, "divisions") if "divisions" in spec else ())
    )


def sheets_named(area: Area) -> tuple[str, ...]:
    """Numbers of the map sheets that the words of an area name, as they were written."""
    said = json.loads(area.words) if area.words else []
    return tuple(
        number for spec in ([said] if isinstance(said, Mapping) else said) for _, number in (_listed(spec, "sheets") if "sheets" in spec else ())
    )


def area_on_the_ground(geometry: BaseGeometry, title: str, words: str = "") -> Area:
    """An Area of polygons in CRS84, under the digest of its own coordinates. Raises AreaInvalid where nothing of it is a polygon."""
    geometry = shapely.normalize(_sound(geometry))
    return Area(geometry=geometry, digest=digest_of(geometry), title=title, words=words)


def digest_of(geometry: BaseGeometry) -> str:
    """SHA-256 (hex) of the normalised geometry as little-endian ISO WKB: equal shapes have equal names."""
    return hashlib.sha256(to_wkb(shapely.normalize(geometry))).hexdigest()


def to_wkb(geometry: BaseGeometry) -> bytes:
    return shapely.to_wkb(geometry, output_dimension=2, byte_order=1, flavor="iso")


WORLD = shapely.normalize(shapely.box(-180.0, -90.0, 180.0, 90.0))
"""Everywhere. Its edges are meridians and parallels, straight in every CRS in degrees, so it is not densified."""

EVERYWHERE_DIGEST = digest_of(WORLD)
EVERYWHERE_TITLE = "everywhere"


# The parts of an area

def _parts(spec: Mapping, gazetteer: Gazetteer, at: str, faults: list[tuple[str, str]]) -> list[_Part]:
    if not isinstance(spec, Mapping):
        faults.append((at, f"an area is a mapping: give {_one_of(PARTS)}"))
        return []
    before, parts = len(faults), []
    for name in spec:
        if name not in WORDS:
            faults.append((_join(at, name), f"`{name}` is not a way to name an area: use {_one_of(PARTS)}"))
    for name, part in QUALIFIERS.items():
        if name in spec and part not in spec:
            faults.append((_join(at, name), f"`{name}` belongs to `{part}`: leave it out, or name the area by `{part}`"))
    for name in (name for name in PARTS if name in spec):
        for field, find in FINDERS[name](spec, gazetteer):
            try:
                part = find()
                parts.append(part._replace(shape=_sound(part.shape)))
            except (LookupError, AreaInvalid) as error:
                faults.append((_join(at, field), _told(error)))
    if not parts and len(faults) == before:
        faults.append((at, f"the area names nothing: give {_one_of(PARTS)}"))
    return parts


def _told(error: LookupError | AreaInvalid) -> str:
    return error.faults[0][1] if isinstance(error, AreaInvalid) else " ".join(str(error.args[0] if error.args else error).split())


Find = Callable[[], _Part]
"""One part of an area. Raises LookupError or AreaInvalid."""


def _divisions(spec: Mapping, gazetteer: Gazetteer) -> Iterator[tuple[str, Find]]:
    return ((field, partial(_division, code, spec.get("vintage"), gazetteer)) for field, code in _listed(spec, "divisions"))


def _division(code: object, vintage: object, gazetteer: Gazetteer) -> _Part:
    code = _text(code, "a division code, such as \"320104\"")
    vintage = None if vintage is None else _text(vintage, "a vintage, such as \"2020\"")
    name, shape, vintage = gazetteer.division(code, vintage)
    return _Part(f"{name} ({code})", shape, code, vintage)


def _sheets(spec: Mapping, gazetteer: Gazetteer) -> Iterator[tuple[str, Find]]:
    return ((field, partial(_sheet, number, gazetteer)) for field, number in _listed(spec, "sheets"))


def _sheet(number: object, gazetteer: Gazetteer) -> _Part:
    return _Part(f"sheet {number}", gazetteer.sheet(_text(number, "a map sheet number, such as I50G095077")))


def _drawn(spec: Mapping, gazetteer: Gazetteer) -> Iterator[tuple[str, Find]]:
    yield "geojson", partial(_drawing, spec["geojson"], spec.get("crs", "CRS:84"), gazetteer)


def _drawing(geojson: object, crs: object, gazetteer: Gazetteer) -> _Part:
    _check_shape(geojson, POLYGONAL)
    crs = _text(crs, "a CRS, such as EPSG:4490")
    _check_reach(shapely.from_geojson(json.dumps(geojson)), crs, MOST_VERTICES)
    return _Part("a drawn area", gazetteer.geometry(dict(geojson), crs))


def _surroundings(spec: Mapping, gazetteer: Gazetteer) -> Iterator[tuple[str, Find]]:
    yield "buffer", partial(_buffer, spec["buffer"], gazetteer)


def _buffer(said: object, gazetteer: Gazetteer) -> _Part:
    if not isinstance(said, Mapping):
        raise _invalid("a buffer is a mapping: give `of` (GeoJSON), `metres`, and the `crs` of the GeoJSON")
    for name in said:
        if name not in BUFFER_WORDS:
            raise _invalid(f"a buffer has no `{str(name)[:40]}`: use {_one_of(BUFFER_WORDS)}")
    metres, geojson = _distance(said.get("metres")), said.get("of")
    if isinstance(geojson, str):
        geojson = _parsed(geojson)
    _check_shape(geojson, tuple(NESTING))
    crs = _text(said.get("crs", "CRS:84"), "a CRS, such as EPSG:4490")
    _check_reach(shapely.from_geojson(json.dumps(geojson)), crs, MOST_BUFFERED)
    return _Part(f"within {metres:g} m of a drawn shape", gazetteer.buffer(dict(geojson), crs, metres))


def _distance(metres: object) -> float:
    if isinstance(metres, str) and re.fullmatch(r"(\d{1,3}(,\d{3})+|\d{1,9})(\.\d{1,9})?", metres):
        metres = float(metres.replace(",", ""))
    if type(metres) not in (int, float) or not 0 < metres <= WIDEST_BUFFER:
        raise _invalid(f"`{str(metres)[:40]}` is no width of a buffer: give `metres`, a number up to {WIDEST_BUFFER:.0f}")
    return float(metres)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("the shape of a buffer is not JSON: give GeoJSON as fields, or as JSON text") from None


def _everywhere(spec: Mapping, _gazetteer: Gazetteer) -> Iterator[tuple[str, Find]]:
    yield "everywhere", partial(_world, spec["everywhere"])


def _world(said: object) -> _Part:
    if said is not True:
        raise _invalid("`everywhere` can only be true: leave it out to name a part")
    return _Part(EVERYWHERE_TITLE, WORLD)


FINDERS = {"divisions": _divisions, "sheets": _sheets, "geojson": _drawn, "buffer": _surroundings, "everywhere": _everywhere}


def _listed(spec: Mapping, name: str) -> Iterator[tuple[str, object]]:
    values = spec[name]
    if not isinstance(values, (list, tuple)):
        values = [values]
    if not values:
        yield name, None
    for position, value in enumerate(values):
        yield f"{name}[{position}]", value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _invalid(f"give {what}" if value is None else f"`{str(value)[:40]}` is not {what}: write it in quotes")
    return value.strip()


# Shapes

IN_DEGREES = re.compile(r"(.*[:/])?(4326|4490|(OGC|CRS):?(CRS)?84|CRS84)", re.IGNORECASE)

FARTHEST = 5e7
"""Units of a projected CRS: an easting with the prefix of zone 45 is 45,500,000 m."""


def _check_reach(drawn: BaseGeometry, crs: str, most_vertices: int) -> None:
    """Before anything is densified: a wrong unit would make vertices by the thousand million."""
    in_degrees = bool(IN_DEGREES.fullmatch(crs))
    if in_degrees:
        _check_place(drawn)
    elif not drawn.is_empty and max(abs(value) for value in drawn.bounds) > FARTHEST:
        raise _invalid(f"the shape has coordinates beyond {FARTHEST:.0f}: give metres, and the CRS that the numbers are in")
    _check_size(drawn, LONGEST_EDGE if in_degrees else LONGEST_EDGE_METRES, most_vertices)


def _check_shape(geojson: object, kinds: Sequence[str]) -> None:
    """Raises AreaInvalid where it is no GeoJSON of these kinds, or collections of them."""
    kind = geojson.get("type") if isinstance(geojson, Mapping) else None
    if kind == "Feature":
        _check_shape(geojson.get("geometry"), kinds)
    elif kind in COLLECTIONS:
        members = geojson.get(COLLECTIONS[kind])
        if not isinstance(members, list) or not members:
            raise _invalid(f"the {kind} holds nothing: draw at least one shape")
        for member in members:
            _check_shape(member, kinds)
    elif kind in kinds:
        _check_coordinates(geojson.get("coordinates"), NESTING[kind], kind)
    elif kind in NESTING:
        raise _invalid(f"a {kind} covers no ground: draw a Polygon or MultiPolygon, or name what surrounds it as a `buffer`")
    else:
        raise _invalid(f"`{str(kind)[:40]}` is not a GeoJSON type: draw a {_one_of(kinds)}")


def _check_coordinates(values: object, depth: int, kind: str) -> None:
    if not isinstance(values, (list, tuple)) or not values:
        raise _invalid(f"the {kind} has no coordinates: give [x, y] pairs")
    if depth > 1:
        for value in values:
            _check_coordinates(value, depth - 1, kind)
        if depth == 2 and kind != "MultiPoint":
            _check_line(values, kind)
    elif len(values) < 2 or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise _invalid(f"`{str(values)[:60]}` is not a position: give [x, y], two finite numbers")


def _check_line(line: Sequence, kind: str) -> None:
    if kind not in POLYGONAL:
        if len(line) < 2:
            raise _invalid("a line of one position leads nowhere: give at least two")
    elif len(line) < 4:
        raise _invalid(f"a ring of {len(line)} positions encloses nothing: give at least four, the last like the first")
    elif list(line[0]) != list(line[-1]):
        raise _invalid(f"a ring is not closed: repeat its first position {list(line[0])} at its end")


def _sound(geometry: BaseGeometry) -> BaseGeometry:
    """Valid polygons with edges of at most 0.01 degree; what has no breadth is dropped. Raises AreaInvalid."""
    if geometry is WORLD:
        return WORLD
    if geometry is None or geometry.is_empty:
        raise _invalid("the shape is empty: draw a polygon")
    geometry = shapely.force_2d(geometry)
    _check_place(geometry)
    polygons = _polygons(geometry if geometry.is_valid else shapely.make_valid(geometry))
    if not polygons:
        raise _invalid(f"a {geometry.geom_type} without breadth covers no ground: draw a polygon")
    sound = polygons[0] if len(polygons) == 1 else shapely.union_all(polygons)
    _check_size(sound, LONGEST_EDGE, MOST_VERTICES)
    return _densified(sound)


def _check_size(geometry: BaseGeometry, longest_edge: float, most: int) -> None:
    if shapely.get_num_coordinates(geometry) + geometry.length / longest_edge > most:
        raise _invalid(f"the shape needs more than {most} vertices: simplify it, or name divisions or sheets")


def _check_place(geometry: BaseGeometry) -> None:
    if not all(math.isfinite(value) for value in geometry.bounds):
        raise _invalid("the shape has coordinates that are not finite: check the file it comes from")
    west, south, east, north = geometry.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise _invalid(
            f"the shape reaches from {west:.6g}, {south:.6g} to {east:.6g}, {north:.6g}, off the globe: "
            "give x (longitude, easting) before y, and the CRS that the numbers are in"
        )


def _polygons(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = [geometry] if geometry.geom_type == "Polygon" else list(getattr(geometry, "geoms", ()))
    if any(part.geom_type in ("MultiPolygon", "GeometryCollection") for part in parts):
        return [polygon for part in parts for polygon in _polygons(part)]
    return [part for part in parts if part.geom_type == "Polygon" and part.area > SMALLEST_AREA]


def _densified(geometry: BaseGeometry) -> BaseGeometry:
    """No edge longer than 0.01 degree, and a hair more: an edge that a former run has cut is not cut again."""
    dense = shapely.segmentize(geometry, LONGEST_EDGE * (1 + 1e-9))
    return dense if dense.is_valid else shapely.union_all(_polygons(shapely.make_valid(dense)))


# Words

def _title(names: list[str], shown: int = 4) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _invalid(message: str) -> AreaInvalid:
    return AreaInvalid((("", message),))


def _join(at: str, field: str) -> str:
    return f"{at}.{field}" if at else str(field)


def _one_of(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:-1]) + f" or `{names[-1]}`"
