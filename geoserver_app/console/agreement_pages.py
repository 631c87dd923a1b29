"""One agreement: what it grants on cards, how its quota stands, what it owes, its life as a line, and whatever this person may do with it now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import flask
from markupsafe import Markup

from agreements.compare.subset import gaps
from agreements.compare.subset_words import sentence as gap_sentence
from agreements.errors import MoveRefused
from agreements.life.lifecycle import MOVES, Action, Case, Role, allowed_moves, certificates, check_move, is_unratified, signatures, state_at
from agreements.model import Agreement, State
from geoserver_app.api.agreements import DONE_BY_MOVES, MoveSent, ResumeSent, VersionTold, version_seen, visible
from geoserver_app.api.contributions import UsageTold
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.reading import PageQuery
from geoserver_app.area_drawings import drawings
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.clauses import Names, area_in_words, layers_in_words, operations_in_words, restrictions, term_in_words
from geoserver_app.console.frame import Frame, field, page, sent, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.console.stopping import Effect, division_choices, effect_of, layer_choices, suspension_sent
from geoserver_app.console.wording import ACTIONS, BUTTONS, worded
from geoserver_app.layer_facts import layer_facts
from geoserver_app.purposes import load_purposes
from geoserver_app.review.words import MEASURES, SPANS, STANDINGS
from layers.crs import geodesic_km2


@page("console.agreement", "/agreements/<path:agreement>", "/agreements/<path:agreement>/<int:version>", takes_forms=True)
def agreement(frame: Frame, agreement: str, version: int | None = None) -> flask.Response:
    one, versions = found(frame, agreement, version)
    looked: list[Effect] = []
    answer, problem = tried(frame, {
        "move": lambda: _move(frame, one), "suspend": lambda: _suspend(frame, one), "resume": lambda: _resume(frame, one),
        "look": lambda: looked.append(effect_of(frame, one, agency_names(frame).get(one.grantee, one.grantee))),
    })
    return answer or _shown(frame, one, versions, problem=problem, effect=looked[0] if looked else None)


def found(frame: Frame, agreement_id: str, version: int | None) -> tuple[Agreement, list[Agreement]]:
    """The version at an address, and all there are. The bureau's own number may end with a slash and digits, which look like a version.

    Raises NothingThere.
    """
    try:
        return version_seen(frame.visit, agreement_id, None if version is None else str(version))
    except NothingThere:
        if version is None:
            raise
        return version_seen(frame.visit, f"{agreement_id}/{version}", None)


# -- what is done

def _places(one: Agreement) -> dict[str, str]:
    return {"agreement": one.agreement_id, "version": str(one.version)}


def _move(frame: Frame, one: Agreement) -> flask.Response:
    action, signature = field("action"), None
    if action == Action.SIGN:
        digest = frame.visit.services.register.document_hash(one.agreement_id, one.version)
        signature = {
            "party": field("party"), "signatory": field("signatory"), "date": field("date"), "duty": field("duty"),
            "document": _whole_digest(field("document"), digest),
        }
    body = sent(MoveSent, action=action, comment=field("comment"), signature=signature, of=field("of"))
    frame.act("agreements.move", _places(one), body=body)
    return frame.on("agreement", "moved", **_places(one))


LEAST_DIGEST = 8
"""Characters of the digest that are read off the paper: enough to tell two texts apart, few enough to be typed."""


def _whole_digest(typed: str, digest: str) -> str:
    """The digest that the paper bears, where its beginning was typed; what was typed, where it is another's."""
    typed = "".join(typed.lower().split())
    return digest if len(typed) >= LEAST_DIGEST and digest.startswith(typed) else typed.ljust(64, "0")[:64]


def _suspend(frame: Frame, one: Agreement) -> flask.Response:
    frame.act("agreements.suspend", {"agreement": one.agreement_id}, body=suspension_sent())
    return frame.on("agreement", "suspended", **_places(one))


def _resume(frame: Frame, one: Agreement) -> flask.Response:
    frame.act("agreements.resume", {"agreement": one.agreement_id}, body=sent(ResumeSent, comment=field("comment")))
    return frame.on("agreement", "resumed", **_places(one))


# -- what is shown

def _shown(frame: Frame, one: Agreement, versions: list[Agreement], *, problem, effect: Effect | None) -> flask.Response:
    told: VersionTold = frame.ask("agreements.versions.get", agreement=one.agreement_id, version=str(one.version))
    case, today = frame.visit.services.register.case(one.agreement_id, one.version), frame.at.astimezone(SHANGHAI).date()
    names, agencies = names_of(frame), agency_names(frame)
    return frame.shown(
        "agreement.html", problem=problem, effect=effect, one=one, told=told, versions=versions, agencies=agencies, state_now=state_at(one, frame.at),
        cards=cards_of(frame, one, names), bars=_bars(frame, one), term=term_in_words(one.term, frame.say), moves=_moves(frame, told, case),
        hindrances=_hindrances(frame, case), unsigned=_unsigned(frame, case), certified=certificates(case.history),
        unratified=is_unratified(case.history), events=_events(frame, one), family=_family(frame, one), entries=_entries(frame, one),
        can_suspend=frame.may("agreements.suspend") and _allows(case, Action.SUSPEND, frame), layers=layer_choices(frame, one),
        divisions=division_choices(frame) if frame.may("agreements.suspend") else [], can_amend=_can_amend(frame, versions),
        purposes=[names.purposes.get(code, code) for code in one.record.use.purposes], today=today, quarter=today - timedelta(days=90),
        earlier=[other.version for other in versions if other.version < one.version],
    )


