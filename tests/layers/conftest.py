"""Small rasters, vectors and catalogue values that this room's tests are made of."""

from datetime import date

import numpy as np
import pytest
import rasterio
import shapely
import sqlalchemy
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from layers.catalogue import InMemoryCatalogue, SqlCatalogue, metadata
from layers.errors import IngestFailed
from layers.ingest.job import AddLayer, add_layer
from layers.model import Bounds, Classification, Edition, FeatureClass, Layer, Mosaic, ProductType, Sheet


@pytest.fixture
def database(tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["memory", "sql"])
def catalogue(request):
    """Every test that takes it runs over both catalogues."""
    return InMemoryCatalogue() if request.param == "memory" else SqlCatalogue(request.getfixturevalue("database"))


@pytest.fixture
def a_layer():
    def make(name="dom", **fields):
        fields = {"title_zh": "影像", "title_en": "Imagery", "abstract": "", "product": ProductType.DOM, "owner": "bureau",
                  "classification": Classification.PUBLIC, "attribution": "", "editions": ()} | fields
        return Layer(name=name, **fields)
    return make


@pytest.fixture
def an_edition():
    def make(name="2011", layer="dom", **fields):
        mosaic = Mosaic(crs="EPSG:4549", bounds=Bounds(0.5, 1, 2, 3), resolution=1.0, index="m.gti", factors=(2, 4), overview=None,
                        overview_factor=32)
        table = FeatureClass(name="HYDL", kind="HYDL", title_zh="河流", title_en="Rivers", geometry="line", fields=("NAME",), count=2,
                             bounds=Bounds(0, 0, 1, 1))
        fields = {"edition_id": 0, "product": ProductType.DOM, "currency": (None, None), "generation": 1, "folder": f"{layer}/{name}",
                  "crs": "EPSG:4549", "extent": shapely.box(118, 32, 119, 33), "resolution": 1.0, "mosaics": (mosaic,),
                  "classes": (table,), "vectors": "lines.gpkg", "height_range": (-3.5, 120.0), "sheet_count": 1} | fields
        return Edition(name=name, layer=layer, **fields)
    return make


@pytest.fixture
def a_sheet():
    def make(source_name="I50G095077DOM.tif", **fields):
        fields = {"sheet_id": 0, "number": "I50G095077", "path": "sheets/a.tif", "crs": "EPSG:4549", "bounds": Bounds(0, 0, 10, 10),
                  "footprint": shapely.box(118.75, 32.04, 118.8, 32.08), "width": 10, "height": 10, "resolution": (1.0, 1.0),
                  "band_count": 3, "dtype": "uint8", "nodata": None, "checksum": "ab" * 32, "lineage": ("taken as delivered",)} | fields
        return Sheet(source_name=source_name, **fields)
    return make


@pytest.fixture
def currency():
    return lambda start, end: (date(start, 1, 1), date(end, 12, 31))


@pytest.fixture
def write_raster(tmp_path):
    """Writes a GeoTIFF from an array of (band, row, col); 100 x 80 cells of 10 m near Nanjing in EPSG:4549 unless told otherwise."""
    def write(name, values=None, *, crs="EPSG:4549", left=382000.0, top=3551000.0, cell=10.0, transform=None, colorinterp=None, mask=None,
              colormap=None, folder="delivered", **profile):
        values = np.full((3, 80, 100), 120, np.uint8) if values is None else values
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        grid = transform or Affine(cell, 0, left, 0, -cell, top)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
            path, "w", driver="GTiff", count=values.shape[0], height=values.shape[1], width=values.shape[2], dtype=values.dtype, crs=crs,
            transform=grid, **profile,
        ) as target:
            target.write(values)
            if colorinterp:
                target.colorinterp = [ColorInterp[colour] for colour in colorinterp]
            if colormap:
                target.write_colormap(1, colormap)
            if mask is not None:
                target.write_mask(mask)
        return path
    return write


@pytest.fixture
def heights():
    """A DEM of 80 x 100 cells whose height is its row."""
    return np.repeat(np.arange(80, dtype=np.float32), 100).reshape(1, 80, 100)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def memory():
    return InMemoryCatalogue()


@pytest.fixture
def add(memory, store):
    """Adds files to the layer of a catalogue in memory, in this process."""
    def run(product, *paths, name="layer", edition="2011", **options):
        request = AddLayer(product=ProductType(product), name=name, edition=edition, paths=paths, **options)
        return add_layer(memory, store, request, workers=0)
    return run


@pytest.fixture
def refusal(add):
    """The sentence with which files are refused; nothing may be left in the catalogue."""
    def run(product, *paths, **options):
        with pytest.raises(IngestFailed) as caught:
            add(product, *paths, **options)
        return "; ".join(str(each) for each in caught.value.rejected)
    return run


@pytest.fixture
def taken(add, memory, store):
    """Takes one file in and gives its sheet and the path of what was written."""
    def run(product, path, **options):
        edition = add(product, path, **options)
        (sheet,) = memory.sheets(edition.edition_id)
        return sheet, store / edition.folder / sheet.path
    return run
