"""Fixtures that every part shares: generated films, made once a session, and homes of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from restar.settings import Settings
from tests.films import make_film, scenes_film


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
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of four scenes (frames 0-20-44-66-84) with AAC sound; treat it as read-only."""
    return scenes_film(tmp_path_factory.mktemp("scenes") / "scenes.mp4")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation in an empty folder, whatever RESTAR_* variables say."""
    return Settings(home=tmp_path / "home", agent="tester", database="", store=None)
