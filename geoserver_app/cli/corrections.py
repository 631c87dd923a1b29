"""`geoshare correction`: what agencies mark as wrong on the maps, and what is made of it."""

import json
from collections import Counter
from contextlib import contextmanager

import click

from geoserver_app.cli.acting import acting, perhaps_as_option, stdin_option
from geoserver_app.cli.base import InputInvalid, json_option, noted, opened, table, tell
from geoserver_app.settings import Settings

MOVERS = ("administrator", "data_manager")


def book_of(settings: Settings):
    from geoserver_app.clock import now
    from geoserver_app.corrections.book import CorrectionBook
    from geoserver_app.database import connect
    from geoserver_app.tasks import calendar

    catalogue, register = opened(settings)
    return CorrectionBook(connect(settings.database_url), register, now, calendar(settings.config), settings.correction_days), catalogue


@contextmanager
def told():
    """What the book refuses, as a sentence."""
    from geoserver_app.corrections.tickets import CorrectionInvalid, NoSuchCorrection

    try:
        yield
    except CorrectionInvalid as error:
        raise InputInvalid(error.told("en")) from error
    except NoSuchCorrection as error:
        raise InputInvalid(f"there is no correction `{error}`: see `geoshare correction list`") from error


@click.group()
def correction():
    """Corrections of maps: what agencies marked as wrong, and what becomes of it."""


@correction.command("list")
@click.option("--agency", help="Only of this agency.")
@click.option("--layer", help="Only of this layer.")
@click.option("--state", type=click.Choice(["reported", "taken", "answered", "mended", "refused", "reopened", "closed", "withdrawn"]), help="Only in this state.")
@click.option("--open", "is_open", is_flag=True, help="Only those that are not over.")
@click.option("--overdue", is_flag=True, help="Only those that should be answered already.")
@json_option
@click.pass_obj
def correction_list(settings: Settings, agency, layer, state, is_open, overdue, as_json):
    """Corrections, the newest first."""
    from geoserver_app.corrections.book import Wanted
    from geoserver_app.corrections.tickets import State

    book, _ = book_of(settings)
    wanted = Wanted(agency=agency, layer=layer, state=State(state) if state else None, is_open=True if is_open else None, is_overdue=overdue)
    rows = [
        [one.correction_id, one.agency, f"{one.layer}@{one.edition}", one.kind.value, one.state.value, one.due, one.is_overdue(book.clock()) or None, one.text[:80]]
        for one in book.list(wanted)
    ]
    table(["correction", "agency", "layer", "kind", "state", "due", "overdue", "text"], rows, as_json)


@correction.command("show")
@click.argument("correction_id")
@json_option
@click.pass_obj
def correction_show(settings: Settings, correction_id, as_json):
    """One correction, where it lies, and all that was done with it."""
    book, _ = book_of(settings)
    with told():
        one = book.get(correction_id)
    moves = book.moves(correction_id)
    if as_json:
        click.echo(json.dumps({
            "correction": one.correction_id, "agency": one.agency, "layer": one.layer, "edition": one.edition, "feature": one.feature, "kind": one.kind.value,
            "place": dict(one.place), "text": one.text, "state": one.state.value, "due": one.due.isoformat(), "fixed_in": one.fixed_in, "answer": one.reasons,
            "history": [{"at": move.at.isoformat(), "state": move.state.value, "actor": move.actor, "text": move.text} for move in moves],
        }, ensure_ascii=False))
        return
    click.echo(f"{one.correction_id}  {one.layer}@{one.edition}  {one.kind.value}  {one.agency}  {one.state.value}, due {one.due}\n{json.dumps(dict(one.place))}\n{one.text}")
    table(["at", "state", "by", "text"], [[f"{move.at:%Y-%m-%d %H:%M}", move.state.value, move.actor, move.text] for move in moves], False)


