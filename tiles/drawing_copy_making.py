"""Makes the copy of a line map for drawing: see `tiles.drawing_copy`."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyogrio
import shapely

from layers.crs import finest_unit
from layers.features import FeatureQuery, FeatureStore, GeoPackageStore
from layers.ingest.generalising import generalised
from layers.model import Edition, FeatureClass, ProductType
from tiles.dlg import contour_parameters
from tiles.dlg_styles import StyleBook, TableStyles
from tiles.drawing_copy import FROM, KIND, MANIFEST, NAMED, PIXEL, folder_of, too_small
from tiles.mapnik_runtime import mapnik
from tiles.vector.contents import Overrides, TableContents, contents_of

STEPS = (0.0, 50_000.0, 200_000.0, 750_000.0, 3_000_000.0)
"""Scale denominators at which a coarser step of a table takes over."""

AT_ONCE = 50_000
LONGEST_TEXT = 80
"""Characters; a text field of a shapefile holds 254 bytes."""

SHAPES = {"point": "Point", "line": "LineString", "area": "Polygon"}


def write(store: Path, edition: Edition, cache: Path, config: Path) -> Path | None:
    """Makes the copy of an edition, in place of those of earlier generations but one; where it is, or None of what has none.

    Parameters
    ----------
    store, cache, config : Path
        Folder of the editions' folders; the engine's cache; folder of styles/ and vector_tiles.csv.

    Raises
    ------
    layers.features.FeaturesUnavailable
        The edition can't be read.
    """
    if edition.product is not ProductType.DLG or edition.vectors is None or edition.symbols is not None:
        return None
    folder = folder_of(cache, edition, config / "styles")
    if (folder / MANIFEST).exists():
        return folder
    making = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        said = {name: _written(one, making) for name, one in _tables(GeoPackageStore(store), store, edition, config).items()}
        _index(sorted(making.glob("*.shp")))
        (making / MANIFEST).write_text(json.dumps(said, ensure_ascii=False), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    _tidy(folder)
    return folder


def _tidy(folder: Path) -> None:
    """Whoever still draws the generation before keeps its copy."""
    others = sorted((path for path in folder.parent.iterdir() if path != folder), key=lambda path: path.stat().st_mtime)
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)


# Writing

@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What it takes to write one."""

    store: FeatureStore
    edition: Edition
    contents: TableContents
    texts: Mapping[str, str]
    unit: float                 # units of the edition's CRS in a metre

    @property
    def feature_class(self) -> FeatureClass:
        return self.contents.table

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, list]]]:
        """Shapes, kinds and columns."""
        query = FeatureQuery(table=self.feature_class, fields=self.feature_class.fields)
        for batch in self.store.batches(self.edition, query, AT_ONCE):
            yield batch.shapes, np.array(self.contents.kinds_of(batch.columns, len(batch)), dtype=object), batch.columns


def _tables(store: FeatureStore, root: Path, edition: Edition, config: Path) -> dict[str, _Table]:

    book = StyleBook.load(config / "styles")
    parameters = contour_parameters(book, root / edition.folder / edition.vectors, edition)
    known = contents_of(edition, {one.name: one.fields for one in edition.classes}, book, Overrides.load(config / "vector_tiles.csv"), parameters)
    unit = 1 / finest_unit(edition.classes[0].bounds, edition.crs) if edition.classes else 1.0
    return {
        styles.feature_class.name: _Table(
            store=store, edition=edition, contents=known[styles.feature_class.name], texts=texts_of(styles), unit=unit,
        )
        for styles in book.fit(edition, parameters, kinds_in=KIND) if styles.styles and styles.feature_class.name in known
    }


def texts_of(styles: TableStyles) -> dict[str, str]:
    """The fields that the styles of a table write or compare, and what they are called in a shapefile, whose names are short."""
    named = {
        name for style in styles.styles for part in style.element.iter() if isinstance(part.tag, str) for name in NAMED.findall(part.text or "")
    }
    return {name: f"t{number}" for number, name in enumerate(sorted(named - {KIND}))}


def _written(table: _Table, folder: Path) -> dict:
    """Writes all steps of a table side by side, reading it once; what the manifest says of it."""
    contents, steps = table.contents, []
    for number, (finest, coarsest) in enumerate(pairwise((*STEPS, 0.0))):
        kinds = {kind for kind, to_scale in contents.to_scale.items() if to_scale > finest}
        if kinds:
            steps.append((f"{_file_name(table.feature_class.name)}-{number}", finest, coarsest, kinds))
    count = 0                                       # in the finest step, of what came before
    for shapes, kinds, columns in table.batches():
        numbers = np.full(len(kinds), -1, np.int64)
        drawn = np.flatnonzero(np.isin(kinds, [kind for *_, wanted in steps for kind in wanted]) & ~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
        numbers[drawn] = np.arange(count, count + len(drawn))
        count += len(drawn)
        for name, finest, _, wanted in steps:
            at = drawn[np.isin(kinds[drawn], list(wanted))]
            pixel = finest * PIXEL * table.unit
            found, kept = generalised(shapes[at], pixel) if pixel else (shapely.force_2d(shapes[at]), np.arange(len(at)))
            bare = too_small(found, pixel).tolist()
            texts = {
                text: [None if is_bare else columns[text][i] for i, is_bare in zip(at[kept].tolist(), bare, strict=True)] for text in table.texts
            }
            _append(folder / f"{name}.shp", table, found, kinds[at[kept]], texts, numbers[at[kept]])
    written = [one for one in steps if (folder / f"{one[0]}.shp").exists()]
    return {"texts": dict(table.texts), "unit": table.unit, "steps": [[name, finest, coarsest] for name, finest, coarsest, _ in written]}


def _append(path: Path, table: _Table, shapes: np.ndarray, kinds: np.ndarray, columns: Mapping[str, Sequence], numbers: np.ndarray) -> None:
    if not len(shapes):
        return
    columns_of = [kinds, numbers.astype(np.int32), *(np.array([_text(value) for value in columns[name]], dtype=object) for name in table.texts)]
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), columns_of, [KIND, FROM, *table.texts.values()], geometry_type=SHAPES[table.feature_class.geometry], crs=table.edition.crs,
        driver="ESRI Shapefile", encoding="UTF-8", append=path.exists(),
    )


def _text(value: object) -> str:
    """As Mapnik writes it in a label."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(int(value))
    return (f"{value:.10g}" if isinstance(value, float) else str(value))[:LONGEST_TEXT]


def _file_name(table: str) -> str:
    """Names of tables are whatever their makers called them."""
    return table if re.fullmatch(r"[A-Za-z0-9_]{1,40}", table) else hashlib.sha256(table.encode()).hexdigest()[:16]


def _index(paths: Sequence[Path]) -> None:
    """Mapnik's own index; without it a picture reads the whole table. Of a table that is empty in this step there is none, and needs none."""
    if not paths:
        return
    home = Path(mapnik.__file__).parent
    libraries = os.pathsep.join(str(one) for one in (home / "lib", home.with_name("mapnik.libs")))
    done = subprocess.run([home / "bin" / "shapeindex", *paths], env=os.environ | {"LD_LIBRARY_PATH": libraries}, capture_output=True, check=False)
    if done.returncode or not all(path.with_suffix(".index").exists() for path in paths):
        raise OSError("the copy of a line map for drawing can't be indexed: Mapnik's shapeindex failed")
