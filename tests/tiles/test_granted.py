"""What is told of features, against an oracle that looks at every feature, piece by piece and place by place."""

import random
from dataclasses import replace

import numpy as np
import pytest
import shapely
from listed_features import CRS, ListedStore, edition_over

from layers.crs import transform_geometry
from layers.model import Bounds
from layers.rows import parse_rows
from tiles.area import ServedArea
from tiles.permits import Permit, PermitPart, PermitPiece
from tiles.vector.granted import told, told_fields

WEST, SOUTH, SIDE = 384_000.0, 3_548_000.0, 1000.0
FIELDS = ("NAME", "GB", "NOTE", "Shape_Area")
BORDER = 0.02
"""Metres: places nearer to a border than this are asked of neither side."""


def square(left, bottom, right, top):
    return shapely.box(WEST + left, SOUTH + bottom, WEST + right, SOUTH + top)


def served(ground, digest=None) -> ServedArea:
    """An area of ground in metres of the CRS of the data."""
    there = transform_geometry(shapely.segmentize(ground, 100), CRS, "CRS:84")
    return ServedArea(there, digest or str(hash(there.wkb)))


def permit_of(edition, *pieces: PermitPiece, limit: ServedArea | None = None) -> Permit:
    areas = [piece.area for piece in pieces]
    if limit is None and None not in areas:
        limit = served_union(areas)
    return Permit(edition=edition, area=limit, pieces=pieces, mark="m", parts=(PermitPart(area=limit),))


def served_union(areas):
    joined = shapely.union_all([area.geometry for area in areas])
    return areas[0] if len({area.digest for area in areas}) == 1 else ServedArea(joined, str(hash(joined.wkb)))


def piece(area=None, attributes=None, rows=None) -> PermitPiece:
    return PermitPiece(area=area, attributes=None if attributes is None else frozenset(attributes), rows=rows)


def listed(found) -> list[tuple[int, int, shapely.Geometry, bool, dict]]:
    """One tuple a thing told: key, part, shape, whether it is cut, attributes."""
    rows = []
    for some in found:
        for position in range(len(some)):
            rows.append((
                int(some.keys[position]), int(some.parts[position]), some.shapes[position], bool(some.is_cut[position]),
                {name: values[position] for name, values in some.columns.items()},
            ))
    return rows


def one_table(*shapes, fields=FIELDS, kind="HYDA", **values):
    row = {name: {"NAME": "n", "GB": 1, "NOTE": "canary", "Shape_Area": 1.5}[name] for name in fields} | values
    store = ListedStore({"HYDA": [(10 * number, shape, dict(row)) for number, shape in enumerate(shapes, 1)]})
    return store, edition_over(store, kinds={"HYDA": kind})


def look(store, edition, *pieces, limit=None, **asked):
    return listed(told(permit_of(edition, *pieces, limit=limit), store, edition.classes[0], **asked))


# -- worlds made by chance, and the oracle

def some_ground(rng: random.Random) -> shapely.Geometry:
    """Polygons with holes, islands, and islands in holes."""
    def blob(x, y, size):
        count = rng.randint(3, 9)
        turns = sorted(rng.uniform(0, 2 * np.pi) for _ in range(count))
        ring = [(x + size * rng.uniform(0.5, 1) * np.cos(turn), y + size * rng.uniform(0.5, 1) * np.sin(turn)) for turn in turns]
        return shapely.Polygon([(WEST + a, SOUTH + b) for a, b in ring]).buffer(0)

    ground = blob(rng.uniform(200, 800), rng.uniform(200, 800), rng.uniform(150, 600))
    for _ in range(rng.randint(0, 2)):
        ground = ground.difference(blob(rng.uniform(200, 800), rng.uniform(200, 800), rng.uniform(50, 250)))
    for _ in range(rng.randint(0, 2)):
        ground = ground.union(blob(rng.uniform(0, 1000), rng.uniform(0, 1000), rng.uniform(20, 120)))
    return ground if ground.area > 100 else square(100, 100, 700, 600)


