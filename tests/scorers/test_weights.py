"""Metrics that want weights: which files, where they go, that they are read and used, or what is wrong.

In a process of its own, since torch and pyiqa look where the environment says when they are imported.
ILNIQE, MANIQA and CLIP-IQA have no stand-ins: the first is too slow for a test, the second's backbone is
half a gigabyte, and the third's file is known by its hash.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from restar.errors import CheckpointError
from scorers import noreference, scorer
from tests.scorers.pairs import moving, scored

ROOT = Path(__file__).parents[2]
TRIED = ("lpips-to-source", "dists-to-source", "musiq", "topiq")
CODE = """
import json, sys
from pathlib import Path
from scorers import scorer
from tests.scorers.pairs import moving, scored
from tests.scorers.standins import put_standins

put_standins(Path(sys.argv[1]) / "torch", Path(sys.argv[1]) / "hf" / "hub")
(picture,) = moving(1, size=(128, 96))
told = {}
for name in sys.argv[2:]:
    member = scorer(name)
    same, other = (scored(member, [picture], [p]).values for p in (picture, 1 - picture))
    told[name] = [same, other]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the metrics say with stand-ins for their weights: of the same picture, and of its negative."""
    home = tmp_path_factory.mktemp("weights")
    places = {"TORCH_HOME": str(home / "torch"), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, str(home), *TRIED],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **places}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", TRIED)
def test_its_files_are_found_read_and_used(told: dict[str, Any], name: str) -> None:
    (same,), (other,) = told[name]
    assert same != other
    if name.endswith("to-source"):
        assert same == pytest.approx(0, abs=1e-5)
        assert other > 0.01


@pytest.mark.parametrize("name", [*TRIED, "ilniqe", "maniqa", "clipiqa"])
def test_a_file_that_is_missing_is_named_with_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    noreference._network.cache_clear()
    (picture,) = moving(1)
    first = tmp_path / scorer(name).about.files[0]
    with pytest.raises(CheckpointError) as error:
        scored(scorer(name), [picture], [picture])
    assert f"put {first.name} in {first.parent}" in str(error.value)


def test_another_file_in_clips_place_is_refused_and_nothing_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    noreference._network.cache_clear()
    path = tmp_path / "hub" / "clip" / "RN50.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another model")
    (picture,) = moving(1)
    with pytest.raises(CheckpointError, match=r"RN50.pt: not the file"):
        scored(scorer("clipiqa"), [picture], [picture])
    assert path.read_bytes() == b"another model"
