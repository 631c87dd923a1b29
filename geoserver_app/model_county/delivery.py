"""The files of the model county, as a production unit delivers them: sheets by GB/T 13989, a line map, a boundary file, an overlay."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from math import ceil, floor
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from shapely.geometry import Polygon

from geoserver_app.model_county import gauges, police, routes
from geoserver_app.model_county.features import County, build_county
from geoserver_app.model_county.orthophoto import Painting
from geoserver_app.model_county.terrain import CELL, Frame, build_terrain, noise
from layers import crs
from layers.model import Bounds
from layers.sheets import sheet_frame

CRS = "EPSG:4549"
COLUMNS, ROWS = (77, 78, 79, 80), (95, 94, 93)
"""Columns and rows of 1:10,000 sheets in I50, from the south-west corner."""
OVERLAP = 100
"""Metres by which a file reaches beyond the frame of its sheet."""
NOT_YET_FLOWN = "I50G093080"
"""A sheet that the older edition lacks."""
NOTE = "SYNTHETIC DATA 样例数据: a county that does not exist, computed from one seed; not a survey of any place"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountyFiles:
    """Where the county was written."""

    folder: Path
    dom: tuple[Path, ...]
    dom_2006: tuple[Path, ...]
    dem: tuple[Path, ...]
    dlg: tuple[Path, ...]
    water_gauges: tuple[Path, ...]
    police_districts: tuple[Path, ...]
    police_incidents: tuple[Path, ...]
    police_incident_grid: tuple[Path, ...]
    transport_routes: tuple[Path, ...]
    divisions: Path
    patrol_beats: Path
    gauge_stations: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return (
            *self.dom, *self.dom_2006, *self.dem, *self.dlg, *self.water_gauges, *self.police_districts, *self.police_incidents, *self.police_incident_grid,
            *self.transport_routes, self.divisions, self.patrol_beats, self.gauge_stations,
        )


def write_county(
    folder: Path,
    *,
    columns: int = 4,
    rows: int = 3,
    progress: Callable[[str], None] | None = None,
    workers: int = 2,
    county: County | None = None,
) -> CountyFiles:
    """Writes the county into `folder`; what is there already, from an earlier run that was stopped, is kept.

    Parameters
    ----------
    columns, rows : int
        How many sheets, from the south-west corner: 1 to 4 and 1 to 3. Terrain and line map are always those of the whole county.
    progress : callable
        Told one sentence a step.
    county : County, optional
        Where it has been modelled already.
    """
    say = progress or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    numbers, files = _numbers(columns, rows), county_files(folder, columns=columns, rows=rows)
    if all(path.exists() for path in files.all):
        return files
    if county is None:
        say("raising hills, letting rivers cut them, laying out roads and fields")
        county = model_county()
    say("drawing the line map")
    _once(files.dlg[0], lambda path: _write_line_map(path, county))
    _once(files.water_gauges[0], lambda path: _write_overlay(path, county))
    _once(files.divisions, lambda path: _write_divisions(path, county))
    _write_police(files, county)
    _once(files.transport_routes[0], lambda part: [_write_table(part, table, rows, CRS) for table, rows in routes.tables(county).items()])
    _once(files.gauge_stations, lambda part: _write_things(part, gauges.stations(county)))
    windows = {n: sheet_window(n) for n in numbers}
    for number, path in zip(numbers, files.dem):
        _once(path, lambda part, window=windows[number]: _write_heights(part, county, window))
    painting = Painting(county)
    for row in range(rows):
        say(f"taking orthophotos, row {row + 1} of {rows}")
        strip = list(zip(numbers, files.dom))[row * columns : (row + 1) * columns]
        _write_photos(painting, [(windows[n], path) for n, path in strip if not path.exists()], workers)
    say("printing the older photographs")
    for path in files.dom_2006:
        _once(path, lambda part, number=path.name[:10]: _write_older_photo(part, folder / f"{number}DOM.tif"))
    return files


def county_files(folder: Path, *, columns: int = 4, rows: int = 3) -> CountyFiles:
    """Where `write_county` writes."""
    numbers = _numbers(columns, rows)
    return CountyFiles(
        folder=folder,
        dom=tuple(folder / f"{n}DOM.tif" for n in numbers),
        dom_2006=tuple(folder / f"{n}DOM_2006.tif" for n in numbers if n != NOT_YET_FLOWN),
        dem=tuple(folder / f"{n}DEM.tif" for n in numbers),
        dlg=(folder / "329901_DLG_SYNTHETIC.gpkg",),
        water_gauges=(folder / "329901_water_SYNTHETIC.gpkg",),
        police_districts=(folder / "329901_police_districts_SYNTHETIC.gpkg",),
        police_incidents=(folder / "329901_police_incidents_SYNTHETIC.gpkg",),
        police_incident_grid=(folder / "329901_police_incident_grid_SYNTHETIC.gpkg",),
        transport_routes=(folder / "329901_transport_routes_SYNTHETIC.gpkg",),
        divisions=folder / "329901_divisions_SYNTHETIC.gpkg",
        patrol_beats=folder / "329901_patrol_beats_SYNTHETIC.geojson",
        gauge_stations=folder / "329901_gauge_stations_SYNTHETIC.geojson",
    )


def _numbers(columns: int, rows: int) -> list[str]:
    return [f"I50G{row:03d}{column:03d}" for row, column in product(ROWS[:rows], COLUMNS[:columns])]


def model_county() -> County:
    """The county in memory; the same every time."""
    corners = shapely.union_all(
        [crs.transform_geometry(sheet_frame(f"I50G{row:03d}{column:03d}"), "CRS:84", CRS) for row, column in product(ROWS, COLUMNS)]
    )
    return build_county(build_terrain(_frame(corners)), _boundary(corners))


def sheet_window(number: str) -> Bounds:
    """EPSG:4549 bounds of a sheet's file: its frame and the overlap, on whole multiples of 5 m."""
    left, bottom, right, top = crs.transform_geometry(sheet_frame(number), "CRS:84", CRS).buffer(OVERLAP, join_style="mitre").bounds
    return Bounds(floor(left / CELL) * CELL, floor(bottom / CELL) * CELL, ceil(right / CELL) * CELL, ceil(top / CELL) * CELL)


