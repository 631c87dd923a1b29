"""What was not heard of for too long leaves the live tables by itself, though nobody writes or looks."""

import logging
import random
import threading
import time

from geoserver_app.live.tables import sweep
from geoserver_app.wiring import Services

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0


def start_sweeping(services: Services) -> threading.Thread:
    """A thread of this worker that ends with it. Several workers do no harm: one of them finds something, the others nothing."""
    thread = threading.Thread(target=_sweep, args=(services,), name="live-expiry", daemon=True)
    thread.start()
    return thread


def _sweep(services: Services) -> None:
    failing = False
    while True:
        time.sleep(EVERY_SECONDS * random.uniform(0.5, 1.5))
        try:
            sweep(services.gate.standing().catalogue, services.settings.store, services.gate.clock())
            failing = False
        except Exception as error:                # whatever it is, it must not end the thread: it is told once, and tried again
            if not failing:
                log.warning("live tables could not be swept: %s", error)
            failing = True
