"""One contract, two catalogues: what is published is seen whole, or not at all."""

import threading
from dataclasses import replace

import pytest
import shapely
import sqlalchemy

from layers.catalogue import Division, JobState, SqlCatalogue, metadata
from layers.errors import CatalogueUnavailable, DivisionNotDefined, EditionOutpaced, LayerNotDefined
from layers.model import LayerName


def test_an_empty_catalogue_has_an_epoch_and_no_layers(catalogue):
    assert catalogue.epoch() == 0
    assert catalogue.snapshot().layers == {}
    assert catalogue.sheets(1) == ()


def test_what_was_published_is_read_back_equal(catalogue, a_layer, an_edition, a_sheet, currency):
    edition = catalogue.publish(a_layer(), an_edition(currency=currency(2009, 2011)), [a_sheet()])
    snapshot = catalogue.snapshot()
    assert snapshot.epoch == catalogue.epoch() == 1
    assert snapshot.layers["dom"] == a_layer(editions=(edition,))
    assert edition == an_edition(edition_id=edition.edition_id, currency=currency(2009, 2011))
    (sheet,) = catalogue.sheets(edition.edition_id)
    assert sheet == a_sheet(sheet_id=sheet.sheet_id) and sheet.sheet_id > 0


def test_publishing_again_replaces_the_sheets_and_keeps_the_edition(catalogue, a_layer, an_edition, a_sheet):
    first = catalogue.publish(a_layer(), an_edition(), [a_sheet("a.tif", number=None), a_sheet("b.tif", number=None)])
    kept = catalogue.sheets(first.edition_id)[0]
    second = catalogue.publish(a_layer(title_en="Renamed"), an_edition(generation=2), [a_sheet("c.tif", number=None), kept])
    assert second.edition_id == first.edition_id
    assert catalogue.snapshot().layers["dom"].title_en == "Renamed"
    sheets = catalogue.sheets(first.edition_id)
    assert [sheet.source_name for sheet in sheets] == ["a.tif", "c.tif"]
    assert sheets[0] == kept


def test_an_edition_that_somebody_else_published_meanwhile_is_not_overwritten(catalogue, a_layer, an_edition, a_sheet):
    catalogue.publish(a_layer(), an_edition(generation=3), [a_sheet()])
    with pytest.raises(EditionOutpaced, match="dom@2011"):
        catalogue.publish(a_layer(title_en="Late"), an_edition(generation=3), [])
    assert catalogue.epoch() == 1
    assert catalogue.snapshot().layers["dom"].title_en == "Imagery"
    assert len(catalogue.sheets(1)) == 1


def test_the_latest_edition_comes_first(catalogue, a_layer, an_edition, currency):
    for name, years in (("2006", (2000, 2005)), ("2011", (2009, 2011)), ("archive", (1990, 1999))):
        catalogue.publish(a_layer(), an_edition(name, currency=currency(*years)), [])
    assert [e.name for e in catalogue.snapshot().layers["dom"].editions] == ["2011", "2006", "archive"]
    assert catalogue.snapshot().find(LayerName.parse("dom"))[1].name == "2011"


def test_editions_without_a_currency_range_are_ordered_by_name_read_as_numbers(catalogue, a_layer, an_edition):
    for name in ("v9", "v10", "v2"):
        catalogue.publish(a_layer(), an_edition(name), [])
    assert [e.name for e in catalogue.snapshot().layers["dom"].editions] == ["v10", "v9", "v2"]


def test_a_withdrawn_edition_is_gone_and_its_id_is_never_given_again(catalogue, a_layer, an_edition, a_sheet):
    catalogue.publish(a_layer(), an_edition("2006"), [a_sheet()])
    latest = catalogue.publish(a_layer(), an_edition("2011"), [a_sheet()])
    (gone,) = catalogue.withdraw("dom", "2011")
    assert gone == latest and catalogue.sheets(latest.edition_id) == ()
    assert [e.name for e in catalogue.snapshot().layers["dom"].editions] == ["2006"]
    assert catalogue.publish(a_layer(), an_edition("2011"), []).edition_id > latest.edition_id


def test_withdrawing_the_last_edition_removes_the_layer(catalogue, a_layer, an_edition):
    catalogue.publish(a_layer(), an_edition(), [])
    before = catalogue.epoch()
    catalogue.withdraw("dom")
    assert catalogue.snapshot().layers == {} and catalogue.epoch() > before
    with pytest.raises(LayerNotDefined):
        catalogue.withdraw("dom")


