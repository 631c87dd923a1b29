"""The chapters of a review, each from what the audit was asked and what the register holds. Some bring matters onto the agenda."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shapely.geometry.base import BaseGeometry

from agreements.compare.difference import amendment
from agreements.compare.difference_words import Line, sentences
from agreements.life.history import Event
from agreements.life.ledger import Entry
from agreements.life.lifecycle import Action, is_unratified, state_at
from agreements.life.tasks import Task
from agreements.model import Agreement
from agreements.quota import Measure, Quota
from agreements.record import OnOverdue
from geoserver_app.clock import SHANGHAI
from geoserver_app.layer_facts import layer_facts
from geoserver_app.papers.blocks import Seal, Seals
from geoserver_app.review.archive import Archive, end_day, ends_soon, is_within, term_of
from geoserver_app.review.charts import DARK, HATCHED, Series, bars, columns, number
from geoserver_app.review.figures import Counted, Figures, values
from geoserver_app.review.granted import outlines_of
from geoserver_app.review.ground import MOST_TOUCHED, Grid, HeatWords, draw, grid_over, places_of
from geoserver_app.review.paper import Paper
from geoserver_app.review.questions import QUESTIONS, Scope
from geoserver_app.review.words import CODES, SPANS, STANDINGS, coded
from layers.catalogue import Catalogue
from layers.crs import geodesic_km2
from layers.sheets import encode

DAILY = 200
"""Days of which a chart still has a column each."""

MANY_REFUSALS = 10
"""Of one clause for one reason: it comes on the agenda."""

ESCALATED = 30
"""Days after which a late contribution is for the coordination group."""

MOST_MATTERS = 8
"""Of one chapter, on the agenda."""


@dataclass(frozen=True, slots=True)
class Matter:
    """A line of the agenda: what is to be decided and where it comes from, as the name of a chapter."""

    text: str
    chapter: str


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
        rows = [(event.number, event.at, event.action, *((event.agreement_id or event.subject,) if with_agreement else ()), event.comment) for event in told_of]
        paper.table(heads, rows)
    else:
        paper.say(paper.word("none-happened"))
    if acts.rows:
        paper.counted(acts)


def amendments(paper: Paper, versions: Sequence[Agreement], archive: Archive, scope: Scope) -> bool:
    """Versions that came into force in the period, after the first, each with what it gives and takes away; whether there were any."""
    begun = versions_begun(versions, archive.register.history(versions[-1].agreement_id), scope)
    for one in begun:
        paper.fields([
            ("agreement", one.agreement_id), ("title", one.title), ("version", one.version), ("since", one.term.start and one.term.start.date()),
        ])
        before = max((other for other in versions if other.version < one.version), key=lambda other: other.version)
        paper.table(("turn", "change"), [(paper.word(line.turn.value), line.text) for line in _changes(before, one, archive, paper.language)])
    return bool(begun)


def _changes(before: Agreement, after: Agreement, archive: Archive, language: str) -> tuple[Line, ...]:
    """What requests could see before and can after: not what the texts say."""
    above = [one for one in archive.register.snapshot().agreements.get(after.grantee, ()) if one.grantee != after.grantee]
    found = amendment(before, after, above, km2=geodesic_km2, layers=layer_facts(archive.catalogue))
    return sentences(found, language)


BEGINNING = {Action.ACTIVATE, Action.ACTIVATE_EMERGENCY, Action.IMPORT}


def versions_begun(versions: Sequence[Agreement], events: Sequence[Event], scope: Scope) -> list[Agreement]:
    begun = {event.version for event in events if event.action in BEGINNING and is_within(event, scope)}
    first = min(one.version for one in versions)
    return [one for one in versions if one.version in begun and one.version > first]


LEDGER_COLUMNS = ("dataset", "due", "standing", "received", "delivered", "findings")


def ledger_row(entry: Entry, paper: Paper) -> tuple:
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
            ("agreement", one.agreement_id), ("title", one.title), ("term", term_of(paper, one)), ("state", state_at(one, archive.at).value),
            ("emergency", paper.word("is-emergency")),
        ])
        paper.sums(found.about(Scope(first=found.scope.first, last=found.scope.last, agreement=one.agreement_id))["totals"], "agencies")
        if is_unratified(history):
            matters.append(Matter(paper.word("matter-emergency", agreement=one.agreement_id), "emergency"))
    return matters


def expiring_matters(paper: Paper, agreements: Iterable[Agreement], at: datetime) -> list[Matter]:
    return [
        Matter(paper.word("matter-expiring", agreement=one.agreement_id, until=end_day(one)), "basics")
        for one in agreements if ends_soon(one, at)
    ]


def tasks(paper: Paper, open_tasks: Sequence[Task], at: datetime) -> list[Matter]:
    """What waits to be done, but for deliveries, which have a chapter of their own; what is late comes on the agenda."""
    paper.chapter("tasks")
    open_tasks = [one for one in open_tasks if one.kind != "contribution-due"]
    if not open_tasks:
        paper.say(paper.word("none-open"))
        return []
    rows = [(one.told(paper.language), one.due and (one.due - timedelta(microseconds=1)).astimezone(SHANGHAI).date(), one.is_overdue(at)) for one in open_tasks]
    paper.table(("task", "deadline", "is_late"), rows)
    return [Matter(one.told(paper.language), "tasks") for one in open_tasks if one.is_overdue(at) and one.kind != "ratify"]


PRESSING = ("emergency", "tasks", "basics", "contributions", "refusals")
"""Chapters, in the order in which what they bring is taken up."""

ROOM = ("\u3000" * 14 + "\n\n", "\u3000" * 6, "\u3000" * 6)
"""Cells to write in: columns are as wide as what stands in them."""


def agenda(paper: Paper, matters: Sequence[Matter]) -> None:
    """A page of its own, with room to write."""
    paper.new_page()
    paper.chapter("agenda")
    listed = [Matter(paper.word("matter-last"), "")]
    for chapter in PRESSING:
        brought = [one for one in matters if one.chapter == chapter]
        listed += brought[:MOST_MATTERS]
        if (more := len(brought) - MOST_MATTERS) > 0:
            listed.append(Matter(paper.word("matter-more", number=more, chapter=paper.word(chapter)), chapter))
    listed.append(Matter(paper.word("matter-next"), ""))
    rows = [(position, one.text, paper.word(one.chapter) if one.chapter else "", *ROOM) for position, one in enumerate(listed, 1)]
    paper.table(("number", "matter", "basis", "decision", "responsible", "deadline"), rows)


def seals(paper: Paper, parties: Sequence[str]) -> Seals:
    lines = (paper.word("signed-by") + "______________", paper.word("signed-on") + "______________")
    return Seals(parties=tuple(Seal(party=party, lines=lines, seal=paper.word("seal")) for party in parties))
