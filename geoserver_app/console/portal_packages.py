"""Ordering files on the portal: an area by drawing, by division, by map sheet; how far they are; and fetching them."""

import json
from collections.abc import Mapping

import flask

from agreements.model import Operation
from geoserver_app.api.faults import FieldFault, InputFaulty
from geoserver_app.api.packages import PackageSent
from geoserver_app.api.reading import PageQuery
from geoserver_app.console.frame import asked, field, fields, sent, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.console.portal_area import Choice, shapes_of
from geoserver_app.console.portal_layers import OwnLayer, own_layers
from geoserver_app.console.portal_requests import MOST_CHOICES
from geoserver_app.packages.orders import Form
from layers.crs import SERVED

FORMS: Mapping[Form, tuple[str, str]] = {
    Form.COG: ("COG（云优化 GeoTIFF，带金字塔）", "COG: GeoTIFF with overviews"), Form.GEOTIFF: ("GeoTIFF", "GeoTIFF"),
    Form.PNG: ("PNG + 坐标文件", "PNG with world files"), Form.JPEG: ("JPEG + 坐标文件", "JPEG with world files"),
    Form.GPKG: ("GeoPackage（矢量）", "GeoPackage (features)"), Form.GEOJSON: ("GeoJSON（矢量）", "GeoJSON (features)"),
    Form.FLATGEOBUF: ("FlatGeobuf（矢量）", "FlatGeobuf (features)"), Form.SHAPEFILE: ("Shapefile（矢量，GBK 编码）", "Shapefile (features, in GBK)"),
    Form.DELIVERED: ("原样图幅（整幅在授权范围内的为交付原件，其余裁切）", "map sheets as delivered (cut where a sheet is not granted as a whole)"),
}

STATES: Mapping[str, tuple[str, str]] = {
    "queued": ("排队", "waiting"), "running": ("制作中", "being made"), "ready": ("可下载", "ready"), "failed": ("失败", "failed"),
    "cancelled": ("已取消", "called off"), "expired": ("已过期", "over"), "taken-back": ("已收回", "taken back"),
}


@page("portal.packages", "/packages", takes_forms=True)
def packages(frame: PortalFrame) -> flask.Response:
    answer, problem = tried(frame, {"order": lambda: _order(frame), "cancel": lambda: _cancel(frame)})
    if answer:
        return answer
    layers = [one for one in own_layers(frame) if Operation.DOWNLOAD in one.entry.operations]
    chosen = _chosen(layers, field("layer") or asked(Choice, "layer").layer)
    divisions = {code: name for code, name, *_ in frame.visit.services.catalogue.divisions()}
    return frame.shown(
        "packages.html", problem=problem, layers=layers, chosen=chosen, shapes=shapes_of(chosen, has_outlines=False) if chosen else "",
        choices=sorted(sorted(divisions.items(), key=lambda one: len(one[0]))[:MOST_CHOICES]), systems=SERVED,
        forms={form.value: frame.say(*words) for form, words in FORMS.items()}, states={name: frame.say(*words) for name, words in STATES.items()},
        rows=frame.ask("packages.list", query=PageQuery(limit=100))["items"],
    )


def _chosen(layers: list[OwnLayer], name: str) -> OwnLayer | None:
    """What is not shared can't be chosen; then it is the first."""
    return next((one for one in layers if one.name == name), layers[0] if layers else None)


def _order(frame: PortalFrame) -> flask.Response:
    body = sent(
        PackageSent, layers=fields("layer"), area=_area(), format=field("format"), crs=field("crs"), resolution=_number(field("resolution")),
        style=field("style"),
    )
    frame.act("packages.order", body=body)
    return frame.on("packages", "ordered")


def _area() -> dict:
    """All that was named of it together. Raises InputFaulty for a drawing that is none."""
    area = {"divisions": fields("division"), "sheets": field("sheets").replace("，", " ").replace(",", " ").split()}
    if drawn := field("drawn"):
        try:
            area["geojson"] = json.loads(drawn)
        except ValueError:
            raise InputFaulty(FieldFault(pointer="/area", code="package-drawn")) from None
    return {name: value for name, value in area.items() if value}


def _number(text: str) -> float | str:
    """What is no number is told as such by what reads it."""
    try:
        return float(text)
    except ValueError:
        return text


def _cancel(frame: PortalFrame) -> flask.Response:
    frame.act("packages.cancel", {"package": field("package")})
    return frame.on("packages", "called-off")
