"""A small world: agreements, requests and a gazetteer, each made in one line."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import shapely

from agreements.areas import area_on_the_ground
from agreements.model import BUREAU, Agreement, Area, Grant, Operation, OverlayRequest, Term

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI)


NOON = at(2026, 11, 23, 12)
TERM = Term(start=at(2026, 1, 1), end=at(2029, 1, 1))


def box(west: float, south: float, east: float, north: float) -> Area:
    return area_on_the_ground(shapely.box(west, south, east, north), f"{west},{south},{east},{north}")


EAST, WEST = box(118.5, 32.0, 119.0, 32.5), box(118.0, 32.0, 118.5, 32.5)
BOTH = box(118.0, 32.0, 119.0, 32.5)


def grant(**terms) -> Grant:
    return Grant(**{
        "clause": "3.1", "layers": frozenset({"dom"}), "operations": frozenset({Operation.GET_MAP}), "area": WEST, **terms,
    })


def agreement(*grants: Grant, **terms) -> Agreement:
    return Agreement(**{
        "agreement_id": "AG-1", "version": 1, "title": "sharing with water", "grantor": BUREAU, "grantee": "water", "term": TERM,
        "grants": grants or (grant(),), "contact": "the sharing office", **terms,
    })


def request(**terms) -> OverlayRequest:
    return OverlayRequest(**{
        "agency": "water", "layer": "dom", "edition": "2011", "owner": BUREAU, "operation": Operation.GET_MAP, "at": NOON, **terms,
    })


class SmallGazetteer:
    """Two divisions side by side at one vintage, the second also at an older one, two sheets; drawn shapes are taken as CRS84, and a metre
    as a hundred-thousandth of a degree."""

    divisions = {
        "320104": {"2020": ("秦淮区", WEST.geometry)},
        "320105": {"2011": ("建邺区", shapely.box(118.5, 32.0, 118.9, 32.5)), "2020": ("建邺区", EAST.geometry)},
    }
    sheets = {"I50G095077": shapely.box(118.1, 32.1, 118.2, 32.2), "I50G095078": shapely.box(118.2, 32.1, 118.3, 32.2)}

    def division(self, code, vintage=None):
        vintages = self.divisions.get(code, {})
        if not vintages or vintage not in (None, *vintages):
            raise LookupError(f"division `{code}` is not known: see `geoshare division list`")
        vintage = vintage or max(vintages)
        return (*vintages[vintage], vintage)

    def sheet(self, number):
        if number not in self.sheets:
            raise LookupError(f"`{number}` is not a GB/T 13989 sheet number")
        return self.sheets[number]

    def geometry(self, geojson, crs):
        if crs not in ("CRS:84", "EPSG:4490"):
            raise LookupError(f"CRS `{crs}` is not known")
        try:
            return shapely.from_geojson(json.dumps(geojson))
        except shapely.errors.GEOSException as error:
            raise LookupError(f"the GeoJSON can't be read: {error}") from error

    def buffer(self, geojson, crs, metres):
        return self.geometry(geojson, crs).buffer(metres / 1e5)

    def purpose(self, code):
        if code not in ("planning", "flood-control"):
            raise LookupError(f"`{code}` is not a purpose: use planning, flood-control")
        return code

    def rows(self, cql2):
        if "=" not in cql2:
            raise LookupError(f"`{cql2}` is not CQL2 text")
