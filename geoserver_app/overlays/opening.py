"""A program of its own that opens what was uploaded: `python -m geoserver_app.overlays.opening JOB`, started by `sandbox`.

It knows no database, no settings and no secret: a folder with one file, and what is to be made of it. GDAL has no driver but those of the allow-list,
each file opened by the driver that its first bytes say; memory, time, the size of files and the number of open ones are capped by the system, and it
has no network where the system lets it give that up. What it leaves is one clean GeoPackage, or rows of a table, and `told.json`.
"""

import ctypes
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

ALLOWED = ("GPKG", "ESRI Shapefile", "GeoJSON", "FlatGeobuf", "OpenFileGDB", "MEM", "Memory", "SQLite")
"""Drivers that stay; SQLite is what GPKG stands on, and no file is opened by its name."""

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
OPEN_FILES = 256
TOLD = "told.json"


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    _cap(job)
    folder = Path(job["folder"])
    try:
        told = _opened(job, folder)
    except MemoryError:
        told = {"fault": {"code": "overlay-too-big-in-memory", "detail": {"megabytes": str(job["megabytes"])}}}
    (folder / f"{TOLD}.part").write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    (folder / f"{TOLD}.part").replace(folder / TOLD)


def _cap(job: Mapping) -> None:
    """Before anything of GDAL is loaded."""
    size = job["megabytes"] * 2**20
    for limit, value in (
        (resource.RLIMIT_AS, size), (resource.RLIMIT_CPU, job["seconds"]), (resource.RLIMIT_FSIZE, job["file_bytes"]),
        (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_USER | NEW_NETWORK) == 0:     # where the system allows it: no network, not even this machine
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text, "ascii")
    os.nice(5)


def _opened(job: Mapping, folder: Path) -> dict:
    from geoserver_app.overlays.reading import Unfit, read_table, read_vectors

    _allow_drivers()
    try:
        if job["kind"] == "table":
            return {"table": read_table(Path(job["source"]), job)}
        return read_vectors(Path(job["source"]), folder, job)
    except Unfit as error:
        return {"fault": {"code": error.code, "detail": error.detail}}


def _allow_drivers() -> None:
    """GDAL reads GDAL_SKIP when it registers its drivers; they are registered when pyogrio is first loaded, so those are taken away again."""
    import pyogrio

    skipped = [name for name in pyogrio.list_drivers() if name not in ALLOWED]
    if [name for name in skipped if name not in os.environ.get("GDAL_SKIP", "").split(",")]:
        raise SystemExit("drivers are open that should not be")


if __name__ == "__main__":
    main()
