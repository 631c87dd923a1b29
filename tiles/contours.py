"""Contours of heights, drawn so that neighbouring tiles agree.

Lines are those of the view's own pixels (or of the cells of a degraded grid, moved into them), taken by marching squares; each piece of a line
depends on the heights around it alone. The interval follows the scale (config/contours.csv): every fifth line is an index contour, and supplementary
ones fill plains; lines that would run into one another on a steep slope fade. Labels stand in squares of `SQUARE` pixels that lie where tiles lie,
at most one in a square and wholly within it: so none is cut by the edge of a tile, none meets another, and each is the same whichever picture it
is in.
"""

import csv
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import contourpy
import cv2
import numpy as np
import pylopdf_fonts_zh_cn as fonts
from PIL import Image, ImageDraw, ImageFont

from layers import crs as crs_room
from layers.model import Bounds, View
from layers.mosaic.reader import MosaicReader
from tiles.squares import LARGEST_PIECE, MARGIN, SQUARE, Frame, origin, pieces

INK, LABEL_INK = (178, 107, 43), (138, 74, 22)
"""Brown of relief on printed maps: lines, and labels a little darker."""

INDEX = 5
"""Every fifth contour is an index contour."""

SHORTEST_LOOP = 20
"""Pixels around: a closed line that is shorter is a grain of the data, not a hill."""

SMOOTHING = 0.7
"""Pixels (standard deviation), or this much of a source pixel where that is larger: stairs of the source are not hills either."""

WIDTHS = {"index": 1.0, "basic": 0.5, "supplementary": 0.5}
"""Pixels, beside the pixel that smoothing adds."""

OPACITIES = {"index": 1.0, "basic": 0.9, "supplementary": 0.5}

HALO, HALO_OPACITY = (255, 250, 240), 205
"""Around the letters of labels, so that they can be read over any ground."""

BLOCK = 128
"""Pixels: side of the blocks in which lines are traced, each at the levels that it holds."""

OVERSAMPLING, FRACTION_BITS = 2, 4
LETTERS, GAP = 11.0, 3.0
"""Pixels: size of labels, and the room that a line leaves before and after one."""

STRAIGHT = 0.94
"""Chord over length of the line beneath a label, at least."""

LATITUDE_OF_SCALE = 33.0
"""Degrees: where a pixel of Web Mercator or of degrees is measured for the interval, one for all tiles of a level: the middle of the province."""