def names_of(frame: Frame) -> Names:
    services, held = frame.visit.services, {}

    def division(code: str, vintage: str) -> str:
        if vintage not in held:
            held[vintage] = {row[0]: row[1] for row in services.catalogue.divisions(vintage or None)}
        return held[vintage].get(code, "")

    purposes = load_purposes(services.settings.config)
    return Names(division=division, purposes={code: frame.say(one.zh, one.en) for code, one in purposes.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A clause."""

    clause: str
    layers: str
    operations: Sequence[str]
    places: Sequence[str]
    km2: float | None                    # None: everywhere
    rules: Sequence[tuple[str, str]]
    picture: Markup


def cards_of(frame: Frame, one: Agreement, names: Names) -> list[Card]:
    drawn, label = drawings(), frame.say("条款 %s 的范围", "the ground of clause %s")
    cards = []
    for grant in one.grants:
        picture = drawn.of_area(grant.area, label % grant.clause)
        cards.append(Card(
            clause=grant.clause, layers=layers_in_words(grant, frame.say), operations=operations_in_words(grant, frame.say),
            places=area_in_words(grant.area, frame.say, names), km2=drawn.km2(grant.area) if picture else None,
            rules=restrictions(grant, frame.language, frame.say, names), picture=Markup(picture),
        ))
    return cards


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A limit of the quota. `used` is None where nothing is counted on it: the version is not the one that counts now."""

    title: str
    window: str
    limit: float
    used: float | None
    remaining: float | None
    resets_at: datetime | None


def _bars(frame: Frame, one: Agreement) -> list[Bar]:
    if one.quota is None:
        return []
    usage = frame.ask("usage.get", agreement=one.agreement_id)
    if usage.version == one.version:
        return [_bar(frame, limit) for limit in usage.items]
    rate = one.quota.rate
    limits = [("burst", "", float(rate.burst), None)] if rate else []
    limits += [(limit.measure.value, limit.window.value, limit.most, limit.resolution) for limit in one.quota.limits]
    limits += [("export_km2", "term", one.quota.export_km2, None)] if one.quota.export_km2 is not None else []
    return [
        Bar(title=_measure(frame, measure, resolution), window=worded(SPANS, window, frame.language), limit=most, used=None, remaining=None, resets_at=None)
        for measure, window, most, resolution in limits
    ]


def _bar(frame: Frame, limit: UsageTold) -> Bar:
    return Bar(
        title=_measure(frame, limit.measure, limit.resolution), window=worded(SPANS, limit.window, frame.language), limit=limit.limit, used=limit.used,
        remaining=limit.remaining, resets_at=limit.resets_at,
    )


BARS: Mapping[str, tuple[str, str]] = {
    "rate": ("突发请求（次）", "requests at once"), "burst": ("突发请求（次）", "requests at once"), "export": ("下载过的地面（平方公里）", "km2 of ground downloaded"),
    "export_km2": ("下载过的地面（平方公里）", "km2 of ground downloaded"), **MEASURES,
}


def _measure(frame: Frame, measure: str, resolution: float | None) -> str:
    finer = "" if resolution is None else frame.say(f"，像元 {resolution:g} 米及更细", f", pixels of {resolution:g} m or finer")
    return worded(BARS, measure, frame.language) + finer


# -- what may be done

@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A move that this person may make now."""

    action: str
    title: str
    needs_comment: bool
    is_grave: bool


GRAVE = frozenset({Action.REFUSE, Action.TERMINATE, Action.WITHDRAW, Action.ACTIVATE_EMERGENCY})


def _moves(frame: Frame, told: VersionTold, case: Case) -> list[Offered]:
    """In the order of the table of moves; a certificate of destruction only where one is owed."""
    record = case.agreement.record
    left_out = frozenset() if record.security.destruction_certificate or record.use.contractors else {Action.CERTIFY}
    return [
        Offered(action=action.value, title=worded(BUTTONS, action, frame.language), needs_comment=MOVES[action].needs_comment, is_grave=action in GRAVE)
        for action in MOVES if action in DONE_BY_MOVES - left_out and action.value in told.moves and MOVES[action].roles & frame.person.roles
    ]


TOLD = frozenset({"same-person", "unchecked", "certificate-missing", "emergency-term", "emergency-amendment", "replaced"})
"""Refusals worth telling before anybody tries: what is wrong is not the state, and not the role."""


def _hindrances(frame: Frame, case: Case) -> list[tuple[str, str, bool]]:
    """Moves that this person's role has, in this state, and that still aren't his to make: what, why, and whether for the two-person rule."""
    told = []
    for action in MOVES:
        if action in DONE_BY_MOVES and action is not Action.SIGN and MOVES[action].roles & frame.person.roles:
            try:
                check_move(case, action, frame.visit.actor, comment="-")
            except MoveRefused as refused:
                if refused.code in TOLD:
                    told.append((worded(BUTTONS, action, frame.language), refused.sentence(frame.language), refused.code == "same-person"))
    return told


def _unsigned(frame: Frame, case: Case) -> list[str]:
    """Parties whose signature this person may note."""
    parties = [one for one in (case.agreement.grantor, case.agreement.grantee) if one not in signatures(case.history)]
    return parties if Role.ADMINISTRATOR in frame.person.roles else [one for one in parties if one == frame.person.agency]


def _allows(case: Case, action: Action, frame: Frame) -> bool:
    return any(move.action is action for move in allowed_moves(case, frame.visit.actor))


def _can_amend(frame: Frame, versions: Sequence[Agreement]) -> bool:
    """From the newest version, once it is not merely being prepared."""
    case = frame.visit.services.register.case(versions[-1].agreement_id, versions[-1].version)
    return frame.may("agreements.draft") and _allows(case, Action.AMEND, frame)


# -- its life, its family, what it owes

@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    at: datetime
    title: str
    version: int | None
    actor: str
    comment: str
    details: Sequence[str]
    action: str


def _events(frame: Frame, one: Agreement) -> list[Happened]:
    """The newest first."""
    told = frame.ask("agreements.history", agreement=one.agreement_id, query=PageQuery(limit=500))["items"]
    return [
        Happened(
            at=event.at, title=worded(ACTIONS, event.action, frame.language), version=event.version, actor=event.actor or "", comment=event.comment,
            details=_details(frame, event.detail), action=event.action,
        ) for event in reversed(told)
    ]


def _details(frame: Frame, detail: Mapping) -> list[str]:
    """What an event says beside its comment, as far as people read it."""
    said = [
        (frame.say("代表", "for"), detail.get("party")), (frame.say("签署人", "signed by"), detail.get("signatory")),
        (frame.say("职务", "office"), detail.get("duty")), (frame.say("签署日", "on"), detail.get("date")), (frame.say("承包单位", "of"), detail.get("of")),
    ]
    return [f"{title} {value}" for title, value in said if value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """An agreement above or below, as far as it is this person's to see; `gaps` are sentences, None where nobody asked."""

    agreement_id: str
    is_seen: bool
    title: str = ""
    grantee: str = ""
    state: State | None = None
    gaps: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    parent: Relative | None
    children: Sequence[Relative]


def _family(frame: Frame, one: Agreement) -> Family:
    held = visible(frame.visit, frame.visit.services.register.list())
    newest = {other.agreement_id: other for other in held}
    parent = None
    if one.parent is not None:
        above = newest.get(one.parent)
        parent = _relative(frame, above, _gaps(frame, one, held)) if above else Relative(agreement_id=one.parent, is_seen=False)
    below = [other for other in newest.values() if other.parent == one.agreement_id]
    return Family(parent=parent, children=[_relative(frame, other, _gaps(frame, other, held)) for other in below])


def _relative(frame: Frame, other: Agreement, found_gaps: Sequence[str]) -> Relative:
    return Relative(
        agreement_id=other.agreement_id, is_seen=True, title=other.title, grantee=other.grantee, state=state_at(other, frame.at), gaps=found_gaps,
    )


def _gaps(frame: Frame, child: Agreement, held: Sequence[Agreement]) -> list[str]:
    """What a child grants beyond its parent as that stands now, in sentences."""
    above = [
        one for one in held if one.agreement_id == child.parent and state_at(one, frame.at) in (State.ACTIVE, State.SUSPENDED)
        and (one.replaced is None or frame.at < one.replaced)
    ]
    ahead = gaps(replace(child, replaced=None), above, layers=layer_facts(frame.visit.services.catalogue), km2=geodesic_km2)
    return [gap_sentence(gap, frame.language) for gap in ahead]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    dataset: str
    due: date
    standing: str
    title: str
    findings: str


def _entries(frame: Frame, one: Agreement) -> list[Owed]:
    """The latest first."""
    told = frame.ask("contributions.get", agreement=one.agreement_id)["items"]
    return [
        Owed(dataset=entry.dataset, due=entry.due, standing=entry.standing, title=worded(STANDINGS, entry.standing, frame.language), findings=entry.findings)
        for entry in sorted(told, key=lambda entry: entry.due, reverse=True)
    ]
