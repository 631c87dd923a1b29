"""What is asked for when files are added, and what can be said against it before any of them is read."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from layers.catalogue import Catalogue
from layers.delivery import formats
from layers.errors import AboveCeiling, LayerMismatch, VerticalDatumRefused
from layers.heights import VerticalDatums
from layers.model import Classification, LayerName, ProductType


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLayer:
    """What is to be added: files, and the layer and edition that they make or join."""

    product: ProductType
    name: str
    edition: str
    paths: tuple[Path | str, ...]                   # files, folders, zips, and `s3://bucket/prefix`
    title_zh: str = ""
    title_en: str = ""
    abstract: str = ""
    owner: str = "bureau"
    classification: Classification = Classification.PUBLIC
    attribution: str = ""
    currency: tuple[date | None, date | None] = (None, None)
    synthetic: bool = False
    crs: str | None = None                          # for files that state none
    nodata: float | None = None                     # beside what the files declare
    stretch: tuple[float, float] | None = None      # of 16-bit imagery; else 2nd to 98th percentile over all files
    encoding: str | None = None                     # of shapefile attributes
    key: str | None = None                          # field of vectors whose values are the features' keys
    lossless: bool = False
    nearest: bool = False
    unusual_heights: bool = False                   # heights outside -500..9000 m are meant
    keep_going: bool = False                        # publish what is good although some files were rejected
    registration: str = formats.NODE                # what the corner of a text grid names
    vertical_datum: str | None = None               # of a DEM's heights: a code of config/vertical_datums.csv
    keep_delivered: bool = True                     # keep each file as it was delivered beside what was made of it

    def __post_init__(self):
        if self.is_strict:                                 # blocks of JPEG would carry a trace of what lies beyond a border
            object.__setattr__(self, "lossless", True)

    @property
    def is_strict(self) -> bool:
        return self.product is ProductType.DOM and self.classification >= Classification.SECRET

    @property
    def folder(self) -> str:
        """Of the edition, relative to the store."""
        return f"{self.name}/{self.edition}"


def check_request(catalogue: Catalogue, request: AddLayer, ceiling: Classification, config: Path) -> None:
    """Raises AboveCeiling or LayerMismatch for what can't be added, whatever the files hold."""
    _check_names(request)
    if request.classification > ceiling:
        raise AboveCeiling(request.name, request.classification.name.lower(), ceiling.name.lower())
    if request.stretch and not request.stretch[0] < request.stretch[1]:
        raise LayerMismatch(f"stretch `{request.stretch[0]:g},{request.stretch[1]:g}` is empty: give the lower value first")
    _check_vertical_datum(request, config)
    layer = catalogue.snapshot().layers.get(request.name)
    if layer is None:
        return
    if layer.product is not request.product:
        raise LayerMismatch(f"layer `{request.name}` holds {layer.product.value}, not {request.product.value}: choose another name")
    if layer.owner != request.owner:
        raise LayerMismatch(f"layer `{request.name}` belongs to `{layer.owner}`, not to `{request.owner}`: choose another name")
    if request.classification < layer.classification:
        raise LayerMismatch(
            f"layer `{request.name}` is {layer.classification.name.lower()}, not {request.classification.name.lower()}: "
            "say so, or remove the layer before it is added under a lower classification"
        )
    if edition := layer.edition(request.edition):
        _check_edition(edition, request)


def _check_edition(edition, request: AddLayer) -> None:
    name = f"{request.name}@{request.edition}"
    if not edition.lossless and request.is_strict:
        raise LayerMismatch(
            f"edition `{name}` is kept as JPEG, which nothing {request.classification.name.lower()} may be: "
            "remove it first, then add all of it under its classification"
        )
    if (edition.nearest, edition.lossless) != (request.nearest, request.lossless):
        raise LayerMismatch(f"edition `{name}` was added with other `--nearest` or `--lossless`: give the same, or remove it first")
    if edition.vertical_datum and request.vertical_datum not in (None, edition.vertical_datum):
        raise LayerMismatch(f"the heights of edition `{name}` are above `{edition.vertical_datum}`, not `{request.vertical_datum}`: "
                            "leave `--vertical-datum` out, or add them as an edition of their own")


def _check_vertical_datum(request: AddLayer, config: Path) -> None:
    if request.vertical_datum is None:
        return
    if request.product is not ProductType.DEM:
        raise LayerMismatch("`--vertical-datum` says what heights are above: leave it out where there are none")
    try:
        VerticalDatums.load(config / "vertical_datums.csv").find(request.vertical_datum)
    except VerticalDatumRefused as error:
        raise LayerMismatch(str(error)) from error


def _check_names(request: AddLayer) -> None:
    try:
        LayerName.parse(f"{request.name}@{request.edition}")
    except ValueError as error:
        raise LayerMismatch(str(error)) from error