MOST_LEVELS = 400
"""In a square: where there are more, none bears a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    coarsest: float             # scale denominator to which it is drawn
    basic: float                # metres
    supplementary: float        # metres


@dataclass(frozen=True, slots=True)
class ContourStyle:
    """Intervals by scale, from the finest scale to the coarsest."""

    intervals: tuple[Interval, ...]

    @classmethod
    def load(cls, path: Path) -> "ContourStyle":
        """Reads coarsest_scale,interval,supplementary,source."""
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        found = tuple(
            Interval(coarsest=float(row["coarsest_scale"]), basic=float(row["interval"]), supplementary=float(row["supplementary"])) for row in rows
        )
        if list(found) != sorted(found, key=lambda one: one.coarsest) or not found or found[-1].coarsest != math.inf:
            raise ValueError(f"{path.name}: scales must rise from row to row, the last one to `inf`")
        return cls(found)

    def at(self, scale: float) -> Interval:
        return next(one for one in self.intervals if scale <= one.coarsest)


def contour_scale(view: View) -> float:
    """The scale denominator by which the interval is chosen: the same for all tiles of a level."""
    step = min(view.resolution)
    if view.crs == "EPSG:3857":
        step *= math.cos(math.radians(LATITUDE_OF_SCALE))
    elif crs_room.is_geographic(view.crs):
        step *= math.radians(1) * 6378137.0
    return step / 0.00028


def contour_picture(reader: MosaicReader, view: View, style: ContourStyle, symbol_scale: float = 1.0, *, plain: bool = False) -> Image.Image:
    """The contours of what `reader` reads, on nothing: RGBA. `plain` has no labels, and no pixel that depends on more than its neighbours.

    A large view is drawn as tiles are, piece by piece, so that what is held at once does not grow with it.
    """
    if max(view.width, view.height) <= LARGEST_PIECE:
        return _piece(reader, view, style, symbol_scale, plain)
    whole = Image.new("RGBA", (view.width, view.height))
    step_x, step_y = view.resolution
    for top, bottom in pieces((origin(view.crs)[1] - view.bounds.top) / step_y, view.height):
        for left, right in pieces((view.bounds.left - origin(view.crs)[0]) / step_x, view.width):
            west, north = view.bounds.left + left * step_x, view.bounds.top - top * step_y
            bounds = Bounds(west, north - (bottom - top) * step_y, west + (right - left) * step_x, north)
            piece = View(crs=view.crs, bounds=bounds, width=right - left, height=bottom - top)
            whole.paste(_piece(reader, piece, style, symbol_scale, plain), (left, top))
    return whole


def _piece(reader: MosaicReader, view: View, style: ContourStyle, symbol_scale: float, plain: bool) -> Image.Image:
    frame = Frame.around(view)
    patch = reader.read(frame.view)
    pixels = np.zeros((view.height, view.width, 4), np.uint8)
    if patch is not None and patch.valid.any():
        heights = _filled(patch.values[0], patch.valid, 0.0 if plain else _smoothing(reader, view))
        interval = style.at(contour_scale(view) * symbol_scale)
        drawing = _Drawing(heights, patch.valid, interval, frame, symbol_scale, plain)
        lines, labels = (frame.cut(one) for one in drawing.draw())
        pixels = _inked(lines, labels)
        pixels[~frame.cut(patch.valid)] = 0
    return Image.fromarray(pixels)


def _inked(lines: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lines with labels over them, each label over its halo: (row, col, 4) of uint8, 0 where nothing is drawn."""
    pixels = np.zeros((*lines.shape, 4), np.uint8)
    pixels[..., 3] = lines
    pixels[lines > 0, :3] = INK
    if labels.any():
        halo = np.minimum(cv2.GaussianBlur(cv2.dilate(labels, np.ones((3, 3), np.uint8)), (0, 0), 0.9).astype(np.float32) * 1.4, 255) * (HALO_OPACITY / 255)
        there = (np.maximum(halo, labels) > lines).nonzero()
        around = np.maximum(halo[there], labels[there])
        share = (labels[there] / np.maximum(around, 1))[:, None]
        pixels[there] = np.c_[share * LABEL_INK + (1 - share) * HALO, around].astype(np.uint8)
        pixels[pixels[..., 3] == 0] = 0
    return pixels


def _smoothing(reader: MosaicReader, view: View) -> float:
    """Standard deviation in pixels."""
    pixels = (reader.edition.resolution or 0.0) / (contour_scale(view) * 0.00028)
    return min(max(SMOOTHING, SMOOTHING * pixels), MARGIN / 3)