def some_shape(rng: random.Random) -> shapely.Geometry:
    kind = rng.randrange(6)
    x, y, size = rng.uniform(0, SIDE), rng.uniform(0, SIDE), rng.choice((5, 40, 300))
    def near():
        return (WEST + x + rng.uniform(-size, size), SOUTH + y + rng.uniform(-size, size))
    if kind == 0:
        return shapely.Point(near())
    if kind == 1:
        return shapely.MultiPoint([near() for _ in range(rng.randint(1, 4))])
    if kind == 2:
        return shapely.LineString([near() for _ in range(rng.randint(2, 8))])
    if kind == 3:
        return shapely.MultiLineString([[near() for _ in range(rng.randint(2, 4))] for _ in range(rng.randint(1, 3))])
    ground = shapely.affinity.translate(shapely.affinity.scale(some_ground(rng), size / 300, size / 300, origin=(WEST, SOUTH)), x / 2, y / 2)
    parts = [part for part in shapely.get_parts(ground) if part.area > 1] or [square(0, 0, 9, 9)]
    return max(parts, key=lambda part: part.area) if kind == 4 or len(parts) < 2 else shapely.MultiPolygon(parts)


ROWS = (None, None, "GB = 1", "GB >= 2 AND NAME IS NOT NULL", "NAME LIKE 'a%' OR NOTE IS NULL")
SETS = (None, ("NAME",), ("GB",), ("NAME", "GB"), ("HYDA.NOTE",), (), ("Shape_Area", "NAME"))


def some_world(seed: int):
    rng = random.Random(seed)
    rows = []
    for key in range(40):
        values = {
            "NAME": rng.choice(("a", "ab", "b", None)), "GB": rng.choice((1, 2, 3, None)), "NOTE": rng.choice(("x", None)),
            "Shape_Area": rng.choice((1.0, 2.0)),
        }
        rows.append((key * 3 + 1, some_shape(rng), values))
    store = ListedStore({"HYDA": rows})
    edition = edition_over(store)
    pieces = []
    for _ in range(rng.randint(1, 4)):
        pieces.append(piece(served(some_ground(rng)), rng.choice(SETS), rng.choice(ROWS)))
    if rng.random() < 0.2:
        pieces.append(replace(pieces[0], attributes=frozenset({"GB", "NOTE"})))          # the very same ground
    if rng.random() < 0.15:
        pieces.append(piece(None, rng.choice(SETS[1:]), rng.choice(ROWS)))
    limit = None if any(one.area is None for one in pieces) else served_union([one.area for one in pieces])
    if limit is not None and rng.random() < 0.6:
        rest = shapely.difference(limit.geometry, served(some_ground(rng)).geometry)
        limit = limit if rest.is_empty else ServedArea(rest, str(hash(rest.wkb)))
    return store, edition, permit_of(edition, *pieces, limit=limit)


def places_on(shape: shapely.Geometry, rng: np.random.Generator) -> np.ndarray:
    """Some places of a shape."""
    found = []
    for part in shapely.get_parts(shape):
        match part.geom_type:
            case "Point":
                found.append(part)
            case "LineString":
                found += list(shapely.line_interpolate_point(part, rng.uniform(0, part.length, 8)))
            case _:
                left, bottom, right, top = part.bounds
                many = shapely.points(rng.uniform(left, right, 24), rng.uniform(bottom, top, 24))
                found += list(many[shapely.contains(part, many)])
    return np.array(found, dtype=object)


class Oracle:
    """Says of one feature at one place what is told, from the pieces as they stand."""

    def __init__(self, permit: Permit, table):
        self.permit, self.table = permit, table
        crs = permit.edition.crs
        self.limit = None if permit.area is None else permit.area.geometry_in(crs)
        self.grounds = [None if one.area is None else one.area.geometry_in(crs) for one in permit.pieces]
        borders = [ground.boundary for ground in (self.limit, *self.grounds) if ground is not None]
        self.borders = shapely.union_all(borders) if borders else shapely.GeometryCollection()

    def told_at(self, place, values) -> frozenset | None:
        """Names told there; None where the feature is not told there at all."""
        if self.limit is not None and not shapely.intersects(self.limit, place):
            return None
        found = [
            {name for name in self.table.fields if one.tells(self.table.name, name)}
            for one, ground in zip(self.permit.pieces, self.grounds, strict=True)
            if one.shows(self.table.name, values) and (ground is None or shapely.intersects(ground, place))
        ]
        return frozenset().union(*found) if found else None

    def granted(self, values) -> shapely.Geometry | None:
        """All ground on which a feature is told; None everywhere."""
        showing = [ground for one, ground in zip(self.permit.pieces, self.grounds, strict=True) if one.shows(self.table.name, values)]
        if not showing:
            return shapely.Polygon()
        if None in showing:
            return self.limit
        union = shapely.union_all(showing)
        return union if self.limit is None else shapely.intersection(union, self.limit)


