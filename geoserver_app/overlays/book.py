"""Uploads of overlays, as rows: what is wanted, how far it is, what was found. One worker at a time has a claim on one, with a lease that it renews."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from geoserver_app.database import from_database, utc, writing
from geoserver_app.overlays.faults import Finding
from geoserver_app.overlays.tables import uploads_table
from geoserver_app.settings import Settings

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 3
"""Workers that may die over one upload before it is given up."""


class UploadState(StrEnum):
    WAITING = "waiting"         # for its file
    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"               # suspected GCJ-02: nothing of it is served until a person decides
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self in (UploadState.WAITING, UploadState.QUEUED, UploadState.RUNNING, UploadState.HELD)


class Step(StrEnum):
    RECEIVING = "receiving"
    READING = "reading"
    COMPARING = "comparing"
    PUBLISHING = "publishing"
    OVER = "over"


STEPS = (Step.RECEIVING, Step.READING, Step.COMPARING, Step.PUBLISHING, Step.OVER)


class NoSuchUpload(Exception):
    """None of that id, or another agency's."""


class ClaimLost(Exception):
    """It was called off, or the lease ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One overlay on its way in. `wanted` is what was asked (`geoserver_app.overlays.asking`), `findings` what was found, good or bad; `decided` is what a
    person said of one that was held back: `{"login", "reason"}`. `offset_metres` is how far its coordinates lie off what is known."""

    upload_id: str
    agency: str
    asker: Mapping
    wanted: Mapping
    state: UploadState
    step: Step
    done: int
    total: int
    began: datetime
    ended: datetime | None = None
    claim: str = ""
    attempts: int = 0
    findings: tuple[Finding, ...] = ()
    offset_metres: float | None = None
    decided: Mapping | None = None


def upload_folder(settings: Settings, upload_id: str) -> Path:
    """Of this upload alone, outside of everything that is served."""
    return settings.data / "overlays" / upload_id


def upload_path(settings: Settings, upload: Upload) -> Path:
    """Under a name of ours; the suffix is one of a closed list."""
    return upload_folder(settings, upload.upload_id) / f"{upload.wanted['stem']}{upload.wanted['suffix']}"


