"""Papers: one document as a page and as PDF, the same bytes each time, and no text of it ever read as anything but text."""

import hashlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pylopdf_fonts_zh_cn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from geoserver_app.papers import html, pdf
from geoserver_app.papers.blocks import (
    Clause,
    Document,
    Fields,
    Figure,
    Heading,
    PageBreak,
    Paragraph,
    Query,
    Seal,
    Seals,
    Table,
    anchor,
    clean,
)
from geoserver_app.papers.svg import ATTRIBUTES, SvgInvalid, safe_svg

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#eee"/><text x="1" y="5">示意</text></svg>'

EVERY_BLOCK = (
    Heading(level=1, text="第一章　双方", clause_id="第一章"), Heading(level=2, text="条款 3.1", clause_id="3.1"), Paragraph(text="一段文字\n第二行"),
    Clause(number="第一条", text="数据提供方\n数据使用方"), Table(headings=("项目", "约定"), rows=(("图层", "dom"), ("范围", "I50G095077")), caption="表一"),
    Fields(pairs=(("联系人", "处\n室"),)), Figure(svg=SVG, caption="图一", width=0.5), Query(sql="SELECT 1\nFROM audit"),
    Seals(parties=(Seal(party="甲方", lines=("签字：",), seal="（公章）"), Seal(party="乙方", lines=("签字：",), seal="（公章）"))),
    PageBreak(), Paragraph(text="另一页"),
)


def paper(*blocks, **others):
    return Document(**{"title": "协议", "language": "zh", "blocks": blocks or EVERY_BLOCK, "number": "编号 1", "footer": "摘要 ab12", **others})


