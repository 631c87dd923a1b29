"""The papers of a review meeting: of one agreement for its parties, and of all of them for the coordination group. Pure but for what it is given.

A pack of an agreement holds what is of that agreement alone. Who may read which is in `access`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from agreements.history import Event
from agreements.ledger import Entry
from agreements.lifecycle import Action, is_unratified, state_at
from agreements.model import LATEST, Agreement, Grant
from agreements.quota import Measure, Quota
from agreements.record import OnOverdue
from agreements.register import AgreementRegister
from geoserver_app.clock import SHANGHAI
from geoserver_app.contributions import ContributionBook
from geoserver_app.messages import CHINESE, ENGLISH, sentence
from geoserver_app.papers.blocks import Document, Seal, Seals
from geoserver_app.review.charts import DARK, HATCHED, Series, bars, columns, number
from geoserver_app.review.figures import Counted, Figures, figures, values
from geoserver_app.review.ground import MOST_TOUCHED, Grid, HeatWords, draw, grid_over, places_of
from geoserver_app.review.ledgers import QUESTIONS as LEDGER_QUESTIONS
from geoserver_app.review.ledgers import owed
from geoserver_app.review.paper import Paper
from geoserver_app.review.questions import QUESTIONS, Scope
from geoserver_app.review.words import CODES, SPANS, STANDINGS, coded, told
from layers.catalogue import Catalogue
from layers.errors import DivisionNotDefined
from layers.model import CatalogueSnapshot, Layer
from layers.sheets import encode

LONGEST_PACK = 1100
"""Days: three years and a bit."""

DAILY = 200
"""Days of which a chart still has a column each."""

SOON = 183
"""Days before its end in which an agreement ends soon."""

MANY_REFUSALS = 10
"""Of one clause for one reason: it comes on the agenda."""

ESCALATED = 30
"""Days after which a late contribution is for the coordination group."""

MOST_OUTLINES, MOST_MATTERS = 40, 25


class ReviewInvalid(ValueError):
    """The review can't be made as asked. `code` and `detail` name one of the sentences of `geoserver_app.messages`."""

    def __init__(self, code: str, **detail: str):
        super().__init__(sentence(code, detail, ENGLISH))
        self.code, self.detail = code, detail

    def told(self, language: str) -> str:
        return sentence(self.code, self.detail, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where a review is made from."""

    decisions: Path                          # folder of the decision record
    register: AgreementRegister
    catalogue: Catalogue
    book: ContributionBook
    at: datetime                             # of the review: ledgers and states are as of now


@dataclass(frozen=True, slots=True)
class Matter:
    """A line of the agenda: what is to be decided and where it comes from, as the name of a chapter."""

    text: str
    chapter: str


# One agreement

def agreement_pack(archive: Archive, agreement_id: str, first: date, last: date, language: str = CHINESE) -> Document:
    """The review of an agreement over the days from `first` to `last`, both included.

    Raises
    ------
    AgreementNotDefined
        It is not in the register.
    ReviewInvalid
        The period is none, or longer than three years.
    """
    _check_period(first, last)
    versions = archive.book.versions(agreement_id)
    if not versions:
        raise ReviewInvalid("review-never-in-force", agreement=agreement_id)
    with figures(archive.decisions, Scope(first=first, last=last, agreement=agreement_id)) as found:
        return _AgreementPack(archive, versions, found, language).document()


class _AgreementPack:
    def __init__(self, archive: Archive, versions: Sequence[Agreement], found: Figures, language: str):
        self.archive, self.versions, self.found, self.paper = archive, versions, found, Paper(language)
        self.agreement = versions[-1]
        self.events = archive.register.history(self.agreement.agreement_id)
        self.names = names_of(archive, language)
        self.matters: list[Matter] = []

    def document(self) -> Document:
        paper, one = self.paper, self.agreement
        self.basics()
        usage(paper, self.found)
        ground(paper, self.found, _ground_of(self.versions, self.archive.catalogue), self.archive.catalogue)
        self.matters += refusals(paper, self.found)
        quota(paper, self.found, one)
        downloads(paper, self.found)
        self.incidents()
        self.amendments()
        self.contributions()
        self.emergency()
        agenda(paper, self.matters)
        parties = [self.names.get(name, name) for name in (one.grantor, one.grantee)]
        paper.add(_seals(paper, parties))
        return paper.document(
            paper.word("pack"), f"{one.agreement_id} · {one.title}", footer_of(paper, one.agreement_id, self.found.scope, self.archive.at),
        )

    def basics(self) -> None:
        paper, one, scope = self.paper, self.agreement, self.found.scope
        paper.chapter("basics")
        pairs = [
            ("agreement", one.agreement_id), ("title", one.title), ("grantor", self.names.get(one.grantor, one.grantor)),
            ("grantee", self.names.get(one.grantee, one.grantee)), ("purpose", one.purpose), ("term", _term(paper, one)),
            ("state", state_at(one, self.archive.at).value), ("version", one.version), ("period", period_of(paper, scope)),
            ("made", self.archive.at), ("epoch", self.archive.register.epoch()),
        ]
        if one.is_emergency:
            pairs.append(("emergency", paper.word("is-emergency")))
        paper.fields(pairs)
        paper.say(paper.word("counted-note"))

    def incidents(self) -> None:
        events = [event for event in self.events if _is_within(event, self.found.scope)]
        keys = {key.key_id for key in self.archive.register.snapshot().keys.values() if key.agency_id == self.agreement.grantee}
        events += [event for event in self.archive.register.history() if event.kind == "key" and event.subject in keys and _is_within(event, self.found.scope)]
        incidents(self.paper, events, self.found["acts-on-agreement"])

    def amendments(self) -> None:
        self.paper.chapter("amendments")
        amendments(self.paper, self.versions, self.events, self.found.scope)

    def contributions(self) -> None:
        paper, scope = self.paper, self.found.scope
        entries = self.archive.book.ledger(self.agreement.agreement_id, self.archive.at)
        shown = [one for one in entries if is_of(one, scope)]
        paper.chapter("contributions")
        if not entries:
            paper.say(paper.word("none-owed"))
            return
        paper.table(LEDGER_COLUMNS, [_ledger_row(one, paper) for one in shown])
        paper.sums(self.found.ask("owed-total", LEDGER_QUESTIONS["owed-total"], owed=owed(shown)))
        paper.say(paper.word("ledger-note"))
        self.matters += overdue_matters(paper, entries, self.archive.at)

    def emergency(self) -> None:
        pair = {self.agreement.grantor, self.agreement.grantee}
        between = [one for one in _standing_now(self.archive) if {one.grantor, one.grantee} == pair]
        self.matters += emergency(self.paper, between, self.archive, self.found)
        self.matters += expiring_matters(self.paper, [self.agreement], self.archive.at)


# All of them

def group_pack(archive: Archive, first: date, last: date, language: str = CHINESE) -> Document:
    """The review of all agreements for the coordination group. Raises ReviewInvalid as `agreement_pack`."""
    _check_period(first, last)
    with figures(archive.decisions, Scope(first=first, last=last)) as found:
        return _GroupPack(archive, found, language).document()


class _GroupPack:
    def __init__(self, archive: Archive, found: Figures, language: str):
        self.archive, self.found, self.paper = archive, found, Paper(language)
        self.names = names_of(archive, language)
        self.held = archive.book.agreements()
        self.matters: list[Matter] = []

    def document(self) -> Document:
        paper, found = self.paper, self.found
        paper.chapter("how-counted")
        paper.fields([
            ("period", period_of(paper, found.scope)), ("made", self.archive.at), ("agreement", len(self.held)), ("epoch", self.archive.register.epoch()),
        ])
        paper.say(paper.word("counted-note"))
        usage(paper, found, is_whole=False)
        self.agencies()
        every = [version for versions in self.held.values() for version in versions]
        ground(paper, found, _ground_of(every, self.archive.catalogue), self.archive.catalogue)
        self.matters += refusals(paper, found)
        downloads(paper, found)
        self.incidents()
        self.amendments()
        self.contributions()
        self.matters += emergency(paper, _standing_now(self.archive), self.archive, found)
        self.expiring()
        agenda(paper, self.matters)
        return paper.document(paper.word("group-pack"), period_of(paper, found.scope), footer_of(paper, "", found.scope, self.archive.at))

    def agencies(self) -> None:
        paper, found = self.paper, self.found["by-agency"]
        paper.chapter("agency-use")
        rows = [(self.names.get(row["agency"], row["agency"] or "-"), row["requests"]) for row in found]
        if rows:
            paper.figure(bars(rows[:30], title=paper.word("by-agency")), paper.word("by-agency"))
        paper.counted(found, names=self.names)
        paper.section("agreement-use")
        paper.counted(self.found["by-agreement"])

    def incidents(self) -> None:
        events = [event for event in self.archive.register.history() if _is_within(event, self.found.scope)]
        incidents(self.paper, events, self.found["acts-by-operation"], with_agreement=True)

    def amendments(self) -> None:
        self.paper.chapter("amendments")
        is_any = False
        for agreement_id, versions in self.held.items():
            events = self.archive.register.history(agreement_id)
            if _versions_begun(versions, events, self.found.scope):
                is_any = True
                amendments(self.paper, versions, events, self.found.scope)
        if not is_any:
            self.paper.say(self.paper.word("none-amended"))

    def contributions(self) -> None:
        paper = self.paper
        ledgers = self.archive.book.ledgers(self.held, self.archive.at)
        entries = [one for ledger in ledgers.values() for one in ledger if is_of(one, self.found.scope)]
        paper.chapter("contributions")
        paper.counted(self.found.ask("owed-by-agreement", LEDGER_QUESTIONS["owed-by-agreement"], owed=owed(entries)), names=self.names)
        late = sorted((one for one in entries if one.overdue_since), key=lambda one: (one.overdue_since, one.period.name))
        if late:
            rows = [(one.period.agreement_id, self.names.get(one.period.grantee, one.period.grantee), *_ledger_row(one, paper)[:3]) for one in late]
            paper.table(("agreement", "agency", *LEDGER_COLUMNS[:3]), rows)
        paper.say(paper.word("ledger-note"))
        self.matters += overdue_matters(paper, entries, self.archive.at)

    def expiring(self) -> None:
        paper, now = self.paper, _standing_now(self.archive)
        paper.chapter("expiring")
        soon = [one for one in now if _ends_soon(one, self.archive.at)]
        if soon:
            rows = [(one.agreement_id, one.title, self.names.get(one.grantee, one.grantee), _end_day(one)) for one in soon]
            paper.table(("agreement", "title", "grantee", "until"), rows)
        else:
            paper.say(paper.word("none-expiring"))
        self.matters += expiring_matters(paper, soon, self.archive.at)


# Chapters

def usage(paper: Paper, found: Figures, *, is_whole: bool = True) -> None:
    """How much was asked, when, of what, with which keys."""
    paper.chapter("usage")
    totals = found["totals"]
    paper.sums(totals, *(("agencies",) if is_whole else ()))
    if not totals.row["requests"]:
        paper.say(paper.word("none-used"))
        return
    days = (found.scope.last - found.scope.first).days + 1
    name, unit = ("by-day", "day") if days <= DAILY else ("by-week", "week")
    over_time = found[name]
    caption = paper.word("daily" if unit == "day" else "weekly")
    paper.figure(columns(*_over_time(over_time, found.scope, unit, paper), title=caption), caption)
    paper.query(over_time)
    paper.counted(found["by-month"])
    paper.counted(found["by-operation"])
    by_layer = found["by-layer"]
    paper.figure(bars([(f"{row['layer']}@{row['edition'] or '-'}", row["requests"]) for row in by_layer][:20]))
    paper.counted(by_layer)
    if is_whole:
        paper.counted(found["by-key"])
    by_hour = found["by-hour"]
    hours = {row["hour"]: row["requests"] for row in by_hour}
    caption = paper.word("hourly")
    paper.figure(columns([str(hour) for hour in range(24)], [Series(name="", values=[hours.get(hour, 0) for hour in range(24)])], height=90, title=caption), caption)
    paper.query(by_hour)
    paper.counted(found["busiest-days"], paper.word("most-days"))


def _over_time(found: Counted, scope: Scope, unit: str, paper: Paper) -> tuple[list[str], list[Series]]:
    """A column for every day or week, also for those without a request."""
    step = timedelta(days=1 if unit == "day" else 7)
    start = scope.first if unit == "day" else scope.first - timedelta(days=scope.first.weekday())
    known, days = {row[unit]: row for row in found}, []
    while start <= scope.last:
        days.append(start)
        start += step
    answered = [known[day]["answered"] if day in known else 0 for day in days]
    refused = [known[day]["refused"] if day in known else 0 for day in days]
    series = [Series(name=paper.word("answered"), values=answered, tone=DARK), Series(name=paper.word("refused"), values=refused, tone=HATCHED)]
    return [f"{day.month}-{day.day:02}" for day in days], series


def ground(paper: Paper, found: Figures, granted: BaseGeometry, catalogue: Catalogue) -> None:
    """Where requests looked, over what is granted."""
    paper.chapter("ground")
    if granted.is_empty:
        paper.say(paper.word("no-ground"))
        return
    places = places_of(found["places"])
    paper.sums(found["placed"])
    words = HeatWords(paper.word("heat-requests"), paper.word("heat-untouched"), _cell_words(paper, grid_over(granted)))
    picture = draw(granted, places, outlines_of(catalogue, granted), words)
    caption = paper.word(
        "heat-caption", cell=_cell_words(paper, picture.grid), looked=number(picture.looked_at), cells=number(picture.cells),
        overviews=number(picture.overviews), most=MOST_TOUCHED,
    )
    paper.figure(picture.svg, caption)
    paper.query(found["places"])
    if picture.busiest:
        rows = [(_sheet_at(lon, lat), f"{lon:.4f}", f"{lat:.4f}", round(count, 1)) for lon, lat, count in picture.busiest]
        paper.table(("sheet", "longitude", "latitude", "requests"), rows, paper.word("busiest-cells"))


def _cell_words(paper: Paper, grid: Grid) -> str:
    if grid.parts > 1:
        return paper.word("cell-part", parts=f"{grid.parts}×{grid.parts}")
    return paper.word("cell-sheet") if grid.parts == 1 else paper.word("cell-sheets", sheets=f"{round(1 / grid.parts)}×{round(1 / grid.parts)}")


def _sheet_at(longitude: float, latitude: float) -> str:
    return encode(longitude, latitude, "G")


def refusals(paper: Paper, found: Figures) -> list[Matter]:
    """What was refused, by which clause and why; what is refused often comes on the agenda."""
    paper.chapter("refusals")
    by_clause = found["refusals-by-clause" if found.scope.agreement else "refusals-most"]
    if not by_clause.rows:
        paper.say(paper.word("none-refused"))
        paper.query(by_clause)
        return []
    rows = [(_clause_label(row, paper, with_agreement=found.scope.agreement is None), row["requests"]) for row in by_clause]
    paper.figure(bars(rows[:12], title=paper.word("by-clause")), paper.word("by-clause"))
    paper.counted(by_clause)
    paper.counted(found["refusals-by-code"])
    paper.counted(found["refusals-by-layer"])
    often = [row for row in by_clause if row["clause"] and row["requests"] >= MANY_REFUSALS and row["code"] != "no-agreement"]
    return [
        Matter(paper.word(
            "matter-refused", clause=row["clause"] if found.scope.agreement else f"{row['agreement']} {row['clause']}",
            code=coded(row["code"], CODES, paper.language), requests=number(row["requests"]),
        ), "refusals") for row in often[:5]
    ]


def _clause_label(row: Mapping, paper: Paper, *, with_agreement: bool) -> str:
    place = " ".join(part for part in ((row["agreement"] or "") if with_agreement else "", row["clause"] or "") if part)
    return f"{place} {coded(row['code'], CODES, paper.language)}".strip()


def quota(paper: Paper, found: Figures, agreement: Agreement) -> None:
    """How much of each limit was used at most, and what was refused since one was used up."""
    paper.chapter("quota")
    if agreement.quota is None:
        paper.say(paper.word("none-limited"))
        return
    rows = [
        (one.measure.value, one.window.value, one.most) for one in agreement.quota.limits if one.measure is not Measure.GROUND
    ]
    if rows:
        limits = values([("measure", "VARCHAR"), ("span", "VARCHAR"), ("most", "DOUBLE")], rows)
        paper.counted(found.ask("limits", QUESTIONS["limits"], limits=limits), paper.word("most-in-span"))
    paper.fields(_other_limits(paper, agreement.quota))
    paper.counted(found["counted-by-month"], paper.word("counted-on-quota"))
    spent = found["over-quota-total"]
    paper.say(paper.word("over-quota", requests=number(spent.row["requests"]), days=number(spent.row["days"])))
    paper.query(spent)
    if spent.row["requests"]:
        paper.counted(found["over-quota-by-day"])


def _other_limits(paper: Paper, quota: Quota) -> list[tuple[str, str]]:
    """Those that no sum of the record tells: a rate, and ground, which counts once however often it is seen."""
    told_of = []
    if quota.rate is not None:
        told_of.append(("rate", paper.word("rate-of", rate=number(quota.rate.per_second), burst=number(quota.rate.burst))))
    for one in quota.limits:
        if one.measure is Measure.GROUND:
            span = coded(one.window.value, SPANS, paper.language)
            told_of.append(("ground-limit", paper.word("ground-of", span=span, most=number(one.most), resolution=number(one.resolution or 0))))
    if quota.export_km2 is not None:
        told_of.append(("export-limit", paper.word("export-of", most=number(quota.export_km2))))
    return told_of


def downloads(paper: Paper, found: Figures) -> None:
    paper.chapter("downloads")
    total = found["downloads-total"]
    paper.sums(total)
    if not total.row["requests"]:
        paper.say(paper.word("none-downloaded"))
    else:
        paper.counted(found["downloads"])


INCIDENTS = {
    Action.SUSPEND, Action.RESUME, Action.EXPIRE, Action.TERMINATE, Action.ACTIVATE_EMERGENCY, Action.RATIFY, Action.PARENT_CHANGED, Action.WITHDRAW,
    Action.REFUSE, "revoke-key",
}
"""Of the history of the register: what a meeting wants to hear of."""


def incidents(paper: Paper, events: Iterable[Event], acts: Counted, *, with_agreement: bool = False) -> None:
    paper.chapter("incidents")
    told_of = sorted((event for event in events if event.action in INCIDENTS), key=lambda event: event.number)
    if told_of:
        heads = ("number", "at", "event", "object", "comment") if with_agreement else ("number", "at", "event", "comment")
        rows = [(event.number, event.at, event.action, *((event.subject,) if with_agreement else ()), event.comment) for event in told_of]
        paper.table(heads, rows)
    else:
        paper.say(paper.word("none-happened"))
    if acts.rows:
        paper.counted(acts)


def amendments(paper: Paper, versions: Sequence[Agreement], events: Sequence[Event], scope: Scope) -> None:
    """Versions that came into force in the period, after the first."""
    begun = _versions_begun(versions, events, scope)
    if not begun:
        paper.say(paper.word("none-amended"))
        return
    rows = [(one.agreement_id, one.version, one.term.start and one.term.start.date(), one.title) for one in begun]
    paper.table(("agreement", "version", "since", "title"), rows)


BEGINNING = {Action.ACTIVATE, Action.ACTIVATE_EMERGENCY, Action.IMPORT}


def _versions_begun(versions: Sequence[Agreement], events: Sequence[Event], scope: Scope) -> list[Agreement]:
    begun = {event.version for event in events if event.action in BEGINNING and _is_within(event, scope)}
    first = min(one.version for one in versions)
    return [one for one in versions if one.version in begun and one.version > first]


LEDGER_COLUMNS = ("dataset", "due", "standing", "received", "delivered", "findings")


def _ledger_row(entry: Entry, paper: Paper) -> tuple:
    last = entry.settled or (entry.deliveries[-1] if entry.deliveries else None)
    delivered = "" if last is None else last.statement or " ".join(
        part for part in (last.edition, last.file_name, f"{number(last.features)}" if last.features is not None else "") if part
    )
    due = entry.period.due.isoformat()
    if entry.period.last_day != entry.period.due:
        due += "\n" + paper.word("until-day", day=entry.period.last_day)
    standing = coded(entry.standing.value, STANDINGS, paper.language)
    if entry.overdue_since:
        standing += f"\n{entry.overdue_since}"
    return entry.period.dataset, due, standing, last.received.astimezone(SHANGHAI).date() if last else None, delivered, entry.findings


def overdue_matters(paper: Paper, entries: Iterable[Entry], at: datetime) -> list[Matter]:
    """One for each agreement under which something is late, and one where it says that a smaller quota is then to be decided on."""
    late: dict[str, list[Entry]] = {}
    for entry in sorted((one for one in entries if one.overdue_since), key=lambda one: one.overdue_since):
        late.setdefault(entry.period.agreement_id, []).append(entry)
    matters = []
    for agreement_id, held in late.items():
        days = (at.astimezone(SHANGHAI).date() - held[0].period.last_day).days
        datasets = "、".join(dict.fromkeys(one.period.dataset for one in held))
        said = {"agreement": agreement_id, "datasets": datasets, "periods": len(held), "due": held[0].period.due, "days": days}
        matters.append(Matter(paper.word("matter-overdue", **said), "contributions"))
        if days >= ESCALATED and any(one.period.contribution.on_overdue is OnOverdue.REDUCE_QUOTA for one in held):
            matters.append(Matter(paper.word("matter-quota", agreement=agreement_id), "contributions"))
    return matters


def emergency(paper: Paper, agreements: Iterable[Agreement], archive: Archive, found: Figures) -> list[Matter]:
    """Grants that were in force before they were approved, with how much was asked under each."""
    paper.chapter("emergency")
    flagged = [one for one in agreements if one.is_emergency]
    if not flagged:
        paper.say(paper.word("none-emergency"))
        return []
    matters = []
    for one in flagged:
        history = [event for event in archive.register.history(one.agreement_id) if event.version == one.version]
        paper.fields([
            ("agreement", one.agreement_id), ("title", one.title), ("term", _term(paper, one)), ("state", state_at(one, archive.at).value),
            ("emergency", paper.word("is-emergency")),
        ])
        paper.sums(found.about(Scope(first=found.scope.first, last=found.scope.last, agreement=one.agreement_id))["totals"], "agencies")
        if is_unratified(history):
            matters.append(Matter(paper.word("matter-emergency", agreement=one.agreement_id), "emergency"))
    return matters


def expiring_matters(paper: Paper, agreements: Iterable[Agreement], at: datetime) -> list[Matter]:
    return [
        Matter(paper.word("matter-expiring", agreement=one.agreement_id, until=_end_day(one)), "basics")
        for one in agreements if _ends_soon(one, at)
    ]


ROOM = ("\u3000" * 14 + "\n\n", "\u3000" * 6, "\u3000" * 6)
"""Cells to write in: columns are as wide as what stands in them."""


def agenda(paper: Paper, matters: Sequence[Matter]) -> None:
    """A page of its own, with room to write."""
    paper.new_page()
    paper.chapter("agenda")
    listed = [Matter(paper.word("matter-last"), ""), *matters[:MOST_MATTERS], Matter(paper.word("matter-next"), "")]
    rows = [(position, one.text, paper.word(one.chapter) if one.chapter else "", *ROOM) for position, one in enumerate(listed, 1)]
    paper.table(("number", "matter", "basis", "decision", "responsible", "deadline"), rows)


def _seals(paper: Paper, parties: Sequence[str]) -> Seals:
    lines = (paper.word("signed-by") + "______________", paper.word("signed-on") + "______________")
    return Seals(parties=tuple(Seal(party=party, lines=lines, seal=paper.word("seal")) for party in parties))


# What is granted, and where it lies

def _ground_of(versions: Iterable[Agreement], catalogue: Catalogue) -> BaseGeometry:
    """Where anything can be seen under the grants of these versions: CRS84."""
    held = catalogue.snapshot()
    pieces = [
        piece for version in versions for grant in version.grants
        if not (piece := shapely.intersection(grant.area.geometry, _extent_of(grant, version, held))).is_empty
    ]
    return shapely.union_all(pieces) if pieces else shapely.Polygon()


def _extent_of(grant: Grant, agreement: Agreement, held: CatalogueSnapshot) -> BaseGeometry:
    extents = [
        edition.extent for layer in held.layers.values() for position, edition in enumerate(layer.editions)
        if _is_granted(grant, agreement, layer, edition.name, is_latest=position == 0)
    ]
    return shapely.union_all(extents) if extents else shapely.Polygon()


def granted_layers(agreement: Agreement, held: CatalogueSnapshot) -> set[str]:
    """Names of the layers of which an agreement grants any edition."""
    return {
        layer.name for grant in agreement.grants for layer in held.layers.values() for position, edition in enumerate(layer.editions)
        if _is_granted(grant, agreement, layer, edition.name, is_latest=position == 0)
    }


def _is_granted(grant: Grant, agreement: Agreement, layer: Layer, edition: str, *, is_latest: bool) -> bool:
    names = {layer.name, f"{layer.name}@{edition}", *((f"{layer.name}@{LATEST}",) if is_latest else ())}
    is_named = bool(names & grant.layers) or (layer.product.value in grant.products and layer.owner == agreement.grantor)
    editions = grant.editions
    return is_named and (editions is None or edition in editions or (is_latest and LATEST in editions))


def outlines_of(catalogue: Catalogue, ground_seen: BaseGeometry) -> list[tuple[str, BaseGeometry]]:
    """Names and outlines of divisions on that ground: of the finest level that has at most 40 there."""
    by_level: dict[str, list[tuple[str, str]]] = {}
    for code, name, level, _ in catalogue.divisions():
        by_level.setdefault(level, []).append((code, name))
    best: list[tuple[str, BaseGeometry]] = []
    shapely.prepare(ground_seen)
    for held in sorted(by_level.values(), key=len):
        if len(held) > 400:
            break
        outlines = []
        for code, name in held:
            try:
                outline = catalogue.division(code).geometry
            except DivisionNotDefined:
                continue
            if ground_seen.intersects(outline):
                outlines.append((name, outline))
        if len(best) < len(outlines) <= MOST_OUTLINES:
            best = outlines
    return best


# Small things

def _check_period(first: date, last: date) -> None:
    if last < first:
        raise ReviewInvalid("review-period-none", first=first.isoformat(), last=last.isoformat())
    if (last - first).days > LONGEST_PACK:
        raise ReviewInvalid("review-period-long", days=str(LONGEST_PACK))


def names_of(archive: Archive, language: str) -> dict[str, str]:
    return {one.agency_id: one.name_zh if language == CHINESE else one.name_en for one in archive.register.agencies()}


def _standing_now(archive: Archive) -> list[Agreement]:
    """The newest version of each agreement that is or was in force."""
    return [versions[-1] for versions in archive.book.agreements().values()]


def _is_within(event: Event, scope: Scope) -> bool:
    return scope.first <= event.at.astimezone(SHANGHAI).date() <= scope.last


def is_of(entry: Entry, scope: Scope) -> bool:
    """Whether a period of a contribution is of the days reviewed: it was to come in them, something came in them, or it is still open."""
    came = any(scope.first <= one.received.astimezone(SHANGHAI).date() <= scope.last for one in entry.deliveries)
    return came or entry.is_open or scope.first <= entry.period.last_day <= scope.last


def _end_day(agreement: Agreement) -> date:
    return (agreement.term.end - timedelta(microseconds=1)).astimezone(SHANGHAI).date()


def _ends_soon(agreement: Agreement, at: datetime) -> bool:
    return agreement.term.end is not None and at < agreement.term.end <= at + timedelta(days=SOON)


def _term(paper: Paper, agreement: Agreement) -> str:
    start = agreement.term.start.astimezone(SHANGHAI).date().isoformat() if agreement.term.start else paper.word("open-end")
    end = _end_day(agreement).isoformat() if agreement.term.end else paper.word("open-end")
    return f"{start} — {end}"


def period_of(paper: Paper, scope: Scope) -> str:
    return paper.word("from-to", first=scope.first, last=scope.last, days=(scope.last - scope.first).days + 1)


def footer_of(paper: Paper, number_: str, scope: Scope, at: datetime) -> str:
    return "  ".join(part for part in (number_, f"{scope.first} – {scope.last}", f"{paper.word('made')} {told(at, 'made', paper.language)}") if part)
