"""Delivered files into the store of this instance, and out again: what the commands, the demo and tests share."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import shapely
import sqlalchemy
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from shapely.geometry.base import BaseGeometry

from geoserver_app.database import connect, migrate
from geoserver_app.quarantine import quarantine
from geoserver_app.settings import CLASSIFICATIONS, Settings
from geoserver_app.sheets.indexing import remove_index, renew_index
from geoserver_app.validation.report import write_report
from layers import crs as reference
from layers.catalogue import Catalogue, SqlCatalogue
from layers.errors import LayerMismatch, LayerNotDefined, LayersError, OutsideAreaOfUse
from layers.features import GeoPackageStore, PostgisStore
from layers.ingest.frames import COLLAR
from layers.ingest.job import AddLayer, add_layer, check_layer, remove_layer
from layers.ingest.job import withdraw_sheet as withdraw_a_sheet
from layers.ingest.publishing import ground_resolution
from layers.ingest.validation import SEAM_THRESHOLD, Inspected, Report, validate
from layers.model import Classification, Edition, LayerName, Mosaic, ProductType, Sheet
from layers.mosaic.stacking import disturbed
from tiles.engine import Engine

log = logging.getLogger(__name__)

REPORTS = "reports"
"""In the folder of all data: a folder of each job's report."""


def classified(name: str) -> Classification:
    """By the name that settings and commands use: `public`, `internal`, `secret`, `confidential`, `top-secret`."""
    return Classification(CLASSIFICATIONS.index(name))


def ingest(
    settings: Settings, *, product: str, edition: str, name: str, paths: Sequence[Path] | Path, classification: str = "internal",
    currency: tuple[date | datetime, date | datetime] | None = None, stretch: Sequence[float] | None = None, workers: int | None = None,
    dask: str | None = None, console: Console | None = None, seam_threshold: float = SEAM_THRESHOLD,
    catalogue_over: Callable[[sqlalchemy.Engine], Catalogue] = SqlCatalogue, **options,
) -> Edition:
    """Add files as one edition (see `layers.ingest.job.AddLayer` for the options) and expire the tiles that the change touches.

    Before anything is published, a report of every file is written to `<data>/reports/<job>/`. `catalogue_over` the database may be one that writes
    more in the transaction in which it publishes.

    Raises
    ------
    layers.errors.LayersError
        With every file that was rejected, and nothing published.
    """
    migrate(settings)
    database = connect(settings.database_url)
    catalogue = catalogue_over(database)
    before = catalogue.snapshot().find(LayerName(name, edition))
    sheets = catalogue.sheets(before[1].edition_id) if before else ()
    request = _request(product=product, edition=edition, name=name, paths=paths, classification=classification, currency=currency, stretch=stretch, **options)
    unsettled = _Unsettled(settings.cache, before[1] if before else None)
    with _Told(console) as told, unsettled:
        published = add_layer(
            catalogue, settings.store, request, progress=told, workers=workers, dask=dask, ceiling=classified(settings.ceiling), config=settings.config,
            inspect=lambda inspected: _noted(inspected, catalogue, settings.data / REPORTS / str(inspected.job), seam_threshold, database),
        )
    _settle(settings, catalogue, unsettled, before[1] if before else None, sheets, published)
    if settings.features_url:
        copies = PostgisStore(settings.features_url, GeoPackageStore(settings.store))
        copies.load(published)
        copies.engine.dispose()
    database.dispose()
    return published


