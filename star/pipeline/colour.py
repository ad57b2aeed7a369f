"""The colours of what a model gave, brought back to the source's, while frames stream by.

`steady`, the default, adds what the source's coarse picture has over the result's, smoothed over time:
a cast or a drift of the model goes, while flicker that it took out of the source does not come back.
`adain` and `wavelet` are the published ways (`star.colour`), which copy the source's flicker. Whatever
the way, a frame that is neutral in the source is neutral in the result.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from star.colour import adain, wavelet

__all__ = ["COLOURS", "Colour", "corrected", "is_neutral"]

T = TypeVar("T")

Colour = Literal["steady", "adain", "wavelet", "none"]
COLOURS: tuple[str, ...] = get_args(Colour)

RADIUS = 6
"""Frames on either side over which `steady` smooths: half a second at 24 a second in all."""

_CELLS = 12  # of the shorter side: coarser than dust and grain
_NEUTRAL = 1 / 255
_LUMA = (0.2126, 0.7152, 0.0722)


def corrected(
    kind: Colour,
    items: Iterator[tuple[T, Tensor]],
    source: Callable[[T], Tensor],
    radius: int = RADIUS,
) -> Iterator[tuple[T, Tensor]]:
    """Yield each frame (3, H, W), 0..1, with its colours; `source` gives its (3, h, w) source, 0..1.

    `steady` holds `radius` frames back, the others none.
    """
    if kind == "steady":
        yield from _steady(items, source, radius)
        return
    for carried, picture in items:
        given = source(carried)
        yield carried, _neutral(_published(kind, picture, given), given)


def is_neutral(picture: Tensor) -> bool:
    """Return whether a picture (3, h, w), 0..1, shows grey alone: to within one code of 8 bits."""
    spread = picture.amax(0) - picture.amin(0)
    return float(spread.mean()) < _NEUTRAL


def _published(kind: str, picture: Tensor, source: Tensor) -> Tensor:
    if kind == "adain":
        return adain(picture[None], source[None])[0]
    if kind == "wavelet":
        size = picture.shape[-2:]
        large = F.interpolate(source[None], size, mode="bilinear", align_corners=False)
        return wavelet(picture[None], large)[0]
    return picture


def _steady(
    items: Iterator[tuple[T, Tensor]], source: Callable[[T], Tensor], radius: int
) -> Iterator[tuple[T, Tensor]]:
    waiting: deque[tuple[T, Tensor, Tensor]] = deque()
    offs: deque[Tensor] = deque()  # from `radius` frames before the first that waits
    before = 0
    for carried, picture in items:
        given = source(carried)
        waiting.append((carried, picture, given if is_neutral(given) else given[:, :0]))
        offs.append(_coarse(given, picture.shape) - _coarse(picture, picture.shape))
        if len(waiting) > radius:
            yield _mended(waiting.popleft(), offs, before, radius)
            before = _forget(offs, before, radius)
    while waiting:
        yield _mended(waiting.popleft(), offs, before, radius)
        before = _forget(offs, before, radius)


def _mended(
    one: tuple[T, Tensor, Tensor], offs: deque[Tensor], before: int, radius: int
) -> tuple[T, Tensor]:
    """The frame at place `before` of `offs`, by the offs around it, nearer ones counting more."""
    carried, picture, neutral = one
    total, weights = torch.zeros_like(offs[0]), 0.0
    for place, off in enumerate(offs):
        weight = max(0.0, 1 - abs(place - before) / (radius + 1))
        total, weights = total + off * weight, weights + weight
    size = picture.shape[-2:]
    added = F.interpolate((total / weights)[None], size, mode="bilinear", align_corners=False)[0]
    result = (picture + added).clamp(0, 1)
    return carried, _neutral(result, neutral) if neutral.numel() else result


def _forget(offs: deque[Tensor], before: int, radius: int) -> int:
    """Go on by one frame; return its place."""
    if before == radius:
        offs.popleft()
        return before
    return before + 1


def _coarse(picture: Tensor, like: torch.Size) -> Tensor:
    height, width = like[-2:]
    short = min(height, width)
    cells = (max(1, _CELLS * height // short), max(1, _CELLS * width // short))
    return F.adaptive_avg_pool2d(picture[None], cells)[0]


def _neutral(picture: Tensor, source: Tensor) -> Tensor:
    """Grey where the source is grey."""
    if not is_neutral(source):
        return picture
    weights = picture.new_tensor(_LUMA).view(3, 1, 1)
    return (picture * weights).sum(0, keepdim=True).expand(3, -1, -1)
