"""Workers that are killed while they accept what was given back: each in a process of its own that ends by SIGKILL at the place it is told.

    killed_givers.py DATA PLACE...       before | within | after
"""

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from geoserver_app.giving import accepting, book, worker
from geoserver_app.giving.letters import letters
from geoserver_app.settings import Settings
from geoserver_app.wiring import wire

book.LEASE = timedelta(seconds=0.4)


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(data: Path, place: str) -> None:
    services = wire(Settings.at(data, public_base_url="http://maps.test"))
    match place:
        case "before":
            accepting.Together.publish = die            # all is made, nothing is told
        case "within":
            accepting.tell = die                        # all is written, nothing is committed
        case "after":
            worker.tidy = die
    worker.SubmissionWorker(services, book.SubmissionBook(services.database, services.gate.clock)).work()


def seen(data: Path) -> dict:
    """What anybody else sees after it."""
    services = wire(Settings.at(data, public_base_url="http://maps.test"))
    (one,) = book.SubmissionBook(services.database, services.gate.clock).list()
    entry = services.book.ledger(one.agreement_id)[0]
    return {
        "state": one.state, "editions": [edition.name for layer in services.catalogue.snapshot().layers.values() for edition in layer.editions],
        "standing": entry.standing, "letters": [letter.code for letter in letters(services.database)],
    }


if __name__ == "__main__":
    data = Path(sys.argv[1])
    for place in sys.argv[2:]:
        child = os.fork()
        if child == 0:
            work(data, place)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"place": place, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), **seen(data)}), flush=True)
        time.sleep(book.LEASE.total_seconds() + 0.1)