def withdraw_sheet(settings: Settings, name: str, sheet: str, *, workers: int | None = None) -> Edition:
    """Publish `layer@edition` (or the latest edition of `layer`) without one sheet, and expire the tiles that showed it.

    Raises
    ------
    layers.errors.LayersError
        There is no such edition, or no such sheet in it, or no other.
    """
    migrate(settings)
    database = connect(settings.database_url)
    catalogue = SqlCatalogue(database)
    found = catalogue.snapshot().find(LayerName.parse(name))
    if found is None:
        raise LayerNotDefined(name)
    before = found[1]
    sheets, unsettled = catalogue.sheets(before.edition_id), _Unsettled(settings.cache, before)
    with unsettled:
        published = withdraw_a_sheet(catalogue, settings.store, before.layer, before.name, sheet, workers=workers, config=settings.config)
    _settle(settings, catalogue, unsettled, before, sheets, published)
    database.dispose()
    return published


def _settle(
    settings: Settings, catalogue: Catalogue, unsettled: "_Unsettled", before: Edition | None, sheets: Sequence[Sheet], published: Edition,
) -> None:
    """Expires the tiles that a change made old, and lets the sheet index say what there is now."""
    if before and (published.generation != before.generation or unsettled.was_left):
        engine = Engine(settings.store, settings.cache, settings.config)
        if unsettled.was_left:
            engine.forget(published.edition_id)
        changed = _changed_ground(sheets, catalogue.sheets(published.edition_id), before.mosaics, published.mosaics)
        engine.expire(published, published.extent if unsettled.was_left or changed.is_empty else changed)
    unsettled.clear()
    if before is None or published.generation != before.generation:
        _renew_index(settings, catalogue, published.layer)
    copy_for_drawing(settings, published)


def copy_for_drawing(settings: Settings, published: Edition) -> bool:
    """Makes what pictures of a line map are drawn from fastest; whether it is there now. Where it can't be made they are drawn from the edition itself."""
    if published.product is not ProductType.DLG:
        return False
    from tiles.drawing_copy_making import write  # Mapnik is loaded with it

    try:
        return write(settings.store, published, settings.cache, settings.config) is not None
    except (OSError, RuntimeError, ValueError, LayersError) as error:
        log.warning("no copy for drawing of %s@%s: %s", published.layer, published.name, error)
        return False


def check(
    settings: Settings, folder: Path, *, paths: Sequence[Path] | Path, workers: int | None = None, dask: str | None = None,
    console: Console | None = None, seam_threshold: float = SEAM_THRESHOLD, **options,
) -> Report:
    """Write the report that adding these files would write into `folder`, and publish nothing.

    Raises
    ------
    layers.errors.LayersError
        What is asked for can't be done whatever the files hold.
    """
    migrate(settings)
    database = connect(settings.database_url)
    catalogue, reports = SqlCatalogue(database), []
    with _Told(console) as told:
        check_layer(
            catalogue, settings.store, _request(paths=paths, **options), lambda inspected: reports.append(_reported(inspected, catalogue, folder, seam_threshold)),
            progress=told, workers=workers, dask=dask, ceiling=classified(settings.ceiling), config=settings.config,
        )
    database.dispose()
    return reports[0]


def _reported(inspected: Inspected, catalogue: Catalogue, folder: Path, seam_threshold: float) -> Report:
    report = validate(inspected, catalogue, seam_threshold=seam_threshold)
    write_report(report, folder)
    return report


def _noted(inspected: Inspected, catalogue: Catalogue, folder: Path, seam_threshold: float, database: sqlalchemy.Engine) -> None:
    """The report of a job that publishes, and the list of files that could not be taken in."""
    _reported(inspected, catalogue, folder, seam_threshold)
    quarantine(
        database, inspected.delivery.unreadable, layer=inspected.request.name, edition=inspected.request.edition, job=inspected.job, at=datetime.now(UTC),
    )


def _request(
    *, product: str, edition: str, name: str, paths: Sequence[Path] | Path, classification: str = "internal",
    currency: tuple[date | datetime, date | datetime] | None = None, stretch: Sequence[float] | None = None, **options,
) -> AddLayer:
    return AddLayer(
        product=ProductType(product), name=name, edition=edition, paths=(paths,) if isinstance(paths, Path) else tuple(paths),
        classification=classified(classification), currency=tuple(_day(d) for d in currency) if currency else (None, None),
        stretch=tuple(stretch) if stretch else None, **{key: value for key, value in options.items() if value is not None},
    )


