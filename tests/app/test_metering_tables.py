"""Counting in a database server, for services of several hosts: the same exactness."""

import os
from datetime import datetime

import pytest
import shapely
import sqlalchemy as sa
from counters import AGREEMENT, MOMENT, QUOTA, account, look
from test_metering import EAST, NOON, WEST, asks, limited, used

from agreements.quota import Limit, Measure, Quota, Rate, Window
from geoserver_app.clock import SHANGHAI
from geoserver_app.metering.book import Bill, Spent
from geoserver_app.metering.ground import CELL_KM2
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.metering.meter import Meter, Reservation
from geoserver_app.metering.tables import SqlLedgers, counts_table, logs_table, metadata

WHEN = datetime.fromtimestamp(NOON, SHANGHAI)


@pytest.fixture
def database(postgresql_url):
    engine = sa.create_engine(postgresql_url)
    metadata.create_all(engine)
    yield engine
    metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def meter(database) -> Meter:
    return Meter(SqlLedgers(database))


def test_limits_windows_and_rate_hold(meter):
    quota = Quota(rate=Rate(per_second=10, burst=3), limits=limited(5).limits)
    assert [asks(meter, quota) for _ in range(4)] == [[], [], [], ["rate"]]
    assert [asks(meter, quota, NOON + second) for second in (1, 2, 3)] == [[], [], ["requests-day"]]
    assert asks(meter, quota, NOON + 86_400) == []
    assert used(meter, quota, NOON + 86_400)["requests-day"] == 1


def test_hosts_know_what_the_others_saw(database, meter):
    other, quota = Meter(SqlLedgers(database)), limited(5 * 1600 * CELL_KM2, Measure.GROUND, Window.MONTH, 2.0)
    for number in range(4):
        assert asks(meter if number % 2 else other, quota, seen=(look(number),)) == []
    for number in range(4):
        assert asks(other if number % 2 else meter, quota, seen=(look(number),)) == []
    assert used(Meter(SqlLedgers(database)), quota) == {"km2-month-2m": pytest.approx(0.16)}
    assert [asks(meter, quota, seen=(look(number),)) for number in (4, 5)] == [[], ["km2-month-2m"]]


def test_exports_are_one_union(database, meter):
    exporter, other = account(Quota(export_km2=25.0), "AG-1"), Meter(SqlLedgers(database))
    reservation = meter.reserve_export([exporter], WEST, WHEN)
    assert isinstance(reservation, Reservation)
    assert isinstance(other.reserve_export([exporter], EAST, WHEN), Spent)
    assert isinstance(other.reserve_export([exporter], shapely.box(119.01, 32.01, 119.02, 32.02), WHEN), Reservation)
    other.release_export(reservation, WHEN)
    assert isinstance(meter.reserve_export([exporter], EAST, WHEN), Reservation)


def test_accounts_are_charged_together_or_not_at_all(meter):
    bills = [Bill(account(limited(5), "AG-DOWN"), (1, 0, 0, 0)), Bill(account(limited(2), "AG-UP"), (1, 0, 0, 0))]
    assert [[one.account.agreement_id for one in meter.charge(bills, NOON).spent] for _ in range(3)] == [[], [], ["AG-UP"]]
    assert used(meter, limited(5), agreement_id="AG-DOWN") == {"requests-day": 2}


def test_eight_hosts_let_out_exactly_what_the_limit_says(postgresql_url, database):
    """Each a process with connections of its own."""
    quota, children = limited(400), []
    for _ in range(8):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            engine = sa.create_engine(postgresql_url)
            passed = sum(not asks(Meter(SqlLedgers(engine)), quota) for _ in range(100))
            os.write(writing, str(passed).encode())
            os._exit(0)
        os.close(writing)
        children.append((child, reading))
    passed = []
    for child, reading in children:
        with open(reading, "rb", buffering=0) as said:
            passed.append(int(said.readall()))
        os.waitpid(child, 0)
    assert sum(passed) == 400


def test_what_is_damaged_is_told_and_begun_anew_by_hand_alone(database, meter):
    meter.charge((Bill(account(), (1, 0, 0, 0), seen=(look(0),)),), MOMENT)
    meter.reserve_export([account(Quota(export_km2=25.0))], WEST, WHEN)
    with database.begin() as connection:
        connection.execute(sa.update(counts_table).values(block=sa.func.overlay(counts_table.c.block, b"\x07", 40, type_=sa.LargeBinary)))
    for one in (meter, Meter(SqlLedgers(database))):
        with pytest.raises(MeteringUnavailable, match="damaged"):
            one.charge((Bill(account(), (1, 0, 0, 0)),), MOMENT)
    meter.restart(AGREEMENT, WHEN)
    assert used(meter, QUOTA, MOMENT, AGREEMENT) == {"requests-day": 0, "requests-term": 0, "bytes-month": 0, "km2-month-2m": 0}
    assert used(meter, Quota(export_km2=25.0), MOMENT, AGREEMENT) == {"export": pytest.approx(13.0, abs=0.05)}
    with database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(counts_table)).scalar() == 2
        assert set(connection.execute(sa.select(logs_table.c.name)).scalars()) == {"exports", "ground-month-2000000-1"}


def test_a_database_that_is_away_is_told(database, meter):
    asks(meter, limited(9))
    metadata.drop_all(database)
    with pytest.raises(MeteringUnavailable):
        asks(meter, limited(9))
    metadata.create_all(database)
    assert asks(meter, limited(9)) == []


def test_a_charge_that_fails_at_the_end_leaves_nothing_in_memory(database, meter, monkeypatch):
    quota = Quota(limits=(Limit(measure=Measure.GROUND, window=Window.DAY, most=9),))
    asks(meter, quota, seen=(look(0),))

    def lost(_):
        raise sa.exc.OperationalError("COMMIT", {}, Exception("the connection is gone"))

    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy.engine.Connection.commit", lost)
        with pytest.raises(MeteringUnavailable):
            asks(meter, quota, seen=(look(1),))
    asks(Meter(SqlLedgers(database)), quota, seen=(look(2),))
    asks(meter, quota, seen=(look(1),))
    assert used(meter, quota) == {"km2-day": pytest.approx(0.12)}