def size_of(shape) -> float:
    return (len(shapely.get_parts(shape)), shape.length, shape.area)[int(shapely.get_dimensions(shape))]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_told_is_what_an_oracle_tells_at_every_place(seed):
    store, edition, permit = some_world(seed)
    table, rng = edition.classes[0], np.random.default_rng(seed)
    oracle, found = Oracle(permit, table), listed(told(permit, store, table, size=7))
    assert [(key, part) for key, part, *_ in found] == sorted({(key, part) for key, part, *_ in found}), "by key and part, none twice"
    assert all(set(values) == set(told_fields(permit, table)) for *_, values in found)
    for key, shape, values in store.rows["HYDA"]:
        mine = [(part, cut, is_cut, told_values) for at, part, cut, is_cut, told_values in found if at == key]
        for place in places_on(shape, rng):
            if shapely.distance(place, oracle.borders) < BORDER:
                continue
            here = [one for one in mine if shapely.distance(one[1], place) < 1e-6]
            names = oracle.told_at(place, values)
            assert len(here) == (0 if names is None else 1), (key, names, place)
            for _, _, is_cut, told_values in here:
                expected = {name: values[name] if name in names and not (is_cut and name == "Shape_Area") else None for name in told_values}
                assert told_values == expected
        ground = oracle.granted(values)
        whole = shape if ground is None else shapely.intersection(shape, ground)
        alike = [
            part for part in shapely.get_parts(whole) if not part.is_empty and shapely.get_dimensions(part) == shapely.get_dimensions(shape)
        ]
        assert sum(size_of(one[1]) for one in mine) == pytest.approx(sum(map(size_of, alike)), abs=0.1, rel=1e-6)
        assert all(shapely.get_dimensions(one[1]) == shapely.get_dimensions(shape) and one[1].is_valid for one in mine)
        assert [one[0] for one in mine] == ([0] if len(mine) == 1 else sorted({one[0] for one in mine} - {0})), "parts are numbered where split"
        for _, cut, is_cut, _ in mine:
            assert is_cut == (not shapely.equals(cut, shape)) or size_of(cut) == pytest.approx(size_of(shape), abs=1e-6)


# -- single rules

def test_the_owner_is_told_all_as_it_is():
    shape = shapely.MultiPolygon([square(0, 0, 10, 10), square(20, 0, 30, 10)])
    store, edition = one_table(shape)
    ((_, part, found, is_cut, values),) = look(store, edition, piece())
    assert (part, is_cut, values) == (0, False, {"NAME": "n", "GB": 1, "NOTE": "canary", "Shape_Area": 1.5})
    assert shapely.equals_exact(found, shape)


def test_a_hole_of_the_area_is_cut_out_and_a_hole_of_the_shape_is_kept():
    lake = square(0, 0, 300, 300).difference(square(100, 100, 140, 140))
    ground = served(square(-50, -50, 200, 400).difference(square(20, 20, 60, 60)))
    store, edition = one_table(lake)
    ((_, _, found, is_cut, _),) = look(store, edition, piece(ground))
    assert is_cut and len(found.interiors) == 2
    assert found.area == pytest.approx(200 * 300 - 40 * 40 - 40 * 40, abs=2)


def test_an_island_of_the_area_tells_what_stands_on_it():
    ground = served(shapely.union(square(0, 0, 100, 100), square(500, 500, 510, 510)))
    store, edition = one_table(*(shapely.Point(WEST + x, SOUTH + y) for x, y in ((50, 50), (505, 505), (300, 300))))
    assert [key for key, *_ in look(store, edition, piece(ground))] == [10, 20]


