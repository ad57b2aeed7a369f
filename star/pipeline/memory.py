"""What a model at work takes in memory, predicted before it runs; and the largest window that fits.

The network's own share is counted by `ledger` on a small clip and grows with frames and area. Around it
are what the stages of the chain hold: latents of a window each, the decoder's window in pixels, frames
that wait for their colours, and a process with its libraries.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from star.denoiser import Predict
from star.pipeline.colour import RADIUS
from star.pipeline.ledger import peak_bytes

__all__ = ["Appetite", "Load", "appetite_of", "fitting"]

BASE_BYTES = 1_250 << 20
"""A process with torch, diffusers and transformers, without a model, and what it asks for ahead."""

_SLACK = 1.15  # what allocators keep beyond what is alive (benchmarks/star_memory.py)
_TRIAL = (16, 66, 64)  # frames, rows, columns: more than a piece (star.pieces)
_LEAST_WINDOW = 8


@dataclass(frozen=True)
class Appetite:
    """What a model takes: bytes of weights, and bytes for each latent position of a frame.

    `decode` is for each position that the codec decodes at once.
    """

    weights: int
    denoise: float
    decode: float
    channels: int
    factor: int


@dataclass(frozen=True)
class Load:
    """What is asked of it: latent rows and columns, steps, windows in frames, tiles in latents.

    `passes_at_once` is 2 where both texts of guidance go in as one batch.
    """

    rows: int
    columns: int
    steps: int
    window: int
    decode_window: int
    tile: int = 0
    passes_at_once: int = 1
    holds_back: bool = True

    @property
    def at_once(self) -> int:
        """Latent positions that the network sees at once in a frame."""
        if not self.tile:
            return self.rows * self.columns
        return min(self.rows, self.tile + 2) * min(self.columns, self.tile)

    def bytes(self, model: Appetite) -> int:
        """Return the most bytes that the process, or the GPU, will hold."""
        area = self.rows * self.columns
        latent = 4 * model.channels * area
        pixels = 4 * 3 * area * model.factor**2
        held = latent * (self.steps * 3 * self.window + 2 * self.window + 3 * self.decode_window)
        if self.tile:
            held += latent * self.window  # the sum of the tiles
        held += pixels * (2 * self.decode_window + (RADIUS + 1 if self.holds_back else 1))
        denoise = model.denoise * self.at_once * self.window * self.passes_at_once
        decode = model.decode * self.at_once * self.decode_window
        return round(BASE_BYTES + model.weights + held + _SLACK * max(denoise, decode))


def appetite_of(
    predict: Predict,
    codec: Any,
    weights: int,
    channels: int,
    text: tuple[int, int],
    factor: int,
    dtype: torch.dtype,
    on_processor: bool = True,
) -> Appetite:
    """Return what a network takes, from one pass on the device "meta", where its parts have to be.

    `text` is (words, width). `codec` is a VAE that decodes, or None for one that takes next to nothing.
    """
    frames, rows, columns = _TRIAL

    def run() -> object:
        x, hint = (
            torch.empty(1, channels, frames, rows, columns, device="meta", dtype=dtype)
            for _ in range(2)
        )
        t = torch.empty(1, device="meta", dtype=torch.long)
        return predict(x, t, torch.empty(1, *text, device="meta", dtype=dtype), hint)

    def unfold() -> object:
        latents = torch.empty(frames, channels, rows, columns, device="meta", dtype=dtype)
        return codec.decode(latents, num_frames=frames)

    positions = frames * rows * columns
    denoise = peak_bytes(run, on_processor) / positions
    decode = 0.0 if codec is None else peak_bytes(unfold, on_processor) / positions
    return Appetite(weights, denoise, decode, channels, factor)


def fitting(
    load: Load,
    model: Appetite,
    limit: int,
    step: int,
    fixed_window: bool,
    fixed_passes: bool = False,
) -> Load | None:
    """Return the load as it is, or one pass at a time, a shorter window, or tiles, to stay under `limit`.

    Whole pictures with at least half the window come before tiles. `step` is what tiles are
    multiples of. None where even the smallest does not fit.
    """
    return next(
        (
            one
            for one in _smaller(load, step, fixed_window, fixed_passes)
            if one.bytes(model) <= limit
        ),
        None,
    )


def _smaller(load: Load, step: int, fixed_window: bool, fixed_passes: bool) -> Iterator[Load]:
    yield load
    if load.passes_at_once > 1 and not fixed_passes:
        load = replace(load, passes_at_once=1)
        yield load
    shorter = [load.window * n // 4 for n in (3, 2)]
    windows = [] if fixed_window else [n for n in shorter if n >= _LEAST_WINDOW]
    whole = [load, *(_shortened(load, window) for window in windows)]
    yield from whole[1:]
    if load.tile:
        return
    longest = max(load.rows, load.columns)
    for parts in (2, 3, 4, 6, 8, 12, 16):
        tile = -(-longest // parts) // step * step
        if tile >= 4 * step:
            yield from (replace(one, tile=tile) for one in whole)


def _shortened(load: Load, window: int) -> Load:
    """The load with shorter windows of both kinds."""
    decode = max(min(2, load.decode_window), load.decode_window * window // load.window)
    return replace(load, window=window, decode_window=decode)
