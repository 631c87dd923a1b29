"""Vertical datums: constants with their accuracy, and refusals with their reasons."""

import pytest

from layers.errors import VerticalDatumRefused
from layers.heights import FAULTS, VerticalDatums


@pytest.fixture(scope="module")
def datums(config_folder):
    return VerticalDatums.load(config_folder / "vertical_datums.csv")


def fault(datums, *question, **more) -> str:
    with pytest.raises(VerticalDatumRefused) as refusal:
        datums.to(*question, **more)
    assert str(refusal.value) == FAULTS[refusal.value.fault].format(**refusal.value.detail)
    return refusal.value.fault


def test_the_two_national_datums_differ_by_29_millimetres_give_or_take_a_decimetre(datums):
    height, accuracy = datums.to(100.0, "1956", "1985")
    assert height == pytest.approx(99.971) and accuracy == 0.1
    assert datums.to(99.971, "1985", "1956")[0] == pytest.approx(100.0)


@pytest.mark.parametrize(("level", "datum", "expected"), [(3.80, "wusong", 1.847), (8.70, "wusong", 6.747), (4.79, "wusong", 2.837), (13.50, "feihuanghe", 13.31)])
def test_warning_levels_of_gauges_come_to_the_national_datum(datums, level, datum, expected):
    """Lake Tai, Nanjing, the flood of 2016, and Jiangba."""
    height, accuracy = datums.to(level, datum, "1985", is_of_gauge=True, place=(119.0, 32.0))
    assert height == pytest.approx(expected, abs=1e-9) and accuracy == 0.15


def test_from_one_gauge_datum_to_1956_both_accuracies_count(datums):
    height, accuracy = datums.to(10.0, "wusong", "1956", is_of_gauge=True)
    assert height == pytest.approx(10 - 1.924) and accuracy == 0.25


def test_a_surface_is_never_taken_to_a_datum_of_gauges_or_from_it(datums):
    assert fault(datums, 10.0, "1985", "wusong") == "datum-of-gauges"
    assert fault(datums, 10.0, "feihuanghe", "1985") == "datum-of-gauges"


def test_a_constant_holds_in_its_area_only(datums):
    assert fault(datums, 3.0, "wusong", "1985", is_of_gauge=True, place=(121.5, 29.9)) == "datum-elsewhere"        # Ningbo


def test_heights_above_the_ellipsoid_are_refused_even_against_themselves(datums):
    assert fault(datums, 20.0, "ellipsoidal", "1985") == "datum-ellipsoidal"
    assert fault(datums, 20.0, "ellipsoidal", "ellipsoidal") == "datum-ellipsoidal"


def test_what_no_constant_leads_to_is_refused_and_what_is_the_same_stays_as_it_is(datums):
    assert fault(datums, 1400.0, "navd88", "1985") == "datum-no-way"
    assert datums.to(1400.0, "navd88", "NAVD88") == (1400.0, 0.0)


def test_a_datum_that_nobody_knows_is_told_with_those_that_are(datums):
    assert fault(datums, 1.0, "poldernull", "1985") == "datum-not-known"


def test_every_row_says_where_it_is_from(datums):
    for datum in datums.by_code.values():
        assert datum.source and datum.standing in ("computed", "source", "memory") and datum.name_zh and datum.name_en


@pytest.mark.parametrize("row", ["x,甲,X,surface,1.0,,,,,,n,s,source", "x,甲,X,surface,1.0,0.1,,,,,n,s,rumour", "x,甲,X,moon,1,1,,,,,n,s,source", "x,甲,X,surface,a,1,,,,,n,s,source"])
def test_a_table_that_can_not_be_used_says_which_row(tmp_path, row):
    path = tmp_path / "datums.csv"
    path.write_text(f"code,name_zh,name_en,kind,to_1985_m,accuracy_m,west,south,east,north,note,source,standing\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="`x`"):
        VerticalDatums.load(path)
