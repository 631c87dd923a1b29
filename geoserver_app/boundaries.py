"""Boundaries that were issued anew: which agreements name a division that is now bounded otherwise, and what each would gain and lose.

An agreement keeps the ground that it was registered with; nothing here changes one. What differs is a task, until an amendment names the newer
vintage, or an administrator decides that the old boundary stays and says why (`lifecycle.Action.KEEP_BOUNDARY`, with the code, the vintage that is
kept and the one it is kept instead of).

A division whose code is gone from a newer vintage is told too, with those that stand in its place: it can't be named at that vintage any more.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.areas import SMALLEST_AREA, area_of
from agreements.compare.difference import NOWHERE, Ground
from agreements.errors import AreaInvalid
from agreements.life.lifecycle import Action, Case, Role
from agreements.life.tasks import Task
from agreements.model import Agreement, Area, State
from agreements.register import AgreementRegister
from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import Catalogue
from layers.crs import geodesic_km2
from layers.errors import DivisionNotDefined

IN_PLACE_OF = 0.5
"""Share of a division's ground that others of its level must cover at a newer vintage for it to be gone, and not merely left out of that file."""

SUCCESSOR = 0.01
"""Share of its ground that one of them must cover to be told as standing in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryChange:
    """One division of one agreement: what its areas would gain and lose with the newer boundary, and what they would keep."""

    agreement_id: str
    version: int
    title: str
    grantee: str
    clauses: tuple[str, ...]                     # that name it
    code: str
    name: str
    vintage: str                                 # that the agreement has
    newer: str
    is_gone: bool                                # whether the code is no longer used at the newer one
    successors: tuple[tuple[str, str], ...]      # code and name of what stands in its place
    gained: Ground
    lost: Ground
    unchanged: Ground


def boundary_changes(catalogue: Catalogue, register: AgreementRegister, at: datetime) -> tuple[BoundaryChange, ...]:
    """All that waits for somebody: by agreement and code."""
    by_id: dict[str, list[Case]] = {}
    for case in register.cases():
        by_id.setdefault(case.agreement.agreement_id, []).append(case)
    found = []
    for cases in by_id.values():
        ruling = _ruling(cases, at)
        if ruling is not None:
            kept = kept_boundaries(cases)
            found += [change for change in changes_of(catalogue, ruling) if (change.code, change.vintage, change.newer) not in kept]
    return tuple(sorted(found, key=lambda change: (change.agreement_id, change.code)))


def _ruling(cases: Sequence[Case], at: datetime) -> Agreement | None:
    """The newest version that is or will be in force: where it is amended already, the amendment is what counts."""
    counting = [
        case.agreement for case in cases
        if case.state in (State.ACTIVE, State.SUSPENDED) and (case.agreement.term.end is None or at < case.agreement.term.end)
    ]
    return max(counting, key=lambda agreement: agreement.version, default=None)


def kept_boundaries(cases: Iterable[Case]) -> frozenset[tuple[str, str, str]]:
    """(code, vintage that is kept, vintage it is kept instead of), as administrators decided."""
    return frozenset(
        (event.detail["division"], event.detail["vintage"], event.detail["instead_of"])
        for case in cases for event in case.history if event.action == Action.KEEP_BOUNDARY
    )


def changes_of(catalogue: Catalogue, agreement: Agreement) -> tuple[BoundaryChange, ...]:
    """What newer boundaries would change of one agreement, whatever anybody decided of it. Where the ground stays the same, there is nothing."""
    memory, epoch, found = _memories.setdefault(catalogue, _Memory(most=512)), catalogue.epoch(), {}
    for clause, area in _areas(agreement):
        for code, parts in memory.kept((area.digest, area.words, epoch), lambda area=area: _renewed(catalogue, area)).items():
            found.setdefault((code, parts.vintage), []).append((clause, parts))
    return tuple(_change(agreement, code, of_clauses) for (code, _), of_clauses in sorted(found.items()))


def _areas(agreement: Agreement) -> Iterator[tuple[str, Area]]:
    for grant in agreement.grants:
        yield grant.clause, grant.area
    for suspension in agreement.suspensions:
        if suspension.area is not None:
            yield "", suspension.area


def _change(agreement: Agreement, code: str, of_clauses: Sequence[tuple[str, "_Renewal"]]) -> BoundaryChange:
    first = of_clauses[0][1]
    gained, lost, unchanged = (
        _ground(shapely.union_all([getattr(renewal, side) for _, renewal in of_clauses])) for side in ("gained", "lost", "unchanged")
    )
    return BoundaryChange(
        agreement_id=agreement.agreement_id, version=agreement.version, title=agreement.title, grantee=agreement.grantee,
        clauses=tuple(dict.fromkeys(clause for clause, _ in of_clauses if clause)), code=code, name=first.name, vintage=first.vintage, newer=first.newer,
        is_gone=first.is_gone, successors=first.successors, gained=gained, lost=lost, unchanged=unchanged,
    )


# One area

@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewal:
    """What the newer boundary of one division changes of one area; geometries in CRS84."""

    name: str
    vintage: str
    newer: str
    is_gone: bool
    successors: tuple[tuple[str, str], ...]
    gained: BaseGeometry
    lost: BaseGeometry
    unchanged: BaseGeometry


@dataclass(frozen=True, slots=True)
class _Newer:
    vintage: str
    is_gone: bool = False
    successors: tuple[tuple[str, str], ...] = ()


def _renewed(catalogue: Catalogue, area: Area) -> dict[str, _Renewal]:
    """By code, for the divisions that the words of an area name and that are bounded otherwise at a newer vintage."""
    said = json.loads(area.words) if area.words else []
    specs = [said] if isinstance(said, Mapping) else said
    newer: dict[tuple[str, str], _Newer] = {}
    for code, vintage in _named(catalogue, specs, area):
        found = _newer_boundary(catalogue, code, vintage)
        if found is not None:
            newer[code, vintage] = found
    if not newer:
        return {}
    renewed = _compiled(catalogue, [_renewed_spec(spec, newer) for spec in specs])
    renewals = {}
    for (code, vintage), found in newer.items():
        old = catalogue.division(code, vintage)
        now = NOWHERE if found.is_gone else catalogue.division(code, found.vintage).geometry
        gained = _polygons(shapely.difference(shapely.intersection(now, renewed), area.geometry))
        lost = _polygons(shapely.difference(shapely.intersection(old.geometry, area.geometry), renewed))
        if not gained.is_empty or not lost.is_empty:
            renewals[code] = _Renewal(
                name=old.name, vintage=vintage, newer=found.vintage, is_gone=found.is_gone, successors=found.successors, gained=gained, lost=lost,
                unchanged=_polygons(shapely.intersection(area.geometry, renewed)),
            )
    return renewals


def _named(catalogue: Catalogue, specs: Sequence[Mapping], area: Area) -> Iterator[tuple[str, str]]:
    """(code, vintage); of an area that was registered before vintages were kept, the newest whose boundary lies within it."""
    for spec in specs:
        codes = spec.get("divisions", ())
        for code in [codes] if isinstance(codes, str) else codes:
            vintage = spec.get("vintage") or next(
                (one for one in reversed(catalogue.vintages(code)) if _lies_within(catalogue.division(code, one).geometry, area.geometry)), None,
            )
            if vintage is not None and vintage in catalogue.vintages(code):
                yield code, vintage


def _lies_within(geometry: BaseGeometry, area: BaseGeometry) -> bool:
    return shapely.difference(geometry, area).area <= 1e-6 * geometry.area


def _newer_boundary(catalogue: Catalogue, code: str, vintage: str) -> _Newer | None:
    """The newest vintage after the one that is used which knows what became of the division."""
    for newer in reversed([one for one in catalogue.vintages() if one > vintage]):
        if newer in catalogue.vintages(code):
            return _Newer(newer)
        successors = _in_its_place(catalogue, code, vintage, newer)
        if successors:
            return _Newer(newer, is_gone=True, successors=successors)
    return None


def _in_its_place(catalogue: Catalogue, code: str, vintage: str, newer: str) -> tuple[tuple[str, str], ...]:
    """Divisions of the same level and province that now cover the ground of one whose code is gone; none where they don't cover most of it."""
    level = next(row[2] for row in catalogue.divisions(vintage) if row[0] == code)
    old = catalogue.division(code, vintage).geometry
    shares = []
    for other, name, its_level, _ in catalogue.divisions(newer):
        if its_level == level and other[:2] == code[:2]:
            geometry = catalogue.division(other, newer).geometry
            if shapely.box(*geometry.bounds).intersects(shapely.box(*old.bounds)):
                shares.append((shapely.intersection(old, geometry).area / old.area, other, name))
    if sum(share for share, *_ in shares) < IN_PLACE_OF:
        return ()
    return tuple((other, name) for share, other, name in sorted(shares, reverse=True) if share >= SUCCESSOR)


