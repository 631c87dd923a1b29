"""What every command uses: faults as one sentence, tables, exit codes."""


import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agreements.errors import AgreementsError, RegisterUnavailable
from geoserver_app.database import DatabaseUnavailable
from geoserver_app.decision_log import DecisionLogUnavailable
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.people.accounts import AccountsUnavailable
from geoserver_app.settings import PortInUse, Settings, SettingsInvalid
from layers.errors import CatalogueUnavailable, EditionOutpaced, IngestBusy, LayersError
from layers.model import LayerName

FAILED, DENIED, INVALID = 1, 2, 3
FAILURES = (
    CatalogueUnavailable, RegisterUnavailable, DatabaseUnavailable, AccountsUnavailable, DecisionLogUnavailable, EditionOutpaced, IngestBusy,
    MeteringUnavailable, PortInUse,
)
"""Nothing is wrong with what was typed."""

WIDE = 1000
"""Columns of a table in a pipe: no line is ever broken."""


class InputInvalid(Exception):
    """What was typed can't be meant; one sentence."""


class Group(click.Group):
    """Commands whose faults are told as one sentence, without a traceback."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except click.UsageError as error:
            error.exit_code = INVALID           # click says 2, which is "denied" here
            raise
        except FAILURES as error:
            tell(str(error), style="red")
            context.exit(FAILED)
        except (LayersError, AgreementsError, SettingsInvalid, InputInvalid) as error:
            tell(str(error), style="red")
            context.exit(INVALID)
        except OSError as error:
            tell(f"{f'`{Path(error.filename).name}`: ' if isinstance(error.filename, str) else ''}{error.strerror or error}", style="red")
            context.exit(FAILED)


def tell(sentence: str, style: str | None = None) -> None:
    """Talk, as it is: what is told may hold brackets that rich would take for markup."""
    Console(stderr=True).print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


def table(headings: list[str], rows: list[list], as_json: bool) -> None:
    """Rows for people, or for scripts with --json."""
    if as_json:
        click.echo(json.dumps([dict(zip(headings, row, strict=True)) for row in rows], ensure_ascii=False, default=str))
        return
    shown = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(Text("" if value is None else str(value)) for value in row))
    (Console() if sys.stdout.isatty() else Console(width=WIDE)).print(shown)


def opened(settings: Settings):
    """Catalogue and register over a database of the newest shape."""
    from agreements.register import SqlRegister
    from geoserver_app.database import connect, migrate
    from geoserver_app.layer_facts import layer_facts
    from layers.catalogue import SqlCatalogue

    migrate(settings)
    database = connect(settings.database_url)
    catalogue = SqlCatalogue(database)
    return catalogue, SqlRegister(database, emergency=timedelta(hours=settings.emergency_hours), layers=lambda: layer_facts(catalogue))


def noted(settings: Settings, operation: str, object_id: str, actor: str = "operator", **more: str) -> None:
    """The record of what was done at the shell of this machine: by a person, or where nobody is signed in by its operator. `more` is written as it is."""
    from geoserver_app.audit.store import anchored_log
    from geoserver_app.database import connect

    log = anchored_log(settings, connect(settings.database_url))
    log.write({"event": "admin.acted", "operation": operation, "agency": None, "actor": actor, "object": object_id, "outcome": "done", **more})
    log.close()


def layer_named(_context, _parameter, name):
    """`name`, or each of several, as a layer's name can be."""
    for one in (name,) if isinstance(name, str) else name:
        try:
            LayerName.parse(one)
        except ValueError as error:
            raise InputInvalid(str(error)) from error
    return name


def last_day(_context, parameter, day: datetime | None) -> datetime | None:
    """The moment at which `day` is over in Asia/Shanghai; a day that is over already can't be meant."""
    from geoserver_app.clock import end_of_day, now

    if day is None:
        return None
    end = end_of_day(day.date())
    if end <= now():
        raise InputInvalid(f"{parameter.opts[0]} {day.date()} is over already: give today or a later day")
    return end


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "sheet"), counted(2, "sheet"), counted(2, "class")
    ('1 sheet', '2 sheets', '2 classes')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


json_option = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON on stdout.")
