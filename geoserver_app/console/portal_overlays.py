"""An agency's own data on the portal: registering it with its progress, deciding on what is held back, drawing it, connecting services elsewhere."""

import json
from collections.abc import Mapping

import flask

from geoserver_app.api.faults import FieldFault, InputFaulty
from geoserver_app.api.overlays import DecisionSent, OverlayEditionTold, OverlayTold, SymbolsSent
from geoserver_app.api.remote_overlays import RemoteSent
from geoserver_app.console.frame import field, sent, tried
from geoserver_app.console.portal import PortalFrame, page
from geoserver_app.overlays.asking import ORIGINS, SUFFIXES
from geoserver_app.overlays.thematic import MOST_CLASSES, RAMPS, USUAL_CLASSES, Method
from geoserver_app.settings import CLASSIFICATIONS
from layers.crs import SERVED
from tiles.remote import kind_of
from tiles.symbols import ICONS

STATES: Mapping[str, tuple[str, str]] = {
    "waiting": ("等待文件", "waiting for its file"), "queued": ("排队", "waiting"), "running": ("处理中", "being taken in"), "held": ("已隔离，待决定", "held back"),
    "published": ("已发布", "published"), "failed": ("失败", "failed"), "cancelled": ("已取消", "called off"),
}
STEPS: Mapping[str, tuple[str, str]] = {
    "receiving": ("接收", "received"), "reading": ("读取", "being read"), "comparing": ("比对坐标", "coordinates compared"), "publishing": ("发布", "being published"),
    "over": ("", ""),
}
ORIGIN_WORDS: Mapping[str, tuple[str, str]] = {
    "survey": ("测绘", "surveyed"), "gnss": ("卫星定位", "GNSS"), "digitised-on-platform": ("在本平台上采集", "digitised on this platform"),
    "internet-map": ("互联网地图（GCJ-02）", "an internet map (GCJ-02)"),
}
METHODS: Mapping[str, tuple[str, str]] = {"natural": ("自然断点", "natural breaks"), "quantile": ("分位数", "quantiles"), "equal": ("等间距", "equal intervals")}
RAMP_WORDS: Mapping[str, tuple[str, str]] = {
    "blue": ("蓝", "blue"), "green": ("绿", "green"), "orange": ("橙", "orange"), "red": ("红", "red"), "purple": ("紫", "purple"), "grey": ("灰", "grey"),
}
ICON_WORDS: Mapping[str, tuple[str, str]] = {
    "circle": ("圆", "circle"), "square": ("方", "square"), "triangle": ("三角", "triangle"), "diamond": ("菱形", "diamond"), "star": ("星", "star"),
    "cross": ("十字", "cross"), "pin": ("图钉", "pin"), "car": ("车辆", "car"), "gauge": ("水尺", "gauge"), "dam": ("水库", "dam"), "works": ("施工", "works"),
    "warning": ("警示", "warning"), "camera": ("摄像头", "camera"), "flag": ("旗", "flag"),
}
CLASSIFICATION_WORDS: Mapping[str, tuple[str, str]] = {
    "public": ("公开", "public"), "internal": ("内部", "internal"), "secret": ("秘密", "secret"), "confidential": ("机密", "confidential"), "top-secret": ("绝密", "top secret"),
}


@page("portal.overlays", "/overlays", takes_forms=True)
def overlays(frame: PortalFrame) -> flask.Response:
    answer, problem = tried(frame, {
        "cancel": lambda: _cancel(frame), "decide": lambda: _decide(frame), "withdraw": lambda: _withdraw(frame), "connect": lambda: _connect(frame),
        "refresh": lambda: _refresh(frame),
    })
    if answer:
        return answer
    settings = frame.visit.services.settings
    ceiling = CLASSIFICATIONS[: CLASSIFICATIONS.index(settings.ceiling) + 1]
    held = {layer.name: layer for layer in frame.visit.services.catalogue.snapshot().layers.values()}
    return frame.shown(
        "overlays.html", problem=problem, rows=frame.ask("overlays.list")["items"], uploads=frame.ask("overlays.uploads")["items"],
        vintages=frame.visit.services.catalogue.vintages(), suffixes=",".join(SUFFIXES), systems=SERVED, most=settings.overlay_megabytes,
        refreshable={name for name, layer in held.items() if layer.owner == frame.agency and kind_of(layer.editions[0].remote) == "wfs"},
        states=_words(frame, STATES), steps=_words(frame, STEPS), origins=_chosen(frame, ORIGINS, ORIGIN_WORDS),
        methods=_chosen(frame, Method, METHODS), ramps=_chosen(frame, RAMPS, RAMP_WORDS), classes=range(2, MOST_CLASSES + 1), usual=USUAL_CLASSES,
        classifications=_chosen(frame, ceiling, CLASSIFICATION_WORDS),
    )


