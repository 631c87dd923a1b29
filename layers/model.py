"""The nouns of the catalogue: layer > edition > sheet, and the values that travel with pixels."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np
from shapely.geometry.base import BaseGeometry


class ProductType(StrEnum):
    """What a layer is made of (CH/T 9008, CH/T 9009), and OVERLAY: an agency's own vector data."""

    DOM = "DOM"
    DEM = "DEM"
    DLG = "DLG"
    OVERLAY = "OVERLAY"

    @property
    def is_raster(self) -> bool:
        return self in (ProductType.DOM, ProductType.DEM)


class Classification(IntEnum):
    """Secrecy of a layer; an answer has the highest of its layers (design R9)."""

    PUBLIC = 0          # 公开
    INTERNAL = 1        # 内部
    SECRET = 2          # 秘密
    CONFIDENTIAL = 3    # 机密
    TOP_SECRET = 4      # 绝密


class Bounds(NamedTuple):
    """left, bottom, right, top in a stated CRS; x (east) before y (north) whatever the CRS's own axis order."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def intersects(self, other: "Bounds") -> bool:
        return self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top

    def intersection(self, other: "Bounds") -> "Bounds":
        return Bounds(max(self.left, other.left), max(self.bottom, other.bottom), min(self.right, other.right), min(self.top, other.top))

    def union(self, other: "Bounds") -> "Bounds":
        return Bounds(min(self.left, other.left), min(self.bottom, other.bottom), max(self.right, other.right), max(self.top, other.top))

    def rounded(self, digits: int) -> "Bounds":
        return Bounds(*(round(v, digits) for v in self))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A rectangle of the earth at a number of pixels: all that a renderer is ever told.

    `crs` is one of `layers.crs.SERVED`, spelled as there ("EPSG:4549", "CRS:84"); `bounds` x before y.
    """

    crs: str
    bounds: Bounds
    width: int
    height: int

    @property
    def resolution(self) -> tuple[float, float]:
        """CRS units per pixel along x and y."""
        return self.bounds.width / self.width, self.bounds.height / self.height


NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
EDITION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,30}")


@dataclass(frozen=True, slots=True)
class LayerName:
    """`dom` (its latest edition) or `dom@2011`.

    >>> LayerName.parse("dom@2011")
    LayerName(layer='dom', edition='2011')
    >>> str(LayerName.parse("dom"))
    'dom'
    """

    layer: str
    edition: str | None = None

    @classmethod
    def parse(cls, text: str) -> "LayerName":
        """Raises ValueError where `text` is not a layer name: its grammar keeps paths and markup out of everything behind it."""
        layer, at, edition = text.partition("@")
        if not NAME.fullmatch(layer) or (at and not EDITION.fullmatch(edition)):
            raise ValueError(f"`{text[:80]}` is not a layer name: lower-case letters, digits, `-` and `_`, then `@edition` if you want one")
        return cls(layer, edition if at else None)

    def __str__(self) -> str:
        return f"{self.layer}@{self.edition}" if self.edition else self.layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """The sheets of one edition in one CRS, readable as one raster.

    Files are named relative to the edition's folder in the store. `index` is its table of sheets (GeoPackage), which is read at the native
    resolution and at `factors` of it; `overview` is the finest level of a low-resolution copy, at `overview_factor` x `resolution`, beside which
    the coarser ones lie. `bounds` is the box of the pixels of all of these: where there is a copy, larger than that of the sheets.
    """

    crs: str                    # "EPSG:4549"
    bounds: Bounds
    resolution: float           # units of `crs` per pixel (finest sheet; square)
    index: str
    factors: tuple[int, ...]
    overview: str | None
    overview_factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureClass:
    """One class of a line map: a table of the edition's GeoPackage."""

    name: str                   # table: HYDL, LRDL ... or the name it was delivered under
    kind: str                   # DLG class it is drawn as (config/dlg_classes.csv), or "" for a plain one
    title_zh: str
    title_en: str
    geometry: str               # point | line | area
    fields: tuple[str, ...]
    count: int
    bounds: Bounds              # in the edition's CRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One delivered file, checked and taken in."""

    sheet_id: int
    number: str | None          # GB/T 13989, where the file name holds one
    source_name: str            # file name as delivered
    path: str                   # relative to the edition's folder
    crs: str
    bounds: Bounds
    footprint: BaseGeometry     # CRS84
    width: int
    height: int
    resolution: tuple[float, float]
    band_count: int
    dtype: str
    nodata: float | None
    checksum: str               # sha256 of the delivered file
    lineage: tuple[str, ...]    # what was done on the way in, one sentence a step
    currency: date | None = None            # the day on which its content was true (现势性), where the delivery says so
    taken_in: datetime | None = None        # when it was published, UTC
    delivered: str | None = None            # the file as it was delivered, relative to the edition's folder; None where it was not kept