def test_survey_control_points_are_never_told_not_even_to_their_owner():
    store, edition = one_table(shapely.Point(WEST, SOUTH), kind="CPTP")
    assert look(store, edition, piece()) == []
    assert told_fields(permit_of(edition, piece()), edition.classes[0]) == ()


def test_what_is_suspended_is_told_by_no_piece():
    ground, rest = served(square(0, 0, 400, 400)), served(square(0, 0, 400, 400).difference(square(100, 100, 200, 200)))
    store, edition = one_table(shapely.Point(WEST + 150, SOUTH + 150), square(90, 90, 110, 110), square(120, 120, 130, 130))
    ((key, _, found, is_cut, _),) = look(store, edition, piece(ground), limit=rest)
    assert key == 20 and is_cut and found.area == pytest.approx(300, abs=1)


def test_a_piece_of_the_whole_world_is_no_limit():
    world = ServedArea(shapely.box(-180, -90, 180, 90), "world")
    store, edition = one_table(square(0, 0, 10, 10))
    ((_, _, _, is_cut, values),) = look(store, edition, piece(world, ("NAME",)), piece(world, ("Shape_Area",)), limit=world)
    assert not is_cut and values == {"NAME": "n", "Shape_Area": 1.5}


def test_ground_without_a_name_for_it_tells_everywhere_what_is_told_everywhere():
    """One piece everywhere, one with more to tell here: what crosses is told in two parts, the richer first."""
    world, here = ServedArea(shapely.box(-180, -90, 180, 90), "world"), served(square(0, 0, 100, 100))
    store, edition = one_table(shapely.LineString([(WEST + 50, SOUTH + 50), (WEST + 150, SOUTH + 50)]), shapely.Point(WEST + 900, SOUTH))
    found = look(store, edition, piece(world, ("NAME",)), piece(here, ("GB",)), limit=world)
    assert [(key, part, values) for key, part, _, _, values in found] == [
        (10, 1, {"NAME": "n", "GB": 1}), (10, 2, {"NAME": "n", "GB": None}), (20, 0, {"NAME": "n", "GB": None}),
    ]
    assert [shape.length for _, _, shape, _, _ in found[:2]] == [pytest.approx(50, abs=0.01)] * 2


def test_a_place_on_the_border_of_two_pieces_is_told_once_by_the_one_that_tells_more():
    line = served(square(0, 0, 100, 100)), served(square(100, 0, 200, 100))
    corners = {tuple(place) for place in shapely.get_coordinates(line[0].geometry_in(CRS)).tolist()}
    corner = min(corners.intersection(map(tuple, shapely.get_coordinates(line[1].geometry_in(CRS)).tolist())))
    store, edition = one_table(shapely.Point(corner), shapely.MultiPoint([corner, (WEST + 20, SOUTH + 50)]))
    found = look(store, edition, piece(line[0], ("NAME",)), piece(line[1], ("NAME", "GB")))
    assert [(key, part, values["GB"], len(shapely.get_parts(shape))) for key, part, shape, _, values in found] == [
        (10, 0, 1, 1), (20, 1, 1, 1), (20, 2, None, 1),
    ]


def test_what_describes_the_whole_is_not_told_of_a_part_nor_asked_of_it():
    store, edition = one_table(square(0, 0, 100, 100), square(10, 10, 20, 20))
    ground = served(square(-10, -10, 50, 200))
    assert [values["Shape_Area"] for *_, values in look(store, edition, piece(ground))] == [None, 1.5]
    asked = parse_rows("Shape_Area > 1")
    assert [key for key, *_ in look(store, edition, piece(ground), where=asked)] == [20]
    assert [key for key, *_ in look(store, edition, piece(ground), where=parse_rows("Shape_Area IS NULL"))] == [10]
    assert [key for key, *_ in look(store, edition, piece(ground), where=asked, fields=("NAME",))] == [20]
    assert [key for key, *_ in look(store, edition, piece(), where=asked)] == [10, 20]


