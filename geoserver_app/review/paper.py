"""A paper in the making: chapters, tables of what the audit answered, charts, and beneath each the question it answers."""

from collections.abc import Iterable, Sequence

from geoserver_app.messages import CHINESE
from geoserver_app.papers.blocks import Block, Document, Fields, Figure, Heading, PageBreak, Paragraph, Query, Table
from geoserver_app.review.figures import Counted
from geoserver_app.review.words import told, word

LABELS = frozenset({"version", "number", "hour"})
"""Columns whose numbers name something."""

NUMERALS = "〇一二三四五六七八九十"


class Paper:
    def __init__(self, language: str):
        self.language = language
        self._blocks: list[Block] = []
        self._chapters = 0

    def word(self, name: str, **detail: object) -> str:
        return word(name, self.language, **detail)

    def chapter(self, name: str) -> None:
        self._chapters += 1
        number = f"{_chinese(self._chapters)}、" if self.language == CHINESE else f"{self._chapters}  "
        self._blocks.append(Heading(level=1, text=number + self.word(name)))

    def section(self, name: str) -> None:
        self._blocks.append(Heading(level=2, text=self.word(name)))

    def say(self, text: str) -> None:
        self._blocks.append(Paragraph(text=text))

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """By name of a word."""
        self._blocks.append(Fields(pairs=tuple((self.word(name), told(value, name, self.language)) for name, value in pairs)))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> None:
        """Rows under headings, each value as its column is written."""
        rows = list(rows)
        shown = tuple(tuple(told(value, column, self.language) for column, value in zip(columns, row, strict=True)) for row in rows)
        numbers = frozenset(
            place for place, column in enumerate(columns) if column not in LABELS and any(_is_number(row[place]) for row in rows)
        )
        self._blocks.append(Table(headings=tuple(self.word(column) for column in columns), rows=shown, caption=caption, numbers=numbers))

    def grid(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under headings of their own, the first column a name and all others numbers."""
        shown = tuple(tuple(told(value, "value", self.language) for value in row) for row in rows)
        self._blocks.append(Table(headings=tuple(headings), rows=shown, numbers=frozenset(range(1, len(headings)))))

    def counted(self, found: Counted, caption: str = "", names: dict[str, str] | None = None) -> None:
        """What a question was answered, whole, and the question. `names` are those of agencies, by id."""
        rows = [[(names or {}).get(value, value) if column == "agency" else value for column, value in zip(found.columns, row, strict=True)]
                for row in found.rows]
        self.table(found.columns, rows, caption)
        self.query(found)

    def sums(self, found: Counted, *leave_out: str) -> None:
        """The one row that a question was answered, as fields, and the question."""
        self.fields((name, value) for name, value in found.row.items() if name not in leave_out)
        self.query(found)

    def figure(self, svg: str, caption: str = "") -> None:
        self._blocks.append(Figure(svg=svg, caption=caption))

    def query(self, found: Counted) -> None:
        self._blocks.append(Query(sql=found.sql))

    def add(self, block: Block) -> None:
        self._blocks.append(block)

    def new_page(self) -> None:
        self._blocks.append(PageBreak())

    def document(self, title: str, number: str, footer: str) -> Document:
        return Document(title=title, language=self.language, blocks=tuple(self._blocks), number=number, footer=footer)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _chinese(number: int) -> str:
    """
    >>> [_chinese(number) for number in (1, 10, 12, 20)]
    ['一', '十', '十二', '二十']
    """
    tens, ones = divmod(number, 10)
    return (NUMERALS[tens] if tens > 1 else "") + ("十" if tens else "") + (NUMERALS[ones] if ones else "")
