"""Bringing a restored picture's colours back to its source's, as the published pipeline does.

AdaIN gives each channel the mean and deviation of the source's (Huang and Belongie, arXiv 1703.06868,
equation 8); the wavelet fix keeps the restored detail and takes the source's coarse colour (StableSR,
arXiv 2305.07015, section 3.3). Pictures are (n, c, h, w), float, 0 to 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from restar.errors import UsageError

__all__ = ["adain", "split_bands", "to_pictures", "wavelet"]

_LEVELS = 5
_FLOOR = 1e-5


def adain(pictures: Tensor, source: Tensor) -> Tensor:
    """Return `pictures` with the source's mean and deviation, per picture and channel, cut to 0..1.

    The source may be of another size. Raises UsageError where counts or channels differ.
    """
    _check(pictures, source, same_size=False)
    mean, deviation = _statistics(pictures)
    wanted_mean, wanted_deviation = _statistics(source)
    return ((pictures - mean) / deviation * wanted_deviation + wanted_mean).clamp(0, 1)


def wavelet(pictures: Tensor, source: Tensor) -> Tensor:
    """Return the detail of `pictures` on the coarse colours of `source`, of the same size, in 0..1."""
    _check(pictures, source, same_size=True)
    detail, _ = split_bands(pictures)
    _, coarse = split_bands(source)
    return (detail + coarse).clamp(0, 1)


def split_bands(pictures: Tensor, levels: int = _LEVELS) -> tuple[Tensor, Tensor]:
    """Return (detail, coarse), of the shape of `pictures` and adding up to it.

    Each level blurs by a 3x3 binomial kernel, its taps twice as far apart as the level's before.
    """
    detail, coarse = torch.zeros_like(pictures), pictures
    for level in range(levels):
        blurred = _blur(coarse, 2**level)
        detail = detail + (coarse - blurred)
        coarse = blurred
    return detail, coarse


def to_pictures(video: Tensor) -> Tensor:
    """Return (f, h, w, c) in 0..255 for a decoded clip (1, c, f, h, w) in -1..1; still float."""
    if video.ndim != 5 or len(video) != 1:
        raise UsageError(f"clip of shape {tuple(video.shape)}: needs (1, channels, frames, h, w)")
    return (video[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 3, 0) * 255


def _statistics(pictures: Tensor) -> tuple[Tensor, Tensor]:
    flat = pictures.flatten(2)
    deviation = (flat.var(2) + _FLOOR).sqrt()
    return flat.mean(2)[..., None, None], deviation[..., None, None]


def _blur(pictures: Tensor, distance: int) -> Tensor:
    line = torch.tensor([0.25, 0.5, 0.25], dtype=pictures.dtype, device=pictures.device)
    channels = pictures.shape[1]
    kernel = torch.outer(line, line).expand(channels, 1, 3, 3)
    padded = F.pad(pictures, (distance,) * 4, mode="replicate")
    return F.conv2d(padded, kernel, groups=channels, dilation=distance)


def _check(pictures: Tensor, source: Tensor, same_size: bool) -> None:
    parts = slice(None) if same_size else slice(2)
    if pictures.ndim != 4 or pictures.shape[parts] != source.shape[parts]:
        what = "number, channels and size" if same_size else "number and channels"
        raise UsageError(
            f"pictures of shape {tuple(pictures.shape)} and a source of {tuple(source.shape)}: a "
            f"colour fix needs (n, c, h, w) of the same {what}"
        )
