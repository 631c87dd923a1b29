"""What a job found out about its files, before anything of it is published: sheet by sheet, between neighbours, and in the whole.

`validate` looks at sheets that were taken in and are not served yet (`Inspected`), so that what it tells is what would be served.
Findings are codes with values; who shows them puts them into words.
"""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import shapely

from layers import crs as reference
from layers.catalogue import Catalogue
from layers.delivery.parcel import Delivery
from layers.errors import LayersError
from layers.ingest.adding import AddLayer
from layers.ingest.coverage_gaps import gaps_between, missing_sheets, overlapping
from layers.ingest.edges import EdgeChecked, check_edge, shared_edges
from layers.ingest.rasters import RasterFacts
from layers.ingest.records import Finished
from layers.ingest.seams import Seam, neighbours_of, seam_of
from layers.ingest.table_findings import TableChecked
from layers.ingest.thumbnails import thumbnail_of
from layers.model import Bounds, ProductType, Sheet
from layers.sheets import numbers as sheets

SEAM_THRESHOLD = 1.0
"""Metres of RMS between the cells that neighbouring elevation sheets share; the field's level 1 for flat land is 0.5 m a sheet."""

UNFILLED_SHARE = 0.002
MANY_SHEETS = 300
LARGE_THUMBNAIL, SMALL_THUMBNAIL = 96, 48
HIDDEN = re.compile(r"(\d+) of (\d+) cells hold no data")


class State(StrEnum):
    GOOD = "good"
    WARNED = "warned"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing worth telling: its code, whether it is a warning, and the values that its sentence names."""

    code: str
    is_warning: bool
    values: dict[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a job has in hand before it publishes. `job` is None for a check that publishes nothing."""

    job: int | None
    request: AddLayer
    folder: Path
    delivery: Delivery
    live: Sequence[Sheet]
    facts: dict[str, RasterFacts]               # by file name
    finished: Sequence[Finished]
    faults: Sequence[LayersError]
    repeated: Sequence[tuple[str, str]]         # a file, and the one it is a copy of
    pool: Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetChecked:
    """One file. `bounds` and `frame` in units of `crs`; `footprint` in CRS84; what a refused file did not tell is None."""

    name: str
    number: str | None
    state: State
    fault: str | None = None
    mend: str | None = None
    findings: tuple[Finding, ...] = ()
    lineage: tuple[str, ...] = ()
    crs: str | None = None
    crs_name: str | None = None
    datum_accuracy: float | None = None         # metres, to WGS 84
    bounds: Bounds | None = None
    frame: Bounds | None = None
    width: int | None = None
    height: int | None = None
    resolution: tuple[float, float] | None = None
    bands: int | None = None
    dtype: str | None = None
    colours: tuple[str, ...] = ()
    nodata: float | None = None
    hidden_share: float | None = None
    heights: tuple[float, float] | None = None
    currency: str | None = None
    checksum: str | None = None
    footprint: shapely.Geometry | None = None
    thumbnail: str | None = None                # a data: URI
    tables: tuple[TableChecked, ...] = ()       # of vectors, as they were delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Ground without a sheet: a sheet of the grid (`number`), or a sliver that none covers. `shape` in CRS84."""

    number: str | None
    km2: float
    shape: shapely.Geometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    first: str
    second: str
    km2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of one job. `served` are the footprints that are published already, in CRS84."""

    job: int | None
    layer: str
    edition: str
    product: str
    sheets: tuple[SheetChecked, ...]
    seams: tuple[Seam, ...]
    seam_threshold: float
    gaps: tuple[Gap, ...]
    overlaps: tuple[Overlap, ...]
    told: tuple[str, ...]
    served: tuple[shapely.Geometry, ...]
    edges: tuple[EdgeChecked, ...] = ()         # lines of neighbouring sheets of vectors

    def count(self, state: State) -> int:
        return sum(sheet.state is state for sheet in self.sheets)

    @property
    def is_clean(self) -> bool:
        """Nothing to look at: every sheet good, no step at a seam, no loose end, no gap."""
        return self.count(State.GOOD) == len(self.sheets) and not self.gaps and not any(seam.rms > self.seam_threshold for seam in self.seams) \
            and not any(edge.loose for edge in self.edges)


def validate(inspected: Inspected, catalogue: Catalogue, *, seam_threshold: float = SEAM_THRESHOLD) -> Report:
    """Everything there is to say of a job's files; reads what was made of them, at a coarse scale and along their seams."""
    request, new = inspected.request, [each.sheet for each in inspected.finished]
    replaced = {sheet.path for sheet in inspected.live if any(_replaces(fresh, sheet) for fresh in new)}
    kept = [sheet for sheet in inspected.live if sheet.path not in replaced and sheet.path not in {fresh.path for fresh in new}]
    served = _published_checksums(catalogue)
    seams, edges, pictures = (), (), {}
    if request.product.is_raster:
        pictures = _thumbnails(inspected, new)
        if request.product is ProductType.DEM:
            seams = _seams(inspected, new, kept)
    elif request.product is ProductType.DLG:
        edges = _edges(inspected, new, kept)
    whole = [*kept, *new] if request.product.is_raster else []
    missing = missing_sheets([sheet.number for sheet in whole if sheet.number])
    gaps = [Gap(number=number, km2=reference.geodesic_km2(frame), shape=frame) for number, frame in missing]
    gaps += [Gap(number=None, km2=reference.geodesic_km2(shape), shape=shape) for shape in gaps_between(whole, [frame for _, frame in missing])]
    steps = {name: seam for seam in seams if seam.rms > seam_threshold for name in (seam.first, seam.second)}
    loose = _loose_ends(edges)
    checked = [
        *(_refused(fault) for fault in inspected.faults),
        *(_copy(name, of) for name, of in inspected.repeated),
        *(_checked(each, inspected, served, steps, loose, pictures.get(each.sheet.path)) for each in inspected.finished),
    ]
    return Report(
        job=inspected.job, layer=request.name, edition=request.edition, product=request.product.value,
        sheets=tuple(sorted(checked, key=lambda sheet: (list(State)[::-1].index(sheet.state), sheet.name))), seams=tuple(seams),
        seam_threshold=seam_threshold, gaps=tuple(gaps),
        overlaps=tuple(Overlap(first=a, second=b, km2=km2) for a, b, km2 in overlapping(whole)), told=inspected.delivery.told,
        served=tuple(sheet.footprint for sheet in kept), edges=tuple(edges),
    )


