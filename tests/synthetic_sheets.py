"""Small sheets as ingest writes them: COG with overviews, DOM with an internal mask, DEM with nodata -9999."""

import hashlib
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import shapely
from rasterio.transform import from_origin

from layers import crs as crs_room
from layers.model import Bounds, Edition, ProductType, Sheet
from layers.mosaic.reader import build_mosaics

NODATA = -9999.0


def write_sheet(
    folder: Path, name: str, pixels: np.ndarray, *, left: float, top: float, resolution: float, crs: str = "EPSG:4549",
    mask: np.ndarray | None = None, jpeg: bool = False, nearest: bool = False, sheet_id: int = 0, blocksize: int = 256,
) -> Sheet:
    """One sheet of (band, row, col) pixels with its top left corner at (left, top); `mask` is True where there is data."""
    bands, rows, cols = pixels.shape
    is_elevation = pixels.dtype == np.float32
    (folder / "sheets").mkdir(parents=True, exist_ok=True)
    draft, path = folder / f"draft-{name}.tif", f"sheets/{name}.tif"
    profile = {
        "driver": "GTiff", "width": cols, "height": rows, "count": bands, "dtype": pixels.dtype, "crs": crs_room.to_pyproj(crs),
        "transform": from_origin(left, top, resolution, resolution), "nodata": NODATA if is_elevation else None,
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(draft, "w", **profile) as sheet:
            sheet.write(pixels)
            if not is_elevation:
                sheet.write_mask(np.full((rows, cols), 255, np.uint8) if mask is None else np.where(mask, 255, 0).astype(np.uint8))
        options = {"compress": "JPEG", "quality": 90} if jpeg else {"compress": "DEFLATE"}
        resampling = "nearest" if nearest else "average"
        rasterio.shutil.copy(draft, folder / path, driver="COG", blocksize=blocksize, overview_resampling=resampling, **options)
    draft.unlink()
    bounds = Bounds(left, top - rows * resolution, left + cols * resolution, top)
    return Sheet(
        sheet_id=sheet_id, number=None, source_name=f"{name}.tif", path=path, crs=crs, bounds=bounds, footprint=footprint(bounds, crs),
        width=cols, height=rows, resolution=(resolution, resolution), band_count=bands, dtype=str(pixels.dtype),
        nodata=profile["nodata"], checksum=hashlib.sha256(pixels.tobytes()).hexdigest(), lineage=(),
    )


def footprint(bounds: Bounds, crs: str) -> shapely.Geometry:
    """The box of `bounds`, in CRS84."""
    return crs_room.transform_geometry(crs_room.densify(shapely.box(*bounds), crs), crs, "CRS:84")


def edition_of(
    folder: Path, sheets: list[Sheet], product: ProductType, *,
    nearest: bool = False, lossless: bool = False, generation: int = 1, edition_id: int = 1,
) -> Edition:
    """An edition of these sheets; `folder` is its folder in a store that is the parent of `folder`."""
    mosaics = build_mosaics(folder, sheets, product, nearest=nearest, lossless=lossless, generation=generation)
    return Edition(
        edition_id=edition_id, name="2011", layer=product.value.lower(), product=product, currency=(None, None), generation=generation,
        folder=folder.name, crs=mosaics[0].crs, extent=shapely.union_all([sheet.footprint for sheet in sheets]),
        resolution=mosaics[0].resolution, mosaics=mosaics, sheet_count=len(sheets), nearest=nearest, lossless=lossless,
    )


def place_code(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """(3, ...) of uint8 that encode a row and a column below 4096."""
    return np.stack([rows & 255, cols & 255, (rows >> 8) << 4 | (cols >> 8)]).astype(np.uint8)


def decode_place(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rows, cols of (3, ...) of `place_code`."""
    red, green, blue = (band.astype(int) for band in rgb)
    return red | (blue >> 4) << 8, green | (blue & 15) << 8


def write_oracle(
    folder: Path, *, left: float, top: float, resolution: float, across: int, down: int, side: int, crs: str = "EPSG:4549"
) -> list[Sheet]:
    """`across` x `down` sheets of `side` pixels whose colours encode row and column counted from the top left of them all."""
    sheets = []
    for down_number in range(down):
        for across_number in range(across):
            rows, cols = np.mgrid[0:side, 0:side] + np.array([down_number, across_number])[:, None, None] * side
            sheets.append(write_sheet(
                folder, f"oracle-{down_number}-{across_number}", place_code(rows, cols), left=left + across_number * side * resolution,
                top=top - down_number * side * resolution, resolution=resolution, crs=crs, nearest=True, sheet_id=len(sheets) + 1,
            ))
    return sheets
