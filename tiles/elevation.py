"""Pictures of heights: hillshade, colour relief, the one over the other, slope and aspect.

Colours are made in the sheets' own grid and moved afterwards, so that slopes are those of the ground and neighbouring tiles agree.
Heights are metres. Slopes follow Horn (1981), Hill shading and the reflectance map, Proceedings of the IEEE 69, 14-47: the 3 x 3
operator that `gdaldem` uses too; a neighbour without data counts as high as the cell itself.
"""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from layers import crs as crs_room
from layers.model import Patch

AZIMUTH, ALTITUDE = 315.0, 45.0
"""Degrees: where the light comes from, clockwise from north, and how high it stands. A convention of cartography, not of the sun."""

AZIMUTHS = (225.0, 270.0, 315.0, 360.0)
"""Of light from all round."""

VIVID_FROM = 25.0
"""Degrees of slope from which an aspect is drawn in its full colour."""

STEEPEST = 60.0
"""Degrees at which a slope is drawn darkest."""

DARKEST = 40
"""Grey of the steepest slope."""

PAINTED = ("hillshade", "multidirectional-hillshade", "relief", "shaded-relief", "slope", "aspect")
"""The styles of an elevation model that `painter` knows; what else there is of them is drawn elsewhere."""

RAMP_STEPS = 16_384

EARTH_RADIUS = 6378137.0


@dataclass(frozen=True, slots=True, eq=False)
class Ramp:
    """Colours by height (metres), linear between stops, constant beyond the first and the last."""

    heights: np.ndarray         # (n,) rising
    colours: np.ndarray         # (n, 3) of 0..255

    @classmethod
    def load(cls, path: Path) -> "Ramp":
        """Reads height,red,green,blue,source."""
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        heights = np.array([float(row["height"]) for row in rows])
        if not (np.diff(heights) > 0).all():
            raise ValueError(f"{path.name}: heights must rise from row to row")
        return cls(heights, np.array([[float(row[band]) for band in ("red", "green", "blue")] for row in rows]))

    def colour(self, height: float) -> tuple[int, int, int]:
        return tuple(round(float(np.interp(height, self.heights, band))) for band in self.colours.T)

    def paint(self, heights: np.ndarray) -> np.ndarray:
        """(row, col) of metres to (row, col, 3) of uint8."""
        low, high = float(self.heights[0]), float(self.heights[-1])
        table = _colour_table(self)
        # steps are finest near the sea, where the ramp is steepest: the square root of the share of the height
        share = np.sqrt(np.clip((heights - np.float32(low)) * np.float32(1 / (high - low)), 0, 1))
        steps = (share * np.float32(RAMP_STEPS - 1) + np.float32(0.5)).astype(np.uint16)
        return table[steps].view(np.uint8).reshape(*heights.shape, 4)[..., :3]


@lru_cache(maxsize=8)
def _colour_table(ramp: Ramp) -> np.ndarray:
    """One packed colour per step: gathering 32-bit words is several times faster than gathering triples."""
    share = (np.arange(RAMP_STEPS) / (RAMP_STEPS - 1)) ** 2
    heights = ramp.heights[0] + share * (ramp.heights[-1] - ramp.heights[0])
    table = np.zeros((RAMP_STEPS, 4), np.uint8)
    for band in range(3):
        table[:, band] = np.rint(np.interp(heights, ramp.heights, ramp.colours[:, band]))
    return table.view(np.uint32).ravel()


def painter(style: str, ramp: Ramp) -> Callable[[Patch], Patch]:
    """Heights to colours in one of the `PAINTED` styles.

    Raises
    ------
    KeyError
        There is no such style.
    """
    paint = {
        "hillshade": lambda patch: _grey(np.rint(255 * light(patch))),
        "multidirectional-hillshade": lambda patch: _grey(np.rint(255 * light_all_round(patch))),
        "relief": lambda patch: ramp.paint(patch.values[0]),
        "shaded-relief": lambda patch: _shaded(ramp.paint(patch.values[0]), light(patch)),
        "slope": lambda patch: _grey(slope_grey(slope_degrees(patch))),
        "aspect": lambda patch: aspect_colours(*aspect_degrees(patch)),
    }[style]

    def painted(patch: Patch) -> Patch:
        return Patch(values=np.moveaxis(paint(patch), 2, 0), valid=patch.valid, bounds=patch.bounds, crs=patch.crs)

    return painted


def light(patch: Patch) -> np.ndarray:
    """How much light falls on each cell, 0 to 1; level ground has sin(ALTITUDE). (row, col) of float32."""
    east, north = gradients(patch)
    return _light_from(AZIMUTH, east, north, np.sqrt(1 + east * east + north * north))


def _light_from(azimuth: float, east: np.ndarray, north: np.ndarray, steepness: np.ndarray) -> np.ndarray:
    azimuth, altitude = math.radians(azimuth), math.radians(ALTITUDE)
    toward_east, toward_north = math.sin(azimuth) * math.cos(altitude), math.cos(azimuth) * math.cos(altitude)
    facing = np.float32(math.sin(altitude)) - east * np.float32(toward_east) - north * np.float32(toward_north)
    return np.clip(facing / steepness, 0, 1)


