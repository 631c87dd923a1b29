"""What two parties agreed beside the grants: the full record of a sharing agreement. Values alone; nothing here decides a request.

Terms of the Chinese practice are in `docs/agreement-document.md`.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    name: str
    duty: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """`role`: provider, user or manager of the data."""

    agency: str
    role: str
    legal_name: str = ""                     # 单位全称
    legal_person: str = ""                   # 法定代表人
    contacts: tuple[Contact, ...] = ()
    signed: date | None = None


class RenewalMode(StrEnum):
    NONE = "none"
    REVIEW = "review"                        # decided in the review before the end
    AUTO = "auto"                            # an amendment is drafted by itself; it still takes two people to put it in force


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    mode: RenewalMode = RenewalMode.REVIEW
    period: str = "P1Y"                      # ISO 8601
    notice_days: int = 60


class OnOverdue(StrEnum):
    """What follows when a contribution is late. Nothing here is done without a person."""

    REMIND = "remind"
    ESCALATE = "escalate"                    # to the coordination group after 30 days
    REDUCE_QUOTA = "reduce_quota"            # proposed to the coordination group after 30 days
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What the grantee gives back."""

    dataset: str
    cadence: str = ""                        # ISO 8601 duration ("P3M"); "" is by event
    first_due: date | None = None            # None: one cadence after the beginning of the term
    grace_days: int = 0
    channel: str = ""                        # api, upload, offline, mirror
    spec: str = ""                           # standard or schema
    geometry: str = ""                       # point, line, polygon, table
    join_key: str = ""
    no_change_statement: bool = True         # whether "nothing has changed" is an answer
    on_overdue: OnOverdue = OnOverdue.REMIND
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contractor:
    name: str
    undertaking: str = ""                    # reference of the signed undertaking
    destroy_by: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLimits:
    purposes: tuple[str, ...] = ()           # codes of config/purposes.csv
    unit_scope: str = "unit"                 # "unit": the legal person alone; "named": also `sub_units`
    sub_units: tuple[str, ...] = ()
    third_party: bool = False
    contractors: tuple[Contractor, ...] = ()
    internet: bool = False                   # whether it may be put on the internet
    onward: str = ""                         # what may be passed on, in words
    conversion_report: bool = True           # whether conversions are reported to the provider
    device_serials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    classification: str = ""                 # of the agreement's data: public ... top-secret
    network: str = ""                        # 政务外网, 公安网 ...
    undertaking: str = ""                    # reference of the confidentiality undertaking
    incident_contact: str = ""
    destruction_certificate: bool = False    # owed at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    group: str = ""
    leads: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    meeting: str = ""                        # ISO 8601 cadence
    dispute: tuple[str, ...] = ()            # who decides, step by step


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    month: int | None = None                 # of the yearly evaluation
    indicators: tuple[str, ...] = ()         # codes of config/indicators.csv


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    parties: tuple[Party, ...] = ()
    principle: str = ""
    renewal: Renewal = Renewal()
    contributions: tuple[Contribution, ...] = ()
    use: UseLimits = UseLimits()
    security: Security = Security()
    coordination: Coordination = Coordination()
    review: Review = Review()
    fees: tuple[str, ...] = ()
    liability: str = ""
    attachments: tuple[Attachment, ...] = ()
