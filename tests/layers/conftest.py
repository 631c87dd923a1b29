"""Small rasters, vectors and catalogue values that this room's tests are made of."""

from datetime import date

import pytest
import shapely
import sqlalchemy

from layers.catalogue import InMemoryCatalogue, SqlCatalogue, metadata
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
