"""Live layers: batches whole or not at all, events cut like any feature, ended when the grant ends."""

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import shapely

from geoserver_app.live.tables import path_of, plan_of, sweep
from layers.features import FeatureQuery
from layers.model import LayerName

WEST = shapely.box(118.0, 31.0, 118.75, 33.0)
"""What is granted; cars drive out of it to the east."""

FIELDS = [{"name": "status"}, {"name": "crew", "type": "integer"}, {"name": "free", "type": "boolean"}]


@pytest.fixture(scope="module")
def yard(lasting_house):
    """An agency with a live layer of cars, and agencies that see some of it."""
    house = lasting_house
    for name in ("police", "fire", "nobody"):
        house.agency(name)
    answer = make(house, "police", name="police-cars")
    assert answer.status_code == 201, answer.text
    house.grant("fire", "police-cars", area=WEST, grantor="police", attributes=frozenset({"status", "moment"}))
    return house


def make(house, agency: str, **more):
    body = {"title_zh": "巡逻车", "title_en": "Patrol cars", "table": "cars", "fields": FIELDS, "bounds": [118.0, 31.0, 120.0, 33.0], "expiry_seconds": 600}
    return call(house, agency, "POST", "/api/v1/live", body | more)


def call(house, agency: str, method: str, path: str, body=None):
    house.look_again()
    answer = house.client().open(path, method=method, json=body, headers={"X-API-Key": house.keys[agency]})
    house.look_again()
    return answer


def car(name: str, lon: float, lat: float = 32.0, seconds: float = 0.0, **properties) -> dict:
    moment = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    return {"id": name, "lon": lon, "lat": lat, "moment": moment, "properties": properties}


def patch(house, *objects, agency: str = "police", layer: str = "police-cars", **more):
    return call(house, agency, "PATCH", f"/api/v1/live/{layer}", {"objects": list(objects), **more})


def clear(house):
    edition = house.services.catalogue.snapshot().find(LayerName("police-cars"))[1]
    store = house.services.features
    names = [n for batch in store.batches(edition, query(edition)) for n in batch.columns["object_id"]]
    if names:
        patch(house, delete=names)
    with closing(sqlite3.connect(path_of(house.services.settings.store, edition))) as connection, connection:
        connection.execute("DELETE FROM live_gone")         # each test begins without a past


def query(edition):
    return FeatureQuery(table=edition.classes[0], fields=edition.classes[0].fields)


def stored(house) -> dict[str, dict]:
    """All that is in the table, by the owner's names."""
    edition = house.services.catalogue.snapshot().find(LayerName("police-cars"))[1]
    found = {}
    for batch in house.services.features.batches(edition, query(edition)):
        for number, name in enumerate(batch.columns["object_id"]):
            found[name] = {field: values[number] for field, values in batch.columns.items()} | {"at": batch.shapes[number].coords[0]}
    return found


class Watch:
    """A viewer, event by event."""

    def __init__(self, house, agency: str, path: str = "/live/police-cars/events?every=0.25", **headers):
        self.answer = house.get(path, agency, **headers)
        assert self.answer.status_code == 200, self.answer.text
        self.parts = iter(self.answer.response)
        self.last = None

    def next(self, patience: int = 40) -> list[tuple[str, dict]]:
        """The events of the next part that holds any."""
        for _ in range(patience):
            found = []
            for block in next(self.parts).decode().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
                self.last = lines.get("id", self.last)
                if "data" in lines:
                    found.append((lines["event"], json.loads(lines["data"])))
            if found:
                return found
        raise AssertionError("no event came")

    def close(self):
        self.answer.close()


def places(events) -> list[list[float]]:
    return [f["geometry"]["coordinates"] for _, data in events for f in data.get("features", ())]


# -- batches

