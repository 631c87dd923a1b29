"""TIME of WMS: which edition answers, and that an edition that is not shared changes no answer."""

from datetime import date, datetime
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from owslib.wms import WebMapService
from PIL import Image

from layers.model import Edition, ProductType
from layers.periods import Period, TimeAsked, edition_at, period_of, read_time, values_of

COLOURS = {"2006": (200, 20, 20), "2011": (20, 200, 20), "2016": (20, 20, 200)}
BOX = "CRS=EPSG:4549&BBOX=3541000,380000,3542000,381000&WIDTH=32&HEIGHT=32&FORMAT=image/png&STYLES="
MAP = f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&{BOX}&LAYERS="
INFO = f"/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetFeatureInfo&{BOX}&I=5&J=5&INFO_FORMAT=application/json&"
SPANS = {"2006": ("2005-10-01", "2006-06-30"), "2011": ("2010-05-01", "2011-09-30")}


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    for name, colour in COLOURS.items():
        picture = np.full((3, 100, 100), np.array(colour, "uint8")[:, None, None], "uint8")
        span = tuple(datetime.fromisoformat(day).date() for day in SPANS[name]) if name in SPANS else (None, None)
        house.raster("dom", picture, 379_500, 3_543_000, 50.0, edition=name, currency=span, lossless=True)
    house.raster("plain", np.full((3, 100, 100), 99, "uint8"), 379_500, 3_543_000, 50.0, edition="draft")
    for agency in ("all", "old", "middle", "nobody"):
        house.agency(agency)
    house.grant("all", "dom", "plain")
    house.grant("old", "dom@2006", "dom@2011")
    house.grant("middle", "dom@2011")
    return house


def colour(answer) -> str:
    assert answer.status_code == 200, answer.text
    pixel = Image.open(BytesIO(answer.data)).convert("RGB").getpixel((16, 16))
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))


@pytest.mark.parametrize("time, edition", [
    ("2011", "2011"), ("2011-09-30", "2011"), ("2010-05-01T00:00:00Z", "2011"), ("2006", "2006"), ("2005-11", "2006"), ("2016", "2016"), ("2016-12-31", "2016"),
    ("2008", "2006"), ("2010-04-30", "2006"), ("2014-01-01", "2011"), ("2030", "2016"), ("current", "2016"), ("LATEST", "2016"),
    ("2006/2011", "2011"), ("2005-11-01/2030", "2016"), ("2007/2009", "2006"), ("2006/current", "2016"), ("2011-10-01/2015-12-31", "2011"),
])
def test_a_time_means_the_newest_edition_that_was_true_then_else_the_last_before_it(county, time, edition):
    assert colour(county.get(f"{MAP}dom&TIME={time}", "all")) == edition


def test_without_a_time_the_newest_edition_answers_and_says_of_when_it_is(county):
    plain, dated = county.get(f"{MAP}dom", "all"), county.get(f"{MAP}dom&TIME=2016", "all")
    assert colour(plain) == "2016" and plain.data == dated.data
    assert plain.headers["Warning"] == "99 Default value used: time=2016-01-01 ISO8601"
    assert "Warning" not in dated.headers


def test_an_answer_by_a_value_near_by_says_so(county):
    assert county.get(f"{MAP}dom&TIME=2008", "all").headers["Warning"] == "99 Nearest value used: time=2005-10-01 ISO8601"
    assert "Warning" not in county.get(f"{MAP}dom&TIME=2006", "all").headers


def test_1_1_1_answers_alike(county):
    old = MAP.replace("1.3.0", "1.1.1").replace("CRS=", "SRS=").replace("3541000,380000,3542000,381000", "380000,3541000,381000,3542000")
    assert county.get(f"{old}dom&TIME=2006", "all").data == county.get(f"{MAP}dom&TIME=2006", "all").data


def test_what_is_told_of_a_place_and_its_legend_are_of_that_time(county):
    told = county.get(f"{INFO}LAYERS=dom&QUERY_LAYERS=dom&TIME=2006", "all").json["features"]
    assert [one["layer"] for one in told] == ["dom@2006"] and told[0]["properties"]["red"] > 150
    legend = county.get("/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetLegendGraphic&LAYER=dom&FORMAT=image/png&TIME=2006", "all")
    assert legend.status_code == 200


