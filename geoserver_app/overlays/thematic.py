"""Statistics by division as a thematic map: values -> breaks -> rules of drawing (`tiles.symbols`) with colours from light to dark."""

from collections.abc import Sequence
from enum import StrEnum

import jenkspy
import numpy as np

from geoserver_app.overlays.faults import OverlayInvalid

FEWEST_CLASSES, MOST_CLASSES, USUAL_CLASSES = 2, 9, 5

RAMPS = {
    "blue": ("#E7F0FA", "#08306B"), "green": ("#E9F5E1", "#00441B"), "orange": ("#FEEBD3", "#7F2704"), "red": ("#FDE5DC", "#67000D"),
    "purple": ("#EFEDF5", "#3F007D"), "grey": ("#F0F0F0", "#252525"),
}
"""Lightest and darkest colour."""

MOST_SAMPLED = 20_000


class Method(StrEnum):
    EQUAL = "equal"
    QUANTILE = "quantile"
    NATURAL = "natural"


def breaks(values: Sequence[float], method: Method, classes: int) -> list[float]:
    """The inner limits of at most `classes` classes, ascending, each once: fewer where the values allow no more.

    >>> breaks([0, 1, 2, 3, 4, 10], Method.EQUAL, 5)
    [2.0, 4.0, 6.0, 8.0]
    >>> breaks([1, 1, 2, 2, 50, 51, 52], Method.NATURAL, 2)
    [50.0]
    """
    found = np.asarray([value for value in values if value is not None], dtype=float)
    found = found[np.isfinite(found)]
    distinct = np.unique(found)
    if not len(distinct):
        raise OverlayInvalid("table-value", column="")
    classes = min(classes, len(distinct))
    if classes < 2:
        return []
    if method is Method.EQUAL:
        limits = np.linspace(distinct[0], distinct[-1], classes + 1)[1:-1]
    elif method is Method.QUANTILE:
        limits = np.quantile(found, np.arange(1, classes) / classes)
    else:
        sample = found if len(found) <= MOST_SAMPLED else np.quantile(found, np.linspace(0, 1, MOST_SAMPLED))
        tops = jenkspy.jenks_breaks(sample.tolist(), n_classes=classes)[1:-1]
        limits = [distinct[np.searchsorted(distinct, top, side="right")] for top in tops if top < distinct[-1]]      # a class begins at its lowest value
    return [_rounded(limit, distinct) for limit in np.unique(np.asarray(limits, dtype=float)) if limit > distinct[0]]


def _rounded(limit: float, distinct: np.ndarray) -> float:
    """To as few digits as put every value on the same side."""
    for digits in range(1, 15):
        short = float(f"{limit:.{digits}g}")
        if np.array_equal(distinct < short, distinct < limit):
            return short
    return float(limit)


def colours(ramp: str, count: int) -> list[str]:
    """`count` colours of a ramp, from light to dark."""
    low, high = (np.array([int(colour[at:at + 2], 16) for at in (1, 3, 5)]) for colour in RAMPS[ramp])
    shares = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    return ["#" + "".join(f"{round(part):02X}" for part in low + (high - low) * share) for share in shares]


def rules(table: str, field: str, values: Sequence[float], method: Method, classes: int, ramp: str) -> dict:
    """Rules that draw `table` by classes of `field`, as `tiles.symbols` reads them. Raises OverlayInvalid where it holds no number."""
    if not any(isinstance(value, int | float) for value in values):
        raise OverlayInvalid("table-value", column=field)
    limits = breaks([value for value in values if isinstance(value, int | float)], method, classes)
    if not limits:
        return {"tables": {table: {"symbol": {"colour": colours(ramp, 1)[0], "opacity": 0.8, "outline": "#FFFFFF", "width": 1}}}}
    ends = [None, *limits, None]
    entries = [
        {"from": low, "to": high, "symbol": {"colour": colour}}
        for low, high, colour in zip(ends[:-1], ends[1:], colours(ramp, len(limits) + 1), strict=True)
    ]
    return {"tables": {table: {
        "symbol": {"opacity": 0.8, "outline": "#FFFFFF", "width": 1},
        "classes": {"by": field, "kind": "range", "entries": entries, "other": {"colour": "#CED4DA", "opacity": 0.5}},
    }}}
