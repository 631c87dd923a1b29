"""The orthophoto of the model county: the land of the line map as seen from the air, at 1 m, RGB.

Painted in blocks of 500 m that lie on one grid, each always in the same way: sheets cut from them agree to the pixel where they overlap.
Sun from the south-east, as on a morning flight. Arrays are (row, col) or (row, col, band), row 0 north; colours are floats until the end.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from shapely import STRtree
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from geoserver_app.model_county import plan
from geoserver_app.model_county.features import FOREST_CELL, Block, County
from geoserver_app.model_county.terrain import CELL, distance, noise, smoothstep

BLOCK, MARGIN = 500, 14  # small enough for the processor's cache
SIDE = BLOCK + 2 * MARGIN
TEXTURE = 1000  # textures repeat after so many metres
SUN = np.array([0.55, -0.55, 0.63])  # towards the sun: east, north, up
SHADOW = np.array([-0.62, 0.62])  # metres of shadow, east and north, per metre of height

CROPS = np.array(
    [
        (104, 128, 72),
        (116, 138, 78),
        (92, 118, 66),
        (126, 146, 88),
        (86, 112, 68),
        (138, 150, 96),
        (148, 152, 104),
        (110, 132, 84),
        (156, 146, 106),
        (140, 128, 92),
        (166, 158, 118),
        (98, 124, 58),
        (120, 140, 70),
        (168, 162, 80),
        (104, 122, 88),
        (132, 118, 88),
    ],
    np.float32,
)
ROOFS = np.array(
    [(150, 92, 74), (128, 80, 66), (112, 110, 108), (90, 90, 92), (166, 158, 148), (186, 184, 180), (84, 118, 160), (140, 104, 86)],
    np.float32,
)
BIG_ROOFS = np.array([(92, 132, 176), (204, 206, 206), (172, 176, 178), (120, 150, 182), (190, 186, 176), (150, 98, 84)], np.float32)
GROUND = {
    "住宅": (146, 142, 128),
    "商业": (164, 160, 152),
    "学校": (142, 146, 122),
    "公园": (96, 122, 74),
    "工业": (158, 154, 144),
    "农村": (140, 134, 110),
}
ROAD_COLOURS = {"公路": (156, 154, 150), "街道": (136, 136, 134), "机耕路": (172, 160, 130)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A shape with the colour and width (metres; 0: filled) it is painted in."""

    shape: BaseGeometry
    colour: tuple[float, float, float]
    width: float = 0.0


