"""`geoshare submission`: what agencies hand in, at the shell. Decisions are a person's: he says who he is, and his role counts as on the pages."""

import tempfile
from datetime import datetime
from pathlib import Path

import click

from geoserver_app.cli.acting import acting, as_option, stdin_option
from geoserver_app.cli.base import INVALID, InputInvalid, counted, json_option, noted, opened, table, tell
from geoserver_app.settings import Settings

day = click.DateTime(["%Y-%m-%d"])


@click.group()
def submission():
    """Data that agencies hand in: what waits, what was found, what is decided."""


@submission.command("list")
@click.option("--agency", help="Only those of this agency.")
@click.option("--state", help="Only those in this state: awaiting-file, queued, checking, checked, reviewed, publishing, accepted, returned, withdrawn.")
@json_option
@click.pass_obj
def submission_list(settings: Settings, agency, state, as_json):
    """All submissions, the newest first."""
    from geoserver_app.giving.submissions import SubmissionState

    try:
        states = [SubmissionState(state)] if state else []
    except ValueError:
        raise InputInvalid(f"`{state}` is not a state of a submission: use {', '.join(SubmissionState)}") from None
    rows = [
        [one.submission_id, one.agency, one.agreement_id, one.dataset, one.due, one.edition, one.state, one.errors, one.warnings, f"{one.made:%Y-%m-%d %H:%M}"]
        for one in _book(settings).list(agency, states)
    ]
    table(["submission", "agency", "agreement", "dataset", "due", "edition", "state", "errors", "warnings", "made"], rows, as_json)


@submission.command("show")
@click.argument("submission_id")
@json_option
@click.pass_obj
def submission_show(settings: Settings, submission_id, as_json):
    """One submission: what was said of it, what was found, and all that was done."""
    from geoserver_app.giving.report import read_report, told
    from geoserver_app.giving.submissions import report_folder

    book, one = _found(settings, submission_id)
    report = read_report(report_folder(settings, one.submission_id))
    rows = [
        ["agency", one.agency], ["agreement", one.agreement_id], ["dataset", one.dataset], ["due", one.due], ["edition", one.edition], ["state", one.state],
        ["file", one.file_name], ["bytes", one.bytes], ["sha256", one.sha256], ["features", one.features], ["reviewed by", one.reviewed_by],
        ["approved by", one.approved_by], ["reasons", one.reasons], ["terms", one.wanted.get("terms")], ["note", one.wanted.get("note")],
        *([f"finding {number}", sentence] for number, sentence in enumerate(told(report, "en") if report else (), start=1)),
        *([f"{act.at:%Y-%m-%d %H:%M} {act.act}", f"{act.actor} {act.text}".strip()] for act in book.acts(one.submission_id)),
    ]
    table(["what", "value"], rows, as_json)