def test_a_batch_is_written_and_read_by_everything_that_reads_features(yard):
    clear(yard)
    answer = patch(yard, car("c1", 118.5, status="free", crew=2, free=True), car("c2", 118.9, status="busy"))
    assert answer.json == {"changed": 2, "ignored": 0, "deleted": 0}
    found = stored(yard)
    assert found["c1"]["status"] == "free" and found["c1"]["free"] is True and found["c1"]["at"] == (118.5, 32.0)
    assert found["c2"]["crew"] is None


def test_a_batch_that_is_sent_again_changes_nothing(yard):
    clear(yard)
    row = car("c1", 118.5, status="free")
    assert patch(yard, row).json["changed"] == 1
    assert patch(yard, row).json == {"changed": 0, "ignored": 1, "deleted": 0}


def test_an_older_message_is_ignored_though_it_comes_later(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-10))
    assert patch(yard, car("c1", 118.6, seconds=-20)).json["ignored"] == 1
    assert patch(yard, car("c1", 118.7, seconds=-5), car("c1", 118.8, seconds=-7)).json["changed"] == 1
    assert stored(yard)["c1"]["at"][0] == 118.7
    patch(yard, delete=["c1"])
    assert patch(yard, car("c1", 118.6, seconds=-30)).json["ignored"] == 1, "nor does it bring back what was deleted"


def test_what_a_row_does_not_name_stays(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-5, status="free", crew=2))
    patch(yard, {"id": "c1", "properties": {"status": "busy"}})
    assert (stored(yard)["c1"]["status"], stored(yard)["c1"]["crew"], stored(yard)["c1"]["at"]) == ("busy", 2, (118.5, 32.0))


def test_a_batch_with_one_bad_row_is_refused_whole_and_names_the_row(yard):
    clear(yard)
    for bad, place in [
        ({"id": ""}, "/id"), (car("x", 121.0), "/lon"), (car("x", "east"), "/lon"), ({"id": "x", "lon": 118.5}, "/lon"), ({"id": "x"}, ""),
        (car("x", 118.5, seconds=3600), "/moment"), ({"id": "x", "lon": 118.5, "lat": 32, "moment": "yesterday"}, "/moment"),
        (car("x", 118.5, crew="two"), "/properties/crew"), (car("x", 118.5, colour="red"), "/properties/colour"), (7, ""), (car("x", 118.5) | {"speed": 1}, "/speed"),
    ]:
        answer = patch(yard, car("good", 118.5), bad)
        assert answer.status_code == 422, (bad, answer.text)
        assert answer.json["errors"][0]["pointer"] == f"#/objects/1{place}"
    assert stored(yard) == {}


def test_places_come_in_any_served_system(yard):
    clear(yard)
    answer = patch(yard, {"id": "c1", "x": 3_542_000.0, "y": 380_000.0}, crs="EPSG:4549")
    assert answer.status_code == 422
    assert patch(yard, {"id": "c1", "x": 380_000.0, "y": 3_542_000.0}, crs="EPSG:4549").json["changed"] == 1
    lon, lat = stored(yard)["c1"]["at"]
    assert 118.7 < lon < 118.8 and 31.9 < lat < 32.1


def test_what_was_not_heard_of_is_gone(yard):
    clear(yard)
    patch(yard, car("old", 118.5, seconds=-590), car("new", 118.5))
    services = yard.services
    later = services.gate.clock() + timedelta(seconds=60)
    assert sweep(services.catalogue.snapshot(), services.settings.store, later) == 1
    assert set(stored(yard)) == {"new"}
    assert patch(yard, car("older", 118.5, seconds=-700)).json["ignored"] == 1


def test_only_the_owner_writes_and_others_learn_nothing(yard):
    for agency in ("fire", "nobody"):
        unshared, unknown = patch(yard, car("x", 118.5), agency=agency), patch(yard, car("x", 118.5), agency=agency, layer="police-absent")
        assert unshared.status_code == unknown.status_code == 404
        assert unshared.data.replace(b"police-cars", b"police-absent") == unknown.data
        assert call(yard, agency, "DELETE", "/api/v1/live/police-cars").status_code == 404
        assert call(yard, agency, "GET", "/api/v1/live").json == {"items": []}
    assert yard.client().patch("/api/v1/live/police-cars", json={}).status_code == 401


