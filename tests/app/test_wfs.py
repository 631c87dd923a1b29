"""WFS 2.0.0: what is told and what is not, its filters, pages and names; and the clients that people use."""

import json
import os
import shutil
import subprocess
from urllib.parse import quote

import geopandas
import pytest
import shapely
from lxml import etree
from owslib.wfs import WebFeatureService
from served import PATIENCE, serving

from agreements.model import Operation
from layers.crs import transform_geometry, transform_shapes

LEFT, BOTTOM = 380_000.0, 3_540_000.0
WEST = shapely.box(LEFT, BOTTOM, LEFT + 500, BOTTOM + 1000)
GRANTED = transform_geometry(WEST, "EPSG:4549", "CRS:84")
HIDDEN = frozenset({"HYDL.NAME", "HYDL.GRADE", "HYDL.WIDTH", "geometry"})
BASE = "/wfs?SERVICE=WFS&VERSION=2.0.0&REQUEST="
FEATURES = f"{BASE}GetFeature&TYPENAMES=gs:dlg.HYDL"
CRSES = ("EPSG:4549", "EPSG:4490", "EPSG:4326", "EPSG:3857", "EPSG:4548")
GML, GS = "{http://www.opengis.net/gml/3.2}", "{http://geoshare/features}"


def lines(count: int = 40) -> geopandas.GeoDataFrame:
    rows = [
        {"NAME": f"河{number}" if number % 4 else "沟", "GRADE": number % 3, "WIDTH": number / 2, "SECRET": f"s{number}",
         "geometry": shapely.LineString([(LEFT + 100, BOTTOM + 20 * number + 5), (LEFT + (300 if number % 2 else 900), BOTTOM + 20 * number + 10)])}
        for number in range(count)
    ]
    rows.append({"NAME": "外河", "GRADE": 9, "WIDTH": 99.0, "SECRET": "outside", "geometry": shapely.LineString([(LEFT + 600, BOTTOM), (LEFT + 900, BOTTOM)])})
    return geopandas.GeoDataFrame(rows, crs="EPSG:4549")


@pytest.fixture(scope="module")
def county(lasting_house):
    house = lasting_house
    path = house.folder / "lines.gpkg"
    lines().to_file(path, layer="HYDL", engine="pyogrio")
    house.layer("dlg", path, product="DLG")
    for agency in ("water", "nobody", "all"):
        house.agency(agency)
    house.grant("water", "dlg", area=GRANTED, operations=frozenset({Operation.GET_FEATURE}), attributes=HIDDEN)
    house.grant("all", "dlg", operations=frozenset({Operation.GET_FEATURE}), attributes=None)
    return house


def told(county, query: str = "", agency: str = "water") -> dict:
    answer = county.get(f"{FEATURES}&OUTPUTFORMAT=application/json{query}", agency)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data)


def matching(county, inner: str, agency: str = "water") -> list[dict]:
    text = f'<Filter xmlns="http://www.opengis.net/fes/2.0" xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:gs="http://geoshare/features">{inner}</Filter>'
    return [one["properties"] for one in told(county, f"&FILTER={quote(text)}", agency)["features"]]


def compare(operator: str, name: str, value: object) -> str:
    return f"<{operator}><ValueReference>gs:{name}</ValueReference><Literal>{value}</Literal></{operator}>"


def test_capabilities_hold_what_is_granted_and_nothing_else(county):
    document = county.get(f"{BASE}GetCapabilities", "water")
    assert document.status_code == 200 and b"gs:dlg.HYDL" in document.data and b"urn:ogc:def:crs:EPSG::4549" in document.data
    assert b"dlg" not in county.get(f"{BASE}GetCapabilities", "nobody").data
    assert etree.fromstring(document.data).tag.endswith("WFS_Capabilities")


def test_the_schema_holds_the_fields_that_are_told(county):
    text = county.get(f"{BASE}DescribeFeatureType&TYPENAMES=gs:dlg.HYDL", "water").text
    assert 'name="NAME"' in text and 'type="xsd:long"' in text and "MultiCurve" in text and "SECRET" not in text
    assert 'name="SECRET"' in county.get(f"{BASE}DescribeFeatureType", "all").text


def test_shapes_are_cut_and_what_lies_outside_is_not_told(county):
    found = told(county, "&SRSNAME=urn:ogc:def:crs:EPSG::4549")
    shapes = [shapely.from_geojson(json.dumps(one["geometry"])) for one in found["features"]]
    assert len(shapes) == 40 and found["numberMatched"] == 40
    assert max(one.bounds[2] for one in shapes) <= LEFT + 500.001
    assert "外河" not in {one["properties"]["NAME"] for one in found["features"]}
    assert all("SECRET" not in one["properties"] for one in found["features"])