def test_a_condition_on_what_a_piece_does_not_tell_is_not_answered_by_it():
    store, edition = one_table(shapely.Point(WEST + 10, SOUTH + 10), shapely.Point(WEST + 110, SOUTH + 10))
    one, other = piece(served(square(0, 0, 100, 100)), ("NAME",)), piece(served(square(100, 0, 200, 100)), ("NAME", "NOTE"))
    assert [key for key, *_ in look(store, edition, one, other, where=parse_rows("NOTE = 'canary'"))] == [20]
    assert look(store, edition, one, where=parse_rows("NOTE IS NULL OR NOTE IS NOT NULL")) == []
    assert [key for key, *_ in look(store, edition, one, other, where=parse_rows("NAME = 'n'"))] == [10, 20]


def test_a_box_is_met_by_what_is_told_not_by_what_lies_beyond():
    road = shapely.LineString([(WEST + 50, SOUTH + 50), (WEST + 900, SOUTH + 50)])
    store, edition = one_table(road)
    ground = served(square(0, 0, 100, 100))
    def box(left, right):
        return Bounds(WEST + left, SOUTH, WEST + right, SOUTH + 100)
    assert look(store, edition, piece(ground), box=box(400, 500)) == []
    assert len(look(store, edition, piece(ground), box=box(90, 500))) == 1
    assert len(look(store, edition, piece(), box=box(400, 500))) == 1


def test_a_box_that_only_the_box_of_a_shape_touches_is_not_met():
    diagonal = shapely.LineString([(WEST, SOUTH), (WEST + 100, SOUTH + 100)])
    store, edition = one_table(diagonal)
    assert look(store, edition, piece(), box=Bounds(WEST + 60, SOUTH, WEST + 100, SOUTH + 30)) == []
    assert len(look(store, edition, piece(), box=Bounds(WEST + 50, SOUTH + 50, WEST + 50, SOUTH + 50))) == 1


def test_neighbours_that_share_the_border_leave_no_slivers():
    """The area is a county of the map itself, which on its way through degrees has moved by the breadth of an atom."""
    rng = random.Random(3)
    edge = [(100 + rng.uniform(-20, 20), y) for y in range(0, 1001, 50)]
    west = shapely.Polygon([(WEST + x, SOUTH + y) for x, y in [(0, 0), *edge, (0, 1000)]])
    east = shapely.Polygon([(WEST + x, SOUTH + y) for x, y in [(300, 0), *edge, (300, 1000)]])
    border = shapely.LineString([(WEST + x, SOUTH + y) for x, y in edge])
    store, edition = one_table(west, east)
    found = look(store, edition, piece(served(west)))
    assert [key for key, *_ in found] == [10]
    assert found[0][2].area == pytest.approx(west.area, rel=1e-6)
    assert border.length > 900


def test_heights_are_kept_and_new_ones_come_from_the_edge_that_was_cut():
    line = shapely.LineString([(WEST, SOUTH + 50, 10.0), (WEST + 200, SOUTH + 50, 30.0)])
    store, edition = one_table(line)
    ((_, _, found, _, _),) = look(store, edition, piece(served(square(-10, 0, 100, 100))))
    assert shapely.get_coordinates(found, include_z=True)[:, 2] == pytest.approx([10.0, 20.0], abs=0.01)


@pytest.mark.parametrize("beyond", (-5000.0, 7.0))
def test_no_height_of_a_cut_shape_comes_from_beyond(beyond):
    """Two vertices within, two far outside: whatever their heights, the piece is the same but at its very edge."""
    roof = shapely.Polygon([(WEST + 10, SOUTH + 10, 5.0), (WEST + 500, SOUTH + 10, 5.0), (WEST + 900, SOUTH + 500, beyond),
                            (WEST + 500, SOUTH + 90, 6.0), (WEST + 10, SOUTH + 90, 6.0)])
    store, edition = one_table(roof)
    ((_, _, found, _, _),) = look(store, edition, piece(served(square(0, 0, 100, 100))))
    heights = shapely.get_coordinates(found, include_z=True)[:, 2]
    assert np.isfinite(heights).all() and heights.min() == 5.0 and heights.max() == 6.0


