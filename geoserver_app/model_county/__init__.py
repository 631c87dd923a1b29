"""样例县, a county that does not exist: its terrain, line map and orthophoto, made by rule from one seed.

Reading order: `plan` (what was drawn by hand), `terrain`, `features`, `orthophoto`, `delivery` (the files). Everything is in metres of
EPSG:4549, x east, y north.
"""

from geoserver_app.model_county.delivery import CountyFiles, county_files, write_county

__all__ = ["CountyFiles", "county_files", "write_county"]