def _replaces(new: Sheet, old: Sheet) -> bool:
    return new.path != old.path and (new.source_name == old.source_name or (new.number is not None and new.number == old.number))


def _published_checksums(catalogue: Catalogue) -> dict[str, str]:
    """By checksum, where a file is served already: `dom@2011`."""
    return {
        sheet.checksum: f"{layer.name}@{edition.name}"
        for layer in catalogue.snapshot().layers.values() for edition in layer.editions for sheet in catalogue.sheets(edition.edition_id)
    }


def _thumbnails(inspected: Inspected, new: Sequence[Sheet]) -> dict[str, str]:
    side = LARGE_THUMBNAIL if len(new) <= MANY_SHEETS else SMALL_THUMBNAIL
    work = {sheet.path: inspected.pool.submit(thumbnail_of, inspected.folder / sheet.path, side) for sheet in new}
    return {path: future.result() for path, future in work.items()}


def _seams(inspected: Inspected, new: Sequence[Sheet], kept: Sequence[Sheet]) -> list[Seam]:
    futures = [
        inspected.pool.submit(seam_of, a.source_name, inspected.folder / a.path, b.source_name, inspected.folder / b.path)
        for a, b in neighbours_of(new, kept) if _are_comparable(a, b)
    ]
    return sorted((seam for seam in (future.result() for future in futures) if seam is not None), key=lambda seam: -seam.rms)


def _edges(inspected: Inspected, new: Sequence[Sheet], kept: Sequence[Sheet]) -> list[EdgeChecked]:
    futures = [
        inspected.pool.submit(check_edge, a, inspected.folder / a.path, b, inspected.folder / b.path) for a, b in shared_edges(new, kept)
    ]
    return sorted((edge for future in futures for edge in future.result()), key=lambda edge: (-edge.loose, edge.first, edge.second, edge.table))


def _loose_ends(edges: Iterable[EdgeChecked]) -> dict[str, list[EdgeChecked]]:
    """By file, the edges at which lines end without a partner."""
    found: dict[str, list[EdgeChecked]] = {}
    for edge in edges:
        if edge.loose:
            found.setdefault(edge.first, []).append(edge)
            found.setdefault(edge.second, []).append(edge)
    return found


def _are_comparable(a: Sheet, b: Sheet) -> bool:
    return reference.datum_of(a.crs) == reference.datum_of(b.crs)


# One sheet

def _refused(fault: LayersError) -> SheetChecked:
    name, text, mend = (getattr(fault, part, "") for part in ("source", "fault", "mend"))
    return SheetChecked(name=name, number=sheets.find_number(name), state=State.REFUSED, fault=text or str(fault), mend=mend)


