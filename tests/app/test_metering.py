"""Counting: exact over all processes, safe against whoever dies, told where it can't be believed."""

import math
import os
import random
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import shapely
from counters import AGREEMENT, MOMENT, QUOTA, Counting, account, look, meter_in
from hypothesis import given, settings
from hypothesis import strategies as st

from agreements.model import Agreement, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window
from geoserver_app.clock import SHANGHAI
from geoserver_app.metering.book import Bill, Book, Spent
from geoserver_app.metering.counts import BLOCK, TODAY
from geoserver_app.metering.files import COUNTS, FileLedgers
from geoserver_app.metering.ground import CELL_KM2, Footprint
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.metering.meter import Reservation, account_of
from geoserver_app.metering.windows import windows_at


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=SHANGHAI).timestamp()


NOON = at(2026, 11, 25, 12)


def limited(most: float, measure: Measure = Measure.REQUESTS, window: Window = Window.DAY, resolution: float | None = None) -> Quota:
    return Quota(limits=(Limit(measure=measure, window=window, most=most, resolution=resolution),))


def asks(meter, quota: Quota, now: float = NOON, amounts=(1, 0, 0, 0), agreement_id: str = "AG-1", **more) -> list[str]:
    """The names of the limits that do not hold; none where it was counted."""
    token = quota.rate is not None
    return [one.name for one in meter.charge((Bill(account(quota, agreement_id), amounts, token=token, **more),), now).spent]


def used(meter, quota: Quota, now: float = NOON, agreement_id: str = "AG-1") -> dict[str, float]:
    agreement = Agreement(agreement_id=agreement_id, version=1, title="", grantor="bureau", grantee="water", term=Term(), grants=(), quota=quota)
    return {one.name: one.used for one in meter.usage(agreement, datetime.fromtimestamp(now, SHANGHAI))}


# -- one process

def test_a_limit_holds_as_many_as_it_says(tmp_path):
    meter, quota = meter_in(tmp_path), limited(3)
    assert [asks(meter, quota) for _ in range(5)] == [[], [], [], ["requests-day"], ["requests-day"]]
    assert used(meter, quota) == {"requests-day": 3}


def test_what_does_not_fit_is_not_counted_and_less_still_fits(tmp_path):
    meter, quota = meter_in(tmp_path), limited(10, Measure.BYTES, Window.MONTH)
    assert asks(meter, quota, amounts=(1, 0, 0, 8)) == []
    assert asks(meter, quota, amounts=(1, 0, 0, 3)) == ["bytes-month"]
    assert asks(meter, quota, amounts=(1, 0, 0, 2)) == []
    assert used(meter, quota) == {"bytes-month": 10}


def test_nothing_is_counted_where_one_of_several_limits_does_not_hold(tmp_path):
    meter = meter_in(tmp_path)
    quota = Quota(limits=(*limited(100).limits, *limited(1, Measure.MEGAPIXELS).limits, *limited(5, Measure.FEATURES, Window.TERM).limits))
    assert asks(meter, quota, amounts=(1, 600_000, 2, 0)) == []
    assert asks(meter, quota, amounts=(1, 600_000, 4, 0)) == ["megapixels-day", "features-term"]
    assert used(meter, quota) == {"requests-day": 1, "megapixels-day": 0.6, "features-term": 2}


def test_a_map_of_unknown_size_is_not_begun_when_nothing_is_left(tmp_path):
    meter, quota = meter_in(tmp_path), limited(1000, Measure.BYTES)
    assert asks(meter, quota, at_least=(1, 1, 0, 1)) == []
    assert asks(meter, quota, amounts=(0, 0, 0, 1000)) == []
    assert asks(meter, quota, at_least=(1, 1, 0, 1)) == ["bytes-day"]


