"""The text that star-tiny reads: the scale, and how worn the scene is, measured from the scene itself.

A model that does not know how noisy its input is either keeps grain or blurs clean film. The words say
it; where nobody says it, the scene is measured, with the same measure that the training texts came
from. Levels are one digit, so that a person can turn them: more noise said is more noise removed.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restar.errors import UsageError

__all__ = ["Condition", "level_of", "measure", "noise_of", "prompt_for"]

_BLOCK = 8
_PER_DOUBLING = 2.6  # levels for each doubling of 1 + noise


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
    """Return the condition of input frames (f, 3, h, w) in -1..1, before any enlargement.

    Noise: Immerkaer's difference of Laplacians (1996), in the calmest fifth of all 8x8 blocks.
    Sharpness: mean difference of neighbours against that of second neighbours. Flicker: how far the
    mean brightness jumps from frame to frame.
    """
    if frames.ndim != 4 or frames.shape[1] != 3 or min(frames.shape[-2:]) < _BLOCK + 2:
        raise UsageError(
            f"frames of shape {tuple(frames.shape)}: needs (frames, 3, height, width) of at least "
            f"{_BLOCK + 2} pixels"
        )
    weights = torch.tensor([0.299, 0.587, 0.114], device=frames.device).view(1, 3, 1, 1)
    luma = (frames.float() * weights).sum(1, keepdim=True) * 127.5
    kernel = luma.new_tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])[None, None]
    calm = F.avg_pool2d(F.conv2d(luma, kernel).abs(), _BLOCK).flatten()
    noise = float(calm.quantile(0.2)) * (torch.pi / 2) ** 0.5 / 6
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
        level_of(noise),
        _level(40 * (ratio - 0.5)),
        level_of(jump),
    )


def noise_of(level: int) -> float:
    """Return the deviation, in codes of 8 bits, that a noise level stands for."""
    return float(2 ** (level / _PER_DOUBLING) - 1)


def level_of(noise: float) -> int:
    """Return the level of a deviation in codes of 8 bits, of noise or of flicker."""
    return _level(_PER_DOUBLING * math.log2(1 + noise))


def _level(value: float) -> int:
    return max(0, min(9, round(value)))
