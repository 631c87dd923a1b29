"""Settings -> Services: everything that lives as long as a worker, put together once. No logic."""

from dataclasses import dataclass
from datetime import timedelta

import flask
import sqlalchemy

from agreements.register import AgreementRegister, SqlRegister
from geoserver_app.audit.store import anchored_log
from geoserver_app.clock import now
from geoserver_app.contributions import ContributionBook
from geoserver_app.database import connect
from geoserver_app.decision_log import DecisionLog
from geoserver_app.features.ids import FeatureIds
from geoserver_app.gate import Gate
from geoserver_app.lane import TileServer
from geoserver_app.layer_facts import layer_facts
from geoserver_app.metering.files import FileLedgers
from geoserver_app.metering.meter import Meter
from geoserver_app.metering.tables import SqlLedgers
from geoserver_app.overlays.fetching import CredentialBook, Fetcher, HostBook
from geoserver_app.people.accounts import Accounts
from geoserver_app.people.guessing import BadKeys, instance_secret
from geoserver_app.settings import Settings
from layers.catalogue import Catalogue, SqlCatalogue
from layers.features import FeatureStore, GeoPackageStore, PostgisStore
from tiles.engine import Engine
from tiles.vector.making import TileMaker
from tiles.vector.shelf import TileShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    settings: Settings
    database: sqlalchemy.Engine
    catalogue: Catalogue
    register: AgreementRegister
    engine: Engine
    features: FeatureStore
    log: DecisionLog
    gate: Gate
    meter: Meter
    tiles: TileServer
    accounts: Accounts
    bad_keys: BadKeys
    feature_ids: FeatureIds
    door: Fetcher

    @property
    def book(self) -> ContributionBook:
        """What agencies gave back."""
        return ContributionBook(self.database, self.register, self.log, self.gate.clock)


def wire(settings: Settings) -> Services:
    """The real parts: one database, one store, one shared cache, one decision log."""
    database = connect(settings.database_url)
    catalogue = SqlCatalogue(database)
    register = SqlRegister(database, emergency=timedelta(hours=settings.emergency_hours), layers=lambda: layer_facts(catalogue))
    log = anchored_log(settings, database)
    secret = instance_secret(settings.data / "instance-secret")
    door = Fetcher(HostBook(database, now), CredentialBook(database, secret, now))
    engine, meter = Engine(settings.store, settings.cache, settings.config, door=door), meter_of(settings, database)
    gate = Gate(
        register, catalogue, log, base_url=settings.public_base_url, names_written=engine.names_written, recheck=settings.recheck_seconds,
        trust=settings.trust_seconds, skew=settings.clock_skew_seconds, trusted_proxies=frozenset(settings.trusted_proxies.split()),
        meter=meter,
    )
    accounts = Accounts(
        database, secret, idle=timedelta(minutes=settings.session_idle_minutes), longest=timedelta(hours=settings.session_hours),
    )
    features, feature_ids = feature_store(settings), FeatureIds(secret)
    shelf = TileShelf(TileMaker(features, settings.store, settings.config, feature_ids.numbers), settings.cache, engine.storing)
    return Services(
        settings=settings, database=database, catalogue=catalogue, register=register, engine=engine, log=log, gate=gate, meter=meter,
        features=features, tiles=TileServer(gate, engine, log, shelf), accounts=accounts,
        bad_keys=BadKeys(settings.data / "bad-keys", secret), feature_ids=feature_ids, door=door,
    )


def feature_store(settings: Settings) -> FeatureStore:
    """Files of the store, or copies of them in PostGIS."""
    files = GeoPackageStore(settings.store)
    return PostgisStore(settings.features_url, files) if settings.features_url else files


def meter_of(settings: Settings, database: sqlalchemy.Engine) -> Meter:
    """What counts quotas, over counters of this machine or of all hosts on one database."""
    return Meter(SqlLedgers(database) if settings.quota_store == "database" else FileLedgers(settings.metering))


def services() -> Services:
    """The services of the application that answers the current request."""
    return flask.current_app.extensions["geoshare"]
