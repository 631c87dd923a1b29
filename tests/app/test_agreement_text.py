"""The text that is signed says all that is enforced: change anything in the agreement, and the text is another."""

import json
import re
import subprocess
from dataclasses import replace
from datetime import date

import pytest
from rich_agreement import OTHERS, RICH, WEST, at
from test_cli import Office
from test_papers import Page, text_of, without_glyph
from test_samples import CONFIG, catalogue, register  # noqa: F401  (fixtures)

from agreements.document import read_document
from agreements.document.canonical import canonical_digest
from agreements.model import GRANTABLE, LATEST, Area, Term
from agreements.record import Contribution, Renewal, RenewalMode, Security, UseLimits
from geoserver_app.agreement_text import CLASSIFICATIONS, MEASURES, ON_OVERDUE, OPERATIONS, Names, agreement_text, registered_text
from geoserver_app.papers import html, pdf
from geoserver_app.papers.blocks import Clause, Figure, Heading
from geoserver_app.papers.plain import plain
from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import InMemoryCatalogue

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'


def words_of(agreement, names=Names(), **others):
    """All that the text says, but for the digest of the agreement itself."""
    return json.dumps(plain(agreement_text(agreement, names, **others)), ensure_ascii=False).replace(canonical_digest(agreement), "")


# Nothing left out

CHANGED = {place: other for place, other in OTHERS if not re.search(r"something|1Yx|6Mx|3Yx|cornerx", repr(other))}
"""But for those that are no agreements: words where a number belongs, durations and places that are none. (Those that are, below.)"""


@pytest.mark.parametrize("place", CHANGED)
def test_a_change_anywhere_changes_the_text(place):
    assert words_of(CHANGED[place]) != words_of(RICH)


def test_the_changes_that_were_made_are_nearly_all_there_are():
    assert len(CHANGED) > 0.85 * len(OTHERS)


def test_terms_that_the_rich_agreement_leaves_open_are_said_too():
    first, rest = RICH.grants[0], RICH.grants[1:]
    opened = {
        "formats": None, "crs": None, "styles": None, "attributes": None, "networks": None, "purposes": None, "apps": None, "editions": None, "rows": None,
        "ceiling": None, "degrade": None, "term": Term(),
    }
    told = {words_of(replace(RICH, grants=(replace(first, **{name: value}), *rest))) for name, value in opened.items()}
    assert len(told | {words_of(RICH)}) == len(opened) + 1


def test_durations_and_the_place_of_the_mark_are_said():
    record = RICH.record
    others = [
        replace(RICH, record=replace(record, renewal=replace(record.renewal, period="P2Y"))),
        replace(RICH, record=replace(record, coordination=replace(record.coordination, meeting="P3M"))),
        replace(RICH, record=replace(record, contributions=(replace(record.contributions[0], cadence="P3M"),))),
        replace(RICH, mark=replace(RICH.mark, place="tiled")),
    ]
    assert len({words_of(one) for one in (RICH, *others)}) == 5


# What it says

def test_every_grant_stands_under_its_own_clause_number():
    headings = [block for block in agreement_text(RICH).blocks if isinstance(block, Heading) and block.clause_id in ("3.1", "3.2")]
    assert [(one.clause_id, one.text.split("　")[0]) for one in headings] == [("3.1", "条款 3.1"), ("3.2", "条款 3.2")]
    ids = [a["id"] for _, a in Page(html.render(agreement_text(RICH))).elements if "id" in a]
    assert {"clause-3.1", "clause-3.2"} < set(ids) and len(ids) == len(set(ids))


def test_chapters_and_articles_are_numbered_without_a_gap():
    blocks = agreement_text(RICH).blocks
    articles = [block.number for block in blocks if isinstance(block, Clause)]
    assert articles[:3] == ["第一条", "第二条", "第三条"] and len(articles) == len(set(articles))
    chapters = [block.text for block in blocks if isinstance(block, Heading) and block.text.startswith("第")]
    assert [one.partition("　")[0] for one in chapters[:3]] == ["第一章", "第二章", "第三章"]
    titles = [one.partition("　")[2] for one in chapters]
    assert titles == [
        "双方", "依据与原则", "共享内容", "数据汇交", "使用限制", "安全保密", "配额", "协调与评审", "期限与续签", "费用与交付", "违约责任", "争议解决", "效力",
    ]


