"""Vector tiles of a made-up line map, level by level from z8 to z16, beside PostGIS's ST_AsMVT over the same features: made anew, and as served.

    .venv/bin/python bench/mvt.py [--quick] [--json]
"""

import json
import os
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyogrio
import shapely
from harness import ROOT, CannotMeasure, Run, Server, Yard, ask_each_once, ask_for_a_while, get, in_rounds, machine, main, ratio, say, table
from line_map import LEFT, TOP, write_line_map

sys.path.insert(1, str(ROOT / "tests"))
ZOOMS = range(8, 17)
TABLES, QUESTIONS = "BENCH_MVT_DSN", "BENCH_MVT_QUESTIONS"
CONNECTIONS = 16
ALIKE = 0.04
"""Share by which the numbers of features of two tiles may differ: ST_AsMVTGeom asks its own questions of what vanishes in the grid."""


@dataclass(frozen=True, slots=True)
class Scale:
    side_km: float
    rounds: int
    seconds: float
    tiles: int                  # asked of a level in a round


QUICK, FULL = Scale(24, 2, 1.0, 4), Scale(80, 5, 4.0, 8)


# -- PostGIS

def require_postgis() -> None:
    """It has no program of its own to look for, so it is not among those of `harness.require`."""
    def has_it() -> bool:
        return any(Path("/usr/share/postgresql").glob("*/extension/postgis.control"))

    if not has_it() and os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing postgresql-15-postgis-3")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
        subprocess.run(["apt-get", "update", "-q"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "postgresql-15", "postgresql-15-postgis-3"], **quiet)
    if not has_it():
        raise CannotMeasure("PostGIS is not installed: as root, apt-get install postgresql-15-postgis-3")


