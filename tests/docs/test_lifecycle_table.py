"""The table of moves in docs/admin.md is the one that is enforced."""

import re
from pathlib import Path

from agreements.life.lifecycle import MOVES, OFFICE, Action
from agreements.model import State

ADMIN = Path(__file__).resolve().parents[2] / "docs" / "admin.md"


def test_the_page_tells_every_move_as_it_is_enforced():
    section = ADMIN.read_text("utf-8").partition("### Who may do what")[2].partition("###")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if re.match(r"\| `", line)]
    told = {row[0].strip("`"): row[1:] for row in rows}
    enforced = {
        str(move.action): [
            ", ".join(state for state in State if state in move.sources), str(move.target or "stays"), ", ".join(sorted(move.roles)),
            ", ".join(sorted(move.another_than)), "yes" if move.needs_comment else "",
        ]
        for move in MOVES.values()
    }
    assert told.pop(Action.DRAFT) == ["", "draft", ", ".join(sorted(OFFICE)), "", ""]
    assert told == enforced
