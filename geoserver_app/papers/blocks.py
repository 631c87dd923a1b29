"""A paper - an agreement to sign, a pack for a meeting - as blocks. `papers.html` and `papers.pdf` render the same ones, so the two say the same.

Every text is text: no markup of any kind is read in it. A figure is SVG of `papers.svg`'s closed list.
"""

import re
import unicodedata
from dataclasses import dataclass

CHINESE, ENGLISH = "zh", "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """`level` 1 is a chapter. `clause_id` ("3.1") can be linked to."""

    level: int
    text: str
    clause_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A numbered clause; its number can be linked to."""

    number: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Breaks over pages, its headings on each. `numbers` are the places of columns that are set to the right."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Names with what they hold."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`width` is a share of the text's width."""

    svg: str
    caption: str = ""
    width: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The SQL that a figure beside it was counted with."""

    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A place to sign: the party, lines to fill in, and a frame for its seal."""

    party: str
    lines: tuple[str, ...]
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seals:
    """Side by side, never parted by a page."""

    parties: tuple[Seal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBreak:
    pass


Block = Heading | Paragraph | Clause | Table | Fields | Figure | Query | Seals | PageBreak


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """`number` stands under the title, `footer` on every page beside the page number. `language` is "zh" or "en"."""

    title: str
    language: str
    blocks: tuple[Block, ...]
    number: str = ""
    footer: str = ""


# Text

HARMFUL = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]")
"""Characters that are not seen, or that turn the direction of what is: what is read must be what is there."""


def clean(text: str) -> str:
    """`text` without control characters and those that make it read as another text; line ends stay."""
    lines = str(text).encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return "".join(one for one in HARMFUL.sub("", lines) if one == "\n" or unicodedata.category(one) not in ("Cc", "Cn", "Cs"))


def anchor(number: str) -> str:
    """The id of a clause in a page: "3.1" -> "clause-3.1".

    >>> anchor("3.1"), anchor("第三条")
    ('clause-3.1', 'clause-第三条')
    """
    return "clause-" + re.sub(r"[^\w.-]", "-", clean(number))
