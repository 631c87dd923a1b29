"""A house served for real: `geoshare serve` in a process of its own, on a free port of this machine."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 30.0
"""Seconds a server may take to come up, and a request to be answered: nothing here may wait for ever."""


@contextmanager
def serving(house, **settings: str) -> Iterator[str]:
    """The base address of a server over the house's folder, while the block lasts; `settings` by their names."""
    base, server = start(house, **settings)
    try:
        yield base
    finally:
        server.terminate()
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(PATIENCE)


def start(house, **settings: str) -> tuple[str, subprocess.Popen]:
    """The base address of a server that is up, and its process, which the caller has to end."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    given = {"data": house.services.settings.data, "port": port, "workers": 1, "threads": 4, "public_base_url": base} | settings
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GEOSHARE_")}
    environ |= {f"GEOSHARE_{name.upper()}": str(value) for name, value in given.items()}
    log = house.folder / f"server-{port}.log"
    with log.open("wb") as out:
        server = subprocess.Popen([Path(sys.executable).parent / "geoshare", "serve"], env=environ, stdout=out, stderr=out, cwd=house.folder)
    try:
        _await(base, server, log)
    except BaseException:
        kill(server)
        raise
    return base, server


def kill(server: subprocess.Popen) -> None:
    """As a power cut would: the server and all that it started, each by its number, with no time to finish anything."""
    for process in [*reversed(_descendants(server.pid)), server.pid]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    server.wait(PATIENCE)


def _descendants(process: int) -> list[int]:
    try:
        children = [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [found for child in children for found in (child, *_descendants(child))]


def _await(base: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/healthz", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the server did not come up: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """One that nobody has: below those that the system gives to clients, so that it is still free when the server takes it; any of many, as
    other processes of the tests look for one at the same time."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def fetch(address: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, and body; a refusal is an answer too."""
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()