def test_agreements_are_counted_apart_and_an_amendment_goes_on_counting(tmp_path):
    meter = meter_in(tmp_path)
    assert [asks(meter, limited(1), agreement_id=one) for one in ("AG-1", "AG-2", "AG-1")] == [[], [], ["requests-day"]]
    assert asks(meter, limited(2)) == []
    assert asks(meter, limited(2)) == ["requests-day"]
    assert used(meter, limited(9, window=Window.TERM)) == {"requests-term": 2}


def test_several_accounts_are_charged_together_or_not_at_all(tmp_path):
    meter = meter_in(tmp_path)
    above, below = account(limited(2), "AG-UP", is_own=False), account(limited(5), "AG-DOWN")
    bills = [Bill(below, (1, 0, 0, 0)), Bill(above, (1, 0, 0, 0))]
    outcomes = [meter.charge(bills, NOON) for _ in range(3)]
    assert [[one.account.agreement_id for one in charged.spent] for charged in outcomes] == [[], [], ["AG-UP"]]
    assert used(meter, limited(5), agreement_id="AG-DOWN") == {"requests-day": 2}
    assert [name for name, _ in outcomes[0].headers] == ["RateLimit-Policy", "RateLimit"]
    assert "r=4" in dict(outcomes[0].headers)["RateLimit"] and outcomes[2].headers == []      # what is above is nothing to the caller


def test_an_agreement_without_a_quota_has_no_account_and_no_file(tmp_path):
    assert account_of(Agreement(agreement_id="AG-1", version=1, title="", grantor="bureau", grantee="water", term=Term(), grants=())) is None
    assert meter_in(tmp_path / "none").charge((), NOON).headers == []
    assert not (tmp_path / "none").exists()


# -- windows

@pytest.mark.parametrize("window, last, first", (
    (Window.DAY, at(2026, 11, 25, 23, 59, 59), at(2026, 11, 26)), (Window.MONTH, at(2026, 11, 30, 23, 59, 59), at(2026, 12, 1)),
    (Window.MONTH, at(2026, 12, 31, 23, 59, 59), at(2027, 1, 1)), (Window.DAY, at(2028, 2, 28, 23, 59, 59), at(2028, 2, 29)),
))
@pytest.mark.parametrize("measure", (Measure.REQUESTS, Measure.GROUND))
def test_a_window_ends_at_midnight_in_shanghai(tmp_path, window, last, first, measure):
    meter, quota = meter_in(tmp_path), limited(1 if measure is Measure.REQUESTS else 1600 * CELL_KM2, measure, window)
    name = f"{measure}-{window}"
    assert asks(meter, quota, last + 0.990, seen=(look(0),)) == []
    assert asks(meter, quota, last + 0.999, seen=(look(1),)) == [name]
    assert asks(meter, quota, first, seen=(look(2),)) == []
    assert asks(meter, quota, first, seen=(look(3),)) == [name]


def test_a_term_never_begins_anew(tmp_path):
    meter, quota = meter_in(tmp_path), limited(2, window=Window.TERM)
    assert [asks(meter, quota, at(year, 3, 1)) for year in (2026, 2027, 2028)] == [[], [], ["requests-term"]]


def test_a_clock_that_goes_back_opens_no_window_anew(tmp_path):
    meter, quota = meter_in(tmp_path), limited(1)
    assert asks(meter, quota, at(2026, 11, 26)) == []
    assert asks(meter, quota, at(2026, 11, 25, 23, 59, 59)) == ["requests-day"]
    assert asks(meter, quota, at(2026, 11, 26, 0, 0, 1)) == ["requests-day"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 90 * 86_400), st.integers(1, 3)), min_size=1, max_size=40))
