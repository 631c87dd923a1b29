"""A boundary that is issued anew changes no agreement: it makes a task with the difference, until somebody has decided."""

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import shapely
from click.testing import CliRunner

from agreements.areas import area_of
from agreements.decision import decide
from agreements.errors import MoveRefused
from agreements.life.lifecycle import Action, Actor, Role
from agreements.model import BUREAU, Agency, Agreement, Grant, Operation, OverlayRequest, Suspension, Term
from agreements.register import InMemoryRegister
from geoserver_app.boundaries import boundary_changes, boundary_tasks, changes_of, keeping, outlines, told
from geoserver_app.cli import main
from geoserver_app.clock import SHANGHAI
from geoserver_app.registering import CatalogueGazetteer
from layers.catalogue import Division, InMemoryCatalogue
from layers.crs import geodesic_km2

NOON = datetime(2026, 11, 23, 12, tzinfo=SHANGHAI)
OTIS = Actor(login="otis", roles=frozenset({Role.ADMINISTRATOR}))


def box(west, east):
    return shapely.box(west, 32.0, east, 32.1)


def km2(west, east):
    return geodesic_km2(shapely.segmentize(box(west, east), 0.01))


OLD = {"320104": ("秦淮区", box(118.0, 118.5)), "320105": ("建邺区", box(118.5, 119.0)), "320107": ("下关区", box(119.0, 119.2))}


@pytest.fixture
def catalogue():
    made = InMemoryCatalogue()
    issue(made, "2011", OLD)
    return made


def issue(catalogue, vintage, divisions):
    catalogue.put_divisions(
        Division(vintage=vintage, code=code, name=name, level="county", geometry=geometry) for code, (name, geometry) in divisions.items()
    )


@pytest.fixture
def register():
    made = InMemoryRegister(lambda: NOON)
    made.add_agency(Agency(agency_id="water", name_zh="省水利厅", name_en="Water"))
    return made


def agreement(catalogue, *areas, version=1, **terms):
    grants = tuple(
        Grant(clause=f"3.{n}", layers=frozenset({"dom"}), operations=frozenset({Operation.GET_MAP}), area=area_of(spec, CatalogueGazetteer(catalogue)))
        for n, spec in enumerate(areas, 1)
    )
    return Agreement(**{
        "agreement_id": "AG-1", "version": version, "title": "共享协议", "grantor": BUREAU, "grantee": "water",
        "term": Term(start=datetime(2020, 1, 1, tzinfo=SHANGHAI)), "grants": grants, **terms,
    })


def changes(catalogue, register):
    return boundary_changes(catalogue, register, NOON)


