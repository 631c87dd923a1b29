"""A million features by OGC API, in boxes and page by page, beside PostGIS behind a plain JSON query and MapServer's WFS over the same table.

    .venv/bin/python bench/features.py [--quick] [--json]
"""

import json
import os
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from harness import (
    ROOT,
    WORKERS,
    CannotMeasure,
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
from line_map import CRS, LEFT, TOP, _frame, _houses
from mvt import require_postgis

sys.path.insert(1, str(ROOT / "tests"))
DSN = "BENCH_FEATURES_DSN"
CONNECTIONS = 4
FEW, MANY = 10, 1000
DEGREES = 8


@dataclass(frozen=True, slots=True)
class Scale:
    features: int
    rounds: int
    few: int                    # requests a round
    many: int


QUICK, FULL = Scale(1_000_000, 3, 150, 24), Scale(1_000_000, 7, 400, 60)


def houses(path: Path, count: int) -> float:
    """Writes `RESA` into a new GeoPackage, sorted as sheets are; the side of its square in metres."""
    rng, side = np.random.default_rng(3), 1000 * (count / 160) ** 0.5
    names = np.array([f"名{number % 977}" for number in range(count)], dtype=object)
    frame = _frame(_houses(rng, count, side), GB=rng.integers(310_000, 310_400, count), NAME=names, FLOORS=rng.integers(1, 30, count))
    pyogrio.write_dataframe(frame, path, layer="RESA")
    return side


def fill(dsn: str, geopackage: Path) -> None:
    """The same table in PostGIS: indexed, clustered and analyzed."""
    import psycopg

    meta, keys, shapes, columns = pyogrio.raw.read(geopackage, layer="RESA", return_fids=True)
    kinds = ["int" if column.dtype.kind in "iu" else "text" for column in columns]
    fields = ", ".join(f'"{name}" {kind}' for name, kind in zip(meta["fields"], kinds, strict=True))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
        connection.execute(f"CREATE TABLE resa (fid int PRIMARY KEY, geom geometry(Polygon, 4549), {fields})")
        texts = shapely.to_wkb(shapely.set_srid(shapely.from_wkb(shapes), 4549), hex=True, include_srid=True)
        with connection.cursor().copy("COPY resa FROM STDIN") as copy:
            for row in zip(keys.tolist(), texts, *(column.tolist() for column in columns), strict=True):
                copy.write_row(row)
        connection.execute("CREATE INDEX resa_place ON resa USING gist (geom)")
        connection.execute("CLUSTER resa USING resa_pkey")
        connection.execute("VACUUM ANALYZE resa")


def plain_query() -> Callable:
    """The least that a Python worker can do with PostGIS: one statement makes the whole collection. No key, no decision, no record."""
    import threading

    import psycopg

    own = threading.local()
    box = "geom && ST_Transform(ST_MakeEnvelope(%s, %s, %s, %s, 4326), 4549) AND ST_Intersects(geom, ST_Transform(ST_MakeEnvelope(%s, %s, %s, %s, 4326), 4549)) AND"
    question = (
        "SELECT json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(json_build_object('type', 'Feature', 'id', fid, 'geometry', "
        f"ST_AsGeoJSON(ST_Transform(geom, 4326), {DEGREES})::json, 'properties', json_build_object('GB', \"GB\", 'NAME', \"NAME\", 'FLOORS', \"FLOORS\"))), '[]'::json))::text "
        "FROM (SELECT * FROM resa WHERE {box} fid > %s ORDER BY fid LIMIT %s) q"
    )

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(os.environ[DSN], autocommit=True)
            own.connection.execute("SET jit = off")
        limit, after, *bounds = environ["PATH_INFO"].strip("/").split("/")
        values = [*map(float, bounds)] * 2 + [int(after), int(limit)]
        body = own.connection.execute(question.format(box=box if bounds else ""), values).fetchone()[0].encode()
        start_response("200 OK", [("Content-Type", "application/geo+json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def mapserver(yard: Yard, dsn: str, bounds) -> Server:
    """MapServer's WFS, GeoJSON from PostGIS, behind nginx by FastCGI processes that stay."""
    folder = yard.folder / "mapserver"
    folder.mkdir()
    west, south, east, north = bounds
    (folder / "bench.map").write_text(f"""MAP
  NAME bench STATUS ON EXTENT {west} {south} {east} {north} PROJECTION "init=epsg:4326" END
  WEB METADATA "ows_enable_request" "*" "wfs_srs" "EPSG:4326" "wfs_title" "b" "wfs_onlineresource" "http://127.0.0.1/?" END END
  OUTPUTFORMAT NAME "geojson" DRIVER "OGR/GEOJSON" MIMETYPE "application/json" FORMATOPTION "STORAGE=stream" FORMATOPTION "FORM=SIMPLE"
    FORMATOPTION "LCO:COORDINATE_PRECISION={DEGREES}" END
  LAYER NAME resa TYPE POLYGON STATUS ON CONNECTIONTYPE POSTGIS CONNECTION "{dsn}" PROCESSING "CLOSE_CONNECTION=DEFER"
    DATA "geom FROM resa USING UNIQUE fid USING SRID=4549" PROJECTION "init=epsg:4549" END
    METADATA "wfs_title" "r" "gml_featureid" "fid" "gml_include_items" "all" "wfs_getfeature_formatlist" "geojson" END
  END
END
""")
    (folder / "mapserver.conf").write_text('CONFIG\n ENV\n  MS_MAP_PATTERN "."\n END\nEND\n')
    port, fastcgi = free_port(), free_port()
    listening = socket.create_server(("127.0.0.1", fastcgi), backlog=512)
    yard.callback(listening.close)
    working = yard.start("mapserv", fastcgi, [[find_program("mapserv")]] * (WORKERS * 2), ready="",
                         environ={"MAPSERVER_CONFIG_FILE": str(folder / "mapserver.conf")}, stdin=listening)
    parameters = "\n".join(f"    fastcgi_param {name} ${value};" for name, value in (
        ("QUERY_STRING", "query_string"), ("REQUEST_METHOD", "request_method"), ("SCRIPT_NAME", "uri"), ("SERVER_NAME", "host"),
        ("SERVER_PORT", "server_port"), ("SERVER_PROTOCOL", "server_protocol"),
    ))
    front = yard.nginx("mapserver-front", f"""server {{ listen 127.0.0.1:{port};
  location / {{ fastcgi_pass 127.0.0.1:{fastcgi}; fastcgi_buffers 64 64k; fastcgi_buffer_size 64k;
{parameters}
    fastcgi_param MS_MAPFILE {folder / 'bench.map'};
  }} }}""", port, "/?SERVICE=WFS&REQUEST=GetCapabilities")
    return Server("MapServer", port, [*front.processes, *working.processes], working.log)


# -- questions

@dataclass(frozen=True, slots=True)
class Places:
    """Boxes that no other round asks, in CRS84, each with about as many features as are wanted."""

    side: float
    count: int

    def boxes(self, wanted: int, rounds: int, each: int) -> list[list[tuple[float, ...]]]:
        from layers.crs import transform_geometry

        rng, half = np.random.default_rng(wanted), self.side * (1.25 * wanted / self.count) ** 0.5 / 2
        low, high = half + 100, self.side - half - 100
        found = []
        for x, y in rng.uniform(low, high, (rounds * each, 2)):
            box = shapely.box(LEFT + x - half, TOP - y - half, LEFT + x + half, TOP - y + half)
            found.append(tuple(round(value, 8) for value in transform_geometry(box, CRS, "CRS:84").bounds))
        return [found[number * each:(number + 1) * each] for number in range(rounds)]


def of_ours(key: str, limit: int, box=None, after: str | None = None) -> bytes:
    where = f"&bbox={','.join(map(str, box))}" if box else ""
    return get(f"/features/collections/houses.RESA/items?limit={limit}{where}{f'&after={after}' if after else ''}", {"X-API-Key": key})


def of_plain(limit: int, box=None, after: int = 0) -> bytes:
    return get(f"/{limit}/{after}" + (f"/{'/'.join(map(str, box))}" if box else ""))


def of_mapserver(limit: int, box=None, start: int = 0) -> bytes:
    where = f"&BBOX={box[1]},{box[0]},{box[3]},{box[2]},urn:ogc:def:crs:EPSG::4326" if box else ""
    page = f"&STARTINDEX={start}" if start else ""
    return get(f"/?SERVICE=WFS&VERSION=2.0.0&REQUEST=GetFeature&TYPENAMES=resa&SRSNAME=urn:ogc:def:crs:EPSG::4326&OUTPUTFORMAT=geojson&COUNT={limit}{where}{page}")


def check_alike(servers: dict[str, Server], requests: dict[str, bytes], most: int) -> None:
    counts = {}
    for name, server in servers.items():
        ((answer,), _) = ask_each_once(server, [requests[name]], 1)
        if answer.status != 200:
            raise CannotMeasure(f"{name} answered {answer.status}: {answer.body[:300]!r}")
        counts[name] = len(json.loads(answer.body)["features"])
    if max(counts.values()) - min(counts.values()) > 2 or not 0 < max(counts.values()) <= most:
        raise CannotMeasure(f"they do not answer alike: {counts}")


def measure(chosen: Namespace) -> dict[str, float]:
    from databases import postgresql
    from instance import Instance

    from agreements.model import Operation
    from geoserver_app.features.ids import FeatureIds
    from geoserver_app.people.guessing import instance_secret
    from layers.crs import transform_geometry

    say(machine())
    require("nginx", "mapserv")
    require_postgis()
    scale = QUICK if chosen.quick else FULL
    with Yard() as yard, postgresql() as url:
        dsn = f"host={url.partition('host=')[2]} user=geoshare dbname=postgres"
        geopackage = yard.folder / "houses.gpkg"
        side = houses(geopackage, scale.features)
        fill(dsn, geopackage)
        instance = Instance(yard)
        instance.add_layer("houses", "DLG", [geopackage])
        ground = transform_geometry(shapely.segmentize(shapely.box(LEFT - 1000, TOP - side - 1000, LEFT + side + 1000, TOP + 1000), 500), CRS, "CRS:84")
        key = instance.add_agency("water", ground, ("houses",), frozenset({Operation.GET_FEATURE}), attributes=None)
        servers = {
            "ours": instance.serve(), "PostGIS, plain query": yard.granian("plain_query", "features:plain_query", {DSN: dsn}, "/1/0"),
            "MapServer WFS": mapserver(yard, dsn, ground.bounds),
        }
        places, ids = Places(side, scale.features), FeatureIds(instance_secret(instance.settings.data / "instance-secret"))
        rng = np.random.default_rng(8)
        starts = rng.integers(scale.features // 2, scale.features - 2 * MANY, (scale.rounds + 1, scale.many))
        ways = {
            "ours": lambda limit, box=None, start=0: of_ours(key, limit, box, ids.of("houses", "RESA", [start], [0])[0] if start else None),
            "PostGIS, plain query": lambda limit, box=None, start=0: of_plain(limit, box, start),
            "MapServer WFS": lambda limit, box=None, start=0: of_mapserver(limit, box, start),
        }
        ratios, best = {}, []
        for name, groups in (
            ("box, 10", [[(FEW, box, 0) for box in group] for group in places.boxes(FEW, scale.rounds + 1, scale.few)]),
            ("box, 1000", [[(MANY, box, 0) for box in group] for group in places.boxes(MANY, scale.rounds + 1, scale.many)]),
            ("page of 1000, deep", [[(MANY, None, int(start)) for start in group] for group in starts]),
        ):
            check_alike(servers, {who: way(*groups[0][0]) for who, way in ways.items()}, MANY)
            cases = {who: _case(servers[who], ways[who], groups) for who in ways}
            found = in_rounds(cases, scale.rounds)
            say(f"\n{name}: {CONNECTIONS} connections, medians; times in ms")
            table(["case", "requests/s", "p50", "p99", "cpu per request"], [[who, one.rate, one.p50, one.p99, one.cpu] for who, one in found.items()])
            leader = max((who for who in ways if who != "ours"), key=lambda who: found[who].rate)
            short = name.replace(", ", "_").replace(" ", "_")
            ratios[f"features_{short}_vs_{'postgis' if 'PostGIS' in leader else 'mapserver'}"] = ratio(found["ours"], found[leader])
            best.append(ratio(found["ours"], found[leader]))
        ratios["features_vs_best_peer"] = float(np.exp(np.mean(np.log(best))))
    say()
    table(["ratio", "ours / theirs"], ratios.items())
    return ratios


def _case(server: Server, way: Callable, groups: list) -> Callable:
    def run(number: int):
        answers, measured = ask_each_once(server, [way(*one) for one in groups[number]], CONNECTIONS)
        if any(answer.status != 200 for answer in answers):
            raise CannotMeasure(f"{server.name}: {next(answer.body for answer in answers if answer.status != 200)[:200]!r}")
        return measured

    return run


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0])
