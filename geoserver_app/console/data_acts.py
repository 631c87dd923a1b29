"""What is done about data: jobs that take files in, as they go; and an edition taken out of service, in two steps."""

from dataclasses import dataclass

import flask

from agreements.life.lifecycle import state_at
from agreements.model import Agreement, State
from geoserver_app.api.ingest_jobs import JobQuery, JobShown, JobTold
from geoserver_app.api.layers import ADMINISTRATORS, EditionTold, WithdrawalSent, held_edition, is_agencys
from geoserver_app.api.operation import STAFF
from geoserver_app.console.data_pages import size
from geoserver_app.console.frame import Frame, asked, field, page, sent, tried
from geoserver_app.console.register_pages import agency_names
from geoserver_app.review.granted import granted_layers

MOST_FAULTS_SHOWN = 500


@page("console.jobs", "/jobs", roles=STAFF)
def jobs(frame: Frame) -> flask.Response:
    query = asked(JobQuery)
    held: list[JobTold] = frame.ask("data.jobs", query=query)["items"]
    layers = sorted({one.layer for one in frame.visit.services.catalogue.jobs() if not is_agencys(frame.visit, one.layer)})
    return frame.shown("data_jobs.html", held=held, query=query, layers=layers, is_running=_is_running(held))


@page("console.job", "/jobs/<int:job>", roles=STAFF)
def job(frame: Frame, job: int) -> flask.Response:
    one: JobShown = frame.ask("data.jobs.get", job=str(job))
    held = frame.visit.services.catalogue.snapshot().layers.get(one.layer)
    return frame.shown(
        "data_job.html", one=one, most=MOST_FAULTS_SHOWN, is_running=_is_running([one]), is_served=held is not None and held.edition(one.edition) is not None,
    )


def _is_running(held: list[JobTold]) -> bool:
    return any(one.state == "running" for one in held)


# -- an edition is taken out of service

@dataclass(frozen=True, slots=True)
class Losing:
    """An agreement whose grantee can't see the edition any more."""

    agreement: Agreement
    grantee: str
    names_it: bool                       # this very edition, and not the layer alone


@page("console.data.withdraw", "/data/<layer>/<edition>/withdraw", roles=ADMINISTRATORS, takes_forms=True)
def withdraw_edition(frame: Frame, layer: str, edition: str) -> flask.Response:
    """The first step shows what would be lost; in the second the edition's name is typed, and a reason given."""
    told: EditionTold = frame.ask("data.editions.get", layer=layer, edition=edition)
    held, _ = held_edition(frame.visit, layer, edition)
    is_mistyped = flask.request.method == "POST" and field("confirmed") != f"{layer}@{edition}"
    answer, problem = (None, None) if is_mistyped and field("do") == "withdraw" else tried(frame, {"withdraw": lambda: _withdraw(frame, layer, edition)})
    if answer is not None:
        return answer
    return frame.shown(
        "data_withdraw.html", problem=problem, layer=held, one=told, losing=_losing(frame, layer, edition), size=size, is_mistyped=is_mistyped,
        next_one=next((other.name for other in held.editions if other.name != edition), None), status=422 if is_mistyped else 200,
    )


def _withdraw(frame: Frame, layer: str, edition: str) -> flask.Response:
    body = sent(WithdrawalSent, generation=field("generation"), reason=field("reason"))
    frame.act("data.editions.withdraw", {"layer": layer, "edition": edition}, body=body)
    return frame.on("data", "edition-withdrawn")


def _losing(frame: Frame, layer: str, edition: str) -> list[Losing]:
    held, names = frame.visit.services.catalogue.snapshot(), agency_names(frame)
    counting = [one for one in frame.visit.services.register.list() if state_at(one, frame.at) in (State.ACTIVE, State.SUSPENDED) and not one.replaced]
    return [
        Losing(one, names.get(one.grantee, one.grantee), _names_it(one, layer, edition)) for one in counting if layer in granted_layers(one, held)
    ]


def _names_it(one: Agreement, layer: str, edition: str) -> bool:
    return any(f"{layer}@{edition}" in grant.layers or edition in (grant.editions or ()) for grant in one.grants)