def test_every_window_holds_what_was_counted_in_it(tmp_path_factory, charges):
    """Against a list of all that was counted."""
    meter = meter_in(tmp_path_factory.mktemp("meter"))
    quota = Quota(limits=tuple(Limit(measure=Measure.REQUESTS, window=window, most=1e9) for window in Window))
    moments = []
    for seconds, count in sorted(charges):
        now = at(2026, 11, 25) + seconds
        asks(meter, quota, now, amounts=(count, 0, 0, 0))
        moments += [now] * count
        days = [datetime.fromtimestamp(one, SHANGHAI).date() for one in moments]
        months = [(day.year, day.month) for day in days]
        assert used(meter, quota, now) == {
            "requests-day": days.count(days[-1]), "requests-month": months.count(months[-1]), "requests-term": len(moments),
        }


# -- rate

def test_a_burst_is_let_through_and_then_the_rate(tmp_path):
    meter, quota = meter_in(tmp_path), Quota(rate=Rate(per_second=20, burst=200))
    assert [asks(meter, quota) for _ in range(200)] == [[]] * 200
    assert asks(meter, quota) == ["rate"]
    assert [asks(meter, quota, NOON + 0.05 * k) for k in range(1, 6)] == [[]] * 5
    assert asks(meter, quota, NOON + 0.26) == ["rate"]
    (spent,) = meter.charge((Bill(account(quota, "AG-1"), token=True),), NOON + 0.26).spent
    assert spent.opens == pytest.approx(NOON + 0.30)
    assert [asks(meter, quota, NOON + 3600) for _ in range(201)] == [[]] * 200 + [["rate"]]


def test_panning_a_map_never_meets_a_rate_of_the_default_burst(tmp_path):
    """A view of 6 x 5 tiles a second, for a minute."""
    meter, quota = meter_in(tmp_path), Quota(rate=Rate(per_second=30))
    assert all(asks(meter, quota, NOON + second + tile / 1000) == [] for second in range(60) for tile in range(30))


def test_a_clock_that_was_ahead_locks_nobody_out(tmp_path):
    meter, quota = meter_in(tmp_path), Quota(rate=Rate(per_second=10, burst=10))
    assert asks(meter, quota, NOON + 100_000) == []
    assert [asks(meter, quota, NOON) for _ in range(3)] == [[], ["rate"], ["rate"]]
    assert asks(meter, quota, NOON + 0.11) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=80), st.sampled_from([0.5, 3.0, 20.0]), st.integers(1, 8))
def test_no_stretch_of_time_lets_through_more_than_burst_and_rate(tmp_path_factory, moments, per_second, burst):
    meter, quota = meter_in(tmp_path_factory.mktemp("meter")), Quota(rate=Rate(per_second=per_second, burst=burst))
    passed = [moment for moment in sorted(moments) if asks(meter, quota, NOON + moment) == []]
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - start) * per_second + 1e-3


# -- ground

def test_the_same_ground_costs_once_in_a_window(tmp_path):
    meter, quota = meter_in(tmp_path), limited(3 * 1600 * CELL_KM2, Measure.GROUND, Window.MONTH, 2.0)
    assert [asks(meter, quota, seen=(look(number),)) for number in (0, 1, 0, 2, 1, 2)] == [[]] * 6
    assert asks(meter, quota, seen=(look(3),)) == ["km2-month-2m"]
    assert asks(meter, quota, seen=(look(0), look(1))) == []
    assert used(meter, quota) == {"km2-month-2m": pytest.approx(0.12)}


def test_coarser_pictures_do_not_count_for_a_limit_of_fine_ones(tmp_path):
    meter, quota = meter_in(tmp_path), limited(1600 * CELL_KM2, Measure.GROUND, Window.TERM, 2.0)
    assert asks(meter, quota, seen=(look(0)._replace(resolution=2.1),)) == []
    assert used(meter, quota) == {"km2-term-2m": 0}
    assert asks(meter, quota, seen=(look(0)._replace(resolution=2.0),)) == []
    assert asks(meter, quota, seen=(look(1)._replace(resolution=0.0),)) == ["km2-term-2m"]


