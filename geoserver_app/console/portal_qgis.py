"""Files that QGIS reads: connections ("Load connections"), and a layer definition (.qlr). Without keys: a client adds its own.

Source: QGIS, src/gui/qgsmanageconnectionsdialog.cpp (elements and attributes of a connection), src/core/qgslayerdefinition.cpp; the user manual,
"Using XYZ Tiles services".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree as ET

from geoserver_app.capabilities import LayerEntry, tile_format

ROOTS = {"wms": ("qgsWMSConnections", "wms"), "wcs": ("qgsWCSConnections", "wcs"), "xyz": ("qgsXYZTilesConnections", "xyztiles")}
"""Root of the file, and element of a connection, as QGIS knows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`min_zoom` and `max_zoom` are levels of XYZ tiles; unused by others."""

    name: str
    address: str
    min_zoom: int = 0
    max_zoom: int = 0


def connections_file(kind: str, connections: Sequence[Connection]) -> str:
    """
    >>> connections_file("xyz", [Connection(name="a & b", address="http://host/{z}/{x}/{y}.png", max_zoom=18)]).splitlines()[2]
    '<xyztiles name="a &amp; b" url="http://host/{z}/{x}/{y}.png" username="" password="" authcfg="" zmin="0" zmax="18" tilePixelRatio="0" />'
    """
    root_name, name = ROOTS[kind]
    root = ET.Element(root_name, version="1.0")
    for one in connections:
        more = {"zmin": f"{one.min_zoom}", "zmax": f"{one.max_zoom}", "tilePixelRatio": "0"} if kind == "xyz" else WMS_OPTIONS
        ET.SubElement(root, name, {"name": one.name, "url": one.address, "username": "", "password": "", "authcfg": "", **more})
    return _document("connections", root)


WMS_OPTIONS = {
    "dpiMode": "7", "ignoreGetMapURI": "false", "ignoreGetFeatureInfoURI": "false", "ignoreAxisOrientation": "false", "invertAxisOrientation": "false",
    "smoothPixmapTransform": "false", "tilePixelRatio": "0",
}


# -- a layer definition

@dataclass(frozen=True, slots=True, kw_only=True)
class MapSource:
    """A layer by WMS, as QGIS's provider `wms` spells it."""

    name: str
    title: str
    crs: str
    source: str


def map_source(entry: LayerEntry, address: str) -> MapSource:
    """Drawn in the first of the reference systems that are granted, in its default style."""
    crs, style = entry.crs_bounds[0][0], next((one.name for one in entry.styles if one.is_default), "")
    source = "&".join([
        "contextualWMSLegend=0", f"crs={crs}", "dpiMode=7", "featureCount=10", f"format={tile_format(entry)}", f"layers={quote(entry.name, safe='@')}",
        f"styles={quote(style)}", f"url={quote(address, safe='')}",
    ])
    return MapSource(name=entry.name, title=entry.title, crs=crs, source=source)


def definition_file(group: str, sources: Sequence[MapSource]) -> str:
    root = ET.Element("qlr")
    tree = ET.SubElement(ET.SubElement(root, "layer-tree-group", _shown()), "layer-tree-group", _shown(name=group))
    layers = ET.SubElement(root, "maplayers")
    for position, one in enumerate(sources):
        layer_id = f"geoshare_{position}_{''.join(c if c.isalnum() else '_' for c in one.name)}"
        ET.SubElement(tree, "layer-tree-layer", _shown(id=layer_id, name=one.title, source=one.source, providerKey="wms"))
        layer = ET.SubElement(layers, "maplayer", type="raster")
        for name, text in (("id", layer_id), ("datasource", one.source), ("layername", one.title), ("provider", "wms")):
            ET.SubElement(layer, name).text = text
        ET.SubElement(ET.SubElement(ET.SubElement(layer, "srs"), "spatialrefsys"), "authid").text = one.crs
    return _document("qgis-layer-definition", root)


def _shown(**attributes: str) -> dict[str, str]:
    return attributes | {"checked": "Qt::Checked", "expanded": "1"}


def _document(kind: str, root: ET.Element) -> str:
    ET.indent(root, "")
    return f"<!DOCTYPE {kind}>\n" + ET.tostring(root, encoding="unicode") + "\n"
