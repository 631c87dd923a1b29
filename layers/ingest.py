"""Delivered files -> an edition that is served: checked all together, taken in side by side, published in one transaction.

A job may be stopped at any moment. What it finished lies in the edition's folder under a name made of the file's checksum and the options,
beside a small record; the next job with the same files and options takes it from there. Nothing is served that is not in the catalogue,
and the catalogue knows nothing of a job until all of it is done.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import TextIO

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from layers import crs as reference
from layers import formats, rasters, vectors
from layers.catalogue import Catalogue, JobState
from layers.errors import AboveCeiling, IngestBusy, IngestFailed, LayerMismatch, LayerNotDefined, LayerRejected
from layers.feature_classes import FeatureClassTable
from layers.model import Bounds, Classification, Edition, Layer, LayerName, ProductType, Sheet, View
from layers.mosaic import build_mosaics
from layers.rasters import RasterFacts, RasterOptions
from layers.sources import checksum_of, sync
from layers.vectors import VectorOptions

CONFIG = Path(__file__).resolve().parent.parent / "config"
WORLD_FILES = (".tfw", ".tfwx", ".tifw", ".wld", ".prj", ".tif.aux.xml", ".tif.msk")
LOCK = ".lock"

Progress = Callable[[int, int, str], None]
"""Told after each file: how many are done, of how many, the file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLayer:
    """What is to be added: files, and the layer and edition that they make or join."""

    product: ProductType
    name: str
    edition: str
    paths: tuple[Path, ...]
    title_zh: str = ""
    title_en: str = ""
    abstract: str = ""
    owner: str = "bureau"
    classification: Classification = Classification.PUBLIC
    attribution: str = ""
    currency: tuple[date | None, date | None] = (None, None)
    synthetic: bool = False
    crs: str | None = None                          # for files that state none
    nodata: float | None = None                     # beside what the files declare
    stretch: tuple[float, float] | None = None      # of 16-bit imagery; else 2nd to 98th percentile over all files
    encoding: str | None = None                     # of shapefile attributes
    lossless: bool = False
    nearest: bool = False
    unusual_heights: bool = False                   # heights outside -500..9000 m are meant
    keep_going: bool = False                        # publish what is good although some files were rejected

    def __post_init__(self):
        if self.is_strict:                                 # blocks of JPEG would carry a trace of what lies beyond a border
            object.__setattr__(self, "lossless", True)

    @property
    def is_strict(self) -> bool:
        return self.product is ProductType.DOM and self.classification >= Classification.SECRET

    @property
    def folder(self) -> str:
        """Of the edition, relative to the store."""
        return f"{self.name}/{self.edition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is known of one file before it is taken in."""

    path: Path
    checksum: str
    companions: str                     # digest of the files beside it that say where it lies
    facts: RasterFacts | None           # of rasters


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A file that was taken in: the sheet, and the 2nd and 98th percentile of a DEM's heights in metres."""

    sheet: Sheet
    heights: tuple[float, float] | None = None


