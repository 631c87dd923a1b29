"""`/tasks`: what waits to be done, for whom and until when."""

from typing import Annotated, Any

from pydantic import Field

from agreements.life.tasks import Task
from geoserver_app.api.operation import EVERYBODY, Visit, operation
from geoserver_app.api.reading import AgencyId, Moment, Sent, Told
from geoserver_app.tasks import Office, waiting


class TaskQuery(Sent):
    agency: Annotated[AgencyId | None, Field(description="Whose members may do it.")] = None
    agreement: Annotated[str | None, Field(max_length=100)] = None
    mine: Annotated[bool, Field(description="Only what the asker may do.")] = False


class TaskTold(Told):
    """`due` is the first moment that is too late; `assumed` are years in it whose working days are not announced."""

    kind: str
    agreement: str
    version: int | None
    due: Moment | None
    is_overdue: bool
    roles: list[str]
    agencies: list[str]
    sentence: str
    assumed: list[int]
    detail: dict[str, Any]


class Tasks(Told):
    items: list[TaskTold]


@operation(
    "tasks.list", "GET /tasks", "待办事项（最紧急的在前）", "What waits to be done, the most pressing first", roles=EVERYBODY, query=TaskQuery, answer=Tasks,
)
def list_tasks(visit: Visit, query: TaskQuery) -> dict:
    agency = visit.own_agency(query.agency)
    found = [
        one for one in tasks_of(visit)
        if (agency is None or agency in one.agencies) and query.agreement in (None, one.agreement_id) and (not query.mine or is_for(visit, one))
    ]
    return {"items": [_told(visit, one) for one in found]}


def tasks_of(visit: Visit) -> tuple[Task, ...]:
    services = visit.services
    office = Office(register=services.register, catalogue=services.catalogue, book=services.book, config=services.settings.config)
    return waiting(office, visit.at)


def is_for(visit: Visit, task: Task) -> bool:
    """Whether the asker has the role for it."""
    return visit.person.agency in task.agencies if visit.person.is_member else bool(visit.person.roles & task.roles)


def _told(visit: Visit, task: Task) -> TaskTold:
    return TaskTold(
        kind=task.kind, agreement=task.agreement_id, version=task.version, due=task.due, is_overdue=task.is_overdue(visit.at),
        roles=sorted(task.roles), agencies=sorted(task.agencies), sentence=task.told(visit.language), assumed=list(task.assumed), detail=dict(task.detail),
    )
