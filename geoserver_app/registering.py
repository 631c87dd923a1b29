"""Agreement documents -> the register: places named in them are looked up in the catalogue, faults of all documents are told together."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.document import read_document
from agreements.errors import AgreementsError, DocumentInvalid, Fault
from agreements.model import Agreement, Grant
from agreements.register import AgreementRegister, rehearsal_of
from geoserver_app.purposes import load_purposes
from layers import crs as crs_room
from layers.catalogue import Catalogue
from layers.errors import LayersError
from layers.features import text_fields
from layers.model import Edition, Layer, LayerName
from layers.rows import parse_rows, parse_written
from layers.sheets import sheet_frame


class DocumentsInvalid(DocumentInvalid):
    """Several documents with faults: the messages of each, one after the other."""

    def __init__(self, invalid: Sequence[DocumentInvalid]):
        super().__init__(", ".join(one.name for one in invalid), tuple(fault for one in invalid for fault in one.faults))
        self.args = ("\n".join(str(one) for one in invalid),)


class CatalogueGazetteer:
    """Divisions from the catalogue's boundary layer, sheets by GB/T 13989, drawn shapes through the datum policy, purposes of the configuration
    (agreements.model.Gazetteer)."""

    def __init__(self, catalogue: Catalogue):
        self.catalogue = catalogue

    def division(self, code: str, vintage: str | None = None) -> tuple[str, BaseGeometry, str]:
        try:
            found = self.catalogue.division(code, vintage)
        except LayersError as error:
            raise LookupError(str(error)) from error
        return found.name, found.geometry, found.vintage

    def sheet(self, number: str) -> BaseGeometry:
        try:
            return sheet_frame(number)
        except LayersError as error:
            raise LookupError(str(error)) from error

    def geometry(self, geojson: dict, crs: str) -> BaseGeometry:
        with _read_as_area():
            return _in_crs84(geojson, crs)

    def buffer(self, geojson: dict, crs: str, metres: float) -> BaseGeometry:
        with _read_as_area():
            return crs_room.buffer(_in_crs84(geojson, crs), metres)

    def purpose(self, code: str) -> str:
        known = load_purposes()
        if code not in known:
            raise LookupError(f"`{code}` is not a purpose: use {', '.join(known)}, or add it to config/purposes.csv")
        return known[code].zh

    def rows(self, cql2: str) -> None:
        try:
            parse_written(cql2)
        except LayersError as error:
            raise LookupError(str(error)) from error


@contextmanager
def _read_as_area() -> Iterator[None]:
    try:
        yield
    except (shapely.errors.GEOSException, LayersError, ValueError, TypeError) as error:
        raise LookupError(f"the GeoJSON can't be read as an area: {' '.join(str(error).split())}") from error


def _in_crs84(geojson: dict, crs: str) -> BaseGeometry:
    drawn = shapely.from_geojson(json.dumps(geojson))
    crs = crs_room.parse_crs(crs)
    _check_units(drawn, crs)
    return crs_room.transform_geometry(crs_room.densify(drawn, crs), crs, "CRS:84")


FARTHEST_METRES = 5e7
"""No projected coordinate of the earth is larger."""


def _check_units(drawn: BaseGeometry, crs: str) -> None:
    """Raises ValueError for numbers that are not in the unit of `crs`: edges of a million degrees would be densified for ever."""
    farthest = max((abs(v) for v in drawn.bounds), default=0)
    is_in_degrees = crs_room.is_geographic(crs)
    if farthest > (360 if is_in_degrees else FARTHEST_METRES):
        unit = "degrees" if is_in_degrees else "metres"
        raise ValueError(f"coordinates up to {farthest:g} are no {unit} of `{crs}`: name the CRS that the numbers are in")
    if not is_in_degrees and 0 < farthest <= 360:
        raise ValueError(f"coordinates up to {farthest:g} look like degrees, but `{crs}` is in metres: name the CRS that the numbers are in")


def read_agreements(catalogue: Catalogue, paths: Sequence[Path]) -> list[tuple[Agreement, str]]:
    """Each document with its text.

    Raises
    ------
    DocumentsInvalid
        With the faults of every document.
    """
    gazetteer, read, invalid = CatalogueGazetteer(catalogue), [], []
    for path in paths:
        try:
            text = _text(path)
            read.append((read_document(text, path.name, gazetteer), text))
        except DocumentInvalid as error:
            invalid.append(error)
    if invalid:
        raise DocumentsInvalid(invalid)
    return _parents_first(read)


def _parents_first(read: list[tuple[Agreement, str]]) -> list[tuple[Agreement, str]]:
    """In the order in which they can be registered: what passes on the grants of another comes after it."""
    ordered = []
    while read:
        waiting = {agreement.agreement_id for agreement, _ in read}
        is_ready = [agreement.parent not in waiting for agreement, _ in read]
        if not any(is_ready):
            return [*ordered, *read]                       # a ring is for the register to refuse
        ordered += [one for one, ready in zip(read, is_ready, strict=True) if ready]
        read = [one for one, ready in zip(read, is_ready, strict=True) if not ready]
    return ordered


def rehearse(register: AgreementRegister, read: Sequence[tuple[Agreement, str]]) -> None:
    """Would every one of them be registered? Asked of a copy, so that of several documents all are put in force, or none.

    Raises
    ------
    DocumentsInvalid
        With what the register says to each that it would refuse: a party it does not know, a version it has.
    """
    copy, refused = rehearsal_of(register), []
    for agreement, text in read:
        try:
            copy.register(agreement, text)
        except AgreementsError as error:
            name = f"{agreement.agreement_id} version {agreement.version}"
            refused.append(DocumentInvalid(name, (Fault(None, "register", str(error)),)))
    if refused:
        raise DocumentsInvalid(refused)


def missing_layers(catalogue: Catalogue, read: Sequence[tuple[Agreement, str]]) -> list[tuple[str, str]]:
    """(agreement, layer) for each layer that is granted but not there: it may come later, or be misspelt."""
    snapshot = catalogue.snapshot()
    named = {(agreement.agreement_id, name) for agreement, _ in read for grant in agreement.grants for name in grant.layers}
    return sorted((agreement_id, name) for agreement_id, name in named if snapshot.find(LayerName.parse(name)) is None)


def doubtful_terms(catalogue: Catalogue, store: Path, read: Sequence[tuple[Agreement, str]]) -> list[str]:
    """A sentence for each row filter that names what its layers lack or compares it with the wrong kind of value, and for each condition that a
    granted layer's kind can't meet: nothing is wrong with the document, but less is granted than it seems."""
    snapshot, told = catalogue.snapshot(), []
    for agreement, _ in read:
        for grant in agreement.grants:
            found = [snapshot.find(LayerName.parse(name)) for name in sorted(grant.layers)]
            for layer, edition in [one for one in found if one is not None]:
                sentences = _doubts_about(grant, layer, edition, store)
                told += [f"{agreement.agreement_id}, clause {grant.clause}, layer `{layer.name}`: {sentence}" for sentence in sentences]
    return told


def _doubts_about(grant: Grant, layer: Layer, edition: Edition, store: Path) -> list[str]:
    if grant.degrade is not None and not layer.product.is_raster:
        return ["`degrade` can't be met by a line map, so nothing of it is granted: give it a grant of its own without"]
    if grant.rows is None:
        return []
    if layer.product.is_raster:
        return ["`rows` can't be met by a raster, so nothing of it is granted: give it a grant of its own without"]
    rows, told = parse_rows(grant.rows), []
    lacking = {name for name in rows.attributes if not any(rows.named_in(c.name, c.fields, name) for c in edition.classes)}
    told += [f"no class has a field `{name}`, so nothing is shown by what is asked of it: see `geoshare layer info`" for name in sorted(lacking)]
    for name, with_text in sorted(rows.compared):
        holding = [(c, field) for c in edition.classes if edition.vectors and (field := rows.named_in(c.name, c.fields, name))]
        wrong = sorted(c.name for c, field in holding if (field in text_fields(store / edition.folder / edition.vectors, c.name)) is not with_text)
        if wrong:
            mend = "numbers: write its values without quotes" if with_text else "text: write its values in quotes"
            told.append(f"`{name}` of {', '.join(wrong)} holds {mend}")
    return told


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        told = f"byte {error.start + 1} is not UTF-8 text: save the document as UTF-8 (an editor set to GBK or ANSI writes something else)"
        fault = Fault(None, "document", told)
        raise DocumentInvalid(path.name, (fault,)) from error
