"""What the pipeline asks of a model, and the two that there are: the published STAR, and star-tiny.

They differ in what they diffuse. The published network makes the picture's own latent, beginning from
the noised latent of the worn picture; star-tiny makes the residual to the enlarged picture, beginning
from pure noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from star.denoiser import Network, Predict
from star.pipeline.cover import cover
from star.sampling import Ddim, DpmSolver, Sampler
from star.schedule import Schedule, few_step_plan, make_plan
from star.text import encode_prompts
from star.tinymodel import DONE_SHARE, START_NOISE, TinyStar, enlarged
from star.vae import encode

__all__ = ["ENCODINGS", "Encoding", "Model", "Published", "Steps", "Tiny"]

Encoding = Literal["mode", "sampled"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)

Draw = Callable[[], Tensor]


@dataclass(frozen=True)
class Steps:
    """How the sampler walks: `plan` "few" is DDIM from pure noise, the others the published sampler."""

    plan: Literal["few", "fast", "normal"]
    steps: int
    start: int = 999


class Model(Protocol):
    """A model with its codec and text tower. Frames are (n, 3, h, w) in -1..1, latents (n, c, h, w)."""

    factor: int
    channels: int
    levels: int
    schedule: Schedule
    predict: Predict

    @property
    def parts(self) -> dict[str, torch.nn.Module]:
        """The networks by name, as they are moved between devices: "denoiser", "codec", "text"."""
        ...

    def enlarge(self, frames: Tensor, scale: int) -> Tensor:
        """Return frames enlarged as in the model's training."""
        ...

    def words(self, texts: list[str]) -> Tensor:
        """Return (n, words, width) for n texts."""
        ...

    def encode(self, frames: Tensor, noise: Tensor | None) -> Tensor:
        """Return the hint, latents of enlarged, padded frames; `noise` is for a sampled encoding."""
        ...

    def begin(self, hint: Tensor, draw: Draw, steps: Steps) -> Tensor:
        """Return the noised latent that the sampler begins with; `draw` gives noise of its shape."""
        ...

    def decode(self, clean: Tensor, hint: Tensor) -> Tensor:
        """Return frames for clean latents that are neighbours in time, and their hints."""
        ...

    def sampler(self, steps: Steps) -> Sampler:
        """Return the sampler of these steps; raise UsageError for steps that make no plan."""
        ...


