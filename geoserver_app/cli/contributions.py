"""`geoshare contribution` and `geoshare notices`."""

import json
from datetime import datetime
from pathlib import Path

import click

from agreements.life.ledger import Check, Entry
from geoserver_app.cli.base import InputInvalid, counted, json_option, opened, table, tell
from geoserver_app.clock import now
from geoserver_app.messages import ENGLISH, sentence
from geoserver_app.settings import Settings

OPERATOR = "operator"
"""Who acts at the shell of the machine, in records."""

day = click.DateTime(["%Y-%m-%d"])


def open_book(settings: Settings):
    """The book of contributions over the register of this instance."""
    from geoserver_app.audit.store import anchored_log
    from geoserver_app.contributions import ContributionBook
    from geoserver_app.database import connect

    _, register = opened(settings)
    database = connect(settings.database_url)
    return ContributionBook(database, register, anchored_log(settings, database))


@click.group()
def contribution():
    """What agencies give back: what is due, what came, how it was checked."""


agreement_argument = click.argument("agreement_id")
dataset_argument = click.argument("dataset")
due_option = click.option("--due", type=day, help="Due day of the period; default: the oldest open one.")
since_option = click.option("--since", type=day, help="Due day of the first period, where it answers for several.")
by_option = click.option("--by", required=True, help="Who hands it over.")


@contribution.command("list")
@click.option("--agreement", "agreement_id", help="Only of this agreement.")
@click.option("--agency", help="Only of agreements to which this agency is a party.")
@json_option
@click.pass_obj
def contribution_list(settings: Settings, agreement_id, agency, as_json):
    """The ledger: every period of every contribution, and where it stands."""
    _show(_entries(open_book(settings), agreement_id, agency), as_json)


@contribution.command("due")
@click.option("--agreement", "agreement_id", help="Only of this agreement.")
@click.option("--agency", help="Only of agreements to which this agency is a party.")
@json_option
@click.pass_obj
def contribution_due(settings: Settings, agreement_id, agency, as_json):
    """What is open: overdue, returned, due, and what falls due within a month."""
    _show([entry for entry in _entries(open_book(settings), agreement_id, agency) if entry.is_open], as_json)


def _entries(book, agreement_id, agency) -> list[Entry]:
    held = {agreement_id: book.versions(agreement_id)} if agreement_id else book.agreements(agency)
    return [entry for entries in book.ledgers(held).values() for entry in entries]


def _show(entries: list[Entry], as_json: bool) -> None:
    rows = [
        [e.period.agreement_id, e.period.grantee, e.period.dataset, e.period.due, e.period.last_day, e.standing.value, e.overdue_since, e.is_on_time,
         e.deliveries[-1].delivery_id if e.deliveries else None, e.findings or None]
        for e in sorted(entries, key=lambda one: (one.period.due, one.period.agreement_id, one.period.dataset))
    ]
    headings = ["agreement", "agency", "dataset", "due", "last_day", "standing", "overdue_since", "on_time", "delivery", "findings"]
    table(headings, rows, as_json)


@contribution.command("receive")
@agreement_argument
@dataset_argument
@by_option
@click.option("--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The file: its checksum and features are kept, not it.")
@due_option
@since_option
@click.option("--happened", type=day, help="Day of the event, for a contribution by event.")
@click.option("--edition", default="", help="The version of the dataset, as its maker numbers it.")
@click.option("--features", type=click.IntRange(min=0), help="How many features, where the file does not tell.")
@click.pass_obj
def contribution_receive(settings: Settings, agreement_id, dataset, by, path, due, since, happened, edition, features):
    """Enter a delivery of data."""
    from geoserver_app.contributions import file_facts

    facts = file_facts(path) if path else {"file_name": "", "sha256": "", "features": None}
    if features is not None:
        facts["features"] = features
    delivery = open_book(settings).receive(
        agreement_id, dataset, by=by, due=_date(due), since=_date(since), happened=_date(happened), edition=edition, actor=OPERATOR, **facts,
    )
    click.echo(f"delivery {delivery.delivery_id}: {dataset}, due {delivery.due}, waits for its check")


