"""Sheet numbers as they were written before 1992, still on paper and in file names of the 2000s: read and written.

    1:1,000,000  I-50            letter of the row, column (in the oldest ones the row is a figure: 9-50)
    1:500,000    I-50-D          quarters A B / C D
    1:250,000    I-50-[16]       4 x 4, numbered along rows from the north-west
    1:200,000    I-50-(35)       6 x 6; the new numbering has no such sheet
    1:100,000    I-50-142        12 x 12
    1:50,000     I-50-142-D      quarters of 1:100,000
    1:25,000     I-50-142-D-3    quarters 1 2 / 3 4 of 1:50,000
    1:10,000     I-50-142-(53)   8 x 8 in 1:100,000
    1:5,000      I-50-142-(53)-c quarters of 1:10,000
    1:2,000      ...-7           3 x 3 in 1:5,000, as GB/T 13989-2012 still allows after a 1:5,000 number

Every one is a path of steps into a grid, so a number is read by walking it and written by walking back. Case, full-width characters,
Chinese brackets and quarters (甲乙丙丁), and missing hyphens and brackets are understood as far as one reading only is left.
"""

import re
import unicodedata
from dataclasses import dataclass

from layers.errors import SheetNumberInvalid

QUARTERS = "ABCD"
LONGEST = 40
"""Characters of a number, with all that may part it."""

TWO_HUNDRED_THOUSAND = 6
"""Divisions of a 1:1,000,000 sheet, along a row, that make 1:200,000."""

_BRACKETS = str.maketrans("【〔〖{】〕〗}", "[[[[]]]]")
_CHINESE_QUARTERS = str.maketrans("甲乙丙丁", QUARTERS)
_LOOK_ALIKES = str.maketrans("АВСЕНІЈКМОРЅТΑΒΕΗΙΚΜΝΟΡΤ", "ABCEHIJKMOPSTABEHIKMNOPT")
"""Cyrillic and Greek capitals -> the Latin ones that they look like."""

