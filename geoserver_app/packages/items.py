"""What was granted of a package, layer by layer; and whether it still is.

A package is made and shipped on one permit, that of the order. Every block is decided anew, and goes on where the decision is the same; where it
is another one, the package is begun anew if that lets out all that the old one did, else it is taken back.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.model import Operation, Piece
from geoserver_app.gate import Asked, Gate
from geoserver_app.identity import Caller
from geoserver_app.metering.exports import polygons_of
from geoserver_app.packages.jobs import Package, package_folder
from geoserver_app.packages.orders import Form
from geoserver_app.settings import Settings
from layers.ingest.cog import STRIP_ROWS
from layers.model import Bounds, LayerName, View
from tiles.area import ServedArea
from tiles.permits import Permit

SLIVER = 1e-11
"""Square degrees, about a tenth of a square metre: what rounding leaves of a border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One layer of a package. `ground` is the digest of the ground that was asked, `terms` that of what was granted of it; `granted_by` names
    agreement, version and clause; `record` leads to the decision; `reservation` is of the exports it is counted on, `spent` names agreements that let out no more of them; `pixels` how many of it are
    shown, once it is made."""

    layer: str
    edition: str
    edition_id: int
    generation: int
    view: View
    style: str | None
    form: Form
    ground: str
    terms: str
    granted_by: tuple[Mapping, ...]
    credits: tuple[str, ...]
    record: str
    reservation: Mapping | None = None
    spent: tuple[str, ...] = ()
    pixels: int = 0
    further: tuple[View, ...] = ()       # what else must be granted: sheets as delivered may be finer, or in another system, than `view`

    def plain(self) -> dict:
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {
            "view": _plain_view(self.view), "form": self.form.value, "granted_by": list(self.granted_by), "credits": list(self.credits),
            "spent": list(self.spent), "further": [_plain_view(one) for one in self.further],
        }

    @classmethod
    def of(cls, plain: Mapping) -> "Item":
        return cls(**plain | {
            "view": _view(plain["view"]), "form": Form(plain["form"]), "granted_by": tuple(plain["granted_by"]), "credits": tuple(plain["credits"]),
            "spent": tuple(plain["spent"]), "further": tuple(_view(one) for one in plain.get("further", ())),
        })

    @property
    def name(self) -> str:
        return f"{self.layer}-{self.edition}"


def _plain_view(view: View) -> dict:
    return {"crs": view.crs, "bounds": list(view.bounds), "width": view.width, "height": view.height}


def _view(plain: Mapping) -> View:
    return View(**plain | {"bounds": Bounds(*plain["bounds"])})


VALUES = "values"
"""The style, for the decision, of heights: a grant that names the styles of an elevation model grants pictures of it, not its numbers."""


class Narrower(Exception):
    """Some of what is in a package may not be had."""


def asked_of(item: Item, ground: ServedArea) -> Asked:
    """The question that each block of it is decided by."""
    if item.form.is_vector:
        return Asked(
            layer=LayerName(item.layer, item.edition), operation=Operation.DOWNLOAD, format=item.form.media_type, crs=item.view.crs, within=ground,
            is_in_full=True,
        )
    return Asked(
        layer=LayerName(item.layer, item.edition), operation=Operation.DOWNLOAD, view=item.view, style=item.style, format=item.form.media_type,
        within=ground,
    )


def permit_of(gate: Gate, caller: Caller, item: Item, ground: ServedArea) -> Permit:
    """The permit for an item as of now, on record. Raises Refused as `Gate.permits`, and Narrower as `check_numbers`."""
    asked = asked_of(item, ground)
    (permit,) = gate.permits(caller, [asked], without=frozenset(item.spent))
    check_numbers(gate, caller, asked, permit)
    check_features(gate, caller, asked, permit)
    check_further(gate, caller, item, asked, permit)
    return permit


def check_numbers(gate: Gate, caller: Caller, asked: Asked, permit: Permit) -> None:
    """Heights are values, not pictures: all that is granted of them as files must be granted as values too, by GetCoverage. Raises Refused, Narrower."""
    if asked.style == VALUES:
        (values,) = gate.permits(caller, [replace(asked, operation=Operation.GET_COVERAGE)])
        if not still_shows(values.without_marks(), shown_by(permit)):
            raise Narrower(asked.layer)


def check_features(gate: Gate, caller: Caller, asked: Asked, permit: Permit) -> None:
    """Files of features hold the features themselves: all that a piece lets out must be granted as GetFeature too, with as many attributes and rows.
    Raises Refused, Narrower."""
    if permit.edition.product.is_raster:
        return
    (own,) = gate.permits(caller, [replace(asked, operation=Operation.GET_FEATURE, format=None)])
    for piece in permit.pieces:
        fit = [
            one for one in own.pieces
            if one.rows in (None, piece.rows) and (one.attributes is None or (piece.attributes is not None and piece.attributes <= one.attributes))
        ]
        ground = permit.area.geometry if piece.area is None else shapely.intersection(piece.area.geometry, permit.area.geometry)
        told = shapely.union_all([own.area.geometry if one.area is None else one.area.geometry for one in fit])
        if (ground - shapely.intersection(told, own.area.geometry)).area > SLIVER:
            raise Narrower(asked.layer)


def check_further(gate: Gate, caller: Caller, item: Item, asked: Asked, permit: Permit) -> None:
    """All that is granted must be granted in the systems and at the scales of the sheets that leave as they were delivered. Raises Refused, Narrower."""
    for view in item.further:
        (own,) = gate.permits(caller, [replace(asked, view=view)], without=frozenset(item.spent))
        if not still_shows(own, shown_by(permit)):
            raise Narrower(asked.layer)


PICTURE = 2048
"""Pixels: side of the pictures that PNG and JPEG are cut into."""


def blocks_of(item: Item) -> int:
    """How many steps it is made in, as far as that is known before the sheets are."""
    if item.form.is_vector:
        return 1
    if item.form.is_picture:
        return -(-item.view.width // PICTURE) * -(-item.view.height // PICTURE)
    return 1 if item.form is Form.DELIVERED else -(-item.view.height // STRIP_ROWS)


def granted_by(pieces: Iterable[Piece]) -> tuple[dict, ...]:
    return tuple({"agreement": one.agreement_id, "version": one.version, "clause": one.clause} for one in pieces)


# What is granted, and kept beside the files

@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one part of a permit shows: where (CRS84), and where of that the edition has data; from which grid, with which mark, by which rule."""

    area: BaseGeometry
    held: BaseGeometry
    degrade: float | None
    mark: str | None
    is_strict: bool
    tells: str | None = None        # of features: which attributes and rows


