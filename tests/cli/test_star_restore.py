"""`restar restore` with STAR, as a user gives it: untrained, routed, short of memory, without weights."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import select

from catalog import open_catalog
from catalog.models import ModelLicenceRow, TakeRow
from media.format import VideoFormat
from restorers import restorer
from tests.cli.conftest import Restar
from tests.films import run_ffmpeg
from tests.flows.world import framemd5

ROOT = Path(__file__).parents[2]
REEL = ROOT / "samples" / "reel.mkv"
SIZES = {
    "network": {
        "base_channels": 8, "multipliers": [1, 2], "layers_per_level": 1, "attention_levels": 1,
        "head_dim": 8, "first_heads": 1, "text_dim": 32, "groups": 8, "dropout": 0.0,
        "liem_position": "after_norm",
    },
    "vae": {
        "in_channels": 3, "out_channels": 3, "block_out_channels": [32, 32, 32, 32],
        "down_block_types": ["DownEncoderBlock2D"] * 4, "layers_per_block": 1,
        "latent_channels": 4, "sample_size": 64, "scaling_factor": 0.18215,
    },
    "text": {"width": 32, "layers": 1, "heads": 2},
}  # fmt: skip
REST = """[prompt]
captioner = "fixed"
[score]
scorers = []
[deliver]
access = "none"
report = false
"""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RESTAR_STAR_DEVICE", "cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Twelve frames that move, clean."""
    path = tmp_path / "film.mkv"
    run_ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=48x32:r=24:d=0.5", "-c:v", "ffv1", str(path)])
    return path


def recipe(folder: Path, name: str, **options: Any) -> Path:
    given = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\n[[restore.steps]]\nuse = "star"\noptions = {{ {given} }}\n{REST}'
    )
    return path


def trial(restar: Restar, folder: Path, **options: Any) -> Path:
    """A recipe with untrained weights, which are made."""
    (folder / "small.json").write_text(json.dumps(SIZES))
    restar("weights", "init", "--as", "trial", "--config", folder / "small.json")
    quick = {"model": "trial", "scale": 1, "plan": "normal", "steps": 1, "guidance": 1.0}
    return recipe(folder, "untrained", **{**quick, **options})


def details(restar: Restar, film: Path) -> list[dict[str, Any]]:
    return [event["detail"] for event in restar("events", film, "--json").json]


def test_the_reel_by_an_untrained_model(restar: Restar, tmp_path: Path) -> None:
    """End to end over four scenes; the master is verified, and the weights are marked untrained."""
    chosen = trial(restar, tmp_path, window=16, overlap=1, decode_window=8, decode_overlap=1)
    answer = restar("restore", REEL, "--recipe", chosen, "--plain", "-o", tmp_path / "out")
    assert "untrained: what they restore is noise" in answer.err
    assert len(framemd5(answer.path)) == 240
    found = restar("status", REEL, "--json").json["films"][0]
    assert (found["scenes"], found["takes_done"], found["jobs"]["failed"]) == (4, 4, 0)


def test_a_second_run_gives_the_same_bytes_after_a_stop_in_the_middle(
    restar: Restar, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restorers.star import Star

    chosen = trial(restar, tmp_path, window=4, overlap=1)
    first = restar("restore", film, "--recipe", chosen, "--plain", "-o", tmp_path / "one").path
    monkeypatch.setenv("RESTAR_HOME", str(tmp_path / "other"))
    trial(restar, tmp_path, window=4, overlap=1)
    whole = Star.restore

    def stopped(self: Star, *given: Any) -> Iterator[Any]:
        for number, frame in enumerate(whole(self, *given)):
            if number == 7:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Star, "restore", stopped)
    answer = restar(
        "restore", film, "--recipe", chosen, "--plain", "-o", tmp_path / "two", fails=True
    )
    assert answer.status == 130
    monkeypatch.setattr(Star, "restore", whole)
    second = restar("restore", film, "--recipe", chosen, "--plain", "-o", tmp_path / "two").path
    assert framemd5(second) == framemd5(first)


def test_clean_film_at_x2_is_resized_where_that_is_wished(
    restar: Restar, film: Path, tmp_path: Path
) -> None:
    clean = recipe(tmp_path, "clean", model="star-tiny", scale=2, clean="resize")
    answer = restar("restore", film, "--recipe", clean, "--plain", "-o", tmp_path / "out")
    assert "scene 1 gets resize in place of star" in " ".join(answer.err.split())
    (told,) = [one for one in details(restar, film) if "instead" in one]
    assert (told["scene"], told["step"], told["instead"]) == (1, "star", "resize")
    plain = tmp_path / "plain.toml"
    plain.write_text(
        f'name = "plain"\n[[restore.steps]]\nuse = "resize"\noptions = {{ scale = 2 }}\n{REST}'
    )
    resized = restar("restore", film, "--recipe", plain, "--plain", "-o", tmp_path / "out").path
    assert framemd5(answer.path) == framemd5(resized)


