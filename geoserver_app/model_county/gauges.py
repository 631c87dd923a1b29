"""What the water department of the model county brings: gauges with the datum of their levels, and the levels as they rise and fall.

Made by rule, like all of the county. Geometries are in EPSG:4549, levels in metres of the datum that each gauge states; one states none, since such gauges
exist, and one has a datum of its own, with the correction that leads from it to the national one.
"""

from collections.abc import Sequence
from datetime import datetime
from math import pi, sin

from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from geoserver_app.model_county.features import County
from layers.features.store import FieldType
from layers.live import LiveField, LivePlan
from layers.model import Bounds

NOTE = "SYNTHETIC 样例"

TEXTS, NUMBERS = ("STCD", "STNM", "RVNM", "STTP", "DTMNM"), ("DTPR", "WRZ", "GRZ", "Z")

PLAN = LivePlan(
    table="levels", fields=(*(LiveField(name=name, kind=FieldType.TEXT) for name in TEXTS), *(LiveField(name=name, kind=FieldType.NUMBER) for name in NUMBERS)),
    crs="EPSG:4549", bounds=Bounds(381_000, 3_546_000, 406_600, 3_562_000), expiry=0,
)
"""The live table: names of fields as the real-time tables of the water industry have them."""

HOURS = 6.0
"""From one high water to the next: a demonstration is shorter than a flood."""

OF_ITS_OWN, DOUBTFUL = "冻结基面", None
"""Datums of the two gauges that only the live table has."""


def gauges(county: County) -> list[tuple[Point, dict]]:
    """Gauges of the river, the lake, the reservoirs and the sluice, with their levels of warning and guarantee."""
    terrain = county.terrain
    river = [terrain.frame.place(x, y) for x, y in ((2.6, 9.4), (10.4, 8.3), (20.6, 10.4))]
    stations = [(Point(at), f"{name}水文站", "青澜江", "ZQ", "吴淞", 8.7, 10.2) for at, name in zip(river, ("西津", "样例", "东渡"), strict=True)]
    lake = terrain.lake.exterior
    stations += [(lake.interpolate(share, normalized=True), f"镜湖{name}水位站", "镜湖", "ZZ", "吴淞", 7.6, 8.4) for share, name in ((0.1, "东"), (0.55, "西"))]
    stations += [(r.dam.centroid, f"{r.name}站", r.name, "RR", "1985国家高程基准", r.level - 1.5, r.level) for r in terrain.reservoirs]
    stations += [(Point(terrain.frame.place(9.25, 8.35)), "通济闸站", "通济渠", "DD", "废黄河", 6.8, 7.5)]
    return [
        (at, {"STCD": f"999{number:05d}", "STNM": name, "RVNM": water, "STTP": kind, "DTMNM": datum, "WRZ": round(warning, 2), "GRZ": round(guaranteed, 2), "NOTE": NOTE})
        for number, (at, name, water, kind, datum, warning, guaranteed) in enumerate(stations, 1)
    ]


def stations(county: County) -> list[tuple[Point, dict]]:
    """All gauges of the live table: the others, and two whose datum is no plain matter."""
    rows = gauges(county)
    first = rows[0][1]
    return [
        *rows,
        (Point(county.terrain.frame.place(6.0, 8.9)), first | {"STCD": "99900010", "STNM": "青澜江旧水尺", "DTMNM": DOUBTFUL, "WRZ": 3.4, "GRZ": 4.6}),
        (Point(county.terrain.frame.place(16.2, 10.9)), first | {"STCD": "99900011", "STNM": "临江水文站", "DTMNM": OF_ITS_OWN, "DTPR": 3.12, "WRZ": 3.6, "GRZ": 5.1}),
    ]


def reservoirs(county: County) -> list[tuple[BaseGeometry, dict]]:
    """Reservoirs with their levels, metres of the 1985 national height datum, and millions of cubic metres at the normal one; `STCD` is that of the gauge."""
    codes = {told["RVNM"]: told["STCD"] for _, told in gauges(county) if told["STTP"] == "RR"}
    return [
        (one.shape, {
            "STCD": codes[one.name], "RSNM": one.name, "DTMNM": "1985国家高程基准", "NORMZ": round(one.level, 2), "FSLTDZ": round(one.level - 1.5, 2),
            "DDZ": round(one.level - 0.7 * one.depth, 2), "TTCP": round(one.shape.area * one.depth / 3 / 1e6, 2), "NOTE": NOTE,
        })
        for one in county.terrain.reservoirs
    ]


def objects(county: County, moment: datetime) -> list[dict]:
    """Every gauge with its level at a moment, as rows of the live table `PLAN`."""
    return levels(stations(county), moment)


def levels(rows: Sequence[tuple[Point, dict]], moment: datetime) -> list[dict]:
    """Gauges of `stations` with their levels at a moment: the same for the same moment. The three of the river rise one after the other, to above warning;
    the lake follows them."""
    hours = moment.timestamp() / 3600
    return [
        {"id": told["STCD"], "x": round(at.x, 2), "y": round(at.y, 2), "moment": moment.isoformat(),
         "properties": {name: told.get(name) for name in (*TEXTS, *NUMBERS)} | {"Z": round(_level(told, number, hours), 3)}}
        for number, (at, told) in enumerate(rows)
    ]


def _level(gauge: dict, number: int, hours: float) -> float:
    swing = {"ZQ": 0.9, "ZZ": 0.35, "RR": 0.6, "DD": 0.4}[gauge["STTP"]]
    middle = {"ZQ": gauge["WRZ"] - 0.2, "ZZ": gauge["WRZ"] - 0.1, "RR": gauge["WRZ"] - 0.4, "DD": gauge["WRZ"] - 0.5}[gauge["STTP"]]
    return middle + swing * sin(2 * pi * (hours / HOURS - number / 12)) + 0.02 * sin(hours * 37 + number)
