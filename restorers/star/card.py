"""What star-tiny's card says to a restoration: how it is to be told, and where little is to be gained."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["hardly_gains", "measured_levels", "tiny_template", "with_strength"]

_LEVELS = re.compile(r"film enlarged x(\d+), noise (\d), sharpness (\d), flicker (\d)")
_LEAST_SIDE = 10

# Noise level up to which a scene counts as clean, by scale (benchmarks.star_levels, docs/star-tiny.md).
_CLEAN_TO: dict[int, int] = {2: 2}


def tiny_template(scale: int) -> str:
    """Return the template of star-tiny's texts, as it was taught them."""
    return f"film enlarged x{scale}, {{condition}}"


def measured_levels(pictures: Sequence[NDArray[np.float32]]) -> str | None:
    """Return "noise 3, sharpness 5, flicker 2" of successive frames (h, w, 3), 0..1; None if tiny."""
    if min(pictures[0].shape[:2]) < _LEAST_SIDE:
        return None
    import torch

    from star.tinyprompt import measure, prompt_for

    frames = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) * 2 - 1
    return prompt_for(2, measure(frames)).partition(", ")[2]


def with_strength(prompt: str, strength: float) -> str:
    """Return a prompt that says less noise, so that about this share (0..1) of the grain is taken.

    Levels are whole numbers, so the share is met as nearly as they allow. A prompt that says no noise
    level, and any at strength 1, stays as it is.
    """
    found = _LEVELS.search(prompt)
    if found is None or strength == 1:
        return prompt
    from star.tinyprompt import level_of, noise_of

    said = level_of(strength * noise_of(int(found[2])))
    return prompt[: found.start(2)] + str(said) + prompt[found.end(2) :]


def hardly_gains(scale: int, prompt: str) -> str:
    """Return why a scene of this prompt has little to gain over a plain resize; "" where it has more."""
    found = _LEVELS.search(prompt)
    if found is None or int(found[1]) != scale or scale not in _CLEAN_TO:
        return ""
    noise, most = int(found[2]), _CLEAN_TO[scale]
    if noise > most:
        return ""
    return (
        f"clean at x{scale} (noise {noise} of 9): there star-tiny has little to gain over a plain "
        'resize, which it got, as the option clean = "resize" wishes'
    )
