"""Indicators of the yearly evaluation: config/indicators.csv asked about every agreement at once, and the order of the parties that follows.

An indicator's `sql` gives a row an agreement with its `value`; none, where nothing can be said. Beside the parts of `questions` it may be from

    held      the agreements that were in force in those days
    uses      a row for every record, layer and agreement that granted it or is among the reasons of its refusal
    charges   what was counted on quotas, by agreement
    owed      periods of contributions
    granted   layers that each agreement grants
    answers   submissions that were answered: from the history of the register, in working days
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

from agreements.life.history import Event
from agreements.life.lifecycle import Action, Deadlines
from agreements.life.workdays import WorkCalendar, read_calendar
from agreements.model import Agreement
from geoserver_app.clock import SHANGHAI
from geoserver_app.messages import CHINESE
from geoserver_app.papers.blocks import Document
from geoserver_app.review.archive import Archive, ReviewInvalid, footer_of, is_of, names_of, period_of
from geoserver_app.review.figures import Counted, Figures, figures, values
from geoserver_app.review.granted import granted_layers
from geoserver_app.review.ledgers import owed
from geoserver_app.review.paper import Paper
from geoserver_app.review.questions import Scope, quoted

FILE, HOLIDAYS = "indicators.csv", "holidays.csv"
BETTER = ("high", "low", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """`better` says which way is better, "" that it is only told; `weight` is its share in the score, 0 for none."""

    code: str
    zh: str
    en: str
    unit: str
    better: str
    weight: float
    source: str
    sql: str

    def name(self, language: str) -> str:
        return self.zh if language == CHINESE else self.en


class IndicatorsInvalid(ValueError):
    """config/indicators.csv holds faults; one sentence each."""


@cache
def load_indicators(config: Path) -> Mapping[str, Indicator]:
    """By code, in the order of the file.

    Raises
    ------
    IndicatorsInvalid
        With every fault, by line.
    OSError
        The file is not there.
    """
    found: dict[str, Indicator] = {}
    faults = []
    with (config / FILE).open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            fault = _fault(row, found)
            if fault:
                faults.append(f"line {reader.line_num}: {fault}")
            else:
                found[row["code"]] = Indicator(**{**row, "weight": float(row["weight"])})
    if faults:
        raise IndicatorsInvalid(f"{FILE}: " + "; ".join(faults))
    return found


def _fault(row: Mapping[str, str], known: Mapping) -> str:
    if set(row) != set(Indicator.__dataclass_fields__) or None in row.values():
        return f"must have the columns {', '.join(Indicator.__dataclass_fields__)}"
    if row["code"] in known:
        return f"`{row['code']}` stands there already: keep one of them"
    if row["better"] not in BETTER:
        return f"`better` of `{row['code']}` is none of high, low or nothing"
    try:
        weight = float(row["weight"])
    except ValueError:
        weight = -1.0
    if weight < 0 or (weight and (not row["better"] or row["unit"] != "%")):
        return f"`weight` of `{row['code']}` must be a number; what counts for the score is a percentage of which `better` is told"
    return ""


# Asking

@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """`values` by indicator, then agreement. `scores` orders the parties."""

    scope: Scope
    indicators: tuple[Indicator, ...]
    agreements: tuple[Agreement, ...]        # the newest version of each
    found: Mapping[str, Counted]
    scores: Counted

    def value(self, code: str, agreement_id: str) -> float | None:
        return next((row["value"] for row in self.found[code] if row["agreement"] == agreement_id), None)


def evaluate(archive: Archive, first: date, last: date, agreement_id: str | None = None) -> Evaluation:
    """The indicators of all agreements, or of one, over the days from `first` to `last`.

    Raises
    ------
    AgreementNotDefined, ReviewInvalid
        There is no such agreement; it was never in force.
    IndicatorsInvalid
        The file of indicators holds faults.
    QueryInvalid
        The SQL of an indicator can't be answered.
    """
    if agreement_id is None:
        held = {name: versions for name, versions in archive.book.agreements().items() if _was_in_force(versions, first, last)}
    else:
        held = {agreement_id: archive.book.versions(agreement_id)}
        if not held[agreement_id]:
            raise ReviewInvalid("review-never-in-force", agreement=agreement_id)
    grantees = {one.grantee for one in held[agreement_id]} if agreement_id else ()
    with figures(archive.decisions, Scope(first=first, last=last, agreement=agreement_id), grantees) as asking:
        return evaluated(archive, held, asking)


def evaluated(archive: Archive, held: Mapping[str, Sequence[Agreement]], asking: Figures) -> Evaluation:
    """`evaluate` of agreements, given with their versions, where the record is open already."""
    indicators, calendar = load_indicators(archive.config), read_calendar((archive.config / HOLIDAYS).read_text("utf-8"), HOLIDAYS)
    parts = _parts(archive, held, asking.scope, calendar)
    found = {one.code: asking.ask(one.code, one.sql, **parts) for one in indicators.values()}
    return Evaluation(
        scope=asking.scope, indicators=tuple(indicators.values()), agreements=tuple(versions[-1] for versions in held.values()), found=found,
        scores=_scores(asking, indicators.values(), found, parts),
    )


def _was_in_force(versions: Sequence[Agreement], first: date, last: date) -> bool:
    starts = [one.term.start.astimezone(SHANGHAI).date() for one in versions if one.term.start]
    ends = [one.term.end.astimezone(SHANGHAI).date() for one in versions if one.term.end]
    return (len(starts) < len(versions) or min(starts) <= last) and (len(ends) < len(versions) or max(ends) > first)


def _parts(archive: Archive, held: Mapping[str, Sequence[Agreement]], scope: Scope, calendar: WorkCalendar) -> dict[str, str]:
    entries = [one for ledger in archive.book.ledgers(dict(held), archive.at).values() for one in ledger if is_of(one, scope)]
    layers = sorted({
        (name, layer) for name, versions in held.items() for version in versions for layer in granted_layers(version, archive.catalogue.snapshot())
    })
    answered = [row for name in held for row in _answers(archive.register.history(name), calendar)]
    whose = f" AND reason[1] = {quoted(scope.agreement)}" if scope.agreement else ""
    only = f" WHERE entry.key = {quoted(scope.agreement)}" if scope.agreement else ""
    return {
        "held": values([("agreement", "VARCHAR"), ("agency", "VARCHAR")], [(name, versions[-1].grantee) for name, versions in held.items()]),
        "uses": _USES + whose,
        "charges": _CHARGES + only,
        "owed": owed(entries),
        "granted": values([("agreement", "VARCHAR"), ("layer", "VARCHAR")], layers),
        "answers": values(_ANSWERS, answered),
    }


_USES = """\
SELECT id, day, layer, operation, answer, reason[1] AS agreement, reason[4] AS code
FROM (SELECT l.id, l.day, l.layer, l.operation, r.effect AS answer,
             unnest(list_filter(l.reasons, lambda one: l.effect = 'deny' OR one[4] = 'granted')) AS reason
      FROM audit_layers l JOIN audit r ON r.id = l.id, asked WHERE l.day BETWEEN from_day AND to_day)
