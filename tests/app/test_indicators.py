"""The yearly evaluation: every agreement asked the same, figures that counting gives again, an order that follows from what is printed."""

import csv
from collections import defaultdict
from dataclasses import replace
from datetime import date
from io import StringIO

import pytest

from agreements.life.ledger import Check
from agreements.life.lifecycle import Action, Actor, Role
from agreements.model import State
from geoserver_app.audit.sql import QueryInvalid, connect, select
from geoserver_app.papers import html, pdf
from geoserver_app.review.archive import ReviewInvalid
from geoserver_app.review.indicators import IndicatorsInvalid, days_of, evaluate, indicators_paper, load_indicators
from geoserver_app.settings import ROOT
from tests.agreements.small_world import at
from tests.app.reviewed import FIRST, LAST, MADE, WATER, Reviewed, layers_of, printed, reviewed
from tests.app.reviewed import days_of as day_of

DORA = Actor(login="dora", roles=frozenset({Role.DATA_MANAGER}))
CARL = Actor(login="carl", roles=frozenset({Role.DATA_MANAGER}))
ANNA = Actor(login="anna", roles=frozenset({Role.APPROVER}))
OTIS = Actor(login="otis", roles=frozenset({Role.ADMINISTRATOR}))


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Reviewed:
    """Six weeks of traffic; the water department delivers in time; the police's amendment is answered after a week with a holiday in it."""
    office = reviewed(tmp_path_factory.mktemp("indicators"))
    traffic, book = office.traffic, office.book
    traffic.now = at(2026, 6, 30, 9)
    dataset = book.versions(WATER)[0].record.contributions[0].dataset
    book.check(book.receive(WATER, dataset, by="信息中心").delivery_id, Check.PASSED)
    police = next(one for one in traffic.agreements.values() if one.grantee == "police")
    traffic.now = at(2026, 4, 30, 9)
    amended = replace(police, version=2, state=State.DRAFT)
    traffic.register.add_draft(amended, "police 2", DORA)
    traffic.register.move(police.agreement_id, 2, Action.SUBMIT, DORA)
    traffic.now = at(2026, 5, 6, 9)
    traffic.register.move(police.agreement_id, 2, Action.CHECK, CARL)
    traffic.register.move(police.agreement_id, 2, Action.APPROVE, ANNA)
    traffic.write(3000, since=at(2026, 8, 1), until=at(2026, 9, 15), seed=2)
    return office


@pytest.fixture(scope="module")
def found(office):
    return evaluate(office.archive, FIRST, LAST)


def test_every_agreement_in_force_has_a_row_of_every_indicator(office, found):
    ids = sorted(office.traffic.agreements)
    assert sorted(one.agreement_id for one in found.agreements) == ids
    for one in found.indicators:
        rows = found.found[one.code].column("agreement")
        assert sorted(rows) == ids, one.code


def test_requests_and_refusals_are_those_that_counting_lines_gives(office, found):
    asked, refused = defaultdict(set), defaultdict(set)
    for record in office.records():
        if not FIRST <= day_of(record) <= LAST:
            continue
        is_refused = any(layer["effect"] == "deny" for layer in layers_of(record))
        for layer in layers_of(record):
            for agreement_id, _, _, code in layer["reasons"]:
                if agreement_id and (layer["effect"] == "deny" or code == "granted"):
                    asked[agreement_id].add(record["id"])
                    if is_refused:
                        refused[agreement_id].add(record["id"])
    for agreement_id in office.traffic.agreements:
        assert found.value("requests", agreement_id) == len(asked[agreement_id])
        rate = round(100 * len(refused[agreement_id]) / len(asked[agreement_id]), 1) if asked[agreement_id] else None
        assert found.value("refusal-rate", agreement_id) == rate


def test_contributions_answers_and_layers_are_told(found):
    police = next(one.agreement_id for one in found.agreements if one.grantee == "police")
    assert found.value("on-time", WATER) == 100 and found.value("accepted", WATER) == 100
    assert found.value("answer-days", police) == 1, "from 30 April over Labour Day to the next working day"
    assert found.value("answers-in-time", police) == 100 and found.value("answers-in-time", WATER) is None
    assert 0 < found.value("layers-used", WATER) <= 100


