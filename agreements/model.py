"""The nouns of sharing: agency, agreement, grant, request, decision."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shapely.geometry.base import BaseGeometry

from agreements.quota import Quota
from agreements.record import Record

BUREAU = "bureau"
"""The surveying bureau itself: owner of the base layers, grantor of most agreements."""


class Operation(StrEnum):
    """What may be asked of a layer: OGC operation names. A closed list; an unknown one is denied."""

    GET_MAP = "GetMap"
    GET_FEATURE_INFO = "GetFeatureInfo"
    GET_TILE = "GetTile"
    GET_LEGEND_GRAPHIC = "GetLegendGraphic"
    GET_FEATURE = "GetFeature"             # vectors themselves, with their attributes: features, vector tiles
    GET_COVERAGE = "GetCoverage"           # values of rasters, not pictures of them: WCS, terrain tiles, profiles
    DOWNLOAD = "Download"                  # files to keep: counted as exports of ground
    DESCRIBE_LAYER = "DescribeLayer"       # its entry in capabilities, TileJSON and the catalogue


GRANTABLE = frozenset({
    Operation.GET_MAP, Operation.GET_FEATURE_INFO, Operation.GET_TILE, Operation.GET_FEATURE, Operation.GET_COVERAGE, Operation.DOWNLOAD,
})
"""What a grant lists. The others follow: see `FOLLOWS_FROM`."""

FOLLOWS_FROM = {
    Operation.GET_LEGEND_GRAPHIC: frozenset({Operation.GET_MAP, Operation.GET_TILE}),
    Operation.DESCRIBE_LAYER: GRANTABLE,
}
"""An operation of the left is permitted by a grant of any on the right."""


class State(StrEnum):
    """Life of an agreement (design 2)."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    SIGNED = "signed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    ARCHIVED = "archived"


class Effect(StrEnum):
    PERMIT = "permit"      # everything asked
    CLIP = "clip"          # a part of it
    DENY = "deny"          # nothing of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """`[start, end)`, both aware datetimes; None is open. A document's date-only `until` means the end of that day in Asia/Shanghai."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleWindow:
    """Scale denominators a grant covers, both ends included; None is open. `finest` is the smaller number (1:5,000 is finer than 1:50,000).

    The scale is true ground scale at 0.28 mm a pixel, computed by the service (design R4).
    """

    finest: float | None = None
    coarsest: float | None = None


METRES_AT_ONE = 0.00028
"""Ground metres of a pixel at scale 1:1 (OGC 06-042, 0.28 mm a pixel)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionWindow:
    """Ground metres a pixel that a grant covers, both ends included; None is open. `finest` is the smaller number."""

    finest: float | None = None
    coarsest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is written over the pictures that an agreement lets out: after the cache, on a copy (design R11)."""

    text: str
    opacity: float = 0.25                        # 0 to 1
    place: str = "tiled"                         # "tiled" over all of it, or "corner": once a picture


CLASSIFICATIONS = ("public", "internal", "secret", "confidential", "top-secret")
"""By their number: 公开, 内部, 秘密, 机密, 绝密."""

UNTOLD_ATTRIBUTE = "?"
"""In a request: attributes that a style shows and that are not told to who asks. No grant that lists attributes holds it."""

