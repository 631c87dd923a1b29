"""Workers that are killed: started as a program, it makes packages in processes of its own, each of which ends by SIGKILL at the step it is told.

    killed_workers.py DATA STEP...       a step of 0 dies when all is made but what says so
"""

import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from geoserver_app.packages.jobs import PackageBook
from geoserver_app.packages.worker import Worker
from geoserver_app.settings import Settings
from geoserver_app.wiring import wire

LEASE = timedelta(seconds=0.4)


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(data: Path, steps: int) -> None:
    services = wire(Settings.at(data, public_base_url="http://maps.test"))
    worker, step, taken = Worker(services, PackageBook(services.database, services.gate.clock, lease=LEASE)), Worker.step, 0

    def counted(self, package, number, done):
        nonlocal taken
        taken += 1
        if taken == steps:
            time.sleep(0.1)                             # strips are being made meanwhile
            die()
        return step(self, package, number, done)

    Worker.step = counted
    if steps == 0:
        PackageBook.finish = die
    worker.work()


if __name__ == "__main__":
    for one in sys.argv[2:]:
        child = os.fork()
        if child == 0:
            work(Path(sys.argv[1]), int(one))
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)
        time.sleep(LEASE.total_seconds() + 0.1)
