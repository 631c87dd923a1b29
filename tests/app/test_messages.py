"""Every code has its sentence in both languages, and the client's wish for one is understood."""

import string

import pytest

from geoserver_app.messages import FAULTS_IN_CHINESE, SENTENCES, STYLE_TITLES, WCS_FAULTS_IN_CHINESE, WFS_FAULTS_IN_CHINESE, language_of, sentence
from layers.model import STYLES
from tiles.requests import FAULTS
from tiles.requests.wcs_faults import WCS_FAULTS
from tiles.requests.wfs_faults import WFS_FAULTS


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_fault_of_a_request_has_its_chinese_sentence_with_no_place_that_the_english_lacks():
    for faults, in_chinese in ((FAULTS, FAULTS_IN_CHINESE), (WCS_FAULTS, WCS_FAULTS_IN_CHINESE), (WFS_FAULTS, WFS_FAULTS_IN_CHINESE)):
        assert in_chinese.keys() == faults.keys()
        for name, english in faults.items():
            assert places(in_chinese[name]) <= places(english), name


def test_every_sentence_of_the_service_says_the_same_in_both_languages():
    for name, (chinese, english) in SENTENCES.items():
        assert places(chinese) == places(english), name
        assert any("\u4e00" <= c <= "\u9fff" for c in chinese), name
        assert english.isascii(), name


def test_every_style_has_a_title():
    for styles in STYLES.values():
        assert set(styles) <= STYLE_TITLES.keys()


@pytest.mark.parametrize(("header", "language"), [
    ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,en;q=0.9,zh;q=0.1", "en"), ("zh-Hans-CN", "zh"), ("zh;q=0", "en"), ("*", "en"), ("", "en"),
    ("de", "en"),
    ("zh;q=abc", "en"), (";;;,,,", "en"), ("zh" * 4000, "en"),
])
def test_the_language_is_the_one_that_the_client_likes_better(header, language):
    assert language_of({"HTTP_ACCEPT_LANGUAGE": header}) == language


@pytest.mark.parametrize(("query", "language"),
                         [("lang=zh", "zh"), ("LANG=zh&x=1", "zh"), ("lang=xx", "en"), ("lang=", "en"), ("language=zh", "zh"),
                          ("slang=zh", "en")])
def test_the_address_can_choose_the_language(query, language):
    assert language_of({"QUERY_STRING": query}) == language


def test_the_address_beats_the_header():
    assert language_of({"QUERY_STRING": "lang=en", "HTTP_ACCEPT_LANGUAGE": "zh"}) == "en"


def test_a_sentence_has_the_values_in_their_places():
    assert sentence("missing", {"name": "BBOX", "mend": "..."}, "zh").startswith("缺少参数 `BBOX`")
    assert "`BBOX`" in sentence("missing", {"name": "BBOX", "mend": "..."}, "en")
