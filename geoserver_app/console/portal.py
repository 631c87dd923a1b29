"""The portal: what an agency has, may see, owes and asks for, on pages for its own members.

Every page shows what the API's operations tell the same person, or what the gate decides for his agency: nothing of anybody else's is at hand here.
"""

from collections.abc import Callable, Iterator

import flask

from agreements.life.lifecycle import Role
from geoserver_app.console import frame as console_frame
from geoserver_app.console.frame import Frame, View
from geoserver_app.messages import CHINESE, LANGUAGES

bp = flask.Blueprint("portal", __name__, url_prefix="/portal")

MEMBERS = frozenset({Role.MEMBER})

NAVIGATION: tuple[tuple[str, tuple[str, str]], ...] = (
    ("overview", ("总览", "Overview")),
    ("area", ("我的范围", "My ground")),
    ("connect", ("接入", "Connect")),
    ("packages", ("数据包", "Packages")),
    ("overlays", ("专题图层", "Overlays")),
    ("maps", ("地图", "Maps")),
    ("explain", ("为什么看不到", "Why can't I see this?")),
    ("audit", ("我的记录", "My records")),
    ("contributions", ("回馈", "Contributions")),
    ("corrections", ("纠错", "Corrections")),
    ("requests", ("申请", "Requests")),
)
"""Endpoint, and title in Chinese and English."""


class PortalFrame(Frame):
    """Who looks at a page of the portal: a member, for his agency."""

    __slots__ = ()

    folder = "portal"

    @property
    def agency(self) -> str:
        return self.person.agency

    @classmethod
    def around(cls, language: str, frame: Frame | None) -> dict:
        is_member = frame is not None and frame.person.is_member
        own = {
            "to": address, "house": "单位门户" if language == CHINESE else "Agency portal",
            "navigation": list(_navigation(language)) if is_member else [],
        }
        return Frame.around(language, frame) | own

    def on(self, endpoint: str, done: str = "", **places) -> flask.Response:
        return flask.redirect(address(endpoint, **places, **({"done": done} if done else {})), 303)


def page(operation: str, *rules: str, takes_forms: bool = False) -> Callable[[View], View]:
    """Declares a page at `rules` below /portal for members of agencies; the view is called with the PortalFrame and its places."""
    return console_frame.page(operation, *rules, roles=MEMBERS, takes_forms=takes_forms, house=bp, kind=PortalFrame)


def address(endpoint: str, **places) -> str:
    """Of a page of the portal, or of the console's where the portal has none of that name; in the language that the visitor chose."""
    if f"portal.{endpoint}" not in flask.current_app.view_functions:
        return console_frame.address(endpoint, **places)
    chosen = flask.request.args.get("lang")
    return flask.url_for(f"portal.{endpoint}", **places, **({"lang": chosen} if chosen in LANGUAGES else {}))


def _navigation(language: str) -> Iterator[tuple[str, str]]:
    for endpoint, title in NAVIGATION:
        if f"portal.{endpoint}" in flask.current_app.view_functions:
            yield endpoint, title[LANGUAGES.index(language)]
