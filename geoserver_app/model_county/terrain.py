"""The ground of the model county: one continuous surface, worn by its own rivers.

Hills are raised and cut by stream-power erosion (Braun and Willett 2013, doi:10.1016/j.geomorph.2012.10.008) on a coarse grid, so that
valleys branch and streams run downhill to the river or the lake; the surface is then refined to 5 m. Row 0 is the north edge.
"""

import heapq
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from rasterio import Affine, features
from shapely.geometry import LineString, Polygon

from geoserver_app.model_county import plan

CELL = 5
COARSE = 60
RIVER_LEVEL, LAKE_LEVEL, PLAIN = 4.0, 5.2, 6.3

NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The rectangle that is modelled: EPSG:4549 metres, edges on whole multiples of 60 m from its top left corner."""

    left: float
    top: float
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        return self.left, self.top - self.height, self.left + self.width, self.top

    def shape(self, cell: int) -> tuple[int, int]:
        return self.height // cell, self.width // cell

    def transform(self, cell: int) -> Affine:
        return Affine(cell, 0, self.left, 0, -cell, self.top)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Kilometres of the plan -> EPSG:4549."""
        return self.left + 400 + 1000 * x, self.top - self.height + 400 + 1000 * y

    def burn(self, shapes, cell: int) -> np.ndarray:
        """True where a cell's centre lies in one of `shapes` (lines: where they pass)."""
        shapes = [s for s in shapes if not s.is_empty]
        if not shapes:
            return np.zeros(self.shape(cell), bool)
        return features.rasterize(
            shapes, self.shape(cell), transform=self.transform(cell), all_touched=shapes[0].geom_type.endswith("LineString")
        ).astype(bool)

    def at(self, grid: np.ndarray, x, y, cell: int) -> np.ndarray:
        """Values of `grid` at points, clamped to its edge."""
        rows = np.clip((self.top - np.asarray(y)) // cell, 0, grid.shape[0] - 1).astype(int)
        cols = np.clip((np.asarray(x) - self.left) // cell, 0, grid.shape[1] - 1).astype(int)
        return grid[rows, cols]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservoir:
    name: str
    pinyin: str
    level: float
    depth: float
    shape: Polygon
    dam: LineString


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """Heights (m) at 5 m, the waters that shaped them, and what drains where on the coarse grid."""

    frame: Frame
    heights: np.ndarray
    slope: np.ndarray  # rise over run, 20 m cells
    river_line: LineString
    river: Polygon
    lake: Polygon
    reservoirs: tuple[Reservoir, ...]
    streams: tuple[tuple[LineString, float], ...]  # downstream, with the catchment at their end in km2


def noise(shape: tuple[int, int], cells: float, seed: int, octaves: int = 5, persistence: float = 0.5) -> np.ndarray:
    """Fractal noise of about -1..1, its largest features `cells` across."""
    total, amplitude = np.zeros(shape, np.float32), 1.0
    for octave in range(octaves):
        size = max(cells / 2**octave, 1.0)
        rows, cols = int(shape[0] / size) + 4, int(shape[1] / size) + 4
        lattice = np.random.default_rng((plan.SEED, seed, octave)).standard_normal((rows, cols)).astype(np.float32)
        wide = cv2.resize(lattice, (int(round(cols * size)), int(round(rows * size))), interpolation=cv2.INTER_CUBIC)
        total += amplitude * wide[int(size) : int(size) + shape[0], int(size) : int(size) + shape[1]]
        amplitude *= persistence
    return total * 0.6


def enlarge(grid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`grid` at a finer `shape`, smooth: linear, then blurred by half a coarse cell. OpenCV's own cubic ripples on a plain slope."""
    factor = shape[0] / grid.shape[0]
    if factor > 4:
        between = (shape[0] // 4, shape[1] // 4)
        grid = enlarge(grid, between)
        factor = 4
    return cv2.GaussianBlur(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_LINEAR), (0, 0), factor / 2)


def smooth_line(points, spacing: float = 40.0) -> np.ndarray:
    """A Catmull-Rom curve through `points`, about one vertex every `spacing`."""
    p = np.asarray(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    pieces = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:]):
        t = np.linspace(0, 1, max(2, int(np.hypot(*(c - b)[:2]) / spacing)), endpoint=False)[:, None]
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack([*pieces, p[-2]])


def smoothstep(low: float, high: float, values: np.ndarray) -> np.ndarray:
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def distance(mask: np.ndarray, cell: int) -> np.ndarray:
    """Metres from each cell to the nearest True one."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) * cell


def build_terrain(frame: Frame) -> Terrain:
    river_line, river = _river(frame)
    lake = _lake(frame)
    base = _erode(frame, river, lake)
    heights = _refine(frame, base, river, lake)
    drainage = Drainage.of(base, frame.burn([river, lake], COARSE), COARSE)
    reservoirs = tuple(_dam(frame, heights, base, drainage, *spec) for spec in plan.RESERVOIRS)
    streams = _streams(frame, drainage, [river, lake, *(r.shape for r in reservoirs)])
    _carve(frame, heights, streams)
    for reservoir in reservoirs:
        _fill(frame, heights, reservoir)
    coarse = cv2.resize(heights, frame.shape(20)[::-1], interpolation=cv2.INTER_AREA)
    slope = np.hypot(cv2.Sobel(coarse, cv2.CV_32F, 1, 0) / 160, cv2.Sobel(coarse, cv2.CV_32F, 0, 1) / 160)
    return Terrain(
        frame=frame,
        heights=np.round(heights, 2),
        slope=slope,
        river_line=river_line,
        river=river,
        lake=lake,
        reservoirs=reservoirs,
        streams=streams,
    )


def _river(frame: Frame) -> tuple[LineString, Polygon]:
    curve = smooth_line([(*frame.place(x, y), 500 * width) for (x, y), width in zip(plan.RIVER, plan.RIVER_WIDTHS)], 60)
    rng = np.random.default_rng((plan.SEED, 1))
    wobble = cv2.GaussianBlur(rng.standard_normal((len(curve), 2)), (1, 0), sigmaX=0.1, sigmaY=8)
    along = np.gradient(curve[:, :2], axis=0)
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.hypot(*along.T)[:, None]
    left = curve[:, :2] + normal * (curve[:, 2] + 120 * wobble[:, 0])[:, None]
    right = curve[:, :2] - normal * (curve[:, 2] + 120 * wobble[:, 1])[:, None]
    island = Polygon(smooth_line([frame.place(*p) for p in (*plan.ISLAND, plan.ISLAND[0])], 30))
    water = Polygon(np.vstack([left, right[::-1]])).buffer(0).intersection(shapely.box(*frame.bounds).buffer(200))
    return LineString(curve[:, :2]), water.difference(island)


def _lake(frame: Frame) -> Polygon:
    x, y, a, b = plan.LAKE
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    rng = np.random.default_rng((plan.SEED, 2))
    radius = 1 + sum(rng.uniform(0.3, 1) * 0.26 / k * np.sin(k * angle + rng.uniform(0, 6.3)) for k in range(2, 14))
    return Polygon(
        [frame.place(x + a * r * np.cos(t) + 0.15 * np.sin(2 * t), y + b * r * np.sin(t)) for t, r in zip(angle, radius)]
    ).buffer(0)


def _uplift(frame: Frame, cell: int) -> np.ndarray:
    rows, cols = frame.shape(cell)
    x = (np.arange(cols) + 0.5) * cell / 1000 - 0.4
    y = (frame.height - (np.arange(rows) + 0.5) * cell) / 1000 - 0.4
    x, y = np.meshgrid(x, y)
    warp = noise((rows, cols), 2600 / cell, 11, 4), noise((rows, cols), 2600 / cell, 12, 4)
    x, y = x + 0.55 * warp[0], y + 0.55 * warp[1]
    total = np.zeros((rows, cols), np.float32)
    for cx, cy, rx, ry, strength in plan.HILLS:
        radius = np.hypot((x - cx) / rx, (y - cy) / ry)
        total = np.maximum(total, strength * (1 - smoothstep(0.45, 1.0, radius)))
    return total


def _erode(frame: Frame, river: Polygon, lake: Polygon) -> np.ndarray:
    """Heights above base level on the coarse grid: raised where the plan says, worn down along the streams."""
    heights = None
    for cell, steps in ((120, 110), (60, 26)):
        shape = frame.shape(cell)
        lift = 0.03 + 2.2 * _uplift(frame, cell) * np.clip(1 + 0.5 * noise(shape, 900 / cell, 23, 3), 0.3, 2)
        softness = 0.1 * np.exp(0.9 * noise(shape, 700 / cell, 24, 4))
        outlet = frame.burn([river, lake], cell)
        if heights is None:
            heights = 4 * (noise(shape, 14, 21, 4) + 2) * (0.1 + _uplift(frame, cell)) + distance(outlet, cell) / 2500
        else:
            heights = cv2.resize(heights, shape[::-1], interpolation=cv2.INTER_LINEAR) + 0.05 * noise(shape, 8, 22)
        for _ in range(steps):
            heights = _wear(heights.astype(np.float32), lift, softness, outlet, cell)
    return heights


def receivers(heights: np.ndarray, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the steepest lower neighbour of each cell (itself where there is none), and the distance to it in metres."""
    rows, cols = heights.shape
    padded = np.pad(heights, 1, constant_values=np.inf)
    best = np.zeros((rows, cols), np.float32)
    index = np.arange(rows * cols).reshape(rows, cols)
    target, run = index.copy(), np.full((rows, cols), float(cell))
    for dy, dx in NEIGHBOURS:
        step = cell * float(np.hypot(dx, dy))
        fall = (heights - padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + cols]) / step
        better = fall > best
        best = np.where(better, fall, best)
        target = np.where(better, index + dy * cols + dx, target)
        run = np.where(better, step, run)
    return target, run


def catchments(heights: np.ndarray, target: np.ndarray, cell: int) -> np.ndarray:
    """Square metres that drain through each cell."""
    return _gather(np.argsort(heights, axis=None)[::-1].tolist(), target, cell)


def _gather(downstream_last: list[int], target: np.ndarray, cell: int) -> np.ndarray:
    area, down = [float(cell * cell)] * target.size, target.ravel().tolist()
    for i in downstream_last:
        if down[i] != i:
            area[down[i]] += area[i]
    return np.array(area).reshape(target.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drainage:
    """What drains where on the coarse grid, hollows filled (priority flood, Barnes 2014, doi:10.1016/j.cageo.2013.04.024)."""

    target: np.ndarray
    area: np.ndarray  # m2
    order: list[int]  # outlets first

    @classmethod
    def of(cls, heights: np.ndarray, outlet: np.ndarray, cell: int) -> "Drainage":
        rows, cols = heights.shape
        level, target = heights.ravel().tolist(), list(range(heights.size))
        rim = outlet.copy()
        rim[[0, -1]] = rim[:, [0, -1]] = True
        done = rim.ravel().tolist()
        queue = [(level[i], i) for i in np.flatnonzero(rim).tolist()]
        heapq.heapify(queue)
        order = []
        while queue:
            height, i = heapq.heappop(queue)
            order.append(i)
            row, col = divmod(i, cols)
            for dy, dx in NEIGHBOURS:
                if 0 <= row + dy < rows and 0 <= col + dx < cols and not done[j := i + dy * cols + dx]:
                    done[j], target[j] = True, i
                    heapq.heappush(queue, (max(level[j], height), j))
        target = np.array(target).reshape(rows, cols)
        return cls(target=target, area=_gather(order[::-1], target, cell), order=order)

    def upstream(self, cell: int) -> np.ndarray:
        """True where water runs through `cell` (a flat index)."""
        down, wet = self.target.ravel().tolist(), bytearray(self.target.size)
        wet[cell] = 1
        for i in self.order:
            if wet[down[i]]:
                wet[i] = 1
        return np.frombuffer(wet, np.uint8).reshape(self.target.shape).astype(bool)


def _wear(heights: np.ndarray, lift: np.ndarray, softness: np.ndarray, outlet: np.ndarray, cell: int) -> np.ndarray:
    heights = np.where(outlet, 0, heights + lift)
    target, run = receivers(heights, cell)
    target = np.where(outlet, np.arange(heights.size).reshape(heights.shape), target)
    power = (softness * catchments(heights, target, cell) ** 0.45 / run).ravel().tolist()
    level, down = heights.ravel().tolist(), target.ravel().tolist()
    for i in np.argsort(heights, axis=None).tolist():
        if down[i] != i:
            level[i] = (level[i] + power[i] * level[down[i]]) / (1 + power[i])
    return np.array(level, np.float32).reshape(heights.shape)


def _refine(frame: Frame, base: np.ndarray, river: Polygon, lake: Polygon) -> np.ndarray:
    shape = frame.shape(CELL)
    soft = cv2.GaussianBlur(base, (0, 0), 0.5)
    heights = enlarge(soft, shape)
    steepness = np.hypot(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)) / (8 * COARSE)
    rough = enlarge(steepness, shape)
    heights += np.clip(rough, 0, 0.5) * (26 * np.abs(noise(shape, 44, 31, 4, 0.5)) - 9 + 2.5 * noise(shape, 7, 33, 3))
    heights = PLAIN + np.where(heights < 3, heights * 0.6, heights - 1.2) + 0.18 * noise(shape, 60, 32, 3)
    for water, level, bank in ((river, RIVER_LEVEL, 5.9), (lake, LAKE_LEVEL, 6.1)):
        wet = frame.burn([water], CELL)
        away = distance(wet, CELL)
        heights = heights + (bank - heights) * (1 - smoothstep(0, 260, away)) * (heights < 40)
        if level == RIVER_LEVEL:
            heights = np.maximum(heights, 9.2 - np.abs(away - 70) / 5)
        heights[wet] = level
    return heights.astype(np.float32)


def _dam(
    frame: Frame, heights: np.ndarray, base: np.ndarray, drainage: Drainage, name: str, pinyin: str, x: float, y: float, depth: float
) -> Reservoir:
    """A dam on a stream near (x, y), where a short one holds much water, and the water behind it as far as its level reaches."""
    px, py = frame.place(x, y)
    rows, cols = np.nonzero((drainage.area > 0.9e6) & (drainage.area < 7e6) & (base > 4))
    away = np.hypot(frame.left + cols * COARSE - px, frame.top - rows * COARSE - py)
    near = np.argsort(away)[:60:4]
    tried = [_dam_at(frame, heights, drainage, int(rows[i]), int(cols[i]), depth) for i in near]
    dam, level, shape = max(tried, key=lambda t: min(t[2].area, 9e5) / (t[0].length + 150) if t[0].length < 700 else 0)
    return Reservoir(name=name, pinyin=pinyin, level=level, depth=depth, shape=shape, dam=dam)


def _dam_at(frame: Frame, heights: np.ndarray, drainage: Drainage, row: int, col: int, depth: float) -> tuple[LineString, float, Polygon]:
    cols = drainage.target.shape[1]
    here = np.array([frame.left + (col + 0.5) * COARSE, frame.top - (row + 0.5) * COARSE])
    low = row * cols + col
    for _ in range(3):
        low = int(drainage.target.ravel()[low])
    flow = np.array([frame.left + (low % cols + 0.5) * COARSE, frame.top - (low // cols + 0.5) * COARSE]) - here
    flow = flow / max(np.hypot(*flow), 1)
    across = np.array([-flow[1], flow[0]])
    level = float(np.round(frame.at(heights, *here, CELL) + depth, 1))
    ends = [next((t for t in range(20, 600, 20) if frame.at(heights, *(here + side * across * t), CELL) > level), 600) for side in (1, -1)]
    dam = LineString([here + across * ends[0], here - across * ends[1]])
    upstream = cv2.dilate(drainage.upstream(row * cols + col).astype(np.uint8), np.ones((3, 3), np.uint8))
    top, left = max(row - 40, 0), max(col - 40, 0)
    part = upstream[top : row + 40, left : col + 40]
    fine = COARSE // CELL
    wet = np.kron(part, np.ones((fine, fine), np.uint8)).astype(bool)
    wet &= heights[top * fine : (top + len(part)) * fine, left * fine : (left + part.shape[1]) * fine] < level
    transform = Affine(CELL, 0, frame.left + left * COARSE, 0, -CELL, frame.top - top * COARSE)
    y, x = np.nonzero(wet)
    beyond = (transform.c + (x + 0.5) * CELL - here[0]) * flow[0] + (transform.f - (y + 0.5) * CELL - here[1]) * flow[1] > -10
    wet[y[beyond], x[beyond]] = False
    shapes = [Polygon(g["coordinates"][0]) for g, _ in features.shapes(wet.astype(np.uint8), mask=wet, transform=transform)]
    largest = max(shapes, key=lambda p: p.area, default=Polygon())
    return dam, level, rounded(largest.simplify(8), 2)


def _fill(frame: Frame, heights: np.ndarray, reservoir: Reservoir) -> None:
    crest = distance(frame.burn([reservoir.dam], CELL), CELL)
    np.maximum(heights, reservoir.level + 3 - np.maximum(crest - 5, 0) / 2.2, out=heights, where=crest < 60)
    heights[frame.burn([reservoir.shape], CELL)] = reservoir.level


def rounded(polygon: Polygon, times: int = 2) -> Polygon:
    """Corners cut (Chaikin), holes kept."""
    if polygon.is_empty:
        return polygon
    return Polygon(
        chaikin(polygon.exterior.coords, times, closed=True),
        [chaikin(r.coords, times, closed=True) for r in polygon.interiors if len(r.coords) > 4],
    ).buffer(0)


def chaikin(points, times: int = 2, closed: bool = False) -> np.ndarray:
    p = np.asarray(points, float)[:, :2]
    for _ in range(times):
        a, b = p[:-1], p[1:]
        cut = np.empty((2 * len(a), 2))
        cut[0::2], cut[1::2] = 0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b
        p = np.vstack([cut, cut[:1]]) if closed else np.vstack([p[:1], cut[1:-1], p[-1:]])
    return p


def _streams(frame: Frame, drainage: Drainage, waters: list) -> tuple[tuple[LineString, float], ...]:
    """Lines of the streams that drain more than 0.9 km2, from source or junction to junction or mouth."""
    target, area = drainage.target, drainage.area
    is_stream = (area > 0.9e6) & ~frame.burn(waters[:2], COARSE)
    down, flat, cols = target.ravel(), is_stream.ravel(), target.shape[1]
    inflows = np.bincount(down[flat & (down != np.arange(down.size))], minlength=down.size)
    bodies = shapely.union_all(waters)
    lines = []
    for start in np.flatnonzero(flat & (inflows != 1)).tolist():
        path, here = [start], start
        while flat[here] and down[here] != here:
            here = int(down[here])
            path.append(here)
            if inflows[here] > 1:
                break
        if len(path) > 2:
            cells = np.array(path)
            points = np.column_stack([frame.left + (cells % cols + 0.5) * COARSE, frame.top - (cells // cols + 0.5) * COARSE])
            line = LineString(chaikin(LineString(points).simplify(45).coords, 3)).difference(bodies)
            lines += [(part, float(area.ravel()[path[-2]] / 1e6)) for part in getattr(line, "geoms", [line]) if part.length > 80]
    return tuple(lines)


def _carve(frame: Frame, heights: np.ndarray, streams) -> None:
    """A bed for each stream: at most 1.5 m deep in the plain, so that it shows in the hillshade."""
    away = distance(frame.burn([line for line, _ in streams], CELL), CELL)
    heights -= 1.4 * (1 - smoothstep(4, 26, away))
    np.maximum(heights, 4.4, out=heights, where=(away < 30) & (heights > 4.01))