def test_of_a_shape_all_round_the_area_no_height_is_known():
    lake = shapely.force_3d(square(-500, -500, 900, 900), 17.0)
    store, edition = one_table(lake)
    ((_, _, found, _, _),) = look(store, edition, piece(served(square(0, 0, 100, 100))))
    assert not found.has_z and found.area == pytest.approx(10_000, abs=1)


def test_measures_along_a_line_are_not_told():
    store, edition = one_table(shapely.from_wkt(f"LINESTRING M ({WEST} {SOUTH} 0, {WEST + 10} {SOUTH} 10)"))
    ((_, _, found, _, _),) = look(store, edition, piece())
    assert not shapely.has_m(found)


def test_lines_keep_their_direction_and_are_not_broken_where_they_began():
    brook = shapely.LineString([(WEST + 900, SOUTH + 50), (WEST + 50, SOUTH + 50), (WEST + 50, SOUTH + 80), (WEST + 900, SOUTH + 80)])
    ring = shapely.LineString([(WEST + 50, SOUTH + 10), (WEST + 150, SOUTH + 10), (WEST + 150, SOUTH + 40), (WEST + 50, SOUTH + 40), (WEST + 50, SOUTH + 10)])
    store, edition = one_table(brook, ring)
    found = look(store, edition, piece(served(square(0, 0, 100, 100))))
    first = shapely.get_coordinates(found[0][2])
    assert (first[0][1], first[-1][1]) == pytest.approx((SOUTH + 50, SOUTH + 80)), "it flows in along the south"
    assert found[1][2].geom_type == "LineString" and found[1][2].length == pytest.approx(130, abs=0.1)


def test_parts_beyond_change_nothing_of_those_within():
    inner = square(10, 10, 20, 20)
    crossing = square(90, 0, 110, 20)
    alone, store = one_table(inner, crossing), None
    edition = alone[1]
    ground = piece(served(square(0, 0, 100, 100)), ("NAME",))
    plain = look(*alone, ground)
    store, edition = one_table(
        shapely.MultiPolygon([square(800, 10, 820, 20), inner]), shapely.MultiPolygon([square(700, 0, 710, 5), crossing, square(-500, 0, -400, 9)]),
    )
    assert [(key, part, shape.wkb, values) for key, part, shape, _, values in look(store, edition, ground)] == [
        (key, part, shape.wkb, values) for key, part, shape, _, values in plain
    ]


def test_one_of_several_parts_is_told_plainly_whatever_the_table_holds():
    store, edition = one_table(shapely.MultiPolygon([square(0, 0, 10, 10)]))
    assert look(store, edition, piece())[0][2].geom_type == "Polygon"


def test_pages_begin_after_a_key_and_one_may_be_asked_alone():
    store, edition = one_table(*(shapely.Point(WEST + x, SOUTH) for x in range(5)))
    assert [key for key, *_ in look(store, edition, piece(), after=20)] == [30, 40, 50]
    assert [key for key, *_ in look(store, edition, piece(), key=20)] == [20]
    assert look(store, edition, piece(), key=21) == []


def test_a_page_reads_no_more_than_it_needs():
    store, edition = one_table(*(shapely.Point(WEST + x, SOUTH) for x in range(500)))
    next(told(permit_of(edition, piece()), store, edition.classes[0], size=10))
    assert store.read == 10


def test_an_area_beyond_the_reach_of_the_data_tells_nothing():
    elsewhere = ServedArea(shapely.box(-80, -40, -70, -30), "elsewhere")
    store, edition = one_table(square(0, 0, 10, 10))
    assert look(store, edition, piece(elsewhere)) == []


def test_a_shape_that_is_not_sound_is_told_as_far_as_it_is():
    bow = shapely.Polygon([(WEST, SOUTH), (WEST + 100, SOUTH + 100), (WEST + 100, SOUTH), (WEST, SOUTH + 100)])
    store, edition = one_table(bow)
    found = look(store, edition, piece(served(square(-10, -10, 30, 200))))
    assert all(shape.is_valid and shape.bounds[2] < WEST + 31 for _, _, shape, _, _ in found)
