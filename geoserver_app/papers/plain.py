"""Blocks -> plain values, cleaned: what both templates read."""

from math import sqrt
from unicodedata import east_asian_width

from geoserver_app.papers.blocks import (
    CHINESE,
    Block,
    Clause,
    Document,
    Fields,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Query,
    Seals,
    Table,
    anchor,
    clean,
)
from geoserver_app.papers.svg import safe_svg

PAGES = {CHINESE: ("第 ", " 页，共 ", " 页"), "en": ("page ", " of ", "")}

NARROWEST, WIDEST = 4.0, 60.0
"""Characters that a column is as wide as, at least and at most, when columns share the width of a table."""


def plain(document: Document) -> dict:
    """Title, number, footer, language, words for page numbers, blocks with their `kind`. Raises SvgInvalid for a figure outside the closed list."""
    return {
        "title": clean(document.title), "number": clean(document.number), "footer": clean(document.footer), "language": document.language,
        "pages": list(PAGES[document.language]), "blocks": [_block(block) for block in document.blocks],
    }


def _block(block: Block) -> dict:
    match block:
        case Heading():
            return {"kind": "heading", "level": max(1, min(block.level, 4)), "text": clean(block.text), "anchor": block.clause_id and anchor(block.clause_id)}
        case Paragraph():
            return {"kind": "paragraph", "text": clean(block.text)}
        case Clause():
            return {"kind": "clause", "number": clean(block.number), "text": clean(block.text), "anchor": anchor(block.number)}
        case Table():
            headings = [clean(one) for one in block.headings]
            rows = [[clean(one) for one in row] for row in block.rows]
            if any(len(row) != len(headings) for row in rows):
                raise ValueError(f"the table `{block.caption}` has rows of another length than its headings")
            return {"kind": "table", "headings": headings, "rows": rows, "caption": clean(block.caption), "widths": _widths([headings, *rows]),
                    "numbers": [place in block.numbers for place in range(len(headings))]}
        case Fields():
            return {"kind": "fields", "pairs": [[clean(name), clean(value)] for name, value in block.pairs]}
        case Figure():
            return {"kind": "figure", "svg": safe_svg(block.svg), "caption": clean(block.caption), "width": max(0.1, min(block.width, 1.0))}
        case Query():
            return {"kind": "query", "sql": clean(block.sql)}
        case Seals():
            return {"kind": "seals", "parties": [
                {"party": clean(one.party), "lines": [clean(line) for line in one.lines], "seal": clean(one.seal)} for one in block.parties
            ]}
        case PageBreak():
            return {"kind": "break"}


def _widths(rows: list[list[str]]) -> list[float]:
    """A share for each column: between the longest of its lines and what all its text needs."""
    return [round(min(WIDEST, max(NARROWEST, sqrt(max(_breadth(cell) for cell in column) * 12.0))), 2) for column in zip(*rows, strict=True)]


def _breadth(text: str) -> int:
    """Of the longest line, in narrow characters."""
    return max((sum(2 if east_asian_width(one) in "WF" else 1 for one in line) for line in text.split("\n")), default=0)
