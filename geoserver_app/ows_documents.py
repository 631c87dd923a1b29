"""XML documents out of templates: values go in, text comes out, everything escaped. No request, no Flask."""

import re
from functools import lru_cache
from pathlib import Path

import jinja2

FOLDER = Path(__file__).resolve().parent / "templates" / "ows"


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["number"] = plain_number
    return environment


def document(template: str, /, **values: object) -> str:
    """The template of that name, filled in. Control characters that XML can't hold are left out."""
    return _without_controls(_templates().get_template(template).render(**values))


def plain_number(value: float) -> str:
    """Shortest decimal spelling that is still the same double; never an exponent, which some clients can't read.

    >>> plain_number(118.0), plain_number(1e-7), plain_number(20037508.342789244), plain_number(-0.0)
    ('118', '0.0000001', '20037508.342789244', '0')
    """
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.20f}".rstrip("0") if abs(value) < 1 else f"{value:.0f}"
    text = text.removesuffix(".0")
    return "0" if text in ("-0", "0", "0.", "-0.") else text


CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def _without_controls(text: str) -> str:
    return CONTROLS.sub("", text) if CONTROLS.search(text) else text
