"""Works on what was handed in, one after the other: opened and checked in a program of its own, told in a report; and, once approved, published.

A worker may die at any moment: its claim runs out, another begins that step again, and nobody sees anything that is half done.
"""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from agreements.errors import RegisterUnavailable
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.giving.accepting import accept
from geoserver_app.giving.asking import SubmissionInvalid
from geoserver_app.giving.book import LEASE, MOST_ATTEMPTS, ClaimLost, NoSuchSubmission, SubmissionBook
from geoserver_app.giving.deciding import both, checking, returned
from geoserver_app.giving.inspecting import inspected
from geoserver_app.giving.submissions import Move, Submission, SubmissionState, folder_of, tidy
from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.sandbox import Abandoned
from geoserver_app.wiring import Services
from layers.errors import CatalogueUnavailable, FeaturesUnavailable, IngestBusy, IngestFailed, LayersError

log = logging.getLogger(__name__)

LATER = (RegisterUnavailable, CatalogueUnavailable, DecisionLogUnavailable, FeaturesUnavailable, IngestBusy)
LOOK_SECONDS = 1.0
PROGRAM = "(system)"
"""Who acts, in the history, where no person does."""


@dataclass(slots=True)
class SubmissionWorker:
    services: Services
    book: SubmissionBook
    name: str = field(default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:12]}")
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *, look: float = LOOK_SECONDS) -> None:
        """Until told to stop."""
        self.sweep()
        while not self.stop.is_set():
            try:
                found = self.work()
            except LATER as error:
                log.warning("submissions wait: %s", error)
                found = False
            if not found:
                self.stop.wait(look)

    def work(self) -> bool:
        """One step of one submission; False where there is none."""
        one = self.book.take(self.name)
        if one is None:
            return False
        step = self._publish if one.state is SubmissionState.PUBLISHING else self._check
        with suppress(ClaimLost), self._heart(one):
            try:
                step(one)
            except (Abandoned, *LATER) as error:
                log.warning("submission %s waits: %s", one.submission_id, error)
                self.book.hand_back(one, self.name)
                self.stop.wait(LOOK_SECONDS)
        return True

    # -- the check

    def _check(self, one: Submission) -> None:
        if one.attempts > MOST_ATTEMPTS:
            self._refuse(one, both("submission-broke-off"))
            return
        try:
            checked = inspected(self.services, one, lambda step: self.book.report(one, self.name, step), self._is_wanted(one))
        except OverlayInvalid as error:
            fault = f"{error.finding.told('zh')} / {error.finding.told('en')}"
            self._refuse(one, both("submission-unreadable", fault=fault))
            return
        except (ClaimLost, Abandoned, *LATER):
            raise
        except Exception:
            log.exception("submission %s", one.submission_id)
            raise ClaimLost(one.submission_id) from None        # the lease runs out, and another worker tries, so many times
        with self.book.writing() as connection:
            self.book.check_claim(connection, one, self.name)
            values = {"features": checked.features, "errors": checked.errors, "warnings": checked.warnings, "step": "", "attempts": 0}
            move = Move(state=SubmissionState.CHECKED, among=[SubmissionState.CHECKING], act="checked", actor=PROGRAM, values=values)
            self.book.move(one.submission_id, move, connection)
            checking(self.services, connection, one, checked.features)
        self._note(one, "submission.checked", features=checked.features, errors=checked.errors, warnings=checked.warnings)

    def _is_wanted(self, one: Submission):
        return lambda: not self.stop.is_set() and self.book.is_claimed(one, self.name)

    def _refuse(self, one: Submission, reasons: str) -> None:
        """Nothing that a person could review came of it."""
        returned(self.services, self.book, one, [SubmissionState.CHECKING], by=PROGRAM, reasons=reasons, claim=self.name)
        self._note(one, "submission.returned")

    # -- publishing

    def _publish(self, one: Submission) -> None:
        try:
            if one.attempts > MOST_ATTEMPTS:
                raise SubmissionInvalid("submission-broke-off")
            paths = tuple(sorted((folder_of(self.services.settings, one.submission_id) / "clean").glob("*.gpkg")))
            if not paths:
                raise SubmissionInvalid("submission-no-file")
            accept(self.services, self.book, one, paths, self.name)
            tidy(self.services.settings, one.submission_id, SubmissionState.ACCEPTED)
        except SubmissionInvalid as error:
            self._put_back(one, f"{error.told('zh')} / {error.told('en')}")
        except IngestFailed as error:
            self._put_back(one, "; ".join(f"{each.fault}: {each.mend}" for each in error.rejected[:3]))
        except LATER:
            raise
        except LayersError as error:
            self._put_back(one, str(error)[:300])
        except ClaimLost:
            raise
        except Exception:
            log.exception("submission %s", one.submission_id)
            self._put_back(one, both("submission-broke-off"))

    def _put_back(self, one: Submission, fault: str) -> None:
        """It waits for its approval again; whoever approves reads why."""
        text = both("submission-not-published", fault=fault)
        with self.book.writing() as connection:
            self.book.check_claim(connection, one, self.name)
            values = {"approved_by": "", "attempts": 0}
            move = Move(
                state=SubmissionState.REVIEWED, among=[SubmissionState.PUBLISHING], act="not-published", actor=PROGRAM, text=text, values=values,
            )
            self.book.move(one.submission_id, move, connection)
        self._note(one, "submission.not-published")

    # -- within

    def sweep(self) -> None:
        """Delete files of what is over that a process left which died between the act and this."""
        root = self.services.settings.data / "giving"
        for folder in root.iterdir() if root.is_dir() else ():
            try:
                state = self.book.get(folder.name).state
            except NoSuchSubmission:
                continue
            if not state.is_open:
                tidy(self.services.settings, folder.name, state)

    def _note(self, one: Submission, event: str, **facts: object) -> None:
        self.services.log.write({
            "event": event, "agency": one.agency, "agreement": one.agreement_id, "object": one.submission_id, "overlay": one.edition, **facts,
        })

    @contextmanager
    def _heart(self, one: Submission) -> Iterator[None]:
        over = threading.Event()

        def beat() -> None:
            while not over.wait(LEASE.total_seconds() / 3):
                with suppress(RegisterUnavailable, ClaimLost):
                    self.book.report(one, self.name)

        heart = threading.Thread(target=beat, name="submission-claim", daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()
