"""Maps drawn from the sheets, nothing cached: ours through the whole service (HTTP, key, gate, clip, record) beside MapServer and rio-tiler.

    .venv/bin/python bench/render.py [--quick] [--json]

GetMap in EPSG:3857 over sheets in EPSG:4549, JPEG of one quality, bilinear for everybody; new places in every round, so that no decoded block
is met twice, and every program with the same small block cache. Pictures are decoded and compared before anything counts.
"""

import io
import json
import math
import socket
import subprocess
import sys
import venv
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import peers
from harness import (
    ROOT,
    WORKERS,
    Answer,
    CannotMeasure,
    Measured,
    Run,
    Server,
    Yard,
    ask_each_once,
    find_program,
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

CONNECTIONS = 8
BLOCK_CACHE = {"GDAL_CACHEMAX": "64"}             # megabytes, of every process
VENV = ROOT / "var" / "bench-venv"

Place = tuple[float, float, float, float]         # bounds in EPSG:3857


@dataclass(frozen=True, slots=True)
class Scale:
    side: int                # sheets along each side
    rounds: int
    places: int              # of 512 px maps in each round


QUICK, FULL = Scale(3, 2, 40), Scale(5, 4, 40)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of map: what is asked, at which size and ground resolution (metres a pixel), and of how many of `Scale.places` a round."""

    name: str
    layer: str
    style: str
    width: int
    height: int
    resolution: float
    share: float = 1.0
    is_quick: bool = True


KINDS = (
    Kind("dom", "dom", "", 512, 512, 1.2),
    Kind("dom_1600", "dom", "", 1600, 1200, 1.2, share=0.25, is_quick=False),
    Kind("dom_overview", "dom", "", 512, 512, 4.5, share=0.5, is_quick=False),
    Kind("hillshade", "dem", "hillshade", 512, 512, 5.0, share=0.6),
    Kind("relief", "dem", "relief", 512, 512, 5.0, share=0.6, is_quick=False),
)


class Scene:
    def __init__(self, yard: Yard, scale: Scale):
        self.yard, self.ground = yard, Ground(yard.folder / "delivered", scale.side)
        instance = Instance(yard)
        editions = {
            "dom": instance.add_layer("dom", "DOM", self.ground.write_dom()), "dem": instance.add_layer("dem", "DEM", self.ground.write_dem()),
        }
        self.sheets = {
            name: [instance.settings.store / edition.folder / sheet.path for sheet in instance.catalogue.sheets(edition.edition_id)]
            for name, edition in editions.items()
        }
        self.key = instance.add_agency("everything", _on_earth(self.ground), layers=("dom", "dem"))
        self.ours = instance.serve(BLOCK_CACHE)
        self.peers: dict[str, tuple[Server, Callable[[Kind, Place], bytes]]] = {
            "MapServer": (self._mapserver(), _of_mapserver), "rio-tiler": (self._rio_tiler(), _of_rio_tiler),
        }

    def places(self, kind: Kind, rounds: int, each: int) -> list[list[Place]]:
        """For each round, bounds of maps that no other round shows: cells of a grid over the ground, shuffled, each a little off its corner."""
        from layers.crs import transformer

        rng = np.random.default_rng(11)
        width, height = kind.width * kind.resolution, kind.height * kind.resolution
        left, bottom, right, top = self.ground.bounds if kind.layer == "dom" else self.ground.dem_bounds
        margin = 30.0
        cols, rows = int((right - left - 2 * margin) / (width * 1.03)), int((top - bottom - 2 * margin) / (height * 1.03))
        cells = rng.permutation(cols * rows)
        each = min(each, len(cells) // rounds)
        if each < 1:
            raise CannotMeasure(f"the ground is too small for {rounds} rounds of {kind.name}")
        to_mercator, found = transformer(CRS, "EPSG:3857"), []
        for cell in cells[: each * rounds]:
            x = left + margin + (cell % cols + 0.5) * width * 1.03 + rng.uniform(-0.5, 0.5)
            y = bottom + margin + (cell // cols + 0.5) * height * 1.03 + rng.uniform(-0.5, 0.5)
            (middle_x, middle_y), half = to_mercator.transform(x, y), _mercator_scale(x, y) / 2
            found.append((middle_x - half * width, middle_y - half * height, middle_x + half * width, middle_y + half * height))
        return [found[number * each:(number + 1) * each] for number in range(rounds)]

    def of_ours(self, kind: Kind, place: Place) -> bytes:
        return get(f"/ows?{_get_map(kind, place, '1.3.0', STYLES=kind.style)}", {"X-API-Key": self.key})

    def _mapserver(self) -> Server:
        folder = self.yard.folder / "mapserver"
        folder.mkdir()
        indexes = {}
        for name, sheets in self.sheets.items():
            indexes[name] = folder / f"{name}.shp"
            _quietly("gdaltindex", "-tileindex", "location", indexes[name], *sheets)
        (folder / "bench.map").write_text(peers.mapfile(folder, CRS, indexes, _relief(), BLOCK_CACHE))
        port, fastcgi = free_port(), free_port()
        listening = socket.create_server(("127.0.0.1", fastcgi), backlog=512)
        self.yard.callback(listening.close)
        (folder / "mapserver.conf").write_text('CONFIG\n ENV\n  MS_MAP_PATTERN "."\n END\nEND\n')
        # what spawn-fcgi does: processes that stay, all accepting on one socket that they find as their standard input
        drawing = self.yard.start("mapserv", fastcgi, [[find_program("mapserv")]] * (WORKERS * 2), ready="", environ={"MAPSERVER_CONFIG_FILE": str(folder / "mapserver.conf")}, stdin=listening)
        parameters = "\n".join(
            f"    fastcgi_param {name} ${value};" for name, value in (
                ("QUERY_STRING", "query_string"), ("REQUEST_METHOD", "request_method"), ("SCRIPT_NAME", "uri"), ("SERVER_NAME", "host"),
                ("SERVER_PORT", "server_port"), ("SERVER_PROTOCOL", "server_protocol"),
            )
        )
        parameters += f"\n    fastcgi_param MS_MAPFILE {folder / 'bench.map'};"
        front = self.yard.nginx("mapserver-front", f"""server {{ listen 127.0.0.1:{port};
  location / {{ fastcgi_pass 127.0.0.1:{fastcgi}; fastcgi_buffers 64 64k; fastcgi_buffer_size 64k;
{parameters}
  }} }}""", port, "/?SERVICE=WMS&REQUEST=GetCapabilities")
        return Server("MapServer", port, [*front.processes, *drawing.processes], drawing.log)

    def _rio_tiler(self) -> Server:
        sources = {}
        for name, sheets in self.sheets.items():
            sources[name] = str(self.yard.folder / f"{name}.vrt")
            _quietly("gdalbuildvrt", "-q", sources[name], *sheets)
        return self.yard.granian("rio-tiler", "peers:rio_tiler", BLOCK_CACHE | {peers.SOURCES: json.dumps(sources)}, "/?", python=_bench_python())


def _on_earth(ground: Ground):
    """A box a little larger than the ground, in CRS84: a grant that holds all of it."""
    import shapely

    from layers.crs import transform_geometry

    return transform_geometry(shapely.segmentize(shapely.box(*ground.dem_bounds).buffer(500, join_style="mitre"), 1000), CRS, "CRS:84")


def _mercator_scale(x: float, y: float) -> float:
    from layers.crs import transformer

    _, latitude = transformer(CRS, "CRS:84").transform(x, y)
    return 1 / math.cos(math.radians(latitude))


def _relief() -> list[tuple[float, tuple[int, int, int]]]:
    import csv

    with (ROOT / "config" / "relief.csv").open(encoding="utf-8", newline="") as file:
        return [(float(row["height"]), (int(row["red"]), int(row["green"]), int(row["blue"]))) for row in csv.DictReader(file)]


def _quietly(program: str, *arguments) -> None:
    found = find_program(program)
    if found is None:
        raise CannotMeasure(f"{program} not installed: as root, apt-get install gdal-bin")
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise CannotMeasure(f"{program} failed: {' '.join(done.stderr.split())[:300]}")


def _bench_python() -> Path:
    """A Python of the bench's own that has rio-tiler, and the product's rasterio and numpy: the same GDAL under both."""
    python = VENV / "bin" / "python"
    if not (VENV / "installed").exists():
        say("installing rio-tiler for the bench")
        venv.create(VENV, with_pip=True, clear=True)
        site = next((VENV / "lib").glob("python3*/site-packages"))
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        (site / "shared.pth").write_text(f"{ours}\n")
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "rio-tiler==9.*"], capture_output=True, text=True)
        if done.returncode:
            raise CannotMeasure(f"rio-tiler can't be installed from the package index: {' '.join(done.stderr.split())[-300:]}")
        (VENV / "installed").touch()
    return python


# -- requests

def _get_map(kind: Kind, place: Place, version: str, **others: str) -> str:
    return urlencode({
        "SERVICE": "WMS", "VERSION": version, "REQUEST": "GetMap", "LAYERS": kind.layer, "STYLES": "", "CRS": "EPSG:3857",
        "BBOX": ",".join(f"{value:.4f}" for value in place), "WIDTH": kind.width, "HEIGHT": kind.height, "FORMAT": "image/jpeg",
    } | others)


def _of_mapserver(kind: Kind, place: Place) -> bytes:
    return get(f"/?{_get_map(kind, place, '1.3.0')}")


def _of_rio_tiler(kind: Kind, place: Place) -> bytes:
    return get(f"/?{_get_map(kind, place, '1.3.0')}")


CAN = {"MapServer": {"dom", "dom_1600", "dom_overview", "relief"}, "rio-tiler": {"dom", "dom_1600", "dom_overview", "hillshade"}}
"""Which kinds a peer can draw as it comes: MapServer 8.0 has no hillshade, rio-tiler no continuous ramp."""

SLOW = {"rio-tiler"}
"""Peers that need a quarter of a second a map (most of it PROJ, which rio-tiler asks anew for each): a quarter of the places will do."""

MOST_DIFFERENT = {"dom": 8.0, "dom_1600": 8.0, "dom_overview": 14.0, "hillshade": 60.0, "relief": 14.0}
"""Mean difference of grey levels between our picture and a peer's, above which they can't be the same map. Hillshades differ in formula."""


# -- pictures

def _picture(answer: Answer, kind: Kind, who: str) -> np.ndarray:
    if answer.status != 200 or not answer.body.startswith(b"\xff\xd8"):
        raise CannotMeasure(f"{who} answered {answer.status} {answer.media_type} for a {kind.name} map: {answer.body[:300]!r}")
    picture = np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"), dtype=np.int16)
    if picture.shape != (kind.height, kind.width, 3) or picture.std() < 2:
        raise CannotMeasure(f"{who} drew nothing for a {kind.name} map: size {picture.shape[1]} x {picture.shape[0]}, deviation {picture.std():.1f}")
    return picture


def compare(kind: Kind, answers: dict[str, Sequence[Answer]]) -> dict[str, float]:
    """Mean difference (grey levels) of each peer's pictures from ours; raises where it can't be the same map."""
    ours = [_picture(answer, kind, "ours") for answer in answers["ours"]]
    differences = {}
    for who, theirs in answers.items():
        if who == "ours":
            continue
        apart = [np.abs(mine - _picture(answer, kind, who)).mean() for mine, answer in zip(ours, theirs)]
        differences[who] = float(np.mean(apart))
        if differences[who] > MOST_DIFFERENT[kind.name]:
            raise CannotMeasure(f"{who} and ours draw different {kind.name} maps: {differences[who]:.1f} grey levels apart on average")
    return differences


# -- the measurement

def measure_kind(scene: Scene, kind: Kind, scale: Scale) -> tuple[dict[str, Measured], dict[str, float]]:
    rounds = scene.places(kind, scale.rounds + 1, max(1, round(scale.places * kind.share)))
    servers = {"ours": (scene.ours, scene.of_ours)} | {name: peer for name, peer in scene.peers.items() if kind.name in CAN[name]}

    def ask(name: str, number: int) -> tuple[list[Answer], Run]:
        server, request = servers[name]
        places = rounds[number] if name not in SLOW else rounds[number][: max(4, len(rounds[number]) // 4)]
        answers, run = ask_each_once(server, [request(kind, place) for place in places], CONNECTIONS)
        for answer in answers:
            _picture(answer, kind, name)
        return answers, run

    differences = compare(kind, {name: ask(name, scale.rounds)[0] for name in servers})        # a round of its own, which also warms everybody
    return in_rounds({name: lambda number, name=name: ask(name, number)[1] for name in servers}, scale.rounds), differences


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    require("nginx", "mapserv", "gdaltindex")
    scale, ratios, rows = QUICK if chosen.quick else FULL, {}, []
    with Yard() as yard:
        scene = Scene(yard, scale)
        for kind in KINDS:
            if chosen.quick and not kind.is_quick:
                continue
            measured, differences = measure_kind(scene, kind, scale)
            ours = measured["ours"]
            against = {name: ratio(ours, one) for name, one in measured.items() if name != "ours"}
            ratios[f"{kind.name}_vs_best_peer"] = min(against.values())
            ratios |= {f"{kind.name}_vs_{name.lower().replace('-', '_')}": value for name, value in against.items()}
            for name, one in measured.items():
                rows.append([f"{kind.name} {name}", one.rate, one.p50, one.p99, one.cpu, against.get(name), differences.get(name)])
    say(f"\n{scale.rounds} rounds of new places, {CONNECTIONS} connections, medians; times in ms")
    table(["map", "maps/s", "p50", "p99", "cpu", "ours / theirs", "grey levels apart"], rows)
    return ratios


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
