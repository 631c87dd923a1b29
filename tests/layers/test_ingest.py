"""Jobs: published whole or not at all, resumed where they died, replaced sheet by sheet."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from layers.catalogue import JobState, SqlCatalogue, metadata
from layers.errors import AboveCeiling, IngestBusy, IngestFailed, LayerMismatch, LayerNotDefined
from layers.ingest.job import AddLayer, add_layer, remove_layer, withdraw_sheet
from layers.model import Classification, LayerName, ProductType

ROOT = Path(__file__).resolve().parent.parent.parent


def files_in(store):
    return sorted(path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file() and path.name != ".lock")


@pytest.fixture
def three_sheets(write_raster):
    return [
        write_raster(f"{name}.tif", np.full((3, 80, 100), 40 + 60 * n, np.uint8), left=382000.0 + 1000 * n) for n, name in enumerate("abc")
    ]


def test_a_folder_of_sheets_becomes_an_edition(add, memory, three_sheets, store):
    edition = add("DOM", three_sheets[0].parent, name="dom", title_zh="影像", currency=(date(2009, 1, 1), date(2011, 12, 31)))
    layer, found = memory.snapshot().find(LayerName.parse("dom@2011"))
    assert found == edition and (layer.title_zh, layer.title_en) == ("影像", "dom")
    assert (edition.sheet_count, edition.crs, edition.resolution, edition.generation) == (3, "EPSG:4549", 10.0, 1)
    assert edition.mosaics[0].bounds.width >= 3000 and edition.currency[1] == date(2011, 12, 31)
    assert edition.extent.area == pytest.approx(sum(sheet.footprint.area for sheet in memory.sheets(edition.edition_id)), rel=1e-6)
    assert all((store / edition.folder / sheet.path).is_file() for sheet in memory.sheets(edition.edition_id))
    assert memory.jobs()[0].state is JobState.PUBLISHED and memory.jobs()[0].done == 3


def test_progress_is_told_file_by_file(memory, store, three_sheets):
    told = []
    add_layer(memory, store, AddLayer(product=ProductType.DOM, name="dom", edition="1", paths=tuple(three_sheets)), workers=0,
              progress=lambda done, total, name: told.append((done, total, name)))
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert {name for _, _, name in told} == {"a.tif", "b.tif", "c.tif"}


def test_the_overview_that_follows_the_files_is_told_too(memory, store, write_raster):
    sheets = [write_raster(f"{n}.tif", np.full((3, 300, 300), 90, np.uint8), left=370_000.0 + 3_000 * n) for n in range(20)]
    told = []
    add_layer(memory, store, AddLayer(product=ProductType.DOM, name="dom", edition="1", paths=tuple(sheets)), workers=0,
              progress=lambda done, total, name: told.append((done, total, name)))
    after = told[len(sheets):]
    assert after and all(name == "overview of EPSG:4549" for _, _, name in after)
    assert after[-1][0] == after[-1][1] and [done for done, _, _ in after] == sorted(done for done, _, _ in after)


def test_worker_processes_do_the_same_as_this_one(memory, store, three_sheets):
    edition = add_layer(memory, store, AddLayer(product=ProductType.DOM, name="dom", edition="1", paths=tuple(three_sheets)), workers=2)
    assert edition.sheet_count == 3


def test_faults_of_workers_come_back_as_they_are(memory, store, three_sheets, tmp_path):
    (tmp_path / "bad.tif").write_text("no")
    request = AddLayer(product=ProductType.DOM, name="dom", edition="1", paths=(*three_sheets, tmp_path / "bad.tif"))
    with pytest.raises(IngestFailed) as caught:
        add_layer(memory, store, request, workers=1)
    assert [(fault.source, fault.fault) for fault in caught.value.rejected] == [("bad.tif", "it is not a GeoTIFF")]


def test_every_fault_of_every_file_is_told_at_once_and_nothing_is_published(add, memory, store, three_sheets, write_raster, tmp_path):
    (tmp_path / "text.tif").write_text("no")
    nowhere = write_raster("nowhere.tif", crs=None)
    with pytest.raises(IngestFailed) as caught:
        add("DOM", *three_sheets, tmp_path / "text.tif", nowhere, write_raster("old.tif", crs="EPSG:2437"))
    assert [fault.source for fault in caught.value.rejected] == ["nowhere.tif", "old.tif", "text.tif"]
    assert memory.snapshot().layers == {} and memory.epoch() == 0
    assert memory.jobs()[0].state is JobState.FAILED and len(memory.jobs()[0].faults) == 3
    assert str(tmp_path) not in str(caught.value)


def test_a_job_that_came_to_nothing_leaves_no_file(add, store, tmp_path):
    (tmp_path / "text.tif").write_text("no")
    with pytest.raises(IngestFailed):
        add("DOM", tmp_path / "text.tif")
    assert list(store.rglob("*")) == []


def test_the_good_files_may_be_published_without_the_bad(add, memory, three_sheets, tmp_path):
    (tmp_path / "text.tif").write_text("no")
    assert add("DOM", *three_sheets, tmp_path / "text.tif", keep_going=True).sheet_count == 3


def test_good_files_of_a_failed_job_are_not_taken_in_again(add, store, three_sheets, tmp_path):
    (tmp_path / "text.tif").write_text("no")
    with pytest.raises(IngestFailed):
        add("DOM", *three_sheets, tmp_path / "text.tif")
    before = {path: (store / path).stat().st_mtime_ns for path in files_in(store)}
    assert len([path for path in before if path.endswith(".tif") and "/sheets/" in path]) == 3
    add("DOM", *three_sheets)
    assert all((store / path).stat().st_mtime_ns == moment for path, moment in before.items() if "checksums" not in path)


def test_the_same_file_with_other_options_replaces_what_it_made_before(add, memory, three_sheets):
    first = add("DOM", three_sheets[0])
    (before,) = memory.sheets(first.edition_id)
    second = add("DOM", three_sheets[0], nodata=0)
    (after,) = memory.sheets(second.edition_id)
    assert after.checksum == before.checksum and second.sheet_count == 1 and second.generation > first.generation
    assert "cells of 0 in every band were hidden, as declared with --nodata" in after.lineage


def test_asking_again_for_what_is_published_changes_nothing(add, memory, three_sheets):
    first = add("DOM", *three_sheets)
    epoch = memory.epoch()
    assert add("DOM", *three_sheets) == first and memory.epoch() == epoch


def test_a_new_title_alone_is_published(add, memory, three_sheets):
    first = add("DOM", *three_sheets)
    second = add("DOM", *three_sheets, title_en="Imagery of Nanjing")
    assert memory.snapshot().layers["layer"].title_en == "Imagery of Nanjing"
    assert second.edition_id == first.edition_id and second.generation > first.generation


def test_more_sheets_join_an_edition_under_a_new_generation(add, memory, three_sheets):
    first = add("DOM", *three_sheets[:2])
    kept = memory.sheets(first.edition_id)
    second = add("DOM", three_sheets[2])
    assert second.edition_id == first.edition_id and second.sheet_count == 3 and second.generation > first.generation
    assert memory.sheets(second.edition_id)[:2] == kept
    assert {m.index for m in first.mosaics}.isdisjoint({m.index for m in second.mosaics})


def test_a_sheet_of_the_same_name_replaces_the_old_one(add, memory, three_sheets, write_raster, store):
    first = add("DOM", *three_sheets)
    old = {sheet.source_name: sheet for sheet in memory.sheets(first.edition_id)}
    fresh = write_raster("b.tif", np.full((3, 80, 100), 7, np.uint8), left=383000.0, folder="redelivered")
    second = add("DOM", fresh)
    new = {sheet.source_name: sheet for sheet in memory.sheets(second.edition_id)}
    assert new["b.tif"].checksum != old["b.tif"].checksum and new["a.tif"] == old["a.tif"]
    assert second.sheet_count == 3 and new["b.tif"].sheet_id > max(sheet.sheet_id for sheet in old.values())


def test_a_sheet_of_the_same_number_replaces_the_old_one_whatever_its_name(add, memory, write_raster):
    first = add("DOM", write_raster("I50G095077_2010.tif", left=384000.0))
    second = add("DOM", write_raster("I50G095077DOM.tif", np.full((3, 80, 100), 7, np.uint8), left=384000.0))
    assert [sheet.source_name for sheet in memory.sheets(second.edition_id)] == ["I50G095077DOM.tif"]
    assert first.edition_id == second.edition_id


def test_files_of_the_former_generation_stay_until_the_next_job(add, memory, store, three_sheets, write_raster):
    first = add("DOM", *three_sheets)
    former = files_in(store)
    add("DOM", write_raster("b.tif", np.full((3, 80, 100), 7, np.uint8), left=383000.0, folder="second"))
    assert set(former) <= set(files_in(store))
    third = add("DOM", write_raster("d.tif", np.full((3, 80, 100), 9, np.uint8), left=385000.0, folder="third"))
    left = files_in(store)
    assert not any(f"{first.folder}/{mosaic.index}" in left for mosaic in first.mosaics)
    served = {f"{third.folder}/{sheet.path}" for sheet in memory.sheets(third.edition_id)}
    assert served <= set(left)


def test_one_content_under_two_names_is_taken_once(add, memory, write_raster, three_sheets):
    copy = three_sheets[0].with_name("copy of a.tif")
    copy.write_bytes(three_sheets[0].read_bytes())
    assert add("DOM", three_sheets[0], copy).sheet_count == 1


def test_two_contents_for_one_sheet_are_refused(refusal, write_raster):
    one = write_raster("I50G095077a.tif", left=384000.0)
    other = write_raster("I50G095077b.tif", np.full((3, 80, 100), 7, np.uint8), left=384000.0)
    assert "`I50G095077` was given twice with different content" in refusal("DOM", one, other)


def test_sheets_of_two_zones_make_two_mosaics(add, write_raster):
    east = write_raster("east.tif", np.full((3, 80, 100), 7, np.uint8), crs="EPSG:4548", left=667000.0)
    edition = add("DOM", write_raster("west.tif"), east)
    assert {mosaic.crs for mosaic in edition.mosaics} == {"EPSG:4549", "EPSG:4548"}


def test_the_height_range_spans_all_sheets(add, write_raster, heights):
    edition = add("DEM", write_raster("low.tif", heights), write_raster("high.tif", heights + 1000, left=383000.0))
    assert edition.height_range == pytest.approx((1.0, 1078.0), abs=1.0)


def test_a_layer_above_the_ceiling_of_the_instance_is_refused(memory, store, three_sheets):
    request = AddLayer(product=ProductType.DOM, name="dom", edition="1", paths=tuple(three_sheets),
                       classification=Classification.CONFIDENTIAL)
    with pytest.raises(AboveCeiling, match="layer `dom` is confidential, but this instance holds nothing above internal"):
        add_layer(memory, store, request, workers=0, ceiling=Classification.INTERNAL)
    assert not store.exists() and memory.jobs() == ()


def test_an_edition_never_mixes_products_or_owners(add, three_sheets, write_raster, heights):
    add("DOM", *three_sheets)
    with pytest.raises(LayerMismatch, match="holds DOM, not DEM"):
        add("DEM", write_raster("h.tif", heights))
    with pytest.raises(LayerMismatch, match="belongs to `bureau`"):
        add("DOM", *three_sheets, owner="police")
    with pytest.raises(LayerMismatch, match="--lossless"):
        add("DOM", *three_sheets, lossless=True)


def test_imagery_that_is_classified_is_never_kept_as_jpeg(add, three_sheets):
    secret = add("DOM", *three_sheets, name="secret", classification=Classification.SECRET)
    assert secret.lossless and not add("DOM", *three_sheets, name="internal", classification=Classification.INTERNAL).lossless
    with pytest.raises(LayerMismatch, match="is kept as JPEG, which nothing secret may be: remove it first"):
        add("DOM", *three_sheets, name="internal", classification=Classification.SECRET)


def test_adding_a_sheet_never_lowers_the_classification(add, memory, three_sheets):
    add("DOM", three_sheets[0], classification=Classification.SECRET)
    with pytest.raises(LayerMismatch, match="layer `layer` is secret, not public"):
        add("DOM", three_sheets[1])
    assert memory.snapshot().layers["layer"].classification is Classification.SECRET


def test_adding_a_sheet_keeps_the_currency_of_the_edition(add, three_sheets):
    first = add("DOM", three_sheets[0], currency=(date(2009, 1, 1), date(2011, 12, 31)))
    assert add("DOM", three_sheets[1]).currency == first.currency


@pytest.mark.parametrize("name, edition", [("../dom", "1"), ("Dom", "1"), ("dom", ".."), ("dom", "a/b"), ("dom", "")])
def test_names_that_could_be_paths_are_refused(add, three_sheets, name, edition, store):
    with pytest.raises(LayerMismatch):
        add("DOM", *three_sheets, name=name, edition=edition)
    assert not store.exists()


def test_missing_files_and_empty_folders_are_told_together(add, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestFailed) as caught:
        add("DOM", tmp_path / "empty", tmp_path / "gone.tif")
    assert [fault.source for fault in caught.value.rejected] == ["empty", "gone.tif"]


def test_a_removed_edition_leaves_neither_rows_nor_files(add, memory, store, three_sheets):
    add("DOM", *three_sheets, edition="2006")
    add("DOM", *three_sheets, edition="2011")
    remove_layer(memory, store, "layer", "2006")
    assert all(path.startswith("layer/2011/") for path in files_in(store))
    remove_layer(memory, store, "layer")
    assert memory.snapshot().layers == {} and list(store.rglob("*")) == []
    with pytest.raises(LayerNotDefined):
        remove_layer(memory, store, "layer")


def test_a_layer_that_comes_back_never_repeats_a_generation(add, memory, store, three_sheets):
    first = add("DOM", *three_sheets)
    remove_layer(memory, store, "layer")
    assert add("DOM", *three_sheets).generation > first.generation


def test_two_jobs_never_work_on_one_edition(add, three_sheets, store):
    (store / "layer" / "2011").mkdir(parents=True)
    holder = subprocess.Popen([sys.executable, "-c", f"""
