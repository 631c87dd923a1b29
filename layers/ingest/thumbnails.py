"""A small picture of a sheet, for pages that must hold thousands of them: WebP in a data: address."""

import base64
import io
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling

QUALITY = 60
SUN = (-0.5, 0.5)           # from the north-west


def thumbnail_of(path: Path, side: int) -> str:
    """The whole of a sheet of this store in at most `side` x `side` pixels, heights as a shaded grey. Runs in a worker."""
    with rasterio.open(path) as source:
        scale = side / max(source.width, source.height)
        shape = max(1, round(source.height * scale)), max(1, round(source.width * scale))
        values = source.read(out_shape=(source.count, *shape), resampling=Resampling.nearest)
        valid = source.dataset_mask(out_shape=shape)
    picture = _shaded(values[0], valid > 0) if source.count == 1 else values[:3].transpose(1, 2, 0)
    written = io.BytesIO()
    Image.fromarray(np.dstack([picture, valid]).astype(np.uint8), "RGBA").save(written, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode()


def _shaded(heights: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Grey by height and by slope, each over its own range."""
    known = heights[valid]
    if not known.size:
        return np.zeros((*heights.shape, 3), np.uint8)
    filled = np.where(valid, heights, known.mean()).astype(np.float64)
    grey = _stretched(filled)
    if min(heights.shape) > 1:
        rise, run = np.gradient(filled)
        grey = 0.4 * grey + 0.6 * _stretched(run * SUN[0] + rise * SUN[1])
    return np.repeat((40 + 200 * grey)[..., None], 3, axis=2).astype(np.uint8)


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, (2, 98))
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.full_like(values, 0.5)
