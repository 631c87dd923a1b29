"""Starts the program that opens an upload, waits for it under every cap, and says what came of it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from geoserver_app.overlays.faults import Finding, OverlayInvalid
from geoserver_app.overlays.opening import ALLOWED, TOLD

CPU_OVER = (-24, -9)     # SIGXCPU, SIGKILL
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Of one upload. `seconds` of the processor, and as many of the clock; `file_bytes` of any file that is written, and of all that a zip holds."""

    megabytes: int = 1536
    seconds: int = 300
    file_bytes: int = 2 << 30
    most_features: int = 1_000_000
    most_fields: int = 200
    most_entries: int = 2_000
    ratio: int = 100


class Abandoned(Exception):
    """Nobody wants it any more."""


def opened(
    source: Path, folder: Path, kind: str, caps: Caps, *, crs: str | None = None, encoding: str | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Mapping:
    """What the program told: `files` and `notes` of vectors, `table` of a table.

    Parameters
    ----------
    source : Path
        The upload, under its own suffix.
    folder : Path
        Of this upload alone; what is made lies in it.
    kind : str
        "vectors" or "table".
    is_wanted : Callable
        Asked all the time; where it says no, the program is ended.

    Raises
    ------
    OverlayInvalid
        What was uploaded can't be taken in, or takes more than the caps.
    Abandoned
    """
    job = {
        "source": str(source), "folder": str(folder), "kind": kind, "crs": crs, "encoding": encoding,
        **{name: getattr(caps, name) for name in ("megabytes", "seconds", "file_bytes", "most_features", "most_fields", "most_entries", "ratio")},
    }
    (folder / TOLD).unlink(missing_ok=True)
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    with (folder / "opening.log").open("wb") as log:
        program = subprocess.Popen(
            [sys.executable, "-m", "geoserver_app.overlays.opening", str(folder / "job.json")], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=_environment(folder), cwd=_root(), start_new_session=True,
        )
        try:
            _wait(program, caps, is_wanted)
        finally:
            program.kill()                      # also where nobody can say whether it is still wanted
            program.wait()
    return _told(folder, program.returncode, caps)


def _wait(program: subprocess.Popen, caps: Caps, is_wanted: Callable[[], bool]) -> None:
    until, asked = time.monotonic() + caps.seconds, time.monotonic()
    while True:
        try:
            program.wait(LOOK_SECONDS)
            return
        except subprocess.TimeoutExpired:
            is_over = time.monotonic() >= until
            is_left = False
            if not is_over and time.monotonic() - asked >= 1.0:
                asked, is_left = time.monotonic(), not is_wanted()
            if is_left:
                raise Abandoned from None
            if is_over:
                raise OverlayInvalid("overlay-too-slow", seconds=caps.seconds) from None


def _told(folder: Path, code: int, caps: Caps) -> Mapping:
    try:
        told = json.loads((folder / TOLD).read_text("utf-8"))
    except (OSError, ValueError):
        log = (folder / "opening.log").read_bytes()[-4000:]
        if code in CPU_OVER:
            raise OverlayInvalid("overlay-too-slow", seconds=caps.seconds) from None
        if b"MemoryError" in log or b"bad_alloc" in log or b"Unable to allocate" in log or b"Out of memory" in log:
            raise OverlayInvalid("overlay-too-big-in-memory", megabytes=caps.megabytes) from None
        raise OverlayInvalid("overlay-unreadable") from None
    if "fault" in told:
        raise OverlayInvalid.by(Finding.of(told["fault"]))
    return told


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours but where Python is: no settings, no proxies, no secret."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHASHSEED", "LANG", "PROJ_DATA", "GDAL_DATA") if name in os.environ}
    return kept | {
        "GDAL_SKIP": ",".join(_skipped()), "TMPDIR": str(folder), "HOME": str(folder), "PROJ_NETWORK": "OFF",
        "CPL_CURL_ENABLE_VSIMEM": "NO", "GDAL_HTTP_MAX_RETRY": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "GDAL_CACHEMAX": "64",
        "OGR_SQLITE_LOAD_EXTENSIONS": "", "OGR_GEOJSON_MAX_OBJ_SIZE": "200", "PYTHONDONTWRITEBYTECODE": "1",
    }


_lock = threading.Lock()


@cache
def _skipped() -> tuple[str, ...]:
    import pyogrio

    with _lock:
        return tuple(sorted(name for name in pyogrio.list_drivers() if name not in ALLOWED))


def _root() -> str:
    return str(Path(__file__).resolve().parents[2])
