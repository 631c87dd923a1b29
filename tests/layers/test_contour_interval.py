"""The interval of contours, found in their heights."""

import geopandas
import pyogrio
import pytest
from county import CRS
from shapely.geometry import LineString

from layers.features import interval


@pytest.mark.parametrize(
    ("heights", "expected"), [([10, 12.5, 15, 20, 22.5], 2.5), ([5], None), ([], None), (["100", "105", "110", "x"], 5.0)],
)
def test_the_contour_interval_is_the_commonest_step(tmp_path, heights, expected):
    rows = heights or [None]
    frame = geopandas.GeoDataFrame({"ELEV": rows}, geometry=[LineString([(0, 0), (1, 1)])] * len(rows), crs=CRS)
    if not heights:
        frame["ELEV"] = frame["ELEV"].astype(float)
    pyogrio.write_dataframe(frame, tmp_path / "c.gpkg", layer="TERL")
    assert interval(tmp_path / "c.gpkg", "TERL", "ELEV") == expected
