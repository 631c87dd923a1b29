"""What a version gives and takes, beside another: in sentences, in a picture, in figures layer by layer."""

import flask
from markupsafe import Markup

from geoserver_app.api.differences import difference_told
from geoserver_app.api.operation import STAFF
from geoserver_app.area_drawings import drawings
from geoserver_app.comparing import compare
from geoserver_app.console.agreement_pages import found
from geoserver_app.console.frame import Frame, page
from geoserver_app.review.words import MEASURES, SPANS

AMOUNTS = {
    "rate": ("每秒请求", "requests a second"), "burst": ("突发请求", "requests at once"), "export_km2": ("下载过的地面（平方公里）", "km2 of ground downloaded"),
    **MEASURES,
}


@page("console.difference", "/agreements/<path:agreement>/diff/<int:old>/<int:new>", roles=STAFF)
def difference_page(frame: Frame, agreement: str, old: int, new: int) -> flask.Response:
    one, versions = found(frame, agreement, new)
    before, _ = found(frame, one.agreement_id, old)
    difference = compare(frame.visit.services.register, frame.visit.services.catalogue, before, one)
    told = difference_told(before, one, difference, frame.language)
    picture = drawings().of_change(difference.gained, difference.lost, difference.unchanged, frame.language)
    return frame.shown(
        "difference.html", one=one, versions=[other.version for other in versions], told=told, old=old, new=new,
        picture=Markup(picture), amounts=AMOUNTS, spans=SPANS,
    )