def test_a_layer_is_named_after_its_agency_and_its_faults_are_told_at_once(yard):
    answer = make(yard, "fire", name="police-fake", fields=[{"name": "moment"}, {"name": "a"}, {"name": "A"}], bounds=[1, 1, 0, 0], crs="EPSG:1")
    assert {one["pointer"] for one in answer.json["errors"]} == {"#/name", "#/fields/0/name", "#/fields/2/name", "#/crs"}
    assert make(yard, "police", name="police-cars").status_code == 409
    assert make(yard, "fire", name="fire-engines", symbols={"tables": {"cars": {"label": {"field": "status"}}}}).status_code == 201
    assert call(yard, "fire", "DELETE", "/api/v1/live/fire-engines").status_code == 204
    assert make(yard, "fire", name="fire-engines").status_code == 201, "its name is free again"


# -- events

def test_the_owner_sees_everything_and_then_what_changes(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-9, status="free"), car("c2", 118.9, seconds=-9))
    watch = Watch(yard, "police")
    first = watch.next()
    assert [name for name, _ in first] == ["reset", "changed"]
    assert sorted(places(first)) == [[118.5, 32.0], [118.9, 32.0]]
    patch(yard, car("c1", 118.6, status="busy"), delete=["c2"])
    (_, data), = watch.next()
    assert data["features"][0]["properties"]["status"] == "busy" and len(data["gone"]) == 1
    watch.close()


def test_a_point_that_leaves_the_granted_ground_is_gone_and_nothing_of_outside_is_told(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-30, status="free", crew=3), car("far", 119.0, seconds=-30, status="secret"))
    watch = Watch(yard, "fire")
    first = watch.next()
    assert places(first) == [[118.5, 32.0]]
    feature = first[1][1]["features"][0]
    assert set(feature["properties"]) == {"status", "moment"}, "what is not granted is in no event"
    patch(yard, car("far", 119.1, seconds=-20), car("c1", 118.74, seconds=-20))
    assert places(watch.next()) == [[118.74, 32.0]]
    patch(yard, car("c1", 118.76, seconds=-15), car("far", 119.2, seconds=-15))
    (_, data), = watch.next()
    assert data == {"features": [], "gone": [feature["id"]]}
    patch(yard, car("c1", 118.9, seconds=-10), car("far", 118.80, seconds=-10))
    patch(yard, car("c1", 118.7, seconds=-8))
    back = watch.next()
    assert places(back) == [[118.7, 32.0]] and back[0][1]["gone"] == [] and back[0][1]["features"][0]["id"] == feature["id"]
    watch.close()


def test_a_row_that_the_grant_filters_out_is_gone(yard):
    clear(yard)
    yard.agency("rowed")
    yard.grant("rowed", "police-cars", grantor="police", rows="status = 'free'", attributes=frozenset({"object_id", "status"}))
    patch(yard, car("c1", 118.5, seconds=-30, status="free"), car("c2", 118.5, seconds=-30, status="busy"))
    watch = Watch(yard, "rowed")
    assert len(places(watch.next())) == 1
    patch(yard, car("c1", 118.5, seconds=-20, status="busy"))
    (_, data), = watch.next()
    assert data["features"] == [] and len(data["gone"]) == 1
    watch.close()


