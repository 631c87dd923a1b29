"""Map sheets as they were delivered: whole where the whole of a file is granted, else the pixels of the sheet that are."""

import hashlib
import os
import re
import uuid
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from layers import crs as crs_room
from layers.delivery.companions import beside, is_world_file
from layers.model import Bounds, Sheet, View
from tiles.permits import Permit


class Unsound(Exception):
    """A file of the store is not the one that was delivered."""


def box_of(sheet: Sheet) -> BaseGeometry:
    """CRS84: all that the file of a sheet may hold, with a hair around it, since its edges are curves there."""
    box = shapely.box(*sheet.bounds)
    hair = max(sheet.resolution) / 8
    return crs_room.transform_geometry(crs_room.densify(shapely.buffer(box, hair, join_style="mitre"), sheet.crs), sheet.crs, "CRS:84")


def is_whole(sheet: Sheet, permit: Permit) -> bool:
    """Whether all that its file holds may be seen as it is: no grid, no mark, nothing beyond the border. What its file holds was read when it was
    taken in, and its checksum says that it is the same."""
    box = box_of(sheet)
    return any(part.variant.is_master and part.mark is None and (part.area is None or shapely.covers(part.area.geometry, box)) for part in permit.parts)


def view_on(sheet: Sheet, permit: Permit) -> View | None:
    """The pixels of the sheet that something granted may lie in."""
    (across, along), bounds = sheet.resolution, sheet.bounds
    inside = shapely.intersection(permit.area.geometry, box_of(sheet))
    if inside.area == 0:
        return None
    found = Bounds(*crs_room.transform_geometry(crs_room.densify(inside, "CRS:84"), "CRS:84", sheet.crs).bounds)
    left, right = (min(max(int((x - bounds.left) / across) + more, 0), sheet.width) for x, more in ((found.left, 0), (found.right, 1)))
    top, bottom = (min(max(int((bounds.top - y) / along) + more, 0), sheet.height) for y, more in ((found.top, 0), (found.bottom, 1)))
    if left >= right or top >= bottom:
        return None
    place = Bounds(bounds.left + left * across, bounds.top - bottom * along, bounds.left + right * across, bounds.top - top * along)
    return View(crs=sheet.crs, bounds=place, width=right - left, height=bottom - top)


def copy(source: Path, target: Path, sheet: Sheet) -> None:
    """Raises Unsound where it is not what was delivered."""
    digest, unfinished = hashlib.sha256(), target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    with source.open("rb") as held, unfinished.open("wb") as copy:
        while block := held.read(1 << 22):
            digest.update(block)
            copy.write(block)
    if digest.hexdigest() != sheet.checksum:
        unfinished.unlink()
        raise Unsound(f"the delivered file of sheet {sheet.number or sheet.sheet_id} is not what it was when it was taken in")
    os.replace(unfinished, target)


def beside_it(source: Path, name: str) -> list[tuple[Path, str]]:
    """What was delivered beside a file and says where its pixels lie or which of them count, and how it is called beside `name`. Of the rest, an
    .aux.xml among it, nobody knows what it tells."""
    found = []
    for held in beside(source):
        more = held.name[len(source.stem):]
        if is_world_file(held) or held.suffix.lower() in (".prj", ".msk", ".ige"):
            found.append((held, Path(name).stem + more))
    return found


def file_name(sheet: Sheet, source: Path) -> str:
    """As it was delivered, as far as that is a plain name."""
    name = re.sub(r"[^\w.\-()（）]", "_", Path(sheet.source_name).name).strip(".") or f"sheet-{sheet.sheet_id}"
    return name if Path(name).suffix else f"{name}{source.suffix}"


def unused(name: str, names: set[str]) -> str:
    """Two sheets may have been delivered under one name. The name is added to `names`."""
    stem, suffix, number = Path(name).stem, Path(name).suffix, 1
    while name.casefold() in names:
        number += 1
        name = f"{stem}-{number}{suffix}"
    names.add(name.casefold())
    return name
