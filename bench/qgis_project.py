"""Writes a project of QGIS Server from passes of symbols: run by QGIS's own Python, knows nothing of this project.

    python3 qgis_project.py < passes.json

{"project", "crs", "fonts": {name: path}, "passes": [{"name", "file", "geometry", "rules": [{"filter", "symbols": [...], "labels": [...]}]}]},
each pass a layer of its own, from the bottom up; widths and letters in pixels. See `qgis_style.py`.
"""

import json
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFillSymbol,
    QgsLineSymbol,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsProject,
    QgsRectangle,
    QgsRuleBasedLabeling,
    QgsRuleBasedRenderer,
    QgsTextBackgroundSettings,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsUnitTypes,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSizeF
from qgis.PyQt.QtGui import QColor, QFont, QFontDatabase

SYMBOLS = {"line": QgsLineSymbol, "area": QgsFillSymbol, "point": QgsMarkerSymbol}


def main() -> None:
    wish = json.load(sys.stdin)
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], True)
    application.initQgis()
    families = {name: QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(path))[0] for name, path in wish["fonts"].items()}
    project = QgsProject.instance()
    project.setCrs(QgsCoordinateReferenceSystem(wish["crs"]))
    group = project.layerTreeRoot().addGroup("line-map")
    for one in reversed(wish["passes"]):
        layer = layer_of(one, wish["crs"], families)
        project.addMapLayer(layer, False)
        group.addLayer(layer)
    project.writeEntry("WMSCrsList", "/", [wish["crs"]])
    project.writeEntry("WMSExtent", "/", ["0", "0", "1000000", "10000000"])
    project.write(wish["project"])
    sys.stdout.flush()
    os._exit(0)


def layer_of(one: dict, crs: str, families: dict):
    layer = QgsVectorLayer(one["file"], one["name"], "ogr")
    layer.setCrs(QgsCoordinateReferenceSystem(crs))
    layer.setExtent(QgsRectangle(layer.extent()))
    root = QgsRuleBasedRenderer.Rule(None)
    labels = QgsRuleBasedLabeling.Rule(None)
    for rule in one["rules"]:
        if rule["symbols"]:
            symbol = SYMBOLS[one["geometry"]].createSimple(rule["symbols"][0])
            for more in rule["symbols"][1:]:
                symbol.appendSymbolLayer(SYMBOLS[one["geometry"]].createSimple(more).takeSymbolLayer(0))
            root.appendChild(QgsRuleBasedRenderer.Rule(symbol, 0, 0, rule["filter"]))
        for label in rule["labels"]:
            labels.appendChild(QgsRuleBasedLabeling.Rule(settings_of(label, families), 0, 0, rule["filter"]))
    layer.setRenderer(QgsRuleBasedRenderer(root))
    if labels.children():
        layer.setLabeling(QgsRuleBasedLabeling(labels))
        layer.setLabelsEnabled(True)
    return layer


def settings_of(label: dict, families: dict):
    settings, text = QgsPalLayerSettings(), QgsTextFormat()
    text.setFont(QFont(families[label["font"]]))
    text.setSize(label["size"])
    text.setSizeUnit(QgsUnitTypes.RenderPixels)
    text.setColor(QColor(label["colour"]))
    if label["halo"]:
        halo = QgsTextBufferSettings()
        halo.setEnabled(True)
        halo.setSize(label["halo"])
        halo.setSizeUnit(QgsUnitTypes.RenderPixels)
        halo.setColor(QColor("#FFFFFF"))
        text.setBuffer(halo)
    if label["plate"]:
        plate = QgsTextBackgroundSettings()
        plate.setEnabled(True)
        plate.setFillColor(QColor(label["plate"]))
        plate.setSizeUnit(QgsUnitTypes.RenderPixels)
        plate.setSize(QSizeF(2, 1))
        text.setBackground(plate)
    settings.setFormat(text)
    settings.fieldName = label["field"]
    along = {"line": QgsPalLayerSettings.Curved, "point": QgsPalLayerSettings.AroundPoint, "area": QgsPalLayerSettings.OverPoint}
    settings.placement = QgsPalLayerSettings.Horizontal if label["placement"] == "area" else along[label["placement"]]
    if label["placement"] == "line" and label["plate"]:
        settings.placement = QgsPalLayerSettings.Line
    settings.repeatDistance = label["spacing"]
    settings.repeatDistanceUnit = QgsUnitTypes.RenderPixels
    return settings


if __name__ == "__main__":
    main()
