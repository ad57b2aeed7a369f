"""The chain that a scene streams through: encode, one stage a step of the sampler, decode.

Each stage is a generator that pulls from the one before, so the work moves on as a wave: while the last
step is at the scene's first frames, the first step is some windows ahead. At any time each stage holds
one window of latents, and only the decoder's window is in pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from star.denoiser import Denoiser, Guidance
from star.pipeline.cover import Blend, Cover, cover
from star.pipeline.frame import Frame, Padding, frame_for
from star.pipeline.models import Encoding, Model, Steps
from star.pipeline.noise import ByFrame, Noise, NoiseKind, WholeClip
from star.pipeline.placement import Placement
from star.pipeline.stream import blended
from star.sampling import Sampler

__all__ = ["Chain", "Ways"]

T = TypeVar("T")


@dataclass(frozen=True)
class Ways:
    """Everything that is chosen about how a model works at a scene; all of it is in the spec.

    `window` and `overlap` are frames, `tile` and `tile_overlap` latents a side (0: no tiles). Guidance
    acts at times of `interval` only; `one_pass` says whether both of its texts go in as one batch.
    """

    scale: int
    steps: Steps
    window: int
    overlap: int
    decode_window: int
    decode_overlap: int
    tile: int = 0
    tile_overlap: int = 0
    blend: Blend = "linear"
    guidance: Guidance = field(default_factory=lambda: Guidance(1.0, None))
    interval: tuple[int, int] = (0, 999)
    one_pass: bool = False
    padding: Padding = "reflect"
    encoding: Encoding = "mode"
    noise: NoiseKind = "frame"


@dataclass(frozen=True)
class Latent(Generic[T]):
    """A frame on its way: what it carries, its number in the film, hint, x and the last x_0."""

    carried: T
    number: int
    hint: Tensor
    x: Tensor
    clean: Tensor | None = None


class Chain(Generic[T]):
    """A model at one scene of `count` frames, the first of which is number `first` of the film.

    `size` is the (height, width) of the frames that come in, `text` and `negative` what is told.
    Raises UsageError for a size that can't be, before anything is read.
    """

    def __init__(
        self,
        model: Model,
        ways: Ways,
        placement: Placement,
        *,
        seed: int,
        first: int,
        count: int,
        size: tuple[int, int],
    ) -> None:
        self.model, self.ways, self.placement = model, ways, placement
        self.first, self.count = first, count
        height, width = (side * ways.scale for side in size)
        self.frame: Frame = frame_for(height, width, model.factor, model.levels, ways.padding)
        self.sampler: Sampler = model.sampler(ways.steps)
        self.noise: Noise = (
            ByFrame(seed, model.channels, self.frame)
            if ways.noise == "frame"
            else WholeClip(seed, model.channels, self.frame, first, count, self.sampler.plan)
        )
        self.over = cover(count, ways.window, min(ways.overlap, ways.window // 2), ways.blend)

    @torch.inference_mode()
    def told(self, text: str, negative: str) -> tuple[Tensor, Tensor | None]:
        """Return the prompt and the negative prompt as the network reads them, once a scene."""
        guided = self.ways.guidance.scale != 1
        with self.placement.using("text"):
            words = self.model.words([text, negative] if guided else [text])
        words = words.to(self.placement.device)
        return words[:1], words[1:] if guided else None

    def run(
        self, frames: Iterator[tuple[T, Tensor]], text: str, negative: str = ""
    ) -> Iterator[tuple[T, Tensor]]:
        """Yield each frame (3, H, W) in about -1..1, of (3, h, w) in -1..1, with what it carries."""
        items = _gathered(self.encoded(frames), self.placement.part(self.ways.window))
        told = self.told(text, negative)
        for step in range(len(self.sampler.plan)):
            items = self.step(items, step, *told)
        return self.decoded(_gathered(items, self.placement.part(self.ways.decode_window)))

    def encoded(self, frames: Iterator[tuple[T, Tensor]]) -> Iterator[Latent[T]]:
        """Yield each frame as a latent with its noise."""
        ways, device = self.ways, self.placement.device
        for number, (carried, frame) in enumerate(frames, start=self.first):
            with torch.inference_mode(), self.placement.using("codec"):
                large = self.model.enlarge(frame[None].to(device), ways.scale)
                drawn = None
                if ways.encoding == "sampled":
                    drawn = self.noise.sample(number)[None].to(device)
                given = self.placement.given(self.frame.padded(large))
                hint = self.model.encode(given, drawn).float()
                x = self.model.begin(hint, partial(self.start, number), ways.steps)
                x = self.sampler.begin(x)
            yield Latent(carried, number, hint[0], x[0])

    def start(self, number: int) -> Tensor:
        """Return the noise (1, c, h, w) that a frame begins with."""
        return self.noise.start(number)[None].to(self.placement.device)

    def step(
        self, items: Iterator[Latent[T]], step: int, text: Tensor, negative: Tensor | None
    ) -> Iterator[Latent[T]]:
        """Yield latents one step further, each blended from every window that it lies in."""
        time = int(self.sampler.plan.model_times[step])
        low, high = self.ways.interval
        guidance = self.ways.guidance if low <= time <= high else Guidance(1.0, None)
        predict = self.placement.cast(self.model.predict)
        denoiser = Denoiser(
            predict,
            self.model.schedule,
            text,
            negative,
            guidance=guidance,
            one_pass=self.ways.one_pass,
        )

        def work(start: int, window: list[Latent[T]]) -> Sequence[Tensor]:
            with torch.inference_mode(), self.placement.using("denoiser"):
                x = torch.stack([self.sampler.seen(one.x, step) for one in window], 1)[None]
                hint = torch.stack([one.hint for one in window], 1)[None]
                place = (self.first + start, self.first + start + len(window))
                clean = self.clean(denoiser, x, hint, time, (step, place))
            return clean[0].unbind(1)

        for item, clean in blended(items, self.over, work):
            with torch.inference_mode():
                drawn = None
                if self.sampler.draws(step):
                    drawn = self.noise.step(item.number, step).to(item.x.device)
                x = self.sampler.advance(step, item.x, clean, item.clean, drawn)
            yield replace(item, x=x, clean=clean)

    def clean(
        self,
        denoiser: Denoiser,
        x: Tensor,
        hint: Tensor,
        time: int,
        place: tuple[int, tuple[int, int]],
    ) -> Tensor:
        """Return x_0 (1, c, f, h, w) of a window, tile by tile where the ways say so."""
        down, across = self.tiles()
        if len(down.windows) * len(across.windows) == 1:
            return denoiser.clean_of(x, time, hint, place)
        total = torch.zeros_like(x)
        for rows, vertical in zip(down.windows, down.weights, strict=True):
            for columns, horizontal in zip(across.windows, across.weights, strict=True):
                cut = (..., slice(*rows), slice(*columns))
                weight = (vertical[:, None] * horizontal).to(x)
                total[cut] += denoiser.clean_of(x[cut], time, hint[cut], place) * weight
        return total

    def tiles(self) -> tuple[Cover, Cover]:
        """Return how tiles cover the latent's rows and columns."""
        ways, frame = self.ways, self.frame
        if not ways.tile:
            return cover(frame.rows, frame.rows, 0), cover(frame.columns, frame.columns, 0)
        step = 2 ** (self.model.levels - 1)
        rows = min(frame.rows, ways.tile // step * step + 2)
        columns = min(frame.columns, ways.tile // step * step)
        overlap = min(ways.tile_overlap, rows // 2, columns // 2)
        return cover(frame.rows, rows, overlap), cover(frame.columns, columns, overlap)

    def decoded(self, items: Iterator[Latent[T]]) -> Iterator[tuple[T, Tensor]]:
        """Yield the pictures of clean latents."""
        ways = self.ways
        window = ways.decode_window
        over = cover(self.count, window, min(ways.decode_overlap, window // 2))

        def work(_start: int, part: list[Latent[T]]) -> Sequence[Tensor]:
            with torch.inference_mode(), self.placement.using("codec"):
                clean = self.placement.given(torch.stack([one.x for one in part]))
                hint = self.placement.given(torch.stack([one.hint for one in part]))
                made = self.frame.cut(self.model.decode(clean, hint))
                return made.float().cpu().unbind(0)

        for item, picture in blended(items, over, work):
            yield item.carried, picture


def _gathered(items: Iterator[T], count: int) -> Iterator[T]:
    """Yield items as they come, or `count` of them at a time, so that a model is fetched less often."""
    while part := list(islice(items, count)):
        yield from part
        if len(part) < count:
            return