def test_a_job_is_never_part_of_the_snapshot(catalogue):
    job = catalogue.begin_job("dom", "2011", 12)
    catalogue.report_job(job, 5)
    assert catalogue.snapshot().layers == {} and catalogue.epoch() == 0
    (seen,) = catalogue.jobs()
    assert (seen.state, seen.done, seen.total, seen.ended) == (JobState.RUNNING, 5, 12, None)
    catalogue.end_job(job, JobState.FAILED, ["a.tif: truncated"])
    (seen,) = catalogue.jobs()
    assert seen.state is JobState.FAILED and seen.faults == ("a.tif: truncated",) and seen.ended >= seen.started


def test_the_next_job_of_an_edition_finds_the_last_one_dead(catalogue):
    catalogue.begin_job("dom", "2011", 12)
    other = catalogue.begin_job("dom", "2006", 3)
    catalogue.begin_job("dom", "2011", 12)
    assert [job.state for job in catalogue.jobs()] == [JobState.RUNNING, JobState.RUNNING, JobState.INTERRUPTED]
    assert catalogue.jobs()[1].job_id == other


def test_a_division_is_found_at_its_latest_vintage(catalogue):
    old, new = shapely.box(118, 32, 119, 33), shapely.box(118, 32, 118.5, 33)
    catalogue.put_divisions([Division(vintage="2012", code="320106", name="鼓楼区", level="county", geometry=old)])
    assert catalogue.put_divisions([Division(vintage="2013", code="320106", name="鼓楼区(新)", level="county", geometry=new),
                                    Division(vintage="2013", code="320107", name="下关区", level="county", geometry=old)]) == 2
    found = catalogue.division("320106")
    assert (found.name, found.vintage) == ("鼓楼区(新)", "2013") and found.geometry.equals(new)
    assert catalogue.divisions() == (("320106", "鼓楼区(新)", "county", "2013"), ("320107", "下关区", "county", "2013"))
    with pytest.raises(DivisionNotDefined, match="329999"):
        catalogue.division("329999")


def test_an_older_vintage_is_still_there_under_its_own_name(catalogue):
    old, new = shapely.box(118, 32, 119, 33), shapely.box(118, 32, 118.5, 33)
    catalogue.put_divisions([Division(vintage="2012", code=code, name="x", level="county", geometry=old) for code in ("320106", "320107")])
    catalogue.put_divisions([Division(vintage="2013", code="320106", name="y", level="county", geometry=new)])
    assert catalogue.division("320106", "2012").geometry.equals(old)
    assert catalogue.vintages() == catalogue.vintages("320106") == ("2012", "2013")
    assert (catalogue.vintages("320107"), catalogue.vintages("999999")) == (("2012",), ())
    assert [code for code, *_ in catalogue.divisions("2012")] == ["320106", "320107"]
    assert catalogue.divisions("2013") == (("320106", "y", "county", "2013"),)
    with pytest.raises(DivisionNotDefined, match="320107.*2013"):
        catalogue.division("320107", "2013")


def test_a_database_without_tables_is_unavailable_not_empty(tmp_path):
    catalogue = SqlCatalogue(sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'nothing.sqlite'}"))
    for read in (catalogue.epoch, catalogue.snapshot, catalogue.divisions, lambda: catalogue.sheets(1), lambda: catalogue.division("32")):
        with pytest.raises(CatalogueUnavailable):
            read()


def test_a_row_that_makes_no_sense_is_unavailable_not_left_out(database, a_layer, an_edition):
    catalogue = SqlCatalogue(database)
    catalogue.publish(a_layer(), an_edition(), [])
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE editions SET extent = x'00ff'"))
    with pytest.raises(CatalogueUnavailable):
        catalogue.snapshot()


def test_a_failing_write_leaves_nothing_half_done(database, a_layer, an_edition, a_sheet):
    catalogue = SqlCatalogue(database)
    catalogue.publish(a_layer(), an_edition(), [a_sheet()])
    before = catalogue.snapshot()
    with pytest.raises(CatalogueUnavailable):
        catalogue.publish(a_layer(title_en="Broken"), an_edition(generation=2), [replace(a_sheet(), checksum=None)])
    assert catalogue.snapshot() == before and len(catalogue.sheets(1)) == 1


def test_a_snapshot_is_of_one_moment_while_editions_are_published(tmp_path, a_layer, an_edition):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'busy.sqlite'}", connect_args={"timeout": 20})
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    metadata.create_all(engine)
    catalogue = SqlCatalogue(engine)
    generations = 40

    def publish():
        for generation in range(1, generations + 1):
            catalogue.publish(a_layer(abstract=str(generation)), an_edition(generation=generation), [])

    writer = threading.Thread(target=publish)
    writer.start()
    while writer.is_alive():
        snapshot = catalogue.snapshot()
        for layer in snapshot.layers.values():
            assert (layer.abstract, layer.editions[0].generation) == (str(snapshot.epoch), snapshot.epoch)
    writer.join()
    assert catalogue.epoch() == generations
    engine.dispose()
