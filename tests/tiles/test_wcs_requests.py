"""What a request of WCS asks for, and which pixels of a coverage it means."""

import pytest
import shapely

from layers.crs import SERVED, ground_resolution, is_north_first, scale_denominator, transform_bounds
from layers.model import Bounds, Edition, LayerName, Mosaic, ProductType
from tiles.coverage_grids import CoverageGrid, grid_of
from tiles.coverage_views import axis_labels, view_of
from tiles.errors import RequestInvalid, RequestTooLarge
from tiles.requests import GetCapabilities, Limits
from tiles.requests.wcs import DescribeCoverage, GetCoverage, coverage_id, coverage_name, parse_wcs

GK = CoverageGrid(crs="EPSG:4549", left=384_000.0, top=3_548_000.0, step=5.0, width=240, height=200)
LIMITS = Limits()


def asked(query: str):
    return parse_wcs([tuple(pair.split("=", 1)) for pair in query.split("&")], LIMITS)


def new(query: str) -> GetCoverage:
    return asked(f"SERVICE=WCS&VERSION=2.0.1&REQUEST=GetCoverage&COVERAGEID=dem&{query}".rstrip("&"))


def old(query: str) -> GetCoverage:
    return asked(f"SERVICE=WCS&VERSION=1.0.0&REQUEST=GetCoverage&COVERAGE=dem&{query}".rstrip("&"))


def pixels(query: str, grid: CoverageGrid = GK, version=new):
    return view_of(version(query), grid, LIMITS)


def refused(call) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as told:
        call()
    assert told.value.message and "{" not in told.value.message
    return told.value


# -- names and versions

@pytest.mark.parametrize("name", ["dom", "dom@2011", "a-b_c@2011.06-b_1", "x@1.2.3"])
def test_identifiers_are_legal_xml_names_and_lead_back_to_the_layer(name):
    identifier = coverage_id(LayerName.parse(name))
    assert identifier.replace("-", "").replace(".", "").replace("_", "").isalnum() and identifier[0].isalpha()
    assert coverage_name(identifier, "") == coverage_name(name, "") == LayerName.parse(name)


@pytest.mark.parametrize(("query", "version"), [
    ("REQUEST=GetCapabilities", "2.0.1"), ("REQUEST=GetCapabilities&VERSION=1.0.0", "1.0.0"), ("REQUEST=GetCapabilities&VERSION=1.1.1", "1.0.0"),
    ("REQUEST=GetCapabilities&ACCEPTVERSIONS=1.1.0,1.0.0", "1.0.0"), ("REQUEST=GetCapabilities&ACCEPTVERSIONS=2.1.0,2.0.1,1.1.0", "2.0.1"),
    ("REQUEST=GetCapabilities&VERSION=2.0.0", "2.0.1"), ("REQUEST=getcapabilities&VERSION=3.1", "2.0.1"),
])
def test_the_version_is_negotiated(query, version):
    assert asked(query) == GetCapabilities(service="WCS", version=version)


def test_a_version_that_nobody_has_in_common_is_told():
    assert refused(lambda: asked("REQUEST=GetCapabilities&ACCEPTVERSIONS=1.1.0,1.1.2")).code == "VersionNegotiationFailed"
    assert refused(lambda: asked("REQUEST=GetCoverage&VERSION=1.1.0&COVERAGE=dem")).locator == "version"


def test_descriptions_name_coverages_or_in_the_old_version_mean_all():
    assert asked("REQUEST=DescribeCoverage&VERSION=2.0.1&COVERAGEID=dem,dom.2006").coverages == (LayerName("dem"), LayerName("dom", "2006"))
    assert asked("REQUEST=DescribeCoverage&VERSION=1.0.0") == DescribeCoverage(version="1.0.0", coverages=())
    assert refused(lambda: asked("REQUEST=DescribeCoverage&VERSION=2.0.1")).code == "MissingParameterValue"


