"""The sample agreements: every one loads, and among them they use whatever an agreement can hold."""

from datetime import datetime

import pytest
import shapely

from agreements.decision import decide
from agreements.model import BUREAU, Agency, Effect, Operation, OverlayRequest
from agreements.register import InMemoryRegister
from geoserver_app.clock import SHANGHAI
from geoserver_app.model_county.plan import COUNTY_CODE, COUNTY_ZH, TOWNS
from geoserver_app.registering import DocumentsInvalid
from geoserver_app.samples import load_samples, sample_parties
from geoserver_app.settings import ROOT
from layers.catalogue import Division, InMemoryCatalogue

CONFIG = ROOT / "config"
NOW = datetime(2026, 11, 25, 12, tzinfo=SHANGHAI)
WEST, SOUTH, EAST, NORTH = 119.75, 32.03, 120.0, 32.17


@pytest.fixture(scope="module")
def catalogue() -> InMemoryCatalogue:
    """The divisions of the demo by their codes, as strips side by side."""
    width = (EAST - WEST) / len(TOWNS)
    strips = [shapely.box(WEST + i * width, SOUTH, WEST + (i + 1) * width, NORTH) for i in range(len(TOWNS))]
    catalogue = InMemoryCatalogue()
    catalogue.put_divisions([
        Division(vintage="2011", code=COUNTY_CODE, name=COUNTY_ZH, level="county", geometry=shapely.box(WEST, SOUTH, EAST, NORTH)),
        *(Division(vintage="2011", code=town.code, name=town.name_zh, level="town", geometry=s) for town, s in zip(TOWNS, strips, strict=True)),
    ])
    return catalogue


@pytest.fixture(scope="module")
def register(catalogue) -> InMemoryRegister:
    register = InMemoryRegister(clock=lambda: NOW)
    register.add_agency(Agency(agency_id=BUREAU, name_zh="样例省测绘局", name_en="Surveying Bureau (sample)"))
    load_samples(catalogue, register, CONFIG)
    return register


def test_twenty_two_departments_and_cities_have_an_agreement_with_the_bureau(register):
    with_the_bureau = {one.grantee for one in register.list() if one.grantor == BUREAU}
    assert len(with_the_bureau) == 22
    assert with_the_bureau < {party["id"] for party in sample_parties(CONFIG)}


def test_loading_them_again_changes_nothing(catalogue, register):
    epoch = register.epoch()
    load_samples(catalogue, register, CONFIG)
    assert register.epoch() == epoch


def test_an_instance_without_the_divisions_of_the_demo_takes_none_of_them():
    register = InMemoryRegister()
    with pytest.raises(DocumentsInvalid, match="329901"):
        load_samples(InMemoryCatalogue(), register, CONFIG)
    assert not register.list() and not register.agencies()


USED = {
    "products": lambda one, grant: grant.products, "editions": lambda one, grant: grant.editions, "degrade": lambda one, grant: grant.degrade,
    "resolution": lambda one, grant: grant.resolution.finest, "rows": lambda one, grant: grant.rows, "networks": lambda one, grant: grant.networks,
    "purposes": lambda one, grant: grant.purposes, "ceiling": lambda one, grant: grant.ceiling is not None, "crs": lambda one, grant: grant.crs,
    "formats": lambda one, grant: grant.formats, "styles": lambda one, grant: grant.styles, "attributes": lambda one, grant: grant.attributes,
    "quota": lambda one, grant: one.quota, "exports": lambda one, grant: one.quota.export_km2, "ground": lambda one, grant: len(one.quota.limits) > 1,
    "mark": lambda one, grant: one.mark, "parent": lambda one, grant: one.parent, "files": lambda one, grant: Operation.DOWNLOAD in grant.operations,
    "contributions": lambda one, grant: one.record.contributions, "a buffer": lambda one, grant: "buffer" in grant.area.words,
    "sheets": lambda one, grant: "sheets" in grant.area.words, "a drawn area": lambda one, grant: "geojson" in grant.area.words,
}


@pytest.mark.parametrize("what", USED)
def test_each_thing_that_an_agreement_can_hold_is_in_one_of_them(register, what):
    assert any(USED[what](one, grant) for one in register.list() for grant in one.grants)


def test_every_sample_says_who_the_parties_are_and_what_the_data_is_for(register):
    for one in register.list():
        assert {party.agency for party in one.record.parties} == {one.grantor, one.grantee}
        assert one.record.use.purposes and not one.record.use.internet and one.contact and one.credit


def test_the_contractor_sees_nothing_that_its_client_does_not(register):
    held = register.snapshot().agreements
    for scale in (1_000, 5_000, 50_000, 500_000):
        for layer, product in (("dom", "DOM"), ("dlg", "DLG"), ("dem", "DEM")):
            asked = {"layer": layer, "product": product, "edition": "2011", "owner": BUREAU, "operation": Operation.GET_MAP, "at": NOW, "scale_denominator": scale}
            below = decide(OverlayRequest(agency="highway-design", **asked), held["highway-design"])
            above = decide(OverlayRequest(agency="transport", **asked), held["transport"])
            if below.effect is not Effect.DENY:
                assert (below.area.geometry - above.area.geometry).area < 1e-9
    assert below.effect is Effect.DENY


def test_no_sample_holds_a_key():
    for path in (CONFIG / "agreements").glob("*.yaml"):
        assert "gsk_" not in path.read_text("utf-8")
