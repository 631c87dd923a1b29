"""The grey base map: the same lines as the coloured one, calm colours, and a legend that shows them."""

import numpy as np
import pytest
from county import CRS, EAST, NORTH, SOUTH, WEST, write_county

from layers.model import STYLES, Bounds, ProductType, View
from tiles.dlg import LineMapRenderer
from tiles.dlg_styles import StyleBook
from tiles.legends import legend
from tiles.maplibre import layers_of
from tiles.palettes import Palette, has_labels


@pytest.fixture(scope="module")
def county(tmp_path_factory, config_folder):
    return write_county(tmp_path_factory.mktemp("county"), config_folder)


def whole(size: int = 700) -> View:
    middle, half = ((WEST + EAST) / 2, (SOUTH + NORTH) / 2), (EAST - WEST) / 2
    return View(crs=CRS, bounds=Bounds(middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half), width=size, height=size)


def on_white(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:] / 255
    return picture[..., :3] * alpha + 255 * (1 - alpha)


def colourfulness(picture: np.ndarray) -> float:
    return float((picture.max(axis=2) - picture.min(axis=2)).mean())


def test_the_grey_map_shows_the_same_lines_in_calm_colours(county, config_folder):
    drawn = {
        style: np.asarray(LineMapRenderer(county.folder, county.edition, config_folder / "styles", labels=False, style=style).render(whole())).astype(float)
        for style in ("unlabelled", "grey-unlabelled")
    }
    coloured, grey = (on_white(drawn[style]) for style in ("unlabelled", "grey-unlabelled"))
    assert colourfulness(grey) < 0.2 * colourfulness(coloured)
    assert grey.mean() > coloured.mean()
    missing = (drawn["unlabelled"][..., 3] > 128) & (drawn["grey-unlabelled"][..., 3] == 0)
    assert missing.mean() < 0.002, "only patterns of plants are left out"
    assert ((drawn["grey-unlabelled"][..., 3] > 0) <= (drawn["unlabelled"][..., 3] > 0)).all()


def test_the_grey_legend_has_the_colours_of_the_grey_map(county, config_folder):
    shown = np.asarray(legend(county.edition, "grey", config=config_folder, language="zh").convert("RGB")).reshape(-1, 3)
    water = Palette.load(config_folder / "styles" / "palettes.csv")["grey"].colour("#BFE6FF")
    assert tuple(bytes.fromhex(water[1:])) in {tuple(one) for one in shown.tolist()}
    assert (191, 230, 255) not in {tuple(one) for one in shown.tolist()}


def test_every_style_of_the_line_map_has_a_legend_and_a_maplibre_style_in_its_own_colours(county, config_folder):
    book = StyleBook.load(config_folder / "styles")
    for style in STYLES[ProductType.DLG]:
        assert legend(county.edition, style, config=config_folder, language="en").width > 100
        layers = layers_of(county.edition, "dlg", book.in_style(style), labels=has_labels(style))
        fills = {layer["paint"]["fill-color"] for layer in layers if "fill-color" in layer.get("paint", {})}
        assert ("#BFE6FF" in fills) == (not style.startswith("grey"))
        images = {layer["layout"]["icon-image"] for layer in layers if "icon-image" in layer.get("layout", {})}
        assert not style.startswith("grey") or not images & {"shield-red", "shield-yellow"}


def test_everything_that_a_palette_names_is_there(config_folder):
    """A colour that no style has, or a symbol that is no file, is a slip of the pen."""
    styles = config_folder / "styles"
    written = "".join(path.read_text("utf-8") for path in (styles / "dlg").glob("*.xml"))
    for name, palette in Palette.load(styles / "palettes.csv").items():
        for one, other in palette.exact.items():
            assert one in written, (name, one)
            assert other == "-" or other.startswith("#") or (styles / "symbols" / other).exists(), (name, other)
