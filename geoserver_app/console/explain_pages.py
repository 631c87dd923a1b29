"""Why something is permitted, clipped or denied: asked of now, of any moment, or of a record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import flask

from geoserver_app.api.explanations import ExplanationTold, Question
from geoserver_app.api.faults import ApiFault
from geoserver_app.api.keys import KeyQuery, KeyTold
from geoserver_app.api.operation import STAFF
from geoserver_app.api.reading import read_query
from geoserver_app.console.editor_pages import MOST_AT_ONCE, levels_of
from geoserver_app.console.frame import Frame, moment_sent, page
from geoserver_app.console.register_pages import agency_names
from geoserver_app.errors import Told
from geoserver_app.messages import style_title
from geoserver_app.purposes import load_purposes
from geoserver_app.review.words import CODES
from layers.crs import SERVED
from layers.model import STYLES

FORMATS = ("image/png", "image/jpeg", "image/webp", "image/tiff", "application/json", "text/html", "text/plain")

Found = TypeVar("Found")


@page("console.explain", "/explain")
def explain(frame: Frame) -> flask.Response:
    said, record = flask.request.args, flask.request.args.get("record", "").strip()
    told, problem = _tried(frame, lambda: _now(frame)) if said.get("layer") else (None, None)
    past, trouble = _tried(frame, lambda: frame.ask("explanations.record", record=record)) if record else (None, None)
    settings, is_staff = frame.visit.services.settings, bool(frame.person.roles & STAFF)
    return frame.shown(
        "explain.html", problem=problem or trouble, said=said, told=told, past=past, is_staff=is_staff,
        agencies=agency_names(frame) if is_staff else {}, layers=_layers(frame) if is_staff else [], keys=_keys(frame), formats=FORMATS, crs=SERVED,
        styles=sorted({(style, style_title(style, frame.language)) for styles in STYLES.values() for style in styles}), codes=CODES,
        purposes=[(code, frame.say(one.zh, one.en)) for code, one in load_purposes(settings.config).items()],
        levels=levels_of(frame) if is_staff else [], most=MOST_AT_ONCE,
    )


def _tried(frame: Frame, ask: Callable[[], Found]) -> tuple[Found | None, Told | None]:
    try:
        return ask(), None
    except ApiFault as error:
        return None, frame.problem(error)


def _now(frame: Frame) -> ExplanationTold:
    """The question of the form; application and purpose are those of the key, where one was chosen. Raises ApiFault."""
    said = {name: value.strip() for name, value in flask.request.args.items() if name in Question.model_fields and value.strip()}
    if "at" in said:
        said["at"] = moment_sent(said["at"])
    key = next((one for one in _keys(frame) if one.key_id == flask.request.args.get("key")), None)
    if key is not None:
        said |= {name: value for name, value in (("app", key.app), ("purpose", key.purpose)) if value}
    return frame.ask("explanations.now", query=read_query(Question, list(said.items())))


def _keys(frame: Frame) -> list[KeyTold]:
    return frame.ask("keys.list", query=KeyQuery(limit=500))["items"]


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    title: str


def _layers(frame: Frame) -> list[Layer]:
    held = frame.visit.services.catalogue.snapshot().layers.values()
    found = [Layer(layer.name, frame.say(layer.title_zh, layer.title_en)) for layer in held]
    return found + [Layer(f"{layer.name}@{edition.name}", "") for layer in held for edition in layer.editions[1:]]
