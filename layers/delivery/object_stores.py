"""Everything under a prefix of an object store that speaks S3, fetched into a staging folder; a half-fetched object goes on where it stopped.

Where the store is and who we are is told by the environment alone (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY ...),
never by the address of a delivery, and is in no message.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from layers.delivery.staging import BLOCK, Entry, Limits, Staged, StagedList, checked
from layers.errors import LayerRejected

TRIES = 2
TIMEOUT, CONNECT_TIMEOUT = timedelta(minutes=5), timedelta(seconds=10)
RETRIES = {"max_retries": 4, "retry_timeout": timedelta(seconds=60), "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2}}


def stage_objects(url: str, folder: Path, limits: Limits, progress: Callable[[int, int, str], None] | None = None) -> Staged:
    """Fetches what is of use under `s3://bucket/prefix`.

    Raises
    ------
    LayerRejected
        The store can't be reached or refuses, holds nothing there, or more than the limits or the disk allow.
    """
    store, bucket, prefix = _store(url)
    name = f"s3://{bucket}/{prefix}"
    entries = list(_listed(store, prefix, name, limits))
    if not entries:
        raise LayerRejected(name, "there is no object of that prefix", "see the bucket and the prefix")
    wanted, told, faults = checked(entries, name, limits, shutil.disk_usage(folder).free)
    staged, files = StagedList(folder), []
    for count, entry in enumerate(wanted, start=1):
        files.append(staged.found(entry) or staged.finished(entry, _fetched(store, entry, staged.place(entry))))
        if progress:
            progress(count, len(wanted), entry.base)
    return Staged(name=name, files=tuple(files), told=tuple(told), faults=tuple(faults))


def _store(url: str):
    """The store of a bucket; the bucket; the prefix within it."""
    from obstore.store import S3Store

    parts = urlsplit(url)
    if parts.username or parts.query or parts.fragment:
        raise LayerRejected(f"s3://{parts.hostname or ''}", "the address holds more than a bucket and a prefix", "give credentials by the environment")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    config = {"skip_signature": True} if not _is_anybody() else {}
    if endpoint:
        config["endpoint"] = endpoint
    client = {"timeout": TIMEOUT, "connect_timeout": CONNECT_TIMEOUT, "allow_http": endpoint.startswith("http://")}
    store = S3Store(parts.netloc, config=config, client_options=client, retry_config=RETRIES)
    return store, parts.netloc, parts.path.lstrip("/")


def _is_anybody() -> bool:
    """Whether the environment says who we are: without that, no host of this network is asked for credentials."""
    known = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    return any(os.environ.get(name) for name in known)


def _listed(store, prefix: str, name: str, limits: Limits) -> Iterator[Entry]:
    from obstore.exceptions import BaseError

    count = 0
    try:
        for page in store.list(prefix or None, chunk_size=1000):
            for meta in page:
                count += 1
                if count > limits.entries:
                    raise LayerRejected(name, f"it holds more than {limits.entries:,} files", "deliver it in parts")
                if not meta["path"].endswith("/"):
                    yield Entry(name=meta["path"], size=meta["size"], mark=meta["e_tag"] or str(meta["last_modified"]))
    except BaseError as error:
        raise _unreached(name, error) from error


def _unreached(name: str, error: Exception) -> LayerRejected:
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or "AccessDenied" in str(error):
        return LayerRejected(name, "the store refuses us", "see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may read")
    if kind == "NotFoundError" or "NoSuchBucket" in str(error):
        return LayerRejected(name, "the store knows no such bucket or object", "see the bucket and the prefix")
    return LayerRejected(name, "the store can't be reached", "see AWS_ENDPOINT_URL and AWS_REGION, and try again: what was fetched is kept")


def _fetched(store, entry: Entry, target: Path) -> Path:
    """A part file with the whole object; what an earlier try fetched of the same object is kept."""
    from obstore.exceptions import BaseError

    part, mark = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.mark")
    if not (part.exists() and mark.exists() and mark.read_text() == entry.mark and part.stat().st_size <= entry.size):
        part.write_bytes(b"")
        mark.write_text(entry.mark)
    fault: Exception | None = None
    for _ in range(TRIES):
        try:
            _fetch_rest(store, entry, part)
            break
        except BaseError as error:
            fault = error
            if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError", "NotFoundError", "PreconditionError"):
                break
    mark_is_met = part.stat().st_size == entry.size
    if not mark_is_met:
        if type(fault).__name__ == "PreconditionError":
            part.unlink()
            raise LayerRejected(entry.base, "it was changed in the store while it was fetched", "run the same command again") from fault
        raise _unreached(entry.base, fault or OSError()) from fault
    mark.unlink()
    return part


def _fetch_rest(store, entry: Entry, part: Path) -> None:
    begin = part.stat().st_size
    if begin == entry.size:
        return
    options = {"range": {"offset": begin}} if begin else {}
    if entry.mark.startswith('"'):
        options["if_match"] = entry.mark
    with part.open("ab") as file:
        for block in store.get(entry.name, options=options).stream(min_chunk_size=BLOCK):
            if file.tell() + len(block) > entry.size:
                break
            file.write(block)
