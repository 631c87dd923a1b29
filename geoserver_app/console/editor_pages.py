"""Where a document is written: begun from a sample or a few fields, checked as it is written, compared with what is in force, kept as a draft."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import flask
from markupsafe import Markup
from ruamel.yaml import YAML, YAMLError

from agreements.document.writing import write_document
from agreements.life.lifecycle import Action, allowed_moves
from agreements.model import GRANTABLE, Agreement
from geoserver_app.api.agreements import OFFICE, Checked
from geoserver_app.api.differences import DifferenceTold, Form
from geoserver_app.api.faults import NothingThere
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.agreement_pages import found
from geoserver_app.console.clauses import OPERATIONS
from geoserver_app.console.frame import Frame, field, fields, page, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.console.stopping import division_choices


@dataclass(slots=True)
class Looked:
    """What came of the form, to be shown beside the text."""

    text: str = ""
    checked: Checked | None = None
    compared: DifferenceTold | None = None
    picture: Markup = Markup("")


# -- three ways in

@page("console.new", "/agreements/new", roles=OFFICE, takes_forms=True)
def new_agreement(frame: Frame) -> flask.Response:
    name, looked = flask.request.args.get("sample", ""), Looked()
    if name:
        looked.text = _sample(frame, name)
    answer, problem = tried(frame, {
        "blank": lambda: _begun(frame, looked), "check": lambda: _check(frame, looked), "compare": lambda: _compare(frame, looked),
        "save": lambda: _draft(frame),
    })
    return answer or _shown(frame, looked, problem=problem, samples=_samples(frame.visit.services.settings.config), is_new=True)


@page("console.amend", "/agreements/<path:agreement>/amend", roles=OFFICE, takes_forms=True)
def amend_agreement(frame: Frame, agreement: str) -> flask.Response:
    """From the text of the newest version, numbered one higher."""
    one, versions = found(frame, agreement, None)
    looked = Looked(text=_amended(frame, versions[-1]))
    answer, problem = tried(frame, {
        "check": lambda: _check(frame, looked), "compare": lambda: _compare(frame, looked), "save": lambda: _draft(frame),
    })
    return answer or _shown(frame, looked, problem=problem, one=one)


@page("console.edit", "/agreements/<path:agreement>/<int:version>/edit", roles=OFFICE, takes_forms=True)
def edit_agreement(frame: Frame, agreement: str, version: int) -> flask.Response:
    one, _ = found(frame, agreement, version)
    register = frame.visit.services.register
    if not any(move.action is Action.EDIT for move in allowed_moves(register.case(one.agreement_id, one.version), frame.visit.actor)):
        raise NothingThere(agreement)
    looked = Looked(text=_text_of(frame, one))
    answer, problem = tried(frame, {
        "check": lambda: _check(frame, looked), "compare": lambda: _compare(frame, looked), "save": lambda: _edit(frame, one),
    })
    digest = field("replacing") or register.document_hash(one.agreement_id, one.version)
    return answer or _shown(frame, looked, problem=problem, one=one, replacing=digest)


# -- what is done

def _typed() -> str:
    return flask.request.form.get("text", "").replace("\r\n", "\n")


def _check(frame: Frame, looked: Looked) -> None:
    looked.text = _typed()
    looked.checked = frame.act("agreements.check", body=looked.text).content


def _compare(frame: Frame, looked: Looked) -> None:
    looked.text = _typed()
    looked.compared = frame.act("agreements.compare", body=looked.text, query=Form()).content
    if looked.compared.gained_km2 or looked.compared.lost_km2 or looked.compared.unchanged_km2:
        looked.picture = Markup(frame.act("agreements.compare", body=looked.text, query=Form(form="svg")).content)


def _draft(frame: Frame) -> flask.Response:
    checked = frame.act("agreements.draft", body=_typed()).content
    return frame.on("agreement", "drafted", agreement=checked.agreement, version=checked.version)


def _edit(frame: Frame, one: Agreement) -> flask.Response:
    places = {"agreement": one.agreement_id, "version": str(one.version)}
    replace(frame, visit=replace(frame.visit, if_match=field("replacing"))).act("agreements.edit", places, body=_typed())
    return frame.on("agreement", "drafted", agreement=one.agreement_id, version=one.version)


# -- texts to begin with

def _text_of(frame: Frame, one: Agreement) -> str:
    """As it was written, where a person can read that; else as YAML. (Scripts send JSON in one line.)"""
    register = frame.visit.services.register
    text = register.document(one.agreement_id, one.version)
    return text if text.strip() and not text.lstrip().startswith("{") else write_document(register.registered(one.agreement_id, one.version))


VERSION = re.compile(r"""^(["']?version["']?\s*:\s*)\d+""", re.MULTILINE)


def _amended(frame: Frame, newest: Agreement) -> str:
    return VERSION.sub(rf"\g<1>{newest.version + 1}", _text_of(frame, newest), count=1)


def _samples(config: Path) -> list[tuple[str, str]]:
    """Name and title of each sample."""
    return [(path.stem, _title(path)) for path in sorted((config / "agreements").glob("*.yaml"))]


def _title(path: Path) -> str:
    try:
        return str(YAML(typ="safe").load(path.read_text("utf-8"))["title"])
    except (OSError, YAMLError, KeyError, TypeError):
        return path.stem


def _sample(frame: Frame, name: str) -> str:
    path = next((one for one in (frame.visit.services.settings.config / "agreements").glob("*.yaml") if one.stem == name), None)
    if path is None:
        raise NothingThere(name)
    return path.read_text("utf-8")


def _begun(frame: Frame, looked: Looked) -> None:
    """A document of the few things that were asked; what is missing of it the check tells."""
    said = {
        "agreement": field("number"), "version": 1, "title": field("title"), "parties": {"grantor": field("grantor"), "grantee": field("grantee")},
        "term": _without_nothing({"from": _day(field("from")), "until": _day(field("until"))}), "contact": field("contact"), "purpose": field("purpose"),
        "grants": [{
            "clause": "3.1", "layers": fields("layer"), "operations": fields("operation"),
            "area": {"divisions": fields("division")} if fields("division") else {"everywhere": True},
        }],
        "quota": {"rate": {"per_second": 50, "burst": 500}},
    }
    stream, yaml = StringIO(), YAML()
    yaml.width, yaml.allow_unicode = 140, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_without_nothing(said), stream)
    looked.text = stream.getvalue()


def _day(text: str) -> date | str:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text


def _without_nothing(said: Mapping) -> dict:
    return {name: value for name, value in said.items() if value not in ("", None, [], {})}


# -- the page

def _shown(frame: Frame, looked: Looked, *, problem, one: Agreement | None = None, replacing: str = "", samples=(), is_new: bool = False) -> flask.Response:
    if flask.request.method == "POST" and not looked.text:
        looked.text = _typed()
    levels = levels_of(frame)
    today, snapshot = frame.at.astimezone(SHANGHAI).date(), frame.visit.services.catalogue.snapshot()
    return frame.shown(
        "editor.html", problem=problem, looked=looked, one=one, replacing=replacing, samples=samples, is_new=is_new,
        agencies=agency_names(frame), layers=[(layer.name, frame.say(layer.title_zh, layer.title_en)) for layer in snapshot.layers.values()],
        operations=[(operation.value, frame.say(*OPERATIONS[operation])) for operation in OPERATIONS if operation in GRANTABLE],
        divisions=division_choices(frame), levels=levels,
        level_shown=next((level for level, number in reversed(levels) if number <= MOST_AT_ONCE), ""), today=today, next_year=today + timedelta(days=3 * 365),
    )


MOST_AT_ONCE = 400
"""Divisions of a level that are all drawn on the map: of a level with more, those within the one that was chosen."""


def levels_of(frame: Frame) -> list[tuple[str, int]]:
    """Levels of divisions and how many there are, the one with the fewest first."""
    counts: dict[str, int] = {}
    for _, _, level, _ in frame.visit.services.catalogue.divisions():
        counts[level] = counts.get(level, 0) + 1
    return sorted(counts.items(), key=lambda pair: pair[1])
