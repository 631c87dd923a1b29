"""What a suspension would stop, said before it is done."""

from dataclasses import dataclass

import shapely
from markupsafe import Markup
from shapely.geometry.base import BaseGeometry

from agreements.areas import SMALLEST_AREA, WORLD
from agreements.compare.difference import Ground
from agreements.model import Agreement, Area
from geoserver_app.api.agreements import SuspensionSent
from geoserver_app.api.areas import read_area
from geoserver_app.area_drawings import drawings
from geoserver_app.console.frame import Frame, field, fields, moment, moment_sent, sent
from layers.crs import geodesic_km2


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """In a sentence, with its picture where it is about some ground; `words` are the form's, to be sent again as they are."""

    sentence: str
    picture: Markup
    sent: SuspensionSent


def suspension_sent() -> SuspensionSent:
    """What the form says. Raises InputFaulty."""
    divisions, until = fields("division"), moment_sent(field("until"))
    area = {"divisions": divisions} if divisions else None
    return sent(SuspensionSent, reason=field("reason"), layers=fields("layer"), until=until, area=area)


def effect_of(frame: Frame, one: Agreement, grantee: str) -> Effect:
    """What the suspension in the form would do to an agreement, whose grantee is called `grantee`. Raises InputFaulty."""
    said = suspension_sent()
    area = read_area(frame.visit, said.area, "/area") if said.area else None
    granted = shapely.union_all([grant.area.geometry for grant in one.grants])
    return Effect(sentence=_sentence(frame, said, area, granted, grantee), picture=_picture(frame, area, granted), sent=said)


def _sentence(frame: Frame, said: SuspensionSent, area: Area | None, granted: BaseGeometry, grantee: str) -> str:
    layers = frame.say("、", ", ").join(sorted(said.layers or ()))
    stopped = frame.say(f"图层 {layers}", f"the layers {layers}") if said.layers else frame.say("本协议授予的全部图层", "all layers that this agreement grants")
    where = frame.say("任何地方", "anywhere")
    if area is not None:
        km2 = geodesic_km2(shapely.intersection(granted, area.geometry))
        where = frame.say(f" {area.title}（其中本协议授予 {km2:,.1f} 平方千米）", f"in {area.title} ({km2:,.1f} km2 of it granted by this agreement)")
    until = frame.say(f"{moment(said.until)} 为止", f"until {moment(said.until)}") if said.until else frame.say("恢复为止", "until it is resumed")
    return frame.say(
        f"自办理起两秒内，“{grantee}”在{where}看不到{stopped}，直到{until}，不论其他协议是否授予；其下级协议随之缩减。缓存的瓦片、已打开的地图和正在进行的下载一并停止。",
        f"Within two seconds of this, {grantee} sees nothing of {stopped}, {where}, {until}, whatever other agreements grant; agreements under this one "
        "shrink with it. Cached tiles, open maps and running downloads stop as well.",
    )


def _picture(frame: Frame, area: Area | None, granted: BaseGeometry) -> Markup:
    if area is None or granted.equals(WORLD):
        return Markup("")
    stopped, left = (_ground(found) for found in (shapely.intersection(granted, area.geometry), shapely.difference(granted, area.geometry)))
    return Markup(drawings().of_change(Ground(), stopped, left, frame.language))


def _ground(found: BaseGeometry) -> Ground:
    polygons = [part for part in shapely.get_parts(shapely.get_parts(found)) if part.geom_type == "Polygon" and part.area > SMALLEST_AREA]
    whole = shapely.MultiPolygon(polygons)
    return Ground(whole, geodesic_km2(whole)) if polygons else Ground()


def layer_choices(frame: Frame, one: Agreement) -> list[str]:
    """Layers of the catalogue that a suspension could name."""
    held = frame.visit.services.catalogue.snapshot()
    named = {name for grant in one.grants for name in grant.layers}
    products = {product for grant in one.grants for product in grant.products}
    meant = {layer.name for layer in held.layers.values() if layer.product.value in products and layer.owner == one.grantor}
    return sorted(name for name in named | meant if name.partition("@")[0] in held.layers)


def division_choices(frame: Frame) -> list[tuple[str, str]]:
    """Code and name of every division in its latest vintage."""
    return [(code, name) for code, name, _, _ in frame.visit.services.catalogue.divisions()]
