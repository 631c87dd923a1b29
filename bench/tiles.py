"""Cached tiles: requests a second of ours, with and without an area limit, beside the files alone through nginx, and MapProxy plain and limited.

    .venv/bin/python bench/tiles.py [--quick] [--json]

The same tiles for everybody, in one run, case after case in rounds. Bodies are compared byte by byte, edge tiles pixel by pixel with an
oracle of our own, before anything is timed.
"""

import io
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import peers
import shapely
from harness import (
    Answer,
    CannotMeasure,
    Measured,
    Run,
    Server,
    Yard,
    ask_each_once,
    ask_for_a_while,
    free_port,
    get,
    in_rounds,
    machine,
    main,
    ratio,
    require,
    say,
    table,
)
from instance import CRS, Ground, Instance
from PIL import Image
from shapes import county

Z = 17                       # 1.19 m in Web Mercator, 1.01 m on this ground: the pixels of the sheets
VERTICES = 5_000             # of the agency's border: what a county at 1:10,000 has
CONNECTIONS = 16
META = 4

Tile = tuple[int, int, int]  # z, row, col


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    side: int                # sheets along each side
    rounds: int
    seconds: float           # of each case in each round


QUICK, FULL = Scale(3, 2, 1), Scale(5, 5, 2)


class Scene:
    """Ours and theirs up and running over the same tiles."""

    def __init__(self, yard: Yard, scale: Scale):
        from tiles.area import ServedArea
        from tiles.grids import TILE_MATRIX_SETS

        self.yard, self.grid = yard, TILE_MATRIX_SETS["WebMercatorQuad"]
        ground, instance = Ground(yard.folder / "delivered", scale.side), Instance(yard)
        instance.add_layer("dom", "DOM", ground.write_dom())
        self.owner_key = instance.owner_key
        border = self._border(ground)
        self.key = instance.add_agency("limited", border)
        # as many agencies as rounds, each with a border of its own a hair away: every cut is a first one
        self.fresh_keys = [
            instance.add_agency(f"fresh-{number}", shapely.affinity.translate(border, 1e-7 * (number + 1))) for number in range(scale.rounds)
        ]
        self.area = ServedArea(border, "bench")
        self.tiles = self._tiles(ground)
        self.inside = [tile for tile in self.tiles if self.area.classify(self.grid, *tile) == "inside"]
        self.edge = [tile for tile in self.tiles if self.area.classify(self.grid, *tile) == "edge"]
        self.ours = instance.serve()
        self.files = yard.folder / "tiles"
        self.bodies = self._fill()
        self.nginx, self.bare, self.mapproxy, self.limited = self._peers()

    def _border(self, ground: Ground) -> shapely.Polygon:
        from layers.crs import transform_geometry

        return transform_geometry(county(ground.centre, 0.27 * (ground.bounds[2] - ground.bounds[0]), VERTICES), CRS, "CRS:84")

    def _tiles(self, ground: Ground) -> list[Tile]:
        """Every tile that lies wholly on the ground, meta tile by meta tile."""
        from layers.crs import transform_bounds, transform_geometry
        from layers.model import Bounds

        within = transform_geometry(shapely.segmentize(shapely.box(*ground.bounds), 500), CRS, self.grid.crs).buffer(-5)
        first_row, last_row, first_col, last_col = self.grid.limits(Z, transform_bounds(Bounds(*ground.bounds), CRS, self.grid.crs))
        tiles = [(Z, row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)]
        return sorted(
            (tile for tile in tiles if within.covers(shapely.box(*self.grid.bounds(*tile)))), key=lambda tile: (tile[1] // META, tile[2] // META, tile),
        )

    def _fill(self) -> dict[Tile, bytes]:
        """Have ours draw and keep every tile, and lay copies of them out for the others."""
        answers, run = ask_each_once(self.ours, self.as_owner(self.tiles), 4)
        say(f"{len(self.tiles)} tiles of zoom {Z} drawn cold at {run.rate:.0f}/s ({run.cpu:.1f} ms of processor each), {len(self.inside)} inside, {len(self.edge)} on the edge")
        bodies = {}
        for tile, answer in zip(self.tiles, answers, strict=True):
            if answer.status != 200 or not answer.body.startswith(b"\xff\xd8"):
                raise CannotMeasure(f"ours answered {answer.status} {answer.media_type} for tile {tile}: {answer.body[:200]!r}; {self.ours.tail()}")
            z, row, col = tile
            path = self.files / str(z) / str(col) / f"{row}.jpeg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(answer.body)
            bodies[tile] = answer.body
        say(f"{sum(map(len, bodies.values())) / len(bodies) / 1024:.1f} KB a tile")
        return bodies

    def _peers(self) -> tuple[Server, Server, Server, Server]:
        wkb = self.yard.folder / "area.wkb"
        wkb.write_bytes(shapely.to_wkb(self.area.geometry_in(self.grid.crs)))
        environ = {peers.TILES: str(self.files), peers.AREA: str(wkb)}
        first, port = _file_path(self.tiles[0]), free_port()
        return (
            self.yard.nginx("nginx", f"server {{ listen 127.0.0.1:{port} backlog=2048; root {self.files}; }}", port, first),
            self.yard.granian("bare-worker", "peers:bare_worker", environ, first),
            self.yard.granian("mapproxy", "peers:mapproxy", environ, "/"),
            self.yard.granian("mapproxy-limited", "peers:mapproxy_limited_to", environ, "/"),
        )

    # -- requests

    def as_owner(self, tiles: Sequence[Tile], extension: str = "jpg") -> list[bytes]:
        return self.asked(tiles, self.owner_key, extension)

    def asked(self, tiles: Sequence[Tile], key: str, extension: str = "jpg") -> list[bytes]:
        return [get(f"/tiles/dom/{self.grid.id}/{z}/{col}/{row}.{extension}", {"X-API-Key": key}) for z, row, col in tiles]

    @staticmethod
    def of_files(tiles: Sequence[Tile]) -> list[bytes]:
        return [get(_file_path(tile)) for tile in tiles]

    @staticmethod
    def of_mapproxy(tiles: Sequence[Tile]) -> list[bytes]:
        return [get(peers.mapproxy_path(*tile)) for tile in tiles]

    # -- runs

    def repeat(self, server: Server, requests: Sequence[bytes], seconds: float) -> Run:
        return ask_for_a_while(server, requests, seconds=seconds, connections=CONNECTIONS, folder=self.yard.folder)

    def once(self, server: Server, requests: Sequence[bytes], media_type: str) -> Run:
        answers, run = ask_each_once(server, requests, CONNECTIONS)
        for answer in answers:
            _require(answer, media_type)
        return run


def _file_path(tile: Tile) -> str:
    z, row, col = tile
    return f"/{z}/{col}/{row}.jpeg"


# -- bodies

def check_bodies(scene: Scene) -> None:
    """Everybody sends the very bytes of inside tiles; everybody's edge tiles show what lies inside, and nothing else."""
    same = {
        "nginx": (scene.nginx, scene.of_files(scene.inside)),
        "a bare worker": (scene.bare, scene.of_files(scene.inside)),
        "MapProxy": (scene.mapproxy, scene.of_mapproxy(scene.inside)),
        "MapProxy limited_to": (scene.limited, scene.of_mapproxy(scene.inside)),
        "ours for the owner": (scene.ours, scene.as_owner(scene.inside)),
        "ours inside": (scene.ours, scene.asked(scene.inside, scene.key)),
    }
    for name, (server, requests) in same.items():
        answers, _ = ask_each_once(server, requests, 8)
        for tile, answer in zip(scene.inside, answers, strict=True):
            _require(answer, "image/jpeg")
            if answer.body != scene.bodies[tile]:
                raise CannotMeasure(f"{name} sent other bytes than the cache holds for tile {tile}")
    ours, _ = ask_each_once(scene.ours, scene.asked(scene.edge, scene.key, "png"), 8)
    wrong, recoloured = _faults(scene, ours)
    if wrong or recoloured:
        raise CannotMeasure(f"ours shows or hides {wrong} pixels wrongly on {len(scene.edge)} edge tiles, and {recoloured} in another colour")
    theirs, _ = ask_each_once(scene.limited, scene.of_mapproxy(scene.edge), 8)
    shown, recoloured = _faults(scene, theirs)
    say(f"edge tiles, of {len(scene.edge) * 65536} pixels: ours 0 wrong; MapProxy's limited_to {shown} shown or hidden wrongly, {recoloured} recoloured by its palette")


def _require(answer: Answer, media_type: str) -> None:
    magic = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG", "image/webp": b"RIFF"}[media_type]
    if answer.status != 200 or not answer.body.startswith(magic):
        raise CannotMeasure(f"expected {media_type}, got {answer.status} {answer.media_type}: {answer.body[:200]!r}")


def _faults(scene: Scene, answers: Sequence[Answer]) -> tuple[int, int]:
    """Over all edge tiles: pixels whose transparency differs from asking GEOS about their centre; shown pixels that are not the cached tile's."""
    pairs = [_faults_of(scene, tile, answer) for tile, answer in zip(scene.edge, answers, strict=True)]
    return sum(wrong for wrong, _ in pairs), sum(recoloured for _, recoloured in pairs)


def _faults_of(scene: Scene, tile: Tile, answer: Answer) -> tuple[int, int]:
    _require(answer, "image/png")
    bounds, size = scene.grid.bounds(*tile), scene.grid.tile_size
    x = bounds.left + (np.arange(size) + 0.5) * bounds.width / size
    y = bounds.top - (np.arange(size) + 0.5) * bounds.height / size
    truth = shapely.contains_xy(scene.area.geometry_in(scene.grid.crs), *(axis.ravel() for axis in np.meshgrid(x, y))).reshape(size, size)
    pixels = np.array(Image.open(io.BytesIO(answer.body)).convert("RGBA"))
    whole = np.array(Image.open(io.BytesIO(scene.bodies[tile])).convert("RGB"))
    shown = pixels[..., 3] > 0
    return int((shown != truth).sum()), int((pixels[..., :3] != whole)[shown & truth].any(axis=-1).sum())


# -- the measurement

def cases(scene: Scene, seconds: float) -> dict[str, Callable[[int], Run]]:
    repeat, once, inside, edge = scene.repeat, scene.once, scene.inside, scene.edge
    cut = scene.asked(edge, scene.key, "png")

    def first(keys: Sequence[str], extension: str, media_type: str) -> Callable[[int], Run]:
        """Cut for an agency that nobody cut for before. Its area is known: some inside tiles are asked first, in every worker."""
        def run(number: int) -> Run:
            ask_each_once(scene.ours, scene.asked(inside[:64], keys[number]), CONNECTIONS)
            return once(scene.ours, scene.asked(edge, keys[number], extension), media_type)
        return run

    return {
        "nginx alone": lambda _: repeat(scene.nginx, scene.of_files(inside), seconds),
        "bare Python worker": lambda _: repeat(scene.bare, scene.of_files(inside), seconds),
        "MapProxy": lambda _: repeat(scene.mapproxy, scene.of_mapproxy(inside), seconds),
        "MapProxy limited_to, inside": lambda _: repeat(scene.limited, scene.of_mapproxy(inside), seconds),
        "ours, no area limit": lambda _: repeat(scene.ours, scene.as_owner(inside), seconds),
        "ours, inside": lambda _: repeat(scene.ours, scene.asked(inside, scene.key), seconds),
        "MapProxy limited_to, edge": lambda _: once(scene.limited, scene.of_mapproxy(edge), "image/png"),
        "ours, edge, first time": first(scene.fresh_keys, "png", "image/png"),
        "ours, edge, first time, WebP": first(scene.fresh_keys, "webp", "image/webp"),
        "ours, edge, first time, JPEG": first(scene.fresh_keys, "jpg", "image/jpeg"),
        "ours, edge, once cut": lambda _: repeat(scene.ours, cut, seconds),
    }


def ratios_of(measured: dict[str, Measured]) -> dict[str, float]:
    pairs = {
        "inside_vs_nginx_alone": ("ours, inside", "nginx alone"),
        "inside_vs_bare_worker": ("ours, inside", "bare Python worker"),
        "inside_vs_mapproxy": ("ours, inside", "MapProxy"),
        "inside_vs_mapproxy_limited_to": ("ours, inside", "MapProxy limited_to, inside"),
        "unlimited_vs_nginx_alone": ("ours, no area limit", "nginx alone"),
        "unlimited_vs_mapproxy": ("ours, no area limit", "MapProxy"),
        "edge_vs_mapproxy_limited_to": ("ours, edge, once cut", "MapProxy limited_to, edge"),
        "edge_first_vs_mapproxy_limited_to": ("ours, edge, first time", "MapProxy limited_to, edge"),
        "edge_first_webp_vs_mapproxy_limited_to": ("ours, edge, first time, WebP", "MapProxy limited_to, edge"),
        "edge_first_jpeg_vs_mapproxy_limited_to": ("ours, edge, first time, JPEG", "MapProxy limited_to, edge"),
    }
    ratios = {name: ratio(measured[ours], measured[theirs]) for name, (ours, theirs) in pairs.items()}
    for name in ("inside_vs_nginx_alone", "inside_vs_mapproxy"):
        ours, theirs = pairs[name]
        ratios[f"{name}_cpu"] = ratio(measured[theirs], measured[ours], lambda run: run.cpu)
    return ratios


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    require("nginx", "wrk")
    scale = QUICK if chosen.quick else FULL
    with Yard() as yard:
        scene = Scene(yard, scale)
        check_bodies(scene)
        measured = in_rounds(cases(scene, scale.seconds), scale.rounds)
    fastest = measured["nginx alone"].rate
    say(f"\n{scale.rounds} rounds, {CONNECTIONS} connections, medians; times in ms")
    table(
        ["case", "requests/s", "of nginx", "p50", "p99", "cpu per request"],
        [[name, one.rate, one.rate / fastest, one.p50, one.p99, one.cpu] for name, one in measured.items()],
    )
    ratios = ratios_of(measured)
    say()
    table(["ratio", "ours / theirs"], ratios.items())
    return ratios


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