def test_two_pictures_of_one_answer_that_overlap_count_what_they_cover_together(tmp_path):
    meter, quota = meter_in(tmp_path), limited(1600 * CELL_KM2, Measure.GROUND)
    twice = look(0)._replace(key="again")
    assert asks(meter, quota, seen=(look(0), twice)) == []
    assert used(meter, quota) == {"km2-day": pytest.approx(0.04)}


def test_every_worker_knows_what_the_others_saw(tmp_path):
    one, other, quota = meter_in(tmp_path), meter_in(tmp_path), limited(5 * 1600 * CELL_KM2, Measure.GROUND)
    for number in range(4):
        assert asks(one if number % 2 else other, quota, seen=(look(number),)) == []
    for number in range(4):
        assert asks(other if number % 2 else one, quota, seen=(look(number),)) == []
    assert used(meter_in(tmp_path), quota) == {"km2-day": pytest.approx(0.16)}
    assert asks(one, quota, seen=(look(4),)) == []
    assert asks(other, quota, seen=(look(5),)) == ["km2-day"]


def test_a_long_log_is_written_anew_and_counts_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("geoserver_app.metering.book.LOG_BYTES", 2_000)
    one, other, quota = meter_in(tmp_path), meter_in(tmp_path), limited(1e6, Measure.GROUND)
    for number in range(500):
        assert asks(one if number % 3 else other, quota, seen=(look(number, 64),)) == []
    assert used(one, quota) == {"km2-day": pytest.approx(500 * 64 * 64 * CELL_KM2)}
    assert asks(meter_in(tmp_path), quota, seen=(look(3, 64),)) == []
    logs = sorted(path for path in tmp_path.rglob("ground-*"))
    assert len(logs) <= 2 and min(path.stat().st_size for path in logs) < 2_000


def test_more_limits_of_ground_than_there_is_room_for_forget_those_that_are_no_more(tmp_path):
    meter = meter_in(tmp_path)
    for metres in range(1, 40):
        assert asks(meter, limited(9, Measure.GROUND, Window.TERM, float(metres)), seen=(look(metres),)) == []
    crowd = Quota(limits=tuple(Limit(measure=Measure.GROUND, window=Window.TERM, most=9, resolution=float(metres)) for metres in range(1, 40)))
    with pytest.raises(MeteringUnavailable):
        asks(meter, crowd, seen=(look(1),))


# -- exports

WEST = shapely.box(119.0, 32.0, 119.0383, 32.0325)           # 13.0 km2
EAST = shapely.box(119.0383, 32.0, 119.0766, 32.0325)
WHEN = datetime.fromtimestamp(NOON, SHANGHAI)


@pytest.fixture
def exporter():
    return account(Quota(export_km2=25.0), "AG-1")


def test_two_adjacent_exports_of_13_km2_under_25_km2_are_one_too_many(tmp_path, exporter):
    meter = meter_in(tmp_path)
    assert isinstance(meter.reserve_export([exporter], WEST, WHEN), Reservation)
    refused = meter.reserve_export([exporter], EAST, WHEN)
    assert isinstance(refused, Spent) and refused.name == "export"
    assert isinstance(meter.reserve_export([exporter], EAST, WHEN + timedelta(days=900)), Spent)
    assert used(meter, Quota(export_km2=25.0)) == {"export": pytest.approx(13.0, abs=0.05)}


def test_the_same_ground_may_be_exported_again_also_by_another_worker(tmp_path, exporter):
    one, other = meter_in(tmp_path), meter_in(tmp_path)
    assert isinstance(one.reserve_export([exporter], WEST, WHEN), Reservation)
    for part in (WEST, shapely.box(119.01, 32.01, 119.02, 32.02), shapely.MultiPolygon([WEST])):
        assert isinstance(other.reserve_export([exporter], part, WHEN), Reservation)
    assert used(one, Quota(export_km2=25.0)) == {"export": pytest.approx(13.0, abs=0.05)}
    assert isinstance(one.reserve_export([exporter], EAST, WHEN), Spent)


