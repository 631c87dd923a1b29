"""`/submissions`: data that agencies give back - announced, sent, checked, reviewed, approved by somebody else, returned, withdrawn."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from agreements.errors import AgreementNotDefined
from agreements.life.lifecycle import Role
from geoserver_app.api.contributions import RECEIVERS
from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.operation import EVERYBODY, Answer, Visit, operation
from geoserver_app.api.packages import agency_of
from geoserver_app.api.reading import AgencyId, Moment, Sent, Told
from geoserver_app.giving.asking import SubmissionInvalid, check_classification, check_currency, edition_for, file_kind, layer_for, owed
from geoserver_app.giving.book import NoSuchSubmission, SubmissionBook
from geoserver_app.giving.deciding import approve, give_back, review, withdraw
from geoserver_app.giving.declared import declared_for
from geoserver_app.giving.report import PICTURES, read_report, told
from geoserver_app.giving.submissions import Submission, SubmissionState, report_folder
from geoserver_app.overlays.asking import ORIGINS
from geoserver_app.settings import CLASSIFICATIONS

MEMBERS = frozenset({Role.MEMBER})
APPROVERS = frozenset({Role.APPROVER})
MOST_OPEN = 10
"""Submissions of one agency that are not over."""

MOST_LISTED, MOST_KEYS = 200, 20
HTML, SVG = "text/html", "image/svg+xml"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"

Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(max_length=63, pattern=r"^([a-z][a-z0-9_-]*)?$")]


class SubmissionSent(Sent):
    """What is to be given back. `due` is the period (the oldest open one unless given), `happened` the day of the event where it is owed by event.

    `currency_to` is the day up to which the data are true. `terms` are the giver's own: they stand with the layer for whoever is granted it.
    """

    agreement: Annotated[str, Field(min_length=1, max_length=100)]
    dataset: Annotated[str, Field(min_length=1, max_length=200)]
    file: Annotated[str, Field(min_length=1, max_length=200, examples=["stations.gpkg"], description="Its name: the suffix says what kind it is.")]
    currency_to: date
    currency_from: date | None = None
    due: date | None = None
    happened: date | None = None
    replaces: Annotated[str, Field(max_length=40, description="A submission that was returned.")] = ""
    layer: Annotated[Name, Field(description="The layer is called `<agency>-<layer>`; as the dataset is declared unless given.")] = ""
    edition: Annotated[str, Field(max_length=31)] = ""
    title_zh: Annotated[str, Field(max_length=100)] = ""
    title_en: Annotated[str, Field(max_length=100)] = ""
    abstract: Annotated[str, Field(max_length=1000)] = ""
    attribution: Annotated[str, Field(max_length=200)] = ""
    terms: Annotated[str, Field(max_length=1000)] = ""
    classification: Literal[CLASSIFICATIONS] = "internal"
    crs: Annotated[str | None, Field(max_length=60, examples=["EPSG:4490"])] = None
    encoding: Annotated[str | None, Field(max_length=40)] = None
    coord_origin: Literal[ORIGINS] = "survey"
    note: Annotated[str, Field(max_length=1000)] = ""


class ActTold(Told):
    at: Moment
    act: str
    actor: str
    text: str


class SubmissionTold(Told):
    """`put` is where the file goes, by PUT. `errors` and `warnings` count kinds of findings."""

    submission: str
    agreement: str
    agency: str
    dataset: str
    due: date | None
    layer: str
    edition: str
    file: str
    bytes: int
    sha256: str
    state: SubmissionState
    step: str
    made: Moment
    received: Moment | None
    ended: Moment | None
    replaces: str
    features: int | None
    errors: int | None
    warnings: int | None
    reasons: str
    put: str


class GivenFinding(Told):
    """`keys` name some of the features that have it, by their key, or as `#7` by the number of the row."""

    code: str
    severity: Literal["error", "warning", "note"]
    count: int
    sentence: str
    keys: list[str]


class GivenChange(Told):
    """How many features of a table are other than in the edition that is in force: `moved` have another shape, `retold` other attributes."""

    table: str
    added: int
    removed: int
    moved: int
    retold: int
    kept: int


class SubmissionInFull(SubmissionTold):
    """With what was found, in the asker's language, what it changes, and all that was done."""

    terms: str
    note: str
    currency_to: date
    findings: list[GivenFinding]
    changes: list[GivenChange]
    acts: list[ActTold]


