"""The server: granian, one process a core, threads within, and beside it the process that makes packages. Each wires its own services from the
settings it finds."""

import logging
import os
import socket
from dataclasses import fields

from granian import Granian
from granian.constants import Interfaces

from geoserver_app.live.budget import ThreadBudget
from geoserver_app.live.sweeping import start_sweeping
from geoserver_app.packages.waiting import start_beside
from geoserver_app.settings import PortInUse, Settings


def build():
    """What a worker serves: the lane, with Flask behind it."""
    from geoserver_app import create_app
    from geoserver_app.settings import load_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings()
    app = create_app(settings)
    start_sweeping(app.extensions["geoshare"])
    return ThreadBudget(app.wsgi_app, settings.threads)


def serve(settings: Settings) -> None:
    """Serve until told to stop. Workers get the settings through the environment, so that a worker that is replaced gets the same.

    Raises
    ------
    PortInUse
        The server would share a busy port without a word: the kernel lets processes of one user do so.
    """
    check_port(settings)
    for setting in fields(Settings):
        os.environ[f"GEOSHARE_{setting.name.upper()}"] = str(getattr(settings, setting.name))
    end_workers = start_beside(settings)
    server = Granian(
        "geoserver_app.server:build", factory=True, interface=Interfaces.WSGI, address=settings.bind, port=settings.port,
        workers=settings.workers, blocking_threads=settings.threads + settings.live_viewers, backlog=2048, respawn_failed_workers=True, log_access=False,
    )
    try:
        server.serve()
    finally:
        end_workers()


def check_port(settings: Settings) -> None:
    """Raises PortInUse where something listens already."""
    with socket.socket(socket.AF_INET6 if ":" in settings.bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise PortInUse(settings.bind, settings.port) from error
