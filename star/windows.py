"""Windows over a clip's frames, and the padding of its pictures, as the published pipeline does them.

A long clip is denoised in windows that overlap by half; at every step what the windows found clean is
joined by a hard cut in the middle of each overlap. The release crashes where its rule gives a single
window (33 to 40 frames at its default length); here that clip is one window. Our own windows are of one
size and evenly spread (`spread`). Importing this imports no torch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from restar.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Window",
    "accepts_height",
    "accepts_width",
    "join_by_cuts",
    "kept_ranges",
    "published_padding",
    "published_size",
    "spread",
    "windows",
]

# A half-open range of frames.
Window = tuple[int, int]

_HEIGHT, _WIDTH = 720, 1280
_LARGEST = 2048 * 1280


def windows(frames: int, length: int) -> list[Window]:
    """Return the windows over `frames` frames, each of `length`, the last up to a quarter longer.

    One window of all frames where they fit into one. Raises UsageError for lengths under 2.
    """
    if frames < 1 or length < 2:
        raise UsageError(
            f"windows of {length} over {frames} frames: needs at least 1 frame and windows of 2"
        )
    if frames <= length:
        return [(0, frames)]
    stride = length - length // 2
    found, start = [], 0
    while start + 1.25 * length < frames:
        found.append((start, start + length))
        start += stride
    return [*found, (start, frames)]


def spread(length: int, window: int, overlap: int) -> list[Window]:
    """Return windows of `window` places over `length`, evenly spread, sharing at least `overlap`.

    One window of all places where they fit into one. Raises UsageError for overlaps of more than half.
    """
    if length < 1 or window < 1 or not 0 <= overlap <= window // 2:
        raise UsageError(
            f"windows of {window} with an overlap of {overlap} over {length}: needs an overlap of at "
            f"most half a window ({window // 2})"
        )
    if length <= window:
        return [(0, length)]
    count = -(-(length - overlap) // (window - overlap))
    starts = [round(n * (length - window) / (count - 1)) for n in range(count)]
    return [(start, start + window) for start in starts]


def kept_ranges(over: Sequence[Window]) -> list[Window]:
    """Return which frames of the clip are taken from each window: cut amid each overlap."""
    cuts = [(before[1] + after[0]) // 2 for before, after in pairwise(over)]
    return list(zip([over[0][0], *cuts], [*cuts, over[-1][1]], strict=True))


def join_by_cuts(parts: Sequence["Tensor"], over: Sequence[Window]) -> "Tensor":
    """Return the clip (b, c, f, h, w) of its windows' latents, cut amid each overlap."""
    import torch

    if len(parts) == 1:
        return parts[0]
    ranges = kept_ranges(over)
    pieces = [
        part[:, :, begin - start : end - start]
        for part, (start, _), (begin, end) in zip(parts, over, ranges, strict=True)
    ]
    return torch.cat(pieces, 2)


def published_padding(height: int, width: int) -> tuple[int, int, int, int]:
    """Return (left, right, top, bottom) pixels that the release pads with white.

    Smaller pictures are centred in 720x1280; larger ones grow at the right and below, always by at
    least a little unless they are of that very size.
    """
    top, bottom = _centred(height, _HEIGHT, (height + 48) // 64 * 64 + 16)
    left, right = _centred(width, _WIDTH, width // 64 * 64 + 64)
    return left, right, top, bottom


def published_size(height: int, width: int, scale: int) -> tuple[int, int]:
    """Return the (height, width) to which the release's unused `adjust_resolution` would enlarge.

    At least 720 rows, at most as many pixels as 2048x1280, even.
    """
    factor = float(scale)
    if height * scale < _HEIGHT:
        factor = _HEIGHT / height
    elif height * width * scale**2 > _LARGEST:
        factor = (_LARGEST / (height * width)) ** 0.5
    return int(factor * height // 2 * 2), int(factor * width // 2 * 2)


def accepts_height(latent_height: int, levels: int = 4) -> bool:
    """Return whether a network of so many levels takes latents of this height.

    Each halving gives h // 2 + 1 rows and each doubling 2h - 2, so only even heights come back.
    """
    step = 2 ** (levels - 1)
    return latent_height >= min(2, step) and (latent_height - 2) % step == 0


def accepts_width(latent_width: int, levels: int = 4) -> bool:
    """Return whether a network of so many levels takes latents of this width."""
    return latent_width >= 1 and latent_width % 2 ** (levels - 1) == 0


def _centred(size: int, least: int, larger: int) -> tuple[int, int]:
    if size > least:
        return 0, larger - size
    return (least - size) // 2, least - size - (least - size) // 2
