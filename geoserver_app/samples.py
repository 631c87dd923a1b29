"""The sample agreements of config/agreements and their 22 parties, put into an instance that has the divisions and layers of the demo."""

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

from agreements.model import Agency, Agreement
from agreements.register import AgreementRegister
from geoserver_app.registering import read_agreements, rehearse
from layers.catalogue import Catalogue


def sample_parties(config: Path) -> list[Mapping[str, str]]:
    """The rows of config/agencies.yaml: id, names, and app and purpose of the key that the demo issues."""
    return YAML(typ="safe").load((config / "agencies.yaml").read_text("utf-8"))["agencies"]


def add_parties(register: AgreementRegister, parties: list[Mapping[str, str]]) -> None:
    """Registers those that are not there yet."""
    known = {agency.agency_id for agency in register.agencies()}
    for party in parties:
        if party["id"] not in known:
            register.add_agency(Agency(agency_id=party["id"], name_zh=party["name_zh"], name_en=party["name_en"]))


def load_samples(catalogue: Catalogue, register: AgreementRegister, config: Path) -> list[Agreement]:
    """All sample agreements in force, with their parties; those that are registered already stay as they are.

    Raises
    ------
    DocumentsInvalid
        With every fault of every document, above all places that this instance's divisions do not have; nothing is registered then.
    """
    documents = read_agreements(catalogue, sorted((config / "agreements").glob("*.yaml")))
    add_parties(register, sample_parties(config))
    rehearse(register, documents)
    for agreement, text in documents:
        register.register(agreement, text)
    return [agreement for agreement, _ in documents]
