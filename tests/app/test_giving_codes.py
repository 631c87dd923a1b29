"""Codes by which other systems are joined: check digits, and divisions at the day they were valid."""

from datetime import date

import pytest

from geoserver_app.giving.codes import (
    COLUMNS,
    DivisionCodes,
    DivisionCodesInvalid,
    DivisionRow,
    is_organisation_code,
    organisation_check,
    unified_check,
)


@pytest.mark.parametrize("code", ("D2143569-X", "D2143569X", "d2143569-x", "000014349", "91350100M000100Y43", "91110000802100433B", "91440300708461136T"))
def test_codes_of_organisations_whose_check_digits_are_right_are_taken(code):
    assert is_organisation_code(code)


@pytest.mark.parametrize("code", ("D2143569-0", "000014348", "91350100M000100Y4I", "91110000802100433A", "9111000080210043", "", "９1110000802100433B", "91１１0000802100433B", "12345678"))
def test_codes_of_organisations_with_another_digit_or_length_are_not(code):
    assert not is_organisation_code(code)


def test_every_single_digit_that_is_mistyped_in_a_unified_code_is_noticed():
    good, digits = "91110000802100433B", "0123456789"
    wrong = [good[:at] + digit + good[at + 1:] for at in range(17) for digit in digits if digit != good[at] and good[at] in digits]
    assert wrong and not any(map(is_organisation_code, wrong))


def test_the_check_digits_of_zero_and_ten_are_spelt_as_the_standards_do():
    assert {organisation_check(f"0000000{digit}") for digit in range(10)} <= set("0123456789X")
    assert organisation_check("00000000") == "0" and unified_check("0" * 17) == "0"


# Divisions

@pytest.fixture(scope="module")
def codes(config_folder) -> DivisionCodes:
    return DivisionCodes.load(config_folder)


def test_a_code_counts_up_to_the_day_before_it_ended_and_names_what_came_after(codes):
    assert codes.at("320584", date(2012, 8, 31)).fault == ""
    over = codes.at("320584", date(2012, 9, 1))
    assert (over.fault, over.row.name, over.successors) == ("over", "吴江市", ("320509",))
    assert codes.at("320509", date(2012, 8, 31)).fault == "ahead" and codes.at("320509", date(2012, 9, 1)).fault == ""


def test_one_that_was_split_names_all_that_came_after_it(codes):
    assert codes.at("320304", date(2020, 1, 1)).successors == ("320302", "320311", "320312")


def test_one_that_was_renamed_has_the_name_of_the_day(codes):
    assert [codes.at("320803", day).row.name for day in (date(2011, 1, 1), date(2013, 1, 1))] == ["楚州区", "淮安区"]


def test_codes_of_towns_and_villages_are_judged_by_their_county(codes):
    assert codes.at("320509001", date(2020, 1, 1)).fault == "" and codes.at("320584001002", date(2020, 1, 1)).fault == "over"


@pytest.mark.parametrize("code", ("3201", "32010A", "3201040", "", "３２０１０４"))
def test_what_is_no_code_is_told_as_such(codes, code):
    assert codes.at(code, date(2020, 1, 1)).fault == "spelling"


def test_a_chain_is_followed_to_the_codes_that_count(tmp_path):
    def row(code, start, end, *after):
        return DivisionRow(code=code, name=code, valid_from=start, valid_to=end, successors=after, source="test")

    chain = DivisionCodes([row("110001", None, date(2000, 1, 1), "110002"), row("110002", date(2000, 1, 1), date(2010, 1, 1), "110003"),
                           row("110003", date(2010, 1, 1), None)])
    assert chain.at("110001", date(2005, 1, 1)).successors == ("110002",)
    assert chain.at("110001", date(2015, 1, 1)).successors == ("110003",)


def test_codes_that_succeed_each_other_are_followed_once():
    day = date(2000, 1, 1)
    ring = [DivisionRow(code=one, name=one, valid_from=None, valid_to=day, successors=(other,), source="test") for one, other in (("110001", "110002"), ("110002", "110001"))]
    assert DivisionCodes(ring).at("110001", date(2001, 1, 1)).successors == ()


@pytest.mark.parametrize("line, told", [
    ("32010,x,,,,test", "six digits"), ("320104,,,,,test", "filled in"), ("320104,x,,,,", "filled in"), ("320104,x,2012-13-01,,,test", "is not a day"),
    ("320104,x,2012-01-01,2011-01-01,,test", "comes before"), ("320104,x,,2011-01-01,999999,test", "not in the table"), ("320104,x,,", "number of cells"),
    ("320104,x,,,,a,b", "number of cells"),
])
def test_every_fault_of_the_table_is_told_by_its_line(tmp_path, line, told):
    (tmp_path / "division_codes.csv").write_text(f"{','.join(COLUMNS)}\n{line}\n", "utf-8")
    with pytest.raises(DivisionCodesInvalid, match=told):
        DivisionCodes.load(tmp_path)


def test_every_row_says_what_stands_behind_it_and_no_code_counts_twice_on_one_day(codes):
    rows = [row for held in codes._rows.values() for row in held]
    assert len(rows) > 130 and all(row.source for row in rows)
    for held in codes._rows.values():
        for day in (date(1990, 1, 1), date(2012, 1, 18), date(2026, 1, 1)):
            assert sum(row.is_valid(day) for row in held) <= 1
