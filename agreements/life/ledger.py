"""The reciprocity ledger: what a grantee owes back, period by period, where each stands, and who is to be told. Values alone; the clock is passed in.

A contribution with a cadence is due at `first_due` and once a cadence after, always counted from the first: 31 January, 28 February, 31 March.
One by event is due `grace_days` after the event. Days are of Asia/Shanghai; a due day lasts until its midnight, and so does the last day of
grace. Nothing in here, and nothing that reads it, takes anything from anybody: what follows from being late is told to people, who decide.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from agreements.model import Agreement
from agreements.record import Contact, Contribution, OnOverdue
from agreements.register import COUNTING

SHANGHAI = ZoneInfo("Asia/Shanghai")

DURATION = re.compile(r"P(?=\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,4})D)?")

LOOK_AHEAD = 31
"""Days: a period is in the ledger so long before its due day; of each contribution the next one always is."""

LONGEST_STATEMENT = 366
"""Days that one statement, or one delivery, may reach back: the practice is a statement at the end of a year."""


# Cadences

@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    months: int = 0
    days: int = 0

    def after(self, first: date, times: int) -> date:
        """The day `times` cadences after `first`; in a month that is too short, its last day.

        >>> [str(Cadence(months=1).after(date(2027, 1, 31), times)) for times in range(3)]
        ['2027-01-31', '2027-02-28', '2027-03-31']
        """
        year, month = divmod(first.year * 12 + first.month - 1 + self.months * times, 12)
        return date(year, month + 1, min(first.day, _days_in(year, month + 1))) + timedelta(days=self.days * times)


def cadence_of(text: str) -> Cadence:
    """An ISO 8601 duration of days or longer.

    >>> cadence_of("P3M"), cadence_of("P1Y6M")
    (Cadence(months=3, days=0), Cadence(months=18, days=0))

    Raises
    ------
    ValueError
        With a sentence.
    """
    match = DURATION.fullmatch(text)
    years, months, weeks, days = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    cadence = Cadence(months=years * 12 + months, days=weeks * 7 + days)
    if cadence == Cadence():
        raise ValueError(f"`{text[:40]}` is not a cadence: give an ISO 8601 duration of days or longer, such as P1M, P3M or P1Y")
    return cadence


def _days_in(year: int, month: int) -> int:
    return ((date(year + month // 12, month % 12 + 1, 1)) - timedelta(days=1)).day


# What is owed

@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event after which a contribution is due, such as a new boundary."""

    agreement_id: str
    dataset: str
    day: date
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One time that a contribution is owed. Agreement, dataset and due day name it."""

    agreement_id: str
    version: int
    grantee: str
    contribution: Contribution
    due: date
    happened: date | None = None             # of an event

    @property
    def dataset(self) -> str:
        return self.contribution.dataset

    @property
    def last_day(self) -> date:
        """With grace; that of an event is in its due day already."""
        return self.due if self.happened else self.due + timedelta(days=self.contribution.grace_days)

    @property
    def name(self) -> tuple[str, str, date]:
        return self.agreement_id, self.dataset, self.due


def periods(versions: Iterable[Agreement], happenings: Iterable[Happening], until: date) -> tuple[Period, ...]:
    """Everything one agreement owes with a due day up to `until`, and the next of each contribution after it; by due day, then dataset.

    `versions` are those of one agreement as they stand in the register. A version owes what falls due while it stands, its last day and the
    moment after it included: what was gathered in the last quarter is owed as well. Where an amendment keeps a contribution at its cadence, its
    due days stay.
    """
    found: dict[tuple, Period] = {}
    happenings = list(happenings)
    firsts: dict[tuple[str, str], date] = {}
    for agreement in sorted(versions, key=lambda one: one.version):
        window = _window(agreement)
        if agreement.state not in COUNTING or window is None:
            continue
        for contribution in agreement.record.contributions:
            for period in _periods(agreement, contribution, happenings, window, until, firsts):
                found[period.name] = period                         # the newest version's word
    return tuple(sorted(found.values(), key=lambda period: (period.due, period.dataset)))


def _window(agreement: Agreement) -> tuple[date, date] | None:
    """First and last due day of a version; None where it never stood."""
    start, end = agreement.term.start, min((moment for moment in (agreement.term.end, agreement.replaced) if moment), default=None)
    if start and end and end <= start:
        return None
    return _day(start) if start else date.min, _day(end) if end else date.max


def _periods(
    agreement: Agreement, contribution: Contribution, happenings: Sequence[Happening], window: tuple[date, date], until: date,
    firsts: dict[tuple[str, str], date],
) -> Iterator[Period]:
    begins, ends = window
    period = {"agreement_id": agreement.agreement_id, "version": agreement.version, "grantee": agreement.grantee, "contribution": contribution}
    if not contribution.cadence:
        for one in happenings:
            if one.agreement_id == agreement.agreement_id and one.dataset == contribution.dataset and begins <= one.day <= ends:
                yield Period(**period, due=one.day + timedelta(days=contribution.grace_days), happened=one.day)
        return
    cadence = cadence_of(contribution.cadence)
    first = contribution.first_due or firsts.get((contribution.dataset, contribution.cadence)) or _first_due(agreement, cadence)
    if first is None:
        return
    firsts[contribution.dataset, contribution.cadence] = first
    for due in _due_days(first, cadence, begins):
        if due > ends:
            return
        yield Period(**period, due=due)
        if due > until:
            return


def _first_due(agreement: Agreement, cadence: Cadence) -> date | None:
    """One cadence after the beginning; an agreement without beginning has to name its first day."""
    return cadence.after(_day(agreement.term.start), 1) if agreement.term.start else None


def _due_days(first: date, cadence: Cadence, begins: date) -> Iterator[date]:
    """Those not before `begins`, for ever."""
    times = 0
    while first.year < 2200:
        day = cadence.after(first, times)
        if day.year >= 2200:
            return
        if day >= begins:
            yield day
        times += 1


# What came

class Check(StrEnum):
    """Of a delivery: quality check by the bureau."""

    WAITING = "waiting"                      # not begun
    PENDING = "pending"
    PASSED = "passed"
    RETURNED = "returned"                    # with findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What was handed over for a period, or the statement that nothing has changed."""

    delivery_id: str
    agreement_id: str
    dataset: str
    due: date                                # of the last period that it is for
    received: datetime
    since: date | None = None                # due day of the first period that it is for; None: the same
    by: str = ""                             # who handed it over
    statement: str = ""                      # the text that nothing has changed; "" is a delivery of data
    edition: str = ""                        # the version of the dataset, as its maker numbers it
    features: int | None = None
    sha256: str = ""
    file_name: str = ""
    check: Check = Check.WAITING
    findings: str = ""
    checked: datetime | None = None
    checked_by: str = ""

    def is_for(self, period: Period) -> bool:
        return (
            self.agreement_id == period.agreement_id and self.dataset == period.dataset and (self.since or self.due) <= period.due <= self.due
            and (not self.statement or period.contribution.no_change_statement)
        )


