"""`/audit`: the decision record, read, checked and exported. A member reads what was decided for his agency's keys, as it was told then."""

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from werkzeug.wsgi import FileWrapper

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import FieldFault, InputFaulty, NothingThere
from geoserver_app.api.operation import JSON, Answer, Visit, operation
from geoserver_app.api.reading import AgencyId, Moment, Page, PageQuery, Sent, Told, paged
from geoserver_app.audit.roots import DayRoot, prove
from geoserver_app.audit.sealing import check, own_rows, unsealed_days
from geoserver_app.audit.sql import connect, export
from geoserver_app.audit.store import AuditStore
from geoserver_app.clock import SHANGHAI
from geoserver_app.errors import NOT_SHARED, SILENT

AUDITORS = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})

USUAL_DAYS, MOST_DAYS, MOST_EXPORTED = 7, 31, 366
CHUNK = 1 << 20
EXPORTED_AS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "jsonl": "application/x-ndjson"}

Day = Annotated[date | None, Field(description="Asia/Shanghai.")]


class RecordsQuery(PageQuery):
    """Newest first. Without days, the last seven."""

    first: Day = None
    last: Day = None
    agency: AgencyId | None = None
    event: Annotated[str | None, Field(max_length=50)] = None
    operation: Annotated[str | None, Field(max_length=100)] = None
    effect: Literal["permit", "clip", "deny"] | None = None
    layer: Annotated[str | None, Field(max_length=100)] = None
    code: Annotated[str | None, Field(max_length=50, description="Of a reason, or of the record itself: `outside-area`.")] = None


class LayerRecorded(Told):
    """What was decided of one layer. Of one that was not shared a member is told what the refusal told him."""

    layer: str
    edition: str | None
    operation: str | None
    style: str | None
    format: str | None
    effect: str
    agreement: str | None
    version: int | None
    clause: str | None
    code: str | None


class RecordTold(Told):
    record: str
    at: Moment
    event: str
    agency: str | None
    key: str | None
    actor: str | None
    operation: str | None
    object: str | None
    outcome: str | None
    code: str | None
    layers: list[LayerRecorded]


class RootTold(Told):
    """What was sealed of a day. `agency_root` and `agency_rows` are the asker's own agency's; `findings` are told to the bureau."""

    day: date
    digest: str
    previous: str
    rows: int | None
    agency_root: str | None
    agency_rows: int | None
    findings: list[str] | None
    retired_to: str | None


class FindingTold(Told):
    kind: str
    place: str
    line: int | None
    sentence: str
    is_tampering: bool


class VerificationSent(Sent):
    """`day` alone; without it, the chain of seals and every day that is not sealed yet."""

    day: date | None = None


class Verified(Told):
    is_sound: bool
    findings: list[FindingTold]


class ExportQuery(Sent):
    first: date
    last: date
    agency: AgencyId | None = None
    form: Literal["csv", "parquet", "jsonl"] = "csv"


class OwnQuery(Sent):
    agency: Annotated[AgencyId, Field(description="Whose rows.")]
    part: Literal["rows", "proof"] = "rows"


@operation(
    "audit.records", "GET /audit/records", "查询判定记录", "The decision record, newest first", roles=AUDITORS | {Role.MEMBER}, query=RecordsQuery,
    answer=Page[RecordTold],
)
def list_records(visit: Visit, query: RecordsQuery) -> dict:
    records = records_of(visit, query, query.limit + 1)
    return {"items": records[:query.limit], "next": records[query.limit - 1].record if len(records) > query.limit else None}


def records_of(visit: Visit, query: RecordsQuery, most: int) -> list[RecordTold]:
    """At most so many of the records that are asked for, whatever the limit of a page. Raises InputFaulty."""
    last = query.last or visit.at.date()
    first = query.first or last - timedelta(days=USUAL_DAYS - 1)
    _check_days(first, last, MOST_DAYS)
    wanted, given = _conditions(visit, query)
    with connect(visit.services.settings.decisions, first=first, last=last) as connection:
        found = connection.execute(RECORDS.format(wanted=wanted), [*given, most])
        names = [column[0] for column in found.description]
        return [_record(visit, dict(zip(names, row, strict=True))) for row in found.fetchall()]


RECORDS = """
    SELECT id, epoch_us("at") AS moment, event, agency, key, actor, operation, object, outcome, code, layers FROM audit
    WHERE {wanted} ORDER BY "at" DESC, id DESC LIMIT ?
"""

AFTER = """("at" < (SELECT "at" FROM audit WHERE id = ?) OR ("at" = (SELECT "at" FROM audit WHERE id = ?) AND id < ?))"""


def _conditions(visit: Visit, query: RecordsQuery) -> tuple[str, list]:
    """Of SQL, with the values of its places: nothing that was sent is ever part of the text."""
    wanted, given = ["TRUE"], []
    for column, value in (("agency", visit.own_agency(query.agency)), ("event", query.event), ("operation", query.operation), ("effect", query.effect)):
        if value is not None:
            wanted.append(f"{column} = ?")
            given.append(value)
    if query.layer is not None:
        wanted.append("list_contains(list_transform(layers, lambda one: one.layer), ?)")
        given.append(query.layer)
    if query.code is not None:
        wanted.append(CODED if _tells(visit, query.code) else "code = ?")
        given += [query.code] * CODED.count("?") if _tells(visit, query.code) else [query.code]
    if query.after:
        wanted.append(AFTER)
        given += [query.after] * 3
    return " AND ".join(wanted), given


