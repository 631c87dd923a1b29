"""Deliveries: folders, zips and object stores become files that can be taken in, and nothing else."""

import io
import json
import logging
import os
import stat
import struct
import threading
import zipfile
from datetime import date
from urllib.request import Request, urlopen

import numpy as np
import pytest

from layers.delivery import staging
from layers.delivery.parcel import is_store_url, received
from layers.delivery.sheet_facts import SheetFacts
from layers.delivery.staging import Limits
from layers.errors import LayerRejected
from layers.model import Classification, ProductType

DOM, DEM = ProductType.DOM, ProductType.DEM


@pytest.fixture
def sheet(write_raster):
    """The bytes of a small sheet."""
    return write_raster("x.tif", folder="elsewhere").read_bytes()


@pytest.fixture
def packed(tmp_path):
    """Writes a zip of names and bytes; an entry may be a ZipInfo."""
    def pack(entries, name="delivery.zip", method=zipfile.ZIP_DEFLATED):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", method) as archive:
            for entry, content in entries:
                archive.writestr(entry, content)
        return path
    return pack


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def sentences(delivery):
    return [str(fault) for fault in delivery.faults]


# Folders

def test_a_folder_is_read_where_it_lies_and_links_out_of_it_are_not_followed(tmp_path, write_raster, work):
    inside, outside = write_raster("a.tif"), write_raster("b.tif", folder="elsewhere")
    (inside.parent / "link.tif").symlink_to(outside)
    delivery = received([inside.parent], DOM, work)
    assert delivery.files == (inside,) and not list(work.iterdir())
    assert delivery.told == ("link.tif: it is a link that leads out of the folder, and was left out",)


def test_of_dom_and_dem_in_one_folder_each_job_takes_its_own(write_raster, heights, work):
    dom, dem = write_raster("I50G095077DOM.tif"), write_raster("I50G095077DEM.tif", heights)
    assert received([dom.parent], DOM, work).files == (dom,)
    assert received([dom.parent], DEM, work).files == (dem,)
    assert "1 files are called something else than DEM (`I50G095077DOM.tif`)" in received([dom.parent], DEM, work).told[0]


def test_pictures_count_with_their_world_file_and_texts_as_grids_only(tmp_path, work):
    (tmp_path / "d").mkdir()
    for name in ("quicklook.jpg", "sheet.jpg", "sheet.jgw", "readme.txt"):
        (tmp_path / "d" / name).write_text("1\n0\n0\n-1\n0\n0\n")
    (tmp_path / "d" / "grid.txt").write_text("NSDTF-DEM\n1.0\n")
    assert [path.name for path in received([tmp_path / "d"], DOM, work).files] == ["grid.txt", "sheet.jpg"]


def test_a_folder_without_rasters_and_a_missing_file_are_faults(tmp_path, work):
    (tmp_path / "d").mkdir()
    assert "the folder holds no file of the kind .tif" in sentences(received([tmp_path / "d"], DOM, work))[0]
    assert sentences(received([tmp_path / "none.tif"], DOM, work)) == ["none.tif: there is no such file: see its name and folder"]
    (tmp_path / "d" / "a.vct").write_text("HeadBegin\nDataMark:LANDUSE-VCT\nHeadEnd\n")
    assert "it is a VCT file (GB/T 17798; LANDUSE-VCT)" in sentences(received([tmp_path / "d"], ProductType.DLG, work))[0]


# Zips

def test_a_zip_is_unpacked_under_random_names_with_what_belongs_together(packed, sheet, work):
    path = packed([("交付/I50G095077DOM.tif", sheet), ("交付/I50G095077DOM.tfw", b"10\n0\n0\n-10\n382005\n3550995\n"), ("交付/readme.pdf", b"%PDF"),
                   ("__MACOSX/._I50G095077DOM.tif", b"shadow"), ("交付/sheets.csv", b"file,currency\nI50G095077DOM.tif,2011-06-01\n")])
    delivery = received([path], DOM, work)
    (file,) = delivery.files
    assert file.name == "I50G095077DOM.tif" and file.read_bytes() == sheet and file.with_suffix(".tfw").exists()
    assert "交付" not in str(file.relative_to(work)) and delivery.facts.of(file.name).currency == date(2011, 6, 1)
    assert any("files are of no kind that is taken in" in told for told in delivery.told)
    delivery.discard()
    assert not work.exists() and path.exists()