@pytest.mark.parametrize(("name", "is_swapped"), [
    ("urn:ogc:def:crs:EPSG::4490", True), ("http://www.opengis.net/def/crs/EPSG/0/4490", True), ("EPSG:4490", False),
    ("http://www.opengis.net/gml/srs/epsg.xml#4490", False),
])
def test_axes_come_as_the_form_of_the_name_means_them(county, name, is_swapped):
    answer = county.get(f"{FEATURES}&COUNT=1&SRSNAME={quote(name)}", "water")
    first = [float(one) for one in etree.fromstring(answer.data).find(f".//{GML}posList").text.split()[:2]]
    assert (first[0] < 90) == is_swapped
    assert etree.fromstring(answer.data).find(f".//{GML}MultiCurve").get("srsName") == name


def test_a_box_comes_in_the_order_of_its_crs(county):
    north_first, east_first = f"{BOTTOM},{LEFT},{BOTTOM + 100},{LEFT + 400}", f"{LEFT},{BOTTOM},{LEFT + 400},{BOTTOM + 100}"
    first = told(county, f"&BBOX={north_first}")
    assert first == told(county, f"&BBOX={north_first},urn:ogc:def:crs:EPSG::4549") | {"links": first["links"]}
    assert len(first["features"]) == 5 == len(told(county, f"&BBOX={east_first},EPSG:4549")["features"])
    outside = f"{LEFT + 501},{BOTTOM},{LEFT + 800},{BOTTOM + 900},EPSG:4549"
    assert told(county, f"&BBOX={outside}")["features"] == []


def test_filters_are_asked_of_numbers_as_numbers_and_of_text_as_text(county):
    assert {one["GRADE"] for one in matching(county, compare("PropertyIsEqualTo", "GRADE", 2))} == {2}
    assert {one["GRADE"] for one in matching(county, compare("PropertyIsNotEqualTo", "GRADE", 2))} == {0, 1}
    assert {one["GRADE"] for one in matching(county, f"<Not>{compare('PropertyIsEqualTo', 'GRADE', 2)}</Not>")} == {0, 1}
    assert len(matching(county, compare("PropertyIsLessThan", "WIDTH", 2.5))) == 5
    assert {one["NAME"] for one in matching(county, compare("PropertyIsEqualTo", "NAME", "沟"))} == {"沟"}
    like = '<PropertyIsLike wildCard="*" singleChar="." escapeChar="!"><ValueReference>NAME</ValueReference><Literal>河1*</Literal></PropertyIsLike>'
    assert {one["NAME"][:2] for one in matching(county, like)} == {"河1"}
    both = f"<And>{compare('PropertyIsEqualTo', 'GRADE', 1)}{compare('PropertyIsGreaterThan', 'WIDTH', 10)}</And>"
    assert len(matching(county, both)) == 6
    assert matching(county, "<PropertyIsNull><ValueReference>NAME</ValueReference></PropertyIsNull>") == []


def test_predicates_are_asked_of_the_shape_as_it_was_cut(county):
    envelope = f'<gml:Envelope srsName="EPSG:4549"><gml:lowerCorner>{LEFT} {BOTTOM}</gml:lowerCorner><gml:upperCorner>{LEFT + 501} {BOTTOM + 999}</gml:upperCorner></gml:Envelope>'
    assert len(matching(county, f"<Within><ValueReference>geometry</ValueReference>{envelope}</Within>")) == 40
    far = envelope.replace(str(LEFT + 501), str(LEFT + 950)).replace(f"{LEFT} {BOTTOM}", f"{LEFT + 550} {BOTTOM}")
    assert matching(county, f"<Intersects><ValueReference>geometry</ValueReference>{far}</Intersects>") == []


def test_a_hidden_attribute_is_refused_as_one_that_does_not_exist(county):
    for query in ("&PROPERTYNAME={}", "&FILTER=" + quote(f'<Filter xmlns="http://www.opengis.net/fes/2.0">{compare("PropertyIsEqualTo", "{}", "s1")}</Filter>')):
        query = query.replace("%7B%7D", "{}")
        hidden, unknown = (county.get(FEATURES + query.format(name), "water") for name in ("SECRET", "ABSENT"))
        assert hidden.status_code == unknown.status_code == 403
        assert hidden.data.replace(b"SECRET", b"ABSENT") == unknown.data


