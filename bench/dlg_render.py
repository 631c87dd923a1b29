"""The line map drawn, nothing cached: ours through the whole service (HTTP, key, gate, clip, record) beside MapServer and QGIS Server on the same features and styles.

    .venv/bin/python bench/dlg_render.py [--quick] [--json]

GetMap as PNG in EPSG:4549 with names, 512 and 1,600 px at 1:10,000; new places in every round. MapServer draws from the fastest of the formats and with
the fastest of the PNG encodings that it has, tried before anything is timed: shapefiles with .qix, FlatGeobuf and the GeoPackage itself; true colour
at the lowest compression, and a palette. Its map file is made from our style files (`mapserver_style.py`). QGIS Server, where it is installed, draws from the
same shapefiles by a project made from them too (`qgis_style.py`). Pictures are looked at: all of them must show as much as ours. With --quick smaller ground and fewer rounds.

Also: what a picture of a province costs, with and without the tables that ingest generalises.
"""

import io
import os
import socket
import subprocess
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import mapserver_style
import numpy as np
import pyogrio
import qgis_style
import shapely
from harness import (
    WORKERS,
    Answer,
    CannotMeasure,
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
from instance import CRS, Instance
from line_map import LEFT, TOP, write_line_map
from PIL import Image

CONNECTIONS = 8                     # enough that neither side has idle processes by chance
RESOLUTION = 2.8                    # metres a pixel: 1:10,000
FORMATS = ("shapefile", "FlatGeobuf", "GeoPackage")
ENCODINGS = {
    "png": 'DRIVER "AGG/PNG" IMAGEMODE RGB FORMATOPTION "COMPRESSION=1"',
    "png8": 'DRIVER "AGG/PNG" IMAGEMODE RGB FORMATOPTION "COMPRESSION=1" FORMATOPTION "QUANTIZE_FORCE=on" FORMATOPTION "QUANTIZE_COLORS=256"',
}


QGIS_SERVER = "/usr/lib/cgi-bin/qgis_mapserv.fcgi"


@dataclass(frozen=True, slots=True)
class Scale:
    side_km: float
    rounds: int
    places: int


QUICK, FULL = Scale(20, 3, 40), Scale(40, 5, 60)
KINDS = (("dlg_512", 512, 1.0), ("dlg_1600", 1600, 0.5))

Place = tuple[float, float, float, float]


class Scene:
    def __init__(self, yard: Yard, scale: Scale):
        self.yard, self.scale = yard, scale
        from geoserver_app.ingesting import copy_for_drawing

        source = yard.folder / "line-map.gpkg"
        self.counts = write_line_map(source, scale.side_km)
        instance = Instance(yard)
        self.edition = instance.add_layer("dlg", "DLG", [source])
        self.vectors = instance.settings.store / self.edition.folder / self.edition.vectors
        ground = shapely.box(LEFT - 500, TOP - 1000 * scale.side_km - 500, LEFT + 1000 * scale.side_km + 500, TOP + 500)
        self.key = instance.add_agency("everything", _on_earth(ground), layers=("dlg",), attributes=None)
        copy_for_drawing(instance.settings, self.edition)
        self.ours = instance.serve()
        self.config = instance.settings.config
        self.rng = np.random.default_rng(17)

    def places(self, size: int, count: int) -> list[Place]:
        span, side = size * RESOLUTION, 1000 * self.scale.side_km
        corners = self.rng.random((count, 2)) * (side - span)
        return [(LEFT + x, TOP - y - span, LEFT + x + span, TOP - y) for x, y in corners.tolist()]

    def of_ours(self, size: int, place: Place) -> bytes:
        return get(f"/ows?{_get_map('dlg', size, place)}", {"X-API-Key": self.key})

    def mapserver(self, form: str, encoding: str) -> Server:
        """One that stays: four processes behind nginx."""
        folder = self.yard.folder / f"mapserver-{form}-{encoding}"
        folder.mkdir()
        tables = mapserver_style.fitted(_book(self.config), self.edition)
        (folder / "bench.map").write_text(mapserver_style.mapfile(folder, tables, CRS, RESOLUTION / 0.00028, self._data(form), ENCODINGS[encoding]))
        (folder / "mapserver.conf").write_text('CONFIG\n ENV\n  MS_MAP_PATTERN "."\n END\nEND\n')
        environ = {"MAPSERVER_CONFIG_FILE": str(folder / "mapserver.conf")}
        return self._behind_nginx(
            f"MapServer {form} {encoding}", find_program("mapserv"), environ, f"fastcgi_param MS_MAPFILE {folder / 'bench.map'};", "",
        )

    def qgis(self) -> Server:
        """QGIS Server over the shapefiles: as many processes as MapServer has, behind nginx."""
        folder = self.yard.folder / "qgis"
        folder.mkdir()
        self._data(FORMATS[0])
        files = {one.name: self.yard.folder / FORMATS[0] / f"{one.name}.shp" for one in self.edition.classes}
        tables = mapserver_style.fitted(_book(self.config), self.edition)
        qgis_style.write_project(folder / "line-map.qgs", tables, CRS, RESOLUTION / 0.00028, files)
        environ = {
            "QGIS_PROJECT_FILE": str(folder / "line-map.qgs"), "QT_QPA_PLATFORM": "offscreen", "QGIS_SERVER_LOG_LEVEL": "2", "HOME": str(folder),
            "QGIS_SERVER_MAX_THREADS": "1",
        }
        return self._behind_nginx("QGIS Server", QGIS_SERVER, environ, f"fastcgi_param QGIS_PROJECT_FILE {folder / 'line-map.qgs'};", "")

    def _behind_nginx(self, name: str, program: str, environ: dict[str, str], parameters: str, ready: str) -> Server:
        short = name.replace(" ", "-")
        port, fastcgi = free_port(), free_port()
        listening = socket.create_server(("127.0.0.1", fastcgi), backlog=512)
        self.yard.callback(listening.close)
        drawing = self.yard.start(short, fastcgi, [[program]] * (2 * WORKERS), ready=ready, environ=environ, stdin=listening)
        known = ("QUERY_STRING", "query_string"), ("REQUEST_METHOD", "request_method"), ("SCRIPT_NAME", "uri"), ("SERVER_NAME", "host"), ("SERVER_PORT", "server_port"), ("SERVER_PROTOCOL", "server_protocol")
        lines = "\n".join(f"    fastcgi_param {one} ${value};" for one, value in known) + f"\n    {parameters}"
        front = self.yard.nginx(f"{short}-front", f"""server {{ listen 127.0.0.1:{port};
  location / {{ fastcgi_pass 127.0.0.1:{fastcgi}; fastcgi_buffers 64 64k; fastcgi_buffer_size 64k; fastcgi_read_timeout 120s;
{lines}
  }} }}""", port, "/?SERVICE=WMS&REQUEST=GetCapabilities")
        return Server(name, port, [*front.processes, *drawing.processes], drawing.log)

    def _data(self, form: str) -> dict[str, str]:
        """The tables with the kind of each feature, in the format; how a LAYER names them."""
        from tiles.vector.contents import Overrides, contents_of

        folder = self.yard.folder / form
        book = _book(self.config)
        contents = contents_of(self.edition, {one.name: one.fields for one in self.edition.classes}, book, Overrides.load(self.config / "vector_tiles.csv"))
        data = {}
        for one in self.edition.classes:
            path = folder / {"shapefile": f"{one.name}.shp", "FlatGeobuf": f"{one.name}.fgb", "GeoPackage": "all.gpkg"}[form]
            data[one.name] = f'DATA "{path}"' if form == "shapefile" else f'CONNECTIONTYPE OGR CONNECTION "{path}" DATA "{one.name}"'
        if folder.exists():
            return data
        folder.mkdir()
        for one in self.edition.classes:
            frame = pyogrio.read_dataframe(self.vectors, layer=one.name)
            columns = {name: [None if value != value or value is None else value for value in frame[name].tolist()] for name in one.fields}
            known = contents.get(one.name)
            frame[mapserver_style.KIND] = known.kinds_of(columns, len(frame)) if known else ""
            if form == "shapefile":
                pyogrio.write_dataframe(frame, folder / f"{one.name}.shp", encoding="UTF-8")
                _quietly("shptree", folder / f"{one.name}.shp")
            elif form == "FlatGeobuf":
                pyogrio.write_dataframe(frame, folder / f"{one.name}.fgb", layer=one.name)
            else:
                pyogrio.write_dataframe(frame, folder / "all.gpkg", layer=one.name, append=(folder / "all.gpkg").exists())
        return data

    def of_peer(self, size: int, place: Place) -> bytes:
        return get(f"/?{_get_map('line-map', size, place)}")


def _book(config: Path):
    from tiles.dlg_styles import StyleBook

    return StyleBook.load(config / "styles")


def _on_earth(ground: shapely.Geometry) -> shapely.Geometry:
    from layers.crs import transform_geometry

    return transform_geometry(shapely.segmentize(ground, 1000), CRS, "CRS:84")


def _quietly(program: str, *arguments) -> None:
    done = subprocess.run([find_program(program), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise CannotMeasure(f"{program} failed: {' '.join(done.stderr.split())[:300]}")


def _get_map(layer: str, size: int, place: Place) -> str:
    return urlencode({
        "SERVICE": "WMS", "VERSION": "1.1.1", "REQUEST": "GetMap", "LAYERS": layer, "STYLES": "", "SRS": CRS, "BBOX": ",".join(f"{value:.3f}" for value in place),
        "WIDTH": size, "HEIGHT": size, "FORMAT": "image/png",
    })


# -- pictures

def _picture(answer: Answer, size: int, who: str) -> np.ndarray:
    if answer.status != 200 or not answer.body.startswith(b"\x89PNG"):
        raise CannotMeasure(f"{who} answered {answer.status} {answer.media_type}: {answer.body[:300]!r}")
    picture = np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"), dtype=np.int16)
    if picture.shape != (size, size, 3) or picture.std() < 5:
        raise CannotMeasure(f"{who} drew nothing: deviation {picture.std():.1f}")
    return picture


def compare(ours: Sequence[Answer], theirs: Sequence[Answer], size: int, who: str) -> float:
    """Share of our coloured pixels near which they have drawn too, blurred by 8 px: names may stand elsewhere, lines may not be missing."""
    shares = []
    for mine, other in zip(ours, theirs, strict=True):
        inked = [(255 - _picture(one, size, name).min(axis=2) > 40) for one, name in ((mine, "ours"), (other, who))]
        blocks = [one[: size // 8 * 8, : size // 8 * 8].reshape(size // 8, 8, size // 8, 8).any(axis=(1, 3)) for one in inked]
        shares.append((blocks[0] & blocks[1]).sum() / max(blocks[0].sum(), 1))
    if np.mean(shares) < 0.85:
        raise CannotMeasure(f"{who} and ours draw different maps: {np.mean(shares):.0%} of ours is in theirs")
    return float(np.mean(shares))


# -- the measurement

def best_mapserver(scene: Scene) -> tuple[Server, float]:
    """The format and encoding that costs the least processor time for the smaller maps, and how much of our map is in its pictures."""
    places = scene.places(512, 16)
    ours, _ = ask_each_once(scene.ours, [scene.of_ours(512, place) for place in places], CONNECTIONS)
    found = []
    for form in FORMATS:
        for encoding in ENCODINGS:
            if form != FORMATS[0] and encoding != min(found)[3]:
                continue                                     # the encoding has nothing to do with the format
            server = scene.mapserver(form, encoding)
            answers, _ = ask_each_once(server, [scene.of_peer(512, place) for place in places], CONNECTIONS)
            alike = compare(ours, answers, 512, server.name)
            _, run = ask_each_once(server, [scene.of_peer(512, place) for place in scene.places(512, 24)], CONNECTIONS)
            say(f"{server.name}: {run.rate:.1f} maps/s, {run.cpu:.1f} ms CPU, {np.mean([len(one.body) for one in answers]) / 1000:.0f} kB, {alike:.0%} of our ink in theirs")
            found.append((run.cpu, server, alike, encoding))
            if kept := os.environ.get("BENCH_KEEP"):
                Path(kept, f"{form}.png").write_bytes(answers[0].body), Path(kept, "ours.png").write_bytes(ours[0].body)
    say(f"ours: {np.mean([len(one.body) for one in ours]) / 1000:.0f} kB")
    _, server, alike, _ = min(found, key=lambda one: one[0])
    return server, alike


def qgis_server(scene: Scene) -> Server:
    """With its pictures compared with ours."""
    server, places = scene.qgis(), scene.places(512, 16)
    ours, _ = ask_each_once(scene.ours, [scene.of_ours(512, place) for place in places], CONNECTIONS)
    answers, run = ask_each_once(server, [scene.of_peer(512, place) for place in places], CONNECTIONS)
    if kept := os.environ.get("BENCH_KEEP"):
        Path(kept, "qgis.png").write_bytes(answers[0].body)
    alike = compare(ours, answers, 512, server.name)
    say(f"{server.name}: {run.rate:.1f} maps/s, {run.cpu:.1f} ms CPU, {np.mean([len(one.body) for one in answers]) / 1000:.0f} kB, {alike:.0%} of our ink in theirs")
    return server


def measure(chosen: Namespace) -> dict[str, float]:
    say(machine())
    require("nginx", "mapserv", "shptree")
    scale, ratios, rows = QUICK if chosen.quick else FULL, {}, []
    with Yard() as yard:
        scene, peers = Scene(yard, scale), {}
        say(f"{sum(scene.counts.values()):,} features on {scale.side_km:g} x {scale.side_km:g} km")
        peers["MapServer"], _ = best_mapserver(scene)
        if Path(QGIS_SERVER).exists():
            peers["QGIS Server"] = qgis_server(scene)
        for name, size, share in KINDS:
            count = max(4, round(scale.places * share))

            def ask(server: Server, request, places: list[list[Place]], number: int, size: int = size) -> Run:
                answers, run = ask_each_once(server, [request(size, place) for place in places[number]], CONNECTIONS)
                for answer in answers:
                    _picture(answer, size, server.name)
                return run

            places = [scene.places(size, count) for _ in range(scale.rounds)]
            for server, request in ((scene.ours, scene.of_ours), *((one, scene.of_peer) for one in peers.values())):     # every thread of every process opens its own
                ask(server, request, [scene.places(size, max(24, count)) for _ in range(2 if size < 1000 else 1)], 0)
            turns = {"ours": lambda number, places=places, ask=ask: ask(scene.ours, scene.of_ours, places, number)} | {
                who: lambda number, places=places, ask=ask, one=one: ask(one, scene.of_peer, places, number) for who, one in peers.items()
            }
            measured = in_rounds(turns, scale.rounds)
            for who in peers:
                short = who.lower().replace(" ", "_")
                ratios[f"{name}_vs_{short}"] = ratio(measured["ours"], measured[who])
                ratios[f"{name}_cpu_vs_{short}"] = ratio(measured[who], measured["ours"], lambda run: run.cpu)
            rows += [[f"{name} {who}", one.rate, one.p50, one.p99, one.cpu] for who, one in measured.items()]
        ratios["dlg_vs_best_peer"] = min(ratios[key] for key in ratios if "_cpu_" not in key)
    say(f"\n{scale.rounds} rounds of new places, {CONNECTIONS} connections, medians; times in ms; {', '.join(one.name for one in peers.values())}")
    table(["map", "maps/s", "p50", "p99", "cpu"], rows)
    return ratios


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
