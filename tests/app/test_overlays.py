"""An agency registers its own data: whole or not at all, whatever the file is made of, and every fault in a sentence of two languages."""

import io
import time
import zipfile

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
import sqlalchemy as sa
from overlaying import POINTS, geojson, headers, published, put, register, sent, taken_in, told, worker, zipped

from geoserver_app.overlays.book import UploadBook, UploadState, upload_folder
from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.reading import Unfit, read_table, read_vectors
from geoserver_app.overlays.sandbox import Caps, opened
from geoserver_app.overlays.tables import uploads_table
from layers.catalogue import Division


@pytest.fixture(scope="module")
def county(lasting_house):
    for name in ("water", "police", "police-net"):
        lasting_house.agency(name)
    squares = [
        Division(vintage="2024", code=f"32010{n}", name=f"区{n}", level="county", geometry=shapely.box(118.6 + n / 10, 31.9, 118.7 + n / 10, 32.2))
        for n in range(4)
    ]
    lasting_house.services.catalogue.put_divisions(squares)
    return lasting_house


def layer_of(house, name: str):
    return house.services.catalogue.snapshot().layers.get(name)


def nothing_is_left(house, upload: str) -> bool:
    return not upload_folder(house.services.settings, upload).exists()


@pytest.fixture
def at_hand(monkeypatch):
    """What was uploaded is opened in this process: quicker, for what the other program has no part in."""

    def read(source, folder, kind, caps, *, crs=None, encoding=None, is_wanted=None):
        job = {"crs": crs, "encoding": encoding, **{name: getattr(caps, name) for name in caps.__slots__}}
        try:
            return {"table": read_table(source, job)} if kind == "table" else read_vectors(source, folder, job)
        except Unfit as error:
            raise OverlayInvalid(error.code, **error.detail) from None

    monkeypatch.setattr("geoserver_app.overlays.uploads.opened", read)


# What is taken

def test_a_file_becomes_an_overlay_of_its_agency_and_nothing_else_stays_behind(county):
    found = published(county, "water", edition="2026-07", title_zh="水位站")
    layer = layer_of(county, "water-stations")
    assert (layer.owner, layer.product.value, layer.title_zh, [one.name for one in layer.editions]) == ("water", "OVERLAY", "水位站", ["2026-07"])
    assert layer.editions[0].classes[0].count == 3 and found["done"] == found["total"]
    assert nothing_is_left(county, found["upload"])
    listed = county.get("/api/v1/overlays", "water").json["items"]
    assert [one["layer"] for one in listed] == ["water-stations"] and listed[0]["editions"][0]["tables"][0]["fields"] == ["STNM", "LEVEL", "SECRET"]


def shapefile(folder) -> bytes:
    frame = geopandas.GeoDataFrame(POINTS, geometry="geometry", crs="EPSG:4490")
    pyogrio.write_dataframe(frame, folder / "站点.shp", encoding="GB18030")
    (folder / "站点.cpg").unlink(missing_ok=True)
    return zipped(folder)


def geopackage(folder) -> bytes:
    pyogrio.write_dataframe(geopandas.GeoDataFrame(POINTS, geometry="geometry", crs="EPSG:4549").set_crs("EPSG:4490", allow_override=True), folder / "a.gpkg", layer="stations")
    return (folder / "a.gpkg").read_bytes()


@pytest.mark.parametrize(("file", "make"), [("站点.zip", shapefile), ("a.gpkg", geopackage)])
def test_every_kind_of_file_keeps_its_texts(county, tmp_path, file, make):
    name = f"kind-{file.rpartition('.')[2]}"
    published(county, "water", make(tmp_path), file=file, name=name, edition="1")
    edition = layer_of(county, f"water-{name}").editions[0]
    frame = pyogrio.read_dataframe(county.services.settings.store / edition.folder / edition.vectors, layer=edition.classes[0].name)
    assert sorted(frame["STNM"]) == sorted(row["STNM"] for row in POINTS)


