"""`/height` and `/profile`: elevation as numbers, for who is granted feature info (a place) or coverages (a line)."""

import json

import flask

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.elevation import InDatum, Sample, Told, datum_of, datums, elevation_only, heights_at, sampled, sheets_of, summed_up, to_earth
from geoserver_app.gate import Asked, Drawn
from geoserver_app.messages import CHINESE
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, language, limits, raw_query, served
from geoserver_app.wiring import services
from tiles.errors import RequestInvalid
from tiles.permits import Permit
from tiles.requests import FAULTS, pairs_of
from tiles.requests.heights import GEOJSON, JSON, HeightAsked, ProfileAsked, parse_height, parse_profile

bp = flask.Blueprint("elevation", __name__)

DIGITS, MILLIMETRES = 7, 3
NOWHERE = (0.0, 0.0)


@bp.get("/height")
@governed("GetFeatureInfo")
def height():
    """Heights of places; `null` of a place that is not granted, has no data, or is nowhere on earth."""
    caller = caller_of("Height")
    asked = parse_height(pairs_of(raw_query()), limits())
    places = to_earth(asked.points, asked.crs)
    known = tuple(dict.fromkeys(place for place in places if place is not None))
    question = Asked(
        layer=asked.layer, operation=Operation.GET_FEATURE_INFO, format=JSON, crs=asked.crs, points=known, is_in_full=True, is_counted=bool(known),
    )
    return served(caller, [question], lambda permits: _heights(permits[0], asked, places, known))


def _heights(permit: Permit, asked: HeightAsked, places: list, known: tuple) -> Drawn:
    elevation_only(permit)
    datum = datum_of(permit, asked.datum)
    found = {one.place: one for one in heights_at(permit, known, services().engine.reader)}
    entries = [
        _entry(permit, found.get(place, Told(place=NOWHERE)), datum) | {"x": x, "y": y} for (x, y), place in zip(asked.points, places, strict=True)
    ]
    answer = _head(permit, datum) | {"crs": asked.crs} | ({"places": entries} if asked.is_batch else entries[0])
    return _answer(answer, JSON, tuple(one.place for one in found.values() if one.height is not None))


@bp.get("/profile")
@governed("GetCoverage")
def profile():
    """Heights along a line; `null` of a place that is not granted or has no data."""
    caller = caller_of("Profile")
    asked = parse_profile(pairs_of(raw_query()), limits())
    line = to_earth(asked.line, asked.crs)
    if None in line:
        detail = {"crs": asked.crs}
        raise RequestInvalid("InvalidParameterValue", "LINE", FAULTS["line-off-earth"].format(**detail), fault="line-off-earth", detail=detail)
    samples = sampled(line, asked.samples)
    question = Asked(
        layer=asked.layer, operation=Operation.GET_COVERAGE, format=asked.media_type, crs=asked.crs, points=tuple(one.place for one in samples),
        is_in_full=True,
    )
    return served(caller, [question], lambda permits: _profile(permits[0], asked, samples))


def _profile(permit: Permit, asked: ProfileAsked, samples: list[Sample]) -> Drawn:
    elevation_only(permit)
    datum = datum_of(permit, asked.datum)
    found = heights_at(permit, [one.place for one in samples], services().engine.reader)
    heights = [None if one.height is None else round(one.height + datum.shift, MILLIMETRES) for one in found]
    summary = summed_up(heights)
    head = _head(permit, datum) | {
        "length": round(samples[-1].distance, MILLIMETRES), "lowest": summary.lowest, "highest": summary.highest,
        "climb": round(summary.climb, MILLIMETRES), "descent": round(summary.descent, MILLIMETRES), "told": summary.told,
        "resolution": max((one.resolution for one in found if one.resolution is not None), default=None),
    }
    told = tuple(one.place for one in found if one.height is not None)
    if asked.media_type == GEOJSON:
        return _answer(_as_feature(head, samples, heights), GEOJSON, told)
    rows = [
        {"distance": round(one.distance, MILLIMETRES), "lon": round(one.place[0], DIGITS), "lat": round(one.place[1], DIGITS), "height": metres}
        for one, metres in zip(samples, heights, strict=True)
    ]
    return _answer(head | {"samples": rows}, JSON, told)


def _as_feature(head: dict, samples: list[Sample], heights: list[float | None]) -> dict:
    """A line of three dimensions (RFC 7946), broken where no height is told; a piece of one place is told as a line of no length."""
    runs, run = [], []
    for sample, metres in zip(samples, heights, strict=True):
        if metres is not None:
            run.append([round(sample.place[0], DIGITS), round(sample.place[1], DIGITS), metres])
        if run and (metres is None or sample is samples[-1]):
            runs.append(run if len(run) > 1 else run * 2)
            run = []
    geometry = {"type": "LineString", "coordinates": runs[0]} if len(runs) == 1 else {"type": "MultiLineString", "coordinates": runs} if runs else None
    return {"type": "Feature", "geometry": geometry, "properties": head}


def _entry(permit: Permit, told: Told, datum: InDatum) -> dict:
    if told.height is None:
        return {"height": None, "resolution": None, "sheet": None, "currency": None}
    sheet = sheets_of(services().catalogue, permit.edition).at(told.place)
    return {
        "height": round(told.height + datum.shift, MILLIMETRES), "resolution": told.resolution,
        "sheet": sheet and sheet.number, "currency": sheet.currency.isoformat() if sheet and sheet.currency else None,
    }


def _head(permit: Permit, datum: InDatum) -> dict:
    edition, known = permit.edition, datums().by_code.get(datum.code or "")
    return {
        "layer": edition.layer, "edition": edition.name, "unit": "m",
        "vertical_datum": datum.code and {
            "code": datum.code, "name": (known.name_zh if language() == CHINESE else known.name_en) if known else datum.code,
            "accuracy": datum.accuracy,
        },
        **({"credits": list(permit.credits)} if permit.credits else {}),
    }


def _answer(content: dict, media_type: str, told: tuple) -> Drawn:
    """What leaves, counted place by place; nothing is counted where no height is told."""
    body = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    return Drawn(body=body, content_type=f"{media_type}; charset=utf-8", tallies=(Tally(points=told) if told else None,))
