"""What is told of features as GML 3.2.1 (OGC 07-036), and the schema of it. A cut may make several of one shape, so every shape is told as several."""

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

import numpy as np
import shapely

from geoserver_app.features.geojson import in_crs
from geoserver_app.ows_documents import plain_number
from layers.features import FieldType
from layers.rows import Value
from tiles.requests.fes import NamedCrs
from tiles.vector.granted import Told

NAMESPACE = "http://geoshare/features"
XSD_TYPES = {
    FieldType.TEXT: "string", FieldType.INTEGER: "long", FieldType.NUMBER: "double", FieldType.BOOLEAN: "boolean", FieldType.DATE: "date",
    FieldType.DATE_TIME: "dateTime",
}
GEOMETRY_TYPES = {"point": "gml:MultiPointPropertyType", "line": "gml:MultiCurvePropertyType", "area": "gml:MultiSurfacePropertyType"}
MULTI = ("MultiPoint", "MultiCurve", "MultiSurface")
MEMBER = ("pointMember", "curveMember", "surfaceMember")
NOT_IN_NAMES = re.compile(r"[^\w.\-\u00b7]")
NOT_FIRST = re.compile(r"^[\d.\-\u00b7]")


def element_name(name: str) -> str:
    """An attribute as an element may be called; `tiles.requests.fes.property_of` reads it back.

    >>> element_name("NAME"), element_name("2a b"), element_name("名称")
    ('NAME', '_x0032_a_x0020_b', '名称')
    """
    code = _code
    return NOT_FIRST.sub(code, NOT_IN_NAMES.sub(code, name))


def _code(found: re.Match) -> str:
    return f"_x{ord(found[0]):04X}_"


def members(some: Told, ids: Sequence[str], type_name: str, source: str, target: NamedCrs) -> Iterator[str]:
    """A wfs:member a thing told. An attribute that is not told here, or has no value, is left out."""
    names = [(element_name(name), values) for name, values in some.columns.items()]
    shapes = in_crs(some.shapes, source, target.crs)
    for position, (shape, name) in enumerate(zip(shapes, ids, strict=True)):
        told = "".join(
            f"<gs:{field}>{_written(values[position])}</gs:{field}>" for field, values in names if values[position] is not None
        )
        yield (
            f'<wfs:member><gs:{type_name} gml:id="{name}"><gs:geometry>{_shape(shape, f"{name}.g", target)}</gs:geometry>{told}'
            f"</gs:{type_name}></wfs:member>\n"
        )


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(value, CONTROLS) if isinstance(value, str) else plain_number(value) if isinstance(value, float) else str(value)


CONTROLS = {chr(one): "" for one in (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)}


def _shape(shape: shapely.Geometry, name: str, crs: NamedCrs) -> str:
    parts = shapely.get_parts(shape)
    dimension, has_z = int(shapely.get_dimensions(shape)), bool(shapely.has_z(shape))
    written = "".join(
        f"<gml:{MEMBER[dimension]}>{_part(part, f'{name}.{number}', dimension, has_z, crs.is_swapped)}</gml:{MEMBER[dimension]}>"
        for number, part in enumerate(parts, 1)
    )
    size = ' srsDimension="3"' if has_z else ""
    return f'<gml:{MULTI[dimension]} gml:id="{name}" srsName="{escape(crs.name)}"{size}>{written}</gml:{MULTI[dimension]}>'


def _part(part: shapely.Geometry, name: str, dimension: int, has_z: bool, is_swapped: bool) -> str:
    if dimension == 0:
        return f'<gml:Point gml:id="{name}"><gml:pos>{_numbers(part, has_z, is_swapped)}</gml:pos></gml:Point>'
    if dimension == 1:
        return f'<gml:LineString gml:id="{name}"><gml:posList{_size(has_z)}>{_numbers(part, has_z, is_swapped)}</gml:posList></gml:LineString>'
    rings = shapely.get_rings(shapely.orient_polygons(part))
    told = "".join(
        f"<gml:{kind}><gml:LinearRing><gml:posList{_size(has_z)}>{_numbers(ring, has_z, is_swapped)}</gml:posList></gml:LinearRing></gml:{kind}>"
        for ring, kind in zip(rings, ["exterior", *["interior"] * (len(rings) - 1)], strict=True)
    )
    return f'<gml:Polygon gml:id="{name}">{told}</gml:Polygon>'


def _size(has_z: bool) -> str:
    return ' srsDimension="3"' if has_z else ""


def _numbers(shape: shapely.Geometry, has_z: bool, is_swapped: bool) -> str:
    points = shapely.get_coordinates(shape, include_z=has_z)
    if is_swapped:
        points = points[:, [1, 0, 2] if has_z else [1, 0]]
    points = np.nan_to_num(points)
    texts = np.char.mod("%.3f" if np.abs(points[:, :2]).max(initial=0.0) > 400 else "%.8f", points)
    return " ".join(texts.ravel().tolist())


def schema(types: Sequence[tuple[str, str, Mapping[str, FieldType]]]) -> str:
    """The XML Schema of feature types: name, geometry word and told fields of each."""
    written = []
    for name, geometry, fields in types:
        rows = "".join(
            f'\n          <xsd:element name="{escape(element_name(field))}" type="xsd:{XSD_TYPES[kind]}" minOccurs="0"/>' for field, kind in fields.items()
        )
        written.append(
            f'  <xsd:element name="{name}" type="gs:{name}Type" substitutionGroup="gml:AbstractFeature"/>\n'
            f'  <xsd:complexType name="{name}Type">\n    <xsd:complexContent>\n      <xsd:extension base="gml:AbstractFeatureType">\n        <xsd:sequence>\n'
            f'          <xsd:element name="geometry" type="{GEOMETRY_TYPES[geometry]}" minOccurs="0"/>{rows}\n'
            f"        </xsd:sequence>\n      </xsd:extension>\n    </xsd:complexContent>\n  </xsd:complexType>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:gs="{NAMESPACE}"'
        f' targetNamespace="{NAMESPACE}" elementFormDefault="qualified" version="1.0">\n'
        '  <xsd:import namespace="http://www.opengis.net/gml/3.2" schemaLocation="http://schemas.opengis.net/gml/3.2.1/gml.xsd"/>\n'
        f'{"".join(written)}</xsd:schema>\n'
    )
