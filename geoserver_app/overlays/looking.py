"""An owner's look at his own overlay: by rules that are not kept yet. Nothing of it is cached, and nobody else is shown any of it."""

from collections.abc import Iterator
from dataclasses import replace

from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.wiring import Services
from layers import crs as reference
from layers.errors import CrsNotServed, OutsideAreaOfUse
from layers.features import FeatureQuery
from layers.model import Bounds, Edition, Source, View
from tiles.dlg import LineMapRenderer
from tiles.encode import PNG, encode
from tiles.legends import legend
from tiles.permits import Permit

AROUND = 0.04
"""Share of the edition's box that is shown around it."""


def picture_by(
    services: Services, edition: Edition, symbols: str | None, *, bounds: Bounds | None, crs: str, size: tuple[int, int], labels: bool = True,
) -> bytes:
    """PNG of the edition by `symbols`. Raises OverlayInvalid for a view that is none."""
    try:
        crs = reference.parse_crs(crs)
        wanted = bounds or reference.transform_bounds(Bounds(*edition.extent.bounds), "CRS:84", crs)
    except (CrsNotServed, OutsideAreaOfUse):
        raise OverlayInvalid("overlay-view") from None
    if not (wanted.width >= 0 and wanted.height >= 0) or max(map(abs, wanted)) > 1e9:
        raise OverlayInvalid("overlay-view")
    view = View(crs=crs, bounds=wanted if bounds else _grown(wanted, size), width=size[0], height=size[1])
    if view.bounds.width <= 0 or view.bounds.height <= 0:
        raise OverlayInvalid("overlay-view")
    if edition.source is Source.STORED and edition.vectors:
        drawn = replace(edition, symbols=symbols)
        picture = LineMapRenderer(services.settings.store / edition.folder, drawn, services.settings.config / "styles", labels=labels).render(view)
    else:
        whole = Permit(edition=edition, area=None, pieces=(), mark="own")
        picture = services.engine.map(edition, services.engine.style(edition, None), view, whole)
    return encode(picture, PNG)


def legend_by(services: Services, edition: Edition, symbols: str | None, language: str) -> bytes:
    return encode(legend(replace(edition, symbols=symbols), "", config=services.settings.config, language=language), PNG)


def values_of(services: Services, edition: Edition, table: str, field: str) -> list:
    """All values of an attribute. Raises OverlayInvalid where there is none of that name."""
    found = next((one for one in edition.classes if one.name == table), None)
    if found is None:
        raise OverlayInvalid("symbols-no-table", choices=", ".join(one.name for one in edition.classes)[:300])
    if field not in found.fields:
        raise OverlayInvalid("symbols-no-field", field=field, choices=", ".join(found.fields)[:300])
    return list(_values(services, edition, FeatureQuery(table=found, fields=(field,)), field))


def _values(services: Services, edition: Edition, query: FeatureQuery, field: str) -> Iterator:
    for batch in services.features.batches(edition, query, 5000):
        yield from batch.columns[field]


def _grown(bounds: Bounds, size: tuple[int, int]) -> Bounds:
    """A little wider, in the shape of the picture, and never nothing."""
    width, height = max(bounds.width, 1e-3 * max(map(abs, bounds)), 1e-6), max(bounds.height, 1e-3 * max(map(abs, bounds)), 1e-6)
    width, height = max(width, height * size[0] / size[1]) * (1 + 2 * AROUND), max(height, width * size[1] / size[0]) * (1 + 2 * AROUND)
    x, y = (bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2
    return Bounds(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
