"""`restar train --eval`, as a user would run it: tables, a CSV file, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.star_tiny_data import write_clip
from cli.app import app
from cli.evaluate import Row, tables
from star.tinymodel import TinyStar, save_tiny

run = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Fresh weights, whose exit is zero, and one held-out clip of two frames."""
    torch.manual_seed(0)
    (tmp_path / "run").mkdir()
    save_tiny(TinyStar(), tmp_path / "run" / "weights.safetensors", {"steps": 0}, torch.float16)
    clip = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    write_clip(tmp_path / "held" / "clean-x4" / "gt" / "noise.mkv", clip)
    write_clip(tmp_path / "held" / "clean-x4" / "lq" / "noise.mkv", clip[:, ::4, ::4])
    path = tmp_path / "run.toml"
    path.write_text(
        "folder = 'run'\nheld = 'held'\n[model]\nkind = 'star-tiny'\n[data]\nphotos = ['photos']\n"
        "[run]\nsteps = 1\n",
        "utf-8",
    )
    return path


def test_held_out_clips_are_measured_in_every_way(config: Path) -> None:
    found = run.invoke(app, ["train", str(config), "--eval"])
    assert found.exit_code == 0, found.output
    assert "| clean-x4 | 1 |" in found.output
    with (config.parent / "run" / "eval.csv").open(encoding="utf-8") as file:
        rows = {row["way"]: row for row in csv.DictReader(file)}
    assert list(rows) == [
        "1 step", "4 steps", "4 steps, another seed", "prompt without levels", "noise 0 said",
        "noise 9 said", "without control", "without unet", "without liem", "Lanczos",
    ]  # fmt: skip
    # The exit of fresh weights is zero, so what is measured in one step is the bicubic enlargement.
    assert float(rows["without control"]["moved"]) == 0
    assert abs(float(rows["1 step"]["psnr"])) < 1
    assert float(rows["Lanczos"]["psnr"]) == 0
    assert float(rows["4 steps"]["moved"]) > float(rows["1 step"]["moved"])


def test_without_held_out_clips_it_says_what_to_write(config: Path) -> None:
    config.write_text(config.read_text("utf-8").replace("held = 'held'\n", ""), "utf-8")
    found = run.invoke(app, ["train", str(config), "--eval"])
    assert found.exit_code != 0
    assert "write `held`" in str(found.exception or found.output)


def test_weights_are_for_measuring(config: Path) -> None:
    found = run.invoke(app, ["train", str(config), "--weights", "some.safetensors"])
    assert found.exit_code != 0
    assert "model.weights" in str(found.exception or found.output)


def test_the_worst_clip_is_named() -> None:
    rows = [
        Row("clean-x4", name, "1 step", gain, 0.01, 0.9, 1.0, 0.0, 0.5)
        for name, gain in (("sky", 1.0), ("grass", -0.25))
    ]
    assert "| clean-x4 | 2 | +0.38 dB | -0.25 (grass) | +0.0100 | -10 % | 0.50 |" in tables(rows)
