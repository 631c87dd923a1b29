"""One layer of a picture, as its permit lets it be seen: what maps and downloads have in common."""

from PIL import Image

from geoserver_app.charging import Tally, opaque_part
from geoserver_app.messages import ENGLISH, sentence
from geoserver_app.wiring import services
from layers.model import STYLES, Bounds, View
from tiles.compose import composed, shown
from tiles.errors import RequestInvalid
from tiles.permits import Permit
from tiles.requests import expressible_bounds
from tiles.variants import drawn_style
from tiles.water import WaterLevel, water_picture


def drawn(
    permit: Permit, style: str, view: View, tallies: list[Tally | None], symbol_scale: float = 1.0, water: WaterLevel | None = None,
) -> Image.Image | None:
    """One layer of the map, cut and marked; None where nothing of it may be seen, whatever there is. What it shows is added to `tallies`.

    Ground below a level of water (`water`) is drawn for each request anew and never kept. What it does not show tells heights too, so it counts as a
    picture of all that may be seen.
    """
    placed = _expressible(view)
    parts = shown(permit.parts, placed[0]) if placed is not None else []
    if not parts:
        tallies.append(None)
        return None
    inner, corner = placed
    engine, edition = services().engine, permit.edition
    if water is not None:
        picture = composed(parts, inner, lambda variant: water_picture(engine.values(edition, inner, permit, variant), inner, water))
    else:
        drawn_as = drawn_style(style, is_strict=permit.is_strict)
        picture = composed(parts, inner, lambda variant: engine.map(edition, drawn_as, inner, permit, symbol_scale, variant))
    tallies.append(Tally(view=inner, opaque=None if water is not None else opaque_part(picture)) if permit.bookings else None)
    if inner == view:
        return picture
    whole = Image.new("RGBA", (view.width, view.height))
    whole.paste(picture, corner)
    return whole


def _expressible(view: View) -> tuple[View, tuple[int, int]] | None:
    """The whole pixels of `view` that lie where its CRS means something, and where they begin; None where there are none."""
    world, bounds, (step_x, step_y) = expressible_bounds(view.crs), view.bounds, view.resolution
    if bounds.intersection(world) == bounds:
        return view, (0, 0)
    first_col, last_col = _whole_pixels((world.left - bounds.left) / step_x, (world.right - bounds.left) / step_x, view.width)
    first_row, last_row = _whole_pixels((bounds.top - world.top) / step_y, (bounds.top - world.bottom) / step_y, view.height)
    if first_col >= last_col or first_row >= last_row:
        return None
    inner = Bounds(
        max(bounds.left + first_col * step_x, world.left), max(bounds.top - last_row * step_y, world.bottom),
        min(bounds.left + last_col * step_x, world.right), min(bounds.top - first_row * step_y, world.top),
    )
    return View(crs=view.crs, bounds=inner, width=last_col - first_col, height=last_row - first_row), (first_col, first_row)


def _whole_pixels(start: float, end: float, count: int) -> tuple[int, int]:
    """First, and one past the last, of `count` pixels that lie wholly between `start` and `end`; a hair's breadth is forgiven."""
    hair = 1e-6
    return max(-int(-(start - hair) // 1), 0), min(int((end + hair) // 1), count)


def style_of(permit: Permit, locator: str) -> str:
    """The style to draw in: the one that the gate settled on, checked.

    Raises
    ------
    RequestInvalid
        The product has no such style. Asked only after the gate, so it tells nothing of layers that are not shared.
    """
    edition, offered = permit.edition, STYLES[permit.edition.product]
    style = permit.style or offered[0]
    if style not in offered:
        detail = {"layer": edition.layer, "style": style, "choices": ", ".join(offered)}
        message = sentence("style-not-defined", detail, ENGLISH)
        raise RequestInvalid("StyleNotDefined", locator, message, fault="style-not-defined", detail=detail)
    return style
