"""What the benches share: programs they need, servers they start and end, load, and a throwaway instance of the product with data in it.

Everything listens on the loopback only, every run is bounded in time and count, and every server is started by us and ended by us.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
BIN = Path(sys.executable).parent
TICK = os.sysconf("SC_CLK_TCK")

sys.path.insert(0, str(ROOT))         # before this folder: `tiles` is the product's package, not the bench of that name

WORKERS, THREADS = 2, 4
"""Of every Python server here, ours and theirs alike: the product's own defaults."""


class CannotMeasure(Exception):
    """Something is missing, or a server answered with the wrong body: no figure is better than a wrong one."""


# -- command line and report

def options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less data, fewer rounds: under 50 s")
    parser.add_argument("--json", action="store_true", help="last line: one flat JSON object of ratios, ours over theirs, higher is better")
    return parser.parse_args()


def main(measure: Callable[[argparse.Namespace], dict[str, float]], description: str) -> None:
    """Run a bench: its ratios are the last line with --json; a missing program ends it with a sentence."""
    chosen = options(description)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))            # so that servers are ended on the way out
    try:
        ratios = measure(chosen)
    except CannotMeasure as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    if chosen.json:
        print(json.dumps({name: round(value, 3) for name, value in ratios.items()}))


def say(text: str = "") -> None:
    print(text, flush=True)