CSV = "站名,经度,纬度,水位\n甲,118.72,32.02,2.5\n乙,118.78,32.08,\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_with_coordinates_becomes_points(county, encoding, at_hand):
    found = published(county, "water", CSV.encode(encoding), file="水位.csv", name=f"csv-{encoding}", edition="1", crs="EPSG:4490")
    edition = layer_of(county, f"water-csv-{encoding}").editions[0]
    assert (edition.classes[0].name, edition.classes[0].geometry, edition.classes[0].count) == ("水位", "point", 2)
    assert "table-points" in [one["code"] for one in found["findings"]]


def test_a_workbook_and_projected_coordinates_are_taken_alike(county, tmp_path, at_hand):
    path = tmp_path / "t.xlsx"
    workbook(path, [["name", "x", "y"], ["a", 380_000.5, 3_540_000], ["b", 381_000, 3_541_000]])
    published(county, "water", path.read_bytes(), file="t.xlsx", name="book", edition="1", crs="EPSG:4549")
    bounds = layer_of(county, "water-book").editions[0].classes[0].bounds
    assert tuple(bounds) == pytest.approx((380_000.5, 3_540_000, 381_000, 3_541_000))


def workbook(path, rows) -> None:
    """The least that is a workbook, written without a library."""
    cells = "".join(
        "<row>" + "".join(
            f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value}</v></c>" for value in row
        ) + "</row>" for row in rows
    )
    space, relations = "http://schemas.openxmlformats.org", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{space}/package/2006/content-types"/>')
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{space}/package/2006/relationships"><Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{space}/spreadsheetml/2006/main" xmlns:r="{relations}"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{space}/package/2006/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/s.xml"/></Relationships>')
        archive.writestr("xl/worksheets/s.xml", f'<worksheet xmlns="{space}/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>')


def test_statistics_by_division_become_a_thematic_map_with_classes(county, at_hand):
    rows = "行政区划代码,GDP\n320100,10\n320101000000,20\n320102,300\n320999,5\n"
    found = published(county, "water", rows.encode(), file="gdp.csv", name="gdp", edition="2024", method="equal", classes=3, ramp="red")
    (edition,) = layer_of(county, "water-gdp").editions
    assert (edition.classes[0].geometry, edition.classes[0].count) == ("area", 3)
    sentences = {one["code"]: one["sentence"] for one in found["findings"]}
    assert "320999" in sentences["table-some-codes-unknown"] and "2024" in sentences["table-joined"]
    rules = county.get("/api/v1/overlays/layers/water-gdp", "water").json["editions"][0]["symbols"]["tables"]["gdp"]["classes"]
    assert rules["by"] == "GDP" and len(rules["entries"]) == 3
    assert rules["entries"][0]["symbol"]["colour"] == "#FDE5DC" and rules["entries"][-1]["symbol"]["colour"] == "#67000D"
    legend = county.get("/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetLegendGraphic&LAYER=water-gdp&FORMAT=image/png&SLD_VERSION=1.1.0", "water")
    assert legend.status_code == 200 and legend.data.startswith(b"\x89PNG")


# Faults