_SEPARATORS = re.compile(r"\s*(?:[_‐-―−-]+|[/.,·・、])\s*|\s+")
_MILLION = re.compile(r"(?:(?P<letter>[A-V])-?(?P<column>[0-9]{2})|(?P<lone>[A-V])-(?P<digit>[0-9])(?![0-9])|(?P<figure>[0-9]{1,2})-(?P<after>[0-9]{2}))")
_TOKEN = re.compile(r"-?([\[(]?)-?([0-9]{1,5}|[^\W\d_]{1,6})-?([\])]?)")
_ROMAN = {numeral: value for value, numeral in enumerate(
    (tens + units for tens in ("", "X", "XX", "XXX") for units in ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")), 0) if 0 < value <= 36}
_NON_LATIN = re.compile(r"[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a 1:1,000,000 sheet cut into `divisions` rows and columns; row counted from the north, column from the west, from 0."""

    letter: str
    million_column: int
    divisions: int = 1
    row: int = 0
    column: int = 0

    def part(self, side: int, position: int) -> "Cell":
        """The `position`-th (from 1, along rows from the north-west) of `side` x `side` parts of this cell."""
        down, right = divmod(position - 1, side)
        return Cell(self.letter, self.million_column, self.divisions * side, self.row * side + down, self.column * side + right)

    def around(self, side: int) -> tuple["Cell", int]:
        """The cell of which this is one of `side` x `side` parts, and which."""
        whole = Cell(self.letter, self.million_column, self.divisions // side, self.row // side, self.column // side)
        return whole, self.row % side * side + self.column % side + 1


def spelled(text: str) -> str:
    """`text` in capitals and half-width characters, whatever parts it as one hyphen, brackets as () and []."""
    plain = unicodedata.normalize("NFKC", text).upper().translate(_BRACKETS).translate(_CHINESE_QUARTERS)
    return _SEPARATORS.sub("-", plain.strip())


def latin(text: str) -> str:
    """Cyrillic and Greek capitals that look like Latin ones, as Latin ones."""
    return text.translate(_LOOK_ALIKES)


def read(text: str) -> Cell:
    """The cell that an old number names, in any spelling.

    Raises
    ------
    SheetNumberInvalid
        It is none, or can be read in several ways.

    >>> read("I-50-142-(53)"), read("i50 142（53）") == read("I-50-142-53")
    (Cell(letter='I', million_column=50, divisions=96, row=94, column=76), True)
    """
    number = spelled(text)
    match = _MILLION.match(latin(number)) if len(number) <= LONGEST else None
    if match is None or "--" in number or number.endswith("-"):
        raise _invalid(text)
    figure = int(match["figure"] or 0)
    letter = match["letter"] or match["lone"] or (chr(ord("A") + figure - 1) if 1 <= figure <= 22 else "")
    column = int(match["column"] or match["digit"] or match["after"])
    if not letter or not 1 <= column <= 60:
        raise _invalid(text)
    readings = list(dict.fromkeys(_readings(Cell(letter, column), _tokens(number[match.end():], text), "-" not in number)))
    if not readings:
        raise _invalid(text)
    if len(readings) > 1:
        raise SheetNumberInvalid(f"`{text[:40]}` can be read as {' and as '.join(str(write(each)) for each in readings)}: write it with its hyphens")
    return readings[0]


def write(cell: Cell) -> str | None:
    """The old number of a cell; None where the old numbering had none (1:2,000 and larger).

    >>> write(Cell("I", 50, 96, 94, 76)), write(Cell("I", 50, 6, 5, 4)), write(Cell("I", 50, 576, 0, 0))
    ('I-50-142-(53)', 'I-50-(35)', None)
    """
    if cell.divisions == 1:
        return f"{cell.letter}-{cell.million_column:02d}"
    rule = _RULES.get(cell.divisions)
    if rule is None:
        return None
    side, form = rule
    whole, position = cell.around(side)
    return f"{write(whole)}-{form(position)}"


_RULES = {
    2: (2, lambda n: QUARTERS[n - 1]), 4: (4, lambda n: f"[{n}]"), TWO_HUNDRED_THOUSAND: (6, lambda n: f"({n})"), 12: (12, str),
    24: (2, lambda n: QUARTERS[n - 1]), 48: (2, str), 96: (8, lambda n: f"({n})"), 192: (2, lambda n: QUARTERS[n - 1].lower()),
}
"""Divisions -> how many parts a side the sheet above was cut into, and how a part was written."""


def ninth(cell: Cell, text: str) -> Cell:
    """The 1:2,000 sheet `1` to `9` of a 1:5,000 one. Raises SheetNumberInvalid."""
    if not re.fullmatch(r"[1-9]", text):
        raise _invalid(text)
    return cell.part(3, int(text))


# Reading

_Token = tuple[str, str]
"""An opening bracket or "", and digits or letters."""


def _tokens(rest: str, as_given: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(rest):
        match = _TOKEN.match(rest, at)
        if match is None:
            raise _invalid(as_given)
        word = match[2]
        if _NON_LATIN.search(word):
            if word not in ("А", "Α"):
                raise SheetNumberInvalid(
                    f"`{as_given[:40]}` has a letter that is not Latin where a quarter stands, so that it may mean two: write A, B, C or D")
            word = "A"
        tokens.append((match[1], word))
        at = match.end()
    return tokens


def _readings(million: Cell, tokens: list[_Token], is_run_together: bool) -> list[Cell]:
    if not tokens:
        return [million]
    (bracket, word), rest = tokens[0], tokens[1:]
    if word.isascii() and not word.isdigit():
        quarter = _quarter(million, tokens[0])
        if rest or bracket:
            return []
        return [quarter] if quarter else [million.part(6, _ROMAN[word])] if word in _ROMAN else []
    if bracket:
        return [] if rest else _bracketed(million, bracket, int(word))
    if 1 <= int(word) <= 144 and len(word) <= 3:
        return _within_hundred_thousand(million.part(12, int(word)), rest)
    if len(word) < 4 and not is_run_together:               # `I-50-145` is no sheet, though 14 and 5 would be
        return []
    splits = [(word[:at], word[at:]) for at in range(max(1, len(word) - 2), min(3, len(word) - 1) + 1)]
    splits = [(n, k) for n, k in splits if 1 <= int(n) <= 144 and 1 <= int(k) <= 64]
    splits = [each for each in splits if not each[1].startswith("0")] or splits
    return [cell for n, k in splits for cell in _within_hundred_thousand(million.part(12, int(n)), [("", k), *rest])]


def _bracketed(million: Cell, bracket: str, position: int) -> list[Cell]:
    """1:250,000 in square brackets, 1:200,000 in round ones; some wrote the latter in square ones too, plain where it exceeds 16."""
    if bracket == "[" and 1 <= position <= 16:
        return [million.part(4, position)]
    return [million.part(6, position)] if 1 <= position <= 36 else []


def _within_hundred_thousand(sheet: Cell, tokens: list[_Token]) -> list[Cell]:
    if not tokens:
        return [sheet]
    (_, word), rest = tokens[0], tokens[1:]
    if word.isdigit():
        if not (1 <= int(word) <= 64 and len(word) <= 2):
            return []
        return _within(sheet.part(8, int(word)), rest, 3)
    return _within(sheet, tokens, 2)


def _within(sheet: Cell, tokens: list[_Token], side: int) -> list[Cell]:
    """A quarter by letter, then one of `side` x `side` by figure."""
    if not tokens:
        return [sheet]
    quarter = _quarter(sheet, tokens[0])
    if quarter is None or len(tokens) > 2:
        return []
    if len(tokens) == 1:
        return [quarter]
    word = tokens[1][1]
    return [quarter.part(side, int(word))] if word.isdigit() and 1 <= int(word) <= side * side else []


def _quarter(sheet: Cell, token: _Token) -> Cell | None:
    word = token[1]
    return sheet.part(2, QUARTERS.index(word) + 1) if len(word) == 1 and word in QUARTERS else None


def _invalid(text: str) -> SheetNumberInvalid:
    return SheetNumberInvalid(f"`{text[:40]}` is not a sheet number: write one like I50G095077, or an old one like I-50-142-(53)")
