"""Datasets that are given back: what is said of each, where it stands, and where its files lie.

    awaiting-file -> queued -> checking -> checked -> reviewed -> publishing -> accepted
                                              \\---------\\-> returned      (and a new submission in its place)
    withdrawn by its giver from wherever it is open, until it is being published
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from geoserver_app.settings import Settings


class SubmissionState(StrEnum):
    AWAITING = "awaiting-file"
    QUEUED = "queued"
    CHECKING = "checking"
    CHECKED = "checked"              # waits for its review
    REVIEWED = "reviewed"            # waits for its approval, by somebody else
    PUBLISHING = "publishing"        # approved
    ACCEPTED = "accepted"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        return self not in (SubmissionState.ACCEPTED, SubmissionState.RETURNED, SubmissionState.WITHDRAWN)


OPEN = tuple(one for one in SubmissionState if one.is_open)
WITHDRAWABLE = tuple(one for one in OPEN if one is not SubmissionState.PUBLISHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """`wanted` is what the agency said of it (`geoserver_app.giving.asking`); `due` the period that it is for, `happened` the day of its event."""

    submission_id: str
    agreement_id: str
    agency: str
    dataset: str
    due: date | None
    happened: date | None
    wanted: Mapping
    state: SubmissionState
    made: datetime
    made_by: str
    replaces: str = ""
    file_name: str
    bytes: int = 0
    sha256: str = ""
    received: datetime | None = None
    delivery_id: int | None = None
    step: str = ""
    claim: str = ""
    attempts: int = 0
    features: int | None = None
    errors: int | None = None
    warnings: int | None = None
    reviewed_by: str = ""
    approved_by: str = ""
    reasons: str = ""
    ended: datetime | None = None

    @property
    def edition(self) -> str:
        """`layer@edition`, as it will be known."""
        return f"{self.wanted['layer']}@{self.wanted['edition']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    at: datetime
    act: str
    actor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Into `state` from one of `among`, with other `values` of the row; `act` is what was done, by whom and why."""

    state: SubmissionState
    among: Sequence[SubmissionState]
    act: str
    actor: str
    text: str = ""
    values: Mapping = field(default_factory=dict)


def folder_of(settings: Settings, submission_id: str) -> Path:
    """Of this submission alone, outside of everything that is served: its file, the clean tables, `report/`."""
    return settings.data / "giving" / submission_id


def file_of(settings: Settings, submission: Submission) -> Path:
    """Under a name of ours; the suffix is one of a closed list."""
    return folder_of(settings, submission.submission_id) / f"{submission.wanted['stem']}{submission.wanted['suffix']}"


def report_folder(settings: Settings, submission_id: str) -> Path:
    return folder_of(settings, submission_id) / "report"


def tidy(settings: Settings, submission_id: str, state: SubmissionState) -> None:
    """Delete the files of a submission that is over: all of what was withdrawn, all but the report of another."""
    folder = folder_of(settings, submission_id)
    if state is SubmissionState.WITHDRAWN:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name != "report":
            shutil.rmtree(path, ignore_errors=True)
        elif not path.is_dir():
            path.unlink(missing_ok=True)
