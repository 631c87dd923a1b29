"""`geoshare explain`."""

import json
import sys
from datetime import datetime

import click

from agreements.model import Effect, Operation
from geoserver_app.cli.base import DENIED, FAILED, InputInvalid, json_option, opened, tell
from geoserver_app.settings import Settings
from layers.model import LayerName


@click.command()
@click.option("--agency", "agency_id", help="Who asks.")
@click.option("--layer", "layer_name", help="Layer, or layer@edition.")
@click.option("--operation", type=click.Choice([o.value for o in Operation]), default="GetMap", show_default=True, help="What is asked.")
@click.option("--bounds", help="west,south,east,north in degrees; without it, the whole layer.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), help="Scale denominator, such as 10000.")
@click.option("--style", help="Style asked for.")
@click.option("--format", "media_type", help="Media type, such as image/png.")
@click.option("--crs", help="CRS, such as EPSG:4549.")
@click.option("--attribute", "attributes", multiple=True, help="An attribute the request names.")
@click.option("--app", default="", help="Application of the key.")
@click.option("--purpose", default="", help="Purpose of the key.")
@click.option("--address", default="", help="Network address it is asked from.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Moment (Asia/Shanghai), by the register as it was then; default now.")
@click.option("--record", "record_id", help="A record of the past, by its id, instead of all the above.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@json_option
@click.pass_obj
def explain(settings: Settings, agency_id, layer_name, record_id, as_json, **question):
    """Why a request is permitted, clipped or denied: by agreement and clause. Exit code 2 where it is denied.

    With --record the decision of a record is taken again, by the register as it was; where the two differ, that is said and the exit code is 1.
    """
    if record_id is not None:
        return _explain_record(settings, record_id, question["language"], as_json)
    if agency_id is None or layer_name is None:
        raise InputInvalid("say who asks for what: --agency and --layer, or --record with the id of a record")
    told = _explained(settings, agency_id, layer_name, **question)
    click.echo(json.dumps(told.as_json(), ensure_ascii=False) if as_json else told.as_text())
    if told.effect is Effect.DENY:
        sys.exit(DENIED)


def _explained(
    settings: Settings, agency_id: str, layer_name: str, *, operation: str, media_type: str | None, attributes: tuple[str, ...], at: datetime | None,
    **others,
):
    from geoserver_app.explaining import QuestionInvalid
    from geoserver_app.explaining import explain as explained
    from tiles.engine import Engine

    try:
        LayerName.parse(layer_name)
    except ValueError as error:
        raise InputInvalid(str(error)) from error
    catalogue, register = opened(settings)
    engine = Engine(settings.store, settings.cache, settings.config)
    try:
        return explained(
            catalogue, register, agency=agency_id, layer=layer_name, operation=Operation(operation), media_type=media_type,
            attributes=frozenset(attributes), at=at, names_written=engine.names_written, **others,
        )
    except QuestionInvalid as error:
        raise InputInvalid(str(error)) from error


def _explain_record(settings: Settings, record_id: str, language: str, as_json: bool) -> None:
    from geoserver_app.audit.sealing import RecordAltered, RecordNotFound
    from geoserver_app.explaining import explain_record

    _, register = opened(settings)
    try:
        told = explain_record(settings.decisions, register, record_id, language)
    except RecordNotFound as error:
        raise InputInvalid(str(error)) from error
    except RecordAltered as error:
        tell(str(error), style="red")
        sys.exit(FAILED)
    click.echo(json.dumps(told.as_json(), ensure_ascii=False) if as_json else told.as_text())
    if not told.agrees:
        sys.exit(FAILED)
    if told.effect is Effect.DENY:
        sys.exit(DENIED)