def _frame(sheets: Polygon) -> Frame:
    left, bottom, right, top = sheets.bounds
    width, height = 24960, 15360
    return Frame(left=floor((left + right - width) / 40) * 20, top=ceil((bottom + top + height) / 40) * 20, width=width, height=height)


def _boundary(sheets: Polygon) -> Polygon:
    """The county's limit: inside the sheets, wandering."""
    inner = sheets.buffer(-620)
    along = np.arange(0, inner.exterior.length, 110)
    wander = 480 * noise((3, len(along)), 34, 43, 4)[1]
    wander *= np.clip(np.minimum(along, along[::-1]) / 1500, 0, 1)
    ring = [inner.exterior.interpolate(d) for d in along]
    out = [inner.exterior.interpolate(d + 5) for d in along]
    points = [(p.x + w * (q.y - p.y) / 5, p.y - w * (q.x - p.x) / 5) for p, q, w in zip(ring, out, np.clip(wander, -500, 500))]
    whole = Polygon(points).buffer(0)
    return max(getattr(whole, "geoms", [whole]), key=lambda p: p.area)


def _once(path: Path, write: Callable[[Path], None]) -> None:
    """`path` written whole or not at all."""
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        part.unlink(missing_ok=True)
        write(part)
        part.replace(path)


def _write_photos(painting: Painting, sheets: list[tuple[Bounds, Path]], workers: int) -> None:
    if not sheets:
        return
    left, bottom, right, top = Bounds(
        min(w.left for w, _ in sheets), min(w.bottom for w, _ in sheets), max(w.right for w, _ in sheets), max(w.top for w, _ in sheets)
    )
    strip = painting.paint((int(left), int(bottom), int(right), int(top)), workers)

    def cut(sheet: tuple[Bounds, Path]) -> None:
        window, path = sheet
        pixels = strip[int(top - window.top) : int(top - window.bottom), int(window.left - left) : int(window.right - left)]
        _once(path, lambda part: _write_photo(part, window, pixels))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(cut, sheets))


def _write_photo(path: Path, window: Bounds, pixels: np.ndarray) -> None:
    rows, cols = pixels.shape[:2]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=cols,
        height=rows,
        count=3,
        dtype="uint8",
        crs=CRS,
        transform=rasterio.Affine(1, 0, window.left, 0, -1, window.top),
        photometric="RGB",
        interleave="pixel",
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="zstd",
        zstd_level=1,
        predictor=2,
    ) as sheet:
        sheet.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTE, TIFFTAG_DATETIME="2011:06:01 10:00:00")
        sheet.write(np.moveaxis(pixels, 2, 0))


