"""`geoshare tick`: what the clock does by itself, in one round. Each step can be done again at any time and then finds nothing left to do.

A step that fails is told and keeps no other from its work. Nothing here widens what anybody may see: what has ended is put down as ended, days
that are over are sealed, renewals are drafted, notices are given. Decisions never wait for a round: they go by the clock themselves.
"""

import fcntl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from agreements.document.writing import write_document
from agreements.errors import AgreementsError, MoveRefused
from agreements.life.lifecycle import SYSTEM, Action, Case, allowed_moves
from agreements.life.renewal import renewed
from agreements.life.tasks import is_to_renew
from agreements.record import RenewalMode
from agreements.register import AgreementRegister
from geoserver_app.audit.sealing import seal_days
from geoserver_app.audit.store import AuditStore
from geoserver_app.contributions import ContributionBook
from geoserver_app.contributions.mailing import mail_notices
from geoserver_app.corrections.book import CorrectionBook
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.giving.book import SubmissionBook, withdraw_forgotten
from geoserver_app.giving.letters import mail_letters
from geoserver_app.mail_server import MailServer
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.packages.jobs import PackageBook
from geoserver_app.packages.keeping import expire
from geoserver_app.settings import Settings
from geoserver_app.tasks import calendar
from geoserver_app.wiring import meter_of

LOCK = "tick.lock"


class RoundUnderWay(Exception):
    """Another process is on its round."""

    def __init__(self):
        super().__init__("another `geoshare tick` is under way: it does this one's work")


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """What a round sees to."""

    settings: Settings
    database: sa.Engine
    register: AgreementRegister
    book: ContributionBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`run` does it and yields a sentence for each thing it did; what it raises of `FAULTS` is told as a fault."""

    name: str
    run: Callable[[Premises, datetime], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    step: str
    done: tuple[str, ...] = ()
    fault: str = ""


class Alarm(Exception):
    """Something that people must look at; one sentence."""


FAULTS = (AgreementsError, DecisionLogUnavailable, MeteringUnavailable, Alarm, ValueError, OSError, sa.exc.SQLAlchemyError)


def tick(premises: Premises, at: datetime) -> tuple[Outcome, ...]:
    """One round at moment `at`.

    Raises
    ------
    RoundUnderWay
        Another process is on its round: nothing was done.
    """
    with _alone(premises.settings.data / LOCK):
        return tuple(_outcome(step, premises, at) for step in STEPS)


def _outcome(step: Step, premises: Premises, at: datetime) -> Outcome:
    done = []
    try:
        for sentence in step.run(premises, at):
            done.append(sentence)
    except FAULTS as error:
        return Outcome(step=step.name, done=tuple(done), fault=" ".join(str(error).split()) or type(error).__name__)
    return Outcome(step=step.name, done=tuple(done))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The lock goes with the process, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RoundUnderWay from None
        yield


# Steps

def check_history(premises: Premises, _at: datetime) -> Iterable[str]:
    """Is every row of the register as its last event left it?"""
    faults = premises.register.faults()
    if faults:
        raise Alarm(f"the register was altered by hand: {'; '.join(faults[:20])}")
    return ()


def note_ends(premises: Premises, at: datetime) -> Iterator[str]:
    """That an agreement is over is decided by its term, to the millisecond; here it is put into the history."""
    for case in premises.register.cases():
        if _may(case, Action.EXPIRE):
            agreement = case.agreement
            try:
                premises.register.move(agreement.agreement_id, agreement.version, Action.EXPIRE, SYSTEM, detail={"ended": agreement.term.end.isoformat()})
            except MoveRefused:
                continue                                   # somebody ended it in another way meanwhile
            yield f"{agreement.agreement_id} version {agreement.version} expired"


def draft_renewals(premises: Premises, at: datetime) -> Iterator[str]:
    """Of agreements that renew themselves, once: a draft that was withdrawn is not drafted again."""
    versions: dict[str, list[Case]] = {}
    for case in premises.register.cases():
        versions.setdefault(case.agreement.agreement_id, []).append(case)
    for cases in versions.values():
        newest = cases[-1]
        if newest.agreement.record.renewal.mode is RenewalMode.AUTO and is_to_renew(newest, cases, at):
            held = premises.register.registered(newest.agreement.agreement_id, newest.agreement.version)
            draft = renewed(held, held.version + 1)
            premises.register.add_draft(draft, write_document(draft), SYSTEM)
            yield f"{draft.agreement_id} version {draft.version} drafted: from {draft.term.start:%Y-%m-%d} on"


def seal_audit(premises: Premises, at: datetime) -> Iterator[str]:
    """Days that are over get their roots."""
    last = premises.register.history()[-1:]
    head = (last[0].number, last[0].seal) if last else None
    for root in seal_days(premises.settings.decisions, AuditStore(premises.database), at, register=head):
        yield f"{root.day} sealed: {root.digest}"
        if root.findings:
            raise Alarm(f"{root.day} was sealed with {len(root.findings)} findings: see `geoshare audit verify`")


def see_to_corrections(premises: Premises, at: datetime) -> Iterator[str]:
    """What has an outcome that nobody spoke against is closed; the bureau is reminded of what is late."""
    settings = premises.settings
    book = CorrectionBook(premises.database, premises.register, lambda: at, calendar(settings.config), settings.correction_days)
    for ticket in book.close_silent():
        yield f"correction {ticket.correction_id} closed: nothing was said against its outcome"
    for ticket in book.remind():
        yield f"correction {ticket.correction_id} is late: the bureau is reminded"


def give_notices(premises: Premises, at: datetime) -> Iterator[str]:
    """Reminders of contributions; by mail where a server is set."""
    given = premises.book.give_notices(at)
    if given:
        yield f"{len(given)} notice{'s' if len(given) != 1 else ''} given: see `geoshare notices`"
    settings = premises.settings
    if settings.smtp_url and (sender := settings.smtp_sender or settings.contact_email):
        sent = mail_notices(premises.book, MailServer.parse(settings.smtp_url), sender, settings.public_base_url)
        if sent:
            yield f"{sent} notice{'s' if sent != 1 else ''} sent"
        sent = mail_letters(premises.database, MailServer.parse(settings.smtp_url), sender, settings.public_base_url, at)
        if sent:
            yield f"{sent} letter{'s' if sent != 1 else ''} sent"


def withdraw_submissions(premises: Premises, at: datetime) -> Iterator[str]:
    """What was announced and never sent does not count against its agency for ever."""
    return withdraw_forgotten(premises.settings, SubmissionBook(premises.database, lambda: at), at)


def expire_packages(premises: Premises, at: datetime) -> Iterator[str]:
    """Files of packages are kept for so many days, and no longer."""
    return expire(premises.settings, PackageBook(premises.database, lambda: at), meter_of(premises.settings, premises.database), at)


def _may(case: Case, action: Action) -> bool:
    return any(move.action is action for move in allowed_moves(case, SYSTEM))


STEPS: tuple[Step, ...] = (
    Step(name="history", run=check_history),
    Step(name="ends", run=note_ends),
    Step(name="renewals", run=draft_renewals),
    Step(name="audit", run=seal_audit),
    Step(name="corrections", run=see_to_corrections),
    Step(name="notices", run=give_notices),
    Step(name="submissions", run=withdraw_submissions),
    Step(name="packages", run=expire_packages),
)
"""In this order. A further step is a function of premises and moment, and a line here."""
