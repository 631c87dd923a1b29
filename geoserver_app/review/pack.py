"""The papers of a review meeting: of one agreement for its parties, and of all of them for the coordination group. Pure but for what it is given.

A pack of an agreement holds what is of that agreement alone, and nothing of what the bureau only prepares: it is for both parties. Who may read which
is in `access`.
"""

from collections.abc import Sequence
from datetime import date

from agreements.life.lifecycle import IN_HOUSE, state_at
from agreements.life.tasks import Task
from agreements.model import Agreement, State
from geoserver_app.messages import CHINESE
from geoserver_app.papers.blocks import Document
from geoserver_app.review import chapters
from geoserver_app.review.archive import (
    Archive,
    ReviewInvalid,
    check_period,
    end_day,
    ends_soon,
    footer_of,
    is_of,
    is_within,
    names_of,
    period_of,
    standing_now,
    term_of,
)
from geoserver_app.review.chapters import Matter
from geoserver_app.review.charts import bars
from geoserver_app.review.figures import Figures, figures, values
from geoserver_app.review.granted import ground_of
from geoserver_app.review.indicators import evaluated, indicators_chapter
from geoserver_app.review.ledgers import QUESTIONS as LEDGER_QUESTIONS
from geoserver_app.review.ledgers import owed
from geoserver_app.review.paper import Paper
from geoserver_app.review.questions import QUESTIONS, Scope

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
    check_period(first, last)
    versions = archive.book.versions(agreement_id)
    if not versions:
        raise ReviewInvalid("review-never-in-force", agreement=agreement_id)
    with figures(archive.decisions, Scope(first=first, last=last, agreement=agreement_id), {one.grantee for one in versions}) as found:
        return _AgreementPack(archive, versions, found, language).document()


class _AgreementPack:
    def __init__(self, archive: Archive, versions: Sequence[Agreement], found: Figures, language: str):
        self.archive, self.versions, self.found, self.paper = archive, versions, found, Paper(language)
        self.agreement = versions[-1]
        self.events = [event for event in archive.register.history(self.agreement.agreement_id) if event.action not in IN_HOUSE]
        self.told = {one.version for one in versions} | {
            one.version for one in archive.register.list() if one.agreement_id == self.agreement.agreement_id and one.state in (State.APPROVED, State.SIGNED)
        }
        self.names = names_of(archive, language)
        self.matters: list[Matter] = []

    def document(self) -> Document:
        paper, one = self.paper, self.agreement
        self.basics()
        chapters.usage(paper, self.found)
        chapters.ground(paper, self.found, ground_of(self.versions, self.archive.catalogue), self.archive.catalogue)
        self.matters += chapters.refusals(paper, self.found)
        chapters.quota(paper, self.found, one)
        chapters.downloads(paper, self.found)
        self.incidents()
        self.amendments()
        self.contributions()
        indicators_chapter(paper, evaluated(self.archive, {one.agreement_id: self.versions}, self.found))
        self.emergency()
        self.matters += chapters.tasks(paper, self.tasks(), self.archive.at)
        chapters.agenda(paper, self.matters)
        parties = [self.names.get(name, name) for name in (one.grantor, one.grantee)]
        paper.add(chapters.seals(paper, parties))
        return paper.document(
            paper.word("pack"), f"{one.agreement_id} · {one.title}", footer_of(paper, one.agreement_id, self.found.scope, self.archive.at),
        )

    def basics(self) -> None:
        paper, one, scope = self.paper, self.agreement, self.found.scope
        paper.chapter("basics")
        pairs = [
            ("agreement", one.agreement_id), ("title", one.title), ("grantor", self.names.get(one.grantor, one.grantor)),
            ("grantee", self.names.get(one.grantee, one.grantee)), ("purpose", one.purpose), ("term", term_of(paper, one)),
            ("state", state_at(one, self.archive.at).value), ("version", one.version), ("period", period_of(paper, scope)),
            ("made", self.archive.at), ("epoch", self.archive.register.epoch()),
        ]
        if one.is_emergency:
            pairs.append(("emergency", paper.word("is-emergency")))
        paper.fields(pairs)
        paper.say(paper.word("counted-note"))

    def incidents(self) -> None:
        events = [event for event in self.events if is_within(event, self.found.scope)]
        keys = {key.key_id for key in self.archive.register.snapshot().keys.values() if key.agency_id == self.agreement.grantee}
        events += [event for event in self.archive.register.history() if event.kind == "key" and event.subject in keys and is_within(event, self.found.scope)]
        name = self.agreement.agreement_id
        objects = values([("object", "VARCHAR")], [(one,) for one in (name, *(f"{name}/{version}" for version in sorted(self.told)))])
        chapters.incidents(self.paper, events, self.found.ask("acts-on-agreement", QUESTIONS["acts-on-agreement"], objects=objects))

    def tasks(self) -> list[Task]:
        return [
            task for task in self.archive.tasks
            if task.agreement_id == self.agreement.agreement_id and (task.version is None or task.version in self.told)
        ]

    def amendments(self) -> None:
        self.paper.chapter("amendments")
        if not chapters.amendments(self.paper, self.versions, self.archive, self.found.scope):
            self.paper.say(self.paper.word("none-amended"))

    def contributions(self) -> None:
        paper, scope = self.paper, self.found.scope
        entries = self.archive.book.ledger(self.agreement.agreement_id, self.archive.at)
        shown = [one for one in entries if is_of(one, scope)]
        paper.chapter("contributions")
        if not entries:
            paper.say(paper.word("none-owed"))
            return
        paper.table(chapters.LEDGER_COLUMNS, [chapters.ledger_row(one, paper) for one in shown])
        paper.sums(self.found.ask("owed-total", LEDGER_QUESTIONS["owed-total"], owed=owed(shown)))
        paper.say(paper.word("ledger-note"))
        self.matters += chapters.overdue_matters(paper, entries, self.archive.at)

    def emergency(self) -> None:
        pair = self.agreement.grantor, self.agreement.grantee
        between = [one for one in standing_now(self.archive) if (one.grantor, one.grantee) == pair]
        self.matters += chapters.emergency(self.paper, between, self.archive, self.found)
        self.matters += chapters.expiring_matters(self.paper, [self.agreement], self.archive.at)


