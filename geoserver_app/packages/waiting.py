"""The process beside the server: it waits for orders of packages, uploads and submissions without holding anything that takes memory, and starts a worker for each spell of work."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from geoserver_app.clock import now
from geoserver_app.database import connect
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.overlays.book import UploadBook
from geoserver_app.packages.jobs import PackageBook
from geoserver_app.settings import Settings

LOOK_SECONDS = 1.0
NICE = 5
"""Serving goes first."""


def run_beside(settings: Settings, parent: int) -> None:
    """Until the process `parent` is gone, or this one is told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(NICE)
    database = connect(settings.database_url)
    books = PackageBook(database, now), UploadBook(database, now), SubmissionBook(database, now)
    while not stop.is_set() and os.getppid() == parent:
        if any(map(_has_work, books)):
            _work(stop, parent)
        stop.wait(LOOK_SECONDS)


def _has_work(book: PackageBook | UploadBook | SubmissionBook) -> bool:
    try:
        return book.has_work()
    except (RegisterUnavailable, SQLAlchemyError):
        return False


def _work(stop: threading.Event, parent: int) -> None:
    worker = subprocess.Popen([sys.executable, "-m", "geoserver_app.cli", "work", "--once"])
    while worker.poll() is None:
        if stop.is_set() or os.getppid() != parent:
            worker.terminate()
            worker.wait()
            return
        time.sleep(0.1)


def start_beside(settings: Settings) -> Callable[[], None]:
    """Start as many as the settings say, under a thread that starts another where one ends; returns what ends them."""
    stop, running = threading.Event(), []

    def keep() -> None:
        while not stop.is_set():
            process = subprocess.Popen([sys.executable, "-m", "geoserver_app.cli", "work", "--beside", str(os.getpid())])
            running.append(process)
            while process.poll() is None and not stop.wait(0.2):
                pass
            if stop.is_set():
                process.terminate()
            process.wait()
            running.remove(process)
            stop.wait(1.0)

    threads = [threading.Thread(target=keep, name="package-worker", daemon=True) for _ in range(settings.package_workers)]
    for one in threads:
        one.start()

    def end() -> None:
        stop.set()
        for one in threads:
            one.join(10)

    return end