class Page(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and the text."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


# One paper, two ways

def test_both_say_everything_that_the_blocks_say():
    page = Page(html.render(paper()))
    for said in ("协议", "编号 1", "第一章　双方", "第二行", "数据使用方", "I50G095077", "表一", "联系人", "图一", "FROM audit", "（公章）", "另一页", "摘要 ab12"):
        assert said in page.text
    assert pdf.render(paper()).startswith(b"%PDF-")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pdf_holds_its_text_its_page_numbers_and_its_footer_on_every_page(tmp_path, language):
    said = text_of(pdf.render(paper(language=language)), tmp_path)
    pages = said.split("\f")[:-1]
    for number, page in enumerate(pages, 1):
        assert "摘要 ab12" in page
        assert (f"第 {number} 页，共 {len(pages)} 页" if language == "zh" else f"page {number} of {len(pages)}") in page
    assert "数据使用方" in pages[0] and "另一页" in pages[-1] and "（公章）" in pages[-2]


def text_of(content, folder):
    """By pdftotext, where there is one: what a reader can find and copy."""
    if subprocess.run(["which", "pdftotext"], capture_output=True).returncode:
        pytest.skip("pdftotext is not installed")
    (folder / "paper.pdf").write_bytes(content)
    return subprocess.run(["pdftotext", "-layout", str(folder / "paper.pdf"), "-"], capture_output=True, check=True).stdout.decode()


def test_the_same_paper_is_the_same_bytes_in_this_process_and_another():
    first = [hashlib.sha256(one).hexdigest() for one in (html.render(paper()).encode(), pdf.render(paper()))]
    assert [hashlib.sha256(one).hexdigest() for one in (html.render(paper()).encode(), pdf.render(paper()))] == first
    code = (
        "import hashlib, test_papers as t; "
        "print(*(hashlib.sha256(one).hexdigest() for one in (t.html.render(t.paper()).encode(), t.pdf.render(t.paper()))))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    assert other.stdout.split() == first


def test_a_long_table_breaks_over_pages_with_its_headings_on_each(tmp_path):
    rows = tuple((f"第{n}行", "I50G095077" * 12) for n in range(120))
    said = text_of(pdf.render(paper(Table(headings=("次序", "图幅"), rows=rows))), tmp_path)
    pages = said.split("\f")[:-1]
    assert len(pages) > 3 and all("次序" in page for page in pages)
    assert all(f"第{n}行" in said.replace(" ", "") for n in range(120))


def test_every_character_of_an_agreement_has_a_glyph():
    """Of what is printed most: Chinese, Latin, digits, the signs of numbers and clauses."""
    assert without_glyph("共建共享协议〔2026〕003号（）、，。；：“”—…×²³°′″≤≥·©1234567890abcXYZ@#%&") == ""
    assert without_glyph("协\U0010ffff") == "\U0010ffff"


def without_glyph(text):
    """The characters of `text` that one of the two fonts draws as it draws what it doesn't have."""
    missing = set()
    for path in (pylopdf_fonts_zh_cn.sans_path(), pylopdf_fonts_zh_cn.serif_path()):
        font = ImageFont.truetype(str(path), 24)
        nothing = bytes(font.getmask("\U0010fffe"))
        missing |= {one for one in set(text) if not one.isspace() and bytes(font.getmask(one)) == nothing}
    return "".join(sorted(missing))


# A page that needs nothing else

def test_a_page_has_no_script_and_fetches_nothing():
    page = Page(html.render(paper()))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "form"}
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", html.render(paper()).replace("http-equiv", ""))


def test_clauses_can_be_linked_to():
    ids = [a["id"] for _, a in Page(html.render(paper())).elements if "id" in a]
    assert ids == ["clause-第一章", "clause-3.1", "clause-第一条"]
    assert anchor("3.1 <x>") == "clause-3.1--x-"


# What agreements say is text, whatever it looks like

HOSTILE = [
    "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "\" onload=\"alert(1)", "{{ 7 * 7 }}{% raw %}", "&lt;b&gt;",
    "#read(\"/etc/passwd\")", "#import \"x.typ\"", "] #panic() [", "$x^2$ *bold* _it_ `raw` \\ // comment /* c */", "https://example.org <label> @cite = title",
    "'\"; DROP TABLE audit; --", "\\end{document} \\input{x}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_text_is_shown_and_never_read(text, tmp_path):
    hostile = paper(
        Heading(level=1, text=text, clause_id=text), Paragraph(text=text), Clause(number=text, text=text), Table(headings=(text,), rows=((text,),), caption=text),
        Fields(pairs=((text, text),)), Figure(svg=SVG, caption=text), Query(sql=text), Seals(parties=(Seal(party=text, lines=(text,), seal=text),)),
        title=text, number=text, footer=text,
    )
    source = html.render(hostile)
    page = Page(source)
    assert page.text.count(text) >= 14
    plain = Page(html.render(paper(*hostile.blocks, title="t", number="n", footer="f")))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert source.count("</style>") == 1 and source.count("<script") == 0
    told = "".join(text_of(pdf.render(hostile), tmp_path).split())
    assert "".join(text.split()) in told.replace("\u200b", "")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_any_text_at_all_can_be_set(text):
    paper_of_it = paper(Paragraph(text=text), Clause(number="1", text=text), Table(headings=("a",), rows=((text,),)), title=text, footer=text)
    assert pdf.render(paper_of_it).startswith(b"%PDF-")
    assert "<main>" in html.render(paper_of_it)


def test_characters_that_would_deceive_a_reader_are_left_out():
    assert clean("甲\u202e乙\u200b丙\x00\x07丁\ud800\ufeff\r\n戊\t己") == "甲乙丙丁?\n戊    己"


# Pictures

@pytest.mark.parametrize("inside", [
    "<script>alert(1)</script>", '<rect onload="alert(1)"/>', '<a href="javascript:alert(1)"><rect/></a>', '<image href="https://example.org/x.png"/>',
    '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>', '<use href="other.svg#a"/>', '<rect fill="url(https://example.org/#a)"/>',
    '<rect style="fill:red"/>', "<style>@import url(x)</style>", "<foreignObject><p/></foreignObject>", '<animate attributeName="href"/>',
    '<rect fill="expression(alert(1))"/>', '<set attributeName="onload"/>', '<text xml:base="https://example.org/">a</text>', "<?php ?><iframe/>",
])
def test_a_picture_with_anything_beyond_the_closed_list_is_refused(inside):
    with pytest.raises(SvgInvalid):
        safe_svg(f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>')


@pytest.mark.parametrize("text", [
    "", "<svg", "<html/>", '<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "<svg>" + "<g>" * 60 + "</g>" * 60 + "</svg>",
])
def test_what_is_no_plain_picture_is_refused(text):
    with pytest.raises(SvgInvalid):
        safe_svg(text)


def test_a_plain_picture_passes_with_its_gradients_and_its_own_references():
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1 1"><!-- drawn --><defs>'
        '<linearGradient id="g"><stop offset="0" stop-color="#fff"/></linearGradient><clipPath id="c"><rect width="1" height="1"/></clipPath></defs>'
        '<g clip-path="url(#c)"><path d="M0 0L1 1" fill="url(#g)"/><use xlink:href="#g"/><image href="data:image/png;base64,iVBORw0KGgo="/></g></svg>'
    )
    root = ElementTree.fromstring(safe_svg(drawn))
    assert [one.tag.rpartition("}")[2] for one in root.iter()] == [
        "svg", "defs", "linearGradient", "stop", "clipPath", "rect", "g", "path", "use", "image",
    ]
    assert {name for one in root.iter() for name in one.attrib} <= ATTRIBUTES


def test_a_table_whose_rows_do_not_fit_its_headings_is_refused():
    with pytest.raises(ValueError, match="another length"):
        html.render(paper(Table(headings=("a", "b"), rows=(("1",),))))
