"""The same answers for a person's browser: a heading, links, a list of facts and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import flask

from geoserver_app.messages import sentence

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """`links` are (address, words); `facts` (name, value); `rows` of the table under `head`, each with the address that its first cell leads to."""

    title: str
    intro: str = ""
    links: Sequence[tuple[str, str]] = ()
    facts: Sequence[tuple[str, str]] = ()
    head: Sequence[str] = ()
    rows: Sequence[tuple[str | None, Sequence[object]]] = field(default=())
    credits: Sequence[str] = ()


def rendered(sheet: Sheet, language: str) -> bytes:
    return flask.render_template("features.html", sheet=sheet, language=language, nothing=sentence("no-features-here", {}, language)).encode()


def words(name: str, language: str, **detail: str) -> str:
    return sentence(f"features-{name}", detail, language)


def of_links(links: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Links of a JSON document that a person may follow."""
    return [(link["href"], link.get("title") or link["rel"]) for link in links]
