"""Pieces change only rounding: a frame or a row that is cut off must not matter to another."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from star import pieces
from star.pieces import InPieces, run_whole
from star.tinymodel import TinyStar
from star.unet import StarUNet

FRAMES, ROWS, COLUMNS = 5, 18, 16


class Counting(nn.Module, InPieces):
    """Runs something on pieces and keeps how large they were."""

    def __init__(self) -> None:
        super().__init__()
        self.in_pieces = True
        self.seen: list[tuple[int, ...]] = []

    def work(self, *clips: Tensor) -> Tensor:
        self.seen.append(tuple(clips[0].shape))
        return sum(clips, torch.zeros(())) * 2


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that the clips of these tests are cut into many, the last one smaller."""
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 4 * FRAMES * 48 * COLUMNS * 4)


@pytest.fixture(scope="module")
def mixing(model: TinyStar) -> TinyStar:
    """The model in double precision, its frames mixed: diffusers begins the last of each row at zero."""
    made = deepcopy(model).double()
    for part in made.modules():
        if isinstance(part, nn.Conv3d):
            nn.init.normal_(part.weight, std=0.1)
    return made


def velocity(model: TinyStar, clips: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(1)
    x, hint = (
        torch.randn(clips, 48, FRAMES, ROWS, COLUMNS, generator=random, dtype=torch.float64)
        for _ in range(2)
    )
    text = torch.randn(clips, 77, 64, generator=random, dtype=torch.float64)
    made: Tensor = model.network(x, torch.full((clips,), 600), text, hint)
    return made


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("clips", [1, 2])
@torch.no_grad()
def test_star_tiny_in_pieces_gives_what_it_gives_as_a_whole(mixing: TinyStar, clips: int) -> None:
    whole = deepcopy(mixing)
    run_whole(whole)
    assert not any(m.in_pieces for m in whole.modules() if isinstance(m, InPieces))
    expected = velocity(whole, clips)
    assert expected.std() > 0.1
    torch.testing.assert_close(velocity(mixing, clips), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("small_pieces")
def test_pieces_are_for_inference_only(mixing: TinyStar) -> None:
    one = Counting()
    clip = torch.randn(FRAMES, 48, ROWS, COLUMNS)
    one.by_rows(one.work, clip)
    assert one.seen == [tuple(clip.shape)]  # gradients are on
    assert velocity(mixing).requires_grad


@pytest.mark.usefixtures("small_pieces")
@torch.no_grad()
def test_pieces_cover_a_clip_once() -> None:
    one = Counting()
    clip = torch.randn(FRAMES, 48, ROWS, COLUMNS)
    torch.testing.assert_close(one.by_rows(one.work, clip), clip * 2)
    assert [shape[2] for shape in one.seen] == [4, 4, 4, 4, 2]
    one.seen.clear()
    time = torch.randn(FRAMES, 1, 1, 1)
    torch.testing.assert_close(one.by_frames(one.work, time, clip), (time + clip) * 2)
    assert [shape[0] for shape in one.seen] == [1] * FRAMES
    small = clip[:, :1]
    one.seen.clear()
    torch.testing.assert_close(one.by_frames(one.work, small), small * 2)
    assert [shape[0] for shape in one.seen] == [FRAMES]  # small frames go together


def test_the_published_network_is_never_cut() -> None:
    unet = StarUNet(
        base_channels=32, multipliers=(1, 2), layers_per_level=1, attention_levels=1, head_dim=16,
        first_heads=2, text_dim=24, groups=8,
    )  # fmt: skip
    assert not any(m.in_pieces for m in unet.modules() if isinstance(m, InPieces))
