"""Delivered files -> an edition that is served: checked all together, taken in side by side, published in one transaction.

A job may be stopped at any moment. What it finished lies in the edition's folder under a name made of the file's checksum and the options,
beside a small record (`layers.ingest.records`); the next job with the same files and options takes it from there. Nothing is served that is not
in the catalogue, and the catalogue knows nothing of a job until all of it is done.
"""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from layers.catalogue import Catalogue, JobState
from layers.delivery import companions
from layers.delivery.parcel import Delivery, received
from layers.delivery.sheet_facts import SheetFact, SheetFacts
from layers.errors import IngestBusy, IngestFailed, LayerMismatch, LayerNotDefined, LayerRejected, SheetNumberInvalid
from layers.ingest import rasters, records, vectors
from layers.ingest.adding import AddLayer, check_request
from layers.ingest.executors import executor
from layers.ingest.publishing import publish, publish_without
from layers.ingest.rasters import RasterFacts, RasterOptions
from layers.ingest.records import CHECKSUMS, LOCK, Checksums, FileMark, Finished
from layers.ingest.sources import checksum_of
from layers.ingest.table_findings import TableChecked
from layers.ingest.validation import Inspected
from layers.ingest.vectors import VectorOptions
from layers.model import Classification, Edition, ProductType, Sheet
from layers.sheets import numbers as sheets

CONFIG = Path(__file__).resolve().parents[2] / "config"
STAGING = ".staging"
"""Beside the layers in the store: what was unpacked or fetched, until it is taken in; a folder an edition, whose job holds its lock."""

SECONDS_BETWEEN_REPORTS = 0.5

Progress = Callable[[int, int, str], None]
"""Told after each file: how many are done, of how many, the file's name."""

Inspect = Callable[[Inspected], None]
"""Shown what a job has in hand before it publishes."""

Options = RasterOptions | VectorOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is known of one file before it is taken in."""

    path: Path
    mark: FileMark
    beside: str                         # digest of the files beside it that say where it lies
    facts: RasterFacts | None           # of rasters
    fact: SheetFact                     # what the delivery says of it
    checksum: str | None = None         # where it was reckoned before

    @property
    def claim(self) -> str:
        """The place it takes in the edition."""
        return (self.facts.number if self.facts else None) or self.path.name

    def relative(self, options: Options, checksum: str) -> str:
        """Where the result lies in the edition's folder: its name says of which content, beside which files, with which options."""
        how = hashlib.sha256(f"{self.options(options).digest()} {self.beside}".encode()).hexdigest()[:8]
        return f"sheets/{checksum[:24]}-{how}{'.gpkg' if self.facts is None else '.tif'}"

    def options(self, options: Options) -> Options:
        return replace(options, crs=self.fact.crs) if self.fact.crs else options


def add_layer(
    catalogue: Catalogue, store: Path, request: AddLayer, *, progress: Progress | None = None, workers: int | None = None,
    dask: str | None = None, ceiling: Classification = Classification.TOP_SECRET, config: Path = CONFIG, inspect: Inspect | None = None,
) -> Edition:
    """Takes files in and publishes them as an edition of a layer; more files join an edition that is there, and replace their like.

    A file replaces another of the same sheet number or the same name. Asking again for what is published already changes nothing.

    Parameters
    ----------
    store : Path
        The folder of all editions.
    progress : callable, optional
        Told (done, total, file name) after each file.
    workers : int, optional
        Processes; as many as there are processors if not given, 0 for none but this one.
    dask : str, optional
        Address of a Dask scheduler that is used instead.
    inspect : callable, optional
        Shown every file, good or refused, before anything is published.

    Raises
    ------
    AboveCeiling, LayerMismatch, IngestBusy, ClusterUnavailable
        Before anything is read.
    IngestFailed
        Files were rejected, all faults at once; nothing is published, what is good is kept for the next try.
    """
    check_request(catalogue, request, ceiling, config)
    with _locked(store / request.folder, f"{request.name}@{request.edition}") as folder:
        delivery = _received(request, store)
        total = len(delivery.files) + len(delivery.faults)
        job = catalogue.begin_job(request.name, request.edition, total)
        try:
            with executor(workers, len(delivery.files), dask=dask) as pool:
                reporter = _Reporter(catalogue, job, total, progress)
                edition = _Job(catalogue, request, folder, pool, reporter, ceiling, config, inspect).run(delivery)
        except IngestFailed as error:
            catalogue.end_job(job, JobState.FAILED, [str(each) for each in error.rejected])
            raise
        except BaseException:
            catalogue.end_job(job, JobState.INTERRUPTED)
            raise
        catalogue.end_job(job, JobState.PUBLISHED)
        delivery.discard()
    return edition


