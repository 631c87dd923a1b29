"""One layer of a picture, as its permit lets it be seen: what maps and downloads have in common."""

from PIL import Image

from geoserver_app.charging import Tally, opaque_part
from geoserver_app.messages import ENGLISH, sentence
from geoserver_app.wiring import services
from layers.model import STYLES, View
from tiles.compose import composed, composed_parts, shown
from tiles.errors import RequestInvalid
from tiles.permits import Permit
from tiles.requests.expressible import expressible
from tiles.variants import drawn_style
from tiles.water import WaterLevel, water_picture


def drawn(
    permit: Permit, style: str, view: View, tallies: list[Tally | None], symbol_scale: float = 1.0, water: WaterLevel | None = None,
) -> Image.Image | None:
    """One layer of the map, cut and marked; None where nothing of it may be seen, whatever there is. What it shows is added to `tallies`.

    Ground below a level of water (`water`) is drawn for each request anew and never kept. What it does not show tells heights too, so it counts as a
    picture of all that may be seen.
    """
    placed = expressible(view)
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
        picture = composed_parts(parts, inner, lambda part: services().tiles.borders.map(edition, drawn_as, inner, part, permit, symbol_scale))
    tallies.append(Tally(view=inner, opaque=None if water is not None else opaque_part(picture)) if permit.bookings else None)
    if inner == view:
        return picture
    whole = Image.new("RGBA", (view.width, view.height))
    whole.paste(picture, corner)
    return whole


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
