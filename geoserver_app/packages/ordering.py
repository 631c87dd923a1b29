"""An order, decided: what is granted of it, on which grid it will lie, counted on the exports of the agreements that let it out.

The decision comes first. Only who is granted a layer is told what can't be made of it.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.areas import sheets_named
from agreements.model import Area, Operation
from geoserver_app.api.faults import ApiFault, FieldFault, InputFaulty
from geoserver_app.gate import Asked, Gate, Reserved
from geoserver_app.identity import Caller
from geoserver_app.metering.exports import polygons_of
from geoserver_app.packages.delivered import box_of
from geoserver_app.packages.items import (
    VALUES,
    Grounds,
    Item,
    Narrower,
    blocks_of,
    check_features,
    check_further,
    check_numbers,
    digest_of,
    granted_by,
    shown_by,
    terms_of,
)
from geoserver_app.packages.jobs import Package, PackageBook, new_folder, package_folder
from geoserver_app.packages.orders import Form, Order
from geoserver_app.packages.reserving import plain_reservation, release
from geoserver_app.settings import Settings
from layers import crs as crs_room
from layers.catalogue import Catalogue
from layers.errors import OutsideAreaOfUse, SheetNumberInvalid
from layers.model import Bounds, Edition, LayerName, ProductType, View, picture_styles
from layers.sheets import any_number
from tiles.area import ServedArea
from tiles.permits import Permit

MOST_PIXELS = 4 << 30
"""Of one layer in a package."""

MOST_ACROSS = 100_000
"""Pixels a row: what a strip may take of the memory."""

MOST_WAITING = 20
"""Packages of one agency that are still to be made."""


def place(gate: Gate, catalogue: Catalogue, book: PackageBook, settings: Settings, caller: Caller, order: Order, asker: dict, wanted: dict) -> Package:
    """The package, waiting for a worker.

    Parameters
    ----------
    asker : dict
        By whom it is ordered: `key` and `login`, "" where it is neither's.
    wanted : dict
        The order as it was sent.

    Raises
    ------
    Refused, OverQuota, NotTrusted, DecisionLogUnavailable, MeteringUnavailable
        As `Gate.reserve`: nothing was ordered.
    InputFaulty, ApiFault
        What is granted can't be made like that.
    """
    if book.waiting(caller.agency.agency_id) >= MOST_WAITING:
        raise ApiFault("packages-waiting", 409, {"most": str(MOST_WAITING)})
    permits = gate.permits(caller, [_first_question(order, name) for name in order.layers])
    _check_are_different(permits)
    planned = [_planned(gate, catalogue, caller, order, place, permit) for place, permit in enumerate(permits)]
    made = package_folder(settings, new_folder())
    items: list[Item] = []
    try:
        for number, (asked, ground, view) in enumerate(planned):
            reserved = gate.reserve(caller, asked, ground)
            items.append(_item(reserved, asked, view, order.form, _further(catalogue, reserved.permit, view) if order.form is Form.DELIVERED else ()))
            check_numbers(gate, caller, asked, reserved.permit)
            check_features(gate, caller, asked, reserved.permit)
            check_further(gate, caller, items[-1], asked, reserved.permit)
            Grounds(made).keep(number, items[-1].terms, ground, shown_by(reserved.permit))
        return book.add(
            caller.agency.agency_id, wanted=wanted, items=[one.plain() for one in items], total=sum(blocks_of(one) for one in items), folder=made.name,
            asker=asker | {"app": caller.app, "purpose": caller.purpose, "networks": sorted(caller.networks)},
        )
    except BaseException as error:
        for one in items:
            release(gate.meter, one.reservation, gate.clock())
        shutil.rmtree(made, ignore_errors=True)
        if isinstance(error, Narrower):
            raise ApiFault("package-features" if order.form.is_vector else "package-numbers" if items[-1].style == VALUES else "package-narrower", 403, {"layer": items[-1].layer}) from error
        raise


def _check_are_different(permits: Sequence[Permit]) -> None:
    """A bare name may stand for an edition that is named as well. Asked after the gate. Raises InputFaulty."""
    editions = [one.edition for one in permits]
    twice = [place for place, one in enumerate(editions) if one.edition_id in {other.edition_id for other in editions[:place]}]
    if twice:
        raise InputFaulty(*(
            FieldFault(pointer=f"/layers/{place}", code="package-layer-twice", detail={"value": str(LayerName(editions[place].layer, editions[place].name))})
            for place in twice
        ))


def _first_question(order: Order, name: LayerName) -> Asked:
    """Without a grid: which edition it is, and whether any of it is granted."""
    ground = ServedArea(order.area.geometry, order.area.digest)
    style = order.style if order.form.is_picture else None
    return Asked(layer=name, operation=Operation.DOWNLOAD, style=style, format=order.form.media_type, crs=order.crs, within=ground, is_in_full=order.form.is_vector)


def _planned(gate: Gate, catalogue: Catalogue, caller: Caller, order: Order, place: int, permit: Permit) -> tuple[Asked, BaseGeometry, View]:
    """The question with its grid, the ground (CRS84) that is asked of the layer, and where its files lie: of features one cell, their box."""
    edition = permit.edition
    if edition.product.is_raster and order.form.is_vector:
        raise InputFaulty(FieldFault(pointer="/format", code="package-not-features", detail={"layer": edition.layer}))
    if not edition.product.is_raster and (not order.form.is_vector or edition.vectors is None):
        raise InputFaulty(FieldFault(pointer=f"/layers/{place}", code="package-line-map", detail={"layer": edition.layer}))
    ground = _ground(catalogue, order, edition)
    granted = ground if permit.area is None else permit.area.cut(ground)
    granted = polygons_of(granted if order.form.is_vector else shapely.intersection(granted, edition.extent))
    crs = order.crs or (edition.crs if edition.crs in crs_room.SERVED else "EPSG:4490")
    asked = _first_question(order, LayerName(edition.layer, edition.name))
    asked = replace(asked, within=None, crs=crs, style=None if order.form.is_vector else _style(gate, caller, asked, edition, order.form, place))
    if asked.style == VALUES:
        gate.permits(caller, [replace(asked, operation=Operation.GET_COVERAGE)])
    if granted.is_empty:
        reserved = gate.reserve(caller, asked, order.area.geometry)     # where the ground is not granted this is what says so
        release(gate.meter, plain_reservation(reserved.reservation), gate.clock())
        raise ApiFault("package-no-data", 422, {"layer": edition.layer})
    if order.form.is_vector:
        gate.permits(caller, [replace(asked, operation=Operation.GET_FEATURE, format=None)])
        return replace(asked, within=ServedArea(ground, digest_of(ground))), ground, _box_of(granted, crs)
    view = view_of(edition, granted, crs, order.resolution)
    if view.width > MOST_ACROSS or view.width * view.height > MOST_PIXELS:
        detail = {"width": str(view.width), "height": str(view.height), "most": str(MOST_PIXELS), "across": str(MOST_ACROSS)}
        raise InputFaulty(FieldFault(pointer="/resolution", code="package-large", detail=detail))
    return replace(asked, view=view, crs=None, within=ServedArea(ground, digest_of(ground))), ground, view


def _box_of(granted: BaseGeometry, crs: str) -> View:
    """Raises OutsideAreaOfUse."""
    bounds = Bounds(*crs_room.transform_geometry(crs_room.densify(granted, "CRS:84"), "CRS:84", crs).bounds)
    return View(crs=crs, bounds=bounds, width=1, height=1)


def _ground(catalogue: Catalogue, order: Order, edition: Edition) -> BaseGeometry:
    """What is asked of one layer (CRS84): of rasters where there are data; of map sheets as they were delivered, all that their files hold."""
    if order.form.is_vector:                # the box of all vectors would tell how far those reach that are not granted
        return order.area.geometry
    if order.form is not Form.DELIVERED:
        return polygons_of(shapely.intersection(order.area.geometry, edition.extent))
    numbers = set(_numbers(order.area))
    boxes = [box_of(sheet) for sheet in catalogue.sheets(edition.edition_id) if sheet.number in numbers] if numbers else []
    return polygons_of(shapely.union_all([order.area.geometry, *boxes]))


def _numbers(area: Area) -> Iterator[str]:
    for written in sheets_named(area):
        with suppress(SheetNumberInvalid):
            yield any_number(written)


def _style(gate: Gate, caller: Caller, asked: Asked, edition: Edition, form: Form, place: int) -> str | None:
    """In which it is drawn, or decided: the first that is granted where none was named."""
    offered = picture_styles(edition.product)
    if not form.is_picture:
        return VALUES if edition.product is ProductType.DEM else offered[0]
    if asked.style is not None:
        if asked.style not in offered:
            detail = {"layer": edition.layer, "style": asked.style[:80], "choices": ", ".join(offered)}
            raise InputFaulty(FieldFault(pointer="/style", code="style-not-defined", detail=detail))
        return asked.style
    standing, at = gate.standing(), gate.clock()
    return next((one for one in offered if not gate.decide(standing, caller, replace(asked, style=one), at).is_denied), offered[0])


def view_of(edition: Edition, ground: BaseGeometry, crs: str, resolution: float | None) -> View:
    """The grid of a package: whole steps from the CRS's origin, or the pixels of the sheets themselves where it is theirs; so what is fetched twice
    is the same, and what was not asked to be resampled is not. Raises OutsideAreaOfUse."""
    reach = shapely.box(*crs_room.reach(crs))
    inside = shapely.intersection(ground, reach)
    if inside.is_empty:
        raise OutsideAreaOfUse(crs)
    bounds = Bounds(*crs_room.transform_geometry(crs_room.densify(inside, "CRS:84"), "CRS:84", crs).bounds)
    own = next((one for one in edition.mosaics if one.crs == crs), None)
    step_x, step_y = (resolution, resolution) if resolution else (own.resolution, own.resolution) if own else _own_steps(edition, bounds, crs)
    is_own = own is not None and math.isclose(step_x, own.resolution, rel_tol=1e-9)
    x0, y0 = (own.bounds.left, own.bounds.top) if is_own else (0.0, 0.0)
    left, right = math.floor((bounds.left - x0) / step_x + HAIR), math.ceil((bounds.right - x0) / step_x - HAIR)
    bottom, top = math.floor((bounds.bottom - y0) / step_y + HAIR), math.ceil((bounds.top - y0) / step_y - HAIR)
    width, height = max(right - left, 1), max(top - bottom, 1)
    place = Bounds(x0 + left * step_x, y0 + (top - height) * step_y, x0 + (left + width) * step_x, y0 + top * step_y)
    return View(crs=crs, bounds=place, width=width, height=height)


HAIR = 1e-6
"""Pixels by which a border may miss an edge of pixels and still lie on it."""


def _own_steps(edition: Edition, bounds: Bounds, crs: str) -> tuple[float, float]:
    """Units of the CRS that are a pixel of the edition on the ground, along x and y: never finer than it."""
    across = edition.resolution / crs_room.finest_unit(bounds, crs)
    return across, edition.resolution / (math.radians(1.0) * crs_room.EARTH_RADIUS) if crs_room.is_geographic(crs) else across


def _further(catalogue: Catalogue, permit: Permit, view: View) -> tuple[View, ...]:
    """Of the sheets that something granted lies on, the finest in each system that is another one, or finer, than that of the order."""
    finest: dict[str, View] = {}
    for sheet in catalogue.sheets(permit.edition.edition_id):
        own = View(crs=sheet.crs, bounds=sheet.bounds, width=sheet.width, height=sheet.height)
        known = finest.get(sheet.crs) or (view if sheet.crs == view.crs else None)
        is_finer = known is None or min(own.resolution) < min(known.resolution) * (1 - HAIR)
        if is_finer and shapely.intersects(permit.area.geometry, box_of(sheet)):
            finest[sheet.crs] = own
    return tuple(finest.values())


def _item(reserved: Reserved, asked: Asked, view: View, form: Form, further: tuple[View, ...]) -> Item:
    permit = reserved.permit
    return Item(
        layer=asked.layer.layer, edition=permit.edition.name, edition_id=permit.edition.edition_id, generation=permit.edition.generation,
        view=view, style=asked.style, form=form, ground=asked.within.digest, terms=terms_of(permit), record=reserved.record_id,
        granted_by=granted_by(reserved.pieces), credits=tuple(permit.credits),
        reservation=plain_reservation(reserved.reservation), spent=tuple(sorted(reserved.spent)),
        further=further,
    )