class Standing(StrEnum):
    """Where a period stands."""

    AWAITED = "awaited"                      # its day is still to come
    DUE = "due"                              # its day is here, or it has grace
    OVERDUE = "overdue"
    RECEIVED = "received"
    IN_CHECK = "in-check"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    NO_CHANGE = "no-change"


OPEN = frozenset({Standing.AWAITED, Standing.DUE, Standing.OVERDUE, Standing.RETURNED})
"""It is for the agency to do something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the ledger."""

    period: Period
    standing: Standing
    deliveries: tuple[Delivery, ...] = ()    # by when they came
    settled: Delivery | None = None          # the one that counts
    overdue_since: date | None = None        # the first day without it; None where it is not, or came in time
    is_on_time: bool | None = None           # None: not to be said yet

    @property
    def is_open(self) -> bool:
        return self.standing in OPEN

    @property
    def findings(self) -> str:
        """Why the last delivery was returned."""
        return self.deliveries[-1].findings if self.standing is Standing.RETURNED else ""


def entry_of(period: Period, deliveries: Iterable[Delivery], at: datetime) -> Entry:
    """Where a period stands at a moment. The order of `deliveries` never matters; one that passed its check counts whatever came after it."""
    came = tuple(sorted((one for one in deliveries if one.is_for(period) and one.received <= at), key=lambda one: (one.received, one.delivery_id)))
    settled = next((one for one in came if one.check is Check.PASSED), None)
    settled = settled or next((one for one in reversed(came) if one.check is not Check.RETURNED), None)
    today, is_late = _day(at), _day(at) > period.last_day
    if settled:
        is_on_time = _day(settled.received) <= _deadline(period, settled)
        return Entry(period=period, standing=_standing_of(settled), deliveries=came, settled=settled, is_on_time=is_on_time)
    if came:
        standing = Standing.RETURNED
    elif is_late:
        standing = Standing.OVERDUE
    else:
        standing = Standing.AWAITED if today < period.due else Standing.DUE
    return Entry(
        period=period, standing=standing, deliveries=came, overdue_since=period.last_day + timedelta(days=1) if is_late else None,
        is_on_time=False if is_late else None,
    )


def _deadline(period: Period, settled: Delivery) -> date:
    """Data is due period by period. A statement that nothing has changed may come with the last of the periods that it is for."""
    return settled.due + (period.last_day - period.due) if settled.statement else period.last_day


def _standing_of(settled: Delivery) -> Standing:
    if settled.statement:
        return Standing.NO_CHANGE
    return {Check.WAITING: Standing.RECEIVED, Check.PENDING: Standing.IN_CHECK, Check.PASSED: Standing.ACCEPTED}[settled.check]


def ledger(
    versions: Iterable[Agreement], deliveries: Iterable[Delivery], happenings: Iterable[Happening], at: datetime, *, begins: date = date.min,
    ahead: int = LOOK_AHEAD,
) -> tuple[Entry, ...]:
    """The ledger of one agreement at a moment: all that has fallen due, what will within `ahead` days, and the next of each contribution.

    Of what was to come before `begins`, the day on which the agreement came into force here, only that is in it for which something came: nobody
    here can say what was handed over before.
    """
    deliveries = list(deliveries)
    entries = (entry_of(period, deliveries, at) for period in periods(versions, happenings, _day(at) + timedelta(days=ahead)))
    return tuple(entry for entry in entries if entry.period.last_day >= begins or entry.deliveries)