def _filled(heights: np.ndarray, valid: np.ndarray, sigma: float) -> np.ndarray:
    """Heights smoothed over those that are known; in gaps what their neighbours make likely."""
    heights = heights.astype(np.float32)
    if sigma <= 0:
        return heights
    known = valid.astype(np.float32)
    total = cv2.GaussianBlur(heights * known, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    share = cv2.GaussianBlur(known, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.where(share > 1e-6, total / np.maximum(share, 1e-6), heights)


@dataclass(slots=True)
class _Line:
    level: float
    points: np.ndarray          # (n, 2) of column and row, centres of pixels at whole numbers


@dataclass(slots=True)
class _Drawing:
    """Lines and labels over the pixels of a frame."""

    heights: np.ndarray
    valid: np.ndarray
    interval: Interval
    frame: Frame
    symbol_scale: float
    plain: bool

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Opacity of lines and of labels, (row, col) of uint8 each."""
        basic, fine = self.interval.basic, self.interval.supplementary
        steepness = self._steepness()
        blocks = [self._block(left + x, top + y) for left, top in self.frame.squares for x in (0, BLOCK) for y in (0, BLOCK)]
        alpha = np.zeros(self.heights.shape, np.uint8)
        for kind, step, but_not, (from_px, to_px) in (
            ("supplementary", fine, basic, (5.0, 9.0)), ("basic", basic, INDEX * basic, (2.2, 4.0)), ("index", INDEX * basic, None, (0.5, 1.0)),
        ):
            spacing = step / np.maximum(steepness, 1e-9)                                          # pixels between two lines
            shown = np.clip((spacing - from_px) / (to_px - from_px), 0, 1)
            near = cv2.dilate((self.valid & (shown > 0)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0      # as far as a line is wide
            lines = [line for block in blocks for line in self._traced(block, step, but_not, near[block])]
            if lines:
                alpha = np.maximum(alpha, (self._stroked(lines, WIDTHS[kind]) * (OPACITIES[kind] * shown)).astype(np.uint8))
        labels = np.zeros_like(alpha)
        if not self.plain:
            for corner in self.frame.squares:
                self._label(corner, steepness, alpha, labels)
        return alpha, labels

    def _steepness(self) -> np.ndarray:
        """Metres a pixel."""
        heights = self.heights if self.plain else cv2.GaussianBlur(self.heights, (0, 0), 2.5, borderType=cv2.BORDER_REPLICATE)
        across, down = (cv2.Sobel(heights, cv2.CV_32F, *order, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1)))
        return np.hypot(across, down)

    def _block(self, left: int, top: int, side: int = BLOCK) -> tuple[slice, slice]:
        """With the pixels that the lines of its neighbours begin at; those at the frame's edge reach to it."""
        rows, cols = self.heights.shape
        outer = {MARGIN - 1: 0, MARGIN: 0, MARGIN + 1: 0}
        bottom, right = top + side + 1, left + side + 1
        return (
            slice(outer.get(top, top), rows if bottom + MARGIN + 1 >= rows else bottom),
            slice(outer.get(left, left), cols if right + MARGIN + 1 >= cols else right),
        )

    def _traced(self, block: tuple[slice, slice], step: float, but_not: float | None, near: np.ndarray | None = None) -> list[_Line]:
        """Lines at whole multiples of `step` that are none of `but_not`: all of them in the block, or those that pass `near`."""
        heights, valid = self.heights[block], self.valid[block]
        found = _levels_in(heights[valid], step) if near is None else _levels_near(heights, valid & near, step)
        every = round(but_not / step) if but_not else 0
        numbers = [number for number in found if not every or number % every]
        if not numbers or (near is None and len(numbers) > MOST_LEVELS):
            return []
        z = heights if valid.all() else np.ma.masked_array(heights, ~valid)
        generator = contourpy.contour_generator(z=z, line_type=contourpy.LineType.Separate)
        offset = np.array([block[1].start, block[0].start], float)
        return [
            _Line(number * step, points + offset)
            for number in numbers for points in generator.lines(number * step) if self.plain or not _is_grain(points)
        ]

    def _stroked(self, lines: list[_Line], width: float) -> np.ndarray:
        rows, cols = self.heights.shape
        canvas = np.zeros((rows * OVERSAMPLING, cols * OVERSAMPLING), np.uint8)
        unit = OVERSAMPLING << FRACTION_BITS
        points = [np.rint((one.points + 0.5) * unit - (1 << FRACTION_BITS) / 2).astype(np.int32) for one in lines]
        if self.plain:
            points = _in_one_order(points)
        thickness = max(1, round(width * OVERSAMPLING * self.symbol_scale))
        cv2.polylines(canvas, points, False, 255, thickness, cv2.LINE_AA, FRACTION_BITS)
        return cv2.resize(canvas, (cols, rows), interpolation=cv2.INTER_AREA)

    # Labels

    def _label(self, corner: tuple[int, int], steepness: np.ndarray, alpha: np.ndarray, labels: np.ndarray) -> None:
        """The best place in a square, on the strongest lines that have one."""
        basic, fine = self.interval.basic, self.interval.supplementary
        window = slice(corner[1], corner[1] + SQUARE), slice(corner[0], corner[0] + SQUARE)
        for step, but_not, least in ((INDEX * basic, None, 4.0), (basic, INDEX * basic, 6.0), (fine, basic, 10.0)):
            places = (self._best_place(line, corner, steepness, least, step) for line in self._traced(window, step, but_not))
            found = max((place for place in places if place), key=lambda place: place[0], default=None)
            if found:
                self._write(*found[1:], alpha, labels)
                return

    def _best_place(self, line: _Line, corner: tuple[int, int], steepness: np.ndarray, least_px: float, step: float):
        """(score, x, y, angle, text) of the straightest piece near the middle; None where none is straight, or lines lie too close."""
        text = f"{line.level:g}"
        half = _font(LETTERS * self.symbol_scale).getlength(text) / 2 + GAP
        along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(line.points, axis=0).T))]
        at = np.arange(half, along[-1] - half, 3.0)
        if not len(at):
            return None
        x, y = (np.interp(at, along, line.points[:, axis]) for axis in (0, 1))
        (x0, y0), (x1, y1) = ([np.interp(at + shift, along, line.points[:, axis]) for axis in (0, 1)] for shift in (-half, half))
        chord = np.hypot(x1 - x0, y1 - y0)
        turned = np.where((x1 < x0) | ((x1 == x0) & (y1 > y0)), -1.0, 1.0)
        cos, sin = turned * (x1 - x0) / np.maximum(chord, 1e-9), turned * (y1 - y0) / np.maximum(chord, 1e-9)
        inset, room = LETTERS * self.symbol_scale * 0.7 + 2, half + 2
        reach_x, reach_y = np.abs(cos) * room + np.abs(sin) * inset, np.abs(sin) * room + np.abs(cos) * inset
        from_middle_x, from_middle_y = x - corner[0] - SQUARE / 2, y - corner[1] - SQUARE / 2
        cols, rows = np.rint(x).astype(int), np.rint(y).astype(int)
        fits = (np.abs(from_middle_x) + reach_x < SQUARE / 2) & (np.abs(from_middle_y) + reach_y < SQUARE / 2)
        fits &= (chord / (2 * half) > STRAIGHT) & (step / np.maximum(steepness[rows, cols], 1e-9) > least_px)
        if not fits.any():
            return None
        side = 2                                                # pixels to either side: is the top of the letters uphill?
        above = self.heights[np.rint(y - side * cos).astype(int), np.rint(x + side * sin).astype(int)]
        below = self.heights[np.rint(y + side * cos).astype(int), np.rint(x - side * sin).astype(int)]
        score = 3 * chord / (2 * half) - np.hypot(from_middle_x, from_middle_y) / SQUARE + 0.3 * (above > below) + 0.3 * cos
        score = np.where(fits, score, -np.inf)
        best = int(np.argmax(score))
        return float(score[best]), float(x[best]), float(y[best]), math.degrees(math.atan2(sin[best], cos[best])), text

    def _write(self, x: float, y: float, angle: float, text: str, alpha: np.ndarray, labels: np.ndarray) -> None:
        letters = _letters(text, LETTERS * self.symbol_scale, round(angle))
        rows, cols = letters.shape
        top, left = round(y - rows / 2), round(x - cols / 2)
        length = _font(LETTERS * self.symbol_scale).getlength(text) + GAP
        gap = cv2.boxPoints(((x, y), (length, LETTERS * self.symbol_scale * 0.95), angle))
        cv2.fillConvexPoly(alpha, np.rint(gap * 16).astype(np.int32), 0, cv2.LINE_AA, 4)
        first_row, first_col = max(0, -top), max(0, -left)
        place = slice(max(top, 0), max(top + rows, 0)), slice(max(left, 0), max(left + cols, 0))
        shown = labels[place]
        np.maximum(shown, letters[first_row : first_row + shown.shape[0], first_col : first_col + shown.shape[1]], out=shown)