def test_a_time_earlier_than_all_says_which_there_are(county):
    answer = county.get(f"{MAP}dom&TIME=1999", "all")
    assert answer.status_code == 400 and "InvalidDimensionValue" in answer.text
    assert "2005-10-01, 2010-05-01, 2016-01-01" in answer.text


@pytest.mark.parametrize("time", ["2011", "2010-12", "current"])
def test_a_name_with_its_edition_and_a_time_of_another_contradict_each_other(county, time):
    answer = county.get(f"{MAP}dom@2006&TIME={time}", "all")
    assert answer.status_code == 400 and "2005-10-01/2006-06-30" in answer.text
    assert colour(county.get(f"{MAP}dom@2006&TIME=2006-01-01", "all")) == "2006"
    assert colour(county.get(f"{MAP}dom@2016&TIME=current", "all")) == "2016"


def test_layers_without_a_time_take_none(county):
    assert county.get(f"{MAP}plain&TIME=2006", "all").data == county.get(f"{MAP}plain", "all").data
    assert colour(county.get(f"{MAP}plain,dom&TIME=2006".replace("STYLES=", "STYLES=,"), "all")) == "2006"


# -- what is not shared is not there

@pytest.mark.parametrize("time", ["2006", "2011", "2016", "2008", "1999", "current", "2006/2016", "2030"])
def test_an_edition_that_is_not_shared_answers_like_none(county, time):
    alone, seen = county.get(f"{MAP}dom&TIME={time}", "middle"), county.get(f"{MAP}dom@2011", "middle")
    if time in ("2006", "2008", "1999"):
        assert alone.status_code == 400 and "2010-05-01" in alone.text and "2005" not in alone.text and "2016" not in alone.text
    else:
        assert alone.data == seen.data


@pytest.mark.parametrize("edition", ["2006", "2016", "1066"])
@pytest.mark.parametrize("time", ["2011", "1999", "current"])
def test_a_contradiction_is_told_of_nothing_that_is_not_shared(county, edition, time):
    dated, plain = county.get(f"{MAP}dom@{edition}&TIME={time}", "middle"), county.get(f"{MAP}dom@{edition}", "middle")
    assert dated.status_code == plain.status_code == 403 and dated.data == plain.data


@pytest.mark.parametrize("time", ["2006", "2011", "1999", "current", "2006/2030"])
def test_unknown_and_unshared_layers_are_refused_alike_at_any_time(county, time):
    for ask in (f"{MAP}{{0}}&TIME={time}", f"{INFO}LAYERS={{0}}&QUERY_LAYERS={{0}}&TIME={time}"):
        unshared, unknown, timeless = (county.get(path, "nobody") for path in (ask.format("dom"), ask.format("abc"), ask.split("&TIME")[0].format("dom")))
        assert unshared.status_code == 403 and unshared.data == timeless.data
        assert unshared.data.replace(b"dom", b"abc") == unknown.data and list(unshared.headers.keys()) == list(unknown.headers.keys())


def test_one_layer_that_is_refused_refuses_the_map_before_its_time_is_looked_at(county):
    mixed = [county.get(f"{MAP}dom,{other}&TIME=1999".replace("STYLES=", "STYLES=,"), "middle") for other in ("plain", "other")]
    assert [one.status_code for one in mixed] == [403, 403] and mixed[0].data.replace(b"plain", b"other") == mixed[1].data


@pytest.mark.parametrize("value", ["../../x", "..%2f..%2fx", "%252e", "二〇一一", "２０１１", "2011%00", "9" * 4000, "x" * 10_000, "2011-13", "2011-02-30", "2011,2006",
                                   "2006/2011/P1Y", "2011/2006", "/2011", "2011/", "P1Y", "current/2011", "-2011", "2011-06-30T25:99", "9999", "١٩٩٩"])
def test_a_time_that_is_none_is_refused_in_a_sentence(county, value):
    for agency in ("all", "nobody"):
        answer = county.get(f"{MAP}dom&TIME={value}", agency)
        assert answer.status_code in (400, 413) and "TIME" in answer.text and len(answer.data) < 2000


@pytest.mark.parametrize("path", ["/tiles/dom/WebMercatorQuad/14/13596/6645.png?time=2011", "/wmts/1.0.0/dom/default/WebMercatorQuad/14/6645/13596.png?TIME=2011",
                                  "/download/dom.zip?CRS=EPSG:4549&BBOX=380000,3540000,381000,3541000&RESOLUTION=10&TIME=2011",
                                  f"{MAP}dom&ELEVATION=3", f"{MAP}dom&DIM_EDITION=2011"])
