"""`/data/jobs`: how far files are on their way in, what was wrong with them, and the reports that were written of them."""

import fcntl
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from geoserver_app.api.faults import NothingThere
from geoserver_app.api.layers import is_agencys
from geoserver_app.api.operation import JSON, STAFF, Answer, Visit, operation
from geoserver_app.api.reading import Moment, Sent, Told
from geoserver_app.quarantine import quarantined
from layers.catalogue import IngestJob, JobState
from layers.ingest.records import LOCK

MOST_LISTED = 200
LARGEST_REPORT = 256 << 20

REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""A report quotes file names and what stands in files: whatever they hold, nothing of it runs, loads anything, or knows who reads it."""


class JobQuery(Sent):
    layer: Annotated[str, Field(max_length=63)] = ""
    state: Literal["running", "published", "failed", "interrupted"] | None = None


class JobTold(Told):
    """`done` of `total` files are through, good or not; `faults` are told of files that were rejected. `report` says whether there is one.

    A job whose process has died is `interrupted`, also before the next one has noted it.
    """

    job: int
    layer: str
    edition: str
    state: Literal["running", "published", "failed", "interrupted"]
    total: int
    done: int
    faults: int
    started: Moment
    ended: Moment | None
    report: bool


class JobShown(JobTold):
    fault_sentences: list[str]


class Jobs(Told):
    """The newest first."""

    items: list[JobTold]


class QuarantinedTold(Told):
    """A delivered VCT file, by its own head, whose texts are as it spells them. It is not taken in and never served."""

    file: str
    layer: str
    edition: str
    format: str
    scale: str
    extent: str
    projection: str
    dated: str
    size: int
    sha256: str
    job: int | None
    found: Moment


class Quarantine(Told):
    """The newest first."""

    items: list[QuarantinedTold]


class ReportQuery(Sent):
    form: Annotated[Literal["html", "json"], Field(description="A page, or for programs.")] = "html"


@operation("data.jobs", "GET /data/jobs", "入库作业及其进度", "Jobs that take files in, and how far they are", roles=STAFF, query=JobQuery, answer=Jobs)
def list_jobs(visit: Visit, query: JobQuery) -> dict:
    found = [one for one in visit.services.catalogue.jobs() if query.layer in ("", one.layer) and not is_agencys(visit, one.layer)]
    told = [(one, state_of(visit, one)) for one in found[:MOST_LISTED] if query.state is None or one.state.value in (query.state, "running")]
    return {"items": [JobTold(**_told(visit, one)) for one, state in told if query.state in (None, state)]}


@operation("data.jobs.get", "GET /data/jobs/{job}", "一次入库作业及各文件的问题", "A job with what was wrong with each file", roles=STAFF, answer=JobShown)
def get_job(visit: Visit, job: str) -> JobShown:
    one = held_job(visit, job)
    return JobShown(**_told(visit, one), fault_sentences=list(one.faults))


@operation("data.quarantine", "GET /data/quarantine", "已收到但不能入库的文件（VCT），仅作登记，从不提供服务",
           "Delivered files that can't be taken in (VCT): listed by their heads, never served", roles=STAFF, answer=Quarantine)
def list_quarantine(visit: Visit) -> dict:
    return {"items": [
        QuarantinedTold(file=one.file_name, size=one.bytes, sha256=one.checksum,
                        **{name: getattr(one, name) for name in ("layer", "edition", "format", "scale", "extent", "projection", "dated", "job", "found")})
        for one in quarantined(visit.services.database) if not is_agencys(visit, one.layer)
    ]}


@operation(
    "data.jobs.report", "GET /data/jobs/{job}/report", "一次入库作业的检查报告", "The validation report of a job", roles=STAFF, query=ReportQuery,
    media_types=("text/html", JSON),
)
def get_report(visit: Visit, job: str, query: ReportQuery) -> Answer:
    one = held_job(visit, job)
    path = report_path(visit.services.settings.data, one.job_id, query.form)
    if path is None or path.stat().st_size > LARGEST_REPORT:
        raise NothingThere(job)
    text = path.read_text("utf-8")
    if query.form == "json":
        return Answer(content=json.loads(text))
    return Answer(content=text, media_type="text/html", policy=REPORT_POLICY)


def held_job(visit: Visit, job: str) -> IngestJob:
    """Raises NothingThere, also for one that took in what is an agency's own."""
    number = int(job) if job.isascii() and job.isdecimal() and len(job) <= 18 else None
    for one in visit.services.catalogue.jobs():
        if one.job_id == number and not is_agencys(visit, one.layer):
            return one
    raise NothingThere(job)


def state_of(visit: Visit, one: IngestJob) -> JobState:
    """As it is noted; but a job that nobody holds the edition's folder for does not run any more, however it ended."""
    if one.state is not JobState.RUNNING:
        return one.state
    try:
        with (visit.services.settings.store / one.layer / one.edition / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return JobState.RUNNING
    except OSError:
        pass
    return JobState.INTERRUPTED


def report_path(data: Path, job: int, form: str) -> Path | None:
    """The report of a job, where there is one and it is a plain file of ours."""
    reports = (data / "reports").resolve()
    path = reports / str(job) / f"report.{form}"
    return path if path.is_file() and path.resolve() == path else None



def _told(visit: Visit, one: IngestJob) -> dict:
    return {
        "job": one.job_id, "layer": one.layer, "edition": one.edition, "state": state_of(visit, one).value, "total": one.total, "done": min(one.done, one.total),
        "faults": len(one.faults), "started": one.started, "ended": one.ended,
        "report": report_path(visit.services.settings.data, one.job_id, "html") is not None,
    }
