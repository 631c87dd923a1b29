"""Opens what was handed in, and checks it against what is declared, the agreement, the base maps and the edition that is in force; writes the report."""

import shutil
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.model import Agreement
from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions.book import contribution_owed
from geoserver_app.giving.asking import start_of
from geoserver_app.giving.checking import RANK, Checked, Terms, check
from geoserver_app.giving.codes import DivisionCodes
from geoserver_app.giving.contents import Contents, read_clean, read_edition
from geoserver_app.giving.declared import DeclaredField, declared_for
from geoserver_app.giving.findings import Finding
from geoserver_app.giving.report import Head, write_report
from geoserver_app.giving.submissions import Submission, file_of, folder_of, report_folder
from geoserver_app.overlays.comparing import compared
from geoserver_app.overlays.faults import DIVISIONS, OverlayInvalid
from geoserver_app.overlays.sandbox import opened
from geoserver_app.overlays.uploads import caps_of
from geoserver_app.wiring import Services
from layers.errors import OutsideAreaOfUse
from layers.features import FeatureQuery

SHIFTED = ("shift-suspected", "shift-declared")
WORLD = (-180.0, -90.0, 180.0, 90.0)


def inspected(services: Services, one: Submission, step: Callable[[str], None], is_wanted: Callable[[], bool]) -> Checked:
    """What was found, after its report was written.

    Raises
    ------
    OverlayInvalid
        The file can't be read, or takes more than it may.
    Abandoned
        Nobody wants it any more.
    """
    settings, folder = services.settings, folder_of(services.settings, one.submission_id)
    for name in ("clean", "unpacked"):
        shutil.rmtree(folder / name, ignore_errors=True)                # of a worker that died over it
    source = file_of(settings, one)
    if not source.is_file():
        raise OverlayInvalid("overlay-no-file")
    checked = looked_over(services, one, source, folder, step, is_wanted)
    step("report")
    write_report(checked, head_of(services, one), report_folder(settings, one.submission_id))
    return checked


def looked_over(
    services: Services, one: Submission, source: Path, folder: Path, step: Callable[[str], None] = lambda name: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Checked:
    """The same of a file anywhere, without a report: `one` need not be kept, and what is made of it lies in `folder`."""
    settings = services.settings
    step("reading")
    told = opened(source, folder, "vectors", caps_of(settings), crs=one.wanted.get("crs"), encoding=one.wanted.get("encoding"), is_wanted=is_wanted)
    paths = [folder / name for name in told["files"]]
    try:
        tables = [contents for path in paths for contents in read_clean(path)]
        checked = check(tables, terms_of(services, one), told["notes"], in_force(services, one), step)
        step("comparing")
        suspicion, _ = compared(services, one, paths)
    except OutsideAreaOfUse as error:
        raise OverlayInvalid("overlay-rejected", name=one.file_name, fault=str(error)[:300], mend="see the data") from None
    if suspicion.code in SHIFTED:
        checked = _with(checked, Finding(code=suspicion.code, detail={name: value.removeprefix(DIVISIONS) for name, value in suspicion.detail.items()}))
    return checked


def _with(checked: Checked, finding: Finding) -> Checked:
    findings = sorted((finding, *checked.findings), key=lambda one: RANK[one.severity])
    return Checked(findings=tuple(findings), differences=checked.differences, features=checked.features, agreed=checked.agreed)


def head_of(services: Services, one: Submission) -> Head:
    wanted = one.wanted
    since = wanted.get("currency_from")
    return Head(
        submission=one.submission_id, agreement=one.agreement_id, agency=one.agency, dataset=one.dataset, layer=wanted["layer"], edition=wanted["edition"],
        file_name=one.file_name, sha256=one.sha256, currency=f"{since}/{wanted['currency_to']}" if since else wanted["currency_to"],
        written=services.gate.clock(),
    )


def terms_of(services: Services, one: Submission) -> Terms:
    config, wanted = services.settings.config, one.wanted
    versions = services.book.versions(one.agreement_id)
    contribution = contribution_owed(versions, one.agreement_id, one.dataset)
    periods = [entry.period for entry in services.book.ledger(one.agreement_id) if entry.period.dataset == one.dataset and entry.period.due == one.due]
    since, received = wanted.get("currency_from"), one.received or one.made
    return Terms(
        declared=declared_for(config, contribution), currency=(date.fromisoformat(since) if since else None, date.fromisoformat(wanted["currency_to"])),
        received=received.astimezone(SHANGHAI).date(), start=start_of(periods[0]) if periods else one.happened, due=one.due,
        agreed=ground_of(versions[-1]), divisions=DivisionCodes.load(config), base_values=lambda field: base_values(services, field),
    )


def ground_of(agreement: Agreement) -> BaseGeometry | None:
    """What the agreement is about, in CRS84; None where that is everywhere, or where it grants nothing."""
    shapes = [grant.area.geometry for grant in agreement.grants]
    ground = shapely.union_all(shapes) if shapes else None
    is_everywhere = ground is None or ground.is_empty or ground.bounds == WORLD
    return None if is_everywhere else ground


def base_values(services: Services, field: DeclaredField) -> Collection[str] | None:
    """Of the newest edition of the layer on which it rests; None where that has no such field."""
    base = field.base
    layer = services.catalogue.snapshot().layers.get(base.layer) if base else None
    edition = layer.editions[0] if layer else None
    table = next((one for one in edition.classes if base.table in (one.name, one.kind)), None) if edition else None
    if table is None or base.field not in table.fields:
        return None
    values: set[str] = set()
    for batch in services.features.batches(edition, FeatureQuery(table=table, fields=(base.field,)), 5000):
        values.update(str(value).strip() for value in batch.columns[base.field] if value is not None)
    return values


def in_force(services: Services, one: Submission) -> dict[str, Contents]:
    """The tables of the newest edition of the layer that it will be an edition of."""
    layer = services.catalogue.snapshot().layers.get(one.wanted["layer"])
    if layer is None:
        return {}
    edition = layer.editions[0]
    return {table.name: read_edition(services.features, edition, table) for table in edition.classes}