@submission.command("check")
@click.argument("agreement_id")
@click.argument("dataset")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--until", type=day, help="Day up to which the data are true; default: today.")
@click.option("--crs", help="Of a file that states none.")
@click.option("--encoding", help="Of shapefile attributes.")
@click.option("--report", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write the report here.")
@click.pass_context
def submission_check(context, agreement_id, dataset, file, until, crs, encoding, folder):
    """Check a file as if it were handed in, and keep nothing. Exit code 3 where errors were found."""
    from geoserver_app.giving.report import write_report
    from geoserver_app.overlays.faults import OverlayInvalid
    from geoserver_app.wiring import wire

    settings: Settings = context.obj
    opened(settings)
    services = wire(settings)
    one = _imagined(services, agreement_id, dataset, file, until or datetime.now(), {"crs": crs, "encoding": encoding})
    try:
        checked = _looked_over(services, one, file)
    except OverlayInvalid as error:
        raise InputInvalid(error.finding.told("en")) from None
    for finding in checked.findings:
        click.echo(f"{finding.severity.value}: {finding.told('en')}")
    for difference in checked.differences:
        changes = ", ".join(f"{change.count} {name}" for name, change in difference.changes.items())
        click.echo(f"{difference.table}: {changes}")
    if folder is not None:
        from geoserver_app.giving.inspecting import head_of

        write_report(checked, head_of(services, one), folder)
        tell(f"report written to {folder}")
    tell(f"{counted(checked.features, 'feature')}, {counted(checked.errors, 'error')}, {counted(checked.warnings, 'warning')}")
    context.exit(INVALID if checked.errors else 0)


def _imagined(services, agreement_id: str, dataset: str, file: Path, until: datetime, wanted: dict):
    """A submission that nobody made."""
    from geoserver_app.giving.asking import SubmissionInvalid, file_kind, layer_for, owed
    from geoserver_app.giving.declared import declared_for
    from geoserver_app.giving.submissions import Submission, SubmissionState

    at = services.gate.clock()
    found = owed(services.book, agreement_id, dataset, None, None, at)
    snapshot, declared = services.catalogue.snapshot(), declared_for(services.settings.config, found.contribution)
    try:
        stem, suffix = file_kind(file.name)
        layer = layer_for(found.agency, "", declared, services.gate.standing().register.agencies, snapshot)
    except SubmissionInvalid as error:
        raise InputInvalid(error.told("en")) from None
    said = {"layer": layer, "edition": "check", "stem": stem, "suffix": suffix, "currency_to": until.date().isoformat(), **wanted}
    return Submission(
        submission_id="check", agreement_id=agreement_id, agency=found.agency, dataset=dataset, due=found.due, happened=None, wanted=said,
        state=SubmissionState.CHECKING, made=at, made_by="", file_name=file.name,
    )


def _looked_over(services, one, file: Path):
    import shutil

    from geoserver_app.giving.inspecting import looked_over

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{one.wanted['stem']}{one.wanted['suffix']}"
        shutil.copyfile(file, source)
        return looked_over(services, one, source, Path(folder))


@submission.command("review")
@click.argument("submission_id")
@click.option("--note", default="", help="Why, where it is taken in spite of errors.")
@as_option
@stdin_option
@click.pass_obj
def submission_review(settings: Settings, submission_id, note, login, from_stdin):
    """Say that it may be approved: an administrator or data manager."""
    from geoserver_app.giving.deciding import review

    _decide(settings, submission_id, login, from_stdin, "submissions.review", lambda services, book, one, by: review(book, one, by=by, note=note))


@submission.command("approve")
@click.argument("submission_id")
@click.option("--note", default="", help="What is to stand in its history.")
@as_option
@stdin_option
@click.pass_obj
def submission_approve(settings: Settings, submission_id, note, login, from_stdin):
    """Have it published: an approver, who is not the one that reviewed it."""
    from geoserver_app.giving.deciding import approve

    _decide(settings, submission_id, login, from_stdin, "submissions.approve", lambda services, book, one, by: approve(book, one, by=by, note=note))


@submission.command("return")
@click.argument("submission_id")
@click.option("--reasons", required=True, help="What has to be mended, as the agency reads it.")
@as_option
@stdin_option
@click.pass_obj
def submission_return(settings: Settings, submission_id, reasons, login, from_stdin):
    """Give it back, with reasons."""
    from geoserver_app.giving.deciding import give_back

    def doing(services, book, one, by):
        give_back(services, book, one, by=by, reasons=reasons)

    _decide(settings, submission_id, login, from_stdin, "submissions.return", doing)


@submission.command("letters")
@click.option("--all", "shows_all", is_flag=True, help="Also those that were sent.")
@json_option
@click.pass_obj
def submission_letters(settings: Settings, shows_all, as_json):
    """Letters on what is given back and on corrections; `geoshare tick` sends them where `smtp_url` is set."""
    from geoserver_app.giving.letters import letters

    found = letters(_book(settings).database, untaken=not shows_all)
    rows = [[one.letter_id, one.agency, ", ".join(one.recipients), f"{one.written:%Y-%m-%d %H:%M}", one.taken, one.told("en")] for one in found]
    table(["letter", "agency", "to", "written", "sent", "text"], rows, as_json)


def _decide(settings: Settings, submission_id: str, login: str, from_stdin: bool, operation: str, doing) -> None:
    from geoserver_app.api.resources import OPERATIONS
    from geoserver_app.giving.asking import SubmissionInvalid
    from geoserver_app.wiring import wire

    book, one = _found(settings, submission_id)
    actor = acting(settings, login, from_stdin)
    if not actor.roles & OPERATIONS[operation].roles:
        raise InputInvalid(f"`{actor.login}` may not do this: it takes one of {', '.join(sorted(OPERATIONS[operation].roles))}")
    try:
        doing(wire(settings), book, one, actor.login)
    except SubmissionInvalid as error:
        raise InputInvalid(error.told("en")) from None
    noted(settings, operation, submission_id, actor.login)
    click.echo(f"{submission_id} {book.get(submission_id).state}")


def _book(settings: Settings):
    from geoserver_app.clock import now
    from geoserver_app.database import connect
    from geoserver_app.giving.book import SubmissionBook

    opened(settings)
    return SubmissionBook(connect(settings.database_url), now)


def _found(settings: Settings, submission_id: str):
    from geoserver_app.giving.book import NoSuchSubmission

    book = _book(settings)
    try:
        return book, book.get(submission_id)
    except NoSuchSubmission:
        raise InputInvalid(f"there is no submission `{submission_id[:80]}`: see `geoshare submission list`") from None