def test_names_in_gb18030_are_read_whatever_the_archive_says_of_them(packed, sheet, work):
    path = packed([("tu.tif", sheet)])
    name = "图.tif".encode("gb18030")
    path.write_bytes(path.read_bytes().replace(b"tu.tif", name))
    assert [file.name for file in received([path], DOM, work).files] == ["图.tif"]


@pytest.mark.parametrize("name", ["../../a.tif", "/etc/a.tif", "C:\\a.tif", "x/../../a.tif", "..\\a.tif"])
def test_a_name_that_leads_out_of_the_archive_is_a_fault(packed, sheet, work, name):
    delivery = received([packed([(name, sheet), ("good.tif", sheet)])], DOM, work)
    assert [file.name for file in delivery.files] == ["good.tif"]
    assert sentences(delivery) == ["a.tif: its name in the archive leads out of it: pack the folder anew"]


def test_a_link_in_an_archive_is_a_fault(packed, sheet, work):
    link = zipfile.ZipInfo("link.tif")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    delivery = received([packed([(link, "/etc/passwd"), ("good.tif", sheet)])], DOM, work)
    assert sentences(delivery) == ["link.tif: it is a link, not a file: put the file itself into the archive"]


def test_names_that_differ_in_case_alone_are_a_fault_in_one_folder_only(packed, sheet, work):
    delivery = received([packed([("a/X.tif", sheet), ("a/x.TIF", sheet), ("b/X.tif", sheet)])], DOM, work)
    assert len(delivery.files) == 2 and "there are two files of that name" in sentences(delivery)[0]


def test_a_bomb_is_refused_by_what_it_claims(packed, work):
    small = Limits(ratio=50, ratio_counts_from=100_000)
    bomb = packed([("a.tif", b"\0" * 1_000_000), ("b.tif", b"II*\0")])
    assert "it claims 1,000,000 bytes unpacked from" in sentences(received([bomb], DOM, work, limits=small))[0]
    many = packed([(f"{n}.tif", b"\0" * 50_000) for n in range(40)], "many.zip")
    with pytest.raises(LayerRejected, match="it claims 2,000,000 bytes"):
        received([many], DOM, work, limits=small)


@pytest.mark.parametrize("limits, word", [
    (Limits(entries=2), "more than 2 files"), (Limits(all_bytes=100), "more than the 100 that a delivery may")])
def test_a_delivery_beyond_the_limits_is_refused(packed, sheet, work, limits, word):
    with pytest.raises(LayerRejected, match=word):
        received([packed([(f"{n}.tif", sheet) for n in range(3)])], DOM, work, limits=limits)


def test_a_file_beyond_the_limits_is_a_fault(packed, sheet, work):
    assert "more than the 10 that a file may have" in sentences(received([packed([("a.tif", sheet)])], DOM, work, limits=Limits(file_bytes=10)))[0]


def test_an_archive_within_an_archive_stays_closed(packed, sheet, work):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.tif", sheet)
    delivery = received([packed([("inner.zip", inner.getvalue()), ("good.tif", sheet)])], DOM, work)
    assert [file.name for file in delivery.files] == ["good.tif"] and "an archive within the delivery is not opened" in delivery.told[0]


