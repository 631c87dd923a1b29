"""Keys of features: where each is from, and that no two can be one."""

import geopandas
import numpy as np
import pandas
import pytest
import shapely

from layers.errors import LayerRejected
from layers.ingest.keys import are_plain, keys_by_field, keys_of, numbers_in_file, set_apart
from layers.sheets.numbers import children, neighbours, ordinal

FIDS = np.array([0, 1, 2, 4_000_000], np.int64)


def test_every_sheet_has_a_range_of_its_own():
    numbers = ["I50G095077", *neighbours("I50G095077").values(), "I50", *children("I50G095077", "H"), "V60K23042304", "A01G001001"]
    every = np.concatenate([keys_of(FIDS, number, "roads.gpkg") for number in numbers])
    assert len(set(every.tolist())) == len(every) and every.min() >= 0 and not are_plain(every).any()
    assert max(ordinal(number) for number in numbers) < 1 << 39
    assert (keys_of(FIDS, "I50G095077", "a.gpkg") == keys_of(FIDS, "I50G095077", "b.gpkg")).all(), "the file may be called otherwise next time"
    assert (numbers_in_file(keys_of(FIDS, "I50G095077", "a.gpkg")) == FIDS).all()


def test_files_without_a_sheet_number_keep_the_numbers_of_their_features_until_others_have_them_too():
    keys = keys_of(FIDS, "", "roads.gpkg")
    assert (keys == FIDS).all() and are_plain(keys).all() and (numbers_in_file(keys) == FIDS).all()
    apart = [set_apart(keys, name) for name in ("north.gpkg", "south.gpkg")]
    assert len(set(np.concatenate(apart).tolist())) == 2 * len(FIDS) and not any(are_plain(one).any() for one in apart)
    assert (set_apart(apart[0], "another.gpkg") == apart[0]).all()


@pytest.mark.parametrize("number", ["", "I50G095077"])
def test_numbers_too_long_for_a_range_have_keys_of_their_own_too(number):
    fids = np.array([-3, 7, 1 << 22, (1 << 22) + 7, (1 << 62) + 5], np.int64)
    keys = keys_of(fids, number, "a.gpkg")
    assert len(set(keys.tolist())) == len(fids) and keys.min() >= 0 and (keys == keys_of(fids, number, "a.gpkg")).all()
    assert len(set(set_apart(keys, "a.gpkg").tolist())) == len(fids)


def test_a_field_of_whole_numbers_or_of_texts_makes_keys_wherever_features_lie():
    whole, texts = pandas.Series([5, 9, 0], name="ID"), pandas.Series(["五", "x", ""], name="ID")
    for values in (whole, texts):
        keys = keys_by_field(values, file_name="a.gpkg", table="LRDL")
        assert len(set(keys.tolist())) == 3 and keys.min() >= 0 and not are_plain(keys).any()
        assert sorted(keys) == sorted(keys_by_field(values[::-1], file_name="b.gpkg", table="LRDL"))


@pytest.mark.parametrize(("values", "sentence"), [
    (["x", "x", "y"], "the same value in several features: x"), (["x", None, "y"], "no value in 1 features"), ([1.0, float("nan"), 2.0], "no value in 1 features"),
])
def test_a_field_that_names_no_feature_alone_is_refused(values, sentence):
    with pytest.raises(LayerRejected, match=sentence) as refused:
        keys_by_field(pandas.Series(values, name="ID"), file_name="a.gpkg", table="LRDL")
    assert "leave `--key` out" in str(refused.value)


def test_the_same_key_in_two_files_is_refused_with_both(add, write_roads):
    with pytest.raises(LayerRejected, match=r"north\.gpkg|south\.gpkg") as refused:
        add("DLG", write_roads("north.gpkg", ["r1", "r2"]), write_roads("south.gpkg", ["r2", "r3"]), key="CODE")
    assert "1 features of table `LRDL` have the same key" in str(refused.value)


@pytest.fixture
def write_roads(tmp_path):

    def write(name, codes):
        lines = [shapely.LineString([(118.7, 32 + at / 100), (118.71, 32 + at / 100)]) for at in range(len(codes))]
        path = tmp_path / name
        geopandas.GeoDataFrame({"CODE": codes}, geometry=lines, crs="EPSG:4490").to_file(path, layer="LRDL", driver="GPKG")
        return path

    return write
