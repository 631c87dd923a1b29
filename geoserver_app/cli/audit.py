"""`geoshare audit`: the decision record checked, sealed, asked, exported and retired."""

import json
import sys
from datetime import date, datetime
from pathlib import Path

import click

from geoserver_app.cli.base import FAILED, InputInvalid, counted, json_option, noted, opened, table, tell
from geoserver_app.settings import Settings

new_file = click.Path(dir_okay=False, path_type=Path)
old_file = click.Path(exists=True, dir_okay=False, path_type=Path)


def as_date(_context, _parameter, moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def day_option(name: str, *aliases: str, **options):
    return click.option(name, *aliases, type=click.DateTime(["%Y-%m-%d"]), callback=as_date, **options)


@click.group()
def audit():
    """The decision record: seal days, verify them, ask, export, retire."""


def opened_audit(settings: Settings):
    """The store of anchors and seals, and the history of the register: numbers and seals of its events."""
    from geoserver_app.audit.store import AuditStore
    from geoserver_app.database import connect

    _, register = opened(settings)
    return AuditStore(connect(settings.database_url)), {event.number: event.seal for event in register.history()}


@audit.command()
@day_option("--day", "until", help="Last day (Asia/Shanghai) to be sealed; default yesterday.")
@click.pass_obj
def seal(settings: Settings, until):
    """Seal every day that is over: a root for each agency, one over them all, chained to the day before.

    For the timer of the machine, a few minutes after midnight. Done again it does nothing. What is found wrong with a day is sealed with it, and the
    exit code is 1.
    """
    from geoserver_app.audit.sealing import DayNotOver, seal_days
    from geoserver_app.audit.sql import columns_of
    from geoserver_app.audit.verify import processors
    from geoserver_app.clock import now

    store, history = opened_audit(settings)
    try:
        sealed = seal_days(
            settings.decisions, store, now(), until=until, register=max(history.items(), default=None), processes=processors(),
        )
    except DayNotOver as error:
        raise InputInvalid(str(error)) from error
    for root in sealed:
        click.echo(f"{root.day}  {root.digest}  {counted(root.rows, 'row')} under {counted(len(root.agencies), 'agency root')}")
        for finding in root.findings:
            tell(finding, style="red")
        columns_of(settings.decisions, root.day)                    # made now, so that nobody waits for them
    if not sealed:
        tell("nothing to seal: every day that is over is sealed")
    if any(root.findings for root in sealed):
        sys.exit(FAILED)


@audit.command()
@day_option("--day", help="This day alone.")
@click.option("--all", "everything", is_flag=True, help="Every day there is, sealed ones too.")
@click.option("--file", "path", type=old_file, help="A file of retired records, against the seals of its days.")
@json_option
@click.pass_obj
def verify(settings: Settings, day, everything, path, as_json):
    """Name every line that was altered, dropped, put in or moved, and every segment that is gone; exit code 1 where there is any.

    Without an option: the chain of seals, and the days that are not sealed yet.
    """
    from geoserver_app.audit.sealing import check, unsealed_days
    from geoserver_app.audit.verify import processors

    store, history = opened_audit(settings)
    if path is not None:
        return _verify_file(store, path)
    days = None if everything else [day] if day else unsealed_days(settings.decisions, store)
    found = check(settings.decisions, store, days=days, history=history, processes=processors())
    if as_json:
        told = [{"kind": one.kind.value, "place": one.place, "line": one.line, "sentence": one.sentence, "tampering": one.is_tampering} for one in found]
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for one in found:
            click.echo(str(one))
    for root in store.roots() if everything else ():
        if root.retired:
            tell(f"{root.day}: {counted(root.rows, 'row')} retired to `{root.retired.file}` (SHA-256 {root.retired.sha256})")
    serious = [one for one in found if one.is_harmful]
    tell(counted(len(serious), "finding") if serious else "all is as it was written", style="red" if serious else "green")
    if serious:
        sys.exit(FAILED)


def _verify_file(store, path: Path) -> None:
    from geoserver_app.audit.retire import export_faults, retired_days

    roots = {root.day: root for root in store.roots()}
    days = retired_days(path)
    faults = [f"{day} was never sealed here" for day in days if day not in roots]
    faults += export_faults(path, [roots[day] for day in days if day in roots])
    for fault in faults:
        click.echo(f"{path.name}: {fault}")
    tell(counted(len(faults), "finding") if faults else f"{counted(len(days), 'day')}: all is as it was sealed", style="red" if faults else "green")
    if faults:
        sys.exit(FAILED)


@audit.command()
@json_option
@click.pass_obj
def roots(settings: Settings, as_json):
    """Every day sealed with its root: what each agency is sent, and should keep."""
    store, _ = opened_audit(settings)
    rows = [
        [root.day, root.digest, root.rows, len(root.agencies), len(root.findings), root.retired and root.retired.file] for root in store.roots()
    ]
    table(["day", "root", "rows", "agencies", "findings", "retired to"], rows, as_json)


@audit.command()
@click.option("--agency", "agency_id", required=True, help="Whose rows.")
@day_option("--day", required=True, help="A day that is sealed.")
@click.option("--out", "path", required=True, type=new_file, help="File for the rows; the proof goes beside it, as .proof.json.")
@click.pass_obj
def own(settings: Settings, agency_id, day, path):
    """All rows of one agency of one day, with the proof that they are part of the day's root and nothing of anybody else's."""
    from geoserver_app.audit.roots import doubts, prove
    from geoserver_app.audit.sealing import own_rows

    store, _ = opened_audit(settings)
    root = next((one for one in store.roots() if one.day == day), None)
    if root is None:
        raise InputInvalid(f"{day} is not sealed: `geoshare audit seal` first")
    if root.retired:
        raise InputInvalid(f"the rows of {day} are retired: they are in `{root.retired.file}`")
    try:
        proof = prove(root, agency_id)
    except LookupError as error:
        raise InputInvalid(str(error.args[0])) from error
    with path.open("xb") as out:
        out.writelines(own_rows(settings.decisions, day, agency_id))
    path.with_suffix(".proof.json").write_text(proof.document(), "utf-8")
    with path.open("rb") as rows:
        if faults := list(doubts((row.rstrip(b"\n") for row in rows), proof)):
            tell(f"{faults[0]}: see `geoshare audit verify --day {day}`", style="red")
            sys.exit(FAILED)
    click.echo(f"{counted(proof.rows, 'row')} of {agency_id} on {day}; day root {root.digest}")


@audit.command("verify-own")
@click.argument("rows", type=old_file)
@click.argument("proof", type=old_file)
@click.option("--root", "held", help="The day root that you were told at the time, if you kept it.")
def verify_own(rows, proof, held):
    """For an agency: whether the rows it was given are all of its rows of that day, as they were sealed. Needs nothing but the two files."""
    from geoserver_app.audit.roots import Proof, doubts

    try:
        read = Proof.parse(proof.read_text("utf-8"))
    except ValueError as error:
        raise InputInvalid(str(error)) from error
    with rows.open("rb") as lines:
        found = list(doubts((line.rstrip(b"\n") for line in lines), read, held))
    for one in found:
        click.echo(one)
    if found:
        sys.exit(FAILED)
    click.echo(f"{counted(read.rows, 'row')} of {read.agency} on {read.day} are as they were sealed; day root {read.day_root}")


@audit.command()
@click.argument("query")
@day_option("--from", "first", help="First day; default the first there is.")
@day_option("--to", "last", help="Last day; default today.")
@click.option("--fresh", is_flag=True, help="Read the segments themselves, not the columns that were made of them.")
@json_option
@click.pass_obj
def sql(settings: Settings, query, first, last, fresh, as_json):
    """Answer a SELECT over the views `audit`, a row a record, and `audit_layers`, a row a layer of one.

    Nothing else can be read and nothing changed. The moment is the column "at", with its quotes: the word is SQL's own.
    """
    from geoserver_app.audit.sql import QueryInvalid, connect, select

    with connect(settings.decisions, first=first, last=last, fresh=fresh) as connection:
        try:
            headings, rows = select(connection, query)
        except QueryInvalid as error:
            raise InputInvalid(str(error)) from error
    table(headings, [list(row) for row in rows], as_json)


@audit.command()
@day_option("--from", "first", required=True, help="First day.")
@day_option("--to", "last", required=True, help="Last day.")
@click.option("--agency", "agency_id", help="Rows of this agency alone.")
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "jsonl"]), default="csv", show_default=True, help="jsonl: the very lines.")
@click.option("--out", "path", required=True, type=new_file, help="A file that is not there yet.")
@click.pass_obj
def export(settings: Settings, first, last, agency_id, form, path):
    """Write records to a file: a row for every layer of every record."""
    from geoserver_app.audit.sql import export as exported

    count = exported(settings.decisions, path, form, first=first, last=last, agency=agency_id)
    click.echo(f"{counted(count, 'row')} from {first} to {last} in {path.name}")


@audit.command()
@day_option("--before", required=True, help="Days before this one go.")
@click.option("--to", "path", required=True, type=new_file, help="A Parquet file that is not there yet.")
@click.pass_obj
def retire(settings: Settings, before, path):
    """Move sealed days into a Parquet file, once it is shown to hold every line of them; their seals stay, so that the chain still holds."""
    from geoserver_app.audit.retire import RetirementRefused
    from geoserver_app.audit.retire import retire as retired
    from geoserver_app.clock import now

    store, _ = opened_audit(settings)
    try:
        done = retired(settings.decisions, store, path, before=before, keep_days=settings.audit_keep_days, now=now())
    except RetirementRefused as error:
        raise InputInvalid(str(error)) from error
    noted(settings, "audit.retire", f"{done.days[0]}..{done.days[-1]}")
    click.echo(f"{counted(done.rows, 'row')} of {counted(len(done.days), 'day')} in {path.name} (SHA-256 {done.sha256})")