def test_the_digest_stands_in_the_text_and_on_every_page(tmp_path):
    digest = canonical_digest(RICH)
    paper = agreement_text(RICH)
    assert paper.footer.endswith(digest)
    pages = text_of(pdf.render(paper), tmp_path).split("\f")[:-1]
    assert len(pages) >= 4 and all(digest in page for page in pages)
    assert html.render(paper).count(digest) >= 2


def test_a_term_ends_with_a_day_or_before_a_moment():
    said = words_of(RICH)
    assert "自 2026 年 1 月 1 日起至 2028 年 12 月 31 日止（含当日）" in said
    assert "自 2026 年 6 月 1 日起至 2026 年 12 月 31 日 18:00 止（不含该时刻）" in said
    open_ended = replace(RICH, term=Term(start=at(2026, 1, 1, 8, 30, 1)))
    assert "自 2026 年 1 月 1 日 08:30:01起" in words_of(open_ended).replace("08:30:01 ", "08:30:01")


def test_an_agreement_with_nothing_but_grants_says_what_follows_from_that():
    bare = replace(RICH, record=type(RICH.record)(), quota=None, mark=None, credit="", basis=(), parent=None, is_emergency=False, suspensions=())
    said = words_of(bare)
    for sentence in ("未约定乙方汇交数据", "不设配额", "不得在互联网上", "不得向任何第三方", "不扩展至其上级、下级或同级单位", "应向甲方备案", "平等互利", "由双方协商解决"):
        assert sentence in said
    for sentence in ("可见标记", "上级协议", "应急授权", "费用与交付", "附件"):
        assert sentence not in said


def test_limits_of_use_are_said_both_ways():
    def said(**use):
        return words_of(replace(RICH, record=replace(RICH.record, use=UseLimits(**use))))

    assert "不得在互联网上" in said() and "可按国家公开地图管理的规定" in said(internet=True)
    assert "不得向任何第三方" in said() and "承包单位应销毁数据" in said(third_party=True)
    assert "应向甲方备案" in said() and "应向甲方备案" not in said(conversion_report=False)


def test_a_sentence_of_the_parties_has_one_full_stop():
    assert "暂停。。" not in words_of(replace(RICH, record=replace(RICH.record, breach="暂停。")))


def test_renewal_is_said_as_it_was_agreed():
    def said(renewal, term=RICH.term):
        return words_of(replace(RICH, term=term, record=replace(RICH.record, renewal=renewal)))

    assert "期满不续签" in said(Renewal(mode=RenewalMode.NONE))
    assert "续期 1 年，由双方在期满前的评审中决定" in said(Renewal())
    assert "由平台起草续签文本，续期 3 年；续签文本仍须经双人复核" in said(Renewal(mode=RenewalMode.AUTO, period="P3Y"))
    assert "不设终止日期" in said(Renewal(), Term(start=at(2026, 1, 1)))


def test_every_code_has_its_word():
    assert set(OPERATIONS) == GRANTABLE
    assert len(CLASSIFICATIONS) == 5 and len(MEASURES) == 5 and len(ON_OVERDUE) == 4
    said = words_of(replace(RICH, record=replace(RICH.record, security=Security(classification=4), contributions=(
        Contribution(dataset="水闸", first_due=date(2026, 3, 1)),
    ))))
    assert "最高密级为绝密" in said and "2026 年 3 月 1 日" in said and "发生时" in said and "最新版" in said and LATEST not in said


def test_a_long_list_of_sheets_goes_to_an_annex():
    sheets = [f"I50G{row:03}{column:03}" for row in range(77, 97) for column in range(77, 87)]
    area = Area(geometry=WEST.geometry, digest=WEST.digest, title="sheets", words=json.dumps({"sheets": sheets}))
    grant = replace(RICH.grants[0], area=area)
    said = words_of(replace(RICH, grants=(grant,), record=replace(RICH.record, attachments=())))
    assert "等共 200 幅，清单见附件" in said and "附件　条款 3.1：图幅（共 200 个）" in said and all(sheet in said for sheet in sheets)


def test_the_area_of_a_grant_is_drawn_where_it_can_be():
    drawn = [block for block in agreement_text(RICH, picture=lambda area: SVG).blocks if isinstance(block, Figure)]
    assert [block.caption[:6] for block in drawn] == ["条款 3.1", "条款 3.2"]
    assert not [block for block in agreement_text(RICH).blocks if isinstance(block, Figure)]


