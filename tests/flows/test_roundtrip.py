"""The gate: a film of every kind goes the whole way with `identity` and nothing of it is lost."""

from pathlib import Path

import pytest

from flows.roundtrip import round_trip
from tests.kinds import KINDS, MADE, make_kind


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


@pytest.mark.parametrize("name", [*KINDS, *MADE])
def test_a_film_of_any_kind_comes_back(folder: Path, name: str) -> None:
    checks = round_trip(make_kind(folder, name))
    assert [check for check in checks if not check.equal] == []
    assert {"frames", "pixels", "PTS", "file restar-timeline.json"} <= {c.name for c in checks}
