"""What two parties agreed beside the grants: the full record of a sharing agreement. Values alone; nothing here decides a request.

Durations are ISO 8601 in days or longer ("P3M"). Terms of the Chinese practice are in `docs/agreement-document.md`.
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


class Role(StrEnum):
    PROVIDER = "provider"                    # 提供方
    USER = "user"                            # 使用方
    MANAGER = "manager"                      # 数据管理单位, such as a geomatics centre that carries the agreement out


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    agency: str
    role: Role
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
    period: str = "P1Y"
    notice_days: int = 60


class OnOverdue(StrEnum):
    """What follows when a contribution is late. Nothing here is done without a person."""

    REMIND = "remind"
    ESCALATE = "escalate"                    # to the coordination group after 30 days
    REDUCE_QUOTA = "reduce_quota"            # proposed to the coordination group after 30 days
    NONE = "none"


class Channel(StrEnum):
    """How a dataset comes."""

    API = "api"
    UPLOAD = "upload"
    OFFLINE = "offline"                      # on a medium
    MIRROR = "mirror"                        # copied by the platform from the agency's own server


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What the grantee gives back."""

    dataset: str
    cadence: str = ""                        # "P3M"; "" is by event
    first_due: date | None = None            # None: one cadence after the beginning of the term
    grace_days: int = 0
    channel: Channel | None = None
    format: str = ""                         # of the files, in words
    spec: str = ""                           # standard or schema
    geometry: str = ""                       # point, line, polygon, table
    join_key: str = ""
    no_change_statement: bool = True         # whether "nothing has changed" is an answer
    on_overdue: OnOverdue = OnOverdue.ESCALATE
    free: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contractor:
    name: str
    undertaking: str = ""                    # reference of the signed undertaking
    destroy_by: date | None = None


class UnitScope(StrEnum):
    UNIT = "unit"                            # the legal person alone
    NAMED = "named"                          # also `sub_units`


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLimits:
    purposes: tuple[str, ...] = ()           # codes of config/purposes.csv
    unit_scope: UnitScope = UnitScope.UNIT
    sub_units: tuple[str, ...] = ()
    third_party: bool = False
    contractors: tuple[Contractor, ...] = ()
    internet: bool = False                   # whether it may be put on the internet
    onward: str = ""                         # what may be passed on, in words
    derived: str = ""                        # who may publish what is derived from the data, in words
    conversion_report: bool = True           # whether conversions are reported to the provider
    device_serials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    classification: int | None = None        # of the agreement's data: 0 public .. 4 top secret
    network: str = ""                        # 政务外网, 公安网 ...
    undertaking: str = ""                    # reference of the confidentiality undertaking
    incident_contact: str = ""
    destruction_certificate: bool = False    # owed at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    group: str = ""
    leads: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    meeting: str = ""                        # cadence, such as "P3M"
    dispute: tuple[str, ...] = ()            # who decides, step by step


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    month: int | None = None                 # of the yearly evaluation
    indicators: tuple[str, ...] = ()         # codes of config/indicators.csv


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    name: str
    sha256: str                              # of the file, lower-case hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    parties: tuple[Party, ...] = ()
    principle: str = ""
    delivery: tuple[str, ...] = ()           # what is handed over beside the services: what, medium, place, day
    renewal: Renewal = Renewal()
    contributions: tuple[Contribution, ...] = ()
    use: UseLimits = UseLimits()
    security: Security = Security()
    coordination: Coordination = Coordination()
    review: Review = Review()
    fees: tuple[str, ...] = ()
    liability: str = ""
    breach: str = ""                         # what follows when a party does not keep to it
    attachments: tuple[Attachment, ...] = ()
