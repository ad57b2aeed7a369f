"""Held-out clips, and what a star-tiny makes of them: the model's half of `restar train --eval`.

The other half, measuring, is the scorers'. Each part of the network can be taken out, since a model
that restores as well without its ControlNet, its UNet or LIEM is no STAR.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restar.errors import UsageError
from star.noise import FrameNoise
from star.sampling import ddim
from star.schedule import few_step_plan
from star.text import encode_prompts
from star.tinymodel import START_NOISE, TinyStar, enlarged
from star.tinyprompt import measure, prompt_for
from training.pairs import Pair, find_pairs, frames_of, length_of

__all__ = ["PARTS", "Held", "Part", "held_clips", "restored", "said", "without"]

Part = Literal["control", "unet", "liem"]
PARTS: tuple[Part, ...] = get_args(Part)

_MOST_FRAMES = 64


@dataclass(frozen=True)
class Held:
    """A clip that nothing was trained on: `wanted` (f, H, W, 3) and `given` (f, h, w, 3), RGB uint8."""

    group: str
    name: str
    wanted: NDArray[np.uint8]
    given: NDArray[np.uint8]

    @property
    def scale(self) -> int:
        return self.wanted.shape[1] // self.given.shape[1]


def held_clips(folder: Path) -> Iterator[Held]:
    """Yield the clips of every group: folder/GROUP/gt and folder/GROUP/lq, matched by name.

    Raises UsageError where there are none, or where a pair does not fit.
    """
    groups = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if not groups:
        raise UsageError(f"{folder}: holds no groups of held-out clips (GROUP/gt and GROUP/lq)")
    found: list[tuple[str, Pair]] = []
    for group in groups:
        for pair in find_pairs(group):
            if pair.lq is None:
                raise UsageError(f"{group}: has no lq/, so nothing to restore")
            if length_of(pair.gt) > _MOST_FRAMES:
                raise UsageError(f"{pair.gt}: longer than {_MOST_FRAMES} frames; cut it shorter")
            found.append((group.name, pair))
    for name, pair in found:
        assert pair.lq is not None  # noqa: S101
        count = length_of(pair.gt)
        yield Held(name, pair.gt.stem, frames_of(pair.gt, 0, count), frames_of(pair.lq, 0, count))


def said(held: Held, noise: int) -> str:
    """Return the text of a clip as it was measured, but with this noise level (0 to 9)."""
    frames = torch.from_numpy(held.given).permute(0, 3, 1, 2).float() / 127.5 - 1
    return prompt_for(held.scale, replace(measure(frames), noise=noise))


@torch.no_grad()
def restored(
    model: TinyStar, held: Held, *, steps: int = 1, seed: int = 0, text: str | None = None
) -> NDArray[np.uint8]:
    """Return a clip restored in one piece, (f, H, W, 3), RGB uint8.

    Without a `text` the condition is measured from the clip, as by default in a restoration.
    """
    frames = torch.from_numpy(held.given).permute(0, 3, 1, 2).float() / 127.5 - 1
    large = enlarged(frames, held.scale)
    height, width = large.shape[-2:]
    # Latent heights of 2 more than a multiple of 4, widths of a multiple of 4, in blocks of 4 pixels.
    padded = F.pad(large, (0, -width % 16, 0, (8 - height) % 16), mode="replicate")[None]
    words = encode_prompts(model.text, [text or prompt_for(held.scale, measure(frames))])
    hint = model.hint(padded)
    advice = model.network.advice(words, hint)

    def denoise(x: Tensor, t: int, _step: int) -> Tensor:
        times = torch.tensor([t])
        v = model.network.velocity(x, times, words, hint, advice)
        return model.schedule.clean(x, times, v)

    shape = (hint.shape[1], *hint.shape[-2:])
    start = START_NOISE * FrameNoise(seed).clip(0, len(frames), "start", 0, shape)
    latent = ddim(denoise, start, few_step_plan(model.schedule, steps), model.schedule)
    made = model.restored(latent, padded)[0, :, :, :height, :width]
    eight = ((made.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return eight.permute(0, 2, 3, 1).numpy()


@contextmanager
def without(model: TinyStar, part: Part) -> Iterator[None]:
    """Take a part out inside the block: its exits give nothing, LIEM's gates let everything through."""
    if part == "liem":
        with _ungated(model):
            yield
        return
    network = model.network
    exits = (
        [network.unet.conv_out]
        if part == "unet"
        else [*network.control.controlnet_down_blocks, network.control.controlnet_mid_block]
    )
    weights = [weight for layer in exits for weight in layer.parameters()]
    kept = [weight.detach().clone() for weight in weights]
    with _put_back(lambda: _copied(weights, kept)):
        _copied(weights, [torch.zeros_like(weight) for weight in weights])
        yield


@contextmanager
def _ungated(model: TinyStar) -> Iterator[None]:
    gates = [
        (parent, name, gate)
        for parent in model.network.modules()
        for name in ("local1", "local2")
        if (gate := getattr(parent, name, None)) is not None
    ]

    def back() -> None:
        for parent, name, gate in gates:
            setattr(parent, name, gate)

    with _put_back(back):
        for parent, name, _ in gates:
            setattr(parent, name, None)
        yield


@contextmanager
def _put_back(back: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        back()


@torch.no_grad()
def _copied(to: list[torch.nn.Parameter], values: list[Tensor]) -> None:
    for weight, value in zip(to, values, strict=True):
        weight.copy_(value)