def test_nothing_waits_as_long_as_no_boundary_is_newer(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    assert changes(catalogue, register) == ()


def test_a_newer_boundary_is_told_with_what_is_gained_and_lost_and_changes_nothing(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    asked = OverlayRequest(agency="water", layer="dom", edition="2011", owner=BUREAU, operation=Operation.GET_MAP, at=NOON)
    before = decide(asked, register.snapshot().agreements["water"])
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    (one,) = changes(catalogue, register)
    assert (one.code, one.vintage, one.newer, one.clauses, one.is_gone) == ("320104", "2011", "2024", ("3.1",), False)
    assert math.isclose(one.gained.km2, km2(118.5, 118.7), rel_tol=1e-6) and math.isclose(one.lost.km2, km2(118.0, 118.1), rel_tol=1e-6)
    assert math.isclose(one.unchanged.km2, km2(118.1, 118.5), rel_tol=1e-6)
    assert decide(asked, register.snapshot().agreements["water"]).area == before.area


def test_a_newer_boundary_that_is_the_same_is_no_task(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    issue(catalogue, "2024", OLD)
    assert changes(catalogue, register) == ()


def test_ground_that_goes_from_one_named_division_to_another_is_no_task(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104", "320105"]}), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.0, 118.6)), "320105": ("建邺区", box(118.6, 119.0))})
    assert changes(catalogue, register) == ()


def test_ground_that_other_words_of_the_area_hold_is_neither_gained_nor_lost(catalogue, register):
    drawn = {"geojson": json.loads(shapely.to_geojson(box(118.0, 118.3)))}
    register.register(agreement(catalogue, [{"divisions": ["320104"]}, drawn]), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.2, 118.6))})
    (one,) = changes(catalogue, register)
    assert not one.lost and math.isclose(one.gained.km2, km2(118.5, 118.6), rel_tol=1e-6)


def test_a_division_that_is_gone_is_told_with_what_stands_in_its_place(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320107", "320104"]}), "text")
    issue(catalogue, "2013", {**{code: OLD[code] for code in ("320104", "320105")}, "320106": ("鼓楼区", box(118.99, 119.3))})
    (one,) = changes(catalogue, register)
    assert (one.code, one.newer, one.is_gone, one.successors) == ("320107", "2013", True, (("320106", "鼓楼区"),))
    assert not one.gained and math.isclose(one.lost.km2, km2(119.0, 119.2), rel_tol=1e-6)
    assert "its code is gone, and 鼓楼区 (320106) stands in its place" in told(one, "en")
    assert "由鼓楼区 (320106)取代" in told(one, "zh")
    assert [name for name, _ in outlines(catalogue, one)] == ["下关区 2011", "鼓楼区 2013"]


def test_a_file_that_leaves_a_division_out_does_not_abolish_it(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320107"]}), "text")
    issue(catalogue, "2013", {"320104": OLD["320104"]})
    assert changes(catalogue, register) == ()


def test_an_area_that_names_its_vintage_waits_like_any_other(catalogue, register):
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    register.register(agreement(catalogue, {"divisions": ["320104"], "vintage": "2011"}), "text")
    assert [one.newer for one in changes(catalogue, register)] == ["2024"]
    assert changes_of(catalogue, agreement(catalogue, {"divisions": ["320104"]})) == ()


def test_an_area_from_before_vintages_were_kept_is_known_by_its_ground(catalogue, register):
    one = agreement(catalogue, {"divisions": ["320104"]})
    plain = replace(one.grants[0].area, words='{"divisions": ["320104"]}')
    register.register(replace(one, grants=(replace(one.grants[0], area=plain),)), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    assert [(change.vintage, change.newer) for change in changes(catalogue, register)] == [("2011", "2024")]


def test_areas_of_suspensions_are_looked_at_too(catalogue, register):
    stop = Suspension(reason="汛期", since=NOON - timedelta(days=1), area=area_of({"divisions": ["320105"]}, CatalogueGazetteer(catalogue)))
    register.register(agreement(catalogue, {"everywhere": True}, suspensions=(stop,)), "text")
    issue(catalogue, "2024", {"320105": ("建邺区", box(118.5, 118.8))})
    (one,) = changes(catalogue, register)
    assert (one.code, one.clauses) == ("320105", ())


def test_agreements_that_are_over_or_not_in_force_wait_for_nobody(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}, term=Term(end=NOON)), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    assert changes(catalogue, register) == ()


def test_an_amendment_with_the_newer_boundary_closes_the_task(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    assert len(changes(catalogue, register)) == 1
    later = Term(start=NOON + timedelta(days=30))
    register.register(agreement(catalogue, {"divisions": ["320104"]}, version=2, term=later), "text 2")
    assert changes(catalogue, register) == ()


def test_a_decision_to_keep_the_old_boundary_closes_the_task_until_a_still_newer_one(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    (one,) = changes(catalogue, register)
    register.move("AG-1", 1, Action.KEEP_BOUNDARY, OTIS, comment="until the flood plan is redrawn", detail=keeping(one))
    assert changes(catalogue, register) == ()
    event = register.history("AG-1")[-1]
    assert (event.action, event.detail) == ("boundary-kept", {"division": "320104", "vintage": "2011", "instead_of": "2024"})
    issue(catalogue, "2025", {"320104": ("秦淮区", box(118.1, 118.8))})
    assert [change.newer for change in changes(catalogue, register)] == ["2025"]


def test_a_decision_says_whose_boundary_is_kept_and_why_and_is_an_administrator_s(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    detail = {"division": "320104", "vintage": "2011", "instead_of": "2024"}
    dora = Actor(login="dora", roles=frozenset({Role.DATA_MANAGER}))
    for actor, comment, said, code in [
        (OTIS, "why", {"division": "320104"}, "boundary-not-named"), (OTIS, " ", detail, "comment-missing"), (dora, "why", detail, "role"),
    ]:
        with pytest.raises(MoveRefused) as refused:
            register.move("AG-1", 1, Action.KEEP_BOUNDARY, actor, comment=comment, detail=said)
        assert refused.value.code == code


def test_the_task_is_told_in_both_languages_to_those_who_can_do_something(catalogue, register):
    register.register(agreement(catalogue, {"divisions": ["320104"]}), "text")
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.0, 118.7))})
    (task,) = boundary_tasks(catalogue, register, NOON)
    assert (task.kind, task.agreement_id, task.roles) == ("boundary", "AG-1", {Role.ADMINISTRATOR, Role.DATA_MANAGER})
    gained = f"{km2(118.5, 118.7):,.3f}"
    assert f"{gained} km2 more, 0.000 km2 less" in task.en and f"增加 {gained} 平方千米" in task.zh
    assert task.detail["lost_km2"] == 0 and task.detail["newer"] == "2024"


def test_boundaries_are_compared_once_for_a_catalogue_as_it_is(catalogue, register, monkeypatch):
    from geoserver_app import boundaries

    one = agreement(catalogue, {"divisions": ["320104"]})
    issue(catalogue, "2024", {"320104": ("秦淮区", box(118.1, 118.7))})
    first = changes_of(catalogue, one)
    monkeypatch.setattr(boundaries, "_renewed", None)
    assert changes_of(catalogue, one) == first
    catalogue.put_divisions([])
    with pytest.raises(TypeError):
        changes_of(catalogue, one)


# At the shell

@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boundaries")
    environment = {"GEOSHARE_DATA": str(folder / "var"), "GEOSHARE_PORT": "8098", "COLUMNS": "200"}

    def types(*words, input=None, code=0):
        result = CliRunner().invoke(main, list(words), env=environment, input=input)
        assert result.exit_code == code, result.output
        return result.output

    types.folder = folder
    return types


def write(folder, name, divisions):
    features = [
        {"type": "Feature", "properties": {"code": code, "name": name_}, "geometry": json.loads(shapely.to_geojson(geometry))}
        for code, (name_, geometry) in divisions.items()
    ]
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False), "utf-8")
    return str(folder / name)