def _levels_in(heights: np.ndarray, step: float) -> list[int]:
    """Numbers of the levels between the lowest and the highest."""
    return list(range(math.ceil(heights.min() / step), math.floor(heights.max() / step) + 1)) if heights.size else []


def _levels_near(heights: np.ndarray, near: np.ndarray, step: float) -> list[int]:
    """Numbers of the levels that pass between a pixel and its neighbours, of the pixels `near`: what lies elsewhere in the block changes nothing
    here, and a block with a peak in it is not searched at a thousand levels."""
    if not near.any():
        return []
    around = np.ones((3, 3), np.uint8)
    low, high, own = (one[near] / step for one in (cv2.erode(heights, around), cv2.dilate(heights, around), heights))
    own = np.floor(own)
    return sorted({
        int(number) for shift in range(-3, 5) for number in np.unique((own + shift)[(own + shift >= low) & (own + shift <= high)]).tolist()
    })


def _in_one_order(lines: list[np.ndarray]) -> list[np.ndarray]:
    """The pieces of lines one by one, in an order that depends on where each lies alone. Pieces that meet are mixed by rounded numbers, so which is drawn
    first can be told; where a line begins depends on all of it."""
    pieces = np.concatenate([np.c_[one[:-1], one[1:]] for one in lines])
    return list(pieces[np.lexsort(pieces.T[::-1])].reshape(-1, 2, 2))


