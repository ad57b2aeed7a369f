"""The gate: a film of every kind goes the whole way with `identity` and nothing of it is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.roundtrip import round_trip
from tests.kinds import KINDS, MADE


@pytest.mark.parametrize("name", [*KINDS, *MADE])
def test_a_film_of_any_kind_comes_back(kind: Callable[[str], Path], name: str) -> None:
    checks = round_trip(kind(name))
    assert [check for check in checks if not check.equal] == []
    assert {"frames", "pixels", "PTS", "file restar-timeline.json"} <= {c.name for c in checks}