# Who is told

class Audience(StrEnum):
    LIAISON = "liaison"
    GROUP = "group"                          # the coordination group


@dataclass(frozen=True, slots=True)
class Stage:
    """When somebody is told: days after the due day (before it where negative), or after the last day of grace."""

    days: int
    audience: Audience
    after_grace: bool

    def day(self, period: Period) -> date:
        return (period.last_day if self.after_grace else period.due) + timedelta(days=self.days)


STAGES = (
    Stage(-7, Audience.LIAISON, False), Stage(0, Audience.LIAISON, False), Stage(7, Audience.LIAISON, True), Stage(30, Audience.GROUP, True),
)

STAGES_OF: Mapping[OnOverdue, frozenset[int]] = {
    OnOverdue.NONE: frozenset({-7, 0}),
    OnOverdue.REMIND: frozenset({-7, 0, 7}),
    OnOverdue.ESCALATE: frozenset({-7, 0, 7, 30}),
    OnOverdue.REDUCE_QUOTA: frozenset({-7, 0, 7, 30}),
}
"""Days of the stages that a contribution has."""

NoticeName = tuple[str, str, date, int]
"""Agreement, dataset, due day, days of the stage: a notice of one name is given once, ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """That a contribution is due or late, for people. `is_overtaken`: a later one is given along with it, so that it only goes into the book."""

    entry: Entry
    stage: Stage
    contacts: tuple[Contact, ...]
    group: str = ""                          # name of the coordination group, where it is for the group
    proposal: OnOverdue | None = None        # what the group is asked to decide on
    is_overtaken: bool = field(default=False)

    @property
    def name(self) -> NoticeName:
        return *self.entry.period.name, self.stage.days

    @property
    def owed_since(self) -> date:
        return self.stage.day(self.entry.period)


def notices_owed(
    entries: Iterable[Entry], versions: Mapping[int, Agreement], given: Collection[NoticeName], at: datetime, registered: date,
) -> tuple[Notice, ...]:
    """The notices of one agreement that are owed now and were not given before.

    Of several that one person would get about one period, such as after a week in which nobody asked, the last is given and the others count as
    overtaken. Stages whose day lay before `registered`, the day on which the agreement came into the register, or before the event, are nobody's.
    """
    today, owed = _day(at), []
    for entry in entries:
        if not entry.is_open:
            continue
        agreement, period = versions[entry.period.version], entry.period
        wanted = STAGES_OF[period.contribution.on_overdue]
        earliest = max(registered, period.happened or registered)
        stages = [one for one in STAGES if one.days in wanted and earliest <= one.day(period) <= today]
        fresh = [one for one in stages if (*period.name, one.days) not in given]
        for stage in fresh:
            is_overtaken = any(other.audience is stage.audience and other.day(period) > stage.day(period) for other in stages)
            owed.append(_notice(agreement, entry, stage, is_overtaken))
    return tuple(owed)


def _notice(agreement: Agreement, entry: Entry, stage: Stage, is_overtaken: bool) -> Notice:
    if stage.audience is Audience.LIAISON:
        return Notice(entry=entry, stage=stage, contacts=liaison(agreement, agreement.grantee), is_overtaken=is_overtaken)
    is_proposed = entry.period.contribution.on_overdue is OnOverdue.REDUCE_QUOTA
    return Notice(
        entry=entry, stage=stage, contacts=liaison(agreement, agreement.grantor), group=agreement.record.coordination.group,
        proposal=OnOverdue.REDUCE_QUOTA if is_proposed else None, is_overtaken=is_overtaken,
    )


LIAISON_DUTY = re.compile(r"联络|联系|liaison", re.IGNORECASE)


def liaison(agreement: Agreement, agency: str) -> tuple[Contact, ...]:
    """The contacts of a party whose duty it is; where none is named so, all of them."""
    contacts = tuple(contact for party in agreement.record.parties if party.agency == agency for contact in party.contacts)
    return tuple(contact for contact in contacts if LIAISON_DUTY.search(contact.duty)) or contacts


# Figures

@dataclass(frozen=True, slots=True)
class OnTime:
    """Of the periods whose last day lay in a span of days: how many were served in time."""

    on_time: int
    decided: int

    @property
    def rate(self) -> float | None:
        return self.on_time / self.decided if self.decided else None


def on_time(entries: Iterable[Entry], first: date, last: date) -> OnTime:
    """Over periods whose last day is from `first` to `last`, both included; those of which it can't be said yet count for nothing."""
    told = [entry.is_on_time for entry in entries if first <= entry.period.last_day <= last and entry.is_on_time is not None]
    return OnTime(sum(told), len(told))


def _day(moment: datetime) -> date:
    return moment.astimezone(SHANGHAI).date()