@correction.command("move")
@click.argument("correction_id")
@click.argument("state", type=click.Choice(["taken", "answered", "mended", "refused"]))
@click.option("--text", default="", help="The answer, as the agency reads it; needed to answer and to refuse.")
@click.option("--edition", "fixed_in", default="", help="The edition in which it is mended.")
@perhaps_as_option
@stdin_option
@click.pass_obj
def correction_move(settings: Settings, correction_id, state, text, fixed_in, login, from_stdin):
    """Take it up, answer it, say in which edition it is mended, or refuse it with reasons."""
    from geoserver_app.corrections.tickets import State

    actor = acting(settings, login, from_stdin)
    if login is not None and not {str(role) for role in actor.roles} & set(MOVERS):
        raise InputInvalid(f"`{login}` may not do this: it takes one of {', '.join(MOVERS)}")
    book, catalogue = book_of(settings)

    def has_edition(layer: str, edition: str) -> bool:
        found = catalogue.snapshot().layers.get(layer)
        return found is not None and any(one.name == edition for one in found.editions)

    with told():
        moved = book.move(correction_id, State(state), by=actor.login, text=text, fixed_in=fixed_in, has_edition=has_edition)
    noted(settings, "corrections.move", correction_id, actor.login)
    click.echo(f"correction {moved.correction_id}: {moved.state.value}")


@correction.command("remind")
@click.pass_obj
def correction_remind(settings: Settings):
    """Close what nobody spoke against, and remind the bureau of what is late, as `geoshare tick` does."""
    book, _ = book_of(settings)
    closed, late = book.close_silent(), book.remind()
    for one in closed:
        click.echo(f"correction {one.correction_id} closed: nothing was said against its outcome")
    for one in late:
        click.echo(f"correction {one.correction_id} of {one.layer} is late since {one.due}: the bureau is reminded")
    if not closed and not late:
        tell("nothing to close, nothing to remind of")


@correction.command("figures")
@click.option("--agency", help="Only of this agency.")
@json_option
@click.pass_obj
def correction_figures(settings: Settings, agency, as_json):
    """How many were reported, are open or late, were answered in time, and how long that took."""
    from geoserver_app.corrections.book import Wanted, figures

    book, _ = book_of(settings)
    found = book.list(Wanted(agency=agency))
    one = figures(found, book.working, book.clock())
    if as_json:
        click.echo(json.dumps({
            "count": one.count, "open": one.open, "overdue": one.overdue, "answered": one.answered, "in_time": one.in_time, "working_days": one.days,
            "by_state": one.by_state, "by_kind": one.by_kind, "by_layer": one.by_layer, "by_agency": Counter(each.agency for each in found),
        }, ensure_ascii=False))
        return
    rows = [["reported", one.count], ["open", one.open], ["late", one.overdue], ["answered", one.answered], ["in time", one.in_time], ["working days, median", one.days]]
    table(["figure", "number"], [*rows, *([f"{name}", number] for name, number in sorted(one.by_kind.items()))], False)


@correction.command("export")
@click.argument("path", type=click.Path(dir_okay=False, writable=True))
@click.option("--open", "is_open", is_flag=True, help="Only those that are not over.")
@click.pass_obj
def correction_export(settings: Settings, path, is_open):
    """All as GeoJSON, for those who mend the data: opens in any GIS."""
    from pathlib import Path

    from geoserver_app.corrections.book import Wanted

    book, _ = book_of(settings)
    found = book.list(Wanted(is_open=True if is_open else None))
    features = [
        {"type": "Feature", "id": one.correction_id, "geometry": dict(one.place), "properties": {
            "correction": one.correction_id, "agency": one.agency, "layer": one.layer, "edition": one.edition, "feature": one.feature, "kind": one.kind.value,
            "state": one.state.value, "due": one.due.isoformat(), "text": one.text,
        }} for one in found
    ]
    Path(path).write_text(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False), "utf-8")
    click.echo(f"{len(found)} corrections written")
