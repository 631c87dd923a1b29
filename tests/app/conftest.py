"""Fixtures of the service's tests: a fresh house a test, or one for a whole module."""

import pytest
from houses import House, build_house


@pytest.fixture
def house(tmp_path) -> House:
    return build_house(tmp_path)


@pytest.fixture(scope="module")
def lasting_house(tmp_path_factory) -> House:
    """One house for a whole module, where building its layers is dear."""
    return build_house(tmp_path_factory.mktemp("house"))