FAULTS = {
    "no table kind": ("a.csv", "a,b\n1,2\n", {}, "table-kind"),
    "no CRS": ("a.csv", "lon,lat\n118.7,32\n", {}, "table-crs"),
    "no number": ("a.csv", "lon,lat\n118.7,abc\n", {"crs": "EPSG:4490"}, "table-coordinate"),
    "axes exchanged": ("a.csv", "lon,lat\n32.0,118.7\n", {"crs": "EPSG:4490"}, "table-axes"),
    "infinite": ("a.csv", "lon,lat\n118.7,1e999\n", {"crs": "EPSG:4490"}, "table-coordinate"),
    "two of a name": ("a.csv", "lon,LON\n1,2\n", {"crs": "EPSG:4490"}, "table-header"),
    "ragged": ("a.csv", "lon,lat\n118.7,32,5\n", {"crs": "EPSG:4490"}, "table-ragged"),
    "no rows": ("a.csv", "lon,lat\n", {"crs": "EPSG:4490"}, "table-empty"),
    "empty": ("a.csv", "\n", {}, "table-empty"),
    "not a text": ("a.csv", b"lon,lat\n\xff\xff\xff\xfe", {"crs": "EPSG:4490"}, "table-encoding"),
    "code that is none": ("a.csv", "code,n\n3201,5\n", {}, "table-code"),
    "code twice": ("a.csv", "code,n\n320101,5\n320101,6\n", {}, "table-code-twice"),
    "codes unknown": ("a.csv", "code,n\n110101,5\n", {}, "table-codes-unknown"),
    "vintage unknown": ("a.csv", "code,n\n320101,5\n", {"vintage": "1999"}, "table-vintage"),
    "column that is not there": ("a.csv", "code,n\n320101,5\n", {"columns": {"code": "dm"}}, "table-no-column"),
    "refused datum": ("a.csv", "lon,lat\n118.7,32\n", {"crs": "EPSG:4610"}, "overlay-rejected"),
    "not a workbook": ("a.xlsx", b"PK\x03\x04nonsense", {}, "overlay-unreadable"),
    "not JSON": ("a.geojson", b"{ not json", {}, "overlay-rejected"),
    "a picture": ("a.gpkg", b"\x89PNG\r\n\x1a\n" + bytes(64), {}, "overlay-rejected"),
    "a pipeline of GDAL": ("a.json", b'{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/passwd ! write x"}', {}, "overlay-rejected"),
    "a virtual file": ("a.geojson", b"<OGRVRTDataSource><OGRVRTLayer name='x'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>", {}, "overlay-rejected"),
    "an archive of nothing": ("a.zip", None, {}, "overlay-zip-holds"),
    "not an archive": ("a.zip", b"PK nothing", {}, "overlay-rejected"),
}


HOSTILE = ("a pipeline of GDAL", "a virtual file", "not a workbook")
"""Opened as they are when the service runs."""


@pytest.mark.parametrize("case", FAULTS)
def test_every_fault_is_a_sentence_in_two_languages_and_publishes_nothing(county, request, case):
    if case not in HOSTILE:
        request.getfixturevalue("at_hand")
    file, content, wanted, code = FAULTS[case]
    if content is None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("readme.txt", "nothing")
        content = out.getvalue()
    name, epoch = f"bad{list(FAULTS).index(case)}", county.services.catalogue.epoch()
    found = taken_in(county, "water", content.encode() if isinstance(content, str) else content, file=file, name=name, edition="1", **wanted)
    assert (found["state"], found["findings"][0]["code"]) == ("failed", code), found
    assert layer_of(county, f"water-{name}") is None and county.services.catalogue.epoch() == epoch
    assert nothing_is_left(county, found["upload"])
    chinese = told(county, "water", found["upload"], "zh")["findings"][0]["sentence"]
    english = found["findings"][0]["sentence"]
    assert any("\u4e00" <= c <= "\u9fff" for c in chinese) and english != chinese
    assert "/" not in english.replace("http://", "").replace("lon/lat", "").replace("x/y", "") or "passwd" not in english
    assert str(county.folder) not in english + chinese and "passwd" not in english + chinese


def test_a_bomb_is_not_unpacked(county):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.geojson", bytes(64 << 20))
    found = taken_in(county, "water", out.getvalue(), file="a.zip", name="bomb", edition="1")
    assert (found["state"], found["findings"][0]["code"]) == ("failed", "overlay-rejected")
    assert "unpacked" in found["findings"][0]["sentence"]