def _copy(name: str, of: str) -> SheetChecked:
    return SheetChecked(name=name, number=sheets.find_number(name), state=State.WARNED,
                        findings=(Finding(code="copy-in-delivery", is_warning=True, values={"of": of}),))


def _checked(
    each: Finished, inspected: Inspected, served: dict[str, str], steps: dict[str, Seam], loose: dict[str, list[EdgeChecked]], picture: str | None,
) -> SheetChecked:
    sheet, facts = each.sheet, inspected.facts.get(each.sheet.source_name)
    findings = [*_findings(sheet, facts, inspected, served, steps), *_at_edges(sheet, loose.get(sheet.source_name, ()))]
    hidden = next((match for match in map(HIDDEN.match, sheet.lineage) if match), None)
    is_raster = inspected.request.product.is_raster
    return SheetChecked(
        name=sheet.source_name, number=sheet.number, state=State.WARNED if any(finding.is_warning for finding in findings) or any(
            finding.is_warning for table in each.tables for finding in table.findings) else State.GOOD,
        findings=tuple(findings), lineage=sheet.lineage, crs=sheet.crs, crs_name=reference.to_pyproj(sheet.crs).name,
        datum_accuracy=_accuracy(sheet.crs), bounds=facts.bounds if facts else sheet.bounds, frame=_frame(sheet),
        width=facts.width if facts else None, height=facts.height if facts else None, resolution=sheet.resolution if is_raster else None,
        bands=facts.band_count if facts else None, dtype=facts.dtype if facts else None, colours=facts.interpretation if facts else (),
        nodata=facts.nodata if facts else None, hidden_share=int(hidden[1]) / int(hidden[2]) if hidden else (0.0 if is_raster else None),
        heights=each.heights, currency=sheet.currency.isoformat() if sheet.currency else None, checksum=sheet.checksum,
        footprint=sheet.footprint, thumbnail=picture, tables=each.tables,
    )


def _accuracy(crs: str) -> float | None:
    try:
        return reference.accuracy(crs, "CRS:84")
    except LayersError:
        return None


def _frame(sheet: Sheet) -> Bounds | None:
    try:
        return reference.transform_bounds(sheets.sheet_bounds(sheet.number), "CRS:84", sheet.crs) if sheet.number else None
    except LayersError:
        return None


def _findings(
    sheet: Sheet, facts: RasterFacts | None, inspected: Inspected, served: dict[str, str], steps: dict[str, Seam],
) -> Iterable[Finding]:
    if facts and facts.crs_was_declared:
        yield Finding(code="crs-declared", is_warning=False, values={"crs": sheet.crs})
    for told in sheet.lineage:
        if told.startswith("warning: "):
            yield Finding(code="told", is_warning=True, values={"sentence": told.removeprefix("warning: ")})
    here = f"{inspected.request.name}@{inspected.request.edition}"
    if sheet.checksum in served and served[sheet.checksum] != here:
        yield Finding(code="copy-served", is_warning=True, values={"where": served[sheet.checksum]})
    elif any(old.checksum == sheet.checksum and old.path == sheet.path for old in inspected.live):
        yield Finding(code="unchanged", is_warning=False)
    old = next((old for old in inspected.live if _replaces(sheet, old)), None)
    if old:
        yield Finding(code="replaces", is_warning=False, values={"name": old.source_name, "currency": old.currency.isoformat() if old.currency else "-"})
        if old.currency and sheet.currency and sheet.currency < old.currency:
            yield Finding(code="older-than-served", is_warning=True, values={"new": sheet.currency.isoformat(), "old": old.currency.isoformat()})
    if inspected.request.product.is_raster and sheet.number:
        share = _unfilled(sheet)
        if share > UNFILLED_SHARE:
            yield Finding(code="sheet-not-filled", is_warning=True, values={"percent": round(100 * share, 2)})
    if seam := steps.get(sheet.source_name):
        other = seam.second if seam.first == sheet.source_name else seam.first
        yield Finding(code="step-at-seam", is_warning=True, values={"other": other, "rms": round(seam.rms, 2), "most": round(seam.most, 2)})


def _at_edges(sheet: Sheet, edges: Iterable[EdgeChecked]) -> Iterable[Finding]:
    for edge in edges:
        other = edge.second if edge.first == sheet.source_name else edge.first
        yield Finding(code="loose-ends", is_warning=True, values={"other": other, "table": edge.table, "loose": edge.loose, "ends": edge.ends})


def _unfilled(sheet: Sheet) -> float:
    """The share of its frame that has no valid cell around it."""
    frame = sheets.sheet_frame(sheet.number)
    return shapely.difference(frame, sheet.footprint).area / frame.area