def check_layer(
    catalogue: Catalogue, store: Path, request: AddLayer, inspect: Inspect, *, progress: Progress | None = None, workers: int | None = None,
    dask: str | None = None, ceiling: Classification = Classification.TOP_SECRET, config: Path = CONFIG,
) -> None:
    """Does all that `add_layer` does but for publishing, shows `inspect` what came of it, and leaves nothing behind.

    Raises
    ------
    AboveCeiling, LayerMismatch, IngestBusy, ClusterUnavailable
        Before anything is read. What is wrong with files is shown, not raised.
    """
    check_request(catalogue, request, ceiling, config)
    request = replace(request, keep_delivered=False)
    with _locked(store / request.folder, f"{request.name}@{request.edition}") as folder:
        delivery = _received(request, store)
        with executor(workers, len(delivery.files), dask=dask) as pool:
            reporter = _Reporter(None, None, len(delivery.files) + len(delivery.faults), progress)
            _Job(catalogue, request, folder, pool, reporter, ceiling, config, inspect).check(delivery)
        delivery.discard()


def remove_layer(catalogue: Catalogue, store: Path, name: str, edition: str | None = None) -> tuple[Edition, ...]:
    """Takes one edition, or the whole layer, out of the catalogue in one transaction, then deletes its files.

    Raises
    ------
    LayerNotDefined
        There is none of that name.
    IngestBusy
        Files are being added to it.
    """
    layer = catalogue.snapshot().layers.get(name)
    chosen = [e for e in layer.editions if edition in (None, e.name)] if layer else []
    if not chosen:
        raise LayerNotDefined(f"{name}@{edition}" if edition else name)
    with ExitStack() as locks:
        for each in chosen:
            locks.enter_context(_locked(store / each.folder, f"{name}@{each.name}"))
        gone = catalogue.withdraw(name, edition)
        for each in gone:
            shutil.rmtree(store / each.folder)
    return gone


def withdraw_sheet(
    catalogue: Catalogue, store: Path, name: str, edition: str, sheet: str, *, workers: int | None = None, config: Path = CONFIG,
) -> Edition:
    """Publishes an edition without one of its sheets, whose files go with the next job.

    Parameters
    ----------
    sheet : str
        Its number, in any spelling, or the name of the file as it was delivered.

    Raises
    ------
    LayerNotDefined
        There is no such edition.
    LayerMismatch
        It holds no such sheet, or no other.
    IngestBusy
        Files are being added to it.
    """
    layer = catalogue.snapshot().layers.get(name)
    found = layer.edition(edition) if layer else None
    if found is None:
        raise LayerNotDefined(f"{name}@{edition}")
    with _locked(store / found.folder, f"{name}@{edition}") as folder, executor(workers, 1) as pool:
        live = catalogue.sheets(found.edition_id)
        number = _number_meant(sheet)
        gone = [one for one in live if sheet == one.source_name or (number and number == one.number)]
        if not gone:
            raise LayerMismatch(f"edition `{name}@{edition}` has no sheet `{sheet[:40]}`: see `geoshare sheet list {name}@{edition}`")
        if len(gone) == len(live):
            raise LayerMismatch(f"`{sheet[:40]}` is all that edition `{name}@{edition}` has: remove the edition")
        return publish_without(catalogue, layer, found, folder, [one for one in live if one not in gone], config, pool)


def _number_meant(text: str) -> str | None:
    try:
        return sheets.any_number(text)
    except SheetNumberInvalid:
        return None