class UploadBook:
    def __init__(self, database: sa.Engine, clock: Callable[[], datetime]):
        self.database, self.clock = database, clock

    def add(self, agency: str, asker: Mapping, wanted: Mapping, *, state: UploadState = UploadState.WAITING) -> Upload:
        upload = Upload(
            upload_id=secrets.token_hex(16), agency=agency, asker=asker, wanted=wanted, state=state, step=Step.RECEIVING, done=0, total=len(STEPS) - 1,
            began=self.clock(),
        )
        with self._writing() as connection:
            connection.execute(uploads_table.insert().values(**_row(upload)))
        return upload

    def get(self, upload_id: str, agency: str | None = None) -> Upload:
        """With `agency`, its own alone. Raises NoSuchUpload."""
        with self._reading() as connection:
            row = connection.execute(sa.select(uploads_table).where(uploads_table.c.upload_id == upload_id)).first()
        if row is None or agency not in (None, row.agency):
            raise NoSuchUpload(upload_id)
        return _upload(row)

    def list(self, agency: str | None = None) -> list[Upload]:
        """The newest first."""
        query = sa.select(uploads_table).order_by(uploads_table.c.began.desc(), uploads_table.c.upload_id)
        if agency is not None:
            query = query.where(uploads_table.c.agency == agency)
        with self._reading() as connection:
            return [_upload(row) for row in connection.execute(query)]

    def open_count(self, agency: str) -> int:
        columns = uploads_table.c
        query = sa.select(sa.func.count()).where(columns.agency == agency, columns.state.in_([one.value for one in UploadState if one.is_open]))
        with self._reading() as connection:
            return connection.scalar(query)

    def move(self, upload_id: str, state: UploadState, *, among: Sequence[UploadState], **changes) -> bool:
        """Into `state` where it is in one of `among`; False where it is not. No worker has a claim on it from then on."""
        values = {"state": state.value, "claim": "", "lease": None, **changes}
        if not state.is_open:
            values |= {"ended": utc(self.clock()), "step": Step.OVER.value}
        return self._change(upload_id, values, uploads_table.c.state.in_([one.value for one in among]))

    # -- for workers

    def has_work(self) -> bool:
        with self._reading() as connection:
            return connection.execute(sa.select(uploads_table.c.upload_id).where(_is_free(self.clock())).limit(1)).first() is not None

    def take(self, worker: str) -> Upload | None:
        """The oldest that nobody works on, claimed for `worker`; None where there is none."""
        if not self.has_work():
            return None
        columns, moment = uploads_table.c, self.clock()
        query = sa.select(uploads_table).where(_is_free(moment)).order_by(columns.began, columns.upload_id).limit(1).with_for_update(skip_locked=True)
        with self._writing() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            changes = {"state": UploadState.RUNNING.value, "claim": worker, "lease": utc(moment + LEASE), "attempts": row.attempts + 1}
            connection.execute(uploads_table.update().where(columns.upload_id == row.upload_id).values(**changes))
            return _upload(connection.execute(sa.select(uploads_table).where(columns.upload_id == row.upload_id)).first())

    def report(self, upload: Upload, worker: str, step: Step | None = None, **changes) -> None:
        """Go on with it. Raises ClaimLost."""
        values = {"lease": utc(self.clock() + LEASE), **changes}
        if step is not None:
            values |= {"step": step.value, "done": STEPS.index(step)}
        if not self._change(upload.upload_id, values, *_claimed(worker)):
            raise ClaimLost(upload.upload_id)

    def end(self, upload: Upload, worker: str, state: UploadState, findings: Sequence[Finding], *, offset: float | None = None) -> None:
        """Raises ClaimLost."""
        values = {"state": state.value, "findings": [one.plain() for one in findings], "offset_metres": offset, "claim": "", "lease": None}
        if not state.is_open:
            values |= {"ended": utc(self.clock()), "step": Step.OVER.value}
            if state is UploadState.PUBLISHED:
                values["done"] = len(STEPS) - 1
        if not self._change(upload.upload_id, values, *_claimed(worker)):
            raise ClaimLost(upload.upload_id)

    def hand_back(self, upload: Upload, worker: str) -> None:
        """For another worker: nothing is wrong with it. Raises ClaimLost."""
        values = {"state": UploadState.QUEUED.value, "claim": "", "lease": None}
        if not self._change(upload.upload_id, values, *_claimed(worker)):
            raise ClaimLost(upload.upload_id)

    def is_claimed(self, upload: Upload, worker: str) -> bool:
        now = self.get(upload.upload_id)
        return now.state is UploadState.RUNNING and now.claim == worker

    def _change(self, upload_id: str, values: Mapping, *where) -> bool:
        with self._writing() as connection:
            found = connection.execute(uploads_table.update().where(uploads_table.c.upload_id == upload_id, *where).values(**values))
            return found.rowcount > 0

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _told(), self.database.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with _told(), writing(self.database) as connection:
            yield connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise RegisterUnavailable("the overlays can't be read or written") from error


def _is_free(moment: datetime):
    columns = uploads_table.c
    return sa.or_(columns.state == UploadState.QUEUED.value, sa.and_(columns.state == UploadState.RUNNING.value, columns.lease < utc(moment)))


def _claimed(worker: str) -> tuple:
    return uploads_table.c.state == UploadState.RUNNING.value, uploads_table.c.claim == worker


def _row(upload: Upload) -> dict:
    return {
        "upload_id": upload.upload_id, "agency": upload.agency, "asker": dict(upload.asker), "wanted": dict(upload.wanted), "state": upload.state.value,
        "step": upload.step.value, "done": upload.done, "total": upload.total, "began": utc(upload.began), "ended": utc(upload.ended), "claim": upload.claim,
        "lease": None, "attempts": upload.attempts, "findings": [one.plain() for one in upload.findings], "offset_metres": upload.offset_metres,
        "decided": upload.decided,
    }


def _upload(row: sa.Row) -> Upload:
    return Upload(
        upload_id=row.upload_id, agency=row.agency, asker=row.asker, wanted=row.wanted, state=UploadState(row.state), step=Step(row.step), done=row.done,
        total=row.total, began=from_database(row.began), ended=from_database(row.ended), claim=row.claim, attempts=row.attempts,
        findings=tuple(Finding.of(one) for one in row.findings), offset_metres=row.offset_metres, decided=row.decided,
    )