def terms_of(permit: Permit) -> str:
    """Names all that a permit shows: two of the same terms show the same."""
    told = [str(permit.edition.edition_id), *(f"{part.edge}/{part.area is None}" for part in permit.parts)]
    told += [names] if (names := told_by(permit)) else []
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def told_by(permit: Permit) -> str | None:
    """Names what the pieces of a permit for features tell, and where; None of pixels."""
    if permit.edition.product.is_raster:
        return None
    rows = sorted(
        json.dumps([one.area and one.area.digest, None if one.attributes is None else sorted(one.attributes), one.rows]) for one in permit.pieces
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def shown_by(permit: Permit) -> tuple[Shown, ...]:
    """Of a permit for some ground: `Asked.within`."""
    extent = permit.edition.extent
    return tuple(
        Shown(
            area=part.area.geometry, held=polygons_of(part.area.cut(extent)), degrade=part.variant.degrade,
            mark=part.mark.digest if part.mark else None, is_strict=part.footprint is not None, tells=told_by(permit),
        ) for part in permit.parts
    )


def still_shows(permit: Permit, before: Sequence[Shown]) -> bool:
    """Whether all that was shown before may still be shown, no coarser, with the same marks, and whether the edition still has it."""
    for one in before:
        if one.tells != told_by(permit):
            return False                    # other attributes or rows: nobody can say of features in files which of them these are
        allowed = [
            part.area.geometry for part in permit.parts
            if (part.variant.degrade or 0.0) <= (one.degrade or 0.0) and (part.mark is None or part.mark.digest == one.mark)
            and (part.footprint is None or one.is_strict)
        ]
        if (one.area - shapely.union_all(allowed)).area > SLIVER or (one.held - permit.edition.extent).area > SLIVER:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Grounds:
    """The shapes of a package, in its folder: what was asked of each item, and what was granted. They are named by the terms, so that a worker that
    lost its claim without knowing it alters nothing of what holds now."""

    folder: Path

    def keep(self, number: int, terms: str, ground: BaseGeometry, shown: Sequence[Shown]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        rows = [{"ground": shapely.to_wkb(ground, hex=True)}]
        rows += [
            {
                "area": shapely.to_wkb(one.area, hex=True), "held": shapely.to_wkb(one.held, hex=True), "degrade": one.degrade, "mark": one.mark,
                "is_strict": one.is_strict, "tells": one.tells,
            } for one in shown
        ]
        write_whole(self._path(number, terms), json.dumps(rows).encode())

    def ground(self, number: int, item: Item) -> ServedArea:
        """Raises OSError where the folder is gone."""
        ground = shapely.from_wkb(self._rows(number, item)[0]["ground"])
        return ServedArea(ground, digest_of(ground))

    def shown(self, number: int, item: Item) -> tuple[Shown, ...]:
        rows = self._rows(number, item)[1:]
        return tuple(Shown(**one | {name: shapely.from_wkb(one[name]) for name in ("area", "held")}) for one in rows)

    def _rows(self, number: int, item: Item) -> list[dict]:
        return json.loads(self._path(number, item.terms).read_text(encoding="ascii"))

    def _path(self, number: int, terms: str) -> Path:
        return self.folder / f"ground-{number}-{terms[:16]}.json"


def write_whole(target: Path, data: bytes) -> None:
    """Whole or not at all, whoever else writes it."""
    unfinished = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    unfinished.write_bytes(data)
    os.replace(unfinished, target)


def files_folder(settings: Settings, package: Package) -> Path:
    """Where its files are made, and fetched from. Another one where other terms hold, or another generation: what an earlier worker still writes
    goes where nobody reads."""
    held = json.dumps([[one["terms"], one["generation"]] for one in package.items])
    return package_folder(settings, package.folder) / f"files-{hashlib.sha256(held.encode()).hexdigest()[:16]}"


def digest_of(ground: BaseGeometry) -> str:
    return hashlib.sha256(shapely.to_wkb(ground)).hexdigest()
