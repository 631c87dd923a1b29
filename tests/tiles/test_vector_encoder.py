"""The bytes of vector tiles: what goes in comes out, as an independent reader and as GDAL see it."""

import numpy as np
import pyogrio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_tiles import read_tile

from tiles.vector.encoder import LINE, POINT, POLYGON, Drawing, TileLayer, count_features, encode_tile

SQUARE, HOLE = [(0, 0), (100, 0), (100, 100), (0, 100)], [(20, 20), (20, 40), (40, 40), (40, 20)]


def layer_of(geometry: int, shapes: list[list[list[tuple[int, int]]]], columns: dict | None = None, ids=None, name: str = "HYDL") -> TileLayer:
    """One layer: shapes are lists of paths, paths lists of points."""
    drawing = Drawing(
        geometry=geometry, points=np.array([point for shape in shapes for path in shape for point in path], dtype=np.int64).reshape(-1, 2),
        path_sizes=np.array([len(path) for shape in shapes for path in shape], dtype=np.int64),
        paths_of=np.array([len(shape) for shape in shapes], dtype=np.int64),
    )
    ids = np.arange(1, len(shapes) + 1) if ids is None else ids
    return TileLayer(name=name, drawing=drawing, ids=np.array(ids, dtype=np.uint64), columns=columns or {})


def paths_in(tile: bytes, name: str = "HYDL") -> list[list[list[tuple[int, int]]]]:
    return [[list(map(tuple, path.tolist())) for path in one.paths] for one in read_tile(tile)[name]]


@pytest.mark.parametrize("geometry, shapes", [
    (POINT, [[[(1, 2)]], [[(5, 6), (7, 8)]], [[(-3, 4097)]]]),
    (LINE, [[[(0, 0), (10, 5), (4160, -64)]], [[(1, 1), (2, 2)], [(3, 3), (9, 9), (9, 10)]]]),
    (POLYGON, [[SQUARE, HOLE], [[(200, 200), (300, 200), (200, 300)]], [SQUARE, HOLE, [(500, 500), (600, 500), (500, 600)]]]),
])
def test_shapes_come_out_as_they_went_in(geometry, shapes):
    assert paths_in(encode_tile([layer_of(geometry, shapes)])) == shapes


def test_values_keep_their_types_and_what_is_missing_is_left_out():
    values = [1, 1.0, True, "1", -1, None, 2**62, -(2**62), "长江", 0.5, False, 0]
    shapes = [[[(i, i), (i + 1, i)]] for i in range(len(values))]
    found = read_tile(encode_tile([layer_of(LINE, shapes, {"V": values, "EMPTY": [None] * len(values)})]))["HYDL"]
    assert [one.properties.get("V") for one in found] == values
    assert [type(one.properties.get("V")) for one in found] == [type(value) for value in values]
    assert all("EMPTY" not in one.properties for one in found)


def test_equal_values_are_written_once():
    shapes = [[[(i, i), (i + 1, i)]] for i in range(1000)]
    tile = encode_tile([layer_of(LINE, shapes, {"NAME": ["柳青公路"] * 1000, "OTHER": ["柳青公路"] * 1000})])
    assert tile.count("柳青公路".encode()) == 1


def test_identifiers_of_53_bits_are_kept():
    ids = [0, 1, 127, 128, 2**32, 2**53 - 1]
    shapes = [[[(i, i), (i + 1, i)]] for i in range(len(ids))]
    assert [one.id for one in read_tile(encode_tile([layer_of(LINE, shapes, ids=ids)]))["HYDL"]] == ids


def test_layers_without_features_are_left_out_and_a_tile_without_layers_is_empty():
    assert encode_tile([layer_of(LINE, [])]) == b""
    assert list(read_tile(encode_tile([layer_of(LINE, []), layer_of(POINT, [[[(1, 1)]]], name="TERP")]))) == ["TERP"]


def test_features_are_counted():
    tile = encode_tile([layer_of(POINT, [[[(1, 1)]]] * 3, name="A"), layer_of(POLYGON, [[SQUARE, HOLE]] * 4, {"N": [1] * 4}, name="B")])
    assert count_features(tile) == 7 and count_features(b"") == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_lines_and_values_come_out_as_they_went_in(data):
    point = st.tuples(st.integers(-64, 4160), st.integers(-64, 4160))
    path = st.lists(point, min_size=2, max_size=6, unique=True)
    shapes = data.draw(st.lists(st.lists(path, min_size=1, max_size=3), min_size=1, max_size=6))
    value = st.one_of(st.none(), st.text(max_size=4), st.integers(-(2**60), 2**60), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
    column = data.draw(st.lists(value, min_size=len(shapes), max_size=len(shapes)))
    tile = encode_tile([layer_of(LINE, shapes, {"V": column})])
    assert paths_in(tile) == shapes
    assert [one.properties.get("V") for one in read_tile(tile)["HYDL"]] == column


def test_gdal_reads_them(tmp_path):
    path = tmp_path / "0.mvt"
    path.write_bytes(encode_tile([layer_of(POLYGON, [[SQUARE, HOLE]], {"NAME": ["青石湖"], "GB": [2301013]}, ids=[2**53 - 1])]))
    frame = pyogrio.read_dataframe(path, layer="HYDL", CLIP="NO")
    assert frame.geometry[0].area == 100 * 100 - 20 * 20
    assert (frame["NAME"][0], frame["GB"][0], frame["mvt_id"][0]) == ("青石湖", 2301013, 2**53 - 1)
