"""Takes uploads in, one after the other: read in a program of its own, compared with what is known, published whole or not at all."""

import json
import logging
import os
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agreements.errors import RegisterUnavailable
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.overlays.asking import TABLES, check_edition
from geoserver_app.overlays.book import LEASE, MOST_ATTEMPTS, ClaimLost, Step, Upload, UploadBook, UploadState, upload_folder, upload_path
from geoserver_app.overlays.comparing import compared
from geoserver_app.overlays.faults import Finding, OverlayInvalid
from geoserver_app.overlays.making import made_of_table
from geoserver_app.overlays.publishing import published
from geoserver_app.overlays.remote_services import RemoteFeatures, take_features
from geoserver_app.overlays.sandbox import Abandoned, Caps, opened
from geoserver_app.settings import Settings
from geoserver_app.wiring import Services
from layers.errors import CatalogueUnavailable

log = logging.getLogger(__name__)

LATER = (RegisterUnavailable, CatalogueUnavailable, DecisionLogUnavailable)


LOOK_SECONDS = 1.0


class Held(Exception):
    """Suspected GCJ-02: not published until a person decides."""

    def __init__(self, findings: list[Finding], offset: float | None):
        super().__init__("held back")
        self.findings, self.offset = findings, offset


def caps_of(settings: Settings) -> Caps:
    return Caps(megabytes=settings.overlay_memory_megabytes, seconds=settings.overlay_seconds, file_bytes=8 * settings.overlay_megabytes * 2**20)


@dataclass(slots=True)
class UploadWorker:
    services: Services
    book: UploadBook
    name: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:12]}")
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *, look: float = LOOK_SECONDS) -> None:
        """Until told to stop."""
        while not self.stop.is_set():
            try:
                found = self.work()
            except LATER as error:
                log.warning("uploads wait: %s", error)
                found = False
            if not found:
                self.stop.wait(look)

    def work(self) -> bool:
        """Take one upload in; False where there is none."""
        upload = self.book.take(self.name)
        if upload is None:
            return False
        with suppress(ClaimLost), self._heart(upload):
            self._take_in(upload)
        return True

    def _take_in(self, upload: Upload) -> None:
        if upload.attempts > MOST_ATTEMPTS:
            self._end(upload, UploadState.FAILED, [Finding(code="overlay-worker-gone")])
            return
        findings: list[Finding] = []
        try:
            self._publish(upload, findings)
        except Held as held:
            self.book.end(upload, self.name, UploadState.HELD, held.findings, offset=held.offset)
            self._note(upload, UploadState.HELD)
        except OverlayInvalid as error:
            self._end(upload, UploadState.FAILED, [error.finding, *findings])
        except (Abandoned, ClaimLost):
            if not self.stop.is_set():
                raise ClaimLost(upload.upload_id) from None
            self.book.hand_back(upload, self.name)
        except LATER:
            self.book.hand_back(upload, self.name)
            self.stop.wait(3.0)
        except Exception:
            log.exception("overlay %s", upload.upload_id)
            self._end(upload, UploadState.FAILED, [Finding(code="overlay-failed"), *findings])
        else:
            self._end(upload, UploadState.PUBLISHED, findings)

    def _publish(self, upload: Upload, findings: list[Finding]) -> None:
        wanted, settings = upload.wanted, self.services.settings
        check_edition(self.services.catalogue, wanted["name"], wanted["edition"])
        self.book.report(upload, self.name, Step.READING)
        paths, symbols = self._read(upload, findings)
        self.book.report(upload, self.name, Step.COMPARING)
        suspicion, offset = compared(self.services, upload, paths)
        if suspicion.code in ("shift-suspected", "shift-declared") and upload.decided is None:
            raise Held([suspicion, *findings], offset)
        findings.append(suspicion)
        self.book.report(upload, self.name, Step.PUBLISHING)
        published(
            self.services, owner=upload.agency, name=wanted["name"], edition=wanted["edition"], paths=paths, title_zh=wanted.get("title_zh", ""),
            title_en=wanted.get("title_en", ""), abstract=wanted.get("abstract", ""), classification=wanted.get("classification", "internal"),
            attribution=wanted.get("attribution", ""), symbols=wanted.get("symbols") or symbols,
            remote=json.dumps(wanted["source"], ensure_ascii=False, sort_keys=True) if wanted.get("source") else None,
        )
        shutil.rmtree(upload_folder(settings, upload.upload_id), ignore_errors=True)

    def _read(self, upload: Upload, findings: list[Finding]) -> tuple[list[Path], str | None]:
        """Clean files, and rules that the table asked for."""
        wanted, folder = upload.wanted, upload_folder(self.services.settings, upload.upload_id)
        source, caps = upload_path(self.services.settings, upload), caps_of(self.services.settings)
        if wanted.get("source"):
            source.parent.mkdir(parents=True, exist_ok=True)
            take_features(
                self.services.door, RemoteFeatures.of(wanted["source"]), source, most_features=caps.most_features, most_bytes=caps.file_bytes,
                is_wanted=lambda: not self.stop.is_set() and self.book.is_claimed(upload, self.name),
            )
        if not source.is_file():
            raise OverlayInvalid("overlay-no-file")
        is_table = wanted["suffix"] in TABLES
        told = opened(
            source, folder, "table" if is_table else "vectors", caps, crs=wanted.get("crs"), encoding=wanted.get("encoding"),
            is_wanted=lambda: not self.stop.is_set() and self.book.is_claimed(upload, self.name),
        )
        if not is_table:
            findings += [Finding(code="overlay-note", detail={"note": note}) for note in told["notes"]]
            return [folder / one for one in told["files"]], None
        made = made_of_table(self.services.catalogue, told["table"], wanted, folder / "clean" / f"{wanted['stem']}.gpkg")
        findings += made.findings
        return [made.path], made.symbols

    @contextmanager
    def _heart(self, upload: Upload) -> Iterator[None]:
        over = threading.Event()

        def beat() -> None:
            while not over.wait(LEASE.total_seconds() / 3):
                with suppress(RegisterUnavailable, ClaimLost):
                    self.book.report(upload, self.name)

        heart = threading.Thread(target=beat, name="overlay-claim", daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()

    def _end(self, upload: Upload, state: UploadState, findings: list[Finding]) -> None:
        self.book.end(upload, self.name, state, findings, offset=upload.offset_metres)
        self._note(upload, state)
        shutil.rmtree(upload_folder(self.services.settings, upload.upload_id), ignore_errors=True)

    def _note(self, upload: Upload, state: UploadState) -> None:
        self.services.log.write({
            "event": "overlay.registered", "agency": upload.agency, "key": upload.asker.get("key") or None, "object": upload.upload_id,
            "overlay": f"{upload.wanted['name']}@{upload.wanted['edition']}", "outcome": state.value,
        })


def call_off(services: Services, book: UploadBook, upload: Upload) -> bool:
    """Nothing more is made of it, and nothing kept; False where it is over already."""
    among = [state for state in UploadState if state.is_open]
    is_off = book.move(upload.upload_id, UploadState.CANCELLED, among=among, findings=[Finding(code="overlay-cancelled").plain()])
    if is_off:
        shutil.rmtree(upload_folder(services.settings, upload.upload_id), ignore_errors=True)
    return is_off
