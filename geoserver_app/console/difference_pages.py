"""What a version gives and takes, beside another: in sentences, in a picture, in figures layer by layer."""

import flask
from markupsafe import Markup

from geoserver_app.api.differences import DifferenceQuery, DifferenceTold
from geoserver_app.api.operation import STAFF
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
    query = DifferenceQuery(before=old, after=new)
    told: DifferenceTold = frame.ask("agreements.difference", agreement=agreement, query=query)
    picture = frame.ask("agreements.difference", agreement=agreement, query=query.model_copy(update={"form": "svg"}))
    has_ground = told.gained_km2 or told.lost_km2 or told.unchanged_km2
    return frame.shown(
        "difference.html", one=one, versions=[other.version for other in versions], told=told, old=old, new=new,
        picture=Markup(picture) if has_ground else "", amounts=AMOUNTS, spans=SPANS,
    )
