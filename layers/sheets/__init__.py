"""Map sheets: their numbers, new and old, the index of what there is, and sheets at hand."""

from layers.sheets.numbers import (
    SCALES,
    ancestors,
    any_number,
    children,
    encode,
    find_number,
    neighbours,
    numbers_meant,
    old_number,
    old_two_hundred_thousand,
    scale_named,
    scale_of,
    sheet_bounds,
    sheet_frame,
    sheets_touching,
)

__all__ = (
    "SCALES",
    "ancestors",
    "any_number",
    "children",
    "encode",
    "find_number",
    "neighbours",
    "numbers_meant",
    "old_number",
    "old_two_hundred_thousand",
    "scale_named",
    "scale_of",
    "sheet_bounds",
    "sheet_frame",
    "sheets_touching",
)
