"""Pairs of a manifest: read as listed, refused by the line that is wrong."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.star_tiny_data import write_clip
from restar.errors import UsageError
from training.config import DataConfig
from training.data import Samples
from training.pairs import frames_of, listed_pairs


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 3 frames, its quarter, and a quarter that is too short."""
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    large = random.integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    write_clip(folder / "large.mkv", large)
    write_clip(folder / "small.mkv", large[:, ::4, ::4])
    write_clip(folder / "short.mkv", large[:2, ::4, ::4])
    return folder


def listed(clips: Path, tmp_path: Path, text: str) -> Path:
    manifest = tmp_path / "clips.csv"
    manifest.write_text(text.replace("@", f"{clips}/"), "utf-8")
    return manifest


def test_a_clip_is_written_and_read_without_loss(clips: Path) -> None:
    whole = frames_of(clips / "large.mkv", 0, 3)
    assert np.array_equal(frames_of(clips / "small.mkv", 0, 3), whole[:, ::4, ::4])
    assert np.array_equal(frames_of(clips / "large.mkv", 1, 1), whole[1:2])


def test_a_manifest_gives_clip_twin_and_text(clips: Path, tmp_path: Path) -> None:
    told = "gt,lq,text\n@large.mkv,@small.mkv,a street\n@large.mkv,,\n"
    both, alone = listed_pairs(listed(clips, tmp_path, told))
    assert (both.gt.name, both.lq and both.lq.name, both.text) == (
        "large.mkv", "small.mkv", "a street",
    )  # fmt: skip
    assert (alone.lq, alone.text) == (None, None)


def test_paths_are_from_the_manifest_s_folder(clips: Path) -> None:
    manifest = clips / "beside.csv"
    manifest.write_text("gt\nlarge.mkv\n", "utf-8")
    assert listed_pairs(manifest)[0].gt == clips / "large.mkv"


def test_a_sample_of_a_manifest_is_its_pair(clips: Path, tmp_path: Path) -> None:
    manifest = listed(clips, tmp_path, "gt,lq\n@large.mkv,@small.mkv\n")
    data = DataConfig(manifest=manifest, frames=3, height=48, width=64)
    wanted, large, ids = Samples(data, 0, 1)[0]
    assert wanted.shape == large.shape == (3, 3, 48, 64)
    assert ids.shape == (77,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gt,lq\n@large.mkv,@short.mkv\n", "short.mkv: 2 frames, but .*large.mkv has 3"),
        ("gt,lq\n@small.mkv,@large.mkv\n", "is not a half or a quarter"),
        ("gt\n@none.mkv\n", "line 2: .*none.mkv: no such file"),
        ("gt,lq\n,@small.mkv\n", "line 2: no gt"),
        ("gt\n@large.mkv,@small.mkv\n", "line 2: more cells than columns"),
        ("gt,caption\n@large.mkv,x\n", "no column 'caption'"),
        ("lq\n@large.mkv\n", "a column gt is missing"),
        ("gt\n", "lists no clips"),
        ("", "a column gt is missing"),
    ],
)
def test_what_does_not_fit_is_refused_by_line(
    clips: Path, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        listed_pairs(listed(clips, tmp_path, text))


def test_a_manifest_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read as a list of clips"):
        listed_pairs(tmp_path / "none.csv")