class Submissions(Told):
    items: list[SubmissionTold]


class SubmissionQuery(Sent):
    state: SubmissionState | None = None
    agency: AgencyId | None = None
    agreement: Annotated[str | None, Field(max_length=100)] = None


class ReportQuery(Sent):
    format: Literal["html", "json"] = "html"


class NoteSent(Sent):
    """`note` has to say why, where the check found errors."""

    note: Text = ""


class ReasonsSent(Sent):
    reasons: Text


# -- the agency

@operation(
    "submissions.list", "GET /submissions", "回馈数据的提交", "Submissions, the newest first", roles=EVERYBODY, by_key=True, query=SubmissionQuery,
    answer=Submissions,
)
def list_submissions(visit: Visit, query: SubmissionQuery) -> dict:
    agency = visit.caller.agency.agency_id if visit.caller else visit.own_agency(query.agency)
    found = book_of(visit).list(agency, [query.state] if query.state else (), query.agreement)
    return {"items": [submission_told(visit, one) for one in found[:MOST_LISTED]]}


@operation(
    "submissions.create", "POST /submissions", "申报一次数据提交（随后上传文件）", "Announce data that are given back; the file is sent next", roles=MEMBERS,
    by_key=True, body=SubmissionSent, answer=SubmissionTold, status=201, refusals=(409,),
)
def create(visit: Visit, body: SubmissionSent) -> Answer:
    agency, services, book = agency_of(visit), visit.services, book_of(visit)
    if book.open_count(agency) >= MOST_OPEN:
        raise conflict(visit, SubmissionInvalid("submission-waiting", count=book.open_count(agency), most=MOST_OPEN))
    before = _returned_one(visit, agency, body)
    _check_own(visit, agency, body.agreement)
    found = owed(services.book, body.agreement, body.dataset, body.due or (before.due if before else None), body.happened, visit.at)
    snapshot, until = services.catalogue.snapshot(), body.currency_to
    with telling():
        stem, suffix = file_kind(body.file)
        check_currency(body.currency_from, until, visit.at)
        declared = declared_for(services.settings.config, found.contribution)
        layer = layer_for(agency, body.layer, declared, services.gate.standing().register.agencies, snapshot)
        edition = edition_for(layer, body.edition, until, snapshot)
        check_classification(services.settings, body.classification, layer, snapshot)
    wanted = body.model_dump(mode="json", exclude_none=True, exclude={"agreement", "dataset", "due", "happened", "replaces"}) | {
        "layer": layer, "edition": edition, "stem": stem, "suffix": suffix,
        "title_zh": body.title_zh or declared.title_zh or body.dataset, "title_en": body.title_en or declared.title_en or body.dataset,
    }
    made = book.add(
        agreement_id=body.agreement, agency=agency, dataset=body.dataset, due=found.due, happened=body.happened, wanted=wanted, file_name=body.file,
        made_by=visit.person.login if visit.signed_in else f"key:{visit.caller.key_id}", replaces=before.submission_id if before else "",
    )
    return Answer(content=submission_told(visit, made), object_id=made.submission_id, noted={"overlay": made.edition, "agreement": body.agreement})


@operation("submissions.get", "GET /submissions/{submission}", "一次提交", "One submission", roles=EVERYBODY, by_key=True, answer=SubmissionInFull)
def get_submission(visit: Visit, submission: str) -> SubmissionInFull:
    return in_full(visit, seen(visit, submission))


