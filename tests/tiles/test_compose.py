"""Parts of a permit over one another: which is on top, what is left of those below, and what is written on each."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image

from layers.model import Bounds, Edition, ProductType, View
from layers.mosaic.cells import influence
from tiles.area import ServedArea
from tiles.clip import Footprint
from tiles.compose import composed, shown
from tiles.permits import Permit, PermitPiece, PictureMark, parts_of
from tiles.variants import MASTER, Variant, folder_of, grid_of

VIEW = View(crs="EPSG:4490", bounds=Bounds(118.0, 32.0, 119.0, 33.0), width=100, height=100)
MARK = PictureMark(text="mark", opacity=0.5, place="tiled")


def edition(product: ProductType = ProductType.DEM, resolution: float | None = 5.0, **fields) -> Edition:
    return Edition(
        edition_id=1, name="2011", layer="one", product=product, currency=(None, None), generation=1, folder=".", crs="EPSG:4549",
        extent=shapely.box(118, 32, 119, 33), resolution=resolution, **fields,
    )


def area(left: float, right: float) -> ServedArea:
    return ServedArea(shapely.box(left, 31.5, right, 33.5), f"{left}-{right}")


def unite(areas):
    return ServedArea(shapely.union_all([one.geometry for one in areas]), "+".join(sorted(one.digest for one in areas)))


def piece(left: float = 117.5, right: float = 119.5, **terms) -> PermitPiece:
    return PermitPiece(area=area(left, right), attributes=None, **terms)


def parts(*pieces: PermitPiece, product=ProductType.DEM, is_strict: bool = False):
    return parts_of(edition(product), unite([one.area for one in pieces]), pieces, is_strict=is_strict, unite=unite)


def names(found) -> list[str]:
    return [part.variant.name or "master" for part in found]


def test_pieces_that_show_the_same_are_one_part_on_all_of_the_area():
    one, other = piece(right=118.3), replace(piece(left=118.6), attributes=frozenset({"NAME"}))
    (part,) = parts(one, other)
    assert part.variant is MASTER and part.inside is None and part.area.digest == unite([one.area, other.area]).digest
    assert parts_of(edition(), None, ())[0].area is None


def test_pieces_that_differ_are_never_merged_without_saying_how():
    with pytest.raises(ValueError):
        Permit(edition=edition(), area=area(118, 119), pieces=(piece(), piece(degrade=10.0)), mark="m")
    (part,) = Permit(edition=edition(), area=area(118, 119), pieces=(piece(degrade=10.0),), mark="m").parts
    assert part.variant == Variant(degrade=10.0)


def test_the_coarsest_lies_at_the_bottom_filtered_below_whole_and_marked_below_unmarked():
    assert names(parts(piece(), piece(degrade=20.0), piece(degrade=10.0))) == ["20.0m", "10.0m", "master"]
    marked, plain = parts(piece(mark=MARK), piece())
    assert (marked.mark, plain.mark) == (MARK, None)
    assert [part.variant.rows for part in parts(piece(), piece(rows="A=1"), product=ProductType.DLG)] == ["A=1", None]


def test_the_order_of_the_pieces_never_matters():
    pieces = [piece(), piece(degrade=20.0), piece(mark=MARK), piece(degrade=20.0, mark=MARK)]
    assert [(p.variant, p.mark) for p in parts(*pieces)] == [(p.variant, p.mark) for p in parts(*pieces[::-1])]


def test_a_grid_no_coarser_than_the_edition_is_no_variant():
    assert names(parts(piece(degrade=5.0))) == ["master"] and names(parts(piece(degrade=5.1))) == ["5.1m"]


def test_what_a_part_on_top_shows_is_cut_out_of_those_below():
    coarse, fine = shown(parts(piece(degrade=20.0), piece(right=118.5)), VIEW)
    assert not coarse[1][:, :50].any() and coarse[1][:, 50:].all()
    assert fine[1][:, :50].all() and not fine[1][:, 50:].any()
    assert names([part for part, _ in shown(parts(piece(degrade=20.0), piece()), VIEW)]) == ["master"]


def test_filters_that_differ_are_laid_over_one_another():
    found = shown(parts(piece(rows="A=1"), piece(rows="A=2"), product=ProductType.DLG), VIEW)
    assert len(found) == 2 and all(visible is True for _, visible in found)


def test_a_part_beyond_the_view_is_not_drawn():
    drawn = []

    def draw(variant: Variant) -> Image.Image:
        drawn.append(variant)
        return Image.new("RGB", (100, 100), (9, 9, 9))

    found = shown(parts(piece(left=120.0, right=121.0, degrade=20.0), piece(right=118.5)), VIEW)
    assert np.asarray(composed(found, VIEW, draw))[..., 3].tolist()[0] == [255] * 50 + [0] * 50
    assert drawn == [MASTER]
    assert composed(shown(parts(piece(left=120.0, right=121.0)), VIEW), VIEW, draw) is None


def test_one_plain_part_that_is_wholly_visible_comes_back_as_it_was_drawn():
    picture = Image.new("RGB", (100, 100))
    assert composed(shown(parts(piece()), VIEW), VIEW, lambda _: picture) is picture


def test_each_part_bears_its_own_mark_and_no_other():
    found = shown(parts(piece(right=118.5, mark=MARK), piece(left=118.5, degrade=20.0)), VIEW)
    pixels = np.asarray(composed(found, VIEW, lambda _: Image.new("RGB", (100, 100), (128,) * 3)).convert("RGB")).astype(int)
    assert (pixels[:, :50] != 128).any() and (pixels[:, 50:] == 128).all()


def test_pictures_that_show_different_things_have_different_names():
    several = [
        *parts(piece()), *parts(piece(degrade=20.0)), *parts(piece(degrade=25.0)), *parts(piece(mark=MARK)), *parts(piece(), is_strict=True),
        *parts(piece(degrade=20.0, mark=MARK)), *parts(piece(rows="A=1"), product=ProductType.DLG), *parts(piece(right=118.5)),
    ]
    assert len({part.edge for part in several}) == len(several)
    assert len({part.inside for part in several}) == len(several) - 2, "a master wholly inside is one whoever it is for"


def test_the_footprint_of_the_strict_rule_is_that_of_what_is_shown():
    plain, coarse = (parts(piece(degrade=cell), is_strict=True)[0] for cell in (None, 20.0))
    assert plain.footprint == Footprint(*influence(edition(), None)) and coarse.footprint == Footprint(*influence(edition(), 20.0))
    assert coarse.footprint.source == 20.0 and plain.footprint.source == 5.0
    (lines,) = parts_of(edition(ProductType.DLG, None), area(118, 119), [piece()], is_strict=True)
    assert lines.footprint == Footprint()
    assert parts(piece())[0].footprint is None


def test_folders_say_the_grid_and_never_the_words_of_a_filter():
    rows = Variant(rows="SECRET_DEPTH > 3")
    assert "SECRET" not in folder_of("topographic", rows) and grid_of(folder_of("topographic", rows)) is None
    assert grid_of(folder_of("slope", Variant(degrade=12.5))) == 12.5 and folder_of("slope", MASTER) == "slope"
    assert len({folder_of("topographic", Variant(rows=text)) for text in ("A = 1", "A = 2", "A=1")}) == 3