def test_unknown_and_unshared_types_are_answered_alike(county):
    for rest in ("GetFeature&TYPENAMES=gs:{}.HYDL", "DescribeFeatureType&TYPENAMES=gs:{}.HYDL", "GetFeature&RESOURCEID={}.HYDL." + "0" * 32):
        unshared, unknown = (county.get(BASE + rest.format(name), "nobody") for name in ("dlg", "abc"))
        assert unshared.status_code == unknown.status_code == 403 and b"ExceptionReport" in unshared.data
        assert unshared.data.replace(b"dlg", b"abc") == unknown.data


def test_pages_by_number_and_by_key_tell_the_same(county):
    whole = [one["id"] for one in told(county)["features"]]
    counted = [one["id"] for start in range(0, 40, 7) for one in told(county, f"&COUNT=7&STARTINDEX={start}")["features"]]
    assert counted == whole
    followed, page = [], told(county, "&COUNT=7")
    while True:
        followed += [one["id"] for one in page["features"]]
        after = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        if after is None:
            break
        page = json.loads(county.get(after[after.index("/wfs"):], "water").data)
    assert followed == whole


def test_hits_count_what_is_told(county):
    root = etree.fromstring(county.get(f"{FEATURES}&RESULTTYPE=hits", "water").data)
    assert root.get("numberMatched") == "40" and root.get("numberReturned") == "0"
    assert etree.fromstring(county.get(f"{FEATURES}&RESULTTYPE=hits", "all").data).get("numberMatched") == "41"


def test_a_feature_is_had_by_its_name_and_one_outside_is_not(county):
    name = told(county)["features"][3]["id"]
    assert [one["id"] for one in told(county, f"&RESOURCEID={name}")["features"]] == [name]
    by_id = county.get(f"{BASE}GetFeature&STOREDQUERY_ID=urn:ogc:def:query:OGC-WFS::GetFeatureById&ID={name}", "water")
    assert etree.fromstring(by_id.data).tag == f"{GS}dlg.HYDL"
    outside = next(one["id"] for one in told(county, agency="all")["features"] if one["properties"]["NAME"] == "外河")
    assert told(county, f"&RESOURCEID={outside}")["features"] == []
    assert county.get(f"{BASE}GetFeature&STOREDQUERY_ID=urn:ogc:def:query:OGC-WFS::GetFeatureById&ID={outside}", "water").status_code == 400


def test_xml_asks_the_same_as_an_address(county):
    body = f"""<wfs:GetFeature service="WFS" version="2.0.0" outputFormat="application/json" count="100" xmlns:wfs="http://www.opengis.net/wfs/2.0"
      xmlns:fes="http://www.opengis.net/fes/2.0" xmlns:gs="http://geoshare/features"><wfs:Query typeNames="gs:dlg.HYDL"><fes:Filter>
      {compare("PropertyIsEqualTo", "GRADE", 2).replace("<P", "<fes:P").replace("</P", "</fes:P").replace("<V", "<fes:V").replace("</V", "</fes:V").replace("<L", "<fes:L").replace("</L", "</fes:L")}
      </fes:Filter></wfs:Query></wfs:GetFeature>"""
    answer = county.client().post("/wfs", data=body.encode(), headers={"X-API-Key": county.keys["water"]})
    assert [one["properties"] for one in answer.json["features"]] == matching(county, compare("PropertyIsEqualTo", "GRADE", 2))


@pytest.mark.parametrize("body", [
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><GetFeature service="WFS"><Query typeNames="gs:dlg.HYDL">&e;</Query></GetFeature>', b"<GetFeature>", b"",
])
def test_a_document_with_entities_or_without_sense_is_refused(county, body):
    answer = county.client().post("/wfs", data=body, headers={"X-API-Key": county.keys["water"]})
    assert answer.status_code == 400 and b"ExceptionReport" in answer.data and b"root:" not in answer.data


@pytest.mark.parametrize("query", ["&SORTBY=NAME", "&BBOX=1,2,3", "&COUNT=x", "&SRSNAME=EPSG:1", "&OUTPUTFORMAT=shape-zip", "&VERSION=1.1.0", "&FILTER=<x/>"])
def test_what_can_not_be_answered_is_told_in_the_words_of_wfs(county, query):
    address = FEATURES if "VERSION" not in query else FEATURES.replace("&VERSION=2.0.0", "")
    answer = county.get(address + query, "water")
    assert answer.status_code == 400 and etree.fromstring(answer.data).tag == "{http://www.opengis.net/ows/1.1}ExceptionReport"