def _renew_index(settings: Settings, catalogue: Catalogue, name: str) -> None:
    """The sheet index of the layer, where it has one, says what there is now."""
    try:
        renew_index(settings, catalogue, name)
    except LayersError as error:
        raise LayerMismatch(f"`{name}` is published, but its sheet index is as it was ({error}): run `geoshare sheet index {name}`") from error


class _Unsettled:
    """A mark in the cache of an edition from before a change is published until its tiles are expired.

    A process that dies in between leaves it (`was_left`); the next ingest then can't tell which tiles are old, and expires them all.
    """

    def __init__(self, cache: Path, edition: Edition | None):
        self._mark = cache / str(edition.edition_id) / "unsettled" if edition else None
        self.was_left = self._mark is not None and self._mark.exists()

    def __enter__(self) -> None:
        if self._mark:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._mark.touch()

    def __exit__(self, kind, _error, _trace) -> None:
        """Where files were refused, nothing was published, and nothing is old."""
        if kind is not None and issubclass(kind, LayersError) and not self.was_left:
            self.clear()

    def clear(self) -> None:
        if self._mark:
            self._mark.unlink(missing_ok=True)


def _changed_ground(
    before: Sequence[Sheet], after: Sequence[Sheet], mosaics_before: Sequence[Mosaic], mosaics_after: Sequence[Mosaic],
) -> BaseGeometry:
    """Where pictures change, in CRS84: under the sheets that came, and under those they replaced, which may have reached farther.

    A sheet of which only more is told now is the same picture, unless its currency moves it above or below its neighbours.
    """
    came, went = ({(s.path, s.currency): s for s in sheets} for sheets in (after, before))
    changed = [sheet for key, sheet in (came | went).items() if (key in came) != (key in went)]
    if mosaics_after:
        changed += disturbed(before, after, mosaics_before, mosaics_after)
    return shapely.union_all([_with_collar(sheet) for sheet in changed])


def _with_collar(sheet: Sheet) -> BaseGeometry:
    """The footprint and the pixels that a sheet shows beyond its frame."""
    if not sheet.band_count:
        return sheet.footprint
    try:
        return reference.buffer(sheet.footprint, (COLLAR + 1) * ground_resolution(sheet))
    except OutsideAreaOfUse:            # of the whole earth
        return sheet.footprint


def remove(settings: Settings, name: str) -> tuple[Edition, ...]:
    """Take `layer` or `layer@edition` out of the catalogue and delete what was made from it, tiles too."""
    wanted = LayerName.parse(name)
    migrate(settings)
    database = connect(settings.database_url)
    catalogue = SqlCatalogue(database)
    gone = remove_layer(catalogue, settings.store, wanted.layer, wanted.edition)
    try:
        renew_index(settings, catalogue, wanted.layer)
    except Exception:
        remove_index(settings, catalogue, wanted.layer)     # rather none than one that shows what is withdrawn
        raise
    finally:
        engine = Engine(settings.store, settings.cache, settings.config)
        for edition in gone:
            engine.forget(edition.edition_id)
        database.dispose()
    return gone


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


class _Told:
    """A bar on a terminal, plain lines in a pipe, nothing without a console."""

    def __init__(self, console: Console | None):
        self.console, self.bar, self.task = console, None, None

    def __enter__(self):
        if self.console is not None and self.console.is_terminal:
            self.bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=self.console)
            self.bar.start()
        return self._tell

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def _tell(self, done: int, total: int, name: str) -> None:
        if self.bar:
            self.task = self.task if self.task is not None else self.bar.add_task("", total=total)
            self.bar.update(self.task, completed=done, total=total, description=name)
        elif self.console is not None:
            self.console.print(f"  {done}/{total} {name}", highlight=False, markup=False)