def _received(request: AddLayer, store: Path) -> Delivery:
    """What can't even be opened is a fault among the others, so that the job and its report tell of it."""
    try:
        return received(request.paths, request.product, store / STAGING / f"{request.name}@{request.edition}")
    except LayerRejected as fault:
        return Delivery(files=(), facts=SheetFacts(), faults=(fault,))


# One job at a time

@contextmanager
def _locked(folder: Path, name: str) -> Iterator[Path]:
    """Holds an edition's folder for this process alone; the system lets go of it when the process dies, however it dies."""
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IngestBusy(name) from error
        try:
            yield folder
        finally:
            _remove_if_empty(folder)


def _lock_file(folder: Path) -> TextIO:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / LOCK).open("a")


def _remove_if_empty(folder: Path) -> None:
    """Of a job that came to nothing, or an edition that was removed; the layer's folder goes with the last of its editions."""
    if folder.is_dir() and not any(path.is_file() and path.name not in (LOCK, CHECKSUMS) for path in folder.rglob("*")):
        shutil.rmtree(folder)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


class _Reporter:
    """Progress to whoever looks: the caller's callback and the catalogue's list of jobs."""

    def __init__(self, catalogue: Catalogue | None, job: int | None, total: int, progress: Progress | None):
        self._catalogue, self.job, self._total, self._progress = catalogue, job, total, progress
        self._done, self._last = 0, -SECONDS_BETWEEN_REPORTS

    def finished(self, name: str) -> None:
        self._done += 1
        now = time.monotonic()
        if self._catalogue and (self._done == self._total or now - self._last >= SECONDS_BETWEEN_REPORTS):
            self._catalogue.report_job(self.job, self._done)
            self._last = now
        if self._progress:
            self._progress(self._done, self._total, name)

    def shown(self, done: int, total: int, what: str) -> None:
        """How far what follows the files has come: the list of jobs counts files alone."""
        if self._progress:
            self._progress(done, total, what)