def test_a_crs_that_is_left_out_is_decided_like_one_that_is_named(county):
    county.agency("metres")
    county.grant("metres", "dlg", area=GRANTED, operations=frozenset({Operation.GET_FEATURE}), attributes=HIDDEN, crs=frozenset({"EPSG:4548"}))
    county.look_again()
    assert b"4548" in county.get(FEATURES, "metres").data.split(b"posList")[0]
    assert county.get(f"{FEATURES}&SRSNAME=EPSG:4326", "metres").status_code == 403
    assert told(county, agency="metres")["crs"]["properties"]["name"].endswith("4548")


def test_rows_hold_in_pages_counts_and_names(county):
    county.agency("rows")
    county.grant("rows", "dlg", area=GRANTED, operations=frozenset({Operation.GET_FEATURE}), attributes=HIDDEN, rows="HYDL.SECRET = 's4' OR HYDL.SECRET = 's6'")
    county.look_again()
    found = told(county, agency="rows")
    assert len(found["features"]) == found["numberMatched"] == 2
    assert etree.fromstring(county.get(f"{FEATURES}&RESULTTYPE=hits", "rows").data).get("numberMatched") == "2"
    other = next(one["id"] for one in told(county)["features"] if one["id"] not in {each["id"] for each in found["features"]})
    assert told(county, f"&RESOURCEID={other}", "rows")["features"] == []


# -- real clients

gdal = pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="GDAL's tools are not installed: apt-get install gdal-bin")


@pytest.fixture(scope="module")
def base(county):
    with serving(county) as address:
        yield address


def run(*command: str, folder) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "PROJ_", "CPL_"))} | {"HOME": str(folder)}
    done = subprocess.run(command, env=environ | {"OGR_WFS_PAGE_SIZE": "7"}, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@gdal
@pytest.mark.client
def test_gdals_wfs_driver_pages_filters_and_places_what_is_told(county, base, tmp_path):
    source = f"WFS:{base}/wfs?key={county.keys['water']}"
    assert "dlg.HYDL" in run("ogrinfo", "-ro", source, folder=tmp_path)
    run("ogr2ogr", "-f", "GPKG", "all.gpkg", source, "gs:dlg.HYDL", folder=tmp_path)
    found = geopandas.read_file(tmp_path / "all.gpkg")
    assert len(found) == 40 and "SECRET" not in found.columns and found.crs.to_epsg() == 4549
    mine = shapely.union_all(transform_shapes(found.geometry.array.to_numpy() if hasattr(found.geometry.array, "to_numpy") else found.geometry.to_numpy(), "EPSG:4549", "EPSG:4549"))
    expected = shapely.union_all(shapely.intersection(lines(40).geometry.to_numpy(), WEST))
    assert shapely.hausdorff_distance(mine, expected) < 0.01
    run("ogr2ogr", "-f", "GPKG", "some.gpkg", source, "gs:dlg.HYDL", "-where", "GRADE = 2 AND NAME LIKE '河%'", "-spat", str(LEFT), str(BOTTOM),
        str(LEFT + 400), str(BOTTOM + 300), folder=tmp_path)
    some = geopandas.read_file(tmp_path / "some.gpkg")
    assert set(some["GRADE"]) == {2} and some["NAME"].str.startswith("河").all() and 0 < len(some) < 6


@pytest.mark.client
def test_owslib_reads_what_there_is_and_fetches_it(county, base):
    service = WebFeatureService(f"{base}/wfs?key={county.keys['water']}", version="2.0.0")
    assert list(service.contents) == ["gs:dlg.HYDL"]
    assert service.get_schema("gs:dlg.HYDL")["properties"].keys() >= {"NAME", "GRADE", "WIDTH"} and "SECRET" not in service.get_schema("gs:dlg.HYDL")["properties"]
    answer = service.getfeature(typename=["gs:dlg.HYDL"], maxfeatures=3, outputFormat="application/json")
    assert len(json.load(answer)["features"]) == 3


@gdal
@pytest.mark.client
def test_gdals_driver_of_ogc_api_features_loads_the_same(county, base, tmp_path):
    run("ogr2ogr", "-f", "GPKG", "api.gpkg", f"OAPIF:{base}/features?key={county.keys['water']}", "dlg.HYDL", "-oo", "PAGE_SIZE=7", folder=tmp_path)
    found = geopandas.read_file(tmp_path / "api.gpkg")
    assert len(found) == 40 and "SECRET" not in found.columns
    mine = shapely.union_all(found.to_crs("EPSG:4549").geometry.to_numpy())
    assert shapely.hausdorff_distance(mine, shapely.union_all(shapely.intersection(lines(40).geometry.to_numpy(), WEST))) < 0.01

