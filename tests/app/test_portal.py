"""The portal: what members of an agency are shown of what is theirs, and that nothing of anybody else's is among it."""

import json
import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely
from api_office import PASSWORD, Office
from made_layers import ALL, edition, layer, line_map, visible

from agreements.model import Mark, Operation, ScaleWindow
from agreements.quota import Limit, Measure, Quota, Window
from agreements.record import Contribution, Record
from geoserver_app.audit.roots import Proof, doubts
from geoserver_app.audit.sealing import seal_days
from geoserver_app.audit.store import AuditStore
from geoserver_app.capabilities import describe
from geoserver_app.clock import SHANGHAI, now
from geoserver_app.console.portal_connect import is_coverage
from geoserver_app.decision_log import DecisionLog
from layers.catalogue import Division

PAGES = (
    "/portal", "/portal/", "/portal/area", "/portal/area?layer=dom", "/portal/area.geojson?layer=dom", "/portal/connect", "/portal/qgis-wms.xml",
    "/portal/qgis-wcs.xml", "/portal/qgis-xyz.xml", "/portal/geoshare.qlr", "/portal/explain", "/portal/explain?layer=dom", "/portal/audit", "/portal/audit?effect=deny",
    "/portal/audit.csv", "/portal/contributions", "/portal/contributions?show=all", "/portal/submissions", "/portal/requests", "/portal/packages",
    "/portal/overlays", "/portal/maps",
)
OTHERS = ("police", "AG-POLICE-1", "警务专题", "Beats", "beats", "police-key", "police-dataset", "秘密用途", "警用无人机影像")
"""Names, ids and titles of the other agency's."""


@pytest.fixture(scope="module")
def office(lasting_house) -> Office:
    house, office = lasting_house, Office(lasting_house)
    tile = np.full((3, 400, 400), 90, dtype=np.uint8)
    house.raster("dom", tile, 379_000, 3_542_000, 10.0, title_zh="影像", title_en="Imagery")
    house.raster("beats", tile, 379_000, 3_542_000, 10.0, title_zh="警务专题", title_en="Beats")
    house.agree(
        "water", house.clause("dom", area=shapely.box(118.72, 31.99, 118.75, 32.01), scale=ScaleWindow(finest=5_000), clause="4.2"),
        agreement_id="AG-WATER-1", title="水利共享", quota=Quota(limits=(Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1000),)),
        mark=Mark(text="水利专用", opacity=0.4, place="tiled"), record=Record(contributions=(Contribution(dataset="水位站", cadence="P3M"),)),
    )
    house.agree(
        "police", house.clause("beats", "dom", clause="9.9"), agreement_id="AG-POLICE-1", title="警务专题协议", purpose="秘密用途",
        record=Record(contributions=(Contribution(dataset="police-dataset", cadence="P3M"),)),
    )
    house.services.register.issue_key("police", label="police-key")
    house.look_again()
    office.visitor("stranger").ask("POST /requests", json={"layers": "警用无人机影像", "reason": "秘密用途"})
    house.raster("quarry", tile, 379_000, 3_542_000, 10.0)
    for agency, layers in {"water": ("dom", "quarry", "nowhere"), "police": ("dom", "beats")}.items():
        for name in layers:
            house.get(f"/tiles/{name}/WebMercatorQuad/14/13596/6645.png", agency)
    return office


