"""The shelf of vector tiles, made anew in a process that has no application: what seeding hands to its workers."""

from dataclasses import dataclass, field
from pathlib import Path

from geoserver_app.features.ids import FeatureIds
from geoserver_app.people.guessing import instance_secret
from geoserver_app.settings import Settings
from layers.features import GeoPackageStore, PostgisStore
from tiles.engine import Engine
from tiles.vector.making import TileMaker
from tiles.vector.shelf import TileShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfMaker:
    """Where it all lies; no secret travels with it but in the address of the store, which is not shown."""

    store: Path
    cache: Path
    config: Path
    secret: Path
    features_url: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "ShelfMaker":
        return cls(
            store=settings.store, cache=settings.cache, config=settings.config, secret=settings.data / "instance-secret",
            features_url=settings.features_url or "",
        )

    def __call__(self, engine: Engine) -> TileShelf:
        files = GeoPackageStore(self.store)
        features = PostgisStore(self.features_url, files) if self.features_url else files
        ids = FeatureIds(instance_secret(self.secret))
        return TileShelf(TileMaker(features, self.store, self.config, ids.numbers), self.cache, engine.storing)
