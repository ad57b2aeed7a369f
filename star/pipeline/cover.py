"""How windows cover a line of frames, rows or columns: overlapping, with weights that add up to 1.

Where windows meet, each fades out while the next fades in: no frame is the last of one window and the
neighbour of another's first. `cut` is the published way instead, a hard change amid each overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

from star.windows import Window, kept_ranges, spread, windows

__all__ = ["BLENDS", "Blend", "Cover", "cover"]

Blend = Literal["linear", "cut"]
BLENDS: tuple[str, ...] = get_args(Blend)


@dataclass(frozen=True)
class Cover:
    """Windows [start, end) over `length` places, each with one weight for each of its places."""

    length: int
    windows: tuple[Window, ...]
    weights: tuple[Tensor, ...]


@lru_cache(maxsize=64)
def cover(length: int, window: int, overlap: int, blend: Blend = "linear") -> Cover:
    """Return windows of `window` places over `length`, sharing at least `overlap` with the next.

    All are of one size and evenly spread. With `cut`, the published ones: by half, the last up to a
    quarter longer. Raises UsageError for an overlap of more than half a window.
    """
    spans = tuple(spread(length, window, overlap))
    if len(spans) == 1:
        return Cover(length, spans, (torch.ones(length),))
    if blend == "cut":
        over = windows(length, window)
        kept = kept_ranges(over)
        weights = [_inside(one, part) for one, part in zip(over, kept, strict=True)]
        return Cover(length, tuple(over), tuple(weights))
    return Cover(length, spans, tuple(_faded(spans, length, overlap)))


def _inside(window: Window, kept: Window) -> Tensor:
    places = torch.arange(*window)
    return ((places >= kept[0]) & (places < kept[1])).float()


def _faded(spans: Sequence[Window], length: int, overlap: int) -> list[Tensor]:
    raw = []
    for start, end in spans:
        places = torch.arange(start, end, dtype=torch.float64)
        since = torch.full_like(places, overlap + 1) if start == 0 else places - start + 1
        until = torch.full_like(places, overlap + 1) if end == length else end - places
        raw.append(torch.minimum(since, until).clamp(max=overlap + 1))
    total = torch.zeros(length, dtype=torch.float64)
    for (start, end), weight in zip(spans, raw, strict=True):
        total[start:end] += weight
    return [(w / total[s:e]).float() for (s, e), w in zip(spans, raw, strict=True)]