@pytest.mark.parametrize(("query", "code"), [
    ("REQUEST=GetMap", "OperationNotSupported"), ("REQUEST=GetCoverage&VERSION=2.0.1", "MissingParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=DEM", "LayerNotDefined"), ("SERVICE=WFS&REQUEST=GetCapabilities", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&FORMAT=image/gif", "InvalidFormat"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&COVERAGEID=dom", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&FILTER=x", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&MEDIATYPE=multipart/related", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&INTERPOLATION=cubic", "InterpolationMethodNotSupported"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&GEOTIFF:COMPRESSION=jpeg", "CompressionNotSupported"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SUBSETTINGCRS=EPSG:2437", "SubsettingCrs-NotSupported"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&OUTPUTCRS=EPSG:2437", "OutputCrs-NotSupported"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SUBSET=X(5)", "InvalidSubsetting"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SUBSET=X(5,4)", "InvalidSubsetting"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SUBSET=X(nan,4)", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SUBSET=X,EPSG:4549(1,2)&SUBSETTINGCRS=EPSG:4490", "InvalidSubsetting"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SCALEFACTOR=0", "InvalidScaleFactor"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SCALEFACTOR=2&SCALESIZE=i(3)", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SCALESIZE=i(0)", "InvalidExtent"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&SCALESIZE=i5", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=2.0.1&COVERAGEID=dem&TIME=yesterday", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=1.0.0&COVERAGE=dem&BBOX=1,2,3", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=1.0.0&COVERAGE=dem&BBOX=1,2,3,4", "MissingParameterValue"),
    ("REQUEST=GetCoverage&VERSION=1.0.0&COVERAGE=dem&CRS=EPSG:4490&BBOX=3,2,1,4", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=1.0.0&COVERAGE=dem&CRS=EPSG:4490&BBOX=118,32,119,33&WIDTH=5", "MissingParameterValue"),
    ("REQUEST=GetCoverage&VERSION=1.0.0&COVERAGE=dem&CRS=EPSG:4490&BBOX=118,32,119,33&WIDTH=5&HEIGHT=5&RESX=1&RESY=1", "InvalidParameterValue"),
    ("REQUEST=GetCoverage&VERSION=1.0.0&COVERAGE=dem&CRS=EPSG:4490&BBOX=118,32,119,33&RESX=0&RESY=1", "InvalidParameterValue"),
])
def test_what_can_not_be_meant_is_told_with_its_code(query, code):
    assert refused(lambda: asked(query)).code == code


# -- 2.0.1

def test_a_subset_holds_the_pixels_of_the_coverage_whose_centres_it_holds():
    view = pixels("SUBSET=X(3547500,3547600)&SUBSET=Y(384100,384200)")
    assert (view.bounds, view.width, view.height) == (Bounds(384_100, 3_547_500, 384_200, 3_547_600), 20, 20)
    assert pixels("SUBSET=X(3547502.5,3547597.5)&SUBSET=Y(384102.5,384197.5)") == view, "limits on the outermost centres mean the same pixels"
    assert pixels("SUBSET=X(3547501,3547601)&SUBSET=Y(384101,384201)") == view


def test_without_a_subset_it_is_all_of_it_and_an_axis_left_out_is_whole():
    assert pixels("").bounds == GK.bounds and (pixels("").width, pixels("").height) == (240, 200)
    view = pixels("SUBSET=Y(384100,*)")
    assert (view.bounds.left, view.bounds.right, view.height) == (384_100, GK.bounds.right, 200)


@pytest.mark.parametrize("crs", SERVED)
def test_axes_are_named_as_the_register_has_them_whatever_their_order(crs):
    grid = GK.in_crs(crs)
    box = Bounds(*(grid.left + 20 * grid.step, grid.top - 60 * grid.step, grid.left + 50 * grid.step, grid.top - 30 * grid.step))
    east, north = f"({box.left!r},{box.right!r})", f"({box.bottom!r},{box.top!r})"
    first, second = axis_labels(crs)
    limits = {first: north, second: east} if is_north_first(crs) else {first: east, second: north}
    one, other = (f"SUBSET={label}{limits[label]}" for label in (first, second))
    for query in (f"{one}&{other}", f"{other}&{one}", f"SUBSET=N{north}&SUBSET=E{east}"):
        view = pixels(query, grid)
        assert (view.width, view.height) == (30, 30) and list(view.bounds) == pytest.approx(list(box), rel=1e-12)


def test_in_gauss_krueger_x_is_the_northing():
    told = refused(lambda: pixels("SUBSET=X(384100,384200)&SUBSET=Y(3547500,3547600)"))
    assert told.code == "InvalidSubsetting" and "X(3547000,3548000)" in told.message
    assert "X (north), Y (east)" in refused(lambda: pixels("SUBSET=Q(1,2)")).message
    assert refused(lambda: pixels("SUBSET=X(3547500,3547600)&SUBSET=N(3547500,3547600)")).code == "InvalidAxisLabel"
    assert refused(lambda: pixels("SUBSET=i(1,2)")).code == "InvalidAxisLabel"


def test_subsets_in_another_crs_are_carried_over():
    degrees = transform_bounds(Bounds(384_100, 3_547_500, 384_200, 3_547_600), "EPSG:4549", "EPSG:4490")
    lat, long = f"({degrees.bottom!r},{degrees.top!r})", f"({degrees.left!r},{degrees.right!r})"
    for query in (
        f"SUBSETTINGCRS=EPSG:4490&SUBSET=Lat{lat}&SUBSET=Long{long}",
        f"SUBSET=Lat,EPSG:4490{lat}&SUBSET=Long,http://www.opengis.net/def/crs/EPSG/0/4490{long}",
        f"SUBSETTINGCRS=EPSG:4490&SUBSETX=Lat{lat}&SUBSETY=Long{long}",
    ):
        view = pixels(query)
        assert view.crs == "EPSG:4549" and abs(view.width - 20) <= 1 and abs(view.bounds.left - 384_100) <= 5
    out = pixels(f"SUBSETTINGCRS=EPSG:4490&OUTPUTCRS=EPSG:3857&SUBSET=Lat{lat}&SUBSET=Long{long}")
    assert out.crs == "EPSG:3857" and ground_resolution(out) == pytest.approx(5.0, rel=0.01)


def test_shifted_subsets_in_another_crs_lie_on_one_grid():
    views = [pixels(f"OUTPUTCRS=EPSG:3857&SUBSETTINGCRS=EPSG:4549&SUBSET=Y({384_100 + shift},{384_300 + shift})") for shift in (0.0, 0.7, 2.1)]
    step = views[0].resolution[0]
    for view in views:
        assert abs(view.bounds.left / step - round(view.bounds.left / step)) < 1e-4


@pytest.mark.parametrize("query", [
    "SCALEFACTOR=0.5", "SCALEAXES=i(0.5),j(0.5)", "SCALESIZE=i(120),j(100)", "SCALESIZE=Y(120),X(100)", "SCALEAXES=E(0.5),N(0.5)",
])
def test_scales_change_the_number_of_pixels_and_not_the_ground(query):
    view = pixels(query)
    assert (view.width, view.height, view.bounds) == (120, 100, GK.bounds)


def test_one_axis_may_be_scaled_alone():
    assert (pixels("SCALESIZE=i(30)").width, pixels("SCALESIZE=i(30)").height) == (30, 200)


# -- 1.0.0

@pytest.mark.parametrize("crs", SERVED)
def test_in_the_old_version_x_comes_before_y_in_every_crs(crs):
    box = GK.in_crs(crs).bounds
    view = pixels(f"CRS={crs}&BBOX={','.join(map(repr, box))}&WIDTH=10&HEIGHT=20", version=old)
    assert (view.crs, view.width, view.height, view.bounds) == (crs, 10, 20, box)


def test_a_step_in_place_of_a_size_counts_from_the_upper_left():
    view = pixels("CRS=EPSG:4549&BBOX=384000,3547000,384101,3547099&RESX=10&RESY=10", version=old)
    assert (view.width, view.height, view.bounds) == (11, 10, Bounds(384_000, 3_546_999, 384_110, 3_547_099))
    assert pixels("CRS=EPSG:4549&BBOX=384000,3547000,384100,3547100", version=old).resolution == (5.0, 5.0)


def test_the_answer_may_be_in_another_crs_than_the_box():
    view = pixels("CRS=EPSG:4549&BBOX=384000,3547000,384100,3547100&RESPONSE_CRS=EPSG:3857&WIDTH=20&HEIGHT=20", version=old)
    assert view.crs == "EPSG:3857" and view.bounds == transform_bounds(Bounds(384_000, 3_547_000, 384_100, 3_547_100), "EPSG:4549", "EPSG:3857")


def test_a_box_with_its_axes_turned_round_is_told():
    assert refused(lambda: pixels("CRS=EPSG:4549&BBOX=3547000,384000,3547100,384100&WIDTH=9&HEIGHT=9", version=old)).locator == "bbox"


@pytest.mark.parametrize(("version", "query"), [
    (old, "CRS=EPSG:4549&BBOX=384000,3547000,384100,3547100&WIDTH=20000&HEIGHT=20000"), (new, "SCALEFACTOR=100"), (new, "SCALESIZE=i(100000)"),
    (old, "CRS=EPSG:4549&BBOX=384000,3547000,384100,3547100&RESX=0.0001&RESY=0.0001"),
])
def test_more_than_is_given_at_once_is_told_before_anything_is_read(version, query):
    with pytest.raises(RequestTooLarge):
        pixels(query, version=version)


# -- the grid that is offered

EXTENT = shapely.box(118.71, 32.01, 118.79, 32.05)


def edition(step: float = 5.0, crs: str = "EPSG:4549") -> Edition:
    bounds = transform_bounds(Bounds(118.6, 31.9, 118.9, 32.1), "CRS:84", crs)
    mosaic = Mosaic(crs=crs, bounds=bounds, resolution=step, index="", factors=(2,), overview=None, overview_factor=4)
    return Edition(
        edition_id=1, name="2011", layer="dem", product=ProductType.DEM, currency=(None, None), generation=1, folder="", crs=crs, extent=EXTENT,
        resolution=step, mosaics=(mosaic,),
    )


def boxes(*names: str) -> dict[str, Bounds]:
    return {crs: transform_bounds(Bounds(*EXTENT.bounds), "CRS:84", crs) for crs in names}


def test_a_coverage_is_offered_on_the_pixels_of_its_sheets():
    one = edition()
    grid = grid_of(one, EXTENT, boxes(*SERVED))
    first_col, first_row = (grid.left - one.mosaics[0].bounds.left) / 5, (one.mosaics[0].bounds.top - grid.top) / 5
    assert grid.crs == "EPSG:4549" and first_col == pytest.approx(round(first_col), abs=1e-6) and first_row == pytest.approx(round(first_row), abs=1e-6)


def test_cells_are_offered_on_the_grid_on_which_they_lie():
    grid = grid_of(edition(), EXTENT, boxes(*SERVED), cell=25.0)
    assert grid.step == 25.0 and grid.left % 25 == 0 and grid.top % 25 == 0
    assert grid_of(edition(), EXTENT, boxes(*SERVED), cell=2.0).step == 5.0


@pytest.mark.parametrize("crs", ["EPSG:4549", "EPSG:4490", "EPSG:3857"])
@pytest.mark.parametrize("metres", [5.0, 7.0, 12.5, 30.0])
def test_what_is_offered_is_never_finer_than_is_granted(crs, metres):
    finest = metres / 0.00028
    grid = grid_of(edition(), EXTENT, boxes(crs), finest=finest)
    assert finest <= scale_denominator(grid.whole) < 2.5 * max(finest, 5 / 0.00028)
    for view in (grid.window(0, 0, grid.width - 1, grid.height - 1), grid.window(0, 0, 0, 0), grid.window(3, 0, 40, 7)):
        assert scale_denominator(view) >= finest


def test_sheets_in_a_crs_that_may_not_be_asked_for_are_offered_in_one_that_may():
    assert grid_of(edition(), EXTENT, boxes("EPSG:4490", "EPSG:3857")).crs == "EPSG:4490"
    assert grid_of(edition(), EXTENT, boxes("EPSG:3857")).crs == "EPSG:3857"
    assert grid_of(edition(), EXTENT, {}) is None
    assert ground_resolution(grid_of(edition(), EXTENT, boxes("EPSG:3857")).whole) == pytest.approx(5.0, rel=1e-3)