def light_all_round(patch: Patch) -> np.ndarray:
    """Light from south-west round to north, each direction counting most on slopes that look along it, so that no ridge is lost for lying along
    the light.

    0 to 1, (row, col) of float32; level ground has sin(ALTITUDE). Source: the four directions of Mark (1992), Multidirectional, oblique-weighted,
    shaded-relief image of the Island of Hawaii, USGS Open-File Report 92-422, weighted as `gdaldem hillshade -multidirectional` weights them.
    """
    east, north = gradients(patch)
    square = east * east + north * north
    steepness = np.sqrt(1 + square)
    total = np.zeros(east.shape, np.float32)
    for azimuth in AZIMUTHS:
        sine, cosine = np.float32(math.sin(math.radians(azimuth))), np.float32(math.cos(math.radians(azimuth)))
        along = east * sine + north * cosine                           # cosine of the angle between the slope's aspect and the light, times the slope
        share = np.where(square > 0, along * along / np.maximum(square, np.float32(1e-12)), np.float32(0.5))
        total += share * _light_from(azimuth, east, north, steepness)
    return np.clip(total / 2, 0, 1)


def aspect_degrees(patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Where each cell looks, clockwise from north, and its slope, both in degrees: (row, col) of float32 each. Level cells look north."""
    east, north = gradients(patch)
    return np.degrees(np.arctan2(-east, -north)) % 360, np.degrees(np.arctan(np.hypot(east, north)))


def aspect_colours(aspect: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """A hue for every direction, lighter towards the light of a hillshade, and the paler the more level the ground. (row, col, 3) of uint8."""
    table = _aspect_table()
    vivid = np.clip(slope / np.float32(VIVID_FROM), 0, 1) ** np.float32(0.6)
    return table[np.rint(vivid * (len(table) - 1)).astype(np.intp), np.rint(aspect).astype(np.intp) % 360]


@lru_cache(maxsize=1)
def _aspect_table(steps: int = 64) -> np.ndarray:
    """(vividness, degree, 3) of uint8: hues of OKLCH (a published colour space of even lightness), turned so that north is blue and south is warm."""
    vivid, aspect = np.meshgrid(np.linspace(0, 1, steps), np.radians(np.arange(360.0)), indexing="ij")
    lightness = 0.93 + vivid * (-0.20 + 0.11 * np.cos(aspect - math.radians(AZIMUTH)))
    chroma, hue = 0.085 * vivid, math.radians(250) + aspect
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    long, medium, short = (
        (lightness + x * a + y * b) ** 3 for x, y in ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.2914855480))
    )
    linear = np.stack([
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    ], axis=-1).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def slope_degrees(patch: Patch) -> np.ndarray:
    """Steepest slope of each cell. (row, col) of float32."""
    east, north = gradients(patch)
    return np.degrees(np.arctan(np.hypot(east, north)))


def slope_grey(degrees: np.ndarray) -> np.ndarray:
    """White where level, `DARKEST` from `STEEPEST` on."""
    return np.rint(255 - (255 - DARKEST) * np.clip(degrees / np.float32(STEEPEST), 0, 1))


def gradients(patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Rise per metre toward the east and toward the north, by Horn's operator. (row, col) of float32 each."""
    heights = np.ascontiguousarray(patch.values[0], np.float32)
    across, down = (cv2.Sobel(heights, cv2.CV_32F, *order, ksize=3, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1)))
    if not patch.valid.all():
        _mend_beside_gaps(across, down, heights, patch.valid)
    width, height = ground_cell(patch)
    return across / (8 * width), down / (-8 * height)


def ground_cell(patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """True metres on the ground across and down one cell: (row, 1) of float32 each, since degrees and Mercator metres shrink northward."""
    rows, cols = patch.values.shape[1:]
    step_x, step_y = patch.bounds.width / cols, patch.bounds.height / rows
    y = patch.bounds.top - (np.arange(rows) + 0.5) * step_y
    if crs_room.is_geographic(patch.crs):
        degree = math.radians(1) * EARTH_RADIUS
        width, height = step_x * degree * np.cos(np.radians(y)), np.full(rows, step_y * degree)
    elif patch.crs == "EPSG:3857":
        shrink = 1 / np.cosh(y / EARTH_RADIUS)
        width, height = step_x * shrink, step_y * shrink
    else:
        metres = crs_room.to_pyproj(patch.crs).axis_info[0].unit_conversion_factor
        width, height = np.full(rows, step_x * metres), np.full(rows, step_y * metres)
    return width.astype(np.float32)[:, None], height.astype(np.float32)[:, None]


def _mend_beside_gaps(across: np.ndarray, down: np.ndarray, heights: np.ndarray, valid: np.ndarray) -> None:
    """Horn's differences anew for cells beside a gap: a neighbour without data counts as the cell itself. In a gap there is no slope."""
    across[~valid], down[~valid] = 0, 0
    near_gap = cv2.dilate((~valid).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, cols = np.nonzero(near_gap & valid)
    own, rise_across, rise_down = heights[rows, cols], np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            place = np.clip(rows + dy, 0, heights.shape[0] - 1), np.clip(cols + dx, 0, heights.shape[1] - 1)
            neighbour = np.where(valid[place], heights[place], own)
            rise_across += dx * (2 - abs(dy)) * neighbour
            rise_down += dy * (2 - abs(dx)) * neighbour
    across[rows, cols], down[rows, cols] = rise_across, rise_down


def _grey(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def _shaded(colours: np.ndarray, light_on: np.ndarray) -> np.ndarray:
    """Colours by light, level ground keeping the colour of the legend."""
    return np.minimum(colours * (light_on / np.float32(math.sin(math.radians(ALTITUDE))))[..., None], 255).astype(np.uint8)
