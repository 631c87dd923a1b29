"""`geoshare work` and `geoshare package`: making the packages that agencies ordered, and seeing to them."""

import signal
import sys
import threading

import click

from geoserver_app.cli.base import FAILED, InputInvalid, json_option, noted, opened, table, tell
from geoserver_app.settings import Settings


@click.command()
@click.option("--once", is_flag=True, help="Make what is waiting, and stop.")
@click.option("--beside", type=int, hidden=True, help="End with this process.")
@click.pass_obj
def work(settings: Settings, once, beside):
    """Make packages, take in what agencies upload, and check what they give back, until told to stop.

    `geoshare serve` runs one of these itself (`package_workers`). On several hosts with one PostgreSQL and one shared folder `data`, run as many as
    there are processors to spare: no package is made by two. One that is killed leaves its package to the next, which goes on with it.
    """
    from geoserver_app.giving.book import SubmissionBook
    from geoserver_app.giving.worker import SubmissionWorker
    from geoserver_app.overlays.book import UploadBook
    from geoserver_app.overlays.uploads import UploadWorker
    from geoserver_app.packages.jobs import PackageBook
    from geoserver_app.packages.waiting import run_beside
    from geoserver_app.packages.worker import LATER, Worker
    from geoserver_app.wiring import wire

    if beside is not None:
        run_beside(settings, beside)
        return
    opened(settings)
    services = wire(settings)
    stop = threading.Event()
    worker = Worker(services, PackageBook(services.database, services.gate.clock), stop=stop)
    overlays = UploadWorker(services, UploadBook(services.database, services.gate.clock), stop=stop)
    given = SubmissionWorker(services, SubmissionBook(services.database, services.gate.clock), stop=stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if once:
        try:
            while not stop.is_set() and (overlays.work() or given.work() or worker.work()):
                pass
        except LATER as error:
            tell(f"packages wait: {error}", style="red")
            sys.exit(FAILED)
    else:
        tell("making packages as they are ordered, taking uploads in, checking what is given back")
        threading.Thread(target=overlays.run, name="overlays", daemon=True).start()
        threading.Thread(target=given.run, name="submissions", daemon=True).start()
        worker.run()


@click.group()
def package():
    """Packages: an area of layers as files, ordered by agencies."""


@package.command("list")
@click.option("--agency", help="Only those of this agency.")
@click.option("--state", help="Only those in this state: queued, running, ready, failed, cancelled, expired, taken-back.")
@json_option
@click.pass_obj
def package_list(settings: Settings, agency, state, as_json):
    """All packages, the newest first."""
    from geoserver_app.packages.jobs import PackageState

    try:
        chosen = PackageState(state) if state else None
    except ValueError:
        raise InputInvalid(f"`{state}` is not a state of a package: use {', '.join(PackageState)}") from None
    rows = [
        [one.package_id, one.agency, one.state, f"{min(one.done, one.total)}/{one.total}", ", ".join(f"{item['layer']}@{item['edition']}" for item in one.items),
         one.wanted.get("format"), f"{one.ordered:%Y-%m-%d %H:%M}", one.expires and f"{one.expires:%Y-%m-%d %H:%M}", one.fault]
        for one in _book(settings).list(agency, state=chosen)
    ]
    table(["package", "agency", "state", "done", "layers", "format", "ordered", "expires", "why"], rows, as_json)


@package.command("show")
@click.argument("package_id")
@json_option
@click.pass_obj
def package_show(settings: Settings, package_id, as_json):
    """What was ordered, under which agreements it is granted, and its files."""
    one = _found(settings, package_id)
    granted = sorted({f"{by['agreement']} v{by['version']} {by['clause']}" for item in one.items for by in item["granted_by"]})
    rows = [
        ["agency", one.agency], ["state", one.state], ["why", one.fault], ["done", f"{min(one.done, one.total)}/{one.total}"], ["attempts", one.attempts],
        ["claim", one.claim], ["ordered", one.ordered], ["began", one.began], ["ended", one.ended], ["expires", one.expires],
        ["ordered by", one.asker.get("login") or one.asker.get("key")], ["granted by", ", ".join(granted)], ["shipped", "yes" if one.shipped else "no"],
        *([f"file {file.name}", f"{file.size} bytes, sha256 {file.sha256}"] for file in one.files),
    ]
    table(["what", "value"], rows, as_json)


@package.command("cancel")
@click.argument("package_id")
@click.pass_obj
def package_cancel(settings: Settings, package_id):
    """Stop making it, or delete its files."""
    from geoserver_app.packages.calling_off import call_off
    from geoserver_app.wiring import meter_of

    one = _found(settings, package_id)
    book = _book(settings)
    if not call_off(settings, book, meter_of(settings, book.database), one, book.clock()):
        raise InputInvalid(f"package `{package_id}` is over already: it is {one.state}")
    noted(settings, "packages.cancel", package_id)
    click.echo(f"{package_id} cancelled")


def _book(settings: Settings):
    from geoserver_app.clock import now
    from geoserver_app.database import connect
    from geoserver_app.packages.jobs import PackageBook

    opened(settings)
    return PackageBook(connect(settings.database_url), now)


def _found(settings: Settings, package_id: str):
    from geoserver_app.packages.jobs import NoSuchPackage

    try:
        return _book(settings).get(package_id)
    except NoSuchPackage:
        raise InputInvalid(f"there is no package `{package_id[:80]}`: see `geoshare package list`") from None
