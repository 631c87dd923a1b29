"""The others, each set up as well as we know how, so that a lead over them means something.

WSGI factories here run under the same granian, with as many workers and threads, as the product; they read what they need from the environment.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

TILES, AREA = "BENCH_TILES", "BENCH_AREA"
"""Folder of z/x/y.jpeg with rows from the top; file with the area as WKB in EPSG:3857, already in the grid's own CRS."""

LAYER, GRID = "dom", "webmercator"


def bare_worker() -> Callable:
    """The least that a Python worker can do: open the file, send it. No key, no decision, no record."""
    root = os.environ[TILES]

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        with open(root + environ["PATH_INFO"], "rb") as file:
            body = file.read()
        start_response("200 OK", [("Content-Type", "image/jpeg"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def mapproxy() -> Callable:
    """Plain MapProxy over the cached tiles: REST WMTS, no source behind it, everything allowed."""
    from mapproxy.config.configuration.proxy import ProxyConfiguration
    from mapproxy.wsgiapp import MapProxyApp

    folder = os.environ[TILES]
    configuration = ProxyConfiguration({
        "services": {"wmts": {"restful": True, "kvp": False}},
        "grids": {GRID: {"base": "GLOBAL_WEBMERCATOR", "origin": "nw", "num_levels": 21}},
        "caches": {LAYER: {
            "grids": [GRID], "sources": [], "format": "image/jpeg",
            "cache": {"type": "file", "directory": folder, "directory_layout": "tms"},
        }},
        "layers": [{"name": LAYER, "title": LAYER, "tile_sources": [LAYER]}],
        "globals": {"cache": {"lock_dir": f"{folder}/locks", "tile_lock_dir": f"{folder}/locks"}},
    }, conf_base_dir=folder)
    return MapProxyApp(configuration.configured_services(), configuration.base_config)


def mapproxy_limited_to() -> Callable:
    """MapProxy with `limited_to` given the fair way: one shapely geometry in the grid's own CRS, parsed once, kept and prepared."""
    import shapely

    geometry = shapely.from_wkb(Path(os.environ[AREA]).read_bytes())
    shapely.prepare(geometry)
    answer = {"authorized": "partial", "layers": {LAYER: {"tile": True, "limited_to": {"geometry": geometry, "srs": "EPSG:3857"}}}}
    app = mapproxy()

    def limited(environ: dict, start_response: Callable) -> Iterable[bytes]:
        environ["mapproxy.authorize"] = lambda service, layers, environ, **_: answer
        return app(environ, start_response)

    return limited


def mapproxy_path(z: int, row: int, col: int) -> str:
    return f"/wmts/{LAYER}/{GRID}/{z}/{col}/{row}.jpeg"


# -- maps

SOURCES = "BENCH_SOURCES"
"""JSON: layer name -> a raster that GDAL opens."""

JPEG_QUALITY = 88
"""What the product encodes its maps with; everybody here does the same."""


def rio_tiler() -> Callable:
    """rio-tiler behind bare WSGI, without TiTiler's framework around it; a dataset a thread, kept open."""
    import threading
    from urllib.parse import parse_qsl

    import rasterio
    from rio_tiler.io import Reader

    sources, kept = json.loads(os.environ[SOURCES]), threading.local()

    def reader(layer: str) -> Reader:
        readers = kept.__dict__.setdefault("readers", {})
        if layer not in readers:
            readers[layer] = Reader(None, dataset=rasterio.open(sources[layer], sharing=False))
        return readers[layer]

    def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
        asked = dict(parse_qsl(environ["QUERY_STRING"]))
        if "LAYERS" not in asked:
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        bounds = tuple(float(value) for value in asked["BBOX"].split(","))
        width, height = int(asked["WIDTH"]), int(asked["HEIGHT"])
        size = {"bounds_crs": asked["CRS"], "dst_crs": asked["CRS"], "width": width, "height": height}
        size |= {"resampling_method": "bilinear", "reproject_method": "bilinear"}
        if asked["LAYERS"] == "dem":
            image = _hillshade(reader("dem").part(bounds, **size, buffer=HILLSHADE_BUFFER))
        else:
            image = reader("dom").part(bounds, **size)
        body = image.render(img_format="JPEG", quality=JPEG_QUALITY, add_mask=False)
        start_response("200 OK", [("Content-Type", "image/jpeg"), ("Content-Length", str(len(body)))])
        return [body]

    return app


HILLSHADE_BUFFER = 3


def _hillshade(heights):
    """As titiler.core's algorithm of that name does it (azimuth 315, altitude 45 degrees), on rio-tiler's ImageData."""
    import numpy as np
    from rio_tiler.models import ImageData

    along_rows, along_cols = np.gradient(heights.array[0])
    slope, aspect = np.pi / 2 - np.arctan(np.hypot(along_rows, along_cols)), np.arctan2(-along_rows, along_cols)
    azimuth, altitude = np.radians(360 - 315), np.radians(45)
    shade = np.sin(altitude) * np.sin(slope) + np.cos(altitude) * np.cos(slope) * np.cos(azimuth - aspect)
    inner = slice(HILLSHADE_BUFFER, -HILLSHADE_BUFFER)
    return ImageData(np.clip(255 * (shade + 1) / 2, 0, 255).astype(np.uint8)[None, inner, inner])


def mapfile(folder: Path, crs: str, indexes: dict[str, Path], relief: Iterable[tuple[float, tuple[int, int, int]]], gdal: dict[str, str]) -> str:
    """MapServer over tile indexes of the very sheets: DOM as it is, DEM as colour relief (MapServer has no hillshade)."""
    stops = list(relief)
    classes = "\n".join(
        f"""    CLASS EXPRESSION ([pixel] >= {low} AND [pixel] < {high})
      STYLE COLORRANGE {_colour(below)} {_colour(above)} DATARANGE {low} {high} RANGEITEM "[pixel]" END END"""
        for (low, below), (high, above) in zip(stops, stops[1:])
    )
    layers = "\n".join(
        f"""  LAYER NAME "{name}" TYPE RASTER STATUS OFF
    TILEINDEX "{path}" TILEITEM "location"
    PROJECTION "init={crs.lower()}" END
    METADATA "wms_title" "{name}" END
    PROCESSING "RESAMPLE=BILINEAR" PROCESSING "CLOSE_CONNECTION=DEFER"
{classes if name == "dem" else ""}
  END"""
        for name, path in indexes.items()
    )
    settings = "\n".join(f'  CONFIG "{name}" "{value}"' for name, value in gdal.items())
    return f"""MAP
{settings}
  NAME "bench" SIZE 512 512 EXTENT -180 -90 180 90 SHAPEPATH "{folder}" MAXSIZE 4096 UNITS METERS
  PROJECTION "init={crs.lower()}" END
  IMAGETYPE "photo"
  OUTPUTFORMAT NAME "photo" DRIVER AGG/JPEG MIMETYPE "image/jpeg" IMAGEMODE RGB EXTENSION "jpg" FORMATOPTION "QUALITY={JPEG_QUALITY}" END
  WEB METADATA
    "ows_enable_request" "*" "wms_title" "bench" "wms_srs" "EPSG:3857 {crs}" "ows_onlineresource" "http://127.0.0.1/" "wms_allow_getmap_without_styles" "true"
  END END
{layers}
END
"""


def _colour(rgb: tuple[int, int, int]) -> str:
    return " ".join(str(band) for band in rgb)
