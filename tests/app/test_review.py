"""Review packs: every printed figure is answered again by the SQL beside it, and by counting lines; a pack holds what is its agreement's alone."""

import re
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from agreements.errors import AgreementNotDefined
from agreements.life.ledger import Check
from agreements.life.lifecycle import Action, Actor, Role
from agreements.life.tasks import Task
from agreements.model import Agency, Operation, State, Term
from agreements.reasons import REASON_CODES
from geoserver_app.audit.sql import connect, select
from geoserver_app.clock import SHANGHAI
from geoserver_app.papers import html, pdf
from geoserver_app.papers.blocks import Document
from geoserver_app.review.access import may_read_agreement, may_read_group
from geoserver_app.review.archive import ReviewInvalid
from geoserver_app.review.figures import figures, values
from geoserver_app.review.pack import agreement_pack, group_pack
from geoserver_app.review.questions import QUESTIONS, Scope, question_sql
from geoserver_app.review.words import CODES, WORDS, told
from tests.agreements.small_world import at
from tests.app.reviewed import FIRST, LAST, WATER, Reviewed, days_of, layers_of, printed, reviewed

OTIS = Actor(login="otis", roles=frozenset({Role.ADMINISTRATOR}))
DORA = Actor(login="dora", roles=frozenset({Role.DATA_MANAGER}))


@pytest.fixture(scope="module")
def half_year(tmp_path_factory) -> Reviewed:
    """Traffic from April to September, one suspension, one emergency, a contribution that came back and one that is late."""
    office = reviewed(tmp_path_factory.mktemp("review"))
    traffic, book = office.traffic, office.book
    traffic.now = at(2026, 5, 6, 15)
    traffic.register.suspend(WATER, "库区图层核查", frozenset({"dem"}))
    traffic.now = at(2026, 5, 8, 9)
    traffic.register.resume(WATER)
    traffic.now = at(2026, 7, 2, 9)
    dataset = book.versions(WATER)[0].record.contributions[0].dataset
    came = book.receive(WATER, dataset, by="信息中心", edition="2026", features=412, file_name="gauges.gpkg", actor="dora")
    book.check(came.delivery_id, Check.RETURNED, "高程基准未注明", by="dora")
    traffic.write(6000)
    return office


@pytest.fixture(scope="module")
def water_page(half_year) -> str:
    return html.render(agreement_pack(half_year.archive, WATER, FIRST, LAST))


@pytest.fixture(scope="module")
def group_page(half_year) -> str:
    return html.render(group_pack(half_year.archive, FIRST, LAST))


# Every figure

def answered_again(page: str, folder) -> list[tuple]:
    """(what stands before each SQL, its columns, its rows as they would be printed) for every SQL of a page, asked of the views themselves."""
    connection, found, before = connect(folder), [], None
    for block in printed(page):
        if block.kind == "pre":
            columns, rows = select(connection, block.text)
            found.append((before, columns, rows))
        else:
            before = block
    connection.close()
    return found


@pytest.mark.parametrize("which", ["water_page", "group_page"])
def test_every_figure_is_answered_again_by_the_sql_that_is_printed_beside_it(which, half_year, request):
    names = {agency.agency_id: agency.name_zh for agency in half_year.traffic.register.agencies()}
    page = request.getfixturevalue(which)
    indicators = {row[0]: row[2] for block in printed(page) if block.rows and block.rows[0][:2] == ["栏", "指标"] for row in block.rows[1:]}
    found, kinds = answered_again(page, half_year.folder), Counter()
    for before, columns, rows in found:
        kinds[before.kind] += 1
        shown = [[told(names.get(value, value) if column == "agency" else value, column, "zh") for column, value in zip(columns, row, strict=True)] for row in rows]
        if before.kind == "table":
            assert before.rows[1:] == shown, before.rows[0]
            assert before.rows[0] == [WORDS[column][0] for column in columns]
        elif before.kind == "dl":
            pairs = dict(before.rows)
            for column, value in zip(columns, shown[0], strict=True):
                assert pairs.get(WORDS[column][0], value) == value, (before.rows, columns, rows)
            assert len(pairs) >= len(columns) - 1
        elif before.text.startswith("P"):                        # an indicator, whose value stands in their table
            assert [indicators[before.text.split()[0]]] == [told(row[columns.index("value")], "value", "zh") for row in rows]
        elif before.kind == "p":
            assert all(f"{value} " in before.text for row in shown for value in row), before.text
    assert kinds["table"] >= 7 and kinds["dl"] >= 2 and kinds["figure"] == 3
    assert len(found) == page.count("<details>")


def of_water(record: dict) -> list[dict]:
    """Layers that the agreement granted, or that it is among the reasons of refusing."""
    return [
        layer for layer in layers_of(record)
        if any(reason[0] == WATER and (layer["effect"] == "deny" or reason[3] == "granted") for reason in layer["reasons"])
    ]