def test_names_that_lead_out_of_the_archive_lead_nowhere(county, at_hand):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../../outside.geojson", geojson())
    found = taken_in(county, "water", out.getvalue(), file="a.zip", name="slip", edition="1")
    assert found["state"] == "failed" and not list(county.folder.rglob("outside*"))


def test_what_takes_too_much_memory_or_time_is_ended_and_told(tmp_path):
    rows = [{"n": n, "t": "x" * 500, "geometry": shapely.Point(118 + n / 1e6, 32)} for n in range(20_000)]
    (tmp_path / "a.geojson").write_bytes(geojson(rows))
    for caps, code in ((Caps(megabytes=330), "overlay-too-big-in-memory"), (Caps(seconds=1), "overlay-too-slow"), (Caps(most_features=100), "overlay-too-many")):
        began = time.monotonic()
        with pytest.raises(OverlayInvalid) as fault:
            opened(tmp_path / "a.geojson", tmp_path, "vectors", caps)
        assert fault.value.finding.code in (code, "overlay-unreadable" if "memory" in code else code)
        assert time.monotonic() - began < 8


# Registering

def test_names_begin_with_the_agency_and_fall_into_nobody_elses(county):
    assert register(county, "water", file="a.gpkg", name="water-x").json["layer"] == "water-x"
    refused = register(county, "police", file="a.gpkg", name="net-cars")
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (422, "overlay-name-reserved")
    for name in ("../x", "X", "a b", "dlg/..", "数据"):
        assert register(county, "water", file="a.gpkg", name=name).status_code == 422
    for file in ("a.exe", "a", "a.vrt", "a.pdf", "a.tif"):
        assert register(county, "water", file=file, name="x").json["errors"][0]["code"] == "overlay-suffix"
    call_everything_off(county, "water")


def call_everything_off(house, agency: str) -> None:
    for one in house.get("/api/v1/overlays/uploads", agency).json["items"]:
        house.client().delete(f"/api/v1/overlays/uploads/{one['upload']}", headers=headers(house, agency))


def test_an_edition_that_is_there_is_not_written_over(county, at_hand):
    published(county, "water", name="twice", edition="1")
    answer = register(county, "water", file="a.geojson", name="twice", edition="1")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "overlay-edition-there")
    published(county, "water", name="twice", edition="2")
    assert [one.name for one in layer_of(county, "water-twice").editions] == ["2", "1"]


def test_an_upload_can_be_called_off_at_any_moment(county):
    waiting = register(county, "water", file="a.geojson", name="off", edition="1").json["upload"]
    queued = sent(county, "water", geojson(), name="off", edition="1")
    for upload in (waiting, queued):
        answer = county.client().delete(f"/api/v1/overlays/uploads/{upload}", headers=headers(county, "water"))
        assert answer.json["state"] == "cancelled" and nothing_is_left(county, upload)
    assert not worker(county).work() and layer_of(county, "water-off") is None
    assert put(county, "water", waiting, geojson()).status_code == 409


def test_one_that_is_called_off_while_it_is_read_publishes_nothing(county, monkeypatch):
    upload = sent(county, "water", geojson(), name="midway", edition="1")
    book = UploadBook(county.services.database, county.services.gate.clock)

    def interrupted(*_args, **_others):
        assert book.move(upload, UploadState.CANCELLED, among=[UploadState.RUNNING])
        return {"files": [], "notes": []}

    monkeypatch.setattr("geoserver_app.overlays.uploads.opened", interrupted)
    assert worker(county).work()
    assert told(county, "water", upload)["state"] == "cancelled" and layer_of(county, "water-midway") is None


def test_a_worker_that_dies_leaves_its_upload_to_the_next(county, at_hand):
    upload = sent(county, "water", geojson(), name="orphan", edition="1")
    book = UploadBook(county.services.database, county.services.gate.clock)
    assert book.take("a worker that dies").upload_id == upload
    assert not worker(county).work()                                    # the claim holds
    with county.services.database.begin() as connection:
        connection.execute(sa.update(uploads_table).values(lease=county.services.gate.clock().replace(year=2020)).where(uploads_table.c.upload_id == upload))
    assert worker(county).work() and told(county, "water", upload)["state"] == "published"


