"""What people do with a submission: it is handed in, reviewed, approved by somebody else, returned, withdrawn. Each act is one transaction with the ledger
of contributions, so that neither ever says what the other does not."""

from collections.abc import Callable

from agreements.life.ledger import Check
from geoserver_app.contributions import ContributionInvalid
from geoserver_app.database import utc
from geoserver_app.giving.asking import SubmissionInvalid
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.giving.letters import contacts_of, write_letter
from geoserver_app.giving.submissions import WITHDRAWABLE, Move, Submission, SubmissionState, tidy
from geoserver_app.messages import CHINESE, ENGLISH, sentence
from geoserver_app.wiring import Services

LONGEST_FINDINGS = 2000


def hand_in(services: Services, book: SubmissionBook, one: Submission, *, size: int, sha256: str, actor: str, place: Callable[[], object]) -> None:
    """Its file is there: entered into the ledger, and queued for its check. `place` gives the file its name, once no other can come.

    Raises
    ------
    SubmissionInvalid, ContributionInvalid
        It is not waiting for a file, or no such period is owed any more.
    """
    with book.writing() as connection:
        values = {"bytes": size, "sha256": sha256, "received": utc(book.clock())}
        move = Move(state=SubmissionState.QUEUED, among=[SubmissionState.AWAITING], act="received", actor=actor, values=values)
        if not book.move(one.submission_id, move, connection):
            raise SubmissionInvalid("submission-state", state=book.get(one.submission_id).state)
        delivery = services.book.receive(
            one.agreement_id, one.dataset, by=one.made_by, due=one.due, happened=one.happened, edition=one.edition, sha256=sha256, file_name=one.file_name,
            actor=actor, connection=connection,
        )
        place()
        book.set(connection, one.submission_id, delivery_id=int(delivery.delivery_id), due=delivery.due)
        tell(services, connection, one, "letter-received")


def review(book: SubmissionBook, one: Submission, *, by: str, note: str) -> None:
    """Raises SubmissionInvalid."""
    if one.state is not SubmissionState.CHECKED:
        raise SubmissionInvalid("submission-state", state=one.state)
    if one.made_by == by:
        raise SubmissionInvalid("submission-same-person")
    if one.errors and not note.strip():
        raise SubmissionInvalid("submission-errors", "note", count=one.errors)
    values = {"reviewed_by": by}
    _must(book, one, Move(state=SubmissionState.REVIEWED, among=[SubmissionState.CHECKED], act="reviewed", actor=by, text=note.strip(), values=values))


def approve(book: SubmissionBook, one: Submission, *, by: str, note: str) -> None:
    """It is published next, by a worker. Raises SubmissionInvalid."""
    if one.state is not SubmissionState.REVIEWED:
        raise SubmissionInvalid("submission-state", state=one.state)
    if by in (one.reviewed_by, one.made_by):
        raise SubmissionInvalid("submission-same-person")
    values = {"approved_by": by, "attempts": 0}
    _must(book, one, Move(state=SubmissionState.PUBLISHING, among=[SubmissionState.REVIEWED], act="approved", actor=by, text=note.strip(), values=values))


def give_back(services: Services, book: SubmissionBook, one: Submission, *, by: str, reasons: str) -> None:
    """Returned with reasons; what was found stays, for whoever mends it. Raises SubmissionInvalid."""
    if not reasons.strip():
        raise SubmissionInvalid("submission-reasons", "reasons")
    among = [SubmissionState.CHECKED, SubmissionState.REVIEWED]
    if one.state not in among:
        raise SubmissionInvalid("submission-state", state=one.state)
    returned(services, book, one, among, by=by, reasons=reasons.strip())


def returned(
    services: Services, book: SubmissionBook, one: Submission, among: list[SubmissionState], *, by: str, reasons: str, act: str = "returned", claim: str = "",
) -> None:
    """Raises SubmissionInvalid; ClaimLost where it is a worker's with a `claim` on it."""
    with book.writing() as connection:
        if claim:
            book.check_claim(connection, one, claim)
        _must(book, one, Move(state=SubmissionState.RETURNED, among=among, act=act, actor=by, text=reasons, values={"reasons": reasons}), connection)
        _enter(services, connection, one, Check.RETURNED, by, findings=reasons[:LONGEST_FINDINGS])
        tell(services, connection, one, "letter-returned", reasons=reasons)
    tidy(services.settings, one.submission_id, SubmissionState.RETURNED)


def withdraw(services: Services, book: SubmissionBook, one: Submission, *, by: str) -> None:
    """By the agency: nothing of it is kept but that it was there. Raises SubmissionInvalid."""
    with book.writing() as connection:
        _must(book, one, Move(state=SubmissionState.WITHDRAWN, among=WITHDRAWABLE, act="withdrawn", actor=by), connection)
        if one.delivery_id is not None:
            _enter(services, connection, one, Check.RETURNED, by, findings=both("submission-withdrawn"))
    tidy(services.settings, one.submission_id, SubmissionState.WITHDRAWN)


def _must(book: SubmissionBook, one: Submission, move: Move, connection=None) -> None:
    if not book.move(one.submission_id, move, connection):
        raise SubmissionInvalid("submission-state", state=book.get(one.submission_id).state)


def _enter(services: Services, connection, one: Submission, result: Check, by: str, *, findings: str = "", features: int | None = None) -> None:
    """The result of the check of its delivery, unless somebody entered one before submissions were there."""
    try:
        services.book.check(str(one.delivery_id), result, findings, by, features=features, connection=connection)
    except ContributionInvalid as error:
        if error.code != "contribution-check-over":
            raise


def passed(services: Services, connection, one: Submission, by: str) -> None:
    _enter(services, connection, one, Check.PASSED, by, features=one.features)


def checking(services: Services, connection, one: Submission, features: int) -> None:
    _enter(services, connection, one, Check.PENDING, "", features=features)


def tell(services: Services, connection, one: Submission, code: str, **detail: object) -> None:
    """A letter to whom the agency named in its agreement."""
    versions = services.book.versions(one.agreement_id)
    facts = {"agreement": one.agreement_id, "dataset": one.dataset, "submission": one.submission_id, **detail}
    write_letter(
        connection, agency=one.agency, code=code, detail=facts, contacts=contacts_of(versions[-1], one.agency) if versions else (), at=services.gate.clock(),
    )


def both(code: str, **detail: object) -> str:
    """A sentence in both languages, for what is kept as text.

    >>> both("submission-withdrawn")
    '提交单位已撤回 / withdrawn by the agency that handed it in'
    """
    told = {name: str(value) for name, value in detail.items()}
    return " / ".join(sentence(code, told, language) for language in (CHINESE, ENGLISH))
