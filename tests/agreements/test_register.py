"""The register, in memory and in a database: one contract, the same tests."""

import hashlib
import re
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import shapely
import sqlalchemy as sa
from small_world import BOTH, EAST, NOON, WEST, agreement, at, box, grant, request

from agreements.decision import decide
from agreements.errors import AgencyNotDefined, AgreementNotDefined, AlreadyRegistered, KeyNotDefined, RegisterUnavailable
from agreements.model import BUREAU, Agency, Effect, Operation, ScaleWindow, State, Suspension, Term
from agreements.record import Contribution, Record
from agreements.register import InMemoryRegister, SqlRegister, metadata
from agreements.register import sql as register_sql

WATER = Agency(agency_id="water", name_zh="省水利厅", name_en="Department of Water Resources")
POLICE = Agency(agency_id="police", name_zh="省公安厅", name_en="Department of Public Security")


class Clock:
    """A clock that tests set."""

    def __init__(self):
        self.moment = NOON

    def __call__(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def register(request, clock):
    if request.param == "memory":
        made = InMemoryRegister(clock)
    else:
        made = SqlRegister(request.getfixturevalue(f"{request.param}_database")(), clock)
    made.add_agency(WATER)
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """Call it for an engine over one database with the tables of the register."""
    return request.getfixturevalue(f"{request.param}_database")


def held(register, agency="water"):
    return register.snapshot().agreements.get(agency, ())


RICH = agreement(
    grant(
        clause="3.1", layers=frozenset({"dom", "dem@2011"}), operations=frozenset({Operation.GET_MAP, Operation.GET_TILE}), area=BOTH,
        scale=ScaleWindow(finest=5000, coarsest=2.5e5), term=Term(end=at(2027, 1, 1)), formats=frozenset({"image/png"}),
        crs=frozenset({"EPSG:4549"}), styles=frozenset({"hillshade"}), attributes=frozenset({"NAME"}),
    ),
    grant(clause="3.2", attributes=None, area=replace(WEST, title="秦淮区 (320104)", words='{"divisions": ["320104"]}')),
    suspensions=(Suspension(reason="汛期", since=at(2026, 6, 1), until=at(2026, 7, 1), layers=frozenset({"dem"}), area=EAST),),
    title="与省水利厅共享协议", purpose="flood", credit="Bureau", basis=("notice 3",), record=Record(contributions=(Contribution(dataset="水闸", cadence="P3M"),)),
)


# Agencies and keys

def test_an_agency_can_be_added_and_renamed(register):
    register.add_agency(POLICE)
    register.add_agency(replace(WATER, name_en="Water", is_active=False))
    assert register.agencies() == (POLICE, replace(WATER, name_en="Water", is_active=False))
    assert register.snapshot().agencies["water"].is_active is False


@pytest.mark.parametrize("agency_id", ["", "Water", "water/1", "水利", "9w", "a" * 64])
def test_the_id_of_an_agency_is_plain(register, agency_id):
    with pytest.raises(ValueError, match="is not an id"):
        register.add_agency(replace(WATER, agency_id=agency_id))


def test_a_key_has_160_random_bits_and_only_its_digest_is_kept(register):
    key, secret = register.issue_key("water", label="QGIS", expires=at(2027, 1, 1))
    other, another = register.issue_key("water")
    assert re.fullmatch(r"gsk_[a-z2-7]{32}", secret) and secret != another and key.key_id != other.key_id
    found = register.snapshot().keys[hashlib.sha256(secret.encode()).hexdigest()]
    assert found == key
    assert (found.agency_id, found.label, found.expires, found.revoked) == ("water", "QGIS", at(2027, 1, 1), None)
    assert secret not in repr(register.snapshot())


def test_a_revoked_key_says_since_when_and_stays_revoked(register, clock):
    key, _ = register.issue_key("water")
    register.revoke_key(key.key_id)
    clock.moment += timedelta(days=1)
    epoch = register.epoch()
    register.revoke_key(key.key_id)
    assert register.snapshot().keys[key.digest].revoked == NOON
    assert register.epoch() == epoch


def test_keys_of_nobody_and_no_keys_are_told(register):
    with pytest.raises(AgencyNotDefined, match="`police` is not registered"):
        register.issue_key("police")
    with pytest.raises(KeyNotDefined, match="`k_0` is not registered"):
        register.revoke_key("k_0")


# Agreements

def test_what_is_registered_is_what_decides(register):
    register.register(RICH, "the text")
    assert held(register) == (RICH,)
    assert held(register)[0].grants[1].area.words == '{"divisions": ["320104"]}'
    assert register.document("AG-1") == "the text"


def test_the_same_document_again_changes_nothing_and_another_is_refused(register):
    register.register(RICH, "the text")
    epoch = register.epoch()
    register.register(RICH, "the text")
    assert register.epoch() == epoch
    with pytest.raises(AlreadyRegistered, match="version 1 is registered with other content"):
        register.register(replace(RICH, title="other"), "another text")
    assert held(register) == (RICH,)


def test_a_boundary_that_changed_since_changes_no_registered_agreement(register):
    register.register(RICH, "the text")
    register.register(replace(RICH, grants=(grant(area=EAST),)), "the text")
    assert held(register) == (RICH,)


def test_parties_must_be_registered(register):
    with pytest.raises(AgencyNotDefined, match="`police`"):
        register.register(agreement(grantee="police"), "text")
    with pytest.raises(AgencyNotDefined, match="`police`"):
        register.register(agreement(grantor="police"), "text")
    register.register(agreement(grantor=BUREAU), "text")


def test_a_newer_version_stands_in_the_place_of_the_older_which_stays_as_it_was(register):
    register.register(RICH, "first")
    newer = replace(RICH, version=2, grants=(grant(area=EAST),))
    register.register(newer, "second")
    assert held(register) == (newer,)
    assert [one.version for one in register.list()] == [1, 2]
    assert replace(register.list()[0], replaced=None) == RICH
    assert (register.document("AG-1"), register.document("AG-1", 1)) == ("second", "first")


def test_an_amendment_for_later_leaves_the_older_in_force_until_it_begins(register):
    register.register(agreement(grant(area=BOTH)), "first")
    register.register(agreement(grant(area=EAST), version=2, term=Term(start=at(2027, 1, 1))), "second")
    now, later = request(at=at(2026, 12, 31, 23, 59, 59)), request(at=at(2027, 1, 1))
    assert decide(now, held(register)).area.digest == BOTH.digest
    assert decide(later, held(register)).area.digest == EAST.digest
    assert decide(now, held(register)).holds_until == at(2027, 1, 1)


def test_a_draft_replaces_nothing_and_grants_nothing(register):
    register.register(agreement(), "first")
    register.register(agreement(grant(area=BOTH), version=2, state=State.DRAFT), "second")
    assert decide(request(), held(register)).area.digest == WEST.digest


def test_a_version_after_a_terminated_one_does_not_come_back(register):
    register.register(agreement(), "first")
    register.register(agreement(version=2, state=State.TERMINATED), "second")
    assert decide(request(), held(register)).effect is Effect.DENY


def test_an_older_version_cannot_be_registered_after_a_newer(register):
    register.register(agreement(version=3), "third")
    with pytest.raises(AlreadyRegistered, match="number an amendment 4, not 2"):
        register.register(agreement(version=2), "second")


def test_agreements_are_kept_by_grantee(register):
    register.add_agency(POLICE)
    register.register(agreement(), "one")
    register.register(agreement(agreement_id="AG-2", grantee="police"), "two")
    register.register(agreement(agreement_id="AG-0"), "three")
    assert [one.agreement_id for one in held(register)] == ["AG-0", "AG-1"]
    assert [one.agreement_id for one in held(register, "police")] == ["AG-2"]


def test_the_document_of_nothing_is_told(register):
    with pytest.raises(AgreementNotDefined, match="`AG-1` is not registered"):
        register.document("AG-1")
    register.register(agreement(), "text")
    with pytest.raises(AgreementNotDefined, match="`AG-1 version 2` is not registered"):
        register.document("AG-1", 2)


# Suspensions

def test_a_suspension_stops_a_layer_until_it_is_lifted(register, clock):
    register.register(agreement(grant(layers=frozenset({"dom", "dem"}))), "text")
    register.suspend("AG-1", reason="flood", layers=frozenset({"dom"}))
    assert decide(request(), held(register)).effect is Effect.DENY
    assert decide(request(layer="dem"), held(register)).effect is Effect.CLIP
    clock.moment += timedelta(hours=1)
    assert register.resume("AG-1") == 1
    assert decide(request(at=clock.moment), held(register)).effect is Effect.CLIP
    assert decide(request(at=NOON), held(register)).effect is Effect.DENY      # as it was then


def test_a_suspension_of_all_with_an_end_and_one_of_an_area(register):
    register.register(agreement(grant(area=BOTH)), "text")
    stop = register.suspend("AG-1", reason="flood", until=at(2026, 12, 1))
    assert (stop.since, stop.until, stop.layers) == (NOON, at(2026, 12, 1), None)
    assert decide(request(), held(register)).effect is Effect.DENY
    hole = box(118.4, 32.1, 118.6, 32.2)
    register.suspend("AG-1", reason="a bridge", layers=frozenset({"dom"}), area=hole)
    later = decide(request(at=at(2026, 12, 1)), held(register))
    assert later.effect is Effect.CLIP and (later.area.geometry & hole.geometry).area == 0


def test_resuming_ends_every_open_suspension_but_those_of_the_document(register, clock):
    register.register(RICH, "text")
    register.suspend("AG-1", reason="one", until=at(2026, 11, 24))
    register.suspend("AG-1", reason="two")
    clock.moment = at(2026, 11, 25)
    assert register.resume("AG-1") == 1
    assert register.resume("AG-1") == 0
    assert [(one.reason, one.until) for one in held(register)[0].suspensions] == [
        ("汛期", at(2026, 7, 1)), ("one", at(2026, 11, 24)), ("two", at(2026, 11, 25)),
    ]


def test_a_suspension_outlives_an_amendment(register):
    register.register(agreement(), "first")
    register.suspend("AG-1", reason="flood")
    register.register(agreement(grant(area=BOTH), version=2), "second")
    assert decide(request(), held(register)).effect is Effect.DENY


def test_suspending_and_resuming_what_is_not_registered_is_told(register):
    with pytest.raises(AgreementNotDefined):
        register.suspend("AG-9", reason="flood")
    with pytest.raises(AgreementNotDefined):
        register.resume("AG-9")


# Epoch

CHANGES = {
    "add an agency": lambda register: register.add_agency(POLICE),
    "issue a key": lambda register: register.issue_key("water"),
    "register an agreement": lambda register: register.register(agreement(version=2), "second"),
    "suspend": lambda register: register.suspend("AG-1", reason="flood"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_raises_the_epoch_by_one(register, change):
    register.register(agreement(), "first")
    epoch = register.epoch()
    CHANGES[change](register)
    assert register.epoch() == register.snapshot().epoch == epoch + 1


def test_a_change_that_fails_raises_nothing(register):
    register.register(agreement(), "first")
    epoch = register.epoch()
    for fail in (
        lambda: register.register(agreement(), "other"), lambda: register.issue_key("nobody"), lambda: register.suspend("AG-9", reason="x"),
        lambda: register.register(agreement(agreement_id="AG-2", grantee="nobody"), "x"), lambda: register.revoke_key("k"),
    ):
        with pytest.raises((AlreadyRegistered, AgencyNotDefined, AgreementNotDefined, KeyNotDefined)):
            fail()
    assert register.epoch() == epoch
    assert register.resume("AG-1") == 0 and register.epoch() == epoch


# In a database

def test_two_workers_see_each_others_changes(database):
    one, other = SqlRegister(database()), SqlRegister(database())
    one.add_agency(WATER)
    one.register(RICH, "text")
    assert (other.epoch(), held(other)) == (2, (RICH,))
    other.suspend("AG-1", reason="flood")
    assert one.epoch() == 3
    assert one.snapshot() == other.snapshot()


def test_writers_take_turns_and_no_epoch_is_lost(database):
    registers = [SqlRegister(database()) for _ in range(3)]
    registers[0].add_agency(WATER)
    faults = []

    def write(register):
        try:
            for _ in range(8):
                register.issue_key("water")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(register,)) for register in registers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert registers[0].epoch() == 1 + 3 * 8
    assert len(registers[0].snapshot().keys) == 24


def test_a_snapshot_is_of_one_moment_however_much_is_written_meanwhile(database):
    writer, reader = SqlRegister(database()), SqlRegister(database())
    writer.add_agency(WATER)
    done = threading.Event()

    def write():
        for _ in range(40):
            writer.issue_key("water")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        snapshot = reader.snapshot()
        assert snapshot.epoch == 1 + len(snapshot.keys)
    thread.join()


def test_a_version_is_compiled_once(database, monkeypatch):
    register, read = SqlRegister(database()), []
    register.add_agency(WATER)
    register.register(RICH, "text")
    original = register_sql.held_of
    monkeypatch.setattr(register_sql, "held_of", lambda kind, *said: read.append(kind) or original(kind, *said))
    for _ in range(3):
        held(register)
        register.suspend("AG-1", reason="flood")
    assert read.count("agreement") == 1


def test_grants_with_equal_areas_share_one_stored_geometry(database):
    register = SqlRegister(database())
    register.add_agency(WATER)
    register.register(agreement(grant(), grant(clause="3.2", area=replace(WEST, title="the west"))), "text")
    with register._engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from agreement_areas")) == 1
    first, second = (one.area for one in held(SqlRegister(register._engine))[0].grants)
    assert first.geometry is second.geometry and (first.title, second.title) == (WEST.title, "the west")


def test_an_area_whose_digest_is_not_that_of_its_geometry_is_not_stored(database):
    register = SqlRegister(database())
    register.add_agency(WATER)
    with pytest.raises(ValueError, match="does not have the digest of its geometry"):
        register.register(agreement(grant(area=replace(WEST, digest=EAST.digest))), "text")
    assert (register.epoch(), held(register)) == (1, ())


BREAKAGES = {
    "a table is gone": "drop table suspensions",
    "an area is gone": "delete from agreement_areas",
    "an agreement is a list": "update agreements set compiled = '[]'",
    "an agreement lacks a field": "update agreements set compiled = '{}'",
    "a state is unknown": "update agreements set state = 'happy'",
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_register_that_cannot_be_trusted_answers_nothing(database, breakage):
    register = SqlRegister(database())
    register.add_agency(WATER)
    register.register(RICH, "text")
    with register._engine.begin() as connection:
        connection.exec_driver_sql(BREAKAGES[breakage])
    with pytest.raises(RegisterUnavailable, match="can't be read"):
        SqlRegister(database()).snapshot()


@pytest.mark.parametrize("stored", [b"\0", shapely.to_wkb(BOTH.geometry)])
def test_an_altered_boundary_is_noticed_even_where_it_is_a_valid_one(database, stored):
    register = SqlRegister(database())
    register.add_agency(WATER)
    register.register(agreement(), "text")
    with register._engine.begin() as connection:
        connection.execute(sa.text("update agreement_areas set geometry = :wkb"), {"wkb": stored})
    with pytest.raises(RegisterUnavailable):
        SqlRegister(database()).snapshot()


def test_a_database_that_is_not_there_is_told_for_reading_and_writing(tmp_path):
    register = SqlRegister(sa.create_engine(f"sqlite:///{tmp_path / 'none' / 'register.sqlite'}"))
    for ask in (register.epoch, register.snapshot, register.agencies, register.list, lambda: register.add_agency(WATER)):
        with pytest.raises(RegisterUnavailable, match="see that its database is there and migrated"):
            ask()


def test_the_statements_are_none_of_sqlite_alone():
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