class Published:
    """STAR as published: UNet, ControlNet, temporal VAE, CLIP's text tower."""

    def __init__(
        self, unet: Any, control: Any, vae: Any, text: Any, tile: int = 0, overlap: int = 0
    ) -> None:
        self.unet, self.control, self.vae, self.text = unet, control, vae, text
        self.tile, self.overlap = tile, overlap
        self.schedule = Schedule.published()
        self.predict: Predict = Network(unet, control)
        self.levels = len(unet.sizes.widths)
        self.channels = unet.sizes.in_channels
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)

    @cached_property
    def parts(self) -> dict[str, torch.nn.Module]:
        return {
            "denoiser": torch.nn.ModuleList([self.unet, self.control]),
            "codec": self.vae,
            "text": self.text,
        }

    def enlarge(self, frames: Tensor, scale: int) -> Tensor:
        """Bilinear, as the published pipeline."""
        if scale == 1:
            return frames
        return F.interpolate(frames, scale_factor=scale, mode="bilinear", align_corners=False)

    def words(self, texts: list[str]) -> Tensor:
        return encode_prompts(self.text, texts)

    def encode(self, frames: Tensor, noise: Tensor | None) -> Tensor:
        factor = self.factor

        def work(part: Tensor, rows: slice, columns: slice) -> Tensor:
            return encode(self.vae, part, None if noise is None else noise[..., rows, columns])

        size = (frames.shape[-2] // factor, frames.shape[-1] // factor)
        return tiled(work, frames, size, (factor, 1), self.tile, self.overlap)

    def begin(self, hint: Tensor, draw: Draw, steps: Steps) -> Tensor:
        return self.schedule.diffuse(hint, torch.full((len(hint),), steps.start), draw())

    def decode(self, clean: Tensor, hint: Tensor) -> Tensor:
        scale = self.vae.config.scaling_factor

        def work(part: Tensor, rows: slice, columns: slice) -> Tensor:
            return self.vae.decode(part / scale, num_frames=len(part)).sample

        size = (clean.shape[-2], clean.shape[-1])
        return tiled(work, clean, size, (1, self.factor), self.tile, self.overlap)

    def sampler(self, steps: Steps) -> Sampler:
        if steps.plan == "few":
            return Ddim(few_step_plan(self.schedule, steps.steps), self.schedule)
        return DpmSolver(make_plan(self.schedule, steps.plan, steps.steps, steps.start))


class Tiny:
    """star-tiny: UNet, ControlNet and text tower on rearranged pixels; one step, no guidance."""

    factor = 4

    def __init__(self, model: TinyStar) -> None:
        self.model = model
        self.schedule = model.schedule
        self.predict: Predict = model.network
        self.channels = model.sizes.in_channels
        self.levels = len(model.sizes.widths)

    @cached_property
    def parts(self) -> dict[str, torch.nn.Module]:
        return {
            "denoiser": self.model.network,
            "codec": self.model.codec,
            "text": self.model.text,
        }

    def enlarge(self, frames: Tensor, scale: int) -> Tensor:
        return enlarged(frames, scale)

    def words(self, texts: list[str]) -> Tensor:
        return encode_prompts(self.model.text, texts)

    def encode(self, frames: Tensor, noise: Tensor | None) -> Tensor:
        return self.model.hint(frames[None])[0].transpose(0, 1)

    def begin(self, hint: Tensor, draw: Draw, steps: Steps) -> Tensor:
        """One step is taken where nothing of the latent is left, so none is drawn for it."""
        return torch.zeros_like(hint) if steps.steps == 1 else START_NOISE * draw()

    def decode(self, clean: Tensor, hint: Tensor) -> Tensor:
        """The codec is linear: residual and enlarged picture are added as latents, decoded once."""
        codec = self.model.codec
        wide = (-1, 1, 1)
        change = DONE_SHARE * clean * codec.residual_std.view(wide)
        whole = change + hint * codec.hint_std.view(wide)
        return codec.decode(whole).sample

    def sampler(self, steps: Steps) -> Sampler:
        return Ddim(few_step_plan(self.schedule, steps.steps), self.schedule)


def tiled(
    work: Callable[[Tensor, slice, slice], Tensor],
    given: Tensor,
    latent: tuple[int, int],
    factors: tuple[int, int],
    tile: int,
    overlap: int,
) -> Tensor:
    """Return `work` of (n, c, h, w) done tile by tile and blended, where `tile` (latents) says so.

    `latent` are the rows and columns in latents; `factors` how many places of what is given, and of
    what is made, a latent takes on each side.
    """
    rows, columns = latent
    if not tile or (rows <= tile and columns <= tile):
        return work(given, slice(0, rows), slice(0, columns))
    down, across = (cover(size, min(tile, size), min(overlap, size // 2)) for size in latent)
    there, here = factors
    total: Tensor | None = None
    for (top, bottom), vertical in zip(down.windows, down.weights, strict=True):
        for (left, right), horizontal in zip(across.windows, across.weights, strict=True):
            part = given[..., top * there : bottom * there, left * there : right * there]
            made = work(part, slice(top, bottom), slice(left, right))
            if total is None:
                total = made.new_zeros(*made.shape[:2], rows * here, columns * here)
            weight = _ramp(vertical, here)[:, None] * _ramp(horizontal, here)
            total[..., top * here : bottom * here, left * here : right * here] += made * weight.to(
                made
            )
    assert total is not None  # noqa: S101
    return total


def _ramp(weights: Tensor, each: int) -> Tensor:
    """Weights of latents as weights of `each` pixels, which add up to 1 as they do."""
    return weights.repeat_interleave(each)
