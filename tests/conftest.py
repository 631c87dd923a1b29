"""What every room's tests share."""

from pathlib import Path

import pytest
from databases import emptied, postgresql

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-requests", type=int, default=None, help="requests of each fuzz of features: 10000 and more for a long look")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that drive real clients first: they are long, and with several processes nothing long should begin last."""
    long = {item.path for item in items if item.get_closest_marker("client")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def config_folder() -> Path:
    """The project's own config/: data, no code."""
    return ROOT / "config"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real trial data beside the project; a test that needs it is skipped, with this reason, on a machine that has none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no trial data: ../shared/data is absent on this machine")
    return folder


@pytest.fixture(scope="session")
def postgresql_server():
    """The address of a PostgreSQL database for all tests; skips, with the reason, where there is none."""
    with postgresql() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server):
    """The address of an empty PostgreSQL database: whatever an earlier test has left in it is gone."""
    emptied(postgresql_server)
    return postgresql_server