def test_elsewhere_an_edition_is_part_of_the_name(county, path):
    assert county.get(path, "all").status_code == 400


# -- capabilities

def dimensions(house, agency: str, version: str) -> dict[str, str]:
    root = ElementTree.fromstring(house.get(f"/ows?SERVICE=WMS&VERSION={version}&REQUEST=GetCapabilities", agency).data)
    element = "{*}Dimension" if version == "1.3.0" else "{*}Extent"
    return {one.find("{*}Name").text: found.text for one in root.iter() if one.tag.endswith("Layer") and (found := one.find(element)) is not None}


@pytest.mark.parametrize("version", ["1.1.1", "1.3.0"])
@pytest.mark.parametrize("agency, told", [
    ("all", {"dom": "2005-10-01,2010-05-01,2016-01-01"}), ("old", {"dom": "2005-10-01,2010-05-01"}), ("middle", {"dom": "2010-05-01"}), ("nobody", {}),
])
def test_capabilities_tell_the_times_of_shared_editions(county, version, agency, told):
    assert dimensions(county, agency, version) == told
    for value in told.get("dom", "").split(",") if told else ():
        assert period_named(colour(county.get(f"{MAP}dom&TIME={value}", agency))).first.isoformat() == value


def test_clients_read_the_dimension(county):
    text = county.get("/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetCapabilities", "all").data
    time = WebMapService("http://maps.test/ows", version="1.3.0", xml=text)["dom"].dimensions["time"]
    assert time["values"] == ["2005-10-01", "2010-05-01", "2016-01-01"] and time["default"] == "2016-01-01" and time["units"] == "ISO8601"
    old = county.get("/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetCapabilities", "all").data
    assert WebMapService("http://maps.test/ows", version="1.1.1", xml=old)["dom"].timepositions == time["values"]


def period_named(name: str) -> Period:
    first, last = SPANS.get(name, (f"{name}-01-01", f"{name}-12-31"))
    return Period(date.fromisoformat(first), date.fromisoformat(last))


# -- the rule itself

days = st.dates(date(1990, 1, 1), date(2030, 1, 1))
spans = st.tuples(days, days).map(sorted).map(tuple)


def edition(name: str, currency) -> Edition:
    return Edition(edition_id=0, name=name, layer="dom", product=ProductType.DOM, currency=currency, generation=1, folder="", crs="EPSG:4549",
                   extent=shapely.Point(0, 0), resolution=1.0)


@given(st.lists(spans, max_size=5), spans)
def test_a_span_is_answered_by_the_newest_that_overlaps_it_or_the_last_before_it(currencies, asked):
    editions = [edition(f"e{number}", span) for number, span in enumerate(currencies)]
    period = Period(*asked)
    found = edition_at(editions, TimeAsked("", period))
    overlapping = [one for one in editions if period_of(one).overlaps(period)]
    before = [one for one in editions if one.currency[1] < asked[0]]
    assert found is (overlapping[0] if overlapping else None) or not overlapping
    assert (found is None) == (not overlapping and not before)
    if found is not None and not overlapping:
        assert found.currency[1] == max(one.currency[1] for one in before)


@given(st.lists(spans, max_size=5))
def test_every_value_that_is_offered_is_answered_by_its_own_edition(currencies):
    editions = [edition(f"e{number}", span) for number, span in enumerate(currencies)]
    for day, one in values_of(editions):
        assert edition_at(editions, read_time(day.isoformat())) is one
    assert [day for day, _ in values_of(editions)] == sorted(day for day, _ in values_of(editions))


@pytest.mark.parametrize("name, currency, period", [
    ("2011", (None, None), "2011-01-01/2011-12-31"), ("2011-02", (None, None), "2011-02-01/2011-02-28"), ("v3", (None, None), None), ("20110", (None, None), None),
    ("v3", (date(2011, 1, 1), None), "2011-01-01"), ("2011", (None, date(2010, 6, 1)), "2010-06-01"), ("1234", (None, None), None),
])
def test_the_time_of_an_edition_is_its_currency_else_its_name(name, currency, period):
    found = period_of(edition(name, currency))
    assert (found and str(found)) == period
