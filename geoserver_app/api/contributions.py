"""`/contributions`, `/deliveries`, `/notices`, and usage: what an agreement takes and what it gives back, period by period."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from agreements.life.ledger import Audience, Check, Delivery, Entry
from agreements.life.lifecycle import Role, state_at
from agreements.model import Agreement, State
from geoserver_app.api.agreements import versions_seen
from geoserver_app.api.faults import InConflict, NothingThere
from geoserver_app.api.operation import EVERYBODY, Answer, Visit, operation
from geoserver_app.api.reading import AgencyId, Moment, Sent, Told
from geoserver_app.clock import SHANGHAI
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.messages import sentence

RECEIVERS = frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER})

Text = Annotated[str, Field(max_length=2000)]
Dataset = Annotated[str, Field(min_length=1, max_length=200)]


class EntryTold(Told):
    """A period of a contribution, and where it stands. `deliveries` are told oldest first."""

    agreement: str
    agency: str
    dataset: str
    due: date
    last_day: date
    standing: str
    overdue_since: date | None
    on_time: bool | None
    findings: str
    deliveries: list[str]


class DeliveryTold(Told):
    delivery_id: str
    agreement: str
    dataset: str
    since: date | None
    due: date
    received: Moment
    by: str
    statement: str
    edition: str
    features: int | None
    sha256: str
    file_name: str
    check: str
    findings: str
    checked: Moment | None
    checked_by: str


class Entries(Told):
    items: list[EntryTold]


class Notices(Told):
    items: list[dict[str, Any]]


class UsageTold(Told):
    """One limit. km2 for ground, megapixels for pixels, else whole numbers."""

    name: str
    measure: str
    window: str
    limit: float
    used: float
    remaining: float
    resolution: float | None
    resets_at: Moment | None


class Usages(Told):
    """Empty for an agreement without a quota."""

    agreement: str
    version: int
    items: list[UsageTold]


class ContributionQuery(Sent):
    agency: AgencyId | None = None
    open: Annotated[bool, Field(description="Only what is overdue, returned, due, or due within a month.")] = False


class NoticeQuery(Sent):
    agreement: Annotated[str | None, Field(max_length=100)] = None


class DeliverySent(Sent):
    """A delivery of data; the data themselves come by the channel that was agreed. Without `due`, for the oldest open period."""

    dataset: Dataset
    by: Annotated[str, Field(max_length=200, description="Who hands it over; the asker unless given.")] = ""
    due: date | None = None
    since: Annotated[date | None, Field(description="Due day of the first period, where it answers for several.")] = None
    happened: Annotated[date | None, Field(description="Day of the event, for a contribution by event.")] = None
    edition: Annotated[str, Field(max_length=200)] = ""
    features: Annotated[int | None, Field(ge=0)] = None
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    file_name: Annotated[str, Field(max_length=200)] = ""


class StatementSent(Sent):
    """The agency's statement that nothing has changed."""

    dataset: Dataset
    statement: Annotated[str, Field(min_length=1, max_length=2000)]
    by: Annotated[str, Field(max_length=200)] = ""
    due: date | None = None
    since: date | None = None


class HappeningSent(Sent):
    dataset: Dataset
    day: date
    note: Text = ""


class CheckSent(Sent):
    result: Literal["pending", "passed", "returned"]
    findings: Text = ""


@operation(
    "contributions.list", "GET /contributions", "各协议应回馈的数据", "What is owed under all agreements", roles=EVERYBODY, query=ContributionQuery, answer=Entries,
)
def list_contributions(visit: Visit, query: ContributionQuery) -> dict:
    book = visit.services.book
    entries = [one for ledger in book.ledgers(book.agreements(visit.own_agency(query.agency))).values() for one in ledger]
    entries.sort(key=lambda one: (one.period.due, one.period.agreement_id, one.period.dataset))
    return {"items": [_entry(one) for one in entries if one.is_open or not query.open]}


@operation(
    "contributions.get", "GET /agreements/{agreement}/contributions", "一份协议应回馈的数据", "The ledger of an agreement", roles=EVERYBODY, answer=Entries,
)
def get_contributions(visit: Visit, agreement: str) -> dict:
    versions_seen(visit, agreement)
    return {"items": [_entry(one) for one in visit.services.book.ledger(agreement)]}


@operation(
    "contributions.receive", "POST /agreements/{agreement}/deliveries", "登记一次数据交付", "Enter a delivery of data", roles=RECEIVERS | {Role.MEMBER},
    body=DeliverySent, answer=DeliveryTold, status=201, refusals=(409,),
)
def receive(visit: Visit, agreement: str, body: DeliverySent) -> Answer:
    _check_gives(visit, agreement)
    delivery = visit.services.book.receive(
        agreement, body.dataset, by=body.by or visit.person.name, due=body.due, since=body.since, happened=body.happened, edition=body.edition,
        features=body.features, sha256=body.sha256, file_name=body.file_name, actor=visit.person.login,
    )
    return Answer(content=_delivery(delivery), object_id=delivery.delivery_id)


