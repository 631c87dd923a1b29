"""A small office: two agencies that owe something, a clock that a test sets, and the book of what came."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy

from agreements.model import BUREAU, Agency, Agreement, Term
from agreements.record import Contact, Contribution, Coordination, OnOverdue, Party, Record, Role
from agreements.register import SqlRegister
from geoserver_app.contributions import ContributionBook
from geoserver_app.database import connect, migrate
from geoserver_app.decision_log import DecisionLog
from geoserver_app.settings import Settings
from tests.agreements.small_world import agreement, at

DIKES = Contribution(dataset="dikes", cadence="P3M", first_due=date(2026, 3, 31), on_overdue=OnOverdue.REDUCE_QUOTA)
BOUNDARIES = Contribution(dataset="boundaries", grace_days=10, on_overdue=OnOverdue.ESCALATE, no_change_statement=False)
ROADS = Contribution(dataset="roads", cadence="P1M", first_due=date(2026, 1, 31), on_overdue=OnOverdue.ESCALATE)

PARTIES = {
    "water": Party(agency="water", role=Role.USER, contacts=(Contact(name="水利联络员", duty="联络员", email="liaison@water.test"),)),
    "transport": Party(agency="transport", role=Role.USER, contacts=(Contact(name="交通联络员", duty="联络员", email="liaison@transport.test"),)),
    BUREAU: Party(agency=BUREAU, role=Role.PROVIDER, contacts=(Contact(name="共享办", duty="sharing office", email="office@bureau.test"),)),
}


@dataclass
class Office:
    settings: Settings
    database: sqlalchemy.Engine
    now: datetime = at(2026, 1, 1, 9)

    @property
    def log(self) -> DecisionLog:
        return DecisionLog(self.settings.decisions)

    def book(self, log=None) -> ContributionBook:
        """A book of its own register, as another process would have it."""
        return ContributionBook(self.database, self.register, log or self.log, lambda: self.now)

    @property
    def register(self) -> SqlRegister:
        return SqlRegister(self.database, lambda: self.now)

    def agree(self, grantee: str, *contributions: Contribution, agreement_id: str, parties=None, **terms) -> Agreement:
        parties = (PARTIES[grantee], PARTIES[BUREAU]) if parties is None else parties
        record = Record(parties=parties, contributions=contributions, coordination=Coordination(group="信息协作和共享协调小组"))
        one = agreement(agreement_id=agreement_id, grantee=grantee, record=record, **{"term": Term(start=at(2026, 1, 1), end=at(2029, 1, 1)), **terms})
        self.register.register(one, f"{agreement_id} {one.version}")
        return one


def open_office(folder, **settings) -> Office:
    settings = Settings.at(folder / "var", **settings)
    migrate(settings)
    office = Office(settings, connect(settings.database_url))
    for name in ("water", "transport"):
        office.register.add_agency(Agency(agency_id=name, name_zh=f"{name}厅", name_en=name))
    office.agree("water", DIKES, BOUNDARIES, agreement_id="AG-W")
    office.agree("transport", ROADS, agreement_id="AG-T")
    return office