WHERE reason[1] IS NOT NULL"""

_CHARGES = """\
SELECT entry.key AS agreement, entry.value['requests'] AS requests, entry.value['pixels'] AS pixels, entry.value['bytes'] AS bytes
FROM (SELECT unnest(map_entries(CAST(charged AS MAP(VARCHAR, MAP(VARCHAR, BIGINT))))) AS entry
      FROM audit_layers, asked WHERE day BETWEEN from_day AND to_day AND charged IS NOT NULL)"""

_ANSWERS = (("agreement", "VARCHAR"), ("version", "INTEGER"), ("submitted", "DATE"), ("answered", "DATE"), ("working_days", "INTEGER"), ("allowed", "INTEGER"))

ANSWERS = frozenset({Action.APPROVE, Action.REFUSE, Action.REQUEST_CHANGES})


def _answers(events: Iterable[Event], calendar: WorkCalendar) -> list[tuple]:
    """Each submission with the first answer to it."""
    waiting: dict[int, datetime] = {}
    found = []
    for event in events:
        if event.action == Action.SUBMIT:
            waiting[event.version] = event.at
        elif event.action in ANSWERS and event.version in waiting:
            submitted, answered = (moment.astimezone(SHANGHAI).date() for moment in (waiting.pop(event.version), event.at))
            taken = calendar.working_days_between(submitted, answered)
            found.append((event.agreement_id, event.version, submitted, answered, taken, Deadlines().answer))
    return found


def _scores(asking: Figures, indicators: Iterable[Indicator], found: Mapping[str, Counted], parts: Mapping[str, str]) -> Counted:
    """The mean of the percentages that count, by their weights: of those where low is better, 100 less the value. What can't be said counts
    for nothing."""
    points = [
        (row["agreement"], one.code, one.weight, row["value"] if one.better == "high" else round(100 - row["value"], 2))
        for one in indicators if one.weight for row in found[one.code] if row["value"] is not None
    ]
    columns = [("agreement", "VARCHAR"), ("indicator", "VARCHAR"), ("weight", "DOUBLE"), ("points", "DOUBLE")]
    return asking.ask("scores", _SCORES, points=values(columns, points), held=parts["held"])


_SCORES = """\
SELECT rank() OVER (ORDER BY score DESC NULLS LAST) AS rank, agreement, agency, score
FROM (SELECT held.agreement, any_value(held.agency) AS agency, round(sum(weight * points) / nullif(sum(weight), 0), 1) AS score
      FROM held LEFT JOIN points ON points.agreement = held.agreement GROUP BY held.agreement)