def test_many_small_exports_are_one_large_one(tmp_path, exporter):
    meter, granted = meter_in(tmp_path), 0
    for column in range(12):
        square = shapely.box(119 + column * 0.02, 32, 119.02 + column * 0.02, 32.02)                # 4.2 km2
        granted += isinstance(meter.reserve_export([exporter], square, WHEN), Reservation)
    assert granted == 5


def test_an_export_of_which_nothing_left_is_taken_back(tmp_path, exporter):
    meter = meter_in(tmp_path)
    reservation = meter.reserve_export([exporter], WEST, WHEN)
    for _ in range(2):
        meter_in(tmp_path).release_export(reservation, WHEN)
    assert isinstance(meter.reserve_export([exporter], EAST, WHEN), Reservation)
    assert isinstance(meter.reserve_export([exporter], WEST, WHEN), Spent)


def test_an_export_counts_on_every_agreement_or_on_none(tmp_path, exporter):
    meter, above = meter_in(tmp_path), account(Quota(export_km2=20.0), "AG-UP", is_own=False)
    assert isinstance(meter.reserve_export([exporter, above], WEST, WHEN), Reservation)
    spent = meter.reserve_export([exporter, above], EAST, WHEN)
    assert spent.account.agreement_id in ("AG-1", "AG-UP")
    assert used(meter, Quota(export_km2=20.0), agreement_id="AG-UP") == {"export": pytest.approx(13.0, abs=0.05)}


def test_an_export_of_nothing_is_an_error(tmp_path, exporter):
    with pytest.raises(ValueError, match="no polygon"):
        meter_in(tmp_path).reserve_export([exporter], shapely.LineString([(119, 32), (119, 33)]), WHEN)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.1), st.floats(0, 0.1), st.floats(0.005, 0.06)), min_size=1, max_size=8))
def test_the_union_of_exports_never_exceeds_the_limit(tmp_path_factory, squares):
    from geoserver_app.metering.exports import square_metres

    meter, exporter, taken = meter_in(tmp_path_factory.mktemp("meter")), account(Quota(export_km2=25.0), "AG-1"), []
    for west, south, side in squares:
        square = shapely.box(119 + west, 32 + south, 119 + west + side, 32 + south + side)
        union = shapely.union_all([*taken, square])
        if isinstance(meter.reserve_export([exporter], square, WHEN), Reservation):
            taken.append(square)
            assert square_metres(union) <= 25e6 + 2
        else:
            assert square_metres(union) > 25e6 - 2


# -- several processes

def test_eight_processes_let_out_exactly_what_the_limit_says(tmp_path):
    """80,000 charges under a limit of 50,000; an overshoot of 1 in 1,000 would be allowed."""
    processes = [Counting(tmp_path, who, 10_000) for who in range(8)]
    said = [process.rest() for process in processes]
    assert [len(one) for one in said] == [10_000] * 8
    assert sum(one.count(".") for one in said) == 50_000
    assert used(meter_in(tmp_path), QUOTA, MOMENT, AGREEMENT)["requests-day"] == 50_000


def test_eight_processes_that_look_at_ground_count_each_square_once(tmp_path):
    processes = [Counting(tmp_path, who, 100, ground=True) for who in (*range(8), 3)]
    assert [process.rest() for process in processes] == ["." * 100] * 9
    assert used(meter_in(tmp_path), QUOTA, MOMENT, AGREEMENT)["km2-month-2m"] == pytest.approx(800 * 1600 * CELL_KM2)


