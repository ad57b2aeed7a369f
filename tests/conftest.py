"""Fixtures that every part shares: generated films, made once a session, and homes of their own."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from restar.settings import Settings
from tests.films import make_film, scenes_film
from tests.kinds import make_kind
from tests.postgres import postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a generated film by its name in `tests.films.FILMS`; treat it as read-only."""
    folder = tmp_path_factory.mktemp("films")
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = make_film(folder, name)
        return made[name]

    return get


@pytest.fixture(scope="session")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a film of an odd kind by its name in `tests.kinds`; treat it as read-only."""
    folder = tmp_path_factory.mktemp("kinds")
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = make_kind(folder, name)
        return made[name]

    return get


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of four scenes (frames 0-20-44-66-84) with AAC sound; treat it as read-only."""
    return scenes_film(tmp_path_factory.mktemp("scenes") / "scenes.mp4")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation in an empty folder, whatever RESTAR_* variables say."""
    return Settings(home=tmp_path / "home", agent="tester", database="", store=None)


# Tests that may be skipped where RESTAR_NO_SKIPS is set (in CI): none.
MAY_SKIP: frozenset[str] = frozenset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped has failed: what is missing there must be installed."""
    report = yield
    if report.skipped and os.environ.get("RESTAR_NO_SKIPS") and item.nodeid not in MAY_SKIP:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
