"""Held-out clips are restored whole, and each part of the network can be taken out and is put back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.star_tiny_data import write_clip
from restar.errors import UsageError
from star.tinymodel import TinyStar
from training.held import PARTS, Held, held_clips, restored, without


@pytest.fixture(scope="module")
def model() -> TinyStar:
    """A model whose exits are not zero, as after training."""
    torch.manual_seed(0)
    made = TinyStar().eval()
    torch.nn.init.normal_(made.network.unet.conv_out.weight, std=0.02)
    return made


@pytest.fixture(scope="module")
def held() -> Held:
    """A clip of an awkward size: its latent fits no level of the network without padding."""
    wanted = np.random.default_rng(0).integers(0, 256, (2, 60, 72, 3), dtype=np.uint8)
    return Held("archive-x4", "noise", wanted, wanted[:, ::4, ::4])


def test_a_clip_keeps_its_size_and_is_restored_alike_each_time(model: TinyStar, held: Held) -> None:
    one, other = restored(model, held), restored(model, held)
    assert one.shape == held.wanted.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, other)


def test_the_seed_matters_where_there_is_more_than_one_step(model: TinyStar, held: Held) -> None:
    assert not np.array_equal(
        restored(model, held, steps=4, seed=0), restored(model, held, steps=4, seed=1)
    )


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_taken_out_and_put_back(model: TinyStar, held: Held, part: str) -> None:
    plain = restored(model, held)
    with without(model, part):  # type: ignore[arg-type]
        assert not np.array_equal(restored(model, held), plain)
    assert np.array_equal(restored(model, held), plain)


def test_a_part_is_put_back_after_an_error(model: TinyStar) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    for part in PARTS:
        with pytest.raises(RuntimeError), without(model, part):
            raise RuntimeError
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_groups_are_folders(tmp_path: Path) -> None:
    clip = np.zeros((2, 32, 48, 3), np.uint8)
    for group, scale in (("archive-x4", 4), ("clean-x2", 2)):
        write_clip(tmp_path / group / "gt" / "one.mkv", clip)
        write_clip(tmp_path / group / "lq" / "one.mkv", clip[:, ::scale, ::scale])
    found = list(held_clips(tmp_path))
    assert [(h.group, h.name, h.scale) for h in found] == [
        ("archive-x4", "one", 4), ("clean-x2", "one", 2),
    ]  # fmt: skip


def test_clips_without_a_twin_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "group" / "gt" / "one.mkv", np.zeros((2, 32, 48, 3), np.uint8))
    with pytest.raises(UsageError, match="has no lq/"):
        list(held_clips(tmp_path))


def test_a_folder_without_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no groups"):
        list(held_clips(tmp_path / "none"))
