"""One package, from its items to the files that are fetched."""

import errno
import hashlib
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import shapely

from geoserver_app.clock import SHANGHAI
from geoserver_app.downloads import EXTENSIONS, MOMENT, auxiliary_file, world_file
from geoserver_app.packages.cut import Cutter, pictures_of
from geoserver_app.packages.delivered import beside_it, copy, file_name, is_whole, unused, view_on
from geoserver_app.packages.features import FeatureCutter
from geoserver_app.packages.items import Item, blocks_of, files_folder, write_whole
from geoserver_app.packages.jobs import Package, PackageFile
from geoserver_app.packages.manifest import JSON_NAME, PAGE_NAME, item_told, manifest_of, page_of, written
from geoserver_app.packages.orders import TIFF, Form
from layers.model import Edition, LayerName, Sheet, View
from tiles.permits import Permit

NOTES = "notes"
"""Folder within that of the files, while they are made. Only what the row of a package names is ever fetched."""

ZIP_NAME, ZIP_TYPE = "package.zip", "application/zip"

FULL = (errno.ENOSPC, errno.EDQUOT)

LEAST_FREE = 1 << 30
"""Bytes that packages leave of the disk: what is decided is recorded there too, and without a record nothing is served to anybody."""

MEDIA_TYPES = {"tif": TIFF, "tiff": TIFF, "png": "image/png", "jpg": "image/jpeg", "json": "application/json", "html": "text/html; charset=utf-8",
               "gpkg": "application/geopackage+sqlite3", "geojson": "application/geo+json", "fgb": "application/flatgeobuf"}
OTHER = "application/octet-stream"


def make(worker, package: Package) -> None:
    """All of it: afterwards it is ready. Raises what `Worker.step` raises, OSError, Unsound, RasterioError, RenderFailed."""
    services = worker.services
    folder = files_folder(services.settings, package)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    maker = _Maker(worker, package, folder)
    told = [maker.item(number) for number in range(len(package.items))]
    data = [_described(folder / name) for name in maker.names]
    agreements = services.gate.standing().register.agreements.get(package.agency, ())
    made = services.gate.clock().astimezone(SHANGHAI).isoformat(timespec="seconds")
    manifest = manifest_of(package, told, agreements, data, made)
    write_whole(folder / JSON_NAME, written(manifest))
    write_whole(folder / PAGE_NAME, page_of(manifest).encode())
    papers = [_described(folder / name) for name in (JSON_NAME, PAGE_NAME)]
    files = [*data, *papers] if len(data) == 1 else [_zipped(folder, [*data, *papers]), *papers]
    for number in range(len(package.items)):
        worker.step(package, number, maker.done)
    expires = services.gate.clock() + timedelta(days=services.settings.package_days)
    worker.book.finish(replace(package, total=max(maker.total, maker.done)), worker.name, files, expires, [one.plain() for one in maker.items])
    clear(folder, files)


def clear(folder: Path, files: Iterable[PackageFile]) -> None:
    """Nothing stays but the files that are fetched."""
    names = {one.name for one in files}
    for one in list(folder.iterdir()):
        if one.name not in names:
            shutil.rmtree(one) if one.is_dir() else one.unlink()


