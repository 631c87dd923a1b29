"""What a GIS analyst does in QGIS, as a program for QGIS's own Python: reads wishes (JSON) from stdin, prints what came of each.

Run by test_qgis.py; knows nothing of this project. Each wish is a dict with `do` and its own words; pictures are written where `to` says.
"""

import json
import os
import sys
from urllib.parse import quote

PATIENCE = 30_000                               # milliseconds


def main() -> None:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from qgis.core import QgsApplication

    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False)
    application.initQgis()
    told = []
    QgsApplication.messageLog().messageReceived.connect(lambda text, tag, level: told.append(text) if tag == "WMS" else None)
    answers = []
    for wish in json.load(sys.stdin):
        answers.append(WISHES[wish.pop("do")](**wish) | {"messages": list(told)})
        told.clear()
    print(json.dumps(answers))
    sys.stdout.flush()
    os._exit(0)                                 # Qt's network threads are not waited for


def layer_of(address: str, layer: str, crs: str, style: str = "", tms: str = "", password: str = "", user: str = ""):
    """A layer as the dialogue "Add WMS/WMTS layer" makes it from a pasted address."""
    from qgis.core import QgsRasterLayer

    source = f"crs={crs}&dpiMode=7&featureCount=10&format=image/png&layers={layer}&styles={style}"
    if tms:
        source += f"&tileMatrixSet={tms}"
    if password:
        source += f"&authcfg={stored_password(user, password)}"
    return QgsRasterLayer(f"{source}&url={quote(address, safe='')}", layer, "wms")


def stored_password(user: str, password: str) -> str:
    """The id of a Basic authentication in QGIS's own store."""
    from qgis.core import QgsApplication, QgsAuthMethodConfig

    manager = QgsApplication.authManager()
    manager.setMasterPassword("for this test alone", True)
    config = QgsAuthMethodConfig()
    config.setName("geoshare")
    config.setMethod("Basic")
    config.setConfig("username", user)
    config.setConfig("password", password)
    manager.storeAuthenticationConfig(config)
    return config.id()


def describe(**how) -> dict:
    layer = layer_of(**how)
    if not layer.isValid():
        return {"valid": False}
    box, provider = layer.extent(), layer.dataProvider()
    return {
        "valid": True, "crs": layer.crs().authid(), "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        "can_identify": bool(int(provider.capabilities()) & provider.Identify), "metadata": provider.htmlMetadata(),
    }


def draw(bounds: list, width: int, height: int, to: str, **how) -> dict:
    from qgis.core import QgsCoordinateReferenceSystem, QgsMapRendererParallelJob, QgsMapSettings, QgsRectangle
    from qgis.PyQt.QtCore import QEventLoop, QSize, QTimer
    from qgis.PyQt.QtGui import QColor

    layer, settings = layer_of(**how), QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(QgsCoordinateReferenceSystem(how["crs"]))
    settings.setOutputSize(QSize(width, height))
    settings.setExtent(QgsRectangle(*bounds))
    settings.setOutputDpi(96)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    job, loop = QgsMapRendererParallelJob(settings), QEventLoop()
    job.finished.connect(loop.quit)
    QTimer.singleShot(PATIENCE, loop.quit)
    job.start()
    loop.exec_()
    job.renderedImage().save(to)
    box = settings.visibleExtent()
    return {"valid": layer.isValid(), "errors": [e.message for e in job.errors()],
            "bounds": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]}


def identify(place: list, bounds: list, width: int, height: int, **how) -> dict:
    from qgis.core import QgsPointXY, QgsRaster, QgsRectangle

    layer = layer_of(**how)                     # held on to: the provider goes with it
    provider = layer.dataProvider()
    box, point = QgsRectangle(*bounds), QgsPointXY(*place)
    text = provider.identify(point, QgsRaster.IdentifyFormatText, box, width, height, 96)
    page = provider.identify(point, QgsRaster.IdentifyFormatHtml, box, width, height, 96)
    features = provider.identify(point, QgsRaster.IdentifyFormatFeature, box, width, height, 96)
    stores, words = [], []
    for result in features.results().values():
        for one in result if isinstance(result, list) else [result]:
            (words if isinstance(one, str) else stores).append(one)       # where QGIS can't make features of it, it gives the text
    found = [
        {
            "crs": store.crs().authid(), "geometry": feature.geometry().asWkt(3),
            "attributes": dict(zip(feature.fields().names(), map(str, feature.attributes()))),
        }
        for store in stores for feature in store.features()
    ]
    return {
        "text": "\n".join(map(str, text.results().values())), "html": "\n".join(map(str, page.results().values())), "features": found,
        "words": words,
    }


def legend(**how) -> dict:
    from qgis.PyQt.QtCore import QEventLoop, QTimer

    layer = layer_of(**how)
    fetcher, loop, came = layer.dataProvider().getLegendGraphicFetcher(None), QEventLoop(), []
    fetcher.finish.connect(lambda picture: (came.append(picture), loop.quit()))
    fetcher.error.connect(lambda _: loop.quit())
    QTimer.singleShot(PATIENCE, loop.quit)
    fetcher.start()
    loop.exec_()
    return {"size": [came[0].width(), came[0].height()] if came else None}


def values(address: str, layer: str, crs: str, **_) -> dict:
    """A coverage as "Add WCS layer" makes it of a pasted address, its grid, and all its values."""
    from qgis.core import QgsRasterLayer

    shown = QgsRasterLayer(f"crs={crs}&format=image/tiff&identifier={layer}&url={quote(address, safe='')}", layer, "wcs")
    if not shown.isValid():
        return {"valid": False}
    provider, box = shown.dataProvider(), shown.extent()
    width, height = provider.xSize(), provider.ySize()
    bands = []
    for band in range(1, provider.bandCount() + 1):
        block = provider.block(band, box, width, height)
        bands.append([[None if block.isNoData(row, col) else block.value(row, col) for col in range(width)] for row in range(height)])
    return {
        "valid": True, "crs": shown.crs().authid(), "bands": bands, "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        "nodata": provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else None,
    }


WISHES = {"describe": describe, "draw": draw, "identify": identify, "legend": legend, "values": values}

if __name__ == "__main__":
    main()