def test_the_prompt_of_star_tiny_is_shown_and_can_be_turned(
    restar: Restar, film: Path, tmp_path: Path
) -> None:
    chosen = recipe(tmp_path, "tiny", model="star-tiny", scale=2)
    answer = restar("caption", film, "--recipe", chosen)
    shown = " ".join(answer.out.split())
    assert "film enlarged x2, noise" in shown
    assert "sharpness" in shown


def test_after_out_of_memory_the_scene_gets_a_smaller_window(
    restar: Restar, film: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restorers.star import Star

    chosen = trial(restar, tmp_path, scale=2)
    windows: list[int] = []
    whole = Star.restore

    def short_of_memory(self: Star, frames: Any, context: Any) -> Iterator[Any]:
        windows.append(context.step.options["window"])
        if len(windows) == 1:
            raise MemoryError("80 GiB wanted")
        yield from whole(self, frames, context)

    monkeypatch.setattr(Star, "restore", short_of_memory)
    restar("restore", film, "--recipe", chosen, "--plain", "-o", tmp_path / "out")
    assert windows[0] == 32
    assert len(windows) == 2
    assert windows[1] < 32
    (told,) = [one for one in details(restar, film) if "out of memory" in str(one.get("reason"))]
    assert told["before"]["0"]["window"] == 32
    assert told["after"]["0"]["window"] == windows[1]
    again = restar(
        "restore", film, "--recipe", chosen, "--plain", "-o", tmp_path / "out", "--force"
    )
    assert len(framemd5(again.path)) == 12
    assert len(windows) == 2, "a rebuild replays what was recorded"

    other = tmp_path / "other.mkv"
    run_ffmpeg(["-f", "lavfi", "-i", "smptebars=s=48x32:r=24:d=0.25", "-c:v", "ffv1", str(other)])
    restar("restore", other, "--recipe", chosen, "--plain", "-o", tmp_path / "out")
    assert windows[2] == windows[1], "the next film of that size does not fail first"
    with open_catalog(f"sqlite:///{home / 'catalog.sqlite'}") as catalog, catalog.read() as session:
        for take in session.scalars(select(TakeRow)):
            licence = session.get_one(ModelLicenceRow, take.spec["steps"][0]["model_sha256"])
            assert licence.name == "trial"


def test_auto_is_answered_once_a_restoration(
    restar: Restar, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another memory limit on the day of a second run changes nothing that was begun."""
    chosen = trial(restar, tmp_path)
    restore = ("restore", film, "--recipe", chosen, "--plain", "-o", tmp_path / "out")
    restar(*restore)
    before = restar("status", film, "--json").json
    monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", "300")
    options = {"model": "trial", "scale": 1, "plan": "normal", "guidance": 1.0}
    other = recipe(tmp_path, "other", **options, steps=2)
    refused = restar("restore", film, "--recipe", other, "-o", tmp_path, "--plain", fails=True)
    whole = re.search(r"takes about (\d+) MiB in windows of 32", " ".join(refused.err.split()))
    assert whole is not None
    monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", whole[1])  # what is over a MiB no longer fits
    step = restorer("star").resolve({**options, "steps": 1}, VideoFormat(48, 32, "yuv420p"))
    assert step.options["window"] < 32  # what would be answered today
    restar(*restore, "--force")
    after = restar("status", film, "--json").json
    assert before["films"][0]["jobs"]["done"] == after["films"][0]["jobs"]["done"]


def test_weights_that_are_missing_are_named(restar: Restar, film: Path, tmp_path: Path) -> None:
    for name in ("star-light", "star-heavy", "star-reference"):
        answer = restar("restore", film, "--recipe", name, "-o", tmp_path, "--plain", fails=True)
        assert answer.status == 7
        said = " ".join(answer.err.split())
        assert "lacks weights: " in said
        assert "restar weights fetch clip-h-text --accept-licence" in said
    assert not list(tmp_path.glob("*.mkv")) or list(tmp_path.glob("*.mkv")) == [film]


def test_preview_tells_what_a_restoration_would(
    restar: Restar, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restorers.star import Star

    told: list[str] = []
    whole = Star.restore

    def noted(self: Star, frames: Any, context: Any) -> Iterator[Any]:
        told.append(context.prompt)
        return whole(self, frames, context)

    monkeypatch.setattr(Star, "restore", noted)
    chosen = recipe(tmp_path, "tiny", model="star-tiny", scale=2, clean="restore")
    answer = restar("preview", film, "--recipe", chosen, "-o", tmp_path)
    assert answer.path.is_file()
    assert told[0].startswith("film enlarged x2, noise ")


def test_recipes_are_listed_and_the_reference_alone_beautifies(restar: Restar) -> None:
    from restar.recipe import built_in_recipes

    found = {one.name: one for one in built_in_recipes()}
    assert {"star-tiny", "star-light", "star-heavy", "star-reference"} <= set(found)
    for name, one in found.items():
        beautifies = "skin pore" in (one.prompt.template or "")
        assert beautifies == (name == "star-reference")
    assert "star-tiny" in restar("recipes").out
