"""A world of its own for each test of agents, on the database that it asks for."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import restorers
from catalog import open_catalog
from tests.flows.fakes import plug_in
from tests.flows.world import World, framemd5
from tests.postgres import DATABASES
from tests.s3 import network, s3_server

__all__ = ["network", "s3_server"]


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated catalog's file, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "catalog.sqlite"
    open_catalog(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=[DATABASES[1]])
def database(request: pytest.FixtureRequest) -> str:
    """PostgreSQL; tests of claim, fence and commit ask for both."""
    return str(request.param)


@pytest.fixture
def world(
    database: str,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    """An installation with a film of four scenes; its processes are gone afterwards."""
    monkeypatch.setattr(restorers, "load_plugin", plug_in(restorers.load_plugin))
    if database == "sqlite":
        (tmp_path / "home").mkdir()
        path = tmp_path / "home" / "catalog.sqlite"
        shutil.copyfile(request.getfixturevalue("empty_sqlite"), path)
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres").migrated()
    made = World(tmp_path, url, scenes)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def frames(scenes: Path) -> list[bytes]:
    """The MD5 of every frame of the film: what an undisturbed run's master holds."""
    return framemd5(scenes)
