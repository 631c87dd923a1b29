"""A batch as it was sent -> rows of a live table; every fault with the place of its row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from geoserver_app.api.faults import FieldFault, InputFaulty
from layers.crs import transformer
from layers.features.store import FieldType
from layers.live import LiveField, LivePlan, LiveRow
from layers.rows import Value

MOST_ROWS = 5_000
LONGEST_ID, LONGEST_TEXT = 100, 500
MOST_FAULTS = 20
AHEAD = timedelta(seconds=60)
"""How far the clock of a device may run ahead of ours: a moment in the future would keep out all that comes after."""

MEMBERS = frozenset({"id", "lon", "lat", "x", "y", "moment", "properties"})
LARGEST_WHOLE = 2**53


@dataclass(frozen=True, slots=True)
class _Fault(Exception):
    place: str
    code: str
    detail: Mapping[str, str]


def rows_of(objects: Sequence[object], plan: LivePlan, crs: str, now: datetime) -> list[LiveRow]:
    """Rows in the order in which they came, their places in the CRS of the table.

    Parameters
    ----------
    objects : sequence
        As JSON has them: `id`, a place as `lon` and `lat` (degrees) or `x` and `y` (in `crs`), `moment`, `properties`.
    crs : str
        One of the served names: that of `x` and `y`.

    Raises
    ------
    InputFaulty
        422, with a pointer to each row that is at fault (`#/objects/7/lon`), the first twenty of them.
    """
    fields, faults, rows = {one.name: one for one in plan.fields}, [], []
    for position, sent in enumerate(objects):
        try:
            rows.append(_row(sent, position, fields, now))
        except _Fault as fault:
            faults.append(FieldFault(pointer=f"/objects/{position}{fault.place}", code=fault.code, detail=fault.detail))
            if len(faults) >= MOST_FAULTS:
                break
    if not faults:
        faults = _placed(rows, plan, crs)
    if faults:
        raise InputFaulty(*faults[:MOST_FAULTS])
    return [LiveRow(object_id=one.object_id, moment=one.moment, place=one.place, values=one.values, position=one.position) for one in rows]


@dataclass(slots=True)
class _Read:
    object_id: str
    moment: datetime
    place: tuple[float, float] | None
    is_degrees: bool
    values: dict[str, Value]
    position: int


def _row(sent: object, position: int, fields: Mapping[str, LiveField], now: datetime) -> _Read:
    if not isinstance(sent, dict):
        raise _Fault("", "live-row", {})
    if unknown := sent.keys() - MEMBERS:
        raise _Fault(f"/{sorted(unknown)[0][:60]}", "field-unknown", {})
    object_id = sent.get("id")
    if not isinstance(object_id, str) or not 0 < len(object_id) <= LONGEST_ID or not object_id.isprintable():
        raise _Fault("/id", "live-object-id", {"most": str(LONGEST_ID)})
    place, is_degrees = _place(sent)
    return _Read(object_id, _moment(sent.get("moment"), now), place, is_degrees, _values(sent.get("properties"), fields), position)


def _place(sent: Mapping) -> tuple[tuple[float, float] | None, bool]:
    for names, is_degrees in ((("lon", "lat"), True), (("x", "y"), False)):
        values = [sent.get(name) for name in names]
        if values == [None, None]:
            continue
        others = ("x", "y") if is_degrees else ("lon", "lat")
        if not all(_is_number(value) for value in values) or any(sent.get(name) is not None for name in others):
            raise _Fault(f"/{names[0]}", "live-place", {})
        return (float(values[0]), float(values[1])), is_degrees
    return None, True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 and math.isfinite(value)


def _moment(sent: object, now: datetime) -> datetime:
    if sent is None:
        return now
    try:
        moment = datetime.fromisoformat(sent) if isinstance(sent, str) and len(sent) <= 40 else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1970 < moment.year < 9990:
        raise _Fault("/moment", "live-moment", {})
    if moment > now + AHEAD:
        raise _Fault("/moment", "live-moment-ahead", {"seconds": str(int(AHEAD.total_seconds()))})
    return moment


def _values(sent: object, fields: Mapping[str, LiveField]) -> dict[str, Value]:
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise _Fault("/properties", "live-row", {})
    for name, value in sent.items():
        if name not in fields:
            raise _Fault(f"/properties/{name[:60]}", "live-field-unknown", {"name": name[:60], "choices": ", ".join(fields) or "-"})
        if value is not None and not _fits(value, fields[name].kind):
            raise _Fault(f"/properties/{name}", "live-value", {"name": name, "kind": fields[name].kind.value, "most": str(LONGEST_TEXT)})
    return dict(sent)


def _fits(value: object, kind: FieldType) -> bool:
    match kind:
        case FieldType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_WHOLE
        case FieldType.NUMBER:
            return _is_number(value)
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
        case FieldType.DATE_TIME:
            return isinstance(value, str) and len(value) <= 40 and _is_moment(value)
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and "\0" not in value


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _placed(rows: Sequence[_Read], plan: LivePlan, crs: str) -> list[FieldFault]:
    """Brings every place into the CRS of the table; what lies outside it is a fault."""
    faults, bounds = [], plan.bounds
    for is_degrees in (True, False):
        some = [row for row in rows if row.place is not None and row.is_degrees is is_degrees]
        if not some:
            continue
        source = "CRS:84" if is_degrees else crs
        x, y = np.array([row.place for row in some], float).T
        if source != plan.crs:
            x, y = transformer(source, plan.crs).transform(x, y)
        within = np.isfinite(x) & np.isfinite(y) & (x >= bounds.left) & (x <= bounds.right) & (y >= bounds.bottom) & (y <= bounds.top)
        for row, left, up, is_in in zip(some, x.tolist(), y.tolist(), within.tolist(), strict=True):
            row.place = left, up
            if not is_in:
                faults.append(FieldFault(pointer=f"/objects/{row.position}/{'lon' if is_degrees else 'x'}", code="live-place-outside"))
    return faults