def test_what_changes_outside_the_grant_changes_no_byte_of_the_stream(yard):
    """Two histories that differ outside alone; the ids of events are moments, so they are compared without."""
    told = []
    for is_busy in (False, True):
        clear(yard)
        patch(yard, car("in", 118.5, seconds=0, status="free") | {"moment": fixed(-50)})
        watch = Watch(yard, "fire")
        seen = [watch.next()]
        if is_busy:
            patch(yard, *(car(f"out{n}", 119.0 + n / 100, seconds=-30 + n) for n in range(20)))
        patch(yard, car("in", 118.6) | {"moment": fixed(-20)}, *([car("more", 119.5)] if is_busy else []))
        seen.append(watch.next())
        told.append(json.dumps(seen).replace(first_id(seen), "the one"))      # it is another thing each time, and called otherwise
        watch.close()
    assert told[0] == told[1]


def first_id(seen) -> str:
    return seen[0][1][1]["features"][0]["id"]


START = datetime.now(UTC)


def fixed(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def test_a_viewer_who_comes_back_is_told_what_he_missed(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-30), car("c2", 118.6, seconds=-30))
    watch = Watch(yard, "fire")
    watch.next()
    watch.close()
    patch(yard, car("c1", 119.0, seconds=-20), car("c3", 118.3, seconds=-20), car("out", 119.5, seconds=-20))
    again = Watch(yard, "fire", **{"Last-Event-ID": watch.last})
    (name, data), = again.next()
    assert name == "changed" and places([(name, data)]) == [[118.3, 32.0]] and len(data["gone"]) == 1
    again.close()
    late = Watch(yard, "fire", **{"Last-Event-ID": "17"})
    assert [name for name, _ in late.next()] == ["reset", "changed"], "what is too old is told anew"
    late.close()


def test_revocation_ends_the_stream_within_two_seconds(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-30))
    yard.agency("brief")
    agreement = yard.grant("brief", "police-cars", grantor="police")
    watch = Watch(yard, "brief")
    watch.next()
    revoke(yard, agreement)
    began = time.monotonic()
    (name, data), = watch.next()
    assert name == "end" and data == {"code": "not-granted"} and time.monotonic() - began < 2
    assert list(watch.parts) == []
    assert yard.get("/live/police-cars/events", "brief").status_code == 403


def test_revocation_ends_the_stream_of_a_viewer_who_looks_once_a_minute_as_soon(yard):
    yard.agency("seldom")
    agreement = yard.grant("seldom", "police-cars", grantor="police")
    watch = Watch(yard, "seldom", "/live/police-cars/events?every=60")
    watch.next()
    revoke(yard, agreement)
    began = time.monotonic()
    (name, data), = watch.next()
    assert name == "end" and data == {"code": "not-granted"} and time.monotonic() - began < 2.5


def test_the_ids_of_events_know_nothing_of_what_changed_elsewhere(yard):
    """Not of everything that is told first, nor of what changed since: they are the stamps of what is told."""
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-40))
    inside = stamp(yard)
    patch(yard, car("out", 118.9, seconds=-30))
    watch = Watch(yard, "fire")
    watch.next()
    assert int(watch.last) == inside < stamp(yard)
    patch(yard, car("c1", 118.6, seconds=-20))
    inside = stamp(yard)
    patch(yard, car("out", 119.0, seconds=-20), car("far", 119.5, seconds=-20))
    watch.next()
    assert int(watch.last) == inside < stamp(yard)
    watch.close()


def stamp(house) -> int:
    edition = house.services.catalogue.snapshot().find(LayerName("police-cars"))[1]
    with closing(sqlite3.connect(path_of(house.services.settings.store, edition))) as connection:
        return connection.execute("SELECT stamp FROM live_state").fetchone()[0]


def test_no_agency_makes_a_layer_whose_name_belongs_to_one_whose_id_is_longer(yard):
    yard.agency("police-traffic")
    answer = make(yard, "police", name="police-traffic-cars")
    assert answer.status_code == 422 and [one["code"] for one in answer.json["errors"]] == ["overlay-name-reserved"]


def revoke(house, agreement):
    house.services.register.register(replace(agreement, version=2, grants=()), "")