def _renewed_spec(spec: Mapping, newer: Mapping[tuple[str, str], _Newer]) -> list[dict]:
    """The words of an area with every division at the vintage that would be used now."""
    if "divisions" not in spec:
        return [dict(spec)]
    used = {code: found for (code, vintage), found in newer.items() if vintage == spec.get("vintage", vintage)}
    codes = [spec["divisions"]] if isinstance(spec["divisions"], str) else list(spec["divisions"])
    vintage = {"vintage": spec["vintage"]} if "vintage" in spec else {}
    rest = {name: value for name, value in spec.items() if name not in ("divisions", "vintage")}
    same = [code for code in codes if code not in used]
    return [
        *([rest] if rest else []), *([{"divisions": same, **vintage}] if same else []),
        *({"divisions": [code], "vintage": used[code].vintage} for code in codes if code in used and not used[code].is_gone),
    ]


def _compiled(catalogue: Catalogue, specs: Sequence[Sequence[dict]]) -> BaseGeometry:
    named = [spec for some in specs for spec in some]
    try:
        return area_of(named, CatalogueGazetteer(catalogue)).geometry if named else NOWHERE
    except (AreaInvalid, DivisionNotDefined):
        return NOWHERE


def _polygons(geometry: BaseGeometry) -> BaseGeometry:
    parts = [part for part in shapely.get_parts(shapely.get_parts(geometry)) if part.geom_type == "Polygon" and part.area > SMALLEST_AREA]
    return shapely.MultiPolygon(parts) if parts else NOWHERE