ORDER BY rank, agreement"""


def days_of(year: int, at: datetime) -> tuple[date, date]:
    """First and last day of a year. Raises ReviewInvalid for one that has not begun."""
    first, today = date(year, 1, 1), at.astimezone(SHANGHAI).date()
    if first > today:
        raise ReviewInvalid("review-year-ahead", year=str(year))
    return first, min(date(year, 12, 31), today)


# On paper

def indicators_paper(archive: Archive, year: int, language: str = CHINESE) -> Document:
    """The yearly evaluation of all parties, for the coordination group; of the year that goes on, up to today. Raises as `evaluate`."""
    found = evaluate(archive, *days_of(year, archive.at))
    paper, names = Paper(language), names_of(archive, language)
    paper.chapter("how-counted")
    paper.fields([("period", period_of(paper, found.scope)), ("made", archive.at), ("agreement-count", len(found.agreements))])
    paper.say(paper.word("counted-note"))
    paper.say(paper.word("score-note"))
    paper.chapter("ranking")
    paper.counted(found.scores, names=names)
    paper.chapter("indicators")
    _legend(paper, found.indicators)
    _matrix(paper, found)
    paper.chapter("questions")
    for position, one in enumerate(found.indicators, 1):
        paper.say(f"{_short(position)} {one.name(language)} ({one.unit})")
        paper.query(found.found[one.code])
    return paper.document(paper.word("indicators-paper", year=year), period_of(paper, found.scope), footer_of(paper, "", found.scope, archive.at))


def _legend(paper: Paper, indicators: Sequence[Indicator]) -> None:
    rows = [
        (_short(position), one.name(paper.language), one.unit, paper.word(f"better-{one.better}") if one.better else "", one.weight or None, one.source)
        for position, one in enumerate(indicators, 1)
    ]
    paper.table(("column", "indicator", "unit", "better", "weight", "source"), rows)


def _matrix(paper: Paper, found: Evaluation) -> None:
    """Agreements by indicators, which stand under their numbers: nothing else fits on a page."""
    rows = [
        (one.agreement_id, *(found.value(indicator.code, one.agreement_id) for indicator in found.indicators)) for one in found.agreements
    ]
    heads = [paper.word("agreement"), *(_short(position) for position in range(1, len(found.indicators) + 1))]
    paper.grid(heads, rows)


def _short(position: int) -> str:
    return f"P{position}"


def indicators_chapter(paper: Paper, found: Evaluation) -> None:
    """The indicators of one agreement within its pack: those its review names, or all."""
    (agreement,) = found.agreements
    paper.chapter("indicators")
    shown = [one for one in found.indicators if one.code in agreement.record.review.indicators] or found.indicators
    rows = [
        (_short(position), one.name(paper.language), found.value(one.code, agreement.agreement_id), one.unit, one.source)
        for position, one in enumerate(shown, 1)
    ]
    paper.table(("column", "indicator", "value", "unit", "source"), rows)
    for position, one in enumerate(shown, 1):
        paper.say(f"{_short(position)} {one.name(paper.language)}")
        paper.query(found.found[one.code])
