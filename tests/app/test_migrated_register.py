"""A register of the first shape, brought to the present one: it says the same as before, and has a history."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import shapely
import sqlalchemy as sa
from alembic import command

from agreements.areas import area_on_the_ground, to_wkb
from agreements.life.lifecycle import Actor, Role
from agreements.model import Agency, Operation, ScaleWindow, State, Term
from agreements.register import SqlRegister
from geoserver_app.clock import SHANGHAI
from geoserver_app.database import alembic_config, connect, migrate
from geoserver_app.settings import Settings

GROUND = area_on_the_ground(shapely.box(118, 32, 119, 33), "test")
THEN = datetime(2026, 3, 1, 4, 5, 6, 789012, tzinfo=UTC)

COMPILED = {
    "title": "与省水利厅共享协议", "grantor": "bureau", "grantee": "water", "term": ["2025-12-31T16:00:00+00:00", None], "contact": "the office",
    "purpose": "flood", "credit": "Bureau", "basis": ["notice 3"], "contributions": [{"dataset": "水闸"}], "suspensions": [],
    "grants": [{
        "clause": "3.1", "layers": ["dom"], "operations": ["GetMap"], "area": {"digest": GROUND.digest, "title": "test", "words": "{}"},
        "scale": [5000.0, None], "term": [None, "2026-12-31T16:00:00+00:00"], "formats": ["image/png"], "crs": None, "styles": None, "attributes": [],
    }],
}


@pytest.fixture
def first_shape(tmp_path):
    """A database as the first version of this service left it."""
    settings = Settings.at(tmp_path / "var")
    settings.data.mkdir()
    command.upgrade(alembic_config(settings.database_url), "0001")
    engine = connect(settings.database_url)
    compiled, moment = sa.bindparam("compiled", type_=sa.JSON()), sa.bindparam("then", type_=sa.DateTime(timezone=True))
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO agencies VALUES ('water', '省水利厅', 'Water', true), ('police', '省公安厅', 'Police', false)"))
        connection.execute(sa.text("INSERT INTO agreement_areas VALUES (:digest, :ground)"), {"digest": GROUND.digest, "ground": to_wkb(GROUND.geometry)})
        for version in (1, 2):
            connection.execute(
                sa.text("INSERT INTO agreements VALUES ('AG-1', :version, 'active', 'bureau', 'water', 'the text', :compiled, :then)").bindparams(
                    compiled, moment), {"version": version, "compiled": COMPILED, "then": THEN},
            )
        connection.execute(sa.text("""
            INSERT INTO agency_keys VALUES ('k_1', 'water', 'aa', 'QGIS', :then, NULL, NULL), ('k_2', 'water', 'bb', '', :then, :then, :then)
        """).bindparams(moment), {"then": THEN})
        connection.execute(sa.text("""
            INSERT INTO suspensions VALUES (1, 'AG-1', 'flood', :then, NULL, NULL, :layers, 'null'), (2, 'AG-1', 'leak', :then, :then, :then, 'null', 'null')
        """).bindparams(moment), {"then": THEN, "layers": json.dumps(["dem"])})
        connection.execute(sa.text("INSERT INTO register_epoch VALUES (1, 9)"))
    yield settings, engine
    engine.dispose()


def test_it_says_what_it_said(first_shape):
    settings, engine = first_shape
    command.upgrade(alembic_config(settings.database_url), "head")
    register = SqlRegister(engine)
    snapshot = register.snapshot()
    assert snapshot.epoch == register.epoch() == 9
    held, = (one for one in snapshot.agreements["water"] if one.version == 2)
    assert (held.title, held.credit, held.state, held.record.contributions) == ("与省水利厅共享协议", "Bureau", State.ACTIVE, ())
    assert held.term == Term(start=datetime(2026, 1, 1, tzinfo=SHANGHAI))
    (clause,) = held.grants
    assert (clause.scale, clause.operations, clause.attributes) == (ScaleWindow(finest=5000), {Operation.GET_MAP}, frozenset())
    assert clause.area == GROUND and clause.products == frozenset() and clause.networks is None
    assert [(one.reason, one.layers, one.until) for one in held.suspensions] == [("flood", {"dem"}, None), ("leak", None, THEN.astimezone(SHANGHAI))]
    assert {key.key_id: (key.revoked is None, key.networks, key.app) for key in snapshot.keys.values()} == {"k_1": (True, None, ""), "k_2": (False, None, "")}
    assert register.document("AG-1") == "the text"


def test_it_has_a_history_that_holds_and_goes_on(first_shape):
    settings, engine = first_shape
    command.upgrade(alembic_config(settings.database_url), "head")
    register = SqlRegister(engine)
    assert register.faults() == ()
    assert [(event.action, event.version, event.at) for event in register.history("AG-1") if event.kind == "agreement"] == [
        ("import", 1, THEN.astimezone(SHANGHAI)), ("import", 2, THEN.astimezone(SHANGHAI)),
    ]
    assert register.as_of(THEN.astimezone(SHANGHAI)) == register.snapshot()
    register.move("AG-1", 2, "terminate", Actor(login="otis", roles=frozenset({Role.ADMINISTRATOR})), comment="over")
    register.resume("AG-1")
    assert register.epoch() == 11 and register.faults() == () == SqlRegister(engine).faults()
    assert [one.state for one in SqlRegister(engine).list()] == [State.ACTIVE, State.TERMINATED]


def test_an_edit_by_hand_before_it_was_opened_again_is_found(first_shape):
    settings, engine = first_shape
    command.upgrade(alembic_config(settings.database_url), "head")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE agencies SET is_active = true WHERE agency_id = 'police'"))
    assert SqlRegister(engine).faults() == ("agency police: its row was altered",)


def test_going_back_leaves_what_was_there(first_shape):
    settings, engine = first_shape
    config = alembic_config(settings.database_url)
    before = _everything(engine)
    command.upgrade(config, "head")
    command.downgrade(config, "0001")
    assert _everything(engine) == before
    command.upgrade(config, "head")
    assert SqlRegister(engine).faults() == ()


def test_all_migrations_go_there_and_back_on_postgresql(postgresql_url, tmp_path):
    settings = Settings.at(tmp_path / "var", database_url=postgresql_url)
    migrate(settings)
    engine = connect(postgresql_url)
    try:
        register = SqlRegister(engine)
        register.add_agency(Agency(agency_id="water", name_zh="省水利厅", name_en="Water"))
        key, _ = register.issue_key("water", networks=frozenset({"10.0.0.0/8"}))
        assert SqlRegister(engine).snapshot().keys == {key.digest: key} and register.faults() == ()
        command.downgrade(alembic_config(postgresql_url), "0001")
        command.upgrade(alembic_config(postgresql_url), "head")
        (held,) = SqlRegister(engine).snapshot().keys.values()
        assert held == replace(key, networks=None)                          # the first shape had no room for it
        assert SqlRegister(engine).faults() == ()
    finally:
        command.downgrade(alembic_config(postgresql_url), "base")
        engine.dispose()


def _everything(engine) -> dict:
    with engine.connect() as connection:
        return {
            table: sorted(map(str, connection.execute(sa.text(f"SELECT * FROM {table}"))))
            for table in ("agencies", "agency_keys", "agreements", "agreement_areas", "suspensions", "register_epoch")
        }