def _ground(geometry: BaseGeometry) -> Ground:
    polygons = _polygons(geometry)
    return Ground(polygons, geodesic_km2(polygons))


class _Memory:
    """What was compared of areas, by their words and the state of the catalogue: pages ask often, boundaries come once a year."""

    def __init__(self, most: int):
        self._most, self._kept, self._lock = most, OrderedDict(), threading.Lock()

    def kept(self, name: tuple, make):
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        made = make()
        with self._lock:
            self._kept[name] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


_memories: WeakKeyDictionary[Catalogue, _Memory] = WeakKeyDictionary()


# Tasks

SENTENCES = {
    "en": "agreement `{agreement}` (version {version}) names {name} ({code}) as bounded in {vintage}; at {newer} {it}: {gained} km2 more, {lost} km2 less; "
          "amend it, or decide to keep the old boundary",
    "zh": "协议 `{agreement}`（第 {version} 版）引用的{name}（{code}）采用 {vintage} 版界线；{newer} 版中{it}：增加 {gained} 平方千米，减少 {lost} 平方千米；"
          "请修订协议，或决定维持原界线",
}
IT = {
    "en": {False: "it is bounded otherwise", True: "its code is gone, and {successors} stands in its place"},
    "zh": {False: "界线已变更", True: "该代码已撤销，由{successors}取代"},
}


def told(change: BoundaryChange, language: str) -> str:
    """A change in a sentence: `language` is "zh" or "en"."""
    successors = ", ".join(f"{name} ({code})" for code, name in change.successors)
    it = IT[language][change.is_gone].format(successors=successors)
    gained, lost = (f"{ground.km2:,.3f}" for ground in (change.gained, change.lost))
    return SENTENCES[language].format(
        agreement=change.agreement_id, version=change.version, name=change.name, code=change.code, vintage=change.vintage, newer=change.newer, it=it,
        gained=gained, lost=lost,
    )


def boundary_tasks(catalogue: Catalogue, register: AgreementRegister, at: datetime) -> Iterator[Task]:
    for change in boundary_changes(catalogue, register, at):
        yield Task(
            kind="boundary", agreement_id=change.agreement_id, version=change.version, roles=frozenset({Role.ADMINISTRATOR, Role.DATA_MANAGER}),
            zh=told(change, "zh"), en=told(change, "en"),
            detail={
                "division": change.code, "vintage": change.vintage, "newer": change.newer, "gained_km2": round(change.gained.km2, 6),
                "lost_km2": round(change.lost.km2, 6),
            },
        )


def keeping(change: BoundaryChange) -> dict[str, str]:
    """The detail of the event by which an administrator decides that the old boundary stays."""
    return {"division": change.code, "vintage": change.vintage, "instead_of": change.newer}


def outlines(catalogue: Catalogue, change: BoundaryChange) -> list[tuple[str, BaseGeometry]]:
    """Divisions to lie over a picture of a change: the old one, and the new one or what stands in its place."""
    names = [(change.code, change.vintage), *((code, change.newer) for code, _ in change.successors or ((change.code, ""),))]
    found = [catalogue.division(code, vintage) for code, vintage in names]
    return [(f"{division.name} {division.vintage}", division.geometry) for division in found]
