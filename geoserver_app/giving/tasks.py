"""What waits of submissions: for the bureau to review, for somebody else to approve, for the agency to hand in again."""

from collections.abc import Iterable, Iterator

from agreements.life.lifecycle import Role
from agreements.life.tasks import OFFICE, Task
from geoserver_app.giving.submissions import Submission, SubmissionState
from geoserver_app.messages import CHINESE, ENGLISH, sentence

KINDS = {
    SubmissionState.CHECKED: ("given-review", OFFICE, False), SubmissionState.REVIEWED: ("given-approve", frozenset({Role.APPROVER}), False),
    SubmissionState.RETURNED: ("given-upload", frozenset[Role](), True),
}
"""What has to be done, by which roles of the bureau, and whether by the agency."""


def submission_tasks(submissions: Iterable[Submission]) -> Iterator[Task]:
    """One that was returned is a task until another is in its place."""
    submissions = list(submissions)
    replaced = {one.replaces for one in submissions}
    for one in submissions:
        kind, roles, is_agencys = KINDS.get(one.state, ("", frozenset(), False))
        if not kind or one.submission_id in replaced:
            continue
        detail = {"agreement": one.agreement_id, "dataset": one.dataset, "submission": one.submission_id, "agency": one.agency}
        yield Task(
            kind=kind, agreement_id=one.agreement_id, roles=roles, agencies=frozenset({one.agency}) if is_agencys else frozenset(),
            zh=sentence(f"task-{kind}", detail, CHINESE), en=sentence(f"task-{kind}", detail, ENGLISH), detail=detail,
        )