@operation(
    "submissions.withdraw", "DELETE /submissions/{submission}", "撤回一次提交并删除其文件", "Withdraw a submission, and delete its files", roles=MEMBERS, by_key=True,
    answer=SubmissionInFull, refusals=(409,),
)
def withdraw_submission(visit: Visit, submission: str) -> SubmissionInFull:
    one = seen(visit, submission)
    with telling(visit):
        withdraw(visit.services, book_of(visit), one, by=_actor(visit))
    return in_full(visit, seen(visit, submission))


# -- what was found

@operation(
    "submissions.report", "GET /submissions/{submission}/report", "质检报告", "The report of the check", roles=EVERYBODY, by_key=True, query=ReportQuery,
    media_types=(HTML, "application/json"),
)
def get_report(visit: Visit, submission: str, query: ReportQuery) -> Answer:
    folder = report_folder(visit.services.settings, seen(visit, submission).submission_id)
    path = folder / f"report.{query.format}"
    if not path.is_file():
        raise NothingThere(submission)
    if query.format == "json":
        return Answer(content=path.read_text("utf-8"))
    return Answer(content=path.read_text("utf-8"), media_type=HTML, policy=POLICY)


@operation(
    "submissions.picture", "GET /submissions/{submission}/pictures/{picture}", "质检或差异图（SVG）", "Where the findings are, or what it changes, as a picture",
    roles=EVERYBODY, by_key=True, media_types=(SVG,),
)
def get_picture(visit: Visit, submission: str, picture: str) -> Answer:
    """`picture` is findings or difference."""
    path = report_folder(visit.services.settings, seen(visit, submission).submission_id) / f"{picture}.svg"
    if picture not in PICTURES or not path.is_file():
        raise NothingThere(f"{submission}/{picture}")
    return Answer(content=path.read_text("utf-8"), media_type=SVG, policy=POLICY)


# -- the bureau

@operation(
    "submissions.review", "POST /submissions/{submission}/review", "复核通过，转审批", "Review it: it goes to whoever approves", roles=RECEIVERS, body=NoteSent,
    answer=SubmissionInFull, refusals=(409,),
)
def review_submission(visit: Visit, submission: str, body: NoteSent) -> SubmissionInFull:
    one = seen(visit, submission)
    with telling(visit):
        review(book_of(visit), one, by=visit.person.login, note=body.note)
    return in_full(visit, seen(visit, submission))


@operation(
    "submissions.approve", "POST /submissions/{submission}/approval", "审批通过，发布为版本", "Approve it: it is published as an edition", roles=APPROVERS, body=NoteSent,
    answer=SubmissionInFull, refusals=(409,),
)
def approve_submission(visit: Visit, submission: str, body: NoteSent) -> SubmissionInFull:
    """By another person than who reviewed it."""
    one = seen(visit, submission)
    with telling(visit):
        approve(book_of(visit), one, by=visit.person.login, note=body.note)
    return in_full(visit, seen(visit, submission))


@operation(
    "submissions.return", "POST /submissions/{submission}/return", "退回并说明理由", "Return it, with reasons", roles=RECEIVERS | APPROVERS, body=ReasonsSent,
    answer=SubmissionInFull, refusals=(409,),
)
def return_submission(visit: Visit, submission: str, body: ReasonsSent) -> SubmissionInFull:
    one = seen(visit, submission)
    with telling(visit):
        give_back(visit.services, book_of(visit), one, by=visit.person.login, reasons=body.reasons)
    return in_full(visit, seen(visit, submission))


# -- shared with the pages and with the way of the file

def book_of(visit: Visit) -> SubmissionBook:
    return SubmissionBook(visit.services.database, visit.services.gate.clock)


def seen(visit: Visit, submission: str) -> Submission:
    """Raises NothingThere, for another agency's as for one that is none."""
    agency = agency_of(visit) if visit.caller or visit.person.is_member else None
    try:
        return book_of(visit).get(submission, agency)
    except NoSuchSubmission:
        raise NothingThere(submission) from None