@operation(
    "contributions.state", "POST /agreements/{agreement}/statements", "登记无变化声明", "Enter a statement that nothing has changed",
    roles=RECEIVERS | {Role.MEMBER}, body=StatementSent, answer=DeliveryTold, status=201, refusals=(409,),
)
def state_no_change(visit: Visit, agreement: str, body: StatementSent) -> Answer:
    _check_gives(visit, agreement)
    delivery = visit.services.book.state_no_change(
        agreement, body.dataset, statement=body.statement, by=body.by or visit.person.name, due=body.due, since=body.since, actor=visit.person.login,
    )
    return Answer(content=_delivery(delivery), object_id=delivery.delivery_id)


@operation(
    "contributions.happen", "POST /agreements/{agreement}/happenings", "登记触发回馈的事件", "Note an event after which a contribution is due",
    roles=RECEIVERS, body=HappeningSent, status=204, refusals=(409,),
)
def happen(visit: Visit, agreement: str, body: HappeningSent) -> None:
    visit.services.book.happen(agreement, body.dataset, body.day, body.note, actor=visit.person.login)


@operation("deliveries.get", "GET /deliveries/{delivery}", "一次交付", "One delivery", roles=EVERYBODY, answer=DeliveryTold)
def get_delivery(visit: Visit, delivery: str) -> DeliveryTold:
    one = _delivery(visit.services.book.delivery(delivery))
    versions_seen(visit, one.agreement, delivery)
    return one


@operation(
    "deliveries.check", "POST /deliveries/{delivery}/checks", "登记质量检查结果", "Tell how far the quality check of a delivery is", roles=RECEIVERS,
    body=CheckSent, answer=DeliveryTold, refusals=(409,),
)
def check(visit: Visit, delivery: str, body: CheckSent) -> DeliveryTold:
    _check_is_alone(visit, delivery)
    return _delivery(visit.services.book.check(delivery, Check(body.result), body.findings, visit.person.login))


@operation("notices.list", "GET /notices", "已发出的提醒", "Notices that were given", roles=EVERYBODY, query=NoticeQuery, answer=Notices)
def list_notices(visit: Visit, query: NoticeQuery) -> dict:
    own = visit.own_agency(None)
    if query.agreement is not None:
        versions_seen(visit, query.agreement)
    given = visit.services.book.notices(query.agreement)
    return {"items": [one.as_json() for one in given if own is None or (one.grantee == own and one.audience is Audience.LIAISON)]}


@operation(
    "usage.get", "GET /agreements/{agreement}/usage", "配额的使用情况", "How each limit of an agreement's quota stands", roles=EVERYBODY, answer=Usages,
)
def get_usage(visit: Visit, agreement: str) -> Usages:
    one = _in_force(visit, versions_seen(visit, agreement))
    items = [
        UsageTold(
            name=limit.name, measure=limit.measure, window=limit.window, limit=limit.limit, used=limit.used, remaining=limit.remaining,
            resolution=limit.resolution, resets_at=limit.resets_at and datetime.fromtimestamp(limit.resets_at, SHANGHAI),
        ) for limit in visit.services.meter.usage(one, visit.at)
    ]
    return Usages(agreement=one.agreement_id, version=one.version, items=items)


def _in_force(visit: Visit, versions: list[Agreement]) -> Agreement:
    """The version that counts now; the newest where none does."""
    active = [one for one in versions if state_at(one, visit.at) is State.ACTIVE and (one.replaced is None or visit.at < one.replaced)]
    return (active or versions)[-1]


def _check_gives(visit: Visit, agreement_id: str) -> None:
    """A member gives for the agency that owes. Raises NothingThere."""
    newest = versions_seen(visit, agreement_id)[-1]
    if visit.person.is_member and newest.grantee != visit.person.agency:
        raise NothingThere(agreement_id)


def _check_is_alone(visit: Visit, delivery: str) -> None:
    """What was handed in as a file is decided by two people, there. Raises InConflict."""
    found = SubmissionBook(visit.services.database, visit.services.gate.clock).of_delivery(delivery)
    if found is not None and found.state.is_open:
        detail = {"delivery": delivery, "submission": found.submission_id}
        raise InConflict(sentence("submission-of-delivery", detail, visit.language), "submission-of-delivery")


def _entry(one: Entry) -> EntryTold:
    period = one.period
    return EntryTold(
        agreement=period.agreement_id, agency=period.grantee, dataset=period.dataset, due=period.due, last_day=period.last_day, standing=one.standing.value,
        overdue_since=one.overdue_since, on_time=one.is_on_time, findings=one.findings or "", deliveries=[delivery.delivery_id for delivery in one.deliveries],
    )


def _delivery(one: Delivery) -> DeliveryTold:
    return DeliveryTold(
        delivery_id=one.delivery_id, agreement=one.agreement_id, dataset=one.dataset, since=one.since, due=one.due, received=one.received, by=one.by,
        statement=one.statement, edition=one.edition, features=one.features, sha256=one.sha256, file_name=one.file_name, check=one.check.value,
        findings=one.findings, checked=one.checked, checked_by=one.checked_by,
    )