class _Job:
    """Files on their way into one edition."""

    def __init__(
        self, catalogue: Catalogue, request: AddLayer, folder: Path, pool: Executor, reporter: _Reporter, ceiling: Classification, config: Path,
        inspect: Inspect | None = None,
    ):
        self.catalogue, self.request, self.folder, self.pool = catalogue, request, folder, pool
        self.reporter, self.ceiling, self.config, self.inspect = reporter, ceiling, config, inspect
        self.checksums = Checksums(folder)
        self.faults: list[LayerRejected] = []
        self.repeated: list[tuple[str, str]] = []

    def run(self, delivery: Delivery) -> Edition:
        published, live, done = self._prepared(delivery)
        records.sweep(self.folder, published, live, keep_also=done)
        if self.faults and not (self.request.keep_going and done):
            raise IngestFailed(tuple(sorted(self.faults, key=lambda fault: fault.source)))
        return publish(
            self.catalogue, self.request, self.folder, published, live, list(done.values()), self.config, self.pool, told=self.reporter.shown,
        )

    def check(self, delivery: Delivery) -> None:
        """As far as publishing; then deletes what was made, but for what an interrupted job had made before."""
        before = records.finished_in(self.folder)
        published, live, _ = self._prepared(delivery)
        records.sweep(self.folder, published, live, keep_also=before)

    def _prepared(self, delivery: Delivery) -> tuple[Edition | None, Sequence[Sheet], dict[str, Finished]]:
        """The edition as it is served, its sheets, and what was made of the delivered files."""
        layer = self.catalogue.snapshot().layers.get(self.request.name)
        published = layer.edition(self.request.edition) if layer else None
        live = self.catalogue.sheets(published.edition_id) if published else ()
        for fault in delivery.faults:
            self._reject(fault)
        surveys, counts = self._surveyed(delivery)
        done = self._taken_in(self._without_rivals(surveys), _options(self.request, counts, live))
        if self.inspect:
            self.inspect(Inspected(
                job=self.reporter.job, request=self.request, folder=self.folder, delivery=delivery, live=live,
                facts={survey.path.name: survey.facts for survey in surveys if survey.facts}, finished=tuple(done.values()),
                faults=tuple(self.faults), repeated=tuple(self.repeated), pool=self.pool,
            ))
        return published, live, done

    def _reject(self, fault: LayerRejected) -> None:
        self.faults.append(fault)
        self.reporter.finished(fault.source)

    def _surveyed(self, delivery: Delivery) -> tuple[list[Survey], np.ndarray | None]:
        """What is known of each good file, and the sum of what was counted in 16-bit images."""
        futures = []
        for path in delivery.files:
            fact = delivery.facts.of(path.name)
            futures.append(self.pool.submit(survey_file, path, self.request, fact, self.ceiling))
        surveys, total = [], None
        for future in futures:
            try:
                survey, counts = future.result()
            except LayerRejected as fault:
                self._reject(fault)
                continue
            surveys.append(replace(survey, checksum=self.checksums.of(survey.mark)))
            if counts is not None:
                total = counts if total is None else total + counts
        return surveys, total

    def _without_rivals(self, surveys: list[Survey]) -> list[Survey]:
        """Of files that claim one place in the edition: the first where they are alike, else none can be preferred."""
        claims: dict[str, list[Survey]] = {}
        for survey in surveys:
            claims.setdefault(survey.claim, []).append(survey)
        kept = []
        for claim, rivals in claims.items():
            first, *others = [self._summed(rival) for rival in rivals] if len(rivals) > 1 else rivals
            kept.append(first)
            for other in others:
                if (other.checksum, other.beside) == (first.checksum, first.beside):
                    self.repeated.append((other.path.name, first.path.name))
                    self.reporter.finished(other.path.name)
                else:
                    self._reject(LayerRejected(
                        other.path.name, f"`{claim}` was given twice with different content (`{first.path.name}`)", "keep one of them"))
        return kept

    def _summed(self, survey: Survey) -> Survey:
        if survey.checksum:
            return survey
        checksum = self.pool.submit(checksum_of, parts_of(survey.path, survey.facts)).result()
        self.checksums.add(survey.mark, checksum)
        return replace(survey, checksum=checksum)

    def _taken_in(self, surveys: Sequence[Survey], options: Options) -> dict[str, Finished]:
        """By the path of the sheet, in the order of the files."""
        done: dict[int, Finished] = {}
        waiting: dict[Future, int] = {}
        for number, survey in enumerate(surveys):
            found = self._finished_before(survey, options)
            if found is None:
                work = self.pool.submit(
                    take_in_file, survey, options, self.folder, keep_delivered=self.request.keep_delivered, config=self.config)
                waiting[work] = number
            else:
                done[number] = found
                self.reporter.finished(survey.path.name)
        try:
            for future in as_completed(waiting):
                survey = surveys[waiting[future]]
                try:
                    done[waiting[future]] = found = future.result()
                    self.checksums.add(survey.mark, found.sheet.checksum)
                    self.reporter.finished(survey.path.name)
                except LayerRejected as fault:
                    self._reject(fault)
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
        by_path: dict[str, Finished] = {}
        for number in sorted(done):
            found = _as_told(done[number], surveys[number], self.request)
            by_path.setdefault(found.sheet.path, found)
        return by_path

    def _finished_before(self, survey: Survey, options: Options) -> Finished | None:
        if survey.checksum is None:
            return None
        return _as_kept(records.read_record(self.folder, survey.relative(options, survey.checksum)), self.folder, self.request.keep_delivered)


def _as_kept(found: Finished | None, folder: Path, keep_delivered: bool) -> Finished | None:
    """None where the delivered file should be there, and is not."""
    if found is None or not keep_delivered:
        return found
    return found if found.sheet.delivered and (folder / found.sheet.delivered).is_file() else None


def _as_told(found: Finished, survey: Survey, request: AddLayer) -> Finished:
    """A finished sheet with what this delivery says of it, which its content does not."""
    sheet, fact = found.sheet, survey.fact
    currency = fact.currency or request.currency[1] or request.currency[0] or sheet.currency
    note = (f"delivered with the note: {fact.note}",) if fact.note and not any(fact.note in told for told in sheet.lineage) else ()
    return replace(found, sheet=replace(sheet, source_name=survey.path.name, currency=currency, lineage=(*sheet.lineage, *note)))


