"""Quotas in the service: what counts, what an answer tells of it, and what happens when there is no more."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from PIL import Image
from served import fetch, serving

from agreements.model import GRANTABLE, Agreement, Effect, Operation, ResolutionWindow
from agreements.quota import Limit, Measure, Quota, Rate, Window
from agreements.record import Record, UseLimits
from geoserver_app.cli import main
from geoserver_app.clock import SHANGHAI
from geoserver_app.decision_log import read_segment
from geoserver_app.explaining import explain_record
from geoserver_app.metering.counts import BLOCK
from layers.crs import transform_bounds
from layers.model import Bounds
from tiles.encode import blank
from tiles.grids import TILE_MATRIX_SETS

NOON = datetime(2026, 11, 25, 12, tzinfo=SHANGHAI)
BOUNDS = Bounds(379_000, 3_551_000, 388_000, 3_560_000)
WEST = shapely.box(118.7, 32.05, 118.766, 32.17)
EAST = shapely.box(118.766, 32.05, 118.83, 32.17)

ROW, COL = 6646, 13597
"""A tile of zoom 14 wholly on the data."""

OUTSIDE = "/tiles/dom/WebMercatorQuad/14/13000/6646.png"
WMS = "/ows?SERVICE=WMS&VERSION=1.3.0"
GET_MAP = f"{WMS}&REQUEST=GetMap&LAYERS=dom&STYLES=&CRS=EPSG:4549&BBOX=3556000,382000,3557000,383000&WIDTH=100&HEIGHT=50&FORMAT=image/png"
INFO = (
    f"{WMS}&REQUEST=GetFeatureInfo&LAYERS=dom&QUERY_LAYERS=dom&STYLES=&CRS=EPSG:4549&BBOX=3556000,382000,3557000,383000"
    "&WIDTH=100&HEIGHT=100&I=50&J=50&FORMAT=image/png&INFO_FORMAT=application/json"
)


def tile(z: int = 14, row: int = ROW, col: int = COL, layer: str = "dom", extension: str = "png") -> str:
    return f"/tiles/{layer}/WebMercatorQuad/{z}/{col}/{row}.{extension}"


def limits(**most: float) -> Quota:
    """`requests_day=3`, `bytes_month=1000` ..."""
    return Quota(limits=tuple(
        Limit(measure=Measure(name.split("_")[0]), window=Window(name.split("_")[1]), most=value) for name, value in most.items()
    ))


EVERYTHING = Quota(limits=(
    *limits(requests_day=1e6, megapixels_day=1e6, features_day=1e6, bytes_day=1e12).limits,
    Limit(measure=Measure.GROUND, window=Window.DAY, most=1e6, resolution=20.0),
))


@pytest.fixture(scope="module")
def county(lasting_house):
    rng = np.random.default_rng(1)
    pixels = rng.integers(1, 255, (3, 300, 300), dtype=np.uint8)
    lasting_house.raster("dom", pixels, BOUNDS.left, BOUNDS.top, 30.0)
    heights = rng.uniform(10, 90, (1, 300, 300)).astype(np.float32)
    heights[:, :, 150:] = -9999                               # the eastern half shows nothing
    lasting_house.raster("half", heights, BOUNDS.left, BOUNDS.top, 30.0, product="DEM", nodata=-9999)
    return lasting_house


@dataclass
class Party:
    """An agency of its own for one test, with one agreement."""

    house: object
    name: str
    agreement: Agreement

    def get(self, path: str, **headers):
        return self.house.get(path, self.name, **headers)

    def used(self, agreement: Agreement | None = None) -> dict[str, float]:
        """Of the newest version that is registered."""
        agreement = agreement or self.agreement
        return {one.name: one.used for one in self.house.services.meter.usage(agreement, self.house.services.gate.clock())}

    def amend(self, **changes) -> None:
        self.agreement = replace(self.agreement, version=self.agreement.version + 1, **changes)
        self.house.services.register.register(self.agreement, f"version {self.agreement.version}")
        self.house.look_again()


@pytest.fixture
def party(county, request):
    """`party(quota, area=...)`: a new agency that is granted all layers under a quota."""
    made = []

    def make(quota: Quota | None, *layers: str, area=None, **fields) -> Party:
        name = f"agency{abs(hash(request.node.name)) % 10**8}-{len(made)}"
        county.agency(name)
        terms = {key: fields.pop(key) for key in ("attributes", "resolution", "scale", "operations") if key in fields}
        agreement = county.agree(name, county.clause(*(layers or ("dom", "half")), area=area, **terms), quota=quota, **fields)
        made.append(name)
        return Party(county, name, agreement)

    return make


def records(house) -> list[dict]:
    return [event for path in sorted(house.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]


def picture(answer) -> Image.Image:
    return Image.open(io.BytesIO(answer.data))


def remaining(answer) -> dict[str, int]:
    """By the name of the limit, as the header tells it."""
    items = [item.split(";") for item in answer.headers.get("RateLimit", "").split(", ") if item]
    return {name.strip('"'): int(parameters[0].removeprefix("r=")) for name, *parameters in items}


# -- what counts

def test_a_tile_counts_as_one_request_with_its_pixels_bytes_and_ground_from_the_cache_and_when_it_is_drawn(party):
    one = party(EVERYTHING)
    path = tile(13, ROW // 2, COL // 2)
    drawn, stored = one.get(path), one.get(path)
    assert drawn.data == stored.data and dict(drawn.headers) | {"RateLimit": ""} == dict(stored.headers) | {"RateLimit": ""}
    used = one.used()
    assert used["requests-day"] == 2
    assert used["bytes-day"] == 2 * len(drawn.data)
    assert 0 < used["megapixels-day"] <= 2 * 65536 / 1e6
    assert used["km2-day-20m"] == pytest.approx(km2_of(13, ROW // 2, COL // 2), rel=0.02)


def km2_of(z: int, row: int, col: int) -> float:
    """Of a tile, as far as there are data."""
    from geoserver_app.metering.exports import square_metres
    from layers.crs import transform_geometry

    grid = TILE_MATRIX_SETS["WebMercatorQuad"]
    of_tile = shapely.box(*transform_bounds(grid.bounds(z, row, col), grid.crs, "CRS:84"))
    data = transform_geometry(shapely.segmentize(shapely.box(*BOUNDS), 500), "EPSG:4549", "CRS:84")
    return square_metres(shapely.intersection(of_tile, data)) / 1e6


def test_pixels_that_show_nothing_do_not_count(party):
    border, beyond = (
        GET_MAP.replace("dom", "half").replace("382000", west).replace("383000", east) for west, east in (("383050", "384050"), ("385000", "386000"))
    )
    for transparent in ("TRUE", "FALSE"):                     # what is laid under them changes nothing
        one = party(limits(megapixels_day=100))
        answer = one.get(f"{border}&TRANSPARENT={transparent}")
        if transparent == "TRUE":
            shown = np.count_nonzero(np.asarray(picture(answer).convert("RGBA"))[..., 3])
        assert 0 < shown < 5000 and one.used() == {"megapixels-day": shown / 1e6}
        assert one.get(beyond).status_code == one.get(tile(layer="half", col=13599)).status_code == 200
        assert one.used() == {"megapixels-day": shown / 1e6}


def test_each_layer_of_a_map_counts_its_pixels_and_the_answer_one_request(party):
    one = party(limits(requests_day=9, megapixels_day=9, bytes_day=1e6))
    answer = one.get(GET_MAP.replace("LAYERS=dom&STYLES=", "LAYERS=dom,half&STYLES=,"))
    assert one.used() == {"requests-day": 1, "megapixels-day": 2 * 5000 / 1e6, "bytes-day": len(answer.data)}


COUNTS_NOTHING = {
    "a tile outside": lambda one: one.get(OUTSIDE),
    "a map outside": lambda one: one.get(GET_MAP.replace("BBOX=3556000,382000,3557000,383000", "BBOX=3556000,302000,3557000,303000")),
    "a tile of a layer that is not shared": lambda one: one.get(tile(layer="absent")),
    "a request that can't be read": lambda one: one.get(GET_MAP.replace("WIDTH=100", "WIDTH=-1")),
    "a format that is not known": lambda one: one.get(tile(extension="bmp")),
    "WMS capabilities": lambda one: one.get("/ows?SERVICE=WMS&REQUEST=GetCapabilities"),
    "WMTS capabilities": lambda one: one.get("/wmts/1.0.0/WMTSCapabilities.xml"),
    "TileJSON": lambda one: one.get("/tiles/dom.json"),
    "the catalogue": lambda one: one.get("/api/v1/layers"),
    "a legend": lambda one: one.get("/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetLegendGraphic&LAYER=dom&FORMAT=image/png&SLD_VERSION=1.1.0"),
    "feature info outside": lambda one: one.get(INFO.replace("382000", "302000").replace("383000", "303000")),
}


@pytest.mark.parametrize("name", COUNTS_NOTHING)
def test_what_lets_nothing_out_counts_nothing(party, name):
    one = party(EVERYTHING, area=WEST)
    before = one.used()
    answer = COUNTS_NOTHING[name](one)
    assert one.used() == before and set(before.values()) == {0}
    assert "RateLimit" not in answer.headers and "RateLimit-Policy" not in answer.headers


REQUEST_ALONE = {
    "304": lambda one: one.get(tile(), **{"If-None-Match": one.get(tile()).headers["ETag"]}),
    "HEAD of a tile": lambda one: one.house.client().head(tile(), headers={"X-API-Key": one.house.keys[one.name]}),
    "HEAD of a map": lambda one: one.house.client().head(GET_MAP, headers={"X-API-Key": one.house.keys[one.name]}),
}


@pytest.mark.parametrize("name", REQUEST_ALONE)
def test_what_sends_no_body_counts_as_a_request_alone(party, name):
    one = party(EVERYTHING)
    one.get(tile())
    before = one.used()
    answer = REQUEST_ALONE[name](one)
    asked = 2 if name == "304" else 1
    full = one.get(tile()) if name == "304" else None
    after = one.used()
    assert after["requests-day"] == before["requests-day"] + asked + (full is not None)
    assert remaining(answer)["requests-day"] == 1e6 - before["requests-day"] - asked
    if name == "304":
        assert answer.status_code == 304 and after["bytes-day"] == before["bytes-day"] + 2 * len(full.data)
    else:
        assert {k: v for k, v in after.items() if k != "requests-day"} == {k: v for k, v in before.items() if k != "requests-day"}


def test_feature_info_counts_what_it_tells_and_the_ground_of_its_place(party):
    one = party(EVERYTHING)
    for _ in range(2):
        answer = one.get(INFO)
    used = one.used()
    assert (used["requests-day"], used["features-day"], used["megapixels-day"]) == (2, 2, 0)
    assert used["bytes-day"] == 2 * len(answer.data)
    assert used["km2-day-20m"] == pytest.approx(25e-6)
    one.get(INFO.replace("I=50", "I=60"))
    assert one.used()["km2-day-20m"] == pytest.approx(50e-6)


def test_a_request_that_was_let_in_counts_though_it_could_not_be_drawn(party, monkeypatch):
    from tiles.errors import RenderFailed

    one = party(limits(requests_day=9))

    def fail(*_, **__):
        raise RenderFailed("gone")

    with monkeypatch.context() as patched:
        patched.setattr(one.house.services.engine, "map", fail)
        assert one.get(GET_MAP).status_code == 503
    assert one.used() == {"requests-day": 1}


def test_ground_seen_by_tiles_is_not_counted_again_by_maps_of_it(party):
    one = party(EVERYTHING)
    one.get(tile())
    once = one.used()["km2-day-20m"]
    bounds = transform_bounds(TILE_MATRIX_SETS["WebMercatorQuad"].bounds(14, ROW, COL), "EPSG:3857", "EPSG:3857")
    box = ",".join(str(value) for value in bounds)
    for side in (200, 256):
        one.get(f"{WMS}&REQUEST=GetMap&LAYERS=dom&STYLES=&CRS=EPSG:3857&BBOX={box}&WIDTH={side}&HEIGHT={side}&FORMAT=image/jpeg")
    one.get(tile(15, 2 * ROW, 2 * COL))
    assert one.used()["km2-day-20m"] == pytest.approx(once, rel=0.01)
    one.get(tile(10, ROW // 16, COL // 16))                   # coarser than the limit speaks of
    assert one.used()["km2-day-20m"] == pytest.approx(once, rel=0.01)


def test_an_agreement_without_a_quota_costs_no_counter(party, monkeypatch):
    one = party(None)
    monkeypatch.setattr(one.house.services.meter, "charge", lambda *_: pytest.fail("nothing is to be counted"))
    for path in (tile(), GET_MAP, INFO):
        answer = one.get(path)
        assert answer.status_code == 200 and "RateLimit" not in answer.headers
    assert not one.house.services.meter.ledgers.folder_of(one.agreement.agreement_id).exists()
    owner = one.house.get(tile(), "bureau")
    assert owner.status_code == 200 and "RateLimit" not in owner.headers


# -- when there is no more

def test_the_last_request_of_a_limit_is_answered_also_where_the_tile_must_be_drawn_first(party):
    for number, path in enumerate((tile(15, 2 * ROW + 1, 2 * COL + 1), GET_MAP)):
        one = party(limits(requests_day=1))
        assert [one.get(path).status_code for _ in range(2)] == [200, 429], number


def test_a_limit_of_requests_ends_in_429_and_opens_at_midnight_in_shanghai(party, monkeypatch):
    one = party(limits(requests_day=3))
    monkeypatch.setattr(one.house.services.gate, "clock", lambda: NOON)
    assert [one.get(tile()).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    answer = one.get(tile())
    assert answer.headers["Retry-After"] == str(12 * 3600)
    assert remaining(answer) == {"requests-day": 0}
    problem = answer.json
    assert answer.content_type.startswith("application/problem+json")
    assert (problem["type"], problem["status"], problem["violated-policies"]) == ("/docs/errors#over-quota", 429, ["requests-day"])
    assert problem["reasons"][0]["agreement"] == one.agreement.agreement_id and problem["reasons"][0]["code"] == "over-quota"
    assert all(part in problem["detail"] for part in ("3 requests a day", "2026-11-26 00:00:00+08:00", "data@bureau.test", "clause 3.1"))
    for offset, status in ((timedelta(hours=12, milliseconds=-1), 429), (timedelta(hours=12), 200), (timedelta(hours=12, milliseconds=1), 200)):
        monkeypatch.setattr(one.house.services.gate, "clock", lambda offset=offset: NOON + offset)
        assert one.get(tile()).status_code == status


@pytest.mark.parametrize("quota, path, words", (
    (limits(requests_month=1), tile(), ("每月最多 1 次请求", "2026-12-01 00:00:00+08:00")),
    (limits(megapixels_day=0.1), tile(), ("每日最多 0.1 百万像素", "2026-11-26 00:00:00+08:00")),
    (limits(bytes_term=150_000), tile(), ("在整个协议期内最多 150,000 字节", "期内不再重新计算")),
    (limits(features_day=1), INFO, ("每日最多 1 个要素",)),
    (Quota(limits=(Limit(measure=Measure.GROUND, window=Window.MONTH, most=4.5),)), tile(), ("每月最多 4.5 平方公里（不重复面积）",)),
    (Quota(rate=Rate(per_second=0.5, burst=1)), tile(), ("平均每秒最多 0.5 次请求", "2026-11-25 12:00:02+08:00")),
))
def test_the_sentence_names_measure_limit_window_and_moment_in_chinese(party, monkeypatch, quota, path, words):
    one = party(quota)
    monkeypatch.setattr(one.house.services.gate, "clock", lambda: NOON)
    statuses = []
    for number in range(3):
        answer = one.get(path.replace(f"/{COL}/", f"/{COL - number}/"), **{"Accept-Language": "zh-CN"})
        statuses.append(answer.status_code)
    assert statuses[0] == 200 and statuses[-1] == 429
    detail = answer.json["detail"] if answer.is_json or "problem" in answer.content_type else answer.text
    assert all(word in detail for word in words), detail
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path, mark", (
    ("/wms?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=dom&STYLES=&SRS=EPSG:4549&BBOX=382000,3556000,383000,3557000&WIDTH=100&HEIGHT=50"
     "&FORMAT=image/png", b'<ServiceException code="OverQuota"'),
    (GET_MAP, b'<ServiceException code="OverQuota"'),
    (INFO, b'<ServiceException code="OverQuota"'),
    (f"/wmts/1.0.0/dom/default/WebMercatorQuad/14/{ROW}/{COL}.png", b'exceptionCode="OverQuota"'),
    (f"/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=dom&STYLE=&TILEMATRIXSET=WebMercatorQuad&TILEMATRIX=14&TILEROW={ROW}&TILECOL={COL}"
     "&FORMAT=image/png", b'exceptionCode="OverQuota"'),
    (tile(), b"application/problem+json"),
))
def test_every_protocol_tells_it_in_its_own_way(party, path, mark):
    one = party(limits(requests_term=1))
    assert one.get(tile()).status_code == 200
    answer = one.get(path)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) == 86_400
    assert mark in answer.data + answer.content_type.encode()
    assert remaining(answer) == {"requests-term": 0} and "no-store" in answer.headers["Cache-Control"]


def test_what_does_not_fit_is_not_sent_and_what_does_still_is(party):
    one = party(limits(megapixels_day=0.0605))
    small, large = GET_MAP, GET_MAP.replace("WIDTH=100&HEIGHT=50", "WIDTH=300&HEIGHT=200")
    assert one.get(small).status_code == 200
    refused = one.get(large)
    assert refused.status_code == 429 and b"\x89PNG" not in refused.data
    assert one.used() == {"megapixels-day": 0.005}
    assert one.get(small).status_code == 200


def test_ground_that_was_seen_may_be_looked_at_again_when_no_more_is_left(party):
    one = party(Quota(limits=(Limit(measure=Measure.GROUND, window=Window.TERM, most=4.5),)))
    assert one.get(tile()).status_code == 200
    assert one.get(tile(col=COL + 1)).status_code == 429
    assert one.get(tile()).status_code == 200
    assert one.get(tile(16, 4 * ROW + 1, 4 * COL + 2)).status_code == 200


def test_an_exhausted_agreement_answers_outside_tiles_as_ever(party):
    """A constant, with nothing in its headers that an agency without a quota would not get."""
    one, free = party(limits(requests_day=1), area=WEST), party(None, area=WEST)
    fresh = one.get(OUTSIDE)
    assert [one.get(tile()).status_code for _ in range(2)] == [200, 429]
    for answer in (fresh, one.get(OUTSIDE), free.get(OUTSIDE)):
        assert answer.status_code == 200 and answer.data == blank("image/png", 256, 256)
        assert dict(answer.headers) == dict(fresh.headers)


def test_where_one_agreement_is_exhausted_another_still_lets_out_its_part(party, county):
    one = party(limits(requests_day=1), area=WEST)
    county.agree(one.name, county.clause("dom", area=EAST))
    middle = tile(13, ROW // 2, 6798)
    whole, half = one.get(middle), one.get(middle)
    assert (whole.status_code, half.status_code) == (200, 200)
    seen, left = (np.asarray(picture(answer).convert("RGBA"))[..., 3] > 0 for answer in (whole, half))
    assert 0 < left.sum() < seen.sum() and not (left & ~seen).any()
    assert remaining(whole) == remaining(half) == {"requests-day": 0}
    assert "RateLimit" not in one.get(tile(col=13599)).headers       # wholly in the east
    assert one.get(tile(col=13595)).status_code == 429               # wholly in the west


def test_the_record_says_which_agreements_were_exhausted_and_what_was_charged(party):
    one = party(limits(requests_day=1, bytes_day=1e6))
    answer = one.get(GET_MAP)
    one.get(GET_MAP)
    let_out, refused = [event["layers"][0] for event in records(one.house) if event.get("agency") == one.name][-2:]
    assert let_out["charged"] == {one.agreement.agreement_id: {"requests": 1, "pixels": 5000, "bytes": len(answer.data)}}
    assert (refused["effect"], refused["exhausted"]) == ("deny", [one.agreement.agreement_id]) and "charged" not in refused
    assert refused["reasons"] == [[one.agreement.agreement_id, 1, "3.1", "over-quota"]]
    one.amend(quota=limits(requests_day=9, bytes_day=1e6))
    stored = one.get(tile())
    (event,) = [event for event in records(one.house) if event.get("agency") == one.name and event.get("tile") == [14, ROW, COL]][-1:]
    assert event["charged"] == {one.agreement.agreement_id: {"requests": 1, "pixels": 65536, "bytes": len(stored.data)}}


def test_a_map_that_does_not_fit_leaves_a_record_of_its_refusal_alone(party):
    one = party(limits(bytes_day=500))
    assert one.get(GET_MAP).status_code == 429
    (event,) = [event for event in records(one.house) if event.get("agency") == one.name]
    assert event["layers"][0]["effect"] == "deny" and event["layers"][0]["exhausted"] == [one.agreement.agreement_id]


# -- whose quota

PASSED_ON = Record(use=UseLimits(third_party=True))


def test_five_keys_have_no_more_than_one(party):
    one = party(limits(requests_day=10))
    keys = [one.house.services.register.issue_key(one.name, label=str(number))[1] for number in range(5)]
    one.house.look_again()
    statuses = [one.house.client().get(tile(), headers={"X-API-Key": key}).status_code for _ in range(4) for key in keys]
    assert statuses == [200] * 10 + [429] * 10


def test_two_agencies_do_not_count_on_one_another(party):
    one, other = party(limits(requests_day=2)), party(limits(requests_day=2))
    assert [one.get(tile()).status_code for _ in range(3)] == [200, 200, 429]
    answer = other.get(tile())
    assert answer.status_code == 200 and remaining(answer) == {"requests-day": 1}


def test_an_amendment_goes_on_counting_and_opens_at_once(party):
    one = party(limits(requests_term=2))
    assert [one.get(tile()).status_code for _ in range(3)] == [200, 200, 429]
    one.amend(quota=limits(requests_term=3))
    assert [one.get(tile()).status_code for _ in range(2)] == [200, 429]
    one.amend(quota=None)
    assert one.get(tile()).status_code == 200


def test_what_a_contractor_uses_counts_for_the_agreement_above_too(party, county):
    above = party(limits(requests_day=3), record=PASSED_ON)
    below = party(limits(requests_day=3), grantor=above.name, parent=above.agreement.agreement_id)
    assert above.get(tile()).status_code == 200
    answers = [below.get(tile()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert remaining(answers[1]) == {"requests-day": 1} and above.used() == {"requests-day": 3} and below.used() == {"requests-day": 2}
    refused = answers[2]
    assert above.agreement.agreement_id not in refused.get_data(as_text=True) and "RateLimit" not in refused.headers
    assert "another agreement grants, whose quota is used up" in refused.json["detail"] and int(refused.headers["Retry-After"]) > 0
    assert above.get(tile()).status_code == 429


def test_a_contractor_who_has_spent_his_own_leaves_the_rest_to_the_agreement_above(party):
    above = party(limits(requests_day=5), record=PASSED_ON)
    below = party(limits(requests_day=1), grantor=above.name, parent=above.agreement.agreement_id)
    assert [below.get(tile()).status_code for _ in range(3)] == [200, 429, 429]
    assert above.used() == {"requests-day": 1}


# -- rate

def test_a_pan_of_hundreds_of_tiles_passes_and_a_harvest_does_not(party, monkeypatch):
    one = party(Quota(rate=Rate(per_second=20)))
    monkeypatch.setattr(one.house.services.gate, "clock", lambda: NOON)
    statuses = [one.get(tile()).status_code for _ in range(205)]
    assert statuses == [200] * 200 + [429] * 5
    refused = one.get(tile())
    assert refused.headers["Retry-After"] == "1" and remaining(refused) == {"rate": 0}
    assert "20 requests a second" in refused.json["detail"]
    monkeypatch.setattr(one.house.services.gate, "clock", lambda: NOON + timedelta(seconds=1))
    assert [one.get(tile()).status_code for _ in range(21)] == [200] * 20 + [429]


# -- what can't be counted is not served

@pytest.mark.parametrize("path", (tile(), GET_MAP, INFO))
def test_counters_that_cannot_be_believed_are_503_and_no_pixels(party, path, monkeypatch):
    monkeypatch.setattr("geoserver_app.metering.files.LOOK_AGAIN", 0.0)
    one, free = party(limits(requests_day=9)), party(None)
    assert one.get(path).status_code == 200
    counts = one.house.services.meter.ledgers.folder_of(one.agreement.agreement_id) / "counts"
    with counts.open("r+b") as file:
        for block in (8, 8 + BLOCK):
            file.seek(block + BLOCK - 8)
            file.write(b"\x07" * 4)
    answer = one.get(path)
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    assert not answer.data.startswith((b"\x89PNG", b"\xff\xd8")) and b"counts" not in answer.data
    assert free.get(path).status_code == 200


def test_a_gate_that_has_no_meter_serves_nothing_that_is_to_be_counted(party, monkeypatch):
    one = party(limits(requests_day=9))
    monkeypatch.setattr(one.house.services.gate, "meter", None)
    assert [one.get(path).status_code for path in (tile(), GET_MAP, INFO)] == [503, 503, 503]


def test_workers_of_a_server_let_out_exactly_what_the_limit_says(party):
    """300 requests at once under a limit of 100, at two workers of four threads."""
    one = party(limits(requests_term=101))
    key = one.house.keys[one.name]
    with serving(one.house, workers="2") as base:
        fetch(f"{base}{tile()}", **{"X-API-Key": key})
        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda number: fetch(f"{base}{tile(col=COL - number % 3)}", **{"X-API-Key": key})[0], range(300)))
    assert statuses.count(200) == 100 and statuses.count(429) == 200


def test_headers_name_only_limits_of_the_agreements_that_let_something_out(party, county):
    one = party(limits(requests_day=5), area=WEST)
    other = county.agree(one.name, county.clause("dom", area=EAST), quota=limits(bytes_month=1e6))
    assert set(remaining(one.get(tile(col=13594)))) == {"requests-day"}
    assert set(remaining(one.get(tile(col=13599)))) == {"bytes-month"}
    both = one.get(GET_MAP.replace("BBOX=3556000,382000,3557000,383000", f"BBOX={BOUNDS.bottom},{BOUNDS.left},{BOUNDS.top},{BOUNDS.right}"))
    assert set(remaining_of_all(both)) == {"requests-day", "bytes-month"}
    assert other.agreement_id != one.agreement.agreement_id


def remaining_of_all(answer) -> set[str]:
    """A field may come several times: one for each agreement."""
    return {item.split(";")[0].strip('"') for value in answer.headers.getlist("RateLimit") for item in value.split(", ")}


def test_a_grant_of_finer_pixels_is_counted_by_the_pixels_that_are_asked(party):
    one = party(EVERYTHING, resolution=ResolutionWindow(finest=1.0), operations=GRANTABLE - {Operation.DOWNLOAD})
    one.get(tile(11, ROW // 8, COL // 8))                     # 65 m a pixel
    assert one.used()["km2-day-20m"] == 0 and one.used()["requests-day"] == 1


# -- at the shell

def typed(one: Party, *words: str):
    settings = one.house.services.settings
    return CliRunner().invoke(main, ["quota", *words], env={"GEOSHARE_DATA": str(settings.data), "COLUMNS": "200"})


def test_an_administrator_sees_how_a_quota_stands(party):
    one = party(replace(limits(requests_day=10, bytes_month=1e6), rate=Rate(per_second=20)))
    sent = len(one.get(tile()).data)
    rows = {row["limit"]: row for row in json.loads(typed(one, "show", one.agreement.agreement_id, "--json").stdout)}
    assert (rows["requests-day"]["used"], rows["requests-day"]["of"], rows["requests-day"]["remaining"]) == (1, 10, 9)
    assert rows["bytes-month"]["used"] == sent and rows["requests-day"]["begins anew"].endswith("00:00:00+08:00")
    assert set(rows) == {"rate", "requests-day", "bytes-month"}
    free = party(None)
    assert "has no quota" in typed(free, "show", free.agreement.agreement_id).output
    assert typed(one, "show", "AG-ABSENT").exit_code == 3


def test_an_administrator_may_begin_damaged_counts_anew_and_it_is_on_record(party, monkeypatch):
    monkeypatch.setattr("geoserver_app.metering.files.LOOK_AGAIN", 0.0)
    one = party(limits(requests_term=1))
    assert [one.get(tile()).status_code for _ in range(2)] == [200, 429]
    (one.house.services.meter.ledgers.folder_of(one.agreement.agreement_id) / "counts").unlink()
    assert one.get(tile()).status_code == 503
    assert typed(one, "show", one.agreement.agreement_id).exit_code == 1
    assert typed(one, "restart", one.agreement.agreement_id, "--reason", " ").exit_code == 3
    assert typed(one, "restart", one.agreement.agreement_id, "--reason", "disk was changed").exit_code == 0
    assert [one.get(tile()).status_code for _ in range(2)] == [200, 429]
    restarted = {"object": one.agreement.agreement_id, "operation": "quota.restart"}
    (event,) = [event for event in records(one.house) if restarted.items() <= {k: v for k, v in event.items() if isinstance(v, str)}.items()]
    assert event["reason"] == "disk was changed"


# -- explained years later

def test_a_refusal_for_a_spent_quota_is_explained_from_its_record_alone(party, county):
    """Both kinds: nothing is granted any more, and nothing of this place."""
    one = party(limits(requests_day=1), area=WEST)
    far_west = GET_MAP.replace("BBOX=3556000,382000,3557000,383000", "BBOX=3556000,380000,3557000,381000")
    assert [one.get(tile(col=13595)).status_code for _ in range(2)] == [200, 429]
    county.agree(one.name, county.clause("dom", area=EAST))
    info = INFO.replace("382000", "380000").replace("383000", "381000")
    assert [one.get(path).status_code for path in (tile(col=13595), far_west, info)] == [429] * 3
    refused = [event for event in records(county) if event.get("agency") == one.name and "deny" in str(event)]
    assert len(refused) == 4
    for event in refused:
        told = explain_record(county.services.settings.decisions, county.services.register, event["id"])
        assert told.agrees and told.effect is Effect.DENY, told.as_text()
        assert one.agreement.agreement_id in told.as_text()