def test_the_indicators_of_one_agreement_are_its_row_among_all(office, found):
    alone = evaluate(office.archive, FIRST, LAST, WATER)
    assert [one.agreement_id for one in alone.agreements] == [WATER]
    for one in alone.indicators:
        assert alone.value(one.code, WATER) == found.value(one.code, WATER), one.code
        assert set(alone.found[one.code].column("agreement")) == {WATER}


def test_the_order_of_the_parties_follows_from_what_is_printed(found):
    for row in found.scores:
        counted = [(one.weight, found.value(one.code, row["agreement"]), one.better) for one in found.indicators if one.weight]
        points = [(weight, value if better == "high" else 100 - value) for weight, value, better in counted if value is not None]
        assert row["score"] == pytest.approx(sum(w * p for w, p in points) / sum(w for w, _ in points), abs=0.051)
    scores = found.scores.column("score")
    assert scores == sorted(scores, reverse=True) and found.scores.column("rank")[0] == 1


def test_every_sql_of_the_paper_answers_what_the_paper_says(office):
    document = indicators_paper(office.archive, 2026)
    page, connection = html.render(document), connect(office.folder)
    evaluated = evaluate(office.archive, *days_of(2026, MADE))
    asked = [select(connection, block.text) for block in printed(page) if block.kind == "pre"]
    connection.close()
    wanted = [evaluated.scores, *(evaluated.found[one.code] for one in evaluated.indicators)]
    assert [(tuple(columns), tuple(rows)) for columns, rows in asked] == [(one.columns, one.rows) for one in wanted]
    matrix = next(block for block in printed(page) if block.rows and block.rows[0][:2] == ["协议编号", "P1"])
    assert len(matrix.rows) == 1 + len(office.traffic.agreements)
    assert pdf.render(document).startswith(b"%PDF")


def test_the_year_that_goes_on_is_evaluated_up_to_today_and_one_that_has_not_begun_not_at_all():
    assert days_of(2026, MADE) == (date(2026, 1, 1), MADE.date()) and days_of(2025, MADE) == (date(2025, 1, 1), date(2025, 12, 31))
    with pytest.raises(ReviewInvalid, match="has not begun"):
        days_of(2027, MADE)


# The table

def table(folder, *changes: dict) -> None:
    rows = list(csv.DictReader(StringIO((ROOT / "config" / "indicators.csv").read_text("utf-8"))))
    for change in changes:
        rows.append({**rows[0], "code": "more", **change})
    with (folder / "indicators.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "holidays.csv").write_text((ROOT / "config" / "holidays.csv").read_text("utf-8"), "utf-8")


@pytest.mark.parametrize("change, told", [
    ({"code": "requests"}, "stands there already"), ({"better": "more"}, "none of high, low"), ({"weight": "much"}, "must be a number"),
    ({"weight": "5"}, "percentage"), ({"weight": "-1"}, "must be a number"),
])
def test_a_fault_in_the_table_is_told_with_its_line(tmp_path, change, told):
    table(tmp_path, change)
    with pytest.raises(IndicatorsInvalid, match=f"line .*{told}"):
        load_indicators(tmp_path)


def test_an_indicator_that_an_administrator_adds_is_asked_and_one_that_would_change_something_is_refused(office, tmp_path):
    table(tmp_path, {"sql": "SELECT held.agreement, count(*) AS value FROM held GROUP BY held.agreement"})
    assert evaluate(replace(office.archive, config=tmp_path), FIRST, FIRST).value("more", WATER) == 1
    (tmp_path / "other").mkdir()
    table(tmp_path / "other", {"sql": "SELECT 1 AS value; DROP TABLE audit"})
    with pytest.raises(QueryInvalid):
        evaluate(replace(office.archive, config=tmp_path / "other"), FIRST, FIRST)


def test_indicators_that_agreements_name_are_in_the_table(office):
    known = load_indicators(ROOT / "config")
    for agreement in office.traffic.agreements.values():
        assert set(agreement.record.review.indicators) <= set(known), agreement.agreement_id