LATEST = "latest"
"""In `Grant.editions`: whichever edition of the layer is the newest when it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """What is granted on the ground: one geometry in CRS84 (lon lat degrees), edges already densified to <= 0.01 degree in the CRS
    in which they were drawn. `digest` names the geometry, so that equal areas share what is compiled from them; `words` is what the
    document said, as JSON text, with the vintage of the boundaries that were used: one that is issued anew can be compared with it."""

    geometry: BaseGeometry
    digest: str
    title: str
    words: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One whole permission. A request is allowed by a whole grant or not at all (design R2)."""

    clause: str                                  # "3.1": its place in the agreement, for people
    layers: frozenset[str]                       # "dom" (every edition) or "dom@2011"; may be empty where `products` is not
    operations: frozenset[Operation]
    area: Area
    scale: ScaleWindow = ScaleWindow()
    term: Term = Term()                          # within the agreement's own
    formats: frozenset[str] | None = None        # media types; None is any that the service offers
    crs: frozenset[str] | None = None            # "EPSG:4549" ...; None is any
    styles: frozenset[str] | None = None
    attributes: frozenset[str] | None = frozenset()   # "NAME" or "HYDL.NAME"; None is all; empty is none
    products: frozenset[str] = frozenset()       # "DOM" ...: every layer of that product which belongs to the grantor, beside `layers`
    editions: frozenset[str] | None = None       # names of editions, and `LATEST`; None is any
    resolution: ResolutionWindow = ResolutionWindow()
    degrade: float | None = None                 # metres: shown from a fixed grid of cells no finer than this; None is as it is
    rows: str | None = None                      # CQL2 text: which features; None is all
    networks: frozenset[str] | None = None       # CIDR blocks from which it may be asked; None is any
    purposes: frozenset[str] | None = None       # purposes that a key may be for; None is any
    apps: frozenset[str] | None = None           # applications that a key may belong to; None is any
    ceiling: int | None = None                   # highest classification of a layer that it covers (0 public .. 4 top secret); None: the layer's


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """A stop on some layers, or on all that the agreement grants (`layers` None). Beats any grant, also one of another agreement."""

    reason: str
    since: datetime
    layers: frozenset[str] | None = None
    until: datetime | None = None
    area: Area | None = None                     # None is everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What two parties signed, as the machine holds it. Old versions never change."""

    agreement_id: str                            # "AG-2026-001", or the bureau's own number
    version: int
    title: str
    grantor: str
    grantee: str
    term: Term
    grants: tuple[Grant, ...]
    state: State = State.ACTIVE
    suspensions: tuple[Suspension, ...] = ()
    contact: str = ""                            # whom to ask, printed in refusals
    purpose: str = ""
    credit: str = ""                             # line shown beside the data
    basis: tuple[str, ...] = ()                  # laws and notices it rests on
    parent: str | None = None                    # id of the agreement whose grantee is the grantor here: nothing counts that it does not grant
    quota: Quota | None = None                 # None is without limit
    mark: Mark | None = None                     # written over every picture that it lets out
    is_emergency: bool = False                   # in force before it was approved: time-boxed, and flagged in the review
    record: Record = Record()                    # all that was agreed and that no machine enforces
    replaced: datetime | None = None             # the moment from which a newer version stands in its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    agency_id: str                               # "water"
    name_zh: str
    name_en: str
    is_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A credential of an agency. Only its SHA-256 is kept: a key has 160 random bits, so a plain digest suffices."""

    key_id: str                                  # "k_7f3a", safe to log
    agency_id: str
    digest: str                                  # hex
    label: str = ""
    expires: datetime | None = None
    revoked: datetime | None = None
    app: str = ""                                # the application it belongs to
    purpose: str = ""                            # what it may be used for: a code of config/purposes.csv
    networks: frozenset[str] | None = None       # CIDR blocks from which it counts; None is any
    referers: frozenset[str] | None = None       # origins ("https://maps.example.gov") of pages that may use it in an address; None is any
    origins: frozenset[str] = frozenset()        # origins whose scripts may read what it is answered (CORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayRequest:
    """One layer, one operation, asked by one agency at one moment: all that a decision depends on.

    `extent` None asks for the layer as a whole (capabilities, a compiled tile decision): the answer's area is then all that is granted.
    `scale_denominator` None means the operation has no scale. The clock is a field, so a test is one line.
    """

    agency: str
    layer: str
    edition: str
    owner: str                                   # of the layer
    operation: Operation
    at: datetime
    extent: BaseGeometry | None = None           # CRS84
    scale_denominator: float | None = None
    format: str | None = None                    # media type
    crs: str | None = None
    style: str | None = None
    attributes: frozenset[str] = frozenset()     # named by the request
    product: str = ""                            # of the layer: "DOM" ...
    is_latest: bool = True                       # whether the edition is the newest of its layer
    classification: int = 0                      # of the layer, 0 public .. 4 top secret
    networks: frozenset[str] = frozenset()       # of the CIDR blocks that agreements name: those the request comes from
    purpose: str = ""                            # of the key
    app: str = ""                                # of the key
    exhausted: frozenset[str] = frozenset()      # ids of agreements whose quota is spent

    @property
    def ground_resolution(self) -> float | None:
        """Metres on the ground a pixel."""
        return None if self.scale_denominator is None else self.scale_denominator * METRES_AT_ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an agreement's clause did or did not count. `code` is for machines, the sentences for people."""

    agreement_id: str | None
    version: int | None
    clause: str | None
    code: str                                    # "granted", "not-in-force", "outside-scale" ...; the list is in terms.py
    detail: dict[str, str] = field(default_factory=dict, hash=False, compare=True)
    contact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of ground with what may be seen of it: one grant, less what is suspended. Attributes stay with their piece (design R2)."""

    area: Area
    attributes: frozenset[str] | None
    agreement_id: str | None
    version: int | None
    clause: str | None
    rows: str | None = None                      # CQL2 text, as in the grant
    degrade: float | None = None                 # metres
    mark: Mark | None = None
    charged: tuple[str, ...] = ()                # agreements whose quota it counts against: its own, and those above it
    grants: tuple[Grant, ...] = field(default=(), compare=False)     # the grant it comes from, and those above it


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """permit / clip / deny, the area it holds for, and why.

    `area` is the union of the pieces, less every suspension; None with effect DENY. For the owner of a layer it is None with effect PERMIT:
    unlimited. `holds_until` is the next moment at which the same question could get another answer with the same register (None: never).
    """

    effect: Effect
    area: Area | None
    pieces: tuple[Piece, ...]
    reasons: tuple[Reason, ...]
    credits: tuple[str, ...] = ()
    holds_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSnapshot:
    """Everything that decides, at one moment. `epoch` grows with every change."""

    epoch: int
    agencies: dict[str, Agency] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)                     # by digest
    agreements: dict[str, tuple[Agreement, ...]] = field(default_factory=dict)   # by grantee, with the agreements above them
    networks: dict[str, frozenset[str]] = field(default_factory=dict)      # by grantee: CIDR blocks that those agreements name


class Gazetteer(Protocol):
    """What the words of a document are looked up in: places, purposes, filters. Implemented by the service over `layers`."""

    def division(self, code: str, vintage: str | None = None) -> tuple[str, BaseGeometry, str]:
        """Name and CRS84 geometry of an administrative division, and the vintage of that boundary: the one that is asked, else the latest.
        Raises LookupError with a sentence."""

    def sheet(self, number: str) -> BaseGeometry:
        """CRS84 frame of a GB/T 13989 map sheet. Raises LookupError with a sentence."""

    def geometry(self, geojson: dict, crs: str) -> BaseGeometry:
        """GeoJSON in `crs` (x before y) as valid CRS84 polygons, edges densified to <= 0.01 degree. Raises LookupError with a sentence."""

    def buffer(self, geojson: dict, crs: str, metres: float) -> BaseGeometry:
        """CRS84 polygons of all ground within `metres` of points, lines or polygons in `crs` (x before y), true on the ground to 0.5 %.
        Raises LookupError with a sentence."""

    def purpose(self, code: str) -> str:
        """Chinese name of a purpose of config/purposes.csv. Raises LookupError with a sentence."""

    def rows(self, cql2: str) -> None:
        """Nothing, where `cql2` is a filter of features that the service can evaluate. Raises LookupError with a sentence."""
