"""The text that star-tiny reads: the scale, and how worn the scene is, measured from the scene itself.

A model that does not know how noisy its input is either keeps grain or blurs clean film. The words say
it; where nobody says it, the scene is measured, with the same measure that the training texts came
from. Levels are one digit, so that a person can turn them: more noise said is more noise removed.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restar.errors import UsageError

__all__ = ["Condition", "level_of", "measure", "noise_of", "prompt_for"]

Plane = NDArray[np.float32]

_BLOCK = 8
_CALM = 0.15  # share of blocks that are no noisier than what is measured
_REACH = 2  # frames before and after, in which a frame's texture is looked for
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
    noise smooths rock and leaves away. But texture goes with what moves, and noise does not: so a block
    counts with the least that is left of it when a frame nearby, moved onto its own (dense inverse
    search, Kroeger et al. 2016), is taken off. Several are tried, since fine texture is met exactly only
    where it has moved by whole pixels. A single frame has nothing but its own.
    """
    least = _laplacians(luma)
    if min(luma.shape[-2:]) >= _LEAST_SIDE:
        pictures = luma[:, 0].numpy()
        eight = np.rint(pictures.clip(0, 255)).astype(np.uint8)
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        for own in range(len(pictures)):
            for other in range(max(0, own - _REACH), min(len(pictures), own + _REACH + 1)):
                if other != own:
                    flow = search.calc(eight[own], eight[other], np.empty((0, 0), np.float32))
                    left = pictures[own] - _moved(pictures[other], flow)
                    found = _laplacians(torch.from_numpy(left)[None, None])[0] / math.sqrt(2)
                    least[own] = torch.minimum(least[own], found)
    return float(least.flatten().quantile(_CALM)) * math.sqrt(math.pi / 2) / 6


def _laplacians(pictures: Tensor) -> Tensor:
    """Return the mean size of Immerkaer's operator in each block of pictures (f, 1, h, w)."""
    kernel = pictures.new_tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])[None, None]
    return F.avg_pool2d(F.conv2d(pictures, kernel).abs(), _BLOCK)


def _moved(picture: Plane, flow: NDArray[Any]) -> Plane:
    """Return a picture (h, w) looked up where a flow (h, w, 2), in pixels, leads."""
    rows, columns = np.indices(picture.shape, np.float32)
    there = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(picture, *there, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def noise_of(level: int) -> float:
    """Return the deviation, in codes of 8 bits, that a noise level stands for."""
    return float(2 ** (level / _PER_DOUBLING) - 1)


def level_of(noise: float) -> int:
    """Return the level of a noise's deviation in codes of 8 bits."""
    return _level(_PER_DOUBLING * math.log2(1 + noise))


def _level(value: float) -> int:
    return max(0, min(9, round(value)))