def add_layer(
    catalogue: Catalogue, store: Path, request: AddLayer, *, progress: Progress | None = None, workers: int | None = None,
    ceiling: Classification = Classification.TOP_SECRET, config: Path = CONFIG,
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

    Raises
    ------
    AboveCeiling, LayerMismatch, IngestBusy
        Before anything is read.
    IngestFailed
        Files were rejected, all faults at once; nothing is published, what is good is kept for the next try.
    """
    _check_request(catalogue, request, ceiling)
    sources = find_sources(request.paths, request.product)
    with _locked(store / request.folder, f"{request.name}@{request.edition}") as folder:
        job = catalogue.begin_job(request.name, request.edition, len(sources))
        try:
            with _executor(workers, len(sources)) as executor:
                reporter = _Reporter(catalogue, job, len(sources), progress)
                edition = _run(catalogue, request, folder, sources, executor, reporter, config)
        except IngestFailed as error:
            catalogue.end_job(job, JobState.FAILED, [str(each) for each in error.rejected])
            raise
        except BaseException:
            catalogue.end_job(job, JobState.INTERRUPTED)
            raise
        catalogue.end_job(job, JobState.PUBLISHED)
        return edition


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


def find_sources(paths: Iterable[Path], product: ProductType) -> list[Path]:
    """The files to take in: those named, and those of the right kind anywhere in the folders named.

    Raises
    ------
    IngestFailed
        A path is not there, or a folder holds no file of the right kind.
    """
    suffixes = formats.SUFFIXES if product.is_raster else vectors.SUFFIXES
    found, faults = [], []
    for path in paths:
        if path.is_dir():
            inside = sorted(f for f in path.rglob("*") if f.suffix.lower() in suffixes and f.is_file() and not f.name.startswith("."))
            if not inside:
                kinds = ", ".join(suffixes)
                faults.append(LayerRejected(path.name, f"the folder holds no file of the kind {kinds}", "name the right folder"))
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            faults.append(LayerRejected(path.name, "there is no such file", "see its name and folder"))
    if faults:
        raise IngestFailed(tuple(faults))
    return list(dict.fromkeys(found))


# Before anything is read

def _check_request(catalogue: Catalogue, request: AddLayer, ceiling: Classification) -> None:
    _check_names(request)
    if request.classification > ceiling:
        raise AboveCeiling(request.name, request.classification.name.lower(), ceiling.name.lower())
    if request.stretch and not request.stretch[0] < request.stretch[1]:
        raise LayerMismatch(f"stretch `{request.stretch[0]:g},{request.stretch[1]:g}` is empty: give the lower value first")
    layer = catalogue.snapshot().layers.get(request.name)
    if layer is None:
        return
    if layer.product is not request.product:
        raise LayerMismatch(f"layer `{request.name}` holds {layer.product.value}, not {request.product.value}: choose another name")
    if layer.owner != request.owner:
        raise LayerMismatch(f"layer `{request.name}` belongs to `{layer.owner}`, not to `{request.owner}`: choose another name")
    if request.classification < layer.classification:
        raise LayerMismatch(
            f"layer `{request.name}` is {layer.classification.name.lower()}, not {request.classification.name.lower()}: "
            "say so, or remove the layer before it is added under a lower classification"
        )
    edition = layer.edition(request.edition)
    if edition and not edition.lossless and request.is_strict:
        raise LayerMismatch(
            f"edition `{request.name}@{request.edition}` is kept as JPEG, which nothing {request.classification.name.lower()} may be: "
            "remove it first, then add all of it under its classification"
        )
    if edition and (edition.nearest, edition.lossless) != (request.nearest, request.lossless):
        raise LayerMismatch(
            f"edition `{request.name}@{request.edition}` was added with other `--nearest` or `--lossless`: give the same, or remove it first"
        )


def _check_names(request: AddLayer) -> None:
    try:
        LayerName.parse(f"{request.name}@{request.edition}")
    except ValueError as error:
        raise LayerMismatch(str(error)) from error


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
    if folder.is_dir() and not any(path.is_file() and path.name != LOCK for path in folder.rglob("*")):
        shutil.rmtree(folder)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


# The job

class _Reporter:
    """Progress to whoever looks: the caller's callback and the catalogue's list of jobs."""

    def __init__(self, catalogue: Catalogue, job: int, total: int, progress: Progress | None):
        self._catalogue, self._job, self._total, self._progress = catalogue, job, total, progress
        self._done = 0

    def finished(self, name: str) -> None:
        self._done += 1
        self._catalogue.report_job(self._job, self._done)
        if self._progress:
            self._progress(self._done, self._total, name)


def _run(
    catalogue: Catalogue, request: AddLayer, folder: Path, sources: list[Path], executor: Executor, reporter: _Reporter, config: Path,
) -> Edition:
    published = _published(catalogue, request)
    live = catalogue.sheets(published.edition_id) if published else ()
    surveys, counts, faults = _surveyed(executor, sources, request)
    surveys, repeated = _without_copies(surveys)
    faults += _rivals(surveys)
    for name in [fault.source for fault in faults] + repeated:
        reporter.finished(name)
    options = _options(request, counts, live)
    targets = {_relative(survey, options): survey for survey in surveys}
    _sweep(folder, published, live, keep=targets)
    finished, more_faults = _taken_in(executor, folder, targets, options, reporter)
    faults += more_faults
    if faults and not (request.keep_going and finished):
        raise IngestFailed(tuple(sorted(faults, key=lambda fault: fault.source)))
    return _publish(catalogue, request, folder, published, live, finished, config)


def _published(catalogue: Catalogue, request: AddLayer) -> Edition | None:
    layer = catalogue.snapshot().layers.get(request.name)
    return layer.edition(request.edition) if layer else None


def _surveyed(
    executor: Executor, sources: list[Path], request: AddLayer,
) -> tuple[list[Survey], np.ndarray | None, list[LayerRejected]]:
    """What is known of each good file, the sum of what was counted in 16-bit images, and the faults of the others."""
    futures = [executor.submit(survey_file, source, request) for source in sources]
    surveys, total, faults = [], None, []
    for future in futures:
        try:
            survey, counts = future.result()
        except LayerRejected as fault:
            faults.append(fault)
            continue
        surveys.append(survey)
        if counts is not None:
            total = counts if total is None else total + counts
    return surveys, total, faults


def survey_file(path: Path, request: AddLayer) -> tuple[Survey, np.ndarray | None]:
    """Checksum and header of one file, and the values of a 16-bit image. Raises LayerRejected. Runs in a worker."""
    if not request.product.is_raster:
        return Survey(path=path, checksum=checksum_of(vectors.parts_of(path)), companions="", facts=None), None
    options = RasterOptions(product=request.product, crs=request.crs, nodata=request.nodata)
    facts = rasters.check_raster(path, options)
    needs_counts = request.product is ProductType.DOM and facts.needs_stretch and request.stretch is None
    counts = rasters.sample_values(path, facts, options) if needs_counts else None
    return Survey(path=path, checksum=checksum_of([path]), companions=_companions(path), facts=facts), counts


def _companions(path: Path) -> str:
    beside = [candidate for suffix in WORLD_FILES for candidate in (path.with_suffix(suffix), path.with_suffix(suffix.upper()))]
    return checksum_of([file for file in dict.fromkeys(beside) if file.is_file()])


def _without_copies(surveys: list[Survey]) -> tuple[list[Survey], list[str]]:
    """The first of each content; the names of the others."""
    first: dict[tuple[str, str], Survey] = {}
    for survey in surveys:
        first.setdefault((survey.checksum, survey.companions), survey)
    kept = list(first.values())
    return kept, [survey.path.name for survey in surveys if not any(survey is each for each in kept)]


def _rivals(surveys: list[Survey]) -> list[LayerRejected]:
    """Two files that claim one place in the edition: neither can be preferred."""
    claims: dict[str, list[Survey]] = {}
    for survey in surveys:
        number = survey.facts.number if survey.facts else None
        claims.setdefault(number or survey.path.name, []).append(survey)
    return [
        LayerRejected(second.path.name, f"`{claim}` was given twice with different content (`{rivals[0].path.name}`)", "keep one of them")
        for claim, rivals in claims.items() for second in rivals[1:]
    ]


def _options(request: AddLayer, counts: np.ndarray | None, live: Sequence[Sheet]) -> RasterOptions | VectorOptions:
    if not request.product.is_raster:
        return VectorOptions(product=request.product, crs=request.crs, encoding=request.encoding)
    stretch = request.stretch
    if stretch is None and counts is not None:
        stretch = rasters.recorded_stretch(live) or rasters.stretch_of(counts)
    return RasterOptions(
        product=request.product, crs=request.crs, nodata=request.nodata, stretch=stretch, lossless=request.lossless,
        nearest=request.nearest, unusual_heights=request.unusual_heights,
    )


def _relative(survey: Survey, options: RasterOptions | VectorOptions) -> str:
    """Where the result lies in the edition's folder: its name says of which content, beside which files, with which options."""
    suffix = ".gpkg" if survey.facts is None else ".tif"
    how = hashlib.sha256(f"{options.digest()} {survey.companions}".encode()).hexdigest()[:8]
    return f"sheets/{survey.checksum[:24]}-{how}{suffix}"


def _taken_in(
    executor: Executor, folder: Path, targets: dict[str, Survey], options: RasterOptions | VectorOptions, reporter: _Reporter,
) -> tuple[list[Finished], list[LayerRejected]]:
    done: dict[str, Finished] = {}
    waiting: dict[Future, str] = {}
    faults = []
    for relative, survey in targets.items():
        found = read_record(folder, relative)
        if found is not None:
            done[relative] = replace(found, sheet=replace(found.sheet, source_name=survey.path.name))
            reporter.finished(survey.path.name)
        else:
            waiting[executor.submit(take_in_file, survey, options, folder, relative)] = relative
    try:
        for future in as_completed(waiting):
            relative = waiting[future]
            try:
                done[relative] = future.result()
            except LayerRejected as fault:
                faults.append(fault)
            reporter.finished(targets[relative].path.name)
    except BaseException:
        for future in waiting:
            future.cancel()
        raise
    return [done[relative] for relative in targets if relative in done], faults


def take_in_file(survey: Survey, options: RasterOptions | VectorOptions, folder: Path, relative: str) -> Finished:
    """One file into the store, with the record that says it is finished. Raises LayerRejected. Runs in a worker."""
    target = folder / relative
    if survey.facts is None:
        finished = Finished(sheet=vectors.take_in(survey.path, options, survey.checksum, target, relative))
    else:
        taken = rasters.take_in(survey.path, survey.facts, options, survey.checksum, target, relative)
        finished = Finished(sheet=taken.sheet, heights=taken.heights)
    write_record(folder, finished)
    return finished


# Records of finished files

def write_record(folder: Path, finished: Finished) -> None:
    """Says, beside the finished file, what it is; only then does it count as finished."""
    sheet = finished.sheet
    values = {name: getattr(sheet, name) for name in Sheet.__slots__} | {
        "footprint": shapely.to_wkb(sheet.footprint, hex=True), "heights": finished.heights, "size": (folder / sheet.path).stat().st_size,
    }
    record = _record_path(folder, sheet.path)
    unfinished = record.with_suffix(f".{os.getpid()}.part.json")
    unfinished.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    sync(unfinished)
    os.replace(unfinished, record)
    sync(record.parent)


def read_record(folder: Path, relative: str) -> Finished | None:
    """What was finished under that name, or None."""
    record, target = _record_path(folder, relative), folder / relative
    if not (record.is_file() and target.is_file()):
        return None
    values = json.loads(record.read_text(encoding="utf-8"))
    heights, size = values.pop("heights"), values.pop("size")
    if target.stat().st_size != size:
        return None
    sheet = Sheet(**{
        **values, "bounds": Bounds(*values["bounds"]), "footprint": shapely.from_wkb(values["footprint"]),
        "resolution": tuple(values["resolution"]), "lineage": tuple(values["lineage"]),
    })
    return Finished(sheet=sheet, heights=tuple(heights) if heights else None)


def _record_path(folder: Path, relative: str) -> Path:
    return (folder / relative).with_suffix(".json")


def _sweep(folder: Path, published: Edition | None, live: Sequence[Sheet], keep: Iterable[str]) -> None:
    """Deletes what dead jobs and earlier generations left, but for what this job can use.

    Files of the generation before the published one go here too, not when it was published: a reader may still have held them then.
    """
    wanted = {LOCK}
    for relative in [*keep, *(sheet.path for sheet in live)]:
        wanted |= {relative, str(Path(relative).with_suffix(".json"))}
    if published:
        wanted |= {published.vectors} if published.vectors else set()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            continue
        relative = path.relative_to(folder).as_posix()
        if relative not in wanted and not (published and _is_of_mosaic(relative, published)):
            path.unlink()


def _is_of_mosaic(relative: str, published: Edition) -> bool:
    """A mosaic is a handle, an index and an overview; their names begin alike."""
    stems = {name.rsplit(".", 1)[0] for mosaic in published.mosaics for name in (mosaic.index, mosaic.overview) if name}
    return any(relative.startswith(stem) for stem in stems)


# Publishing

def _publish(
    catalogue: Catalogue, request: AddLayer, folder: Path, published: Edition | None, live: Sequence[Sheet], finished: Sequence[Finished],
    config: Path,
) -> Edition:
    here = {sheet.path: sheet for sheet in live}
    new = [each.sheet for each in finished if each.sheet.path not in here]
    layer = _layer(catalogue, request)
    if published and not new and _is_unchanged(catalogue, layer, published, request):
        return published
    sheets = _numbered([*(sheet for sheet in live if not any(_replaces(fresh, sheet) for fresh in new)), *new])
    generation = max(published.generation if published else 0, catalogue.epoch()) + 1
    if published and request.currency == (None, None):
        request = replace(request, currency=published.currency)
    edition = _edition(request, folder, sheets, generation, config)
    return catalogue.publish(layer, edition, [sheet if sheet.path in here else replace(sheet, sheet_id=0) for sheet in sheets])


def _layer(catalogue: Catalogue, request: AddLayer) -> Layer:
    """The layer as it will be: what the request leaves empty stays as it was."""
    known = catalogue.snapshot().layers.get(request.name)
    return Layer(
        name=request.name, product=request.product, owner=request.owner, classification=request.classification, synthetic=request.synthetic,
        title_zh=request.title_zh or (known.title_zh if known else request.name),
        title_en=request.title_en or (known.title_en if known else request.name),
        abstract=request.abstract or (known.abstract if known else ""),
        attribution=request.attribution or (known.attribution if known else ""),
        editions=(),
    )


def _is_unchanged(catalogue: Catalogue, layer: Layer, published: Edition, request: AddLayer) -> bool:
    known = catalogue.snapshot().layers.get(layer.name)
    return known is not None and replace(known, editions=()) == layer and request.currency in ((None, None), published.currency)


def _replaces(new: Sheet, old: Sheet) -> bool:
    return new.source_name == old.source_name or (new.number is not None and new.number == old.number)


def _numbered(sheets: Sequence[Sheet]) -> list[Sheet]:
    """New sheets get the ids that the catalogue would give at the earliest: where sheets overlap, the latest lies on top."""
    last = max((sheet.sheet_id for sheet in sheets), default=0)
    numbered = []
    for sheet in sheets:
        last += not sheet.sheet_id
        numbered.append(sheet if sheet.sheet_id else replace(sheet, sheet_id=last))
    return numbered


def _edition(request: AddLayer, folder: Path, sheets: list[Sheet], generation: int, config: Path) -> Edition:
    plain = Edition(
        edition_id=0, name=request.edition, layer=request.name, product=request.product, currency=request.currency, generation=generation,
        folder=request.folder, crs=sheets[0].crs, extent=_extent(sheets), resolution=None, sheet_count=len(sheets), nearest=request.nearest,
        lossless=request.lossless,
    )
    if not request.product.is_raster:
        return _with_vectors(plain, folder, sheets, config)
    mosaics = build_mosaics(folder, sheets, request.product, nearest=request.nearest, lossless=request.lossless, generation=generation)
    return replace(
        plain, crs=mosaics[0].crs, mosaics=mosaics, resolution=min(_ground_resolution(sheet) for sheet in sheets),
        height_range=_height_range(folder, sheets) if request.product is ProductType.DEM else None,
    )


def _with_vectors(plain: Edition, folder: Path, sheets: list[Sheet], config: Path) -> Edition:
    name = sheets[0].path
    if len(sheets) > 1:
        name = f"features-{plain.generation}.gpkg"
        vectors.merge([folder / sheet.path for sheet in sheets], plain.crs, folder / name)
    known = FeatureClassTable.load(config / "dlg_classes.csv")
    return replace(plain, vectors=name, classes=vectors.classes_of(folder / name, plain.product, known))


def _extent(sheets: Sequence[Sheet]) -> BaseGeometry:
    """Union of the sheets' footprints, in CRS84."""
    return shapely.union_all([sheet.footprint for sheet in sheets])


def _ground_resolution(sheet: Sheet) -> float:
    """Metres on the ground per pixel."""
    return reference.ground_resolution(View(crs=sheet.crs, bounds=sheet.bounds, width=sheet.width, height=sheet.height))


def _height_range(folder: Path, sheets: Sequence[Sheet]) -> tuple[float, float]:
    """From the lowest 2nd to the highest 98th percentile of the sheets, in metres."""
    ranges = [found.heights for found in (read_record(folder, sheet.path) for sheet in sheets) if found and found.heights]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


# Workers

@contextmanager
def _executor(workers: int | None, files: int) -> Iterator[Executor]:
    """Processes of their own for files from elsewhere, begun afresh (GDAL and PROJ don't survive a fork)."""
    number = min(os.cpu_count() or 1, files) if workers is None else workers
    if number == 0:
        yield _ThisProcess()
        return
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(number, mp_context=_Workshop(), initializer=_end_with_parent)
    try:
        yield executor
    except KeyboardInterrupt:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Worker(SpawnProcess):
    """Deaf to Ctrl-C, which the whole terminal hears: only the parent shall speak, and end its workers."""

    def start(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return super().start()
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)        # what begins now inherits it
        try:
            super().start()
        finally:
            signal.signal(signal.SIGINT, heard)


class _Workshop(SpawnContext):
    Process = _Worker


class _ThisProcess(Executor):
    """An executor that does the work at once, here."""

    def submit(self, work, /, *args, **options) -> Future:
        future = Future()
        try:
            future.set_result(work(*args, **options))
        except LayerRejected as fault:
            future.set_exception(fault)
        return future


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next file for ever."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="end-with-parent").start()
