"""Where the pieces of a job are worked on: in processes of this machine, in this one, or on a Dask cluster."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess

from layers.errors import ClusterUnavailable, LayersError

CONNECT_SECONDS = 10


@contextmanager
def executor(workers: int | None, pieces: int, *, dask: str | None = None) -> Iterator[Executor]:
    """What a job of so many pieces hands them to.

    Parameters
    ----------
    workers : int, optional
        Processes; as many as there are processors if not given, 0 for none but this one.
    dask : str, optional
        Address of a Dask scheduler, such as `tcp://scheduler:8786`; its workers must see the delivered files and the store under the same
        names, and have this program.

    Raises
    ------
    ClusterUnavailable
        No scheduler answers there, or Dask is not installed.
    """
    if dask:
        with _cluster(dask) as pool:
            yield pool
        return
    number = min(os.cpu_count() or 1, pieces) if workers is None else workers
    if number == 0:
        yield ThisProcess()
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(number, mp_context=_Workshop(), initializer=_end_with_parent)
    try:
        yield pool
    except KeyboardInterrupt:
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterUnavailable("Dask is not installed: install this program with its extra `dask`") from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterUnavailable(f"no Dask scheduler answers at `{address[:80]}`: see its address, such as tcp://scheduler:8786") from error
    with client:
        pool = client.get_executor(pure=False)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False)       # pieces still running are given up when the client goes


class ThisProcess(Executor):
    """Does the work at once, here."""

    def submit(self, work, /, *args, **options) -> Future:
        future = Future()
        try:
            future.set_result(work(*args, **options))
        except LayersError as fault:
            future.set_exception(fault)
        return future


class _Worker(SpawnProcess):
    """A process begun afresh (GDAL and PROJ don't survive a fork), deaf to Ctrl-C, which the whole terminal hears: only the parent speaks."""

    def start(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return super().start()
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)        # what begins now inherits it
        try:
            super().start()
        finally:
            signal.signal(signal.SIGINT, heard)


class _Workshop(SpawnContext):
    Process = _Worker


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next piece for ever."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="end-with-parent").start()