# The samples

def test_every_sample_agreement_has_a_text_whose_every_character_can_be_set(catalogue, register):  # noqa: F811
    held = register.list()
    assert len(held) > 20
    for one in held:
        paper = registered_text(catalogue, register, CONFIG, one.agreement_id)
        page = Page(html.render(paper))
        for grant in one.grants:
            assert f"条款 {grant.clause}" in page.text
            assert all(name.partition("@")[0] in page.text for name in grant.layers)
        assert register.document_hash(one.agreement_id, one.version) in page.text
        assert without_glyph(page.text) == ""
        assert pdf.render(paper).startswith(b"%PDF-")


def test_the_text_of_a_registered_agreement_shows_the_ground_of_every_grant_that_is_not_everywhere(catalogue, register):  # noqa: F811
    paper = registered_text(catalogue, register, CONFIG, "AG-2011-007")
    drawn = [block for block in paper.blocks if isinstance(block, Figure)]
    assert len(drawn) == 2 and all(figure.svg.startswith("<svg") and "千米" in figure.svg for figure in drawn)


def test_divisions_and_purposes_are_called_by_their_names(catalogue, register):  # noqa: F811
    said = json.dumps(plain(registered_text(catalogue, register, CONFIG, "AG-2011-003")), ensure_ascii=False)
    assert "行政区划（2011 版界线）" in said and "（329901101）" in said and "防汛抗旱与水资源管理" in said and "flood-control" not in said


def test_a_suspension_that_comes_later_is_no_part_of_what_was_signed(catalogue, register):  # noqa: F811
    before = registered_text(catalogue, register, CONFIG, "AG-2011-001")
    register.suspend("AG-2011-001", reason="核查")
    try:
        assert registered_text(catalogue, register, CONFIG, "AG-2011-001") == before
    finally:
        register.resume("AG-2011-001")


# The commands

@pytest.fixture(scope="module")
def office(tmp_path_factory):
    office = Office(tmp_path_factory.mktemp("office"))
    office.done("agency", "add", "water", "--name-zh", "水利厅", "--name-en", "Water department")
    office.done("agreement", "register", office.document("water"))
    return office


def test_the_text_is_written_as_a_page_and_as_pdf(office, tmp_path):
    page = Page(office.done("agreement", "text", "AG-1"))
    assert "共享协议" in page.text and "水利厅" in page.text and "条款 3.1" in page.text
    office.done("agreement", "text", "AG-1", "--format", "pdf", "--out", str(tmp_path / "text.pdf"))
    content = (tmp_path / "text.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert office.done("agreement", "digest", "AG-1").strip() in text_of(content, tmp_path)


def test_what_is_exported_is_read_again(office, tmp_path):
    digest = office.done("agreement", "digest", "AG-1").strip()
    for form in ("yaml", "json", "original"):
        document = tmp_path / f"again.{form}"
        office.done("agreement", "export", "AG-1", "--format", form, "--out", str(document))
        again = read_document(document.read_text("utf-8"), document.name, CatalogueGazetteer(InMemoryCatalogue()))
        assert canonical_digest(again) == digest
    assert office.done("agreement", "export", "AG-1", "--format", "original") == (office.folder / "water.yaml").read_text("utf-8")


def test_the_digest_is_the_sha256_of_the_form_that_is_printed(office, tmp_path):
    form = office.types("agreement", "digest", "AG-1", "--form").stdout_bytes
    (tmp_path / "form.json").write_bytes(form)
    summed = subprocess.run(["sha256sum", str(tmp_path / "form.json")], capture_output=True, text=True, check=True).stdout.split()[0]
    assert summed == office.done("agreement", "digest", "AG-1").strip()


def test_odrl_and_schema_are_printed_as_json(office):
    policy = json.loads(office.done("agreement", "odrl", "AG-1"))
    assert policy["type"] == "Agreement" and policy["geoshare:canonicalDigest"].removeprefix("sha256:") == office.done("agreement", "digest", "AG-1").strip()
    assert json.loads(office.done("agreement", "schema"))["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("command", ["text", "odrl", "digest", "export"])
def test_an_agreement_that_is_not_there_is_told(office, command):
    result = office.types("agreement", command, "AG-9")
    assert result.exit_code == 3 and "`AG-9` is not registered" in result.stderr
    assert office.types("agreement", command, "AG-1", "--version", "7").exit_code == 3
