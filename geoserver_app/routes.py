"""Which views stand behind the gate, and which are open and why (design R14). A test walks the URL map and fails on a view that says neither."""

from collections.abc import Callable

PUBLIC = "__geoshare_public__"
GOVERNED = "__geoshare_governed__"


def public(reason: str) -> Callable:
    """Marks a view that answers anybody, with the reason why it may."""

    def mark(view: Callable) -> Callable:
        setattr(view, PUBLIC, reason)
        return view

    return mark


def governed(*operations: str) -> Callable:
    """Marks a view that writes a decision record for each of these operations before it answers."""

    def mark(view: Callable) -> Callable:
        setattr(view, GOVERNED, operations)
        return view

    return mark
