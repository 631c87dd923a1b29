"""What waits to be done, for whom, until when: derived from the state of every agreement and the clock, and kept nowhere. Pure.

`LIFECYCLE` holds one function for each kind of task that follows from the life of an agreement. What else waits - contributions, boundaries that
were issued anew - comes from whoever knows of it, as `Task` values: `geoserver_app.tasks` puts all together.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from agreements.life.lifecycle import IN_PREPARATION, Action, Case, Deadlines, Role, certificates, is_unratified, signatures
from agreements.life.workdays import Due, WorkCalendar
from agreements.model import BUREAU, Agreement, State
from agreements.record import RenewalMode

SHANGHAI = ZoneInfo("Asia/Shanghai")

ENGLISH, CHINESE = "en", "zh"

OFFICE = frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`due` is the first moment that is too late; None where nothing presses. `assumed`: years in it whose working days are not announced."""

    kind: str
    agreement_id: str
    version: int | None = None
    due: datetime | None = None
    roles: frozenset[Role] = frozenset()         # of the bureau
    agencies: frozenset[str] = frozenset()       # whose members may do it as well
    zh: str
    en: str
    assumed: tuple[int, ...] = ()
    detail: Mapping = field(default_factory=dict, hash=False)

    def is_overdue(self, at: datetime) -> bool:
        return self.due is not None and at >= self.due

    def told(self, language: str) -> str:
        return self.zh if language == CHINESE else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What tasks depend on beside the agreements."""

    at: datetime
    calendar: WorkCalendar
    deadlines: Deadlines = Deadlines()
    is_published: Callable[[Agreement], bool] = lambda agreement: True       # whether all that it grants is in the catalogue


def open_tasks(cases: Iterable[Case], desk: Desk) -> tuple[Task, ...]:
    """Of the life of all agreements, the most pressing first."""
    by_id: dict[str, list[Case]] = {}
    for case in cases:
        by_id.setdefault(case.agreement.agreement_id, []).append(case)
    found = [task for versions in by_id.values() for case in versions for kind in LIFECYCLE for task in kind(case, versions, desk)]
    return in_order(found)


def in_order(tasks: Iterable[Task]) -> tuple[Task, ...]:
    return tuple(sorted(tasks, key=lambda task: (task.due is None, task.due or LAST, task.agreement_id, task.version or 0, task.kind)))


LAST = datetime.max.replace(tzinfo=SHANGHAI)

Kind = Callable[[Case, Sequence[Case], Desk], Iterable[Task]]
"""Tasks of one version; the second argument holds all versions of the agreement."""


def conformity_check(case: Case, _versions, desk: Desk) -> Iterable[Task]:
    submitted = case.last(Action.SUBMIT, Action.CHECK)
    if case.state is State.SUBMITTED and submitted.action == Action.SUBMIT:
        due = desk.calendar.due(submitted.at, desk.deadlines.conformity)
        yield _task("conformity-check", case, due, OFFICE | {Role.APPROVER})


def answer(case: Case, _versions, desk: Desk) -> Iterable[Task]:
    """Once it was checked; the days count from the submission."""
    submitted, last = case.last(Action.SUBMIT), case.last(Action.SUBMIT, Action.CHECK)
    if case.state is State.SUBMITTED and last.action == Action.CHECK:
        days = desk.deadlines.answer_published if desk.is_published(case.agreement) else desk.deadlines.answer
        yield _task("answer", case, desk.calendar.due(submitted.at, days), {Role.APPROVER})


def sign(case: Case, _versions, _desk: Desk) -> Iterable[Task]:
    if case.state is State.APPROVED:
        for party in sorted({case.agreement.grantor, case.agreement.grantee} - signatures(case.history).keys()):
            yield _task("sign", case, None, {Role.ADMINISTRATOR}, agencies={party} - {BUREAU}, party=party)


def activate(case: Case, _versions, _desk: Desk) -> Iterable[Task]:
    if case.state is State.SIGNED:
        yield _task("activate", case, case.agreement.term.start, {Role.ADMINISTRATOR})


def ratify(case: Case, _versions, desk: Desk) -> Iterable[Task]:
    """Also when the emergency is over: it stays flagged until somebody else has said that it was right."""
    if is_unratified(case.history):
        activated = case.last(Action.ACTIVATE_EMERGENCY)
        yield _task("ratify", case, desk.calendar.due(activated.at, desk.deadlines.ratify), {Role.APPROVER}, by=activated.actor)


def renew(case: Case, versions: Sequence[Case], desk: Desk) -> Iterable[Task]:
    """From `notice_days` before the end, until the next version is being prepared."""
    if is_to_renew(case, versions, desk.at):
        yield _task("renew", case, case.agreement.term.end, OFFICE, agencies={case.agreement.grantee} - {BUREAU}, until=_day(case.agreement.term.end))


def is_to_renew(case: Case, versions: Sequence[Case], at: datetime) -> bool:
    agreement, end = case.agreement, case.agreement.term.end
    if case.state not in (State.ACTIVE, State.SUSPENDED) or end is None or agreement.is_emergency:
        return False
    if agreement.record.renewal.mode is RenewalMode.NONE or at < end - timedelta(days=agreement.record.renewal.notice_days):
        return False
    newer = [one for one in versions if one.agreement.version > agreement.version]
    return not any(one.state in IN_PREPARATION or one.agreement.state is State.ACTIVE for one in newer)


def destruction(case: Case, versions: Sequence[Case], desk: Desk) -> Iterable[Task]:
    """Of the grantee at the end, where the agreement owes a certificate; of a contractor at the day the agreement names."""
    agreement, came = case.agreement, certificates(case.history)
    if case.state in IN_PREPARATION or case.state is State.ARCHIVED or any(
        one.agreement.version > agreement.version and one.state not in IN_PREPARATION for one in versions
    ):
        return
    if agreement.record.security.destruction_certificate and "" not in came and (ended := _ended(case)) is not None:
        yield _task("destruction", case, desk.calendar.due(ended, desk.deadlines.destruction), OFFICE, agencies={agreement.grantee} - {BUREAU})
    for contractor in agreement.record.use.contractors:
        if contractor.destroy_by is not None and contractor.name not in came and desk.at.astimezone(SHANGHAI).date() >= contractor.destroy_by:
            due = datetime.combine(contractor.destroy_by + timedelta(days=1), time(), SHANGHAI)
            yield _task("contractor-destruction", case, due, OFFICE, agencies={agreement.grantee} - {BUREAU}, of=contractor.name)


def _ended(case: Case) -> datetime | None:
    if case.state is State.EXPIRED:
        return case.agreement.term.end - timedelta(microseconds=1)             # of the last day
    terminated = case.last(Action.TERMINATE)
    return terminated.at if case.state is State.TERMINATED and terminated else None


LIFECYCLE: tuple[Kind, ...] = (conformity_check, answer, sign, activate, ratify, renew, destruction)


# Words

SENTENCES: dict[str, dict[str, str]] = {
    "conformity-check": {
        ENGLISH: "check that {agreement} conforms to what agreements must hold",
        CHINESE: "对{agreement}进行合规性审核",
    },
    "answer": {
        ENGLISH: "approve {agreement}, ask for changes, or refuse it with reasons",
        CHINESE: "答复{agreement}：批准、退回修改，或说明理由不予批准",
    },
    "sign": {
        ENGLISH: "have {agreement} signed by `{party}`, and note signatory and day",
        CHINESE: "由 `{party}` 签署{agreement}，并登记签署人和日期",
    },
    "activate": {
        ENGLISH: "put {agreement} in force: it is signed",
        CHINESE: "{agreement}已签署：请使其生效",
    },
    "ratify": {
        ENGLISH: "{agreement} was put in force by `{by}` alone in an emergency: another person must ratify it",
        CHINESE: "{agreement}由 `{by}` 一人应急启用：须由另一人追认",
    },
    "renew": {
        ENGLISH: "{agreement} ends with {until}: draft its renewal, or decide that it ends",
        CHINESE: "{agreement}将于 {until} 到期：请起草续签版本，或决定到期终止",
    },
    "destruction": {
        ENGLISH: "{agreement} has ended: ask for the certificate that the data were destroyed, and note it",
        CHINESE: "{agreement}已结束：请收取数据销毁证明并登记",
    },
    "contractor-destruction": {
        ENGLISH: "the contractor `{of}` under {agreement} had to destroy the data: ask for the certificate, and note it",
        CHINESE: "{agreement}项下的承包单位 `{of}` 应销毁数据：请收取销毁证明并登记",
    },
}


def _task(kind: str, case: Case, due: Due | datetime | None, roles, agencies: Iterable[str] = (), **said: str) -> Task:
    agreement = case.agreement
    words = {
        ENGLISH: f"agreement `{agreement.agreement_id}` (version {agreement.version})",
        CHINESE: f"协议 `{agreement.agreement_id}`（第 {agreement.version} 版）",
    }
    told = {language: SENTENCES[kind][language].format(agreement=words[language], **said) for language in words}
    return Task(
        kind=kind, agreement_id=agreement.agreement_id, version=agreement.version, due=due.moment if isinstance(due, Due) else due,
        roles=frozenset(roles), agencies=frozenset(agencies), zh=told[CHINESE], en=told[ENGLISH],
        assumed=due.assumed if isinstance(due, Due) else (), detail=said,
    )


def _day(end: datetime) -> str:
    """The last day before a moment."""
    return f"{(end.astimezone(SHANGHAI) - timedelta(microseconds=1)).date()}"