class Source(StrEnum):
    """Where the vectors of an edition come from."""

    STORED = "stored"           # delivered files, taken in once
    LIVE = "live"               # a table that changes all the time: nothing of it is ever kept in a cache
    REMOTE = "remote"           # a map service elsewhere, asked picture by picture: nothing of it is kept either


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A layer at one edition, as it is served. `generation` grows with every change of its content: cache keys hold it."""

    edition_id: int
    name: str                   # "2011"
    layer: str
    product: ProductType
    currency: tuple[date | None, date | None]
    generation: int
    folder: str                 # relative to the store
    crs: str                    # of the vectors, or of the first mosaic
    extent: BaseGeometry        # CRS84: union of the sheets' footprints, or the box of the vectors
    resolution: float | None    # metres on the ground, rasters only
    mosaics: tuple[Mosaic, ...] = ()
    classes: tuple[FeatureClass, ...] = ()
    vectors: str | None = None  # GeoPackage, relative to `folder`
    height_range: tuple[float, float] | None = None
    vertical_datum: str | None = None       # a code of config/vertical_datums.csv; None where the delivery did not say
    sheet_count: int = 0
    nearest: bool = False       # resample by nearest neighbour (classified maps, test rasters)
    lossless: bool = False      # never through JPEG on the way
    source: Source = Source.STORED
    remote: str | None = None   # of a remote source: JSON text of how it is asked (tiles.remote), never with a secret in it
    symbols: str | None = None  # of an overlay: JSON text of its rules of drawing (tiles.symbols); None: config/styles/overlay.xml


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    name: str
    title_zh: str
    title_en: str
    abstract: str
    product: ProductType
    owner: str                  # agency that owns the data; the bureau's own layers belong to "bureau"
    classification: Classification
    attribution: str
    editions: tuple[Edition, ...]          # newest first; never empty in a snapshot
    synthetic: bool = False

    def edition(self, name: str | None = None) -> Edition | None:
        """The edition called `name`, or the latest; None where there is no such one."""
        if name is None:
            return self.editions[0]
        return next((e for e in self.editions if e.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Pixels with all that says what they are. `values` is (band, row, col); `valid` is (row, col), True where there is data."""

    values: np.ndarray
    valid: np.ndarray
    bounds: Bounds
    crs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueSnapshot:
    """Everything servable at one moment. `epoch` grows with every change."""

    epoch: int
    layers: dict[str, Layer] = field(default_factory=dict)

    def find(self, name: LayerName) -> tuple[Layer, Edition] | None:
        layer = self.layers.get(name.layer)
        edition = layer.edition(name.edition) if layer else None
        return (layer, edition) if edition else None


STYLES = {
    ProductType.DOM: ("default",),
    ProductType.DEM: (
        "hillshade", "multidirectional-hillshade", "relief", "shaded-relief", "slope", "aspect", "contours", "water-level",
    ),
    ProductType.DLG: ("topographic", "unlabelled", "grey", "grey-unlabelled"),
    ProductType.OVERLAY: ("default", "unlabelled"),
}
"""Styles of each product; the first is what an empty STYLES asks for."""

WATER_LEVEL = "water-level"
"""Shows which cells lie below a level that the request names. Asked at many levels it tells heights."""

ENCODINGS = ("terrain-rgb", "terrarium")
"""Tiles of elevation models whose colours are numbers: no style of a picture, in no list of styles."""

MEASURED = frozenset({WATER_LEVEL, *ENCODINGS})
"""What is drawn so lets out values of the data, not a picture of them: it is asked as GetCoverage, by whichever way it is asked."""


VECTOR_TILE = "application/vnd.mapbox-vector-tile"
"""Media type of tiles that hold features: asked as GetFeature."""

SURVEYED_AT = {ProductType.DLG: 10_000.0, ProductType.OVERLAY: 1.0}
"""Scale denominators at which vectors show all that they hold: the line map is one of 1:10,000; of an agency's own data nobody can say."""


def picture_styles(product: ProductType) -> tuple[str, ...]:
    """The styles that a grant of pictures may hold."""
    return tuple(style for style in STYLES[product] if style not in MEASURED)


def tile_styles(product: ProductType) -> tuple[str, ...]:
    """All that a tile may be drawn in; a tile names no level of water."""
    return picture_styles(product) + (ENCODINGS if product is ProductType.DEM else ())