CODED = """(code = ? OR list_contains(flatten(list_transform(layers, lambda one: list_transform(one.reasons, lambda reason: reason[4]))), ?))"""


def _tells(visit: Visit, code: str) -> bool:
    """A member can't search for what a refusal does not tell him: it would tell a layer that exists from one that does not."""
    return not visit.person.is_member or code not in SILENT


def _record(visit: Visit, row: dict) -> RecordTold:
    layers = [_layer(visit, one, row["operation"]) for one in row["layers"] or ()]
    plain = {name: row[name] for name in ("event", "agency", "key", "operation", "object", "outcome", "code")}
    actor = row["actor"] if not visit.person.is_member or row["actor"] == visit.person.login else None
    at = datetime.fromtimestamp(row["moment"] / 1e6, SHANGHAI)
    return RecordTold(record=row["id"], at=at, actor=actor, layers=layers, **plain)


def _layer(visit: Visit, one: dict, operation: str | None) -> LayerRecorded:
    reasons = [tuple(reason) for reason in one["reasons"] or ()]
    if visit.person.is_member and one["effect"] == "deny":
        reasons = [reason for reason in reasons if reason[0] and reason[3] not in SILENT]
    is_hidden = visit.person.is_member and one["effect"] == "deny" and not reasons
    agreement, version, clause, code = reasons[0] if reasons else (None, None, None, NOT_SHARED)
    return LayerRecorded(
        layer=one["layer"], edition=None if is_hidden else one["edition"], operation=one["operation"] or operation,
        style=None if is_hidden else one["style"], format=one["format"], effect=one["effect"], agreement=agreement,
        version=None if version is None else int(version), clause=clause, code=code,
    )


@operation(
    "audit.roots", "GET /audit/roots", "每日封存的根", "What was sealed of every day", roles=AUDITORS | {Role.MEMBER}, query=PageQuery, answer=Page[RootTold],
)
def list_roots(visit: Visit, query: PageQuery) -> dict:
    return paged([_root(visit, root) for root in _store(visit).roots()], query, lambda one: one.day.isoformat())


def _root(visit: Visit, root: DayRoot) -> RootTold:
    is_member, own = visit.person.is_member, next((one for one in root.agencies if one.agency == visit.person.agency), None)
    return RootTold(
        day=root.day, digest=root.digest, previous=root.previous, rows=None if is_member else root.rows, agency_root=own and own.root,
        agency_rows=own and own.rows, findings=None if is_member else list(root.findings), retired_to=root.retired and root.retired.file,
    )


@operation(
    "audit.own", "GET /audit/days/{day}", "一个单位一天的全部记录及其证明", "All rows of one agency of one day that is sealed, or the proof that they are all",
    roles=AUDITORS | {Role.MEMBER}, query=OwnQuery, media_types=("application/x-ndjson", JSON),
)
def get_own_rows(visit: Visit, day: str, query: OwnQuery) -> Answer:
    visit.check_sees(query.agency, f"{day}/{query.agency}")
    root = next((one for one in _store(visit).roots() if one.day.isoformat() == day), None)
    if root is None or root.retired:
        raise NothingThere(day)
    try:
        proof = prove(root, query.agency)
    except LookupError:
        raise NothingThere(f"{day}/{query.agency}") from None
    if query.part == "proof":
        return Answer(content=proof.document(), file_name=f"{query.agency}-{day}.proof.json")
    rows = own_rows(visit.services.settings.decisions, root.day, query.agency)
    return Answer(content=rows, media_type="application/x-ndjson", file_name=f"{query.agency}-{day}.jsonl")


@operation(
    "audit.verify", "POST /audit/verifications", "核验判定记录是否被改动", "Whether anything of the record was altered", roles=AUDITORS, body=VerificationSent,
    answer=Verified,
)
def verify_record(visit: Visit, body: VerificationSent) -> Verified:
    store, folder = _store(visit), visit.services.settings.decisions
    history = {event.number: event.seal for event in visit.services.register.history()}
    days = [body.day] if body.day else unsealed_days(folder, store)
    found = check(folder, store, days=days, history=history, processes=1)
    told = [FindingTold(kind=one.kind.value, place=one.place, line=one.line, sentence=one.sentence, is_tampering=one.is_tampering) for one in found]
    return Verified(is_sound=not any(one.is_harmful for one in found), findings=told)


@operation(
    "audit.export", "GET /audit/export", "导出判定记录（CSV、Parquet、JSON Lines）", "Records in a file: a row for every layer of every record", roles=AUDITORS,
    query=ExportQuery, media_types=tuple(EXPORTED_AS.values()),
)
def export_records(visit: Visit, query: ExportQuery) -> Answer:
    _check_days(query.first, query.last, MOST_EXPORTED)
    with tempfile.TemporaryDirectory(prefix="geoshare-export-") as folder:
        path = Path(folder) / f"audit-{query.first}-{query.last}.{query.form}"
        export(visit.services.settings.decisions, path, query.form, first=query.first, last=query.last, agency=query.agency)
        file = path.open("rb")                  # goes on being readable; nothing is left of it once it is closed
    return Answer(
        content=FileWrapper(file, CHUNK), media_type=EXPORTED_AS[query.form], file_name=path.name, object_id=f"{query.first}..{query.last}",
    )


def _store(visit: Visit) -> AuditStore:
    return AuditStore(visit.services.database)


def _check_days(first: date, last: date, most: int) -> None:
    if not timedelta(0) <= last - first < timedelta(days=most):
        raise InputFaulty(FieldFault(parameter="first", code="field-days", detail={"most": str(most)}))
