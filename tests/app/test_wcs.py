"""WCS 1.0.0 and 2.0.1: what is granted as values, where it is granted, in pixels no finer than granted; and nothing of anything else."""

import re
from datetime import date

import numpy as np
import pytest
import rasterio
import shapely
from lxml import etree
from made_layers import edition, layer, line_map, visible
from owslib.wcs import WebCoverageService
from rasterio.io import MemoryFile

from agreements.areas import area_on_the_ground
from agreements.model import Effect, Mark, Operation, ResolutionWindow, ScaleWindow
from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.coverages.wcs import coverages
from geoserver_app.decision_log import read_segment
from geoserver_app.explaining import explain_record
from layers.crs import densify, transform_bounds, transform_geometry, transformer
from layers.model import Bounds

LEFT, TOP, STEP, SIDE = 384_000.0, 3_548_000.0, 5.0, 200
SHEET = Bounds(LEFT, TOP - SIDE * STEP, LEFT + SIDE * STEP, TOP)
MIDDLE = LEFT + SIDE * STEP / 2
CANARY = "CANARY-7f3a"


def ground(left: float, right: float) -> shapely.Geometry:
    box = shapely.box(left, SHEET.bottom - 500, right, SHEET.top + 500)
    return transform_geometry(densify(box, "EPSG:4549"), "EPSG:4549", "CRS:84")


WEST, EAST = ground(LEFT - 500, MIDDLE), ground(MIDDLE, SHEET.right + 500)


def heights() -> np.ndarray:
    rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    return 10 + cols * np.float32(0.25) + rows * np.float32(0.125)