def test_the_important_figures_are_those_that_counting_lines_gives(half_year):
    records = [record for record in half_year.records() if FIRST <= days_of(record) <= LAST and of_water(record)]
    refused = {record["id"] for record in records if any(layer["effect"] == "deny" for layer in layers_of(record))}
    with figures(half_year.folder, Scope(first=FIRST, last=LAST, agreement=WATER)) as found:
        totals = found["totals"].row
        assert (totals["requests"], totals["refused"]) == (len(records), len(refused)) and len(records) > 500 and len(refused) > 20
        assert totals["days_of_use"] == len({days_of(record) for record in records})
        assert {row["day"]: row["answered"] + row["refused"] for row in found["by-day"]} == Counter(days_of(record) for record in records)
        assert {row["hour"]: row["requests"] for row in found["by-hour"]} == Counter(
            datetime.fromisoformat(record["at"]).astimezone(SHANGHAI).hour for record in records
        )
        by_layer = Counter(pair for record in records for pair in {(layer["layer"], layer["edition"]) for layer in of_water(record)})
        assert {(row["layer"], row["edition"]): row["requests"] for row in found["by-layer"]} == by_layer
        by_clause = Counter(
            key for record in records
            for key in {(reason[2], reason[3]) for layer in of_water(record) if layer["effect"] == "deny" for reason in layer["reasons"] if reason[0] == WATER}
        )
        assert {(row["clause"], row["code"]): row["requests"] for row in found["refusals-by-clause"]} == by_clause
        pixels = sum(layer["charged"][WATER].get("pixels", 0) for record in half_year.records() for layer in layers_of(record) if WATER in layer.get("charged", {}))
        assert sum(row["megapixels"] for row in found["counted-by-month"]) == pytest.approx(pixels / 1e6, abs=0.4)
        placed = [record for record in records if record["id"] not in refused and ("tile" in record or "bounds" in record)]
        assert found["placed"].row["requests"] == len(placed) == sum(found["places"].column("requests"))


def test_the_group_s_figures_are_those_that_counting_lines_gives(half_year):
    records = [record for record in half_year.records() if FIRST <= days_of(record) <= LAST and layers_of(record)]
    with figures(half_year.folder, Scope(first=FIRST, last=LAST)) as found:
        assert found["totals"].row["requests"] == len(records)
        assert {row["agency"]: row["requests"] for row in found["by-agency"]} == Counter(record["agency"] for record in records)
        assert sum(row["share_percent"] for row in found["by-agency"]) == pytest.approx(100, abs=1.5)
        codes = Counter(code for record in records for code in {
            reason[3] for layer in layers_of(record) if layer["effect"] == "deny" for reason in layer["reasons"]
        })
        assert {row["code"]: row["requests"] for row in found["refusals-by-code"]} == codes


@pytest.mark.parametrize("scope", [Scope(first=FIRST, last=LAST), Scope(first=FIRST, last=LAST, agreement=WATER), Scope(first=FIRST, last=LAST, agency="water")])
def test_every_question_is_one_select_that_the_audit_answers(half_year, scope):
    connection = connect(half_year.folder, first=FIRST, last=FIRST + timedelta(days=3))
    for name, body in QUESTIONS.items():
        if ("asked.agreement" in body or "bills" in body) and scope.agreement is None or name in ("limits", "acts-on-agreement"):
            continue
        select(connection, question_sql(name, scope))
    connection.close()


def test_a_name_that_is_sql_itself_is_only_a_name(half_year):
    hostile = "AG' OR '1'='1"
    with figures(half_year.folder, Scope(first=FIRST, last=LAST, agreement=hostile)) as found:
        assert found["totals"].row["requests"] == 0
    with figures(half_year.folder, Scope(first=FIRST, last=FIRST)) as found:
        rows = [(hostile, date(2026, 1, 1), None, True, 1.5)]
        columns = [("name", "VARCHAR"), ("day", "DATE"), ("nothing", "VARCHAR"), ("truth", "BOOLEAN"), ("number", "DOUBLE")]
        assert found.ask("held", "SELECT * FROM held", held=values(columns, rows)).rows == tuple(rows)
        assert found.ask("none", "SELECT * FROM held", held=values(columns, [])).rows == ()


# Whose it is