def conflict(visit: Visit, error: SubmissionInvalid) -> InConflict:
    return InConflict(error.told(visit.language), error.code)


class telling:
    """Tells what is wrong: as a fault of its field, or, with a `visit`, as against what is there already."""

    def __init__(self, visit: Visit | None = None):
        self._visit = visit

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, _trace) -> None:
        if not isinstance(error, SubmissionInvalid):
            return
        if self._visit is not None and error.field in ("", "note"):
            raise conflict(self._visit, error) from None
        raise InputFaulty(FieldFault(pointer=f"/{error.field}", code=error.code, detail=error.detail)) from None


def _actor(visit: Visit) -> str:
    return visit.person.login if visit.signed_in else f"key:{visit.caller.key_id}"


def _check_own(visit: Visit, agency: str, agreement: str) -> None:
    """An agency gives under its own agreements: another's is answered like none. Raises NothingThere."""
    try:
        versions = visit.services.book.versions(agreement)
    except AgreementNotDefined:
        versions = ()
    if not versions or versions[-1].grantee != agency:
        raise NothingThere(agreement)


def _returned_one(visit: Visit, agency: str, body: SubmissionSent) -> Submission | None:
    """The submission in whose place this one is to be. Raises InputFaulty."""
    if not body.replaces:
        return None
    try:
        one = book_of(visit).get(body.replaces, agency)
    except NoSuchSubmission:
        one = None
    if one is None or one.state is not SubmissionState.RETURNED or (one.agreement_id, one.dataset) != (body.agreement, body.dataset):
        detail = {"submission": body.replaces}
        raise InputFaulty(FieldFault(pointer="/replaces", code="submission-other-dataset", detail=detail))
    return one


def submission_told(visit: Visit, one: Submission) -> SubmissionTold:
    return SubmissionTold(**_facts(visit, one))


def in_full(visit: Visit, one: Submission) -> SubmissionInFull:
    """An agency is told which part of the house did something, not who."""
    report = read_report(report_folder(visit.services.settings, one.submission_id))
    is_agency = visit.caller is not None or visit.person.is_member
    acts = [
        ActTold(at=act.at, act=act.act, actor="" if is_agency and act.act in INSIDE else act.actor, text="" if is_agency and act.act in INSIDE else act.text)
        for act in book_of(visit).acts(one.submission_id)
    ]
    return SubmissionInFull(
        **_facts(visit, one), terms=one.wanted.get("terms", ""), note=one.wanted.get("note", ""), currency_to=date.fromisoformat(one.wanted["currency_to"]),
        findings=[
            GivenFinding(code=found["code"], severity=found["severity"], count=found["count"], sentence=sentence, keys=found["keys"][:MOST_KEYS])
            for found, sentence in zip(report["findings"], told(report, visit.language), strict=True)
        ] if report else [],
        changes=[
            GivenChange(table=table["table"], **{name: change["count"] for name, change in table["changes"].items()}) for table in report["differences"]
        ] if report else [],
        acts=acts,
    )


INSIDE = ("reviewed", "approved", "not-published", "returned", "accepted")
"""Acts of the bureau: the agency is told that they were done; the reasons of a return stand in `reasons`."""


def _facts(visit: Visit, one: Submission) -> dict:
    address = f"{visit.services.settings.public_base_url}/submissions/{one.submission_id}/file"
    return {
        "submission": one.submission_id, "agreement": one.agreement_id, "agency": one.agency, "dataset": one.dataset, "due": one.due,
        "layer": one.wanted["layer"], "edition": one.wanted["edition"], "file": one.file_name, "bytes": one.bytes, "sha256": one.sha256, "state": one.state,
        "step": one.step, "made": one.made, "received": one.received, "ended": one.ended, "replaces": one.replaces, "features": one.features,
        "errors": one.errors, "warnings": one.warnings, "reasons": one.reasons, "put": address if one.state is SubmissionState.AWAITING else "",
    }

