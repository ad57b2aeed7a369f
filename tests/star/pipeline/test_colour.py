"""Colours come back to the source's, flicker does not, and grey stays grey."""

from collections.abc import Iterator

import pytest
import torch

from star.pipeline.colour import COLOURS, RADIUS, corrected, is_neutral


def scene(frames: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    base = 0.3 + 0.4 * torch.rand(3, 30, 40, generator=random)
    return torch.stack([base.roll(n, 2) for n in range(frames)])


def run(kind: str, made: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    items: Iterator[tuple[int, torch.Tensor]] = enumerate(made)
    out = list(corrected(kind, items, lambda n: source[n]))  # type: ignore[arg-type]
    assert [number for number, _ in out] == list(range(len(made)))
    return torch.stack([picture for _, picture in out])


def flicker(clip: torch.Tensor) -> float:
    return float(clip.mean((1, 2, 3)).diff().abs().mean())


@pytest.mark.parametrize("kind", COLOURS)
@pytest.mark.parametrize("frames", [1, 3, 2 * RADIUS + 4])
def test_every_frame_comes_out_in_range(kind: str, frames: int) -> None:
    out = run(kind, scene(frames), scene(frames, 1))
    assert out.shape == (frames, 3, 30, 40)
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def test_steady_takes_a_cast_away_and_leaves_flicker_away() -> None:
    right = scene(40)
    waves = 0.06 * torch.sin(torch.arange(40) * 2.1).view(-1, 1, 1, 1)
    source, made = right + waves, right + torch.tensor([0.05, 0.0, -0.05]).view(1, 3, 1, 1)
    steady, copied = run("steady", made, source), run("adain", made, source)
    cast = (steady.mean((2, 3)) - right.mean((2, 3))).abs()[RADIUS:-RADIUS]
    assert float(cast.max()) < 0.015
    assert flicker(steady) < 0.15 * flicker(source)
    assert flicker(copied) > 0.9 * flicker(source)


def test_steady_keeps_detail() -> None:
    made, source = scene(8), scene(8) * 0.9
    out = run("steady", made, source)
    fine = out[..., 1:] - out[..., :-1]
    torch.testing.assert_close(fine, made[..., 1:] - made[..., :-1], atol=0.02, rtol=0.2)


@pytest.mark.parametrize("kind", COLOURS)
def test_monochrome_stays_neutral(kind: str) -> None:
    source = scene(5).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    tinted = (source + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)).clamp(0, 1)
    out = run(kind, tinted, source)
    assert float((out.amax(1) - out.amin(1)).max()) < 1e-6


def test_neutral_is_within_a_code_of_eight_bits() -> None:
    grey = torch.full((3, 4, 4), 0.5)
    assert is_neutral(grey)
    grey[0] += 0.02
    assert not is_neutral(grey)
