"""`geoshare division changes | keep | vintages`: boundaries that were issued anew, and the agreements that name them."""

import json
from pathlib import Path

import click

from agreements.life.lifecycle import Action
from geoserver_app.cli.acting import acting, as_option, stdin_option
from geoserver_app.cli.base import InputInvalid, json_option, noted, opened, table
from geoserver_app.cli.layers import division
from geoserver_app.settings import Settings


@division.command("vintages")
@click.pass_obj
def division_vintages(settings: Settings):
    """The vintages of boundaries there are, the oldest first."""
    catalogue, _ = opened(settings)
    for vintage in catalogue.vintages():
        click.echo(vintage)


@division.command("changes")
@click.option("--picture", "folder", type=click.Path(file_okay=False, path_type=Path), help="A folder for a picture (SVG) of each.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@json_option
@click.pass_obj
def division_changes(settings: Settings, folder, language, as_json):
    """Agreements that name a division with a newer boundary: the square kilometres that each would gain and lose. Nothing changes by itself."""
    from geoserver_app.area_picture import picture
    from geoserver_app.boundaries import boundary_changes, outlines, told
    from geoserver_app.clock import now

    catalogue, register = opened(settings)
    found = boundary_changes(catalogue, register, now())
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for change in found:
            drawn = picture(change.gained, change.lost, change.unchanged, outlines(catalogue, change), language=language, title=told(change, language))
            (folder / f"{change.agreement_id}-{change.code}-{change.newer}.svg".replace("/", "_")).write_text(drawn, "utf-8")
    rows = [
        [one.agreement_id, one.version, ", ".join(one.clauses), one.code, one.name, one.vintage, one.newer,
         ", ".join(f"{name} ({code})" for code, name in one.successors), round(one.gained.km2, 3), round(one.lost.km2, 3)]
        for one in found
    ]
    table(["agreement", "version", "clauses", "code", "name", "vintage", "newer", "successors", "gained_km2", "lost_km2"], rows, as_json)


@division.command("keep")
@click.argument("agreement_id")
@click.argument("code")
@click.option("--reason", "comment", required=True, help="Why; it stays in the history of the agreement.")
@as_option
@stdin_option
@click.pass_obj
def division_keep(settings: Settings, agreement_id, code, comment, login, from_stdin):
    """Decide that an agreement keeps the old boundary of a division, and put that into its history."""
    from geoserver_app.boundaries import boundary_changes, keeping
    from geoserver_app.clock import now

    catalogue, register = opened(settings)
    waiting = [one for one in boundary_changes(catalogue, register, now()) if (one.agreement_id, one.code) == (agreement_id, code)]
    if not waiting:
        raise InputInvalid(f"no boundary of `{code}` waits for a decision in agreement `{agreement_id}`: see `geoshare division changes`")
    actor = acting(settings, login, from_stdin)
    for change in waiting:
        event = register.move(agreement_id, change.version, Action.KEEP_BOUNDARY, actor, comment=comment, detail=keeping(change))
        noted(settings, f"agreements.{event.action}", f"{agreement_id}/{change.version}", actor.login)
        click.echo(f"{agreement_id} version {change.version} keeps {change.name} ({code}) of {change.vintage}: {json.dumps(comment, ensure_ascii=False)}")