@pytest.mark.parametrize("ground", (False, True))
def test_whoever_is_killed_while_he_counts_loses_nothing_and_locks_nobody_out(tmp_path, ground):
    """Processes are killed at random moments: what each had said to be counted is counted, and at most the charge beside it that it was in."""
    chance, said = random.Random(5), 0
    for who in range(40):
        process = Counting(tmp_path, who, 50_000, ground=ground)
        heard = process.wait_for(1)
        time.sleep(chance.random() / 500)              # short: the limit is not to be reached
        process.kill()
        said += (heard + process.rest()).count(".")
    counts = used(meter_in(tmp_path), QUOTA, MOMENT, AGREEMENT)
    assert counts["requests-day"] == counts["requests-term"] == counts["bytes-month"] / 1000
    assert said <= counts["requests-day"] <= said + 40
    if ground:
        assert counts["km2-month-2m"] == pytest.approx(counts["requests-day"] * 1600 * CELL_KM2)
    assert asks(meter_in(tmp_path), QUOTA, MOMENT, agreement_id=AGREEMENT) == []


def test_threads_count_as_exactly_as_processes(tmp_path):
    meter, quota, passed = meter_in(tmp_path), limited(1000), []

    def work():
        passed.append(sum(not asks(meter, quota) for _ in range(500)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 1000


def test_a_forked_worker_has_a_lock_of_its_own(tmp_path):
    meter, quota = meter_in(tmp_path), limited(100)
    assert asks(meter, quota) == []
    child = os.fork()
    if child == 0:
        os._exit(sum(bool(asks(meter, quota)) for _ in range(40)))
    refused = sum(bool(asks(meter, quota)) for _ in range(40))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == refused == 0
    assert used(meter, quota) == {"requests-day": 81}


# -- what can't be believed

def counts_file(folder: Path) -> Path:
    (path,) = folder.rglob(COUNTS)
    return path


THIRD = 8 + BLOCK + 8 * TODAY
"""Where an odd number of charges is counted: in the second block."""


def harmed(path: Path, position: int, value: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(value)


@pytest.mark.parametrize("harm", (
    lambda path: harmed(path, THIRD, b"\x00"), lambda path: harmed(path, 0, b"\x05"), lambda path: harmed(path, 8 + BLOCK, b"GSQUOTA2"),
    lambda path: harmed(path, 8, bytes(path.stat().st_size - 8)), lambda path: os.truncate(path, 100), lambda path: os.truncate(path, 0),
))
def test_damaged_counters_are_told_and_never_begun_anew(tmp_path, harm):
    meter = meter_in(tmp_path)
    for _ in range(3):
        asks(meter, limited(9))
    path = counts_file(tmp_path)
    harm(path)
    for _ in range(2):
        with pytest.raises(MeteringUnavailable, match="damaged"):
            asks(meter_in(tmp_path), limited(9))


def test_counters_of_another_agreement_are_not_believed(tmp_path):
    meter = meter_in(tmp_path)
    asks(meter, limited(1))
    asks(meter, limited(9), agreement_id="AG-2")
    ledgers = FileLedgers(tmp_path)
    os.replace(ledgers.folder_of("AG-2") / COUNTS, ledgers.folder_of("AG-1") / COUNTS)
    with pytest.raises(MeteringUnavailable, match="of another agreement"):
        asks(meter_in(tmp_path), limited(1))


def test_counters_that_are_gone_are_told_and_found_again_when_they_are_brought_back(tmp_path, monkeypatch):
    monkeypatch.setattr("geoserver_app.metering.files.LOOK_AGAIN", 0.0)
    meter, quota = meter_in(tmp_path), limited(2)
    asks(meter, quota)
    path = counts_file(tmp_path)
    os.replace(path, tmp_path / "elsewhere")
    for one in (meter, meter_in(tmp_path)):
        with pytest.raises(MeteringUnavailable, match="gone"):
            asks(one, quota)
    os.replace(tmp_path / "elsewhere", path)
    assert [asks(meter, quota) for _ in range(2)] == [[], ["requests-day"]]


def test_damaged_ground_is_told(tmp_path):
    meter, quota = meter_in(tmp_path), limited(9, Measure.GROUND)
    asks(meter, quota, seen=(look(0),))
    (log,) = tmp_path.rglob("ground-*")
    harmed(log, 3, b"\xff")
    with pytest.raises(MeteringUnavailable, match="damaged"):
        asks(meter_in(tmp_path), quota, seen=(look(1),))
    os.truncate(log, 4)
    with pytest.raises(MeteringUnavailable, match="cut short"):
        asks(meter_in(tmp_path), quota, seen=(look(1),))


def test_a_full_disk_counts_nothing_and_shows_nothing(tmp_path, monkeypatch):
    meter, quota = meter_in(tmp_path), limited(9, Measure.GROUND)
    asks(meter, quota, seen=(look(0),))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("geoserver_app.metering.files.os.pwrite", full)
        with pytest.raises(MeteringUnavailable, match="No space"):
            asks(meter, quota, seen=(look(1),))
    assert used(meter, quota) == {"km2-day": pytest.approx(0.04)}
    assert asks(meter, quota, seen=(look(1),)) == []
    assert used(meter_in(tmp_path), quota) == {"km2-day": pytest.approx(0.08)}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MeteringUnavailable):
        asks(meter_in(tmp_path / "file"), limited(9))


def test_who_holds_the_lock_and_does_not_go_on_is_waited_for_only_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr("geoserver_app.metering.files.PATIENCE", 0.2)
    holder, meter, quota = meter_in(tmp_path), meter_in(tmp_path), limited(9)
    with holder.ledgers.of("AG-1"):
        with pytest.raises(MeteringUnavailable, match="does not go on"):
            asks(meter, quota)
    assert asks(meter, quota) == []


def test_an_administrator_may_begin_anew_and_exports_stay(tmp_path, exporter):
    meter, quota = meter_in(tmp_path), Quota(limits=(*limited(1).limits, *limited(9, Measure.GROUND).limits), export_km2=25.0)
    asks(meter, quota, seen=(look(0),))
    meter.reserve_export([exporter], WEST, WHEN)
    for block in (8, 8 + BLOCK):
        harmed(counts_file(tmp_path), block + 8 * TODAY, b"\xff")
    again = meter_in(tmp_path)
    again.restart("AG-1", WHEN)
    assert used(again, quota) == {"requests-day": 0, "km2-day": 0, "export": pytest.approx(13.0, abs=0.05)}
    assert asks(again, quota, seen=(look(0),)) == []
    assert isinstance(again.reserve_export([exporter], EAST, WHEN), Spent)
    assert list(tmp_path.rglob("*aside*"))


# -- what is told

def test_headers_are_structured_fields_of_the_draft(tmp_path):
    quota = Quota(rate=Rate(per_second=20, burst=200), limits=(
        Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1000), Limit(measure=Measure.BYTES, window=Window.MONTH, most=5_000_000),
        Limit(measure=Measure.MEGAPIXELS, window=Window.TERM, most=10), Limit(measure=Measure.GROUND, window=Window.MONTH, most=2.5, resolution=1.0),
    ))
    one = account(quota, "协议-1", starts=at(2026, 1, 1), ends=at(2027, 1, 1))
    charged = meter_in(tmp_path).charge((Bill(one, (1, 1_500_000, 0, 1000), token=True, seen=(look(0),)),), NOON)
    pk = "pk=:5Y2P6K6uLTE=:"
    assert dict(charged.headers) == {
        "RateLimit-Policy":
            f'"rate";q=200;w=10;{pk}, "requests-day";q=1000;w=86400;{pk}, "bytes-month";q=5000000;qu="content-bytes";w=2592000;{pk}, '
            f'"megapixels-term";q=10;qu="megapixels";w=31536000;{pk}, "km2-month-1m";q=2;qu="km2";w=2592000;{pk}',
        "RateLimit":
            f'"rate";r=199;t=1;{pk}, "requests-day";r=999;t=43200;{pk}, "bytes-month";r=4999000;t=475200;{pk}, '
            f'"megapixels-term";r=8;t=3153600;{pk}, "km2-month-1m";r=2;t=475200;{pk}',
    }


def test_a_quota_of_exports_alone_tells_nothing_in_headers(tmp_path, exporter):
    assert meter_in(tmp_path).charge((Bill(exporter, (1, 0, 0, 9)),), NOON).headers == []


def test_what_remains_is_told_by_the_agreements_own_counters_alone(tmp_path):
    meter = meter_in(tmp_path)
    asks(meter, limited(50), agreement_id="AG-2")
    before = meter.remaining([account(limited(10), "AG-1")], WHEN)
    asks(meter, limited(50), agreement_id="AG-2")
    assert meter.remaining([account(limited(10), "AG-1")], WHEN) == before
    assert meter.remaining([account(limited(10), "AG-1", is_own=False)], WHEN) == []


def test_usage_tells_each_limit_with_when_it_begins_anew(tmp_path):
    meter, quota = meter_in(tmp_path), Quota(rate=Rate(per_second=10, burst=20), limits=(*limited(10).limits, *limited(5, window=Window.TERM).limits))
    asks(meter, quota)
    agreement = Agreement(agreement_id="AG-1", version=1, title="", grantor="bureau", grantee="water", term=Term(), grants=(), quota=quota)
    rate, day, term = meter.usage(agreement, WHEN)
    assert (rate.name, rate.limit, rate.remaining) == ("rate", 20, 19)
    assert (day.used, day.limit, day.remaining, day.resets_at) == (1, 10, 9, at(2026, 11, 26))
    assert (term.used, term.remaining, term.resets_at) == (1, 4, None)


def test_windows_are_those_of_the_calendar_in_shanghai():
    windows = windows_at(at(2026, 12, 31, 23, 59, 59) + 0.999)
    assert (windows.day_ends, windows.month_ends, windows.month_starts) == (at(2027, 1, 1), at(2027, 1, 1), at(2026, 12, 1))
    assert windows_at(windows.day_ends).day == windows.day + 1
    assert math.isclose(windows.month_ends - windows.month_starts, 31 * 86_400)


def test_a_book_forgets_what_it_could_not_write(tmp_path, monkeypatch):
    meter, other, quota = meter_in(tmp_path), meter_in(tmp_path), limited(9, Measure.GROUND)
    asks(meter, quota, seen=(look(0),))
    with monkeypatch.context() as patched:
        patched.setattr("geoserver_app.metering.files.FileLedger.write", lambda _: (_ for _ in ()).throw(MeteringUnavailable("gone")))
        with pytest.raises(MeteringUnavailable):
            asks(meter, quota, seen=(look(1),))
    asks(other, quota, seen=(look(2),))
    asks(meter, quota, seen=(look(1),))
    assert used(other, quota) == used(meter, quota) == {"km2-day": pytest.approx(0.12)}


def test_a_footprint_of_nothing_counts_nothing(tmp_path):
    meter, quota = meter_in(tmp_path), limited(1, Measure.GROUND)
    assert asks(meter, quota, seen=(look(0)._replace(footprint=Footprint),)) == []
    assert used(meter, quota) == {"km2-day": 0}
    assert isinstance(meter._book("AG-1"), Book)


def test_counters_brought_back_from_a_backup_are_the_ones_that_count(tmp_path, monkeypatch):
    monkeypatch.setattr("geoserver_app.metering.files.LOOK_AGAIN", 0.0)
    meter, quota = meter_in(tmp_path), limited(3)
    asks(meter, quota)
    path = counts_file(tmp_path)
    backup = path.read_bytes()
    asks(meter, quota)
    (tmp_path / "new").write_bytes(backup)
    os.replace(tmp_path / "new", path)
    assert [asks(meter, quota) for _ in range(3)] == [[], [], ["requests-day"]]