def _options(request: AddLayer, counts: np.ndarray | None, live: Sequence[Sheet]) -> Options:
    if not request.product.is_raster:
        return VectorOptions(product=request.product, crs=request.crs, encoding=request.encoding, key=request.key)
    stretch = request.stretch
    if stretch is None and counts is not None:
        stretch = rasters.recorded_stretch(live) or rasters.stretch_of(counts)
    return RasterOptions(
        product=request.product, crs=request.crs, nodata=request.nodata, stretch=stretch, lossless=request.lossless,
        nearest=request.nearest, unusual_heights=request.unusual_heights, registration=request.registration,
    )


# In a worker

def survey_file(
    path: Path, request: AddLayer, fact: SheetFact, ceiling: Classification = Classification.TOP_SECRET,
) -> tuple[Survey, np.ndarray | None]:
    """The header of one file, and the values of a 16-bit image. Raises LayerRejected."""
    _check_secrecy(path, fact, request, ceiling)
    mark = records.mark_of(path)
    if not request.product.is_raster:
        return Survey(path=path, mark=mark, beside="", facts=None, fact=fact), None
    options = RasterOptions(product=request.product, crs=fact.crs or request.crs, nodata=request.nodata, registration=request.registration)
    facts = rasters.check_raster(path, options)
    needs_counts = request.product is ProductType.DOM and facts.needs_stretch and request.stretch is None
    counts = rasters.sample_values(path, facts, options) if needs_counts else None
    return Survey(path=path, mark=mark, beside=checksum_of(companions.beside(path)), facts=facts, fact=fact), counts


def _check_secrecy(path: Path, fact: SheetFact, request: AddLayer, ceiling: Classification) -> None:
    """A sheet may not be more secret than what it is put into (design rule: what is made of data is at least as secret)."""
    if fact.classification is None or fact.classification <= min(request.classification, ceiling):
        return
    name = fact.classification.name.lower().replace("_", "-")
    if fact.classification > ceiling:
        raise LayerRejected(path.name, f"the delivery says that it is {name}, but this instance holds nothing above "
                            f"{ceiling.name.lower().replace('_', '-')}", "take it to an instance that may hold it")
    raise LayerRejected(path.name, f"the delivery says that it is {name}, but layer `{request.name}` is "
                        f"{request.classification.name.lower().replace('_', '-')}", "add it to a layer of its own classification")


def parts_of(path: Path, facts: RasterFacts | None) -> tuple[Path, ...]:
    """The files whose content decides what is made of them."""
    return vectors.parts_of(path) if facts is None else (path,)


def take_in_file(survey: Survey, options: Options, folder: Path, *, keep_delivered: bool, config: Path = CONFIG) -> Finished:
    """One file into the store, with the record that says it is finished. Raises LayerRejected."""
    options, parts, delivered = survey.options(options), parts_of(survey.path, survey.facts), None
    name_of = partial(survey.relative, options)
    if keep_delivered:
        checksum, delivered = records.keep(folder, parts, companions.beside(survey.path) if survey.facts else (), name_of)
    else:
        checksum = survey.checksum or checksum_of(parts)
    relative = name_of(checksum)
    found = records.read_record(folder, relative)
    if found is not None and (delivered is None or found.sheet.delivered == delivered):
        return found
    if found is None:
        try:
            found = _written(survey, options, checksum, folder / relative, relative, config)
        except LayerRejected:
            records.forget_delivered(folder, relative)
            raise
    found = replace(found, sheet=replace(found.sheet, delivered=delivered))
    records.write_record(folder, found)
    return found


def _written(survey: Survey, options: Options, checksum: str, target: Path, relative: str, config: Path) -> Finished:
    if survey.facts is None:
        tables: list[TableChecked] = []
        sheet = vectors.take_in(survey.path, options, checksum, target, relative, checked=tables, config=config)
        return Finished(sheet=sheet, tables=tuple(tables))
    taken = rasters.take_in(survey.path, survey.facts, options, checksum, target, relative)
    return Finished(sheet=taken.sheet, heights=taken.heights)


__all__ = ["AddLayer", "add_layer", "check_layer", "remove_layer", "withdraw_sheet"]