def test_a_pack_holds_nothing_of_any_other_agency(half_year, water_page):
    held = half_year.traffic
    others = [agency for agency in held.register.agencies() if agency.agency_id not in ("water", "bureau")]
    assert len(others) >= 22
    for agency in others:
        assert agency.name_zh not in water_page and f"k_{agency.agency_id}" not in water_page
        assert not re.search(rf"(?<![\w-]){re.escape(agency.agency_id)}(?![\w-])", re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", water_page, flags=re.DOTALL))
    for agreement_id in held.agreements:
        assert agreement_id == WATER or agreement_id not in water_page


def test_a_refusal_with_reasons_of_two_grantors_is_told_to_each_with_its_own_alone(half_year, tmp_path):
    office = reviewed(tmp_path)
    other = replace(office.traffic.agreements[WATER], agreement_id="AG-CITY-1", grantor="city-a", title="甲市给水利")
    office.traffic.register.register(other, "city to water")
    office.traffic.gate._standing = None
    office.traffic.write(400, since=at(2026, 5, 4), until=at(2026, 5, 12), seed=3)
    both = [r for r in office.records() if any({reason[0] for reason in layer["reasons"]} >= {WATER, "AG-CITY-1"} for layer in layers_of(r))]
    assert both, "some refusals name both"
    page = html.render(agreement_pack(office.archive, WATER, FIRST, LAST))
    assert "AG-CITY-1" not in page and "grantor-not-owner" not in page and "甲市" not in page
    assert "grantor-not-owner" in html.render(agreement_pack(office.archive, "AG-CITY-1", FIRST, LAST))


def test_what_a_contractor_asks_is_not_told_in_the_pack_of_whom_it_works_for_but_for_what_counts_on_the_quota(half_year):
    page = html.render(agreement_pack(half_year.archive, "AG-2011-002", FIRST, LAST))
    assert "k_highway-design" not in page and "公路设计院" not in page and "AG-2011-002-1" not in page


@pytest.mark.parametrize("actor, agreement, group", [
    (OTIS, True, True), (Actor(login="a", roles=frozenset({Role.AUDITOR})), True, True),
    (Actor(login="w", roles=frozenset({Role.MEMBER}), agency="water"), True, False),
    (Actor(login="p", roles=frozenset({Role.MEMBER}), agency="police"), False, False),
    (Actor(login="n", agency="water"), False, False), (Actor(login="n"), False, False),
])
def test_a_pack_is_for_its_parties_and_the_bureau_and_the_group_s_for_the_bureau_alone(half_year, actor, agreement, group):
    assert may_read_agreement(actor, half_year.book.versions(WATER)) is agreement and may_read_group(actor) is group


# What stands in it

def chapters(page: str) -> list[str]:
    return [block.text for block in printed(page) if block.kind == "h2"]


def test_a_pack_has_its_chapters_in_the_order_of_a_meeting(water_page, group_page):
    assert [title.partition("、")[2] for title in chapters(water_page)] == [
        "基本情况", "使用情况", "查看的范围", "拒绝的请求", "用量额度", "数据下载", "事件", "协议变更", "数据回馈", "评价指标", "应急授权", "待办事项", "议程与决定",
    ]
    assert [title.partition("、")[2] for title in chapters(group_page)] == [
        "取数说明", "使用情况", "各单位使用情况", "查看的范围", "拒绝的请求", "数据下载", "事件", "协议变更", "数据回馈", "应急授权", "即将到期的协议", "待办事项",
        "议程与决定",
    ]


def test_incidents_contributions_and_what_is_to_be_decided_are_told(water_page):
    assert "库区图层核查" in water_page and "高程基准未注明" in water_page and "gauges.gpkg" in water_page
    agenda = next(block for block in reversed(printed(water_page)) if block.rows and block.rows[0][1] == "议题")
    matters = [row[1] for row in agenda.rows[1:]]
    assert any("回馈逾期 1 期" in matter for matter in matters) and any("条款 4.2" in matter for matter in matters)
    assert all(not row[3].strip() for row in agenda.rows[1:]), "room to write"


def test_an_english_pack_speaks_english(half_year):
    page = html.render(agreement_pack(half_year.archive, WATER, FIRST, LAST, "en"))
    for block in printed(page):
        if block.kind == "h2" or (block.kind == "table" and block.rows):
            headings = block.text if block.kind == "h2" else " ".join(block.rows[0])
            assert headings.isascii(), headings


def test_every_word_is_said_in_both_languages():
    for name, (chinese, english) in WORDS.items():
        assert chinese and english.isascii(), name
        assert set(re.findall(r"{(\w+)}", chinese)) == set(re.findall(r"{(\w+)}", english)), name
    assert set(REASON_CODES) == set(CODES)


def emergency(office: Reviewed) -> None:
    """One that a single person put in force for a day, in August."""
    register = office.traffic.register
    office.traffic.now = at(2026, 8, 10, 20)
    one = replace(
        office.traffic.agreements[WATER], agreement_id="AG-E-1", title="台风应急", is_emergency=True, state=State.DRAFT, parent=None,
        term=Term(start=at(2026, 8, 10, 18), end=at(2026, 8, 12)),
    )
    register.add_draft(one, "emergency", DORA)
    register.move("AG-E-1", 1, Action.ACTIVATE_EMERGENCY, OTIS, comment="台风")


def test_an_emergency_grant_is_flagged_and_comes_on_the_agenda_until_it_is_ratified(tmp_path):
    office = reviewed(tmp_path)
    emergency(office)
    office.traffic.gate._standing = None
    office.traffic.write(200, since=at(2026, 8, 11), until=at(2026, 8, 12), seed=5)
    page = html.render(agreement_pack(office.archive, WATER, FIRST, LAST))
    assert "应急授权 AG-E-1：补办审批" in page and "台风应急" in page
    assert any(before.kind == "dl" and dict(before.rows).get("请求数", "0") != "0" for before, _, _ in answered_again(page, office.folder)[-3:])
    office.traffic.now = at(2026, 8, 14)
    office.traffic.register.move("AG-E-1", 1, Action.RATIFY, Actor(login="anna", roles=frozenset({Role.APPROVER})))
    assert "补办审批" not in html.render(agreement_pack(office.archive, WATER, FIRST, LAST))
    assert "AG-E-1" in html.render(group_pack(office.archive, FIRST, LAST))


def test_an_amendment_is_told_by_what_can_be_seen_after_it_and_could_not_before(tmp_path):
    office = reviewed(tmp_path)
    first = office.traffic.agreements[WATER]
    office.traffic.now = at(2026, 6, 1)
    grants = tuple(replace(one, operations=one.operations - {Operation.GET_FEATURE_INFO}) if one.clause == "4.1" else one for one in first.grants)
    second = replace(first, version=2, term=replace(first.term, start=at(2026, 6, 1)), grants=grants)
    office.traffic.register.register(second, "second")
    for page in (html.render(agreement_pack(office.archive, WATER, FIRST, LAST)), html.render(group_pack(office.archive, FIRST, LAST))):
        changes = next(block for block in printed(page) if block.rows and block.rows[0] == ["增减", "变更内容"])
        assert any(turn == "减少" and "GetFeatureInfo" in text and "dom" in text for turn, text in changes.rows[1:]), changes.rows
    assert "统计期间内协议没有变更" in html.render(agreement_pack(office.archive, WATER, date(2026, 7, 1), LAST))


def test_open_tasks_stand_in_the_pack_of_their_agreement_alone(half_year):
    tasks = tuple(
        Task(kind="answer", agreement_id=name, due=at(2026, 9, 1), zh=f"答复{name}", en=f"answer {name}") for name in (WATER, "AG-2011-001")
    )
    page = html.render(agreement_pack(replace(half_year.archive, tasks=tasks), WATER, FIRST, LAST))
    assert f"答复{WATER}" in page and "答复AG-2011-001" not in page


def test_a_period_in_which_nothing_happened_is_a_pack_that_says_so(tmp_path):
    office = reviewed(tmp_path)
    document = agreement_pack(office.archive, WATER, date(2026, 2, 1), date(2026, 2, 28))
    page = html.render(document)
    for sentence in ("统计期间内没有请求", "统计期间内没有拒绝的请求", "统计期间内没有数据下载", "统计期间内协议没有变更", "没有应急授权", "没有待办事项"):
        assert sentence in page
    assert pdf.render(document).startswith(b"%PDF")
    answered_again(page, office.folder)


def test_the_papers_are_set_as_pdf(half_year):
    for document in (agreement_pack(half_year.archive, WATER, FIRST, LAST), group_pack(half_year.archive, FIRST, LAST, "en")):
        assert isinstance(document, Document) and pdf.render(document).startswith(b"%PDF")


@pytest.mark.parametrize("first, last, code", [
    (LAST, FIRST, "review-period-none"), (date(2020, 1, 1), LAST, "review-period-long"),
])
def test_a_period_that_is_none_is_told(half_year, first, last, code):
    with pytest.raises(ReviewInvalid) as caught:
        agreement_pack(half_year.archive, WATER, first, last)
    assert caught.value.code == code and caught.value.told("zh") != str(caught.value)


def test_an_agreement_that_is_not_there_or_never_was_in_force_has_no_pack(half_year):
    with pytest.raises(AgreementNotDefined):
        agreement_pack(half_year.archive, "AG-X", FIRST, LAST)


def test_a_draft_has_no_pack(tmp_path):
    office = reviewed(tmp_path)
    office.traffic.register.add_agency(Agency(agency_id="new", name_zh="新", name_en="new"))
    office.traffic.register.add_draft(replace(office.traffic.agreements[WATER], agreement_id="AG-D", grantee="new", state=State.DRAFT), "d", DORA)
    with pytest.raises(ReviewInvalid, match="never in force"):
        agreement_pack(office.archive, "AG-D", FIRST, LAST)
