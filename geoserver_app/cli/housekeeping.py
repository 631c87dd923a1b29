"""`geoshare tick`, `geoshare tasks`, `geoshare workday`: what the clock does, what waits for people, and which days count."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import click

from geoserver_app.cli.base import FAILED, counted, json_option, opened, table, tell
from geoserver_app.cli.lifecycle import office_of
from geoserver_app.settings import Settings


@click.command()
@json_option
@click.pass_obj
def tick(settings: Settings, as_json):
    """Do what the clock does: note what expired, draft renewals, seal yesterday's record, give notices, delete packages whose time is over.

    For the timer of the machine, once a day or once a minute: what is done already is not done again. One step that fails keeps no other from its
    work; the exit code is then 1.
    """
    from geoserver_app.clock import now
    from geoserver_app.housekeeping import RoundUnderWay
    from geoserver_app.housekeeping import tick as go_round

    try:
        outcomes = go_round(_premises(settings), now())
    except RoundUnderWay as error:
        tell(str(error))
        return
    if as_json:
        click.echo(json.dumps([{"step": one.step, "done": one.done, "fault": one.fault} for one in outcomes], ensure_ascii=False))
    else:
        for one in outcomes:
            for sentence in one.done:
                click.echo(f"{one.step}: {sentence}")
    for one in outcomes:
        if one.fault:
            tell(f"{one.step}: {one.fault}", style="red")
    if any(one.fault for one in outcomes):
        sys.exit(FAILED)


def _premises(settings: Settings):
    from geoserver_app.audit.store import anchored_log
    from geoserver_app.contributions import ContributionBook
    from geoserver_app.database import connect
    from geoserver_app.housekeeping import Premises

    _, register = opened(settings)
    database = connect(settings.database_url)
    book = ContributionBook(database, register, anchored_log(settings, database))
    return Premises(settings=settings, database=database, register=register, book=book)


@click.command()
@click.option("--agency", help="Only what members of this agency may do.")
@click.option("--role", help="Only what people of the bureau with this role may do.")
@click.option("--overdue", is_flag=True, help="Only what is late.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@json_option
@click.pass_obj
def tasks(settings: Settings, agency, role, overdue, language, as_json):
    """What waits to be done, for whom and until when; the most pressing first."""
    from geoserver_app.clock import now
    from geoserver_app.tasks import waiting

    at, office = now(), office_of(settings, *opened(settings))
    found = [
        task for task in waiting(office, at)
        if (agency is None or agency in task.agencies) and (role is None or role in task.roles) and (not overdue or task.is_overdue(at))
    ]
    rows = [
        [task.due, "overdue" if task.is_overdue(at) else "", task.kind, task.agreement_id, task.version, ", ".join(sorted({*task.roles, *task.agencies})),
         task.told(language)]
        for task in found
    ]
    table(["until", "late", "kind", "agreement", "version", "for", "task"], rows, as_json)
    if years := sorted({year for task in found for year in task.assumed}):
        tell(f"the holidays of {', '.join(map(str, years))} are not announced in config/holidays.csv: import them with `geoshare workday import`", style="yellow")


@click.group()
def workday():
    """Working days: the holidays and make-up days that deadlines go by."""


@workday.command("import")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def workday_import(settings: Settings, path: Path):
    """Take the table of one or more years in the place of what was known of them.

    CSV with the columns date, kind (holiday or working), name_zh, status (announced or provisional) and source.
    """
    from agreements.life.workdays import merged, read_rows, write_rows
    from geoserver_app.tasks import HOLIDAYS, table_text

    new, place = read_rows(table_text(path), path.name), settings.config / HOLIDAYS
    known = read_rows(table_text(place), HOLIDAYS) if place.exists() else ()
    beside = place.with_suffix(".new")
    beside.write_text(write_rows(merged(known, new)), "utf-8")
    os.replace(beside, place)
    years = sorted({row.day.year for row in new})
    click.echo(f"{', '.join(map(str, years))}: {counted(len(new), 'day')}")


@workday.command("due")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@click.argument("number", type=click.IntRange(0, 3660))
@click.pass_obj
def workday_due(settings: Settings, day: datetime, number):
    """The last day of what is to be done within NUMBER working days after DAY."""
    from geoserver_app.clock import in_shanghai
    from geoserver_app.tasks import calendar

    due = calendar(settings.config).due(in_shanghai(day), number)
    click.echo(due.day)
    if due.assumed:
        tell(f"assumed: the holidays of {', '.join(map(str, due.assumed))} are not announced in config/holidays.csv", style="yellow")
