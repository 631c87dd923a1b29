"""Processes that count on one agreement, for tests that kill them."""

import os
import signal
from pathlib import Path

from agreements.quota import Limit, Measure, Quota, Window
from geoserver_app.metering.book import Account, Bill, Seen
from geoserver_app.metering.files import FileLedgers
from geoserver_app.metering.ground import Footprint
from geoserver_app.metering.meter import Meter
from geoserver_app.metering.terms import terms_of

AGREEMENT = "共享〔2026〕1号/AG 1"
MOMENT = 1_795_600_000.0

QUOTA = Quota(limits=(
    Limit(measure=Measure.REQUESTS, window=Window.DAY, most=50_000), Limit(measure=Measure.REQUESTS, window=Window.TERM, most=1_000_000),
    Limit(measure=Measure.BYTES, window=Window.MONTH, most=1e15), Limit(measure=Measure.GROUND, window=Window.MONTH, most=1e6, resolution=2.0),
))


def account(quota: Quota = QUOTA, agreement_id: str = AGREEMENT, **more) -> Account:
    return Account(agreement_id=agreement_id, terms=terms_of(quota), **more)


def meter_in(folder: Path) -> Meter:
    return Meter(FileLedgers(folder))


def look(number: int, side: int = 40) -> Seen:
    """At the square with this number in a row of squares of `side` cells: no two have ground in common."""
    return Seen(number, 1.0, lambda: Footprint(rectangles=((1024 + number * side, 2048, 1024 + (number + 1) * side, 2048 + side),)))


class Counting:
    """A process that charges `times` times, and says after each whether it held: `.` or `x`."""

    def __init__(self, folder: Path, who: int, times: int, *, ground: bool = False):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _charge(folder, who, times, writing, ground)
            os._exit(0)
        os.close(writing)
        self._said = open(reading, "rb", buffering=0)

    def wait_for(self, count: int) -> str:
        return self._said.read(count).decode()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def rest(self) -> str:
        """All that it still has to say, until it ends."""
        with self._said:
            said = self._said.readall().decode()
        os.waitpid(self.pid, 0)
        return said


def _charge(folder: Path, who: int, times: int, writing: int, ground: bool) -> None:
    meter, one = meter_in(folder), account()
    for turn in range(times):
        charged = meter.charge((Bill(one, (1, 100, 0, 1000), seen=(look(who * times + turn),) if ground else ()),), MOMENT)
        os.write(writing, b"x" if charged.spent else b".")
