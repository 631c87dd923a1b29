"""Fixtures of this room; what they are made of is in small_world.py."""

import pytest
from small_world import SmallGazetteer


@pytest.fixture
def gazetteer() -> SmallGazetteer:
    return SmallGazetteer()
