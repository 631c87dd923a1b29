"""A paper as PDF, set by Typst with Noto Sans SC and Noto Serif SC.

What is set is a template that never changes; the paper is handed to it as JSON. So no text of an agreement is ever read as Typst.
"""

import json
import re
import threading
from functools import cache
from pathlib import Path

import pylopdf_fonts_zh_cn
import typst

from geoserver_app.papers.blocks import Document
from geoserver_app.papers.plain import plain

ROOM = Path(__file__).resolve().parent.parent / "templates" / "papers"
"""The only folder that Typst may read."""

LONGEST_WORD = 14
"""Narrow characters of a table's cell without a place to break the line; more are given places, which are not seen."""

BREAK = "\u200b"

_setting = threading.Lock()


def render(document: Document) -> bytes:
    """The same bytes for the same paper. Raises SvgInvalid for a figure that is not on the list of `papers.svg`."""
    paper = plain(document)
    for block in paper["blocks"]:
        if block["kind"] == "table":
            block["headings"], block["rows"] = _breakable(block["headings"]), [_breakable(row) for row in block["rows"]]
    with _setting:
        return _typst().compile(
            str(ROOM / "paper.typ"), format="pdf", sys_inputs={"paper": json.dumps(paper, ensure_ascii=False, sort_keys=True)}, timestamp=0,
        )


@cache
def _typst() -> typst.Compiler:
    """Fonts of the package alone, so that every machine sets the same page."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(Path(pylopdf_fonts_zh_cn.__file__).parent)])
    return typst.Compiler(root=str(ROOM), font_paths=fonts)


def _breakable(cells: list[str]) -> list[str]:
    return [re.sub(rf"[\x21-\x7e]{{{LONGEST_WORD + 1},}}", _with_breaks, cell) for cell in cells]


def _with_breaks(word: re.Match) -> str:
    """After signs where there are any, and in the middle of what is still too long."""
    pieces = re.findall(rf"[^-,;/_.:@=&?]{{1,{LONGEST_WORD}}}[-,;/_.:@=&?]*|[-,;/_.:@=&?]+", word.group())
    return BREAK.join(pieces)