class Painting:
    """Paints any block of the county. Prepared once; safe to use from several threads."""

    def __init__(self, county: County):
        frame = self.frame = county.terrain.frame
        self._farms = county.farms
        self._textures = _periodic(1, 1.2), _crowns(), _periodic(3, 5.0)
        height = cv2.resize(county.terrain.heights, frame.shape(FOREST_CELL)[::-1], interpolation=cv2.INTER_AREA)
        self._forest = county.forest
        self._shade = _shade(county.terrain.heights)
        self._ground = _ground(frame.shape(FOREST_CELL), height)
        slope = cv2.resize(county.terrain.slope, frame.shape(FOREST_CELL)[::-1], interpolation=cv2.INTER_LINEAR)
        self._tilled = (
            (1 - smoothstep(0.06, 0.12, slope)) * (1 - smoothstep(26, 48, height)) * (1 - smoothstep(0.3, 0.45, county.forest))
        ).astype(np.float32)
        waters = [g for g, a in county.lines("HYDA")] + [county.terrain.river, county.terrain.lake]
        self._depth = (1 - np.exp(-distance(~frame.burn(waters, FOREST_CELL), FOREST_CELL) / 110)).astype(np.float32)
        self._silt = noise(frame.shape(FOREST_CELL), 90, 81, 5).astype(np.float32)
        self._trees = _Index(
            [
                *(Stroke(shape=b.shape.boundary, colour=(0.62,) * 3, width=26) for b in county.blocks if b.kind == "农村"),
                *(Stroke(shape=g, colour=(0.60,) * 3, width=a["WIDTH"] + 13) for g, a in county.lines("LRDL") if a["WIDTH"] > 8),
                *(Stroke(shape=g, colour=(0.5,) * 3, width=a["WIDTH"] + 16) for g, a in county.lines("HYDL")),
            ]
        )
        self._banks = _Index(
            [
                *(Stroke(shape=g, colour=(122, 128, 92), width=15) for g, a in county.lines("HFCL") if a["TYPE"] == "干堤"),
                *(Stroke(shape=g, colour=(176, 170, 156), width=10) for g, a in county.lines("HFCL") if a["TYPE"] != "干堤"),
                *(Stroke(shape=g, colour=(170, 162, 140), width=4) for g, a in county.lines("HFCL") if a["TYPE"] == "干堤"),
            ]
        )
        self._waters = _Index(
            [
                *(Stroke(shape=g, colour=(255,) * 3) for g in waters),
                *(Stroke(shape=g, colour=(255,) * 3, width=max(a["WIDTH"], 3)) for g, a in county.lines("HYDL")),
            ]
        )
        self._plots = _Index([Stroke(shape=b.shape, colour=GROUND[b.kind]) for b in county.blocks])
        self._houses = _houses(county.blocks)
        self._house_tree = STRtree(shapely.points(self._houses[:, :2]))
        self._fields = _Index([s for b in county.blocks if b.kind in ("学校", "公园") for s in _grounds(b)])
        self._roads = _Index(_road_strokes(county))

    def paint(self, bounds: tuple[int, int, int, int], workers: int = 2, done: Callable[[int], None] | None = None) -> np.ndarray:
        """Pixels of `bounds` (left, bottom, right, top: EPSG:4549, whole metres) as uint8 (row, col, band)."""
        left, bottom, right, top = (int(v) for v in bounds)
        image = np.empty((top - bottom, right - left, 3), np.uint8)
        blocks = [(x, y) for y in range(bottom // BLOCK, -(-top // BLOCK)) for x in range(left // BLOCK, -(-right // BLOCK))]

        def place(block: tuple[int, int]) -> None:
            x, y = block[0] * BLOCK, block[1] * BLOCK
            west, south, east, north = max(x, left), max(y, bottom), min(x + BLOCK, right), min(y + BLOCK, top)
            image[top - north : top - south, west - left : east - left] = self._block(x, y)[
                y + BLOCK - north : y + BLOCK - south, west - x : east - x
            ]
            if done:
                done((east - west) * (north - south))

        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(place, blocks):
                pass
        return image

    def _block(self, x: int, y: int) -> np.ndarray:
        """The block whose south-west corner is (x, y), painted from the ground up."""
        left, top = x - MARGIN, y + BLOCK + MARGIN
        row, col = -(y + BLOCK) % TEXTURE, x % TEXTURE
        canvas = _Canvas(left, top, *(t[row : row + SIDE, col : col + SIDE] for t in self._textures))
        forest = self._fine(self._forest, FOREST_CELL, left, top)
        image = self._fine(self._ground, FOREST_CELL, left, top)
        self._plough(image, canvas)
        self._plant(image, forest, canvas)
        image *= self._fine(self._shade, CELL, left, top)[..., None]
        canvas.draw(image, self._banks)
        self._flood(image, canvas)
        canvas.draw(image, self._plots)
        canvas.draw(image, self._fields)
        self._build(image, canvas)
        canvas.draw(image, self._roads)
        image += (canvas.grain * 5.0)[..., None]
        image = cv2.GaussianBlur(image, (3, 3), 0.55)
        return np.clip(image[MARGIN:-MARGIN, MARGIN:-MARGIN], 1, 254).astype(np.uint8)

    def _fine(self, grid: np.ndarray, cell: int, left: int, top: int) -> np.ndarray:
        """`grid` over one block at 1 m, interpolated; edges repeated."""
        pad = 3
        rows, cols = grid.shape[:2]
        first_row, first_col = int((self.frame.top - top) // cell) - pad, int((left - self.frame.left) // cell) - pad
        count = SIDE // cell + 2 * pad
        part = grid[np.clip(np.arange(first_row, first_row + count), 0, rows - 1)][
            :, np.clip(np.arange(first_col, first_col + count), 0, cols - 1)
        ]
        wide = cv2.resize(part, (count * cell, count * cell), interpolation=cv2.INTER_LINEAR)
        row, col = int(self.frame.top - top) - first_row * cell, int(left - self.frame.left) - first_col * cell
        return np.ascontiguousarray(wide[row : row + SIDE, col : col + SIDE])

    def _plough(self, image: np.ndarray, canvas: "_Canvas") -> None:
        """Strips of fields, each quarter in its own direction, with banks between them."""
        left, top = canvas.left, canvas.top
        tilled = self._fine(self._tilled, FOREST_CELL, left, top) + 0.10 * canvas.ripple > 0.5
        if not tilled.any():
            return
        near = self._farms_near(left, top)
        across, down = np.meshgrid(np.arange(SIDE, dtype=np.float32) + 0.5, np.arange(SIDE, dtype=np.float32) + 0.5)
        nearest, second, label = (
            np.full((SIDE, SIDE), 1e12, np.float32),
            np.full((SIDE, SIDE), 1e12, np.float32),
            np.zeros((SIDE, SIDE), np.int32),
        )
        for i in near:
            away = (across - np.float32(self._farms[i, 0] - left)) ** 2 + (down - np.float32(top - self._farms[i, 1])) ** 2
            closer = away < nearest
            second = np.where(closer, nearest, np.minimum(second, away))
            label[closer] = i
            np.minimum(nearest, away, out=nearest)
        angle, width = self._farms[:, 2].astype(np.float32), self._farms[:, 3].astype(np.float32)
        cos, sin = np.take(np.cos(angle), label), np.take(np.sin(angle), label)
        dx, dy = (
            across - np.take((self._farms[:, 0] - left).astype(np.float32), label),
            np.take((top - self._farms[:, 1]).astype(np.float32), label) - down,
        )
        along, aside = dx * cos + dy * sin, dy * cos - dx * sin
        row = np.floor(aside / 88)
        wide = np.take(width, label)
        strip = (along + 37 * (row % 3)) / wide
        number = np.floor(strip)
        mixed = (number.astype(np.int32) // 2 * 73856093) ^ (row.astype(np.int32) * 19349663) ^ (label * 83492791)
        mixed = (mixed ^ (mixed >> 13)) & 0xFFFF
        fields = np.take(CROPS, ((mixed & 7) + 5 * (label % 3)) & 15, axis=0)
        tone = ((mixed >> 4) % 23 - 11 + ((number.astype(np.int32) * 7 + mixed) % 5) * 2.5).astype(np.float32)
        tone += 3.0 * np.sin(along * np.float32(2.1)) + 5 * canvas.ripple
        edge = (np.abs(strip - np.round(strip)) * wide < 0.7) | (np.abs(aside / 88 - np.round(aside / 88)) * 88 < 1.4)
        tone -= 13 * edge
        fields += tone[..., None]
        margin = np.sqrt(second) - np.sqrt(nearest) < 14
        fields[margin] = (118, 124, 88)
        cv2.copyTo(fields, tilled.astype(np.uint8), image)

    def _farms_near(self, left: int, top: int) -> np.ndarray:
        """Numbers of the quarters that are nearest or second nearest somewhere in a block, looked up every 25 m."""
        close = np.flatnonzero(np.hypot(self._farms[:, 0] - left - SIDE / 2, self._farms[:, 1] - top + SIDE / 2) < 2200)
        steps = np.arange(0, SIDE + 25, 25)
        x, y = np.meshgrid(left + steps, top - steps)
        away = (x.ravel()[:, None] - self._farms[close, 0]) ** 2 + (y.ravel()[:, None] - self._farms[close, 1]) ** 2
        return close[np.unique(np.argpartition(away, 2, axis=1)[:, :2])]

    def _plant(self, image: np.ndarray, forest: np.ndarray, canvas: "_Canvas") -> None:
        rows = np.zeros((SIDE, SIDE), np.float32)
        canvas.draw(rows, self._trees)
        cover = np.maximum(forest, rows * (0.72 + 0.5 * canvas.ripple))
        alpha = np.clip((cover + 0.22 * canvas.crowns + 0.10 * canvas.ripple - 0.46) * 5, 0, 1)[..., None]
        shade = (1 + 0.30 * canvas.crowns + 0.10 * canvas.ripple)[..., None]
        image *= 1 - alpha
        image += alpha * shade * np.array((58, 82, 48), np.float32)

    def _flood(self, image: np.ndarray, canvas: "_Canvas") -> None:
        mask = np.zeros((SIDE, SIDE), np.float32)
        canvas.draw(mask, self._waters)
        if not mask.any():
            return
        mask = cv2.GaussianBlur(mask / 255, (0, 0), 1.0)
        wide = cv2.blur(cv2.blur(mask, (11, 11)), (11, 11))
        bank = np.clip(wide * 3.2, 0, 1) * (1 - mask) * 0.5
        image += bank[..., None] * (np.array((112, 112, 80), np.float32) - image)
        depth = self._fine(self._depth, FOREST_CELL, canvas.left, canvas.top)
        silt = self._fine(self._silt, FOREST_CELL, canvas.left, canvas.top)
        tint = np.array((96, 112, 94), np.float32) + depth[..., None] * np.array((-22, -4, 12), np.float32)
        tint += (7 * silt + 2.6 * canvas.ripple)[..., None]
        image += mask[..., None] * (tint - image)

    def _build(self, image: np.ndarray, canvas: "_Canvas") -> None:
        """Houses, each with its shadow and a ridge lit on the sunny side."""
        found = np.sort(self._house_tree.query(box(canvas.left - 60, canvas.top - SIDE - 60, canvas.left + SIDE + 60, canvas.top + 60)))
        if not len(found):
            return
        shadow = np.zeros((SIDE, SIDE), np.uint8)
        corners = _corners(self._houses[found])
        for house, ring in zip(self._houses[found], corners):
            cast = np.concatenate([ring, ring + SHADOW * house[5]])
            cv2.fillConvexPoly(shadow, canvas.fixed(cv2.convexHull(cast.astype(np.float32))[:, 0]), 255, cv2.LINE_8, 4)
        image *= (1 - 0.52 * (cv2.GaussianBlur(shadow, (3, 3), 0) / np.float32(255)))[..., None]
        for house, ring in zip(self._houses[found], corners):
            colour = house[6:9]
            cv2.fillConvexPoly(image, canvas.fixed(ring), tuple(colour * 1.06), cv2.LINE_8, 4)
            if house[5] < 12:
                sunny = (ring[0] + ring[3]) / 2, (ring[1] + ring[2]) / 2
                cv2.fillConvexPoly(
                    image, canvas.fixed(np.array([sunny[0], sunny[1], ring[2], ring[3]])), tuple(colour * 0.84), cv2.LINE_8, 4
                )


class _Index:
    """Strokes in painting order, found by box."""

    def __init__(self, strokes: list[Stroke]):
        self._strokes = strokes
        self._tree = STRtree([s.shape.buffer(s.width / 2 + 1).envelope if s.width else s.shape for s in strokes])

    def near(self, bounds: BaseGeometry) -> list[Stroke]:
        return [self._strokes[i] for i in np.sort(self._tree.query(bounds))]


class _Canvas:
    """Where a block lies, and its part of the textures; turns metres into pixels of it, in sixteenths."""

    def __init__(self, left: int, top: int, grain: np.ndarray, crowns: np.ndarray, ripple: np.ndarray):
        self.left, self.top = left, top
        self.grain, self.crowns, self.ripple = grain, crowns, ripple
        self.box = box(left, top - SIDE, left + SIDE, top)

    def fixed(self, points: np.ndarray) -> np.ndarray:
        return np.round(np.column_stack([points[:, 0] - self.left - 0.5, self.top - points[:, 1] - 0.5]) * 16).astype(np.int32)

    def draw(self, image: np.ndarray, index: _Index) -> None:
        window = self.box.buffer(80)
        for stroke in index.near(self.box):
            shape = shapely.intersection(stroke.shape, window) if stroke.shape.length > 6000 else stroke.shape
            colour = stroke.colour if image.ndim == 3 else stroke.colour[0]
            for part in getattr(shape, "geoms", [shape]):
                if part.is_empty:
                    continue
                if stroke.width:
                    rings = [part] if part.geom_type == "LineString" else [part.exterior]
                    cv2.polylines(
                        image, [self.fixed(np.asarray(r.coords)) for r in rings], False, colour, max(1, round(stroke.width)), cv2.LINE_8, 4
                    )
                else:
                    cv2.fillPoly(image, [self.fixed(np.asarray(r.coords)) for r in (part.exterior, *part.interiors)], colour, cv2.LINE_8, 4)


def _periodic(seed: int, blur: float) -> np.ndarray:
    """Noise of unit spread that repeats every TEXTURE metres, so that blocks join."""
    field = np.random.default_rng((plan.SEED, 90, seed)).standard_normal((TEXTURE, TEXTURE))
    wave = np.fft.fftfreq(TEXTURE)
    field = np.fft.ifft2(np.fft.fft2(field) * np.exp(-2 * (np.pi * blur) ** 2 * (wave[:, None] ** 2 + wave[None] ** 2))).real
    return np.pad((field / field.std()).astype(np.float32), MARGIN, mode="wrap")


def _crowns() -> np.ndarray:
    """Tree crowns: lit on the south-east, dark between."""
    crowns = _periodic(2, 2.6)
    lit = np.roll(crowns, (-2, -2), (0, 1)) - np.roll(crowns, (2, 2), (0, 1))
    return (0.65 * crowns - 0.55 * lit / lit.std()).astype(np.float32)


def _shade(heights: np.ndarray) -> np.ndarray:
    east, north = cv2.Sobel(heights, cv2.CV_32F, 1, 0, scale=1 / (8 * CELL)), -cv2.Sobel(heights, cv2.CV_32F, 0, 1, scale=1 / (8 * CELL))
    light = (SUN[2] - SUN[0] * east - SUN[1] * north) / np.sqrt(1 + east**2 + north**2) / SUN[2]
    return np.clip(0.42 + 0.58 * light, 0.35, 1.4).astype(np.float32)


def _ground(shape: tuple[int, int], height: np.ndarray) -> np.ndarray:
    """Grass and scrub, drier on the hills."""
    dry = np.clip(0.5 + 0.35 * noise(shape, 70, 82, 5) + 0.2 * smoothstep(30, 200, height), 0, 1)[..., None]
    return ((1 - dry) * np.array((98, 118, 72)) + dry * np.array((134, 132, 96))).astype(np.float32)


def _road_strokes(county: County) -> list[Stroke]:
    """Verges first, then surfaces from small to great, then the lines on them, then the railway."""
    roads = sorted(county.lines("LRDL"), key=lambda r: r[1]["WIDTH"])
    verges = [Stroke(shape=g, colour=(142, 138, 112), width=a["WIDTH"] + 3) for g, a in roads if a["TYPE"] == "公路"]
    decks = [Stroke(shape=g, colour=(60, 66, 58), width=a["WIDTH"] + 9) for g, a in county.lines("LFCL")]
    surface = [
        Stroke(shape=g, colour=(188, 184, 172) if a["MATRL"] == "水泥" else ROAD_COLOURS[a["TYPE"]], width=a["WIDTH"]) for g, a in roads
    ]
    middle = [
        Stroke(shape=g, colour=(112, 124, 92) if a["WIDTH"] > 20 else (206, 200, 170), width=3 if a["WIDTH"] > 20 else 1)
        for g, a in roads
        if a["WIDTH"] > 14
    ]
    rails = [
        Stroke(shape=g, colour=c, width=w)
        for g, _ in county.lines("LRRL")
        for c, w in (((126, 128, 100), 22), ((138, 128, 118), 13), ((98, 90, 84), 8), ((150, 142, 134), 2))
    ]
    return [*decks, *verges, *surface, *middle, *rails]


def _grounds(block: Block) -> list[Stroke]:
    """A running track in a school, a pond and a path in a park."""
    centre = block.shape.representative_point()
    half = 0.5 * np.sqrt(block.shape.area)
    if block.kind == "公园":
        pond = shapely.affinity.scale(centre.buffer(1), half * 0.45, half * 0.3)
        return [
            Stroke(shape=block.shape.buffer(-8).boundary, colour=(186, 176, 150), width=3),
            Stroke(shape=shapely.affinity.rotate(pond, block.angle, use_radians=True), colour=(88, 108, 100)),
        ]
    size = min(half * 0.8, 62)
    oval = shapely.affinity.rotate(
        shapely.LineString([(centre.x - size * 0.55, centre.y), (centre.x + size * 0.55, centre.y)]).buffer(size * 0.5),
        block.angle,
        use_radians=True,
    )
    return [Stroke(shape=oval, colour=(168, 88, 70)), Stroke(shape=oval.buffer(-9), colour=(92, 136, 74))]


# Houses are rows of: x, y, length, depth, angle, height, red, green, blue.
_PATTERNS = {  # length, depth, spacing along, spacing across, height, share standing
    "农村": (11, 8.5, 14.5, 23, 7, 0.86),
    "住宅": (44, 12, 52, 29, 18, 0.95),
    "商业": (46, 30, 62, 46, 26, 0.85),
    "学校": (52, 13, 64, 44, 15, 0.55),
    "工业": (78, 34, 92, 46, 10, 0.82),
    "公园": (12, 9, 140, 120, 5, 0.5),
}


def _houses(blocks: tuple[Block, ...]) -> np.ndarray:
    rows = [_houses_of(block, number) for number, block in enumerate(blocks)]
    return np.concatenate([r for r in rows if len(r)] or [np.empty((0, 9))])


def _houses_of(block: Block, number: int) -> np.ndarray:
    rng = np.random.default_rng((plan.SEED, 95, number))
    length, depth, along, across, height, standing = _PATTERNS[block.kind]
    if block.kind == "住宅" and rng.random() < 0.3:
        length, depth, along, across, height = 13, 10, 16, 24, 8
    turn = np.array([[np.cos(block.angle), -np.sin(block.angle)], [np.sin(block.angle), np.cos(block.angle)]])
    middle = np.array(block.shape.centroid.coords[0])
    reach = max(block.shape.bounds[2] - block.shape.bounds[0], block.shape.bounds[3] - block.shape.bounds[1]) * 0.75
    u, v = np.meshgrid(np.arange(-reach, reach, along), np.arange(-reach, reach, across))
    local = np.column_stack([u.ravel(), v.ravel()]) + rng.normal(0, 0.7, (u.size, 2)) + [rng.uniform(0, along), rng.uniform(0, across)]
    at = local @ turn.T + middle
    inside = shapely.contains_xy(block.shape.buffer(-0.42 * depth - 1), at[:, 0], at[:, 1]) & (rng.random(len(at)) < standing)
    for side in (1, -1):
        tip = at + side * (length / 2) * turn[:, 0]
        inside &= shapely.contains_xy(block.shape, tip[:, 0], tip[:, 1])
    at = at[inside]
    count = len(at)
    roofs = BIG_ROOFS if block.kind in ("工业", "商业") else ROOFS
    favourite = rng.integers(len(roofs))
    colours = roofs[np.where(rng.random(count) < 0.45, favourite, rng.integers(len(roofs), size=count))] * rng.normal(1, 0.06, (count, 1))
    if block.kind == "住宅" and length > 40:
        colours = np.array((168, 162, 152)) * rng.normal(1, 0.07, (count, 1)) + rng.normal(0, 4, (count, 3))
    size = np.array([length, depth]) * rng.uniform(0.86, 1.08, (count, 2))
    tall = height * rng.uniform(0.75, 1.5, count)
    return np.column_stack([at, size, np.full(count, block.angle), tall, np.clip(colours, 30, 235)])


def _corners(houses: np.ndarray) -> np.ndarray:
    """(n, 4, 2): corners of each house; the first side is the north-east one in its own frame."""
    half = houses[:, None, 2:4] / 2 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    cos, sin = np.cos(houses[:, 4])[:, None], np.sin(houses[:, 4])[:, None]
    return houses[:, None, :2] + np.stack([half[..., 0] * cos - half[..., 1] * sin, half[..., 0] * sin + half[..., 1] * cos], -1)
