"""The sheet index of a raster layer as a layer of its own, `<layer>-sheets`: made once by an operator, made anew with every change of its layer.

It has the owner and the classification of its layer, and is shared by agreements like any other: by default with nobody. Who may see the index
of some ground knows which sheets exist there, in all editions; so it is never made by itself.
"""

import tempfile
import time
from pathlib import Path

import pyogrio

from geoserver_app.database import connect, migrate
from geoserver_app.settings import CLASSIFICATIONS, Settings
from layers.catalogue import Catalogue, SqlCatalogue
from layers.errors import EditionOutpaced, IngestBusy, LayerMismatch, LayerNotDefined
from layers.feature_classes import SHEET_INDEX
from layers.model import Edition, Layer
from layers.sheets.index import as_frame, index_of

SUFFIX = "-sheets"
EDITION = "current"
FILE = "sheet-index.gpkg"

PATIENCE = 60.0
"""Seconds that a change of the layer waits for another one that makes the index."""


def index_name(layer: str) -> str:
    """Raises LayerMismatch where the name would be too long."""
    if len(layer) + len(SUFFIX) > 63:
        raise LayerMismatch(f"the name `{layer}` is too long for an index `{layer}{SUFFIX}`: names have at most 63 characters")
    return f"{layer}{SUFFIX}"


def make_index(settings: Settings, name: str, within: str | None = None) -> Edition:
    """Publish the index of a raster layer, or what has become of it since.

    Parameters
    ----------
    within : str, optional
        Code of a division that is to be covered: every sheet of it that no edition holds is a hole. As it was, where it is not said.

    Raises
    ------
    LayerNotDefined, DivisionNotDefined
    LayerMismatch
        It is no raster, or another layer bears the name of the index.
    """
    migrate(settings)
    database = connect(settings.database_url)
    try:
        return _published(settings, SqlCatalogue(database), name, within)
    finally:
        database.dispose()


def _published(settings: Settings, catalogue: Catalogue, name: str, within: str | None) -> Edition:
    from geoserver_app.ingesting import ingest  # which renews the index of what it publishes, by this module

    layer = catalogue.snapshot().layers.get(name)
    if layer is None:
        raise LayerNotDefined(name)
    if not layer.product.is_raster:
        raise LayerMismatch(f"layer `{name}` is {layer.product.value}, no raster: only rasters have a sheet index")
    existing = _existing(catalogue, name)
    if existing is None and index_name(name) in catalogue.snapshot().layers:
        raise LayerMismatch(f"layer `{index_name(name)}` is there and is no sheet index: remove it first, or give it another name")
    if within is None:
        within = _within(settings.store, existing)
    ground = catalogue.division(within).geometry if within else None
    entries = index_of([(edition, catalogue.sheets(edition.edition_id)) for edition in layer.editions], ground)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        pyogrio.write_dataframe(as_frame(entries, within), path, layer=SHEET_INDEX, driver="GPKG")
        return ingest(
            settings, product="OVERLAY", name=index_name(name), edition=EDITION, paths=path, owner=layer.owner, classification=CLASSIFICATIONS[layer.classification],
            title_zh=f"{layer.title_zh}图幅接合表", title_en=f"{layer.title_en}: sheet index", attribution=layer.attribution, synthetic=layer.synthetic,
            abstract=f"Sheets of `{name}`: number, edition, currency, checksum, and which are missing.", workers=0,
        )


def renew_index(settings: Settings, catalogue: Catalogue, name: str) -> None:
    """Make the index anew where the layer has one; take it away where the layer is gone.

    Raises what keeps it from being made: what it says of the layer is old then.
    """
    if not has_index(catalogue, name):
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if name not in catalogue.snapshot().layers:
                remove_index(settings, catalogue, name)
            else:
                _published(settings, catalogue, name, None)
            return
        except (IngestBusy, EditionOutpaced):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def remove_index(settings: Settings, catalogue: Catalogue, name: str) -> None:
    """Take the index away, where there is one."""
    from geoserver_app.ingesting import remove

    if has_index(catalogue, name):
        remove(settings, index_name(name))


def has_index(catalogue: Catalogue, name: str) -> bool:
    """Whether `<layer>-sheets` is an index, and not a layer of somebody's that is called so."""
    return _existing(catalogue, name) is not None


def _existing(catalogue: Catalogue, name: str) -> Edition | None:
    if len(name) + len(SUFFIX) > 63:
        return None
    layer: Layer | None = catalogue.snapshot().layers.get(index_name(name))
    edition = layer and layer.edition(EDITION)
    return edition if edition and [table.kind for table in edition.classes] == [SHEET_INDEX] else None


def _within(store: Path, existing: Edition | None) -> str:
    """The division that the index was made for."""
    if existing is None or existing.vectors is None:
        return ""
    frame = pyogrio.read_dataframe(store / existing.folder / existing.vectors, layer=SHEET_INDEX, columns=["WITHIN"], max_features=1, read_geometry=False)
    return str(frame["WITHIN"].iloc[0] or "") if len(frame) else ""