def get(office: Office, path: str, login: str = "member", language: str = "zh"):
    visitors = office.__dict__.setdefault("visitors", {})
    visitor = visitors[login] = visitors.get(login) or office.visitor(login)
    return visitor.client.get(f"{path}{'&' if '?' in path else '?'}lang={language}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ("zh", "en"))
def test_a_page_holds_nothing_of_another_agency(office, path, language):
    answer = get(office, path, language=language)
    assert answer.status_code == 200, answer.text[:500]
    for word in OTHERS:
        assert word not in answer.text, word


def test_the_other_agency_sees_its_own_in_the_same_places(office):
    """Else the test above would pass on empty pages."""
    assert "AG-POLICE-1" in get(office, "/portal", "stranger").text and "警务专题" in get(office, "/portal/area", "stranger").text
    assert "police-key" in get(office, "/portal/connect", "stranger").text and "police-dataset" in get(office, "/portal/contributions", "stranger").text
    assert "beats" in get(office, "/portal/audit", "stranger").text and "AG-WATER-1" not in get(office, "/portal", "stranger").text


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_for_members_alone_and_put_down(office, path):
    assert get(office, path, "anonymous").headers["Location"].startswith("/login?next=/portal")
    assert get(office, path, "administrator").status_code == 404
    before = len(office.acts())
    get(office, path)
    acts = office.acts()[before:]
    assert [(one["agency"], one["actor"], one["outcome"]) for one in acts] == [("water", "member", "shown")]
    assert acts[0]["operation"].startswith("portal.")


def test_the_first_page_tells_agreements_layers_quota_use_and_what_is_owed(office):
    text = get(office, "/portal").text
    for word in ("AG-WATER-1", "水利共享", "影像", "请求", "1,000", "水位站", "最近 7 天", "最近 30 天", "<svg"):
        assert word in text, word
    assert "Our agreements" in get(office, "/portal", language="en").text


def test_the_ground_is_told_by_clause_in_words_and_shapes(office):
    text = get(office, "/portal/area?layer=dom").text
    for word in ("4.2", "AG-WATER-1", "不细于 1:5,000", "水利专用", "km²"):
        assert word in text, word
    shapes = get(office, "/portal/area.geojson?layer=dom").json
    ground = shapely.union_all([shapely.geometry.shape(one["geometry"]) for one in shapes["features"]])
    assert {one["properties"]["clause"] for one in shapes["features"]} == {"4.2"}
    assert shapely.box(118.7199, 31.9899, 118.7501, 32.0101).covers(ground) and not ground.is_empty


@pytest.mark.parametrize("path", ("/portal/area?layer={}", "/portal/area.geojson?layer={}"))
def test_a_layer_that_is_not_shared_is_answered_like_one_that_is_not_there(office, path):
    unshared, unknown = (get(office, path.format(layer)) for layer in ("beats", "heats"))
    assert unshared.status_code == unknown.status_code == 404 and unshared.text.replace("beats", "heats") == unknown.text


def test_what_can_not_be_seen_is_explained_alike_for_unshared_and_unknown(office):
    def told(layer):
        text = get(office, f"/portal/explain?layer={layer}&lon=118.73&lat=32").text
        return text.replace(layer, "X").split('aria-labelledby="answer"')[1]
    assert told("beats") == told("heats") and "未共享" in told("beats")
    permitted = get(office, "/portal/explain?layer=dom&lon=118.73&lat=32&scale=10000").text
    assert "可以看到" in permitted and "4.2" in permitted and "data@bureau.test" in permitted
    assert "看不到" in get(office, "/portal/explain?layer=dom&lon=118.73&lat=32&scale=1000").text.split('id="answer"')[1]


def test_a_record_of_one_s_own_is_explained_and_anybody_else_s_is_unknown(office):
    decided = {one["agency"]: one["id"] for one in office.records() if one["event"] == "overlay.decided"}
    own = get(office, f"/portal/explain?record={decided['water']}")
    assert own.status_code == 200 and "按当时的登记重新判定，结论相同" in own.text
    foreign, absent = get(office, f"/portal/explain?record={decided['police']}").text, get(office, "/portal/explain?record=20200101T000000000000-1-2").text
    assert "没有这条记录" in foreign
    assert foreign.replace(decided["police"], "X") == absent.replace("20200101T000000000000-1-2", "X")


def test_the_files_for_qgis_are_what_it_reads_and_hold_no_key(office):
    secret = office.house.keys["water"]
    connections = ET.fromstring(get(office, "/portal/qgis-wms.xml").text)
    assert connections.tag == "qgsWMSConnections" and connections.get("version") == "1.0"
    assert [one.get("url") for one in connections] == ["http://maps.test/ows?", "http://maps.test/wmts/1.0.0/WMTSCapabilities.xml"]
    coverages = ET.fromstring(get(office, "/portal/qgis-wcs.xml").text)
    assert coverages.tag == "qgsWCSConnections" and [one.get("url") for one in coverages] == ["http://maps.test/wcs?"]
    tiles = ET.fromstring(get(office, "/portal/qgis-xyz.xml").text)
    assert tiles.tag == "qgsXYZTilesConnections" and "{z}/{x}/{y}" in tiles[0].get("url") and int(tiles[0].get("zmax")) >= int(tiles[0].get("zmin"))
    definition = ET.fromstring(get(office, "/portal/geoshare.qlr").text)
    layer, shown = definition.find("maplayers/maplayer"), definition.find("layer-tree-group/layer-tree-group/layer-tree-layer")
    assert definition.tag == "qlr" and layer.findtext("id") == shown.get("id") and layer.findtext("datasource") == shown.get("source")
    assert "layers=dom&" in layer.findtext("datasource") and layer.findtext("srs/spatialrefsys/authid").startswith("EPSG:")
    for path in PAGES:
        assert secret not in get(office, path).text


def test_the_address_of_values_is_told_where_some_are_granted(office):
    text = get(office, "/portal/connect").text
    assert "http://maps.test/wcs?" in text and "WCS 1.0.0 / 2.0.1" in text
    looked_at, had, lines = (
        is_coverage(describe([visible(one, operations=operations)], "en", lambda *_, **__: "")[0])
        for one, operations in ((layer(edition()), ALL), (layer(edition()), frozenset(Operation)), (line_map(), frozenset(Operation)))
    )
    assert (looked_at, had, lines) == (False, True, False)


def test_a_key_is_told_without_its_secret_and_can_be_revoked_by_the_form_alone(office):
    key, secret = office.house.services.register.issue_key("water", label="field tablets", app="gis", purpose="")
    text = get(office, "/portal/connect").text
    assert "field tablets" in text and key.key_id in text and secret not in text
    visitor = office.visitor("member")
    assert visitor.client.post("/portal/connect", data={"do": "revoke", "key_id": key.key_id}).status_code == 403
    assert visitor.client.post("/portal/connect", data={"do": "revoke", "key_id": key.key_id, "csrf": visitor.csrf}).status_code == 303
    assert office.house.services.register.snapshot().keys.get(key.key_id) is None or "已撤销" in get(office, "/portal/connect").text
    foreign = next(one for one in office.house.services.register.snapshot().keys.values() if one.label == "police-key")
    assert visitor.client.post("/portal/connect", data={"do": "revoke", "key_id": foreign.key_id, "csrf": visitor.csrf}).status_code == 404


def test_the_table_of_records_holds_own_rows_alone_and_nothing_that_runs(office):
    lines = get(office, "/portal/audit.csv").data.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("record,at,event,key,operation,layer")
    assert any(",dom,2011," in line and ",permit," in line or ",clip," in line for line in lines)
    unshared = [line.split(",")[5:] for line in lines if ",quarry," in line or ",nowhere," in line]
    assert len(unshared) == 2 and unshared[0][1:] == unshared[1][1:]


def test_a_sealed_day_is_downloaded_and_its_proof_leads_to_the_root(office):
    services, day = office.house.services, (now() - timedelta(days=1)).astimezone(SHANGHAI).date()
    log = DecisionLog(services.settings.decisions)
    for agency in ("water", "police", "water"):
        log.write({"event": "overlay.listed", "agency": agency, "operation": "GetCapabilities", "listed": 1}, (now() - timedelta(days=1)).timestamp())
    log.close()
    root = seal_days(services.settings.decisions, AuditStore(services.database), now(), until=day, processes=1)[-1]
    assert root.digest in get(office, "/portal/audit").text
    rows, proof = (get(office, f"/portal/audit/{day}{end}") for end in (".jsonl", ".proof.json"))
    assert rows.status_code == proof.status_code == 200
    held = rows.data.split(b"\n")[:-1]
    assert [json.loads(one)["agency"] for one in held] == ["water", "water"] and b"police" not in proof.data
    assert list(doubts(held, Proof.parse(proof.text), root.digest)) == []
    assert get(office, "/portal/audit/1999-01-01.jsonl").status_code == 404


def test_a_delivery_is_handed_in_returned_with_reasons_and_a_statement_takes_its_place(office):
    visitor, entry = office.visitor("member"), office.visitor("member").ask("GET /agreements/AG-WATER-1/contributions").json["items"][0]
    form = {"csrf": visitor.csrf, "do": "receive", "agreement": "AG-WATER-1", "dataset": "水位站", "due": entry["due"]}
    wrong = visitor.client.post("/portal/contributions?lang=zh", data=form | {"sha256": "12"})
    assert wrong.status_code == 422 and "sha256" in wrong.text
    assert visitor.client.post("/portal/contributions", data={**form, "csrf": ""}).status_code == 403
    assert visitor.client.post("/portal/contributions", data=form | {"sha256": "AB" * 32, "file_name": "gauges.gpkg", "features": "12"}).status_code == 303
    delivery = office.visitor("member").ask("GET /agreements/AG-WATER-1/contributions").json["items"][0]["deliveries"][0]
    text = get(office, "/portal/contributions?show=all").text
    assert "gauges.gpkg" in text and "ab" * 32 in text
    sent = {"result": "returned", "findings": "缺少坐标系说明"}
    assert office.visitor("data_manager").ask(f"POST /deliveries/{delivery}/checks", json=sent).status_code == 200
    assert "缺少坐标系说明" in get(office, "/portal/contributions").text
    assert visitor.client.post("/portal/contributions", data=form | {"do": "state", "statement": "本季度没有变化"}).status_code == 303
    assert "本季度没有变化" in get(office, "/portal/contributions?show=all").text
    foreign = form | {"agreement": "AG-POLICE-1", "dataset": "police-dataset", "sha256": "ab" * 32}
    assert visitor.client.post("/portal/contributions", data=foreign).status_code == 404


def test_more_is_asked_for_becomes_a_task_of_the_bureau_and_is_answered(office):
    catalogue = office.house.services.catalogue
    catalogue.put_divisions([Division(vintage="2024", code="320104", name="秦淮区", level="county", geometry=shapely.box(118.7, 32.0, 118.8, 32.1))])
    visitor = office.visitor("member")
    form = {"csrf": visitor.csrf, "do": "ask", "layers": "一米格网高程", "division": ["320104"], "reason": "防洪评价"}
    assert visitor.client.post("/portal/requests", data=form | {"csrf": ""}).status_code == 403
    wrong = visitor.client.post("/portal/requests?lang=zh", data=form | {"division": ["999999"]})
    assert wrong.status_code == 422 and "999999" in wrong.text and "防洪评价" in wrong.text
    assert visitor.client.post("/portal/requests", data=form).status_code == 303
    text = get(office, "/portal/requests").text
    assert "一米格网高程" in text and "秦淮区" in text and "答复期还有" in text
    (task,) = [one for one in office.visitor("data_manager").ask("GET /tasks").json["items"] if "一米格网高程" in one["sentence"]]
    assert task["kind"] == "request" and task["due"] and "一米格网高程" not in json.dumps(office.visitor("stranger").ask("GET /tasks").json)
    number, manager = str(task["detail"]["request"]), office.visitor("data_manager")
    assert "一米格网高程" in manager.client.get("/console/requests?lang=zh").text and "access_requests" not in manager.client.get("/console?lang=zh").text
    answer = {"csrf": manager.csrf, "do": "answer", "request": number, "outcome": "accepted", "answer": "将起草修订", "agreement": "AG-WATER-1"}
    assert visitor.client.post("/console/requests", data=answer | {"csrf": visitor.csrf}).status_code == 404
    assert manager.client.post("/console/requests", data=answer).status_code == 303
    assert manager.client.post("/console/requests", data=answer).status_code == 409
    text = get(office, "/portal/requests").text
    assert "将起草修订" in text and "data_manager" not in text
    assert not [one for one in office.visitor("data_manager").ask("GET /tasks").json["items"] if "一米格网高程" in one["sentence"]]


def test_members_begin_at_the_portal_unless_they_were_on_their_way_elsewhere(office):
    for login, onward, place in (("member", "", "/portal"), ("member", "/api/v1/docs", "/api/v1/docs"), ("auditor", "", "/")):
        client = office.house.client()
        token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)[1]
        answer = client.post("/login", data={"csrf": token, "login": login, "password": PASSWORD, "next": onward})
        assert (answer.status_code, answer.headers["Location"]) == (303, place)