def table(headings: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Rows under headings, numbers to the right."""
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[at]) for line in [list(headings), *shown]) for at in range(len(headings))]
    for line in [list(headings), *shown]:
        say("  ".join(value.ljust(width) if at == 0 else value.rjust(width) for at, (value, width) in enumerate(zip(line, widths, strict=True))))


def _cell(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def machine() -> str:
    """What the figures were taken on: cores, memory, load before we began."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, load {os.getloadavg()[0]:.2f} before the run, Python {sys.version.split()[0]}"


# -- programs

PACKAGES = {"nginx": "nginx", "wrk": "wrk", "mapserv": "cgi-mapserver", "gdaltindex": "gdal-bin", "shptree": "mapserver-bin"}
"""Program -> Debian package."""


def require(*programs: str) -> None:
    """Install what is missing with apt where we may; CannotMeasure with the names of the packages where we may not."""
    if missing := _missing(programs):
        packages = sorted({PACKAGES[program] for program in missing})
        if os.geteuid() == 0 and shutil.which("apt-get"):
            say(f"installing {', '.join(packages)}")
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
            subprocess.run(["apt-get", "update", "-q"], **quiet)
            subprocess.run(
                ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, **quiet,
            )
        if still := _missing(programs):
            packages = " ".join(sorted({PACKAGES[program] for program in still}))
            raise CannotMeasure(f"{', '.join(still)} not installed: as root, apt-get install {packages}")


def has(program: str) -> bool:
    return bool(find_program(program))


def find_program(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/cgi-bin")


def _missing(programs: Sequence[str]) -> list[str]:
    return [program for program in programs if not has(program)]


# -- servers

@dataclass(slots=True)
class Server:
    """A server that we started, with all its children, in a process group of its own."""

    name: str
    port: int
    processes: list[subprocess.Popen]
    log: Path

    def cpu_seconds(self) -> float:
        """User and system time of every process of the server so far."""
        groups = {process.pid for process in self.processes}
        return sum(_cpu_seconds(entry, groups) for entry in os.listdir("/proc") if entry.isdigit())

    def resident_megabytes(self) -> float:
        groups = {process.pid for process in self.processes}
        return sum(_resident(entry, groups) for entry in os.listdir("/proc") if entry.isdigit())

    def stop(self) -> None:
        for process in self.processes:
            _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.1))
        for process in self.processes:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()

    def tail(self) -> str:
        return " | ".join(self.log.read_text("utf-8", "replace").strip().splitlines()[-6:])


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _stat(entry: str) -> list[str] | None:
    try:
        text = Path("/proc", entry, "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def _cpu_seconds(entry: str, groups: set[int]) -> float:
    fields = _stat(entry)
    return (int(fields[11]) + int(fields[12])) / TICK if fields and int(fields[2]) in groups else 0.0


def _resident(entry: str, groups: set[int]) -> float:
    fields = _stat(entry)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if fields and int(fields[2]) in groups else 0.0


class Yard(contextlib.ExitStack):
    """A temporary folder and the servers started in it; all gone when the block ends, however it ends."""

    def __init__(self):
        super().__init__()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="geoshare-bench-")))
        self.folder.chmod(0o755)                           # nginx's workers may run as somebody else

    def start(
        self, name: str, port: int, commands: Sequence[Sequence[str]], *, ready: str, environ: dict[str, str] | None = None,
        stdin: socket.socket | None = None, cwd: Path | None = None, patience: float = 60,
    ) -> Server:
        """Start a server of one or more processes and wait until `ready` (a path on `port`) answers at all."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            processes = [
                subprocess.Popen(
                    [str(word) for word in command], stdin=stdin if stdin is not None else subprocess.DEVNULL, stdout=out, stderr=out,
                    env=os.environ | (environ or {}), cwd=cwd or self.folder, start_new_session=True,
                )
                for command in commands
            ]
        server = Server(name, port, processes, log)
        self.callback(server.stop)
        if ready:
            _wait_for(server, ready, patience)
        return server

    def nginx(self, name: str, server_blocks: str, port: int, ready: str) -> Server:
        """An nginx of its own, with a configuration of its own, as fast as it goes: no log, sendfile, connections kept."""
        program = find_program("nginx")
        home = self.folder / name
        home.mkdir()
        temporary = "\n".join(f"  {kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;" if os.geteuid() == 0 else ""
        conf = home / "nginx.conf"
        conf.write_text(f"""
{user}
daemon off; worker_processes {os.cpu_count()}; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 60; keepalive_requests 1000000000;
  types {{ image/jpeg jpeg jpg; image/png png; image/webp webp; }}
{temporary}
{server_blocks}
}}
""")
        return self.start(name, port, [[program, "-c", conf, "-p", home, "-e", home / "error.log"]], ready=ready)

    def granian(self, name: str, target: str, environ: dict[str, str], ready: str, python: Path | None = None) -> Server:
        """A WSGI factory of `bench/` (`module:factory`) under the same server, with as many workers and threads, as ours."""
        port = free_port()
        command = [
            python or sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--host", "127.0.0.1", "--port", port,
            "--workers", WORKERS, "--blocking-threads", THREADS, "--backlog", 2048, "--no-access-log", "--log-level", "warning", target,
        ]
        return self.start(name, port, [command], ready=ready, environ=environ, cwd=BENCH)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(server: Server, path: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in server.processes):
            raise CannotMeasure(f"{server.name} ended before it answered: {server.tail()}")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except (ConnectionError, http.client.HTTPException, TimeoutError):
            time.sleep(0.05)
        finally:
            connection.close()
    raise CannotMeasure(f"{server.name} did not answer within {patience:.0f} s: {server.tail()}")


# -- asking

@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    media_type: str
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one server did with one list of requests."""

    requests: int
    seconds: float
    p50: float                  # milliseconds
    p99: float
    cpu: float                  # milliseconds of the server's processors per request

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Connection:
    """One kept connection, one request at a time: a raw socket, since http.client costs more than the servers do."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def ask(self, request: bytes) -> Answer:
        began = time.perf_counter()
        self.socket.sendall(request)
        head, self.buffer = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = self._body(headers)
        return Answer(int(lines[0].split()[1]), headers.get("content-type", ""), body, time.perf_counter() - began)

    def close(self) -> None:
        self.socket.close()

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self._exactly(int(headers.get("content-length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line, self.buffer = self._until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield self._exactly(size + 2)[:size]
            if size == 0:
                return

    def _until(self, mark: bytes) -> tuple[bytes, bytes]:
        while (at := self.buffer.find(mark)) < 0:
            self._more()
        return self.buffer[:at], self.buffer[at + len(mark):]

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return body

    def _more(self) -> None:
        received = self.socket.recv(1 << 18)
        if not received:
            raise ConnectionError("the connection was closed in the middle of an answer")
        self.buffer += received


def get(path: str, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a GET request."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""]).encode()


def ask_each_once(server: Server, requests: Sequence[bytes], connections: int) -> tuple[list[Answer], Run]:
    """Every request exactly once, spread over kept connections, answers in the order of the requests."""
    answers: list[Answer | None] = [None] * len(requests)
    turns, lock = iter(range(len(requests))), threading.Lock()

    def work(_: int) -> None:
        connection = Connection(server.port)
        while True:
            with lock:
                at = next(turns, None)
            if at is None:
                return connection.close()
            try:
                answers[at] = connection.ask(requests[at])
            except (ConnectionError, TimeoutError) as error:
                raise CannotMeasure(f"{server.name} broke off at request {at}: {error}; {server.tail()}") from error

    cpu, began = server.cpu_seconds(), time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    seconds = time.perf_counter() - began
    return answers, _run([answer.seconds for answer in answers], seconds, server.cpu_seconds() - cpu)


def _run(latencies: list[float], seconds: float, cpu: float) -> Run:
    ordered = sorted(latencies)
    return Run(
        requests=len(ordered), seconds=seconds, p50=1000 * ordered[len(ordered) // 2], p99=1000 * ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)],
        cpu=1000 * cpu / len(ordered),
    )


def ask_for_a_while(server: Server, requests: Sequence[bytes], *, seconds: float, connections: int, folder: Path) -> Run:
    """The requests in turn, over and over, for `seconds`: by wrk where it is installed, else by processes of our own (slower: ratios to
    the fastest servers come out too small). Any answer but 200 is a fault."""
    if has("wrk"):
        return _by_wrk(server, requests, seconds, connections, folder)
    return _by_processes(server, requests, seconds, connections)


WRK = """
local requests, at = {}, 0
function init(args)
  local file = io.open(args[1], "rb")
  for request in string.gmatch(file:read("*a"), "(.-\\r\\n\\r\\n)") do requests[#requests + 1] = request end
  file:close()
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, all)
  local errors = summary.errors
  io.write(string.format("\\nRESULT %d %d %f %f %d\\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def _by_wrk(server: Server, requests: Sequence[bytes], seconds: float, connections: int, folder: Path) -> Run:
    script, listed = folder / "requests.lua", folder / "requests.bin"
    script.write_text(WRK)
    listed.write_bytes(b"".join(requests))
    whole = max(1, round(seconds))
    command = [find_program("wrk"), "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "30s", "-s", script, f"http://127.0.0.1:{server.port}", "--", listed]
    cpu = server.cpu_seconds()
    told = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=whole + 60, check=True).stdout
    cpu = server.cpu_seconds() - cpu
    result = next((line.split()[1:] for line in told.splitlines() if line.startswith("RESULT")), None)
    if result is None:
        raise CannotMeasure(f"wrk against {server.name} said nothing that can be read")
    count, micros, p50, p99, errors = int(result[0]), int(result[1]), float(result[2]), float(result[3]), int(result[4])
    if errors or not count:
        raise CannotMeasure(f"{server.name} answered {errors} of {count} requests with an error: {server.tail()}")
    return Run(requests=count, seconds=micros / 1e6, p50=p50 / 1000, p99=p99 / 1000, cpu=1000 * cpu / count)


def _by_processes(server: Server, requests: Sequence[bytes], seconds: float, connections: int) -> Run:
    processes = min(os.cpu_count() or 1, connections)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        jobs = [
            pool.submit(_ask_until, server.port, list(requests[at::processes]), seconds, connections // processes) for at in range(processes)
        ]
        latencies = [latency for job in jobs for latency in job.result()]
    return _run(latencies, time.perf_counter() - began, server.cpu_seconds() - cpu)


def _ask_until(port: int, requests: list[bytes], seconds: float, connections: int) -> list[float]:
    deadline = time.perf_counter() + seconds

    def work(first: int) -> list[float]:
        connection, at, latencies = Connection(port), first, []
        while time.perf_counter() < deadline:
            answer = connection.ask(requests[at % len(requests)])
            if answer.status != 200:
                raise CannotMeasure(f"answered {answer.status}: {answer.body[:200]!r}")
            latencies.append(answer.seconds)
            at += 1
        connection.close()
        return latencies

    with ThreadPoolExecutor(connections) as pool:
        return [latency for part in pool.map(work, range(connections)) for latency in part]


# -- rounds

@dataclass(slots=True)
class Measured:
    """The runs of one case, one a round."""

    runs: list[Run] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(run.rate for run in self.runs)

    @property
    def p50(self) -> float:
        return median(run.p50 for run in self.runs)

    @property
    def p99(self) -> float:
        return median(run.p99 for run in self.runs)

    @property
    def cpu(self) -> float:
        return median(run.cpu for run in self.runs)


def in_rounds(cases: dict[str, Callable[[int], Run]], rounds: int) -> dict[str, Measured]:
    """Each case once a round; every other round goes backwards, so that no case is always the one after a heavy one."""
    measured = {name: Measured() for name in cases}
    for number in range(rounds):
        names = list(cases) if number % 2 == 0 else list(reversed(cases))
        for name in names:
            measured[name].runs.append(cases[name](number))
    return measured


def ratio(ours: Measured, theirs: Measured, value: Callable[[Run], float] = lambda run: run.rate) -> float:
    """Median over the rounds of ours / theirs within a round: what both share of a noisy minute cancels."""
    return median(value(mine) / value(other) for mine, other in zip(ours.runs, theirs.runs, strict=True))