def _write_older_photo(path: Path, photo: Path) -> None:
    """The same ground on panchromatic film, at 2 m: dull, and grainy."""
    with rasterio.open(photo) as source:
        width, height = source.width // 2, source.height // 2
        grey = source.read(out_shape=(3, height, width), resampling=rasterio.enums.Resampling.average).mean(axis=0)
        grain = np.random.default_rng(int(photo.name[4:7]) * 1000 + int(photo.name[7:10])).normal(0, 5, grey.shape)
        profile = source.profile | {
            "count": 1, "width": width, "height": height, "photometric": "MINISBLACK", "transform": source.transform * rasterio.Affine.scale(2),
        }
    with rasterio.open(path, "w", **profile) as sheet:
        sheet.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTE, TIFFTAG_DATETIME="2006:05:20 10:00:00")
        sheet.write(np.clip(28 + 0.78 * grey + grain, 0, 255).astype(np.uint8), 1)


def _write_heights(path: Path, county: County, window: Bounds) -> None:
    frame = county.terrain.frame
    row, col = int(frame.top - window.top) // CELL, int(window.left - frame.left) // CELL
    part = county.terrain.heights[row : row + int(window.height) // CELL, col : col + int(window.width) // CELL]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=part.shape[1],
        height=part.shape[0],
        count=1,
        dtype="float32",
        crs=CRS,
        nodata=-9999,
        transform=rasterio.Affine(CELL, 0, window.left, 0, -CELL, window.top),
        tiled=True,
        compress="deflate",
        predictor=3,
        zlevel=1,
    ) as sheet:
        sheet.update_tags(TIFFTAG_IMAGEDESCRIPTION=NOTE, TIFFTAG_DATETIME="2011:06:01 10:00:00")
        sheet.write(part, 1)


def _write_line_map(path: Path, county: County) -> None:
    for table, rows in county.tables.items():
        _write_table(path, table, rows, CRS)


def _write_divisions(path: Path, county: County) -> None:
    rows = [
        (shape, {"PAC": code, "NAME": name, "NAME_EN": english, "LEVEL": "county" if len(code) == 6 else "town"})
        for code, name, english, shape in county.divisions
    ]
    _write_table(path, "divisions", rows, CRS)


def _write_overlay(path: Path, county: County) -> None:
    """What the water department brings, in EPSG:4490: gauges with the datum of their levels, reservoirs, and flood detention areas."""
    tables = {"gauges": gauges.gauges(county), "reservoirs": gauges.reservoirs(county), "detention_areas": _detention_areas(county)}
    for table, rows in tables.items():
        _write_table(
            path, table, [(crs.transform_geometry(shape, CRS, "EPSG:4490"), attributes) for shape, attributes in rows], "EPSG:4490"
        )


def _write_police(files: CountyFiles, county: County) -> None:
    """What the police brings: overlays in EPSG:4549, and the ways that its cars drive, in degrees."""
    calls = police.incidents(county)
    for (path,), tables in (
        (files.police_districts, police.districts(county)), (files.police_incidents, calls), (files.police_incident_grid, police.grid(calls["INCIDENT"])),
    ):
        _once(path, lambda part, tables=tables: [_write_table(part, table, rows, CRS) for table, rows in tables.items()])
    ways = [(beat.line, {"UNIT": beat.unit, "STATION": beat.station}) for beat in police.beats(county)]
    _once(files.patrol_beats, lambda part: _write_things(part, ways))


def _write_things(path: Path, rows: list) -> None:
    """What the demo moves, in degrees."""
    shapes = [crs.transform_geometry(shape, CRS, "CRS:84") for shape, _ in rows]
    frame = gpd.GeoDataFrame([attributes for _, attributes in rows], geometry=shapes, crs="OGC:CRS84")
    path.write_text(frame.to_json(drop_id=True, na="null"), "utf-8")


def _detention_areas(county: County) -> list[tuple[Polygon, dict]]:
    terrain = county.terrain
    island = max((Polygon(ring) for ring in terrain.river.interiors), key=lambda p: p.area)
    shore = terrain.lake.buffer(650).difference(terrain.lake.buffer(30))
    west = shore.intersection(shapely.box(*terrain.frame.place(3, 1), *terrain.frame.place(6.1, 7)))
    return [
        (part, {"NAME": name, "TYPE": "蓄滞洪区", "CAPACITY": capacity, "NOTE": "SYNTHETIC 样例"})
        for shape, name, capacity in ((island, "白鹭洲行洪区", 310.0), (west, "镜湖西蓄洪区", 780.0))
        for part in getattr(shape, "geoms", [shape])
    ]


def _write_table(path: Path, table: str, rows: list, table_crs: str) -> None:
    frame = gpd.GeoDataFrame([attributes for _, attributes in rows], geometry=[shape for shape, _ in rows], crs=table_crs)
    frame.to_file(path, layer=table, driver="GPKG", engine="pyogrio", append=path.exists(), layer_metadata={"DESCRIPTION": NOTE})
