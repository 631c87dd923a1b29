"""The one way to Mapnik: `from tiles.mapnik_runtime import mapnik`.

`import mapnik` points PROJ_LIB and GDAL_DATA at folders of its own wheel that hold no proj.db: a rasterio imported after it finds no CRS at all,
and neither does a child process. So rasterio comes first, and what Mapnik exported is taken back.
"""

import os

import rasterio  # noqa: F401  (before mapnik, see above)
import mapnik

for _name in ("PROJ_LIB", "GDAL_DATA"):
    if "mapnik" in os.environ.get(_name, ""):
        del os.environ[_name]

__all__ = ["mapnik"]
