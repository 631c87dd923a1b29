"""What a table of features is as a whole: which of its fields hold text, and how far apart its contours lie."""

from pathlib import Path

import numpy as np
import pyogrio

MOST_CONTOURS = 2_000
"""Different heights looked at to find the interval."""


def text_fields(geopackage: Path, table: str) -> frozenset[str]:
    """Names of the fields that hold text, dates among them; the others hold numbers."""
    info = pyogrio.read_info(geopackage, layer=table)
    return frozenset(
        str(name) for name, kind in zip(info["fields"], info["ogr_types"], strict=True) if not kind.startswith(("OFTInteger", "OFTReal"))
    )


def interval(geopackage: Path, table: str, height_field: str) -> float | None:
    """Height between neighbouring contours in metres, the commonest step between the heights that occur; None where there are no two."""
    quoted, source = height_field.replace('"', '""'), table.replace('"', '""')
    _, _, _, (heights,) = pyogrio.raw.read(
        geopackage, read_geometry=False,
        sql=f'SELECT DISTINCT "{quoted}" AS height FROM "{source}" WHERE "{quoted}" IS NOT NULL ORDER BY 1 LIMIT {MOST_CONTOURS}',
    )
    steps = np.diff(np.sort(_numbers(heights)))
    steps = np.round(steps[steps > 0], 3)
    if not len(steps):
        return None
    sizes, counts = np.unique(steps, return_counts=True)
    return float(sizes[counts.argmax()])


def _numbers(values: np.ndarray) -> np.ndarray:
    """Heights as numbers, also where they were delivered as text; what is no number is left out."""
    if values.dtype.kind in "if":
        return values[np.isfinite(values.astype(float))].astype(float)
    return np.array([float(text) for text in values if text is not None and text.strip().replace(".", "", 1).lstrip("-").isdigit()])
