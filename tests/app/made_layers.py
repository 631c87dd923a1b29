"""Layers, grants and callers made of values, for documents that are pure functions of them."""

from datetime import date

import shapely

from agreements.model import Agency, Operation
from geoserver_app.gate import Visible
from geoserver_app.identity import Caller, Carriage, Presented
from layers.model import Classification, Edition, FeatureClass, Layer, ProductType
from tiles.area import ServedArea
from tiles.permits import Permit, PermitPiece

JIANGSU = shapely.box(116.3619, 30.7579, 121.9749, 35.123)
NANJING = shapely.box(118.7, 31.9, 118.9, 32.1)
ALL = frozenset({Operation.GET_MAP, Operation.GET_TILE, Operation.GET_FEATURE_INFO, Operation.GET_LEGEND_GRAPHIC})


def edition(number: int = 1, *, layer: str = "dom", name: str = "2011", product: ProductType = ProductType.DOM, extent=JIANGSU,
            **more) -> Edition:
    return Edition(
        edition_id=number, name=name, layer=layer, product=product, currency=(date(2010, 1, 1), date(2011, 6, 1)), generation=1,
        folder=str(number),
        crs="EPSG:4549", extent=extent, resolution=1.0 if product.is_raster else None, **more,
    )


def layer(*editions: Edition, name: str = "dom", title_zh: str = "正射影像", title_en: str = "Orthophoto <1 m> & more", **more) -> Layer:
    return Layer(
        name=name, title_zh=title_zh, title_en=title_en, abstract="Made for tests", product=editions[0].product, owner="bureau",
        classification=Classification.INTERNAL, attribution="Bureau", editions=editions, **more,
    )


def visible(of: Layer, index: int = 0, *, area=NANJING, operations=ALL, styles=None, formats=None, crs=None, finest=None, coarsest=None,
            attributes=frozenset(),
            credits=("Credit & line",)) -> Visible:
    one = of.editions[index]
    served = ServedArea(area, "digest")
    permit = Permit(edition=one, area=served, pieces=(PermitPiece(area=served, attributes=attributes),), mark="m", credits=credits)
    return Visible(
        layer=of, edition=one, permit=permit, extent=shapely.intersection(area, one.extent), operations=frozenset(operations),
        styles=styles,
        formats=formats, crs=crs, finest=finest, coarsest=coarsest, is_latest=index == 0, is_only=len(of.editions) == 1,
    )


def caller(carriage: Carriage = Carriage.QUERY, secret: str = "s3cret&") -> Caller:
    return Caller(
        agency=Agency(agency_id="water", name_zh="水利厅", name_en="Water"), key_id="k_1", base_url="http://maps.test",
        presented=Presented(secret=secret, carriage=carriage, name="key"),
    )


def line_map(number: int = 3, **more) -> Layer:
    classes = (
        FeatureClass(name="HYDL", kind="HYDL", title_zh="水系线", title_en="Rivers", geometry="line", fields=("NAME", "WIDTH", "SECRET"),
                     count=3, bounds=JIANGSU.bounds),
    )
    return layer(edition(number, layer="dlg", product=ProductType.DLG, classes=classes, vectors="v.gpkg"), name="dlg", title_zh="线划图",
                 title_en="Line map", **more)
