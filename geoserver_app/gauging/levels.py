"""Levels of gauges in a datum that they can be compared in, or the reason why they can't.

A gauge states the datum of its level (DTMNM). Where that is one of the table of datums its constant leads on; where the gauge has a correction of its own
(DTPR, metres to the 1985 national datum) that is the better way, and the only one from a datum of the station's own. Where both are given and differ by more
than half a metre one of them is wrong, and nothing is compared. Nothing is ever taken to be in a datum because it is not said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from geoserver_app.features.collections import table_named
from geoserver_app.gauging.asking import NATIONAL, refused
from layers.crs import transform_geometry
from layers.errors import VerticalDatumRefused
from layers.features import FeatureStore
from layers.geodesy import Place
from layers.heights import VerticalDatums
from layers.model import FeatureClass
from tiles.errors import RequestInvalid
from tiles.permits import Permit
from tiles.requests.features import FeatureTypeName, equals, name_of
from tiles.vector.granted import Told, told

CODE, DATUM, LEVEL = "STCD", "DTMNM", "Z"
NEEDED = (CODE, DATUM, LEVEL)
WARNING, GUARANTEED, CORRECTION = "WRZ", "GRZ", "DTPR"

MOST_APART = 0.5
"""Metres by which the correction of a gauge may differ from the constant of the datum that it states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A gauge as it is told: levels in metres of its own datum, None where they are not told; `place` is CRS84."""

    code: str
    place: Place
    datum: str
    level: float | None
    warning: float | None
    guaranteed: float | None
    correction: float | None

    @property
    def state(self) -> str | None:
        """"guaranteed", "warning" or "normal": how high the water stands. None where that is not known."""
        if self.level is None or (self.warning is None and self.guaranteed is None):
            return None
        if self.guaranteed is not None and self.level >= self.guaranteed:
            return "guaranteed"
        return None if self.warning is None else "warning" if self.level >= self.warning else "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Height:
    """A level in another datum, metres; `accuracy` None where the correction of the gauge led there and nobody says how good it is."""

    metres: float
    accuracy: float | None
    datum: str


def attributes_of(name: FeatureTypeName, *others: str) -> frozenset[str]:
    """What every question about levels names, whether it says so or not."""
    return frozenset(f"{name.table}.{field}" if name.table else field for field in (*NEEDED, *others))


def table_of_levels(permit: Permit, name: FeatureTypeName) -> FeatureClass:
    """Raises RequestInvalid; asked after the gate alone."""
    table = table_named(permit.edition, name)
    if table is None or table.geometry != "point" or not set(NEEDED) <= set(table.fields):
        raise refused("gauge-tables", "layer", layer=permit.edition.layer)
    return table


def gauges(permit: Permit, store: FeatureStore, name: FeatureTypeName, code: str = "") -> Iterator[tuple[Told, list[Gauge]]]:
    """Gauges as they are told, all of them or those of one code. Raises FeaturesUnavailable, RequestInvalid."""
    where = equals(CODE, code) if code else None
    for some in told(permit, store, table_of_levels(permit, name), where=where):
        yield some, [_gauge(some, at, permit.edition.crs) for at in range(len(some))]


def one_gauge(permit: Permit, store: FeatureStore, name: FeatureTypeName, code: str) -> tuple[Told, Gauge]:
    """The gauge of a code; of several the last, which came last. Raises as `gauges`."""
    found = [(some, at, gauge) for some, each in gauges(permit, store, name, code) for at, gauge in enumerate(each)]
    if not found:
        raise refused("gauge-none", "gauge", layer=permit.edition.layer, gauge=code)
    some, at, gauge = found[-1]
    return some.only(some.keys == some.keys[at]), gauge


def _gauge(some: Told, at: int, crs: str) -> Gauge:
    place = transform_geometry(some.shapes[at], crs, "CRS:84")
    number = lambda field: _number(some.columns[field][at]) if field in some.columns else None         # noqa: E731
    return Gauge(
        code=name_of(some.columns[CODE][at]), place=(place.x, place.y), datum=str(some.columns[DATUM][at] or "").strip(), level=number(LEVEL),
        warning=number(WARNING), guaranteed=number(GUARANTEED), correction=number(CORRECTION),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def height_of(gauge: Gauge, datum: str, datums: VerticalDatums) -> Height:
    """The level of a gauge in the datum of that code.

    Raises
    ------
    RequestInvalid
        It has no level, or no datum, or nothing leads from it.
    VerticalDatumRefused
        No constant leads to that datum, or not there.
    """
    if gauge.level is None:
        raise refused("gauge-no-level", "gauge", gauge=gauge.code)
    if not gauge.datum:
        raise refused("gauge-no-datum", "gauge", gauge=gauge.code)
    stated = datums.stated(gauge.datum)
    if gauge.correction is None:
        if stated is None:
            raise refused("gauge-datum-own", "gauge", gauge=gauge.code, value=gauge.datum)
        metres, accuracy = datums.to(gauge.level, stated.code, datum, is_of_gauge=True, place=gauge.place)
        return Height(metres=metres, accuracy=accuracy, datum=datums.find(datum).code)
    if stated is not None and stated.to_1985 is not None and abs(stated.to_1985 - gauge.correction) > MOST_APART:
        raise refused(
            "gauge-datum-contradiction", "gauge", gauge=gauge.code, value=gauge.datum, correction=f"{gauge.correction:g}", constant=f"{stated.to_1985:g}",
        )
    metres, _ = datums.to(gauge.level + gauge.correction, NATIONAL, datum, is_of_gauge=True, place=gauge.place)
    return Height(metres=metres, accuracy=None, datum=datums.find(datum).code)


def told_height(gauge: Gauge, datum: str, datums: VerticalDatums) -> dict:
    """The level in that datum, or the name of the reason why it is not told."""
    try:
        height = height_of(gauge, datum, datums)
    except (RequestInvalid, VerticalDatumRefused) as error:
        return {"height": None, "reason": error.fault}
    return {"height": round(height.metres, 3), "datum": height.datum, "accuracy": height.accuracy}
