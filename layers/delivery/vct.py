"""The head of a VCT file (GB/T 17798, land use): what it says of itself, since the file itself is not taken in.

Versions 1.0 (CNSDTF-VCT), 2.0 and 3.0 (LANDUSE-VCT) call their extent and scale by other names; all are text, normally in GB18030.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from layers.delivery.text_grids import text_of
from layers.errors import LayerRejected

HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class VctHead:
    """As the file spells it; empty where it is silent. `extent` is min x, min y, max x, max y as four texts, or empty."""

    mark: str
    version: str
    scale: str
    extent: tuple[str, ...]
    projection: str
    date: str


def is_vct(head: bytes) -> bool:
    return b"HeadBegin" in head[:4096]


def read_vct_head(path: Path) -> VctHead:
    """What stands between HeadBegin and HeadEnd. Raises LayerRejected where there is no such head."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not is_vct(head):
        raise LayerRejected(path.name, "it is not a VCT file", "give the right file")
    text = unicodedata.normalize("NFKC", text_of(head)).partition("HeadBegin")[2].partition("HeadEnd")[0]
    fields = {key.strip().lower(): value.strip()[:80] for key, colon, value in (line.partition(":") for line in text.splitlines()) if colon}
    corners = [fields.get(key, "") for key in ("extentmin", "extentmax")]
    extent = tuple(part.strip() for corner in corners for part in corner.split(",")[:2]) if all(corners) else tuple(
        fields.get(key, "") for key in ("minx", "miny", "maxx", "maxy"))
    return VctHead(
        mark=fields.get("datamark", ""), version=fields.get("version", ""), scale=fields.get("mapscale") or fields.get("scalem", ""),
        extent=extent if len(extent) == 4 and all(extent) else (), projection=fields.get("projection", ""), date=fields.get("date", ""),
    )


def vct_refusal(path: Path) -> LayerRejected:
    """The sentence for a VCT file, with what its head says."""
    head = read_vct_head(path)
    told = [f"{head.mark} {head.version}".strip(), f"scale 1:{head.scale}" if head.scale else "",
            f"extent {' '.join(head.extent)}" if head.extent else "", f"of {head.date}" if head.date else ""]
    said = ", ".join(part for part in told if part)
    return LayerRejected(path.name, f"it is a VCT file (GB/T 17798{'; ' + said if said else ''}), which is not taken in",
                         "export it as GeoPackage or Shapefile")