class _Maker:
    """Makes the data of each item; knows their names, and how many of all blocks are done."""

    def __init__(self, worker, package: Package, folder: Path):
        self.worker, self.package, self.folder, self.done = worker, package, folder, 0
        self.names: list[str] = []
        self.taken = {JSON_NAME, PAGE_NAME, ZIP_NAME}
        self.items = [Item.of(one) for one in package.items]
        bases: set[str] = set()
        self.bases = [unused(one.name, bases) for one in self.items]      # `a-b` of `c` and `a` of `b-c` are not one file
        self.total = sum(blocks_of(one) for one in self.items)

    def item(self, number: int) -> dict:
        """Its part of the manifest, once its files are there."""
        item = self.items[number]
        permit = self._check(number)
        layer, _ = self.worker.services.gate.standing().catalogue.find(LayerName(item.layer, item.edition))
        sheets = self._sheets(permit)
        notes, tables = (), None
        if item.form.is_vector:
            pixels, notes, tables = self._features(item, number)
        elif item.form is Form.DELIVERED:
            pixels = self._deliver(permit, sheets, number)
        elif item.form.is_picture:
            pixels = self._draw(self._cutter(permit, number, counted=True), item, self.bases[number])
        else:
            pixels = self._cut(self._cutter(permit, number, counted=True), item.view, f"{self.bases[number]}.tif", is_cog=item.form is Form.COG)
        item = self.items[number] = replace(item, pixels=pixels, granted_by=self.worker.granted_by(self.package, item, number))
        return item_told(item, layer, permit, sheets, notes, tables)

    def _features(self, item: Item, number: int) -> tuple[int, list, list]:
        """1 for what is in it, notes, and the tables."""
        services = self.worker.services
        cutter = FeatureCutter(services.features, services.feature_ids, lambda: self._check(number), item.view.crs)
        self.names += cutter.write(self.folder, self.bases[number], item.form)
        self.done += 1
        return 1 if cutter.tables else 0, cutter.notes, cutter.tables

    def _check(self, number: int) -> Permit:
        leave_room(self.folder)
        return self.worker.step(self.package, number, self.done)

    def _cutter(self, permit: Permit, number: int, *, counted: bool) -> Cutter:
        def step() -> None:
            self._check(number)
            self.done += counted

        return Cutter(self.worker.services.engine, permit, self.items[number].style, step)

    def _sheets(self, permit: Permit) -> list[Sheet]:
        """Those of which something is in it, in the order of their numbers."""
        shape = permit.area.geometry
        sheets = self.worker.services.catalogue.sheets(permit.edition.edition_id)
        found = [one for one in sheets if shapely.intersects(shape, one.footprint) and not shapely.touches(shape, one.footprint)]
        return sorted(found, key=lambda one: (one.number or "", one.sheet_id))

    def _cut(self, cutter: Cutter, view: View, name: str, *, is_cog: bool) -> int:
        """One file; how many pixels of it are shown."""
        self.names.append(name)
        target = self.folder / name
        if (pixels := _noted(target)) is None or not target.exists():
            cutter.write(target, view, self.folder / f"{name}.strips", is_cog=is_cog)
            pixels = _note(target, cutter.pixels)
        return pixels

    def _draw(self, cutter: Cutter, item: Item, base: str) -> int:
        """Pictures side by side, each with its place beside it; none where nothing would be seen."""
        extension, world = EXTENSIONS[item.form.media_type]
        pixels = 0
        for row, col, view in pictures_of(item.view):
            target = self.folder / f"{base}_r{row:03}_c{col:03}.{extension}"
            if (known := _noted(target)) is None:
                before, data = cutter.pixels, cutter.picture(view, item.form.media_type)
                if data is not None:
                    write_whole(target.with_suffix(f".{world}"), world_file(view).encode())
                    write_whole(target.with_name(f"{target.name}.aux.xml"), auxiliary_file(view).encode())
                    write_whole(target, data)
                known = _note(target, cutter.pixels - before)
            pixels += known
            if target.exists():
                self.names += [target.name, target.with_suffix(f".{world}").name, f"{target.name}.aux.xml"]
        return pixels

    # -- sheets as they were delivered

    def _deliver(self, permit: Permit, sheets: list[Sheet], number: int) -> int:
        """Whole where the whole of its file is granted as it is; else what is granted of it, cut."""
        self.total += len(sheets) - 1
        self.worker.book.renew(self.package, self.worker.name, total=self.total)
        pixels = 0
        for sheet in sheets:
            self._check(number)
            source = self._delivered(permit.edition, sheet)
            if source is not None and is_whole(sheet, permit):
                pixels += self._copied(source, sheet, unused(file_name(sheet, source), self.taken))
            elif (view := view_on(sheet, permit)) is not None:
                name = unused(f"{sheet.number or f'sheet-{sheet.sheet_id}'}-cut.tif", self.taken)
                pixels += self._cut(self._cutter(permit, number, counted=False), view, name, is_cog=True)
            self.done += 1
        return pixels

    def _copied(self, source: Path, sheet: Sheet, name: str) -> int:
        self.names.append(name)
        if not (self.folder / name).exists():
            leave_room(self.folder, source.stat().st_size)
            copy(source, self.folder / name, sheet)
        for held, shipped in beside_it(source, name):
            self.names.append(unused(shipped, self.taken))
            if not (self.folder / shipped).exists():
                leave_room(self.folder, held.stat().st_size)
                write_whole(self.folder / shipped, held.read_bytes())
        return sheet.width * sheet.height

    def _delivered(self, edition: Edition, sheet: Sheet) -> Path | None:
        if sheet.delivered is None:
            return None
        path = self.worker.services.settings.store / edition.folder / sheet.delivered
        return path if path.is_file() else None


# Files

def leave_room(folder: Path, size: int = 0) -> None:
    """Raises OSError where `size` bytes more would leave less of the disk than `LEAST_FREE`."""
    if shutil.disk_usage(folder).free < LEAST_FREE + size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _note(target: Path, pixels: int) -> int:
    """Beside the files: how many pixels of one are shown. It is written once the file is whole."""
    (target.parent / NOTES).mkdir(exist_ok=True)
    write_whole(target.parent / NOTES / target.name, str(pixels).encode())
    return pixels


def _noted(target: Path) -> int | None:
    try:
        return int((target.parent / NOTES / target.name).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _described(path: Path) -> PackageFile:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    media_type = MEDIA_TYPES.get(path.suffix.lower().lstrip("."), OTHER)
    return PackageFile(name=path.name, size=path.stat().st_size, sha256=digest.hexdigest(), media_type=media_type)


def _zipped(folder: Path, members: Iterable[PackageFile]) -> PackageFile:
    """One archive of all, stored as they are: they are compressed already. More than 4 GB is no matter (ZIP64)."""
    members = list(members)
    leave_room(folder, sum(one.size for one in members))
    target = folder / ZIP_NAME
    unfinished = target.with_name(f"{ZIP_NAME}.{uuid.uuid4().hex}.part")
    with unfinished.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for one in members:
            with (folder / one.name).open("rb") as source, archive.open(zipfile.ZipInfo(one.name, MOMENT), "w", force_zip64=one.size >= 1 << 31) as member:
                shutil.copyfileobj(source, member, 1 << 22)
    unfinished.replace(target)
    return replace(_described(target), media_type=ZIP_TYPE)

