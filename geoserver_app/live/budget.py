"""Threads for viewers beside those for requests: a stream holds a thread as long as somebody watches, and no request may wait for that.

The server is given `threads` + `live_viewers` threads a worker. Of these at most `live_viewers` are streams, and at most `threads` work on requests at once,
as if there were no others: the second bound is kept here, the first by the view of the streams.
"""

import threading
from collections.abc import Callable, Iterable, Iterator


class Places:
    """How many viewers there may be in this process, and are."""

    def __init__(self, most: int):
        self.most, self.taken = most, 0
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self.taken >= self.most:
                return False
            self.taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self.taken -= 1


def is_stream(environ: dict) -> bool:
    path = environ.get("PATH_INFO", "")
    return path.endswith("/events") and "/live/" in path


class ThreadBudget:
    """A WSGI application of which at most `threads` requests are worked on at once; streams are not counted."""

    def __init__(self, app: Callable, threads: int):
        self.app, self._turns = app, threading.BoundedSemaphore(threads)

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        if is_stream(environ):
            return self.app(environ, start_response)
        self._turns.acquire()
        try:
            body = self.app(environ, start_response)
        except BaseException:
            self._turns.release()
            raise
        if isinstance(body, list | tuple):          # nothing more is to be made of it
            self._turns.release()
            return body
        return _Held(body, self._turns)


class _Held:
    """A body that is still being made: its turn ends with it, however it ends."""

    def __init__(self, body: Iterable[bytes], turns: threading.Semaphore):
        self._body, self._parts, self._turns = body, None, turns

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._parts is None:
            self._parts = iter(self._body)
        try:
            return next(self._parts)
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        self._end()
        if hasattr(self._body, "close"):
            self._body.close()

    def __del__(self):
        self._end()

    def _end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()