def test_a_grant_that_shrinks_is_told_anew(yard):
    clear(yard)
    patch(yard, car("c1", 118.5, seconds=-30), car("c2", 118.9, seconds=-30))
    yard.agency("shrinking")
    agreement = yard.grant("shrinking", "police-cars", grantor="police")
    watch = Watch(yard, "shrinking")
    assert len(places(watch.next())) == 2
    yard.services.register.register(replace(agreement, version=2, grants=(yard.clause("police-cars", area=WEST),)), "")
    events = watch.next()
    assert events[0][0] == "reset" and places(events) == [[118.5, 32.0]]
    watch.close()


def test_nothing_is_told_to_who_has_nothing(yard):
    unshared, unknown = (yard.get(f"/live/{name}/events", "nobody") for name in ("police-cars", "police-absent"))
    assert unshared.status_code == unknown.status_code == 403
    assert unshared.data.replace(b"police-cars", b"police-absent") == unknown.data
    assert yard.get("/live/police-cars/events").status_code == 401


def test_a_viewer_of_a_part_is_told_of_that_part(yard):
    clear(yard)
    patch(yard, car("c1", 118.2, seconds=-30), car("c2", 118.6, seconds=-30))
    watch = Watch(yard, "police", "/live/police-cars/events?every=0.25&bbox=118.1,31.5,118.3,32.5")
    assert places(watch.next()) == [[118.2, 32.0]]
    watch.close()
    for wrong in ("every=0", "every=x", "bbox=1,2,3", "bbox=3,2,1,4"):
        assert yard.get(f"/live/police-cars/events?{wrong}", "police").status_code == 400


def test_places_for_viewers_are_limited_and_given_back(yard):
    _, places_ = yard.app.extensions["live"]
    taken, places_.most = places_.taken, places_.taken + 1
    try:
        watch = Watch(yard, "police")
        assert yard.get("/live/police-cars/events", "police").status_code == 503
        watch.close()
        Watch(yard, "police").close()
    finally:
        places_.most = 100
    assert places_.taken == taken


def test_the_plan_of_a_table_is_what_it_was_made_with(yard):
    edition = yard.services.catalogue.snapshot().find(LayerName("police-cars"))[1]
    plan = plan_of(yard.services.settings.store, edition)
    assert (plan.table, plan.expiry, plan.names) == ("cars", 600, ("object_id", "moment", "status", "crew", "free"))


def test_the_file_is_opened_by_one_sqlite_alone_for_pictures_too(yard, monkeypatch):
    """GDAL and Mapnik have SQLites of their own: closing the file they would take away the locks that ours holds in the same process."""
    from tiles import cut_line_map, dlg

    def never(*_, **__):
        raise AssertionError("another library opened a live layer's file")

    clear(yard)
    patch(yard, *(car(f"P{number}", 118.5 + 0.01 * number, status="free", crew=number) for number in range(10)))
    monkeypatch.setattr(cut_line_map, "_table", never)
    monkeypatch.setattr(dlg, "_datasource", never)
    bounds = "118.4,31.9,118.7,32.1"
    for agency, query in (("police", ""), ("fire", ""), ("police", "&TRANSPARENT=TRUE")):
        path = f"/ows?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetMap&LAYERS=police-cars&STYLES=&SRS=CRS:84&BBOX={bounds}&WIDTH=300&HEIGHT=200&FORMAT=image/png{query}"
        full, _ = yard.get(path, agency), patch(yard, delete=[f"P{number}" for number in range(10)])
        empty = yard.get(path, agency)
        assert full.status_code == empty.status_code == 200 and full.data != empty.data, (agency, full.data[:300])
        patch(yard, *(car(f"P{number}", 118.5 + 0.01 * number, seconds=5, status="free", crew=number) for number in range(10)))
    assert yard.get("/tiles/police-cars/WebMercatorQuad/10/849/415.png", "police").status_code == 200