import fcntl, time
file = open({str(store / 'layer' / '2011' / '.lock')!r}, "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""], stdout=subprocess.PIPE)
    holder.stdout.readline()
    try:
        with pytest.raises(IngestBusy, match="layer@2011"):
            add("DOM", *three_sheets)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert add("DOM", *three_sheets).sheet_count == 3


INGEST = """
import sys
from pathlib import Path
import sqlalchemy
from layers.catalogue import SqlCatalogue
from layers.ingest.job import AddLayer, add_layer
from layers.model import ProductType

if __name__ == "__main__":
    database, store, *paths = sys.argv[1:]
    catalogue = SqlCatalogue(sqlalchemy.create_engine(f"sqlite:///{database}"))
    request = AddLayer(product=ProductType.DOM, name="dom", edition="2011", paths=tuple(map(Path, paths)))
    add_layer(catalogue, Path(store), request, workers=2, progress=lambda done, total, name: print(done, flush=True))
"""


@pytest.mark.parametrize("killed_after", [0, 4])
def test_a_job_killed_at_any_moment_is_resumed_with_nothing_half_visible(tmp_path, write_raster, killed_after, store):
    rng = np.random.default_rng(3)
    pixels = [rng.integers(1, 255, (3, 700, 700)).astype(np.uint8) for _ in range(6)]
    paths = [write_raster(f"s{n}.tif", values, left=382000.0 + 700 * n, cell=1.0) for n, values in enumerate(pixels)]
    script, database = tmp_path / "ingest.py", tmp_path / "c.sqlite"
    script.write_text(INGEST)
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    metadata.create_all(engine)
    catalogue = SqlCatalogue(engine)
    command = [sys.executable, str(script), str(database), str(store), *map(str, paths)]
    job = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    if killed_after:
        for _ in range(killed_after):
            assert job.stdout.readline()
    else:
        _wait_for(lambda: any(store.rglob("*.part*")), job)
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()

    assert catalogue.snapshot().layers == {} and catalogue.epoch() == 0
    _wait_for_workers(store)
    whole = {path: path.stat().st_mtime_ns for path in store.rglob("sheets/*.tif") if path.with_suffix(".json").exists()}
    assert len(whole) >= killed_after
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    assert again.returncode == 0, again.stderr
    (edition,) = catalogue.snapshot().layers["dom"].editions
    sheets = catalogue.sheets(edition.edition_id)
    assert {sheet.source_name for sheet in sheets} == {path.name for path in paths}
    assert all(path.stat().st_mtime_ns == moment for path, moment in whole.items()), "finished sheets were done again"
    on_disk = {path.name for path in (store / edition.folder / "sheets").iterdir()}
    assert on_disk == {name for sheet in sheets for name in (Path(sheet.path).name, Path(sheet.path).with_suffix(".json").name)}
    assert [job.state for job in catalogue.jobs()] == [JobState.PUBLISHED, JobState.INTERRUPTED]
    engine.dispose()


def _wait_for(condition, job, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and job.poll() is None
        time.sleep(0.002)


def _wait_for_workers(store, seconds=5):
    """Workers of a killed job end by themselves: nothing in the store changes any more."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        now = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.exists()}
        if now == last:
            return
        last = now
        time.sleep(0.4)


def test_a_record_of_a_file_that_was_cut_short_does_not_count(add, store, three_sheets, memory):
    edition = add("DOM", three_sheets[0], name="other")
    (sheet,) = memory.sheets(edition.edition_id)
    path = store / edition.folder / sheet.path
    memory.withdraw("other")
    path.write_bytes(path.read_bytes()[:-100])
    again = add("DOM", three_sheets[0], name="other")
    assert path.stat().st_size == json.loads(path.with_suffix(".json").read_text())["size"] and again.sheet_count == 1


# What a delivery says of its sheets

def told(folder, text, encoding="utf-8"):
    (folder / "sheets.csv").write_bytes(text.encode(encoding))


def test_the_currency_of_a_sheet_is_told_by_the_delivery_else_by_its_name_else_by_the_job(add, memory, write_raster, tmp_path):
    for n, name in enumerate(("a.tif", "b_2009.tif", "c.tif")):
        write_raster(name, np.full((3, 80, 100), 100 + n, np.uint8), left=382000.0 + 1000 * n, folder="job")
    told(tmp_path / "job", "file,currency,note\na.tif,2011-05-02,补测\n", "gb18030")
    edition = add("DOM", tmp_path / "job", currency=(date(2010, 1, 1), date(2010, 12, 31)))
    sheets = {sheet.source_name: sheet for sheet in memory.sheets(edition.edition_id)}
    assert [sheets[name].currency for name in sorted(sheets)] == [date(2011, 5, 2), date(2009, 1, 1), date(2010, 12, 31)]
    assert "delivered with the note: 补测" in sheets["a.tif"].lineage


def test_a_currency_that_is_told_later_is_published_without_the_pixels_being_made_again(add, memory, store, three_sheets, tmp_path):
    first = add("DOM", three_sheets[0].parent)
    moments = {path: path.stat().st_mtime_ns for path in store.rglob("sheets/*.tif")}
    told(three_sheets[0].parent, "file,currency\na.tif,2011\n")
    again = add("DOM", three_sheets[0].parent)
    before, after = (memory.sheets(edition.edition_id) for edition in (first, again))
    assert again.generation > first.generation and [sheet.currency for sheet in after] == [date(2011, 1, 1), None, None]
    assert {path: path.stat().st_mtime_ns for path in moments} == moments and [s.sheet_id for s in before] == [s.sheet_id for s in after]


def test_a_sheet_more_secret_than_its_layer_is_refused_and_so_is_one_above_the_instance(memory, store, three_sheets):
    told(three_sheets[0].parent, "file,classification\na.tif,秘密\nb.tif,public\nc.tif,top-secret\n")
    request = AddLayer(product=ProductType.DOM, name="layer", edition="1", paths=(three_sheets[0].parent,), classification=Classification.INTERNAL)
    with pytest.raises(IngestFailed) as caught:
        add_layer(memory, store, request, workers=0, ceiling=Classification.SECRET)
    assert [str(fault) for fault in caught.value.rejected] == [
        "a.tif: the delivery says that it is secret, but layer `layer` is internal: add it to a layer of its own classification",
        "c.tif: the delivery says that it is top-secret, but this instance holds nothing above secret: take it to an instance that may hold it",
    ]
    assert not memory.snapshot().layers


def test_the_delivered_file_is_kept_with_what_lay_beside_it(add, memory, store, write_raster):
    path = write_raster("a.tif")
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n382005\n3550995\n")
    edition = add("DOM", path)
    (sheet,) = memory.sheets(edition.edition_id)
    kept = store / edition.folder / sheet.delivered
    assert kept.name == "a.tif" and kept.read_bytes() == path.read_bytes() and kept.with_suffix(".tfw").is_file()
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == sheet.checksum


def test_a_delivered_file_need_not_be_kept_and_may_be_kept_later(add, memory, store, write_raster):
    path = write_raster("a.tif")
    edition = add("DOM", path, keep_delivered=False)
    (sheet,) = memory.sheets(edition.edition_id)
    assert sheet.delivered is None and not (store / edition.folder / "delivered").exists()
    (sheet,) = memory.sheets(add("DOM", path).edition_id)
    assert (store / edition.folder / sheet.delivered).is_file()


def test_the_file_of_a_sheet_that_was_replaced_goes_with_it(add, memory, store, write_raster):
    edition = add("DOM", write_raster("a.tif"))
    (old,) = memory.sheets(edition.edition_id)
    path = write_raster("a.tif", np.full((3, 80, 100), 33, np.uint8))
    add("DOM", path)
    add("DOM", write_raster("b.tif", np.full((3, 80, 100), 34, np.uint8), left=384000.0))
    assert not (store / edition.folder / old.delivered).exists() and not (store / edition.folder / old.path).exists()


def test_no_copy_is_kept_of_a_file_that_was_refused(add, store, write_raster):
    with pytest.raises(IngestFailed):
        add("DOM", write_raster("a.tif"), write_raster("b.tif", np.full((3, 80, 100), 9, np.uint8), nodata=9, left=384000.0))
    assert [path.name for path in store.rglob("delivered/*/*")] == ["a.tif"]


def test_every_sheet_says_when_it_was_taken_in(add, memory, three_sheets):
    first = memory.sheets(add("DOM", *three_sheets[:2]).edition_id)
    assert all(sheet.taken_in.tzinfo is UTC and abs((datetime.now(UTC) - sheet.taken_in).total_seconds()) < 60 for sheet in first)
    later = memory.sheets(add("DOM", *three_sheets).edition_id)
    assert [sheet.taken_in for sheet in later[:2]] == [sheet.taken_in for sheet in first]


def test_an_edition_says_what_its_heights_are_above(add, write_raster, heights):
    path = write_raster("a.tif", heights)
    assert add("DEM", path).vertical_datum is None
    assert add("DEM", path, vertical_datum="1985").vertical_datum == "1985"
    assert add("DEM", path).vertical_datum == "1985"
    with pytest.raises(LayerMismatch, match="are above `1985`, not `1956`"):
        add("DEM", path, vertical_datum="1956")


def test_a_vertical_datum_must_be_known_and_belongs_to_heights(add, three_sheets, write_raster, heights):
    with pytest.raises(LayerMismatch, match="`--vertical-datum` says what heights are above"):
        add("DOM", three_sheets[0], vertical_datum="1985")
    with pytest.raises(LayerMismatch, match="moon"):
        add("DEM", write_raster("a.tif", heights), vertical_datum="moon")


# One sheet taken back

def test_a_sheet_that_is_withdrawn_is_gone_and_the_others_are_as_they_were(add, memory, store, write_raster):
    paths = [write_raster(f"{number}.tif", np.full((3, 80, 100), 50, np.uint8), left=left) for number, left in
             (("I50G095077", 382200.0), ("I50G095078", 388300.0), ("I50G095079", 394300.0))]
    first = add("DOM", *paths)
    before = memory.sheets(first.edition_id)
    edition = withdraw_sheet(memory, store, "layer", "2011", "i50 g 095 078", workers=0)
    after = memory.sheets(edition.edition_id)
    assert edition.generation > first.generation and edition.sheet_count == 2
    assert after == tuple(sheet for sheet in before if sheet.number != "I50G095078")
    assert not edition.extent.intersects(before[1].footprint.buffer(-1e-4))
    assert add("DOM", paths[1]).sheet_count == 3


def test_only_a_sheet_that_is_there_and_not_the_last_is_withdrawn(add, memory, store, three_sheets):
    add("DOM", three_sheets[0])
    with pytest.raises(LayerMismatch, match="has no sheet `b.tif`"):
        withdraw_sheet(memory, store, "layer", "2011", "b.tif", workers=0)
    with pytest.raises(LayerMismatch, match="is all that edition `layer@2011` has"):
        withdraw_sheet(memory, store, "layer", "2011", "a.tif", workers=0)
    with pytest.raises(LayerNotDefined):
        withdraw_sheet(memory, store, "layer", "1998", "a.tif", workers=0)
