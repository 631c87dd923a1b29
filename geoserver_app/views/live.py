"""`/live/{layer}/events`: what changes in a live layer, as it changes, by server-sent events."""

import re

import flask

from geoserver_app.api.faults import ApiFault
from geoserver_app.identity import client_address, presented_key
from geoserver_app.live.budget import Places
from geoserver_app.live.hub import Hubs
from geoserver_app.live.stream import EVENT_STREAM, LEAST, MOST, USUAL, Viewer, Watched
from geoserver_app.messages import sentence
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of
from geoserver_app.wiring import services
from layers.model import Bounds, LayerName
from tiles.errors import RequestInvalid

bp = flask.Blueprint("live", __name__)

STAMP = re.compile(r"[0-9]{1,18}")
RETRY_SECONDS = "5"


@bp.record_once
def _prepare(state) -> None:
    wired = state.app.extensions["geoshare"]
    state.app.extensions["live"] = Hubs(wired.settings.store, wired.feature_ids), Places(wired.settings.live_viewers)


@bp.get("/live/<layer>/events")
@governed("GetFeature")
def events(layer: str):
    """All that the caller may see of the layer, then what changes of it, until nothing is granted any more or the viewer leaves."""
    caller = caller_of("GetFeature")
    watched = _watched(layer)
    wired, (hubs, places) = services(), flask.current_app.extensions["live"]
    presented, address = presented_key(flask.request.environ), client_address(flask.request.environ, wired.gate.trusted_proxies)
    viewer = Viewer(wired, hubs, caller, watched, lambda: wired.gate.identify(presented, address))
    if not places.take():
        raise ApiFault("live-full", 503, headers={"Retry-After": RETRY_SECONDS})
    stream = _Stream(viewer, places)
    try:
        stream.first = viewer.start()
    except BaseException:
        stream.close()
        raise
    headers = [("X-Accel-Buffering", "no"), *viewer.headers]             # a proxy before us that gathers answers would hold events back
    return flask.Response(stream, content_type=f"{EVENT_STREAM}; charset=utf-8", headers=headers, direct_passthrough=True)


class _Stream:
    """The body of the answer: gives the viewer's place back when it ends, however it ends."""

    def __init__(self, viewer: Viewer, places: Places):
        self._viewer, self._places, self._events, self.first = viewer, places, None, b""

    def __iter__(self):
        return self

    def __next__(self) -> bytes:
        if self._events is None:
            self._events = self._viewer.events(self.first)
        try:
            return next(self._events)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.give_back()

    __del__ = close


def _watched(layer: str) -> Watched:
    """Raises RequestInvalid."""
    arguments = flask.request.args
    try:
        name = LayerName.parse(layer)
    except ValueError as error:
        raise RequestInvalid("InvalidParameterValue", "layer", str(error)) from None
    last = flask.request.headers.get("Last-Event-ID") or arguments.get("last", "")
    return Watched(layer=name, every=_every(arguments.get("every")), box=_box(arguments.get("bbox")), last=int(last) if STAMP.fullmatch(last) else None)


def _every(text: str | None) -> float:
    if text is None:
        return USUAL
    try:
        every = float(text)
    except ValueError:
        every = 0.0
    if not LEAST <= every <= MOST:
        raise _fault("every", "live-every", least=f"{LEAST:g}", most=f"{MOST:g}")
    return every


def _box(text: str | None) -> Bounds | None:
    if text is None:
        return None
    try:
        west, south, east, north = map(float, text.split(","))
        if -180 <= west < east <= 180 and -90 <= south < north <= 90:
            return Bounds(west, south, east, north)
    except ValueError:
        pass
    raise _fault("bbox", "live-box")


def _fault(locator: str, fault: str, **detail: str) -> RequestInvalid:
    return RequestInvalid("InvalidParameterValue", locator, sentence(fault, detail, "en"), fault=fault, detail=detail)
