"""A furnished house, made once for all tests of the room; those that decide get a copy of its catalog."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from restar.settings import Settings
from review.app import create_app
from tasks.house import House, open_house
from tests.review.world import furnish, make_proxies


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home of a house with a restored film, and its restoration's id."""
    home = tmp_path_factory.mktemp("archive")
    with open_house(Settings(home=home, agent="tester", threads=1)) as house:
        restoration = furnish(house, home)
        make_proxies(house, restoration, 1)
    return home, restoration


@pytest.fixture
def home(furnished: tuple[Path, str], tmp_path: Path) -> Path:
    """A home with a catalog of the test's own, over the furnished one's files."""
    shutil.copyfile(furnished[0] / "catalog.sqlite", tmp_path / "catalog.sqlite")
    return tmp_path


@pytest.fixture
def house(furnished: tuple[Path, str], home: Path) -> Iterator[House]:
    settings = Settings(home=home, store=str(furnished[0] / "store"), agent="tester", threads=1)
    with open_house(settings) as opened:
        yield opened


@pytest.fixture
def rid(furnished: tuple[Path, str]) -> str:
    """The restoration that is looked at."""
    return furnished[1]


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with TestClient(create_app(house), base_url="http://127.0.0.1:8765") as one:
        one.headers["accept"] = "text/html"
        yield one
