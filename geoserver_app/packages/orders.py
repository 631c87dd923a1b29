"""What is wanted of a package: layers, an area, and in which form. All faults of it are told at once, and none of them tells what layers there are."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agreements.areas import area_of
from agreements.errors import AreaInvalid
from agreements.model import Area
from geoserver_app.api.faults import FieldFault, InputFaulty, document_pointer
from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import Catalogue
from layers.crs import SERVED, is_geographic, parse_crs
from layers.errors import CrsNotServed
from layers.model import LayerName
from tiles.encode import JPEG, PNG

TIFF = "image/tiff"

LEAST_STEP = {True: 1e-9, False: 1e-4}
"""Units of a CRS a pixel, in degrees and in metres: finer is a mistake."""


class Form(StrEnum):
    """How the files of a package are made."""

    COG = "cog"
    GEOTIFF = "geotiff"
    PNG = "png"
    JPEG = "jpeg"
    DELIVERED = "delivered"
    GPKG = "gpkg"
    GEOJSON = "geojson"
    FLATGEOBUF = "flatgeobuf"
    SHAPEFILE = "shapefile"

    @property
    def media_type(self) -> str:
        """As grants name it. What was delivered counts as TIFF, whatever it is."""
        return {Form.PNG: PNG, Form.JPEG: JPEG, **VECTOR_TYPES}.get(self, TIFF)

    @property
    def is_picture(self) -> bool:
        return self in (Form.PNG, Form.JPEG)

    @property
    def is_vector(self) -> bool:
        return self in VECTOR_TYPES


VECTOR_TYPES = {
    Form.GPKG: "application/geopackage+sqlite3", Form.GEOJSON: "application/geo+json", Form.FLATGEOBUF: "application/flatgeobuf",
    Form.SHAPEFILE: "application/x-shapefile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`crs` None is each layer's own, `resolution` (units of the CRS a pixel) None its own too, `style` None the first that is granted."""

    layers: tuple[LayerName, ...]
    area: Area
    form: Form
    crs: str | None = None
    resolution: float | None = None
    style: str | None = None


def read_order(
    catalogue: Catalogue, *, layers: Sequence[str], area: Mapping[str, Any] | Sequence[Mapping[str, Any]], form: str, crs: str | None,
    resolution: float | None, style: str | None, most_layers: int,
) -> Order:
    """Raises InputFaulty with every fault."""
    faults = list(_faults_of_layers(layers, most_layers)) + list(_faults_of_form(form, crs, resolution, style))
    found = None
    try:
        found = area_of(_with_bounds(area), CatalogueGazetteer(catalogue))
    except AreaInvalid as error:
        faults += [FieldFault(pointer=f"/area{document_pointer(place)}", text=message) for place, message in error.faults]
    if faults:
        raise InputFaulty(*faults)
    return Order(
        layers=tuple(LayerName.parse(one) for one in layers), area=found, form=Form(form), crs=crs and parse_crs(crs), resolution=resolution,
        style=style,
    )


def _with_bounds(area: Mapping | Sequence[Mapping]) -> Mapping | Sequence[Mapping]:
    """`bounds` (left, bottom, right, top; x before y) beside the ways in which documents name an area: a drawn rectangle."""
    if not isinstance(area, Mapping):
        return [_with_bounds(one) if isinstance(one, Mapping) else one for one in area]
    if "bounds" not in area or "geojson" in area:
        return area
    rest = {name: value for name, value in area.items() if name != "bounds"}
    left, bottom, right, top = _four_numbers(area["bounds"])
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    return rest | {"geojson": {"type": "Polygon", "coordinates": [ring]}}


def _four_numbers(value: object) -> Sequence[float]:
    is_four = isinstance(value, Sequence) and len(value) == 4 and all(type(one) in (int, float) and math.isfinite(one) for one in value)
    if not is_four or not (value[0] < value[2] and value[1] < value[3]):
        raise InputFaulty(FieldFault(pointer="/area/bounds", code="package-bounds"))
    return value


def _faults_of_layers(layers: Sequence[str], most: int) -> Iterator[FieldFault]:
    if not 1 <= len(layers) <= most:
        yield FieldFault(pointer="/layers", code="package-layers", detail={"most": str(most)})
    seen = set()
    for place, name in enumerate(layers):
        try:
            LayerName.parse(name)
        except ValueError:
            yield FieldFault(pointer=f"/layers/{place}", code="layer-name", detail={"value": name[:80]})
        if name in seen:
            yield FieldFault(pointer=f"/layers/{place}", code="package-layer-twice", detail={"value": name[:80]})
        seen.add(name)


def _faults_of_form(form: str, crs: str | None, resolution: float | None, style: str | None) -> Iterator[FieldFault]:
    known = None
    if crs is not None:
        try:
            known = parse_crs(crs)
        except CrsNotServed:
            yield FieldFault(pointer="/crs", code="crs-not-served", detail={"value": crs[:80], "choices": ", ".join(SERVED)})
    if resolution is not None and not (math.isfinite(resolution) and resolution >= LEAST_STEP[known is not None and is_geographic(known)]):
        yield FieldFault(pointer="/resolution", code="package-resolution")
    if form == Form.DELIVERED:
        for name, value in (("crs", crs), ("resolution", resolution), ("style", style)):
            if value is not None:
                yield FieldFault(pointer=f"/{name}", code="package-as-delivered", detail={"name": name})
    elif form in list(VECTOR_TYPES) and resolution is not None:
        yield FieldFault(pointer="/resolution", code="package-no-pixels")
    elif resolution is not None and crs is None:
        yield FieldFault(pointer="/resolution", code="package-resolution-crs")
    if style is not None and not Form(form).is_picture:
        yield FieldFault(pointer="/style", code="package-style")