def colours() -> np.ndarray:
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    return np.stack([rows, cols, (rows + cols) // 2]).astype(np.uint8)


@pytest.fixture(scope="module")
def office(lasting_house):
    """Heights in two editions, imagery, and heights that are classified; agencies that may have them in parts, coarsely, seldom, or not at all."""
    house = lasting_house
    walled = heights()
    walled[:, SIDE // 2:] = 8000.0
    house.raster("dem", heights()[None] - 5, LEFT, TOP, STEP, product="DEM", nodata=-9999, edition="2006", currency=(date(2005, 3, 1), date(2006, 8, 1)))
    house.raster("dem", heights()[None], LEFT, TOP, STEP, product="DEM", nodata=-9999, title_zh="高程", title_en="Heights", attribution=CANARY)
    house.raster("dom", colours(), LEFT, TOP, STEP, lossless=True, title_zh="影像", title_en="Imagery")
    house.raster("walled", walled[None], LEFT, TOP, STEP, product="DEM", nodata=-9999, classification="secret")
    for name in ("water", "coarse", "slow", "viewer", "nobody", "elsewhere", "pictures", "cells", "pinned"):
        house.agency(name)
    for name in ("dem", "dom", "walled"):
        house.grant("water", name, area=WEST)
    values = {Operation.GET_COVERAGE}
    house.grant("coarse", "dem", area=WEST, operations=values, scale=ScaleWindow(finest=20 / 0.00028))
    house.grant("slow", "dem", area=WEST, operations=values, resolution=ResolutionWindow(finest=5.0))
    house.grant("viewer", "dem", "dom", operations={Operation.GET_MAP, Operation.GET_TILE, Operation.GET_FEATURE_INFO, Operation.DOWNLOAD})
    house.grant("pictures", "dom", operations={Operation.GET_MAP}, area=EAST)
    house.grant("pictures", "dom", operations=values, formats=frozenset({"image/png"}), crs=frozenset({"EPSG:3857"}), area=WEST)
    house.grant("cells", "dem", operations=values, area=WEST, degrade=25.0)
    house.grant("pinned", "dem", operations=values, editions=frozenset({"2006"}))
    return house


def new(layer: str = "dem", **more: str) -> dict:
    return {"SERVICE": "WCS", "VERSION": "2.0.1", "REQUEST": "GetCoverage", "COVERAGEID": layer} | more


def old(layer: str = "dem", crs: str = "EPSG:4549", bounds: Bounds = SHEET, size: int = SIDE, **more: str) -> dict:
    return {
        "SERVICE": "WCS", "VERSION": "1.0.0", "REQUEST": "GetCoverage", "COVERAGE": layer, "CRS": crs, "BBOX": ",".join(map(repr, bounds)),
        "WIDTH": str(size), "HEIGHT": str(size), "FORMAT": "image/tiff",
    } | more


def ask(office, query: dict, agency: str | None = "water", path: str = "/wcs", **headers):
    if agency:
        headers["X-API-Key"] = office.keys[agency]
    return office.client().get(path, query_string=query, headers=headers)


def opened(answer):
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "image/tiff"
    with MemoryFile(answer.data) as memory, memory.open() as found:
        return found.read(), found.read_masks(1) > 0, found.profile, Bounds(*found.bounds)


def parsed(answer) -> etree._Element:
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.data, etree.XMLParser(no_network=True, resolve_entities=False))


def texts(root: etree._Element, name: str) -> list[str]:
    return [(one.text or "").strip() for one in root.iter() if etree.QName(one).localname == name]


def exception(answer) -> tuple[str, str | None, str]:
    root = etree.fromstring(answer.data)
    (one,) = [e for e in root.iter() if etree.QName(e).localname in ("ServiceException", "Exception")]
    return one.get("code") or one.get("exceptionCode"), one.get("locator"), " ".join("".join(one.itertext()).split())


# -- values

@pytest.mark.parametrize("query", [new(), old(), new(**{"GEOTIFF:COMPRESSION": "LZW"}), new(**{"GEOTIFF:COMPRESSION": "None"})])
def test_values_come_as_they_are_and_where_they_are(office, query):
    values, valid, profile, bounds = opened(ask(office, query))
    assert (profile["dtype"], profile["nodata"], profile["crs"].to_epsg(), profile["count"]) == ("float32", -9999.0, 4549, 1)
    first_row, first_col = round((TOP - bounds.top) / STEP), round((bounds.left - LEFT) / STEP)
    rows, cols = np.mgrid[0:values.shape[1], 0:values.shape[2]]
    rows, cols = rows + first_row, cols + first_col
    assert (valid == (cols < SIDE // 2)).all() and (values[0][~valid] == -9999).all()
    assert (values[0][valid] == heights()[rows[valid], cols[valid]]).all()


def test_imagery_comes_with_a_mask_and_nothing_under_it(office):
    values, valid, profile, _ = opened(ask(office, old("dom")))
    assert (profile["dtype"], profile["nodata"], profile["count"]) == ("uint8", None, 3)
    assert valid[:, :SIDE // 2].all() and not valid[:, SIDE // 2:].any()
    assert (values[:, valid] == colours()[:, valid]).all() and not values[:, ~valid].any()


@pytest.mark.parametrize(("query", "media_type"), [
    (new("dom", FORMAT="image/png"), "image/png"), (old("dom", FORMAT="PNG"), "image/png"), (new("dom", FORMAT="image/jpeg"), "image/jpeg"),
])
def test_imagery_may_be_had_as_a_picture_and_heights_may_not(office, query, media_type):
    answer = ask(office, query)
    assert (answer.status_code, answer.content_type) == (200, media_type)
    refused = ask(office, query | ({"COVERAGE": "dem"} if "COVERAGE" in query else {"COVERAGEID": "dem"}))
    assert refused.status_code == 400 and "image/tiff" in exception(refused)[2]


def test_bands_may_be_had_one_by_one(office):
    values, _, profile, _ = opened(ask(office, new("dom", RANGESUBSET="blue,red")))
    assert profile["count"] == 2
    whole, *_ = opened(ask(office, new("dom")))
    assert (values == whole[[2, 0]]).all()
    assert (opened(ask(office, old("dom", BAND="2")))[0][0] == opened(ask(office, old("dom")))[0][1]).all()
    assert exception(ask(office, new("dom", RANGESUBSET="infrared")))[0] == "NoSuchField"


def test_both_versions_and_both_addresses_give_the_same_values(office):
    box = Bounds(384_100, 3_547_300, 384_400, 3_547_600)
    one = ask(office, old(bounds=box, size=60))
    other = ask(office, new(SUBSET="X(3547300,3547600)") | {"SUBSET2": "Y(384100,384400)"})
    assert one.data == other.data == ask(office, old(bounds=box, size=60), path="/ows").data


def test_the_file_is_named_after_the_coverage_and_holds_no_more_than_its_place(office):
    answer = ask(office, new("dem.2006"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename=dem.2006.tif'
    assert answer.headers["Cache-Control"].startswith("private")
    for query in (new("dem"), new("dom"), old("dom")):
        data = ask(office, query).data
        for word in (CANARY, "canary", "delivered", "sheets", "dem.tif", "dom.tif", "GDAL_METADATA", "DateTime", "rasterio", "2011", "cog"):
            assert word.encode() not in data, word
        with MemoryFile(data) as memory, memory.open() as found:
            assert found.tags() == {"AREA_OR_POINT": "Area"} and not found.overviews(1) and not found.colorinterp[0].name == "palette"
            assert all(not found.tags(band) for band in found.indexes) and set(found.tag_namespaces()) <= {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS"}


def test_nearest_neighbour_is_picked_where_it_is_asked_for(office):
    box = Bounds(LEFT + 101.3, TOP - 401.3, LEFT + 301.3, TOP - 101.3)
    picked, mixed = (opened(ask(office, old(bounds=box, size=71, INTERPOLATION=how)))[0] for how in ("nearest neighbor", "bilinear"))
    assert np.isin(picked, heights()).all() and not np.isin(mixed, heights()).all()


# -- what is granted

def test_a_description_begins_and_ends_with_what_is_granted(office):
    for version in ("1.0.0", "2.0.1"):
        root = parsed(ask(office, {"SERVICE": "WCS", "VERSION": version, "REQUEST": "DescribeCoverage", "COVERAGE": "dem", "COVERAGEID": "dem"}))
        assert texts(root, "high") == ["99 199"]
        assert "-9999" in [*texts(root, "nilValue"), *texts(root, "singleValue")]
    west = transform_geometry(shapely.box(LEFT, SHEET.bottom, MIDDLE, TOP), "EPSG:4549", "CRS:84").bounds
    service = WebCoverageService("http://maps.test/wcs", version="1.0.0", xml=_capabilities(office, "1.0.0").data)
    assert service.contents["dem"].boundingBoxWGS84 == pytest.approx(west, abs=2e-5)


def _capabilities(office, version: str, agency: str = "water", **more):
    return ask(office, {"SERVICE": "WCS", "REQUEST": "GetCapabilities", "VERSION": version} | more, agency)


@pytest.mark.parametrize("version", ["1.0.0", "2.0.1"])
def test_capabilities_name_the_coverages_that_are_granted_as_values_and_no_others(office, version):
    names = {agency: texts(parsed(_capabilities(office, version, agency)), "name" if version == "1.0.0" else "CoverageId") for agency in office.keys}
    names = {agency: [name for name in found if name != "WCS"] for agency, found in names.items()}
    at = "@" if version == "1.0.0" else "."
    assert sorted(names["water"]) == ["dem", f"dem{at}2006", "dom", "walled"]
    assert names["viewer"] == names["nobody"] == []
    assert names["pinned"] == ["dem"] and names["cells"] == ["dem", f"dem{at}2006"]
    for agency in ("viewer", "nobody"):
        assert b"dem" not in _capabilities(office, version, agency).data


def test_formats_and_reference_systems_are_those_of_the_grant_of_values(office):
    root = parsed(ask(office, {"SERVICE": "WCS", "VERSION": "1.0.0", "REQUEST": "DescribeCoverage", "COVERAGE": "dom"}, "pictures"))
    assert texts(root, "formats") == ["image/png"] and texts(root, "requestResponseCRSs") == texts(root, "nativeCRSs") == ["EPSG:3857"]
    east = [float(pos.split()[0]) for pos in texts(root, "pos")][1]
    assert east < transform_geometry(shapely.Point(MIDDLE + 50, TOP), "EPSG:4549", "CRS:84").x, "of the west, not of the pictures' east"
    assert ask(office, new("dom", FORMAT="image/png"), "pictures").status_code == 200
    assert exception(ask(office, new("dom"), "pictures"))[0] == "AccessDenied"
    assert ask(office, new("dom", FORMAT="image/png", OUTPUTCRS="EPSG:4490"), "pictures").status_code == 403


def test_a_coverage_is_described_in_pixels_no_finer_than_granted_and_can_be_had_in_them(office):
    for agency, step in (("coarse", 20.0), ("slow", 5.0), ("cells", 25.0)):
        root = parsed(ask(office, {"SERVICE": "WCS", "VERSION": "2.0.1", "REQUEST": "DescribeCoverage", "COVERAGEID": "dem"}, agency))
        assert max(abs(float(v)) for text in texts(root, "offsetVector") for v in text.split()) == pytest.approx(step, rel=1e-6)
        _, valid, profile, _ = opened(ask(office, new(), agency))
        assert profile["transform"].a == pytest.approx(step, rel=1e-6) and valid.any()


@pytest.mark.parametrize("query", [
    new(SCALEFACTOR="2"), new(SCALESIZE="i(100),j(100)", SUBSET="X(3547300,3547600)"), new(SCALEAXES="i(8)"), new(OUTPUTCRS="EPSG:4490", SCALEFACTOR="1.1"),
    old(bounds=Bounds(LEFT, TOP - 100, LEFT + 100, TOP), size=20), old(size=SIDE),
])
def test_the_scale_of_a_decision_is_that_of_the_answer_however_it_is_made(office, query):
    answer = ask(office, query, "coarse")
    assert answer.status_code == 403 and exception(answer)[0] == "AccessDenied"


def test_a_degraded_grant_tells_means_of_its_cells_and_nothing_finer(office):
    values, valid, _, bounds = opened(ask(office, new(), "cells"))
    assert (bounds.left % 25, bounds.top % 25) == (0, 0)
    cells = heights().reshape(SIDE // 5, 5, SIDE // 5, 5).mean(axis=(1, 3))
    amid = np.zeros_like(valid)
    amid[6:-6, 6:-6] = valid[6:-6, 6:-6]                     # an even slope stays what it is, but for the edge of the data
    rows, cols = np.nonzero(amid)
    assert len(rows) and np.abs(values[0][rows, cols] - cells[rows, cols]).max() < 0.002
    fine, fine_valid, *_ = opened(ask(office, new(SCALEFACTOR="5", INTERPOLATION="nearest"), "cells"))
    whole = opened(ask(office, new()))[0][0]
    assert fine_valid.any() and not np.isin(fine[0][fine_valid], whole).all(), "cells are mixed, never picked apart"


@pytest.mark.parametrize("crs", ["EPSG:4549", "EPSG:4490", "EPSG:3857"])
def test_of_a_classified_layer_what_lies_beyond_has_no_part_in_what_lies_within(office, crs):
    box = SHEET if crs == "EPSG:4549" else transform_bounds(SHEET, "EPSG:4549", crs)
    for how in ("bilinear", "nearest neighbor"):
        for size in (41, 150, 333):
            values, valid, *_ = opened(ask(office, old("walled", crs, box, size, INTERPOLATION=how)))
            x, y = np.meshgrid(box.left + (np.arange(size) + 0.5) * box.width / size, box.top - (np.arange(size) + 0.5) * box.height / size)
            east, north = transformer(crs, "EPSG:4549").transform(x, y)
            slope = 10 + 0.25 * ((east - LEFT) / STEP - 0.5) + 0.125 * ((TOP - north) / STEP - 0.5)
            off = np.abs(values[0] - slope)[valid]
            assert valid.any() and off.max() < 1.0, "a single pixel of the wall, mixed in by a hundredth, would raise it by 80 m"


# -- editions and their times

@pytest.mark.parametrize(("time", "offset"), [("2006", -5), ("2005-06/2006-01", -5), ("current", 0), ("2011", 0), ("2008", -5)])
def test_a_time_picks_among_the_editions_that_may_be_had(office, time, offset):
    for query in (new(TIME=time), old(TIME=time)):
        values, valid, *_ = opened(ask(office, query))
        assert values[0][valid].min() == 10 + offset


def test_a_time_before_all_of_them_is_told_and_tells_nothing_of_what_is_not_shared(office):
    assert exception(ask(office, new(TIME="1990")))[:2] == ("InvalidParameterValue", "time")
    assert ask(office, new(TIME="1990"), "nobody").data == ask(office, new("absent", TIME="1990"), "nobody").data.replace(b"absent", b"dem")
    values, valid, *_ = opened(ask(office, new(), "pinned"))
    assert values[0][valid].min() == 5, "the bare name is the newest edition of those that are granted"


# -- refusals

@pytest.mark.parametrize("query", [
    new("{layer}"), old("{layer}"), new("{layer}.2006"), {"SERVICE": "WCS", "VERSION": "2.0.1", "REQUEST": "DescribeCoverage", "COVERAGEID": "{layer}"},
    {"SERVICE": "WCS", "VERSION": "1.0.0", "REQUEST": "DescribeCoverage", "COVERAGE": "{layer}"}, new("{layer}", SUBSET="Nonsense(1,2)"),
    new("{layer}", FORMAT="image/png"), old("{layer}", size=9, bounds=Bounds(1.0, 2.0, 3.0, 4.0)), new("{layer}", RANGESUBSET="red"), new("{layer}", SCALEFACTOR="900"),
])
@pytest.mark.parametrize("agency", ["nobody", "viewer"])
def test_what_is_not_granted_is_answered_as_what_is_not_there(office, query, agency):
    """A layer that may be looked at is not hidden, but of its values nothing is told."""
    unshared, unknown = (
        ask(office, {name: value.replace("{layer}", layer) for name, value in query.items()}, agency) for layer in ("dem", "zzz")
    )
    assert unshared.status_code == unknown.status_code == 403
    assert not unshared.data.startswith((b"II", b"MM", b"\x89PNG"))
    if agency == "nobody":
        assert unshared.data.replace(b"dem", b"zzz") == unknown.data
        assert exception(unshared)[0] == ("CoverageNotDefined" if query["VERSION"] == "1.0.0" else "NoSuchCoverage")


@pytest.mark.parametrize("path", ["/wcs", "/ows"])
def test_errors_take_the_form_of_the_version(office, path):
    old_one = ask(office, old(crs="EPSG:2437"), path=path)
    assert old_one.content_type.startswith("application/vnd.ogc.se_xml") and b'<ServiceExceptionReport version="1.2.0"' in old_one.data
    new_one = ask(office, new(OUTPUTCRS="EPSG:2437"), path=path)
    assert b"ows/2.0" in new_one.data and exception(new_one)[:2] == ("OutputCrs-NotSupported", "outputcrs")
    nobody = ask(office, new(), None, path=path)
    assert nobody.status_code == 401 and b"ExceptionReport" in nobody.data
    assert "没有轴" in ask(office, new(SUBSET="Q(1,2)", LANG="zh"), path=path).text


def test_a_line_map_is_no_coverage():
    everything = frozenset(Operation)
    shown = [visible(line_map(), operations=everything), visible(layer(edition()), operations=everything)]
    assert [one.name for one in coverages(shown, "en", lambda path, **_: path)] == ["dom"]


def test_of_a_grant_that_lies_elsewhere_nothing_can_be_had(office):
    office.grant("elsewhere", "dem", area=ground(SHEET.right + 5000, SHEET.right + 6000))
    for query in (new(), old(), {"SERVICE": "WCS", "VERSION": "2.0.1", "REQUEST": "DescribeCoverage", "COVERAGEID": "dem"}):
        assert exception(ask(office, query, "elsewhere"))[0] == ("NoSuchCoverage" if query["VERSION"] == "2.0.1" else "CoverageNotDefined")


def test_more_pixels_than_are_given_at_once_are_refused(office):
    answer = ask(office, new(SCALEFACTOR="100"))
    assert answer.status_code == 413 and "16384" in exception(answer)[2]


def test_what_lies_beside_the_coverage_holds_no_data_and_is_the_same_for_all_that_lies_there(office):
    beside = Bounds(MIDDLE + 100, TOP - 300, MIDDLE + 300, TOP - 100)
    values, valid, *_ = opened(ask(office, old(bounds=beside, size=40)))
    assert not valid.any() and (values == -9999).all()
    nowhere = Bounds(SHEET.right + 10_000, TOP - 300, SHEET.right + 10_200, TOP - 100)
    assert len(ask(office, old(bounds=nowhere, size=40)).data) == len(ask(office, old(bounds=beside, size=40)).data)
    assert exception(ask(office, new(SUBSET="Y(390000,391000)")))[0] == "InvalidSubsetting"


# -- counting

def test_what_leaves_is_counted_in_pixels_that_hold_something(office):
    office.agency("counted")
    quota = Quota(limits=(Limit(measure=Measure.MEGAPIXELS, window=Window.DAY, most=0.03),))
    office.agree("counted", office.clause("dem", area=WEST, operations={Operation.GET_COVERAGE}), quota=quota)
    first = ask(office, old(), "counted")
    assert first.status_code == 200 and "RateLimit" in str(first.headers)
    assert ask(office, old(), "counted").status_code == 429, "twice 100 x 200 pixels are more than 0.03 megapixels"
    assert ask(office, old(crs="EPSG:4490", bounds=Bounds(-400.0, -200.0, 400.0, 200.0), size=900), "counted").status_code == 200
    assert ask(office, old(bounds=Bounds(MIDDLE + 10, TOP - 300, MIDDLE + 310, TOP), size=60), "counted").status_code in (200, 429)


def test_gdal_tells_no_more_of_a_file_than_its_place_and_what_is_no_data(office, tmp_path):
    (tmp_path / "one.tif").write_bytes(ask(office, new("dom")).data)
    with rasterio.open(tmp_path / "one.tif") as found:
        assert found.files == [str(tmp_path / "one.tif")] and found.gcps == ([], None) and found.descriptions == (None, None, None)


def test_a_description_says_every_band_and_gives_every_element_a_name_of_its_own(office):
    root = parsed(ask(office, {"SERVICE": "WCS", "VERSION": "2.0.1", "REQUEST": "DescribeCoverage", "COVERAGEID": "dem,dom,dem.2006"}))
    ids = [value for one in root.iter() for name, value in one.attrib.items() if name.endswith("}id")]
    assert len(ids) == len(set(ids)) == 9 and all(re.fullmatch(r"[A-Za-z][\w.-]*", one) for one in ids)
    assert [one.get("name") for one in root.iter("{http://www.opengis.net/swe/2.0}field")] == ["height", "red", "green", "blue", "height"]
    envelope = next(root.iter("{http://www.opengis.net/gml/3.2}Envelope"))
    assert envelope.get("axisLabels") == "X Y" and envelope[0].text.split()[0] == "3547000", "in Gauss-Krueger X is the northing"


def test_marks_are_written_on_imagery_that_leaves_as_values(office):
    office.agency("marked")
    office.agree("marked", office.clause("dom", operations={Operation.GET_COVERAGE}), mark=Mark(text="水利专用", opacity=0.5, place="tiled"))
    office.agree("marked", office.clause("dem", operations={Operation.GET_COVERAGE}), mark=Mark(text="水利专用", opacity=0.5, place="tiled"))
    assert (opened(ask(office, new("dom"), "marked"))[0] != colours()).any()
    assert (opened(ask(office, new("dem"), "marked"))[0][0] == heights()).all()


def test_a_suspension_takes_its_part_out_of_values_and_out_of_what_is_described(office):
    office.agency("brief")
    agreement = office.grant("brief", "dem", area=WEST)
    assert opened(ask(office, old(), "brief"))[1].any()
    half = transform_geometry(densify(shapely.box(LEFT - 500, SHEET.bottom - 500, LEFT + 250, TOP + 500), "EPSG:4549"), "EPSG:4549", "CRS:84")
    office.services.register.suspend(agreement.agreement_id, "flood", area=area_on_the_ground(half, "west"))
    office.look_again()
    valid = opened(ask(office, old(), "brief"))[1]
    assert not valid[:, :50].any() and valid[:, 51:99].all()
    assert texts(parsed(ask(office, {"SERVICE": "WCS", "VERSION": "1.0.0", "REQUEST": "DescribeCoverage", "COVERAGE": "dem"}, "brief")), "high") == ["49 199"]
    office.services.register.suspend(agreement.agreement_id, "flood")
    office.look_again()
    assert ask(office, old(), "brief").status_code == 403 and b"dem" not in _capabilities(office, "2.0.1", "brief").data


def test_a_coverage_that_was_given_or_refused_is_explained_from_its_record_alone(office):
    """The scale that was decided on is that of the answer, and stands in the record."""
    services = office.services
    for query, agency, is_given in ((new(), "coarse", True), (new(SCALEFACTOR="3"), "coarse", False), (new(), "nobody", False)):
        before = len(records(office))
        assert (ask(office, query, agency).status_code == 200) == is_given
        (record,) = records(office)[before:]
        told = explain_record(services.settings.decisions, services.register, record["id"])
        assert record["operation"] == "GetCoverage" and told.agrees, told.as_text()
        assert (told.effect is not Effect.DENY) == is_given


def records(office) -> list[dict]:
    return [event for path in sorted(office.services.settings.decisions.rglob("*.jsonl")) for event in read_segment(path)]