# All of them

def group_pack(archive: Archive, first: date, last: date, language: str = CHINESE) -> Document:
    """The review of all agreements for the coordination group. Raises ReviewInvalid as `agreement_pack`."""
    check_period(first, last)
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
            ("period", period_of(paper, found.scope)), ("made", self.archive.at), ("agreement-count", len(self.held)), ("epoch", self.archive.register.epoch()),
        ])
        paper.say(paper.word("counted-note"))
        chapters.usage(paper, found, is_whole=False)
        self.agencies()
        every = [version for versions in self.held.values() for version in versions]
        chapters.ground(paper, found, ground_of(every, self.archive.catalogue), self.archive.catalogue)
        self.matters += chapters.refusals(paper, found)
        chapters.downloads(paper, found)
        self.incidents()
        self.amendments()
        self.contributions()
        self.matters += chapters.emergency(paper, standing_now(self.archive), self.archive, found)
        self.expiring()
        self.matters += chapters.tasks(paper, self.archive.tasks, self.archive.at)
        chapters.agenda(paper, self.matters)
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
        events = [event for event in self.archive.register.history() if is_within(event, self.found.scope)]
        chapters.incidents(self.paper, events, self.found["acts-by-operation"], with_agreement=True)

    def amendments(self) -> None:
        self.paper.chapter("amendments")
        told = [chapters.amendments(self.paper, versions, self.archive, self.found.scope) for versions in self.held.values()]
        if not any(told):
            self.paper.say(self.paper.word("none-amended"))

    def contributions(self) -> None:
        paper = self.paper
        ledgers = self.archive.book.ledgers(self.held, self.archive.at)
        entries = [one for ledger in ledgers.values() for one in ledger if is_of(one, self.found.scope)]
        paper.chapter("contributions")
        paper.counted(self.found.ask("owed-by-agreement", LEDGER_QUESTIONS["owed-by-agreement"], owed=owed(entries)), names=self.names)
        late = sorted((one for one in entries if one.overdue_since), key=lambda one: (one.overdue_since, one.period.name))
        if late:
            rows = [(one.period.agreement_id, self.names.get(one.period.grantee, one.period.grantee), *chapters.ledger_row(one, paper)[:3]) for one in late]
            paper.table(("agreement", "agency", *chapters.LEDGER_COLUMNS[:3]), rows)
        paper.say(paper.word("ledger-note"))
        self.matters += chapters.overdue_matters(paper, entries, self.archive.at)

    def expiring(self) -> None:
        paper, now = self.paper, standing_now(self.archive)
        paper.chapter("expiring")
        soon = [one for one in now if ends_soon(one, self.archive.at)]
        if soon:
            rows = [(one.agreement_id, one.title, self.names.get(one.grantee, one.grantee), end_day(one)) for one in soon]
            paper.table(("agreement", "title", "grantee", "until"), rows)
        else:
            paper.say(paper.word("none-expiring"))
        self.matters += chapters.expiring_matters(paper, soon, self.archive.at)
