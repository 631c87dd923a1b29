"""Giving data back as an agency does, and taking it as the bureau does."""

from dataclasses import dataclass
from datetime import timedelta

import geopandas
import pyogrio
import shapely
from api_office import Office
from houses import House

from agreements.record import Contact, Contribution, Party, Record, Role
from geoserver_app.clock import now
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.giving.submissions import Submission
from geoserver_app.giving.worker import SubmissionWorker

DATASET = "派出所与警务区界线 police districts"
AGREEMENT = "AG-GIVE"
ROWS = [
    {"机构代码": "320104A", "名称": "甲所", "级别": "派出所", "行政区划代码": "320104", "geometry": shapely.box(118.72, 32.02, 118.74, 32.04)},
    {"机构代码": "320104B", "名称": "乙所", "级别": "派出所", "行政区划代码": "320104", "geometry": shapely.box(118.74, 32.02, 118.76, 32.04)},
]
TODAY = now().date()
DUE = TODAY + timedelta(days=20)
MAIL = "liaison@water.test"


def owing(house: House, agency: str = "water", agreement: str = AGREEMENT, **terms) -> None:
    """An agreement under which the agency gives districts back every quarter."""
    contribution = Contribution(dataset=DATASET, cadence="P3M", first_due=DUE)
    party = Party(agency=agency, role=Role.USER, contacts=(Contact(name="联络员", email=MAIL),))
    house.agree(agency, house.clause("dom", **terms), agreement_id=agreement, record=Record(parties=(party,), contributions=(contribution,)))


def as_geopackage(folder, rows=ROWS) -> bytes:
    path = folder / "districts.gpkg"
    path.unlink(missing_ok=True)
    pyogrio.write_dataframe(geopandas.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4490"), path, layer="districts")
    return path.read_bytes()


def as_geojson(rows=ROWS) -> bytes:
    return geopandas.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326").to_json(drop_id=True).encode()


WANTED = {
    "agreement": AGREEMENT, "dataset": DATASET, "file": "districts.geojson", "currency_to": TODAY.isoformat(), "edition": "2026-Q1", "terms": "只用于行政管理",
    "attribution": "水利厅",
}


@dataclass
class Desk:
    """Both sides of a submission."""

    office: Office

    @property
    def house(self) -> House:
        return self.office.house

    @property
    def book(self) -> SubmissionBook:
        return SubmissionBook(self.house.services.database, self.house.services.gate.clock)

    def key(self, agency: str | None) -> dict:
        return {"X-API-Key": self.house.keys[agency]} if agency else {}

    def announce(self, agency: str | None = "water", **changes):
        return self.house.client().post("/api/v1/submissions", json=WANTED | changes, headers=self.key(agency))

    def put(self, submission: str, data: bytes, agency: str | None = "water", **headers):
        return self.house.client().put(f"/submissions/{submission}/file", data=data, headers=self.key(agency) | headers)

    def sent(self, data: bytes | None = None, **changes) -> str:
        """One whose file is there."""
        answer = self.announce(**changes)
        assert answer.status_code == 201, answer.text
        answer = self.put(answer.json["submission"], as_geojson() if data is None else data)
        assert answer.status_code == 202, answer.text
        return answer.json["submission"]

    def worker(self) -> SubmissionWorker:
        return SubmissionWorker(self.house.services, self.book)

    def work(self) -> None:
        while self.worker().work():
            pass
        self.house.look_again()

    def checked(self, data: bytes | None = None, **changes) -> str:
        submission = self.sent(data, **changes)
        self.work()
        assert self.row(submission).state == "checked", self.told(submission)
        return submission

    def row(self, submission: str) -> Submission:
        return self.book.get(submission)

    def told(self, submission: str, agency: str = "water", language: str = "en") -> dict:
        return self.house.get(f"/api/v1/submissions/{submission}?lang={language}", agency).json

    def act(self, login: str, submission: str, act: str, **body):
        return self.office.visitor(login).ask(f"POST /submissions/{submission}/{act}", json=body)

    def done(self, login: str, submission: str, act: str, **body) -> None:
        answer = self.act(login, submission, act, **body)
        assert answer.status_code == 200, answer.text

    def accepted(self, data: bytes | None = None, **changes) -> str:
        submission = self.checked(data, **changes)
        self.done("data_manager", submission, "review", note="see the report")
        self.done("approver", submission, "approval")
        self.work()
        assert self.row(submission).state == "accepted", self.told(submission)
        return submission

