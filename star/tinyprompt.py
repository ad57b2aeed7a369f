"""The text that star-tiny reads: the scale, and how worn the scene is, measured from the scene itself.

A model that does not know how noisy its input is either keeps grain or blurs clean film. The words say
it; where nobody says it, the scene is measured, with the same measure that the training texts came
from. Levels are one digit, so that a person can turn them: more noise said is more noise removed.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restar.errors import UsageError

__all__ = ["Condition", "level_of", "measure", "noise_of", "prompt_for"]

_BLOCK = 8
_CALM = 0.2  # share of blocks that are no noisier than what is measured
_LEFT = 0.05  # of the power of fine texture, when one frame is moved onto another
_LEAST_SIDE = 16  # of frames between which movement is sought
_PER_DOUBLING = 4.0  # levels for each doubling of 1 + noise
_OF_JUMPS = 2.6  # the same for flicker


@dataclass(frozen=True)
class Condition:
    """How a scene looks, each from 0 to 9: noise, sharpness (5 is about a good scan), flicker."""

    noise: int
    sharpness: int
    flicker: int


def prompt_for(scale: int, condition: Condition | None = None) -> str:
    """Return the text for a scale, with the scene's condition or (weaker) without it."""
    told = f"film enlarged x{scale}"
    if condition is None:
        return told
    return (
        f"{told}, noise {condition.noise}, sharpness {condition.sharpness}, "
        f"flicker {condition.flicker}"
    )


def measure(frames: Tensor) -> Condition:
    """Return the condition of successive frames (f, 3, h, w) in -1..1, before any enlargement.

    Noise: see `_noise`. Sharpness: mean difference of neighbours against that of second neighbours.
    Flicker: how far the mean brightness jumps from frame to frame.
    """
    if frames.ndim != 4 or frames.shape[1] != 3 or min(frames.shape[-2:]) < _BLOCK + 2:
        raise UsageError(
            f"frames of shape {tuple(frames.shape)}: needs (frames, 3, height, width) of at least "
            f"{_BLOCK + 2} pixels"
        )
    weights = torch.tensor([0.299, 0.587, 0.114], device=frames.device).view(1, 3, 1, 1)
    luma = (frames.float() * weights).sum(1, keepdim=True) * 127.5
    first = (luma[..., 1:] - luma[..., :-1]).abs().mean() + (
        luma[..., 1:, :] - luma[..., :-1, :]
    ).abs().mean()
    second = (luma[..., 2:] - luma[..., :-2]).abs().mean() + (
        luma[..., 2:, :] - luma[..., :-2, :]
    ).abs().mean()
    ratio = float(first / (second + 1e-6))
    means = luma.mean((1, 2, 3))
    jump = float((means[1:] - means[:-1]).abs().mean()) if len(means) > 1 else 0.0
    return Condition(
        level_of(_noise(luma.cpu() + 127.5)),
        _level(40 * (ratio - 0.5)),
        _level(_OF_JUMPS * math.log2(1 + jump)),
    )


def _noise(luma: Tensor) -> float:
    """Return the deviation of the noise in calm places of luma (f, 1, h, w), 0..255, in codes of 8 bits.

    Immerkaer's difference of Laplacians (1996) takes texture for noise, and a network that is told of
    noise smooths rock and leaves away. But texture goes with what moves, and noise does not. So what is
    left of a frame when the next one, moved onto it (dense inverse search, Kroeger et al. 2016), is
    taken off is held against the frame's own: it has all of the noise, and a small part of the
    texture's power, since fine texture is never met exactly. A single frame has only its own.
    """
    own = _laplacians(luma)
    height, width = luma.shape[-2:]
    if len(luma) == 1 or min(height, width) < _LEAST_SIDE:
        return _calm(own)
    own = own[:-1]
    moved = torch.from_numpy(_next_moved(luma[:, 0].numpy()))[:, None]
    left = torch.minimum(own, _laplacians(luma[:-1] - moved) / math.sqrt(2))
    return math.sqrt(max(0.0, _calm(left) ** 2 - _LEFT * _calm(own) ** 2) / (1 - _LEFT))


def _calm(laplacians: Tensor) -> float:
    """Return the deviation that the calmest blocks have, in codes of 8 bits."""
    return float(laplacians.flatten().quantile(_CALM)) * math.sqrt(math.pi / 2) / 6


def _laplacians(pictures: Tensor) -> Tensor:
    """Return the mean size of Immerkaer's operator in each block of pictures (f, 1, h, w)."""
    kernel = pictures.new_tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])[None, None]
    return F.avg_pool2d(F.conv2d(pictures, kernel).abs(), _BLOCK)


def _next_moved(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for all frames (f, h, w), 0..255, but the last what the next one shows, moved onto them."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    eight = np.rint(luma.clip(0, 255)).astype(np.uint8)
    rows, columns = np.indices(luma.shape[1:], np.float32)
    moved = []
    for number in range(len(luma) - 1):
        flow = search.calc(eight[number], eight[number + 1], np.empty((0, 0), np.float32))
        there = columns + flow[..., 0], rows + flow[..., 1]
        moved.append(
            cv2.remap(luma[number + 1], *there, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )
    return np.stack(moved)


def noise_of(level: int) -> float:
    """Return the deviation, in codes of 8 bits, that a noise level stands for."""
    return float(2 ** (level / _PER_DOUBLING) - 1)


def level_of(noise: float) -> int:
    """Return the level of a noise's deviation in codes of 8 bits."""
    return _level(_PER_DOUBLING * math.log2(1 + noise))


def _level(value: float) -> int:
    return max(0, min(9, round(value)))
