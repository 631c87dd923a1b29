"""TIME of WMS: which edition a bare layer name means, of those that the caller may see.

An edition that is not shared is not there: it neither answers to a time nor changes what another one answers to. A caller who may see nothing
of a layer is refused as without TIME, so that unknown and unshared layers stay alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from geoserver_app.gate import Asked, Gate
from geoserver_app.identity import Caller
from geoserver_app.messages import ENGLISH, sentence
from layers.model import Edition, LayerName
from layers.periods import TimeAsked, edition_at, period_of, values_of
from tiles.errors import RequestInvalid
from tiles.permits import Permit
from tiles.requests import GetFeatureInfo, GetLegendGraphic, GetMap


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEntry:
    """The time dimension of a layer in the capabilities: ISO 8601 days, the oldest first, and the one that no TIME means."""

    values: tuple[str, ...]
    default: str


def time_entry(editions: Sequence[Edition]) -> TimeEntry | None:
    """Of the editions that a caller may see, the newest first; None where none of them can be asked for by a time."""
    values = values_of(editions)
    if not values:
        return None
    default = next((day for day, edition in values if edition is editions[0]), values[-1][0])
    return TimeEntry(values=tuple(day.isoformat() for day, _ in values), default=default.isoformat())


Request = TypeVar("Request", GetMap, GetFeatureInfo, GetLegendGraphic)


def at_its_time(gate: Gate, caller: Caller, request: Request, asked: Sequence[Asked]) -> tuple[Request, list[tuple[str, str]]]:
    """The request with each bare name replaced by the edition that its TIME means; and headers that tell of values near by (annex C.4).

    Parameters
    ----------
    asked : sequence of Asked
        The same request as the gate is asked, for the record where it can't be answered.

    Raises
    ------
    RequestInvalid
        InvalidDimensionValue: nothing that is shared with the caller is as old as that, or a name says an edition of another time.
    Refused
        As the gate, where something else is refused him anyway.
    """
    if request.time is None:
        return request, []
    shared: dict[str, list[Edition]] = {}
    for one in gate.visible(caller, record=None):
        shared.setdefault(one.layer.name, []).append(one.edition)
    meant, warnings = {}, []
    for name in dict.fromkeys(one.layer for one in asked):
        try:
            meant[name], is_near = _meant(name, request.time, shared.get(name.layer, []))
        except RequestInvalid:
            gate.permits(caller, asked)
            raise
        if is_near:
            warnings.append(("Warning", f"99 Nearest value used: time={is_near} ISO8601"))
    if isinstance(request, GetLegendGraphic):
        return replace(request, layer=meant[request.layer]), []
    changes = {"layers": tuple(meant[name] for name in request.layers)}
    if isinstance(request, GetFeatureInfo):
        changes["query_layers"] = tuple(dict.fromkeys(meant[name] for name in request.query_layers))
    return replace(request, **changes), warnings


def default_used(layers: Sequence[LayerName], permits: Sequence[Permit]) -> list[tuple[str, str]]:
    """The header that tells which time a bare name stood for without TIME (annex C.4)."""
    periods = (period_of(permit.edition) for name, permit in zip(layers, permits, strict=True) if name.edition is None)
    return [("Warning", f"99 Default value used: time={period.first.isoformat()} ISO8601") for period in dict.fromkeys(periods) if period]


def _meant(name: LayerName, time: TimeAsked, editions: Sequence[Edition]) -> tuple[LayerName, str]:
    """The name that a time makes of a name, and the day that answered where none covers it. `editions` are those shared with the caller."""
    if name.edition is not None:
        return _checked(name, time, editions), ""
    if all(period_of(edition) is None for edition in editions):
        return name, ""                                     # nothing shared, or nothing that has a time: for the gate to say
    edition = edition_at(editions, time)
    if edition is None:
        choices = ", ".join(day.isoformat() for day, _ in values_of(editions))
        raise _invalid("no-edition-then", layer=str(name), value=time.text, choices=choices)
    period = period_of(edition)
    is_near = time.period is not None and not period.overlaps(time.period)
    return name if edition is editions[0] else LayerName(name.layer, edition.name), period.first.isoformat() if is_near else ""


def _checked(name: LayerName, time: TimeAsked, editions: Sequence[Edition]) -> LayerName:
    edition = next((one for one in editions if one.name == name.edition), None)
    period = edition and period_of(edition)
    if period is not None and (edition is not editions[0] if time.period is None else not period.overlaps(time.period)):
        raise _invalid("time-contradicts", layer=str(name), period=str(period), value=time.text)
    return name


def _invalid(fault: str, **detail: str) -> RequestInvalid:
    return RequestInvalid("InvalidDimensionValue", "TIME", sentence(fault, detail, ENGLISH), fault=fault, detail=detail)