def sample_of(kind: str, width: int, height: int) -> np.ndarray:
    """A line of that kind as the map draws it, (row, col, 4) of uint8; an index contour with its label."""
    x = np.arange(width)
    line = _Line(50.0, np.c_[x, height / 2 + 2.5 * np.sin(x / width * 2 * np.pi)])
    frame = Frame.around(View(crs="EPSG:3857", bounds=Bounds(0, 0, width, height), width=width, height=height))
    drawing = _Drawing(np.zeros((height, width)), np.ones((height, width), bool), Interval(coarsest=0, basic=10, supplementary=2), frame, 1.0, False)
    lines, labels = drawing._stroked([line], WIDTHS[kind]), np.zeros((height, width), np.uint8)
    if kind == "index":
        drawing._write(width / 2, height / 2, 0.0, f"{line.level:g}", lines, labels)
    return _inked((lines * OPACITIES[kind]).astype(np.uint8), labels)


def _is_grain(points: np.ndarray) -> bool:
    """Whether a line is closed and too short to be a hill."""
    if len(points) > 4 * SHORTEST_LOOP or not (points[0] == points[-1]).all():
        return False
    return np.hypot(*np.diff(points, axis=0).T).sum() < SHORTEST_LOOP


@lru_cache(maxsize=16)
def _font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(fonts.sans_path()), size)


@lru_cache(maxsize=4096)
def _letters(text: str, size: float, angle: int) -> np.ndarray:
    """Opacity of a text turned clockwise by `angle` degrees about its middle: (row, col) of uint8."""
    fine = 4
    font = _font(size * fine)
    length = math.ceil(font.getlength(text))
    side = fine * math.ceil((length + 2 * size) / fine)
    canvas = Image.new("L", (side, side))
    ImageDraw.Draw(canvas).text((side / 2, side / 2), text, fill=255, font=font, anchor="mm")
    turned = canvas.rotate(-angle, Image.Resampling.BICUBIC)
    return np.asarray(turned.resize((side // fine, side // fine), Image.Resampling.BOX))