@contribution.command("state-no-change")
@agreement_argument
@dataset_argument
@by_option
@click.option("--statement", required=True, help="What has not changed, and since when, in the agency's words.")
@due_option
@since_option
@click.pass_obj
def contribution_state_no_change(settings: Settings, agreement_id, dataset, by, statement, due, since):
    """Enter an agency's statement that nothing has changed."""
    delivery = open_book(settings).state_no_change(
        agreement_id, dataset, statement=statement, by=by, due=_date(due), since=_date(since), actor=OPERATOR,
    )
    click.echo(f"delivery {delivery.delivery_id}: {dataset}, no change from {delivery.since} to {delivery.due}")


@contribution.command("happen")
@agreement_argument
@dataset_argument
@click.option("--day", "happened", type=day, required=True, help="Day of the event.")
@click.option("--note", default="", help="What happened.")
@click.pass_obj
def contribution_happen(settings: Settings, agreement_id, dataset, happened, note):
    """Note an event after which a contribution is due."""
    open_book(settings).happen(agreement_id, dataset, _date(happened), note, actor=OPERATOR)
    click.echo(f"{dataset}: event of {_date(happened)} noted")


@contribution.command("check")
@click.argument("delivery_id")
@click.argument("result", type=click.Choice([one.value for one in Check if one is not Check.WAITING]))
@click.option("--findings", default="", help="What is wrong; required where it is returned.")
@click.option("--by", default=OPERATOR, show_default=True, help="Who checked.")
@click.pass_obj
def contribution_check(settings: Settings, delivery_id, result, findings, by):
    """Tell how far the quality check of a delivery is."""
    from geoserver_app.giving.book import SubmissionBook

    book = open_book(settings)
    found = SubmissionBook(book.database, now).of_delivery(delivery_id)
    if found is not None and found.state.is_open:
        raise InputInvalid(sentence("submission-of-delivery", {"delivery": delivery_id, "submission": found.submission_id}, ENGLISH))
    delivery = book.check(delivery_id, Check(result), findings, by)
    click.echo(f"delivery {delivery.delivery_id}: {delivery.dataset}, {delivery.check.value}{f': {delivery.findings}' if delivery.findings else ''}")


@click.command()
@click.option("--take", is_flag=True, help="Mark what is told as taken, so that it is told once.")
@click.option("--mail", is_flag=True, help="Send by the mail server of the setting `smtp_url` instead.")
@click.option("--all", "shows_all", is_flag=True, help="Also those that were taken or overtaken.")
@json_option
@click.pass_obj
def notices(settings: Settings, take, mail, shows_all, as_json):
    """Give the notices that are owed - 7 days before, on the day, 7 and 30 days after - and tell those that no mailer has taken."""
    book = open_book(settings)
    book.give_notices()
    if mail:
        sent = send_mail(settings, book)
        tell(f"{counted(sent, 'notice')} sent")
        return
    told = book.notices(untaken=not shows_all)
    if take:
        told = book.take(told)
    if as_json:
        click.echo(json.dumps([notice.as_json() for notice in told], ensure_ascii=False))
        return
    rows = [[n.agreement_id, n.dataset, n.due, n.stage, n.audience.value, n.given, n.taken, n.is_overtaken or None, n.told("en")] for n in told]
    table(["agreement", "dataset", "due", "stage", "for", "given", "taken", "overtaken", "notice"], rows, False)


def send_mail(settings: Settings, book) -> int:
    from geoserver_app.contributions.mailing import mail_notices
    from geoserver_app.mail_server import MailServer

    if not settings.smtp_url:
        raise InputInvalid("no mail server is set: give `smtp_url` in config/service.yaml, or read the notices with `geoshare notices --json`")
    sender = settings.smtp_sender or settings.contact_email
    if not sender:
        raise InputInvalid("mail needs a sender: give `smtp_sender`, or `contact_email`, in config/service.yaml")
    return mail_notices(book, MailServer.parse(settings.smtp_url), sender, settings.public_base_url)


def _date(moment: datetime | None):
    return moment and moment.date()