def test_a_file_that_is_too_large_or_breaks_off_is_refused(county):
    upload = register(county, "water", file="a.geojson", name="huge", edition="1").json["upload"]
    most = county.services.settings.overlay_megabytes * 2**20
    answer = county.client().put(f"/overlays/uploads/{upload}/file", data=b"x", environ_overrides={"CONTENT_LENGTH": str(most + 1)}, headers=headers(county, "water"))
    assert answer.status_code == 409 and "overlay-too-large" in answer.text, answer.text
    padded = geojson()[:-1] + b" " * (2 << 20) + b"}"
    published(county, "water", padded, name="padded", edition="1")
    short = county.client().put(f"/overlays/uploads/{upload}/file", data=b"{}", environ_overrides={"CONTENT_LENGTH": "100"}, headers=headers(county, "water"))
    assert short.status_code in (400, 409)
    assert put(county, "water", upload, b"").json["errors"][0]["code"] == "overlay-cut-short"
    assert told(county, "water", upload)["state"] == "waiting"
    call_everything_off(county, "water")


def test_nobody_puts_a_file_into_anothers_registration(county):
    upload = register(county, "water", file="a.geojson", name="mine", edition="1").json["upload"]
    theirs, none = put(county, "police", upload, geojson()), put(county, "police", "0" * 32, geojson())
    assert theirs.status_code == none.status_code == 404
    assert theirs.text.replace(upload, "0" * 32) == none.text
    assert put(county, None, upload, geojson()).status_code == 401
    call_everything_off(county, "water")


# Shifted coordinates

def test_shifted_coordinates_are_held_back_with_the_measured_offset_until_a_person_decides(county, at_hand):
    rng = np.random.default_rng(3)
    along = [shapely.Point(118.6 + n / 10, y) for n in (0, 1, 2, 3) for y in rng.uniform(31.95, 32.15, 6)]       # on borders of the divisions
    shift = np.array([500 * np.sin(np.radians(114.8)) / 111_195 / np.cos(np.radians(32.05)), 500 * np.cos(np.radians(114.8)) / 111_195])
    true = [{"n": n, "geometry": point} for n, point in enumerate(along)] + [{"n": 99, "geometry": shapely.Point(118.65, 32.2)}]
    crooked = [row | {"geometry": shapely.Point(np.array(row["geometry"].coords[0]) + shift)} for row in true]
    corner = [{"n": n, "geometry": shapely.Point(118.6 + n / 100, 32.2)} for n in range(20)]
    corner_crooked = [row | {"geometry": shapely.Point(np.array(row["geometry"].coords[0]) + shift)} for row in corner]
    straight = published(county, "water", geojson(true + corner), name="straight", edition="1")
    assert "shift-none" in [one["code"] for one in straight["findings"]]
    held = taken_in(county, "water", geojson(crooked + corner_crooked), name="crooked", edition="1")
    assert (held["state"], held["findings"][0]["code"]) == ("held", "shift-suspected")
    assert held["offset_metres"] == pytest.approx(500, abs=15)
    assert layer_of(county, "water-crooked") is None
    path = f"/api/v1/overlays/uploads/{held['upload']}/decision"
    assert county.client().post(path, json={"publish": True, "reason": "x"}, headers=headers(county, "water")).status_code == 401     # no key decides
    call_everything_off(county, "water")


def test_what_is_declared_to_come_from_an_internet_map_is_held_back(county, at_hand):
    held = taken_in(county, "water", geojson(), name="declared", edition="1", coord_origin="internet-map")
    assert (held["state"], held["findings"][0]["code"]) == ("held", "shift-declared")
    call_everything_off(county, "water")
    assert told(county, "water", held["upload"])["state"] == "cancelled"
