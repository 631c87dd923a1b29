"""Which sheets would fill ground that has none."""

import shapely

from layers.sheets import sheet_frame
from layers.sheets.holes import closed, filled, large, missing_on, polygons, usual_scale

ROW = [f"I50G0950{col}" for col in range(77, 82)]


def block(rows=range(92, 97), cols=range(77, 82), without=()):
    return [f"I50G0{row}0{col}" for row in rows for col in cols if (row, col) not in without]


def test_frames_of_neighbours_close_to_one_ground_without_hairlines():
    ground = closed([sheet_frame(number) for number in block()])
    assert len(polygons(ground)) == 1 and not polygons(ground)[0].interiors


def test_a_sheet_in_the_midst_of_others_is_missing_and_one_beside_them_is_not():
    held = block(without={(95, 79)})
    ground = filled(closed([sheet_frame(number) for number in held]))
    assert missing_on(ground, held) == ["I50G095079"]


def test_the_scale_of_most_sheets_is_that_of_the_list():
    assert usual_scale([*ROW, "I50E012010"]) == "G"
    assert missing_on(sheet_frame("I50G095078"), ["I50G095077", "I50G095079", "I50E012010"]) == ["I50G095078"]


def test_nothing_is_missing_where_nothing_is_held_or_asked_and_no_list_is_made_of_a_province():
    ground = sheet_frame("I50G095078")
    assert missing_on(ground, []) == [] and missing_on(shapely.Polygon(), ROW) == []
    assert missing_on(shapely.box(116.0, 30.0, 122.0, 35.0), ROW, most=100) == []


def test_what_is_large_stays_and_slivers_go():
    both = shapely.union_all([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 2.001, 1)])
    assert large(both, 0.1).equals(shapely.box(0, 0, 1, 1))
