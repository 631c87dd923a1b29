"""What is asked for when an overlay is registered, and under which name it will be known."""

import re
from collections.abc import Collection
from pathlib import PurePath

from geoserver_app.overlays.faults import OverlayInvalid
from layers.catalogue import Catalogue
from layers.model import EDITION, CatalogueSnapshot, Edition, Layer, ProductType

VECTORS = (".gpkg", ".geojson", ".json", ".fgb", ".zip")
TABLES = (".csv", ".xlsx")
SUFFIXES = (*VECTORS, *TABLES)
"""Kinds of files that are taken, by suffix; what one is its first bytes say."""

ORIGINS = ("survey", "gnss", "digitised-on-platform", "internet-map")
"""Where coordinates come from, as the contributor declares."""

SHORT = re.compile(r"[a-z][a-z0-9_-]*")
LONGEST = 63
NOT_IN_A_STEM = re.compile(r"[^0-9A-Za-z_\u3400-\u9fff-]+")


def layer_name(agency: str, short: str, agencies: Collection[str]) -> str:
    """The overlay's name as a layer: it begins with its owner's, so that no name tells what others have, and none can be taken from them.

    >>> layer_name("police", "stations", ["police", "water"]), layer_name("police", "police-stations", [])
    ('police-stations', 'police-stations')

    Raises
    ------
    OverlayInvalid
        It is no name, or falls into the names of an agency whose id goes on where this one's ends.
    """
    most = LONGEST - len(agency) - 1
    name = short if short.startswith(f"{agency}-") else f"{agency}-{short}"
    if not SHORT.fullmatch(short) or len(name) > LONGEST:
        raise OverlayInvalid("overlay-name", name=short[:80], most=most)
    if is_reserved(agency, name, agencies):
        raise OverlayInvalid("overlay-name-reserved", name=short[:80])
    return name


def is_reserved(agency: str, name: str, agencies: Collection[str]) -> bool:
    """Whether a name that begins with an agency's own id falls into those of another, whose id goes on where that one ends."""
    return any(other != agency and len(other) > len(agency) and (name == other or name.startswith(f"{other}-")) for other in agencies)


def suffix_of(file_name: str) -> str:
    """Raises OverlayInvalid."""
    suffix = PurePath(file_name.replace("\\", "/")).suffix.lower()
    if suffix not in SUFFIXES:
        raise OverlayInvalid("overlay-suffix", suffix=suffix[:20], choices=", ".join(SUFFIXES))
    return suffix


def stem_of(file_name: str) -> str:
    """What the file, and a table that has no other name, is called.

    >>> stem_of("..\\\\站点 (1).gpkg"), stem_of("/etc/passwd")
    ('站点_1', 'passwd')
    """
    stem = PurePath(file_name.replace("\\", "/")).stem
    return NOT_IN_A_STEM.sub("_", stem).strip("_")[:60] or "features"


def check_edition(catalogue: Catalogue, name: str, edition: str) -> None:
    """Raises OverlayInvalid where the edition can't be called so, or is there already."""
    layer = catalogue.snapshot().layers.get(name)
    if not EDITION.fullmatch(edition):
        raise OverlayInvalid("overlay-name", name=edition[:40], most=31)
    if layer is not None and layer.edition(edition) is not None:
        raise OverlayInvalid("overlay-edition-there", edition=f"{name}@{edition}")


def own_overlays(snapshot: CatalogueSnapshot, agency: str) -> list[Layer]:
    """What an agency registered, by name: nobody else's."""
    return [one for _, one in sorted(snapshot.layers.items()) if one.product is ProductType.OVERLAY and one.owner == agency]


def own_edition(snapshot: CatalogueSnapshot, agency: str, name: str, edition: str | None = None) -> tuple[Layer, Edition] | None:
    """None for another agency's as for one that is none."""
    layer = snapshot.layers.get(name)
    if layer is None or layer.owner != agency or layer.product is not ProductType.OVERLAY:
        return None
    found = layer.edition(edition)
    return (layer, found) if found else None