def test_a_damaged_encrypted_or_strangely_packed_entry_is_a_fault_of_that_file(packed, work):
    noise = np.random.default_rng(1).bytes(5000)
    path = packed([("bad.tif", noise), ("good.tif", b"II*\0")], method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    assert "the archive is damaged there" in sentences(received([path], DOM, work))[0]
    for offset, value, word in ((8, 1, "it is encrypted"), (10, 9, "9 is Deflate64")):
        content = bytearray(packed([("a.tif", noise)], f"{value}.zip").read_bytes())
        at = content.rfind(b"PK\1\2") + offset
        content[at:at + 2] = struct.pack("<H", value)
        other = path.with_name(f"{value}.zip")
        other.write_bytes(content)
        assert word in sentences(received([other], DOM, work))[0]


def test_a_zip_that_is_none_or_is_cut_is_refused(tmp_path, packed, sheet, work):
    (tmp_path / "no.zip").write_bytes(b"hello")
    cut = packed([("a.tif", sheet)])
    cut.write_bytes(cut.read_bytes()[:-30])
    for path in (tmp_path / "no.zip", cut):
        with pytest.raises(LayerRejected, match="not a zip archive, or is truncated"):
            received([path], DOM, work)


def test_unpacking_goes_on_where_it_was_stopped(packed, sheet, work, monkeypatch):
    path = packed([(f"{n}.tif", sheet) for n in range(5)])
    finished = staging.StagedList.finished

    def dies(self, entry, part):
        if entry.base == "3.tif":
            raise KeyboardInterrupt
        return finished(self, entry, part)
    monkeypatch.setattr(staging.StagedList, "finished", dies)
    with pytest.raises(KeyboardInterrupt):
        received([path], DOM, work)
    before = {file: file.stat().st_mtime_ns for file in work.rglob("*.tif")}
    (listed,) = work.rglob("staged.jsonl")
    with listed.open("a") as file:
        file.write('{"name": "2.t')                         # killed while it wrote
    monkeypatch.setattr(staging.StagedList, "finished", finished)
    delivery = received([path], DOM, work)
    assert len(before) == 3 and len(delivery.files) == 5 and not list(work.rglob("*.part"))
    assert all(file.stat().st_mtime_ns == moment for file, moment in before.items())
    assert received([path], DOM, work).files == delivery.files


def test_jobs_of_one_archive_for_two_layers_do_not_share_what_is_unpacked(packed, sheet, add, memory, store):
    path = packed([("I50G095077DOM.tif", sheet)])
    first, second = (add("DOM", path, name=name, edition="2011") for name in ("dom", "other"))
    assert first.sheet_count == second.sheet_count == 1 and not list((store / ".staging").iterdir())


# Object stores

@pytest.fixture(scope="module")
def server():
    """A server on the loopback that speaks S3, counting what is asked of it."""
    moto = pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    asked = []
    application = moto.DomainDispatcherApplication(moto.create_backend_app)

    def counted(environ, start_response):
        asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE"), environ.get("HTTP_AUTHORIZATION", "")))
        return application(environ, start_response)
    served = make_server("127.0.0.1", 0, counted, threaded=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}", asked
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def bucket(server, monkeypatch):
    """Puts objects into a bucket of the loopback server."""
    address, asked = server
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-word")

    def put(name, content=b""):
        with urlopen(Request(f"{address}/deliveries{name}", content, {"Content-Type": "application/octet-stream"}, method="PUT")):
            pass
    put("")
    asked.clear()
    return lambda name, content: put(f"/{name}", content)


def test_a_prefix_of_a_store_is_fetched_with_what_lies_beside_each_file(bucket, sheet, work, caplog):
    for name, content in (("2011/a/X.tif", sheet), ("2011/a/X.tfw", b"10\n0\n0\n-10\n382005\n3550995\n"), ("2011/note.docx", b"PK"), ("2012/Y.tif", sheet)):
        bucket(name, content)
    delivery = received(["s3://deliveries/2011"], DOM, work)
    (file,) = delivery.files
    assert file.name == "X.tif" and file.read_bytes() == sheet and file.with_suffix(".tfw").exists()
    assert "very-secret-word" not in caplog.text + repr(delivery)


def test_what_was_fetched_is_not_fetched_again_and_a_half_goes_on(bucket, server, work, monkeypatch):
    content = np.random.default_rng(5).bytes(3_000_000)
    bucket("half/a.tif", content)
    bucket("half/b.tif", b"II*\0")
    file, _ = sorted(received(["s3://deliveries/half"], DOM, work).files, key=lambda path: path.name)
    server[1].clear()
    received(["s3://deliveries/half"], DOM, work)
    assert [path for method, path, *_ in server[1] if path.endswith(".tif")] == []
    (listed,) = work.rglob("staged.jsonl")
    mark = next(line for line in listed.read_text().splitlines() if "a.tif" in line)
    file.with_name("a.tif.part").write_bytes(content[:1_000_000])
    file.with_name("a.tif.part.mark").write_text(json.loads(mark)["mark"])
    file.unlink()
    received(["s3://deliveries/half"], DOM, work)
    assert file.read_bytes() == content
    assert [span for _, path, span, _ in server[1] if path.endswith("a.tif")] == ["bytes=1000000-"]


def test_a_store_that_refuses_or_is_not_there_is_told_without_its_address_or_our_key(bucket, work, monkeypatch):
    with pytest.raises(LayerRejected, match=r"s3://nowhere/x: the store knows no such bucket"):
        received(["s3://nowhere/x"], DOM, work)
    with pytest.raises(LayerRejected, match="there is no object of that prefix"):
        received(["s3://deliveries/empty"], DOM, work)
    monkeypatch.setattr("layers.delivery.object_stores.RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(LayerRejected) as caught:
        received(["s3://deliveries/2011"], DOM, work)
    assert "can't be reached" in str(caught.value) and "127.0.0.1" not in str(caught.value) and "secret" not in str(caught.value)


def test_credentials_in_the_address_are_refused(work):
    with pytest.raises(LayerRejected, match="give credentials by the environment"):
        received(["s3://deliveries/x?key=1"], DOM, work)


def test_a_path_that_lost_a_slash_is_still_an_address():
    assert is_store_url("s3://bucket/a/b") and is_store_url("s3:/bucket/a") and not is_store_url("/data/s3/bucket") and not is_store_url("https://x/y")


# What is said of single sheets

def facts(tmp_path, text, encoding="utf-8"):
    (tmp_path / "sheets.csv").write_bytes(text.encode(encoding))
    return SheetFacts.load([tmp_path / "sheets.csv"])


def test_sheets_csv_tells_by_file_or_by_number_in_either_encoding(tmp_path):
    text = "file,number,currency,classification,crs,note\na.tif,,2011-06-01,秘密,EPSG:4549,补测\n,i50 g 095077,2010/5/3,internal,,\n"
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        known = facts(tmp_path, text, encoding)
        assert known.of("A.TIF").classification is Classification.SECRET and known.of("A.tif").note == "补测"
        assert known.of("I50G095077DOM_2008.tif").currency == date(2010, 5, 3)
        assert known.of("I50G095078DOM_2008.tif").currency == date(2008, 1, 1) and known.of("b.tif").currency is None


@pytest.mark.parametrize("text, sentence", [
    ("name,currency\nx,2011\n", "neither a column `file` nor `number`"),
    ("file,colour\nx,red\n", "it has a column `colour`"),
    ("file,currency\na.tif,June\n", "line 2: `June` is not a date"),
    ("file,currency\na.tif,2011-13-01\n", "line 2: `2011-13-01` is not a date"),
    ("file,classification\na.tif,hidden\n", "line 2: `hidden` is no classification"),
    ("number,note\nXYZ,a\n", "line 2: `XYZ` is not a sheet number"),
    ("number,file,note\n,,a\n", "line 2 names neither a file nor a sheet number"),
])
def test_a_faulty_line_of_sheets_csv_is_told_with_its_number(tmp_path, text, sentence):
    with pytest.raises(LayerRejected) as caught:
        facts(tmp_path, text)
    assert sentence in str(caught.value)
