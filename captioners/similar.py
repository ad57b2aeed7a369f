"""Whether two neighbouring scenes look the same: a cut within a shot, or a flash taken for a cut."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["near_identical"]

_SIZE = (32, 24)
_ALIKE = 6.0  # levels of 255 by which thumbnails may differ on the mean
_FARTHEST = 10.0


def near_identical(one: Sequence[NDArray[np.uint8]], other: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether the stills of two scenes, each (h, w, 3) RGB, differ by noise and small motion at most."""
    if not one or not other:
        return False
    ours, theirs = ([_thumbnail(still) for still in stills] for stills in (one, other))
    count = max(len(ours), len(theirs))
    pairs = [(ours[n * len(ours) // count], theirs[n * len(theirs) // count]) for n in range(count)]
    apart = [float(np.abs(a - b).mean()) for a, b in pairs]
    return float(np.mean(apart)) < _ALIKE and max(apart) < _FARTHEST


def _thumbnail(still: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.resize(still, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