def test_an_administrator_sees_what_waits_draws_it_and_decides(shell):
    folder = shell.folder
    shell("division", "import", "--vintage", "2011", write(folder, "old.geojson", OLD))
    shell("agency", "add", "water", "--name-zh", "水利厅", "--name-en", "Water department")
    document = {
        "agreement": "AG-1", "version": 1, "title": "共享协议", "parties": {"grantor": "bureau", "grantee": "water"}, "term": {"from": "2020-01-01"},
        "contact": "data@bureau.test",
        "grants": [{"clause": "3.1", "layers": ["dem"], "operations": ["GetMap"], "area": {"divisions": ["320104"]}}],
    }
    (folder / "one.yaml").write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    shell("agreement", "register", str(folder / "one.yaml"))
    assert json.loads(shell("division", "changes", "--json")) == []
    shell("division", "import", "--vintage", "2024", write(folder, "new.geojson", {"320104": ("秦淮区", box(118.1, 118.7))}))
    assert shell("division", "vintages").split() == ["2011", "2024"]
    (row,) = json.loads(shell("division", "changes", "--json", "--picture", str(folder / "pictures")))
    assert (row["agreement"], row["code"], row["vintage"], row["newer"]) == ("AG-1", "320104", "2011", "2024")
    assert math.isclose(row["gained_km2"], km2(118.5, 118.7), abs_tol=0.001)
    assert (folder / "pictures" / "AG-1-320104-2024.svg").read_text("utf-8").startswith("<svg")
    assert any(task["kind"] == "boundary" for task in json.loads(shell("tasks", "--json")))
    assert "no boundary of `320105` waits" in shell("division", "keep", "AG-1", "320105", "--reason", "x", "--as", "otis", code=3)
    shell("person", "add", "otis", "--name", "Otis", "--role", "administrator", "--password-stdin", input="correct horse battery\n")
    said = shell("division", "keep", "AG-1", "320104", "--reason", "the plan", "--as", "otis", "--password-stdin", input="correct horse battery\n")
    assert "keeps 秦淮区 (320104) of 2011" in said
    assert json.loads(shell("division", "changes", "--json")) == []
    assert "boundary-kept" in shell("agreement", "history", "AG-1")