def fill(dsn: str, geopackage: Path, tables) -> None:
    """The same tables, indexed, clustered and analyzed."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
        for one in tables:
            meta, keys, shapes, columns = pyogrio.raw.read(geopackage, layer=one.name, return_fids=True)
            types = ["int" if column.dtype.kind in "iu" else "float8" if column.dtype.kind == "f" else "text" for column in columns]
            name, fields = one.name.lower(), ", ".join(f'"{field}" {kind}' for field, kind in zip(meta["fields"], types, strict=True))
            connection.execute(f"CREATE TABLE {name} (fid int PRIMARY KEY, geom geometry(Geometry, 4549), {fields})")
            texts = shapely.to_wkb(shapely.set_srid(shapely.from_wkb(shapes), 4549), hex=True, include_srid=True)
            with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                for row in zip(keys.tolist(), texts, *(column.tolist() for column in columns), strict=True):
                    copy.write_row(row)
            connection.execute(f"CREATE INDEX {name}_place ON {name} USING gist (geom)")
            connection.execute(f"CLUSTER {name} USING {name}_place")
            connection.execute(f"VACUUM ANALYZE {name}")


def question(contents, scale: float) -> str:
    """One SELECT for the whole tile, with {z}, {x} and {y} to be filled in: the same tables, kinds and attributes as ours at this level."""
    parts = []
    for one in contents.values():
        shown = one.shown(scale)
        if not shown:
            continue
        name, fields = one.table.name, ", ".join(f'"{field}"' for field in one.fields)
        condition = in_sql(one, shown)
        parts.append(
            f"coalesce((SELECT ST_AsMVT(q, '{name}', 4096, 'shape', 'fid') FROM (SELECT fid, {fields}, ST_AsMVTGeom(ST_Transform(geom, 3857), "
            f"ST_TileEnvelope({{z}}, {{x}}, {{y}}), 4096, 64, true) AS shape FROM {name.lower()} WHERE geom && "
            f"ST_Transform(ST_TileEnvelope({{z}}, {{x}}, {{y}}, margin => 0.016), 4549) {condition}) q WHERE shape IS NOT NULL), ''::bytea)"
        )
    return f"SELECT {' || '.join(parts)}"


def in_sql(one, shown: frozenset[str]) -> str:
    """Kinds by their codes of six digits, as somebody would write it who knows them."""
    if len(shown) == len(one.kinds):
        return ""
    field, codes = ("GB", range(100_000, 999_999, 1)) if "GB" in one.fields else ("CLASS", ("AA", "AE", "AF", "AG", "BA", "BB"))
    kinds = np.array(one.kinds_of({name: [None] * len(codes) for name in one.fields} | {field: list(codes)}, len(codes)))
    fit = np.isin(kinds, list(shown))
    if field == "CLASS":
        listed = ", ".join(f"'{code}'" for code, is_in in zip(codes, fit, strict=True) if is_in)
        return f"""AND "CLASS" IN ({listed or "''"})"""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], fit, [False]]).astype(int))) + 100_000
    return "AND (" + (" OR ".join(f'"GB" >= {low} AND "GB" < {high}' for low, high in zip(edges[::2], edges[1::2], strict=True)) or "false") + ")"


def st_asmvt() -> Callable:
    """The least that a Python worker can do with it: one statement, its bytes. No key, no decision, no record."""
    import threading

    import psycopg

    own, questions = threading.local(), json.loads(Path(os.environ[QUESTIONS]).read_text())

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(os.environ[TABLES], autocommit=True)
            own.connection.execute("SET jit = off")
        z, x, y = environ["PATH_INFO"].strip("/").split("/")
        body = bytes(own.connection.execute(questions[z].format(z=z, x=x, y=y), binary=True).fetchone()[0]) if z in questions else b""
        start_response("200 OK", [("Content-Type", "application/vnd.mapbox-vector-tile"), ("Content-Length", str(len(body)))])
        return [body]

    return app


# -- made anew, in process

class Makers:
    """Both makers over the same features."""

    def __init__(self, folder: Path, dsn: str, side_km: float):
        import psycopg
        from county import edition_of

        from layers.crs import transform_bounds
        from layers.features import GeoPackageStore
        from layers.model import Bounds
        from tiles.grids import TILE_MATRIX_SETS
        from tiles.vector.contents import scale_of
        from tiles.vector.making import TileMaker
        from tiles.vector.shelf import Shown, TileShelf

        geopackage = folder / "county.gpkg"
        counts = write_line_map(geopackage, side_km)
        say(f"{sum(counts.values()):,} features on {side_km:g} x {side_km:g} km: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
        self.edition = edition_of(geopackage, ROOT / "config")
        fill(dsn, geopackage, self.edition.classes)
        maker = TileMaker(GeoPackageStore(folder), folder, ROOT / "config", lambda layer, name, keys: keys.astype(np.uint64))
        self.shelf = TileShelf(maker, folder / "cache", lambda edition: nullcontext(True))
        self.shown = Shown(None, tuple(sorted((one.name, one.fields) for one in self.edition.classes)))
        self.tms = TILE_MATRIX_SETS["WebMercatorQuad"]
        side = side_km * 1000
        self.bounds = transform_bounds(Bounds(LEFT, TOP - side, LEFT + side, TOP), "EPSG:4549", self.tms.crs)
        contents = maker.contents(self.edition, dict(self.shown.told))
        self.questions = {z: question(contents, scale_of(self.tms, z)) for z in ZOOMS}
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.connection.execute("SET jit = off")

    def ours(self, z: int, row: int, col: int) -> bytes:
        from tiles.vector.grid import TileGrid

        return self.shelf.made(self.edition, self.shown, TileGrid(self.tms, z, row, col))

    def theirs(self, z: int, row: int, col: int) -> bytes:
        return bytes(self.connection.execute(self.questions[z].format(z=z, x=col, y=row), binary=True).fetchone()[0])

    def places(self, z: int, count: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
        """Tiles of a level that lie wholly in the data, where there are any."""
        first_row, last_row, first_col, last_col = self.tms.limits(z, self.bounds)
        inset = int(last_row - first_row > 2 and last_col - first_col > 2)
        rows = rng.integers(first_row + inset, last_row - inset + 1, count).tolist()
        return [(z, row, col) for row, col in zip(rows, rng.integers(first_col + inset, last_col - inset + 1, count).tolist(), strict=True)]


def check_alike(makers: Makers, places) -> None:
    from tiles.vector.encoder import count_features

    for place in places:
        ours, theirs = (count_features(make(*place)) for make in (makers.ours, makers.theirs))
        if abs(ours - theirs) > max(ALIKE * max(ours, theirs), 4):
            raise CannotMeasure(f"the tiles {place} hold {ours} and {theirs} features: they are not the same tile")


def measure_making(makers: Makers, scale: Scale) -> dict[str, float]:
    rng, rows, ratios = np.random.default_rng(5), [], {}
    for z in ZOOMS:
        check_alike(makers, makers.places(z, 2, rng))
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        rounds = []
        for number in range(scale.rounds + 1):
            places = makers.places(z, scale.tiles if z > 10 else max(scale.tiles // 2, 2), rng)
            for name, make in (("ours", makers.ours), ("theirs", makers.theirs))[:: 1 if number % 2 else -1]:
                began = time.perf_counter()
                sizes = [len(make(*place)) for place in places]
                times[name].append((time.perf_counter() - began) / len(places) * 1000)
            rounds.append(times["theirs"][-1] / times["ours"][-1])
        ratios[z] = median(rounds[1:])
        rows.append([f"z{z}", median(sizes) / 1024, median(times["ours"][1:]), median(times["theirs"][1:]), ratios[z]])
    say("\nmade anew, one after the other, ms a tile")
    table(["level", "KiB", "ours", "ST_AsMVT", "ratio"], rows)
    coarse, fine = ([ratios[z] for z in ZOOMS if (z < 12) == is_coarse] for is_coarse in (True, False))
    together = float(np.exp(np.mean(np.log(list(ratios.values())))))
    return {"mvt_vs_st_asmvt": together, "mvt_z8_11_vs_st_asmvt": float(np.exp(np.mean(np.log(coarse)))), "mvt_z12_16_vs_st_asmvt": float(np.exp(np.mean(np.log(fine))))}


# -- as served

def measure_serving(yard: Yard, makers: Makers, dsn: str, scale: Scale) -> dict[str, float]:
    """Over HTTP, z12 to 15: tiles that nobody asked for before, the same again, and tiles that the border of a grant cuts."""
    from instance import Instance

    from agreements.model import Operation
    from layers.crs import transform_geometry

    instance = Instance(yard)
    instance.add_layer("lines", "DLG", [yard.folder / "line-map" / "county.gpkg"])
    side = scale.side_km * 1000
    slanted = shapely.Polygon([(LEFT - 500, TOP + 500), (LEFT + side * 0.7, TOP + 500), (LEFT + side * 0.45, TOP - side - 500), (LEFT - 500, TOP - side - 500)])
    area = transform_geometry(shapely.segmentize(slanted, 500), "EPSG:4549", "CRS:84")
    key = instance.add_agency("water", area, ("lines",), frozenset({Operation.GET_FEATURE}), attributes=None)
    (yard.folder / "questions.json").write_text(json.dumps(makers.questions))
    ours = instance.serve()
    theirs = yard.granian("st_asmvt", "mvt:st_asmvt", {TABLES: dsn, QUESTIONS: str(yard.folder / "questions.json")}, "/0/0/0")
    rng = np.random.default_rng(9)
    inside, edge = sorted_places(makers, area, rng, scale)

    def asked(places, deflated: bool = True) -> list[bytes]:
        headers = {"X-API-Key": key} | ({"Accept-Encoding": "gzip"} if deflated else {})
        return [get(f"/tiles/lines/WebMercatorQuad/{z}/{col}/{row}.mvt", headers) for z, row, col in places]

    def of_peer(places) -> list[bytes]:
        return [get(f"/{z}/{col}/{row}") for z, row, col in places]

    def first(server: Server, requests: Callable, groups) -> Callable[[int], Run]:
        return lambda number: _all_well(ask_each_once(server, requests(groups[number]), CONNECTIONS))

    half = len(inside) // (scale.rounds + 1)
    groups = [inside[number * half:(number + 1) * half] for number in range(scale.rounds + 1)]
    cases = {
        "ST_AsMVT, tiles": first(theirs, of_peer, groups),
        "ours, inside, first time": first(ours, asked, groups),
        "ours, inside, again": lambda _: ask_for_a_while(ours, asked(groups[0]), seconds=scale.seconds, connections=CONNECTIONS, folder=yard.folder),
        "ours, edge, cut once": lambda _: ask_for_a_while(ours, asked(edge), seconds=scale.seconds, connections=CONNECTIONS, folder=yard.folder),
    }
    measured = in_rounds(cases, scale.rounds)
    say(f"\nas served, {CONNECTIONS} connections, medians; times in ms")
    table(
        ["case", "requests/s", "p50", "p99", "cpu per request"],
        [[name, one.rate, one.p50, one.p99, one.cpu] for name, one in measured.items()],
    )
    peer = measured["ST_AsMVT, tiles"]
    return {
        "mvt_served_first_vs_st_asmvt": ratio(measured["ours, inside, first time"], peer),
        "mvt_served_vs_st_asmvt": ratio(measured["ours, inside, again"], peer),
        "mvt_served_edge_vs_st_asmvt": ratio(measured["ours, edge, cut once"], peer),
    }


def sorted_places(makers: Makers, area: shapely.Geometry, rng: np.random.Generator, scale: Scale) -> tuple[list, list]:
    """Tiles of z12 to 15 that lie inside the area with their buffers, in random order and each once, and some that its border cuts."""
    from tiles.area import ServedArea
    from tiles.vector.grid import BUFFER, EXTENT
    from tiles.vector.mvt import Buffered

    served, found = ServedArea(area, "bench"), {"inside": [], "edge": [], "outside": []}
    for z in range(12, 16):
        for place in dict.fromkeys(makers.places(z, 40 * scale.tiles, rng)):
            found[served.classify(makers.tms, *place, Buffered(BUFFER / EXTENT))].append(place)
    inside = [found["inside"][at] for at in rng.permutation(len(found["inside"]))]
    return inside, found["edge"][: 16 * scale.tiles]


def _all_well(asked) -> Run:
    answers, run = asked
    if any(answer.status not in (200, 204) for answer in answers):
        raise CannotMeasure(f"a tile was answered {answers[0].status}: {answers[0].body[:200]!r}")
    return run


def measure(chosen: Namespace) -> dict[str, float]:
    from databases import postgresql

    say(machine())
    require_postgis()
    scale = QUICK if chosen.quick else FULL
    with Yard() as yard, postgresql() as url:
        dsn = f"host={url.partition('host=')[2]} user=geoshare dbname=postgres"
        folder = yard.folder / "line-map"
        folder.mkdir()
        makers = Makers(folder, dsn, scale.side_km)
        ratios = measure_making(makers, scale)
        ratios |= measure_serving(yard, makers, dsn, scale)
    say()
    table(["ratio", "ours / theirs"], ratios.items())
    return ratios


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