@page("portal.overlay", "/overlays/<layer>/<edition>", takes_forms=True)
def overlay(frame: PortalFrame, layer: str, edition: str) -> flask.Response:
    """Its rules, with a picture and a legend as they would be."""
    answer, problem = tried(frame, {"draw": lambda: _draw(frame, layer, edition)})
    if answer:
        return answer
    told: OverlayTold = frame.ask("overlays.get", layer=layer)
    one: OverlayEditionTold | None = next((found for found in told.editions if found.edition == edition), None)
    if one is None:
        frame.ask("overlays.picture", layer=layer, edition=edition, body=None)        # answers that there is nothing
    typed = field("symbols") if flask.request.method == "POST" else json.dumps(one.symbols, ensure_ascii=False, indent=1)
    return frame.shown(
        "overlay.html", problem=problem, told=told, one=one, typed=typed, icons=_chosen(frame, ICONS, ICON_WORDS), methods=_chosen(frame, Method, METHODS),
        ramps=_chosen(frame, RAMPS, RAMP_WORDS), classes=range(2, MOST_CLASSES + 1), usual=USUAL_CLASSES,
        tables=json.dumps([{"table": table.table, "geometry": table.geometry, "fields": table.fields} for table in one.tables], ensure_ascii=False),
    )


def _words(frame: PortalFrame, words: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {name: frame.say(*both) for name, both in words.items()}


def _chosen(frame: PortalFrame, names, words: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {str(name): frame.say(*words.get(str(name), (str(name), str(name)))) for name in names}


def _cancel(frame: PortalFrame) -> flask.Response:
    frame.act("overlays.uploads.cancel", {"upload": field("upload")})
    return frame.on("overlays", "overlay-called-off")


def _decide(frame: PortalFrame) -> flask.Response:
    body = sent(DecisionSent, publish=field("publish") == "yes", reason=field("reason"))
    frame.act("overlays.uploads.decide", {"upload": field("upload")}, body=body)
    return frame.on("overlays", "overlay-decided")


def _withdraw(frame: PortalFrame) -> flask.Response:
    frame.act("overlays.withdraw", {"layer": field("layer"), "edition": field("edition")})
    return frame.on("overlays", "overlay-withdrawn")


def _refresh(frame: PortalFrame) -> flask.Response:
    frame.act("overlays.refresh", {"layer": field("layer")})
    return frame.on("overlays", "overlay-refreshing")


def _connect(frame: PortalFrame) -> flask.Response:
    kind = field("credential")
    credential = {"kind": kind, "user": field("user"), "password": field("password"), "token": field("token"), "name": field("header"), "value": field("value")}
    body = sent(
        RemoteSent, kind=field("kind"), url=field("url"), layers=[part.strip() for part in field("layers").split(",") if part.strip()], name=field("name"),
        title_zh=field("title_zh"), title_en=field("title_en"), credential=credential if kind else None,
    )
    frame.act("overlays.remote", body=body)
    return frame.on("overlays", "overlay-connected")


def _draw(frame: PortalFrame, layer: str, edition: str) -> flask.Response:
    try:
        symbols = json.loads(field("symbols") or "null")
    except ValueError:
        raise InputFaulty(FieldFault(pointer="/symbols", code="symbols-not-json")) from None
    if symbols == {"tables": {}}:
        symbols = None
    frame.act("overlays.symbols", {"layer": layer, "edition": edition}, body=SymbolsSent(generation=int(field("generation") or 0), symbols=symbols))
    return frame.on("overlay", "overlay-drawn", layer=layer, edition=edition)
