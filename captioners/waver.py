"""How far a captioner wavers by itself: what it says of a scene that is shown to it in several ways.

Other moments of the scene, its middle without the rim, the same softened, the same without its grain: the
content is the same in all of them. A captioner that words them as differently as it words a take tells
nothing about the take. So a take counts as drifted only if what is said of it is unlike all that was said
of its source; and where what was said of the source does not agree with itself, nothing can be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from captioners.drift import THRESHOLDS, Tower, likeness

__all__ = ["VERSION", "WAYS", "Verdict", "judged", "ways_of"]

Still = NDArray[np.uint8]

VERSION = 1  # rises whenever the same stills give other pictures to describe
WAYS = ("other moments", "without the rim", "softened", "without grain")

_RIM = 0.06  # of each side
# Below this part of the threshold the captioner's own descriptions have nothing to do with each other;
# set, as the ways were, on the clips that benchmarks.clips does not hold out.
_BABBLES = 0.6


def ways_of(stills: Sequence[Still], others: Sequence[Still]) -> list[list[Still]]:
    """Return a scene's stills (each h, w, 3, RGB) in the order of WAYS; `others` are other moments."""
    return [
        list(others),
        [_inner(still) for still in stills],
        [_softened(still) for still in stills],
        [_calmed(still) for still in stills],
    ]


@dataclass(frozen=True)
class Verdict:
    """What a take's caption says of it beside all that was said of its source.

    `agreement`: likeness (-1..1) with the likest of the source's; None where there is no content or no
    means to compare. `own`: how alike the source's are among themselves (the median of all pairs).
    """

    agreement: float | None
    own: float | None
    means: str
    drifted: bool

    @property
    def babbled(self) -> bool:
        """Whether the captioner does not agree with itself, so that an unlike take tells nothing."""
        return (
            self.own is not None
            and self.agreement is not None
            and self.agreement < THRESHOLDS[self.means]
            and self.own < _BABBLES * THRESHOLDS[self.means]
        )


def judged(said: Sequence[str], take: str, tower: Tower | None = None) -> Verdict:
    """Hold a take's caption against what was said of its source, one or several times."""
    found = [one for text in said if (one := likeness(text, take, tower)) is not None]
    if not found:
        return Verdict(None, None, "", drifted=False)
    best = max(found, key=lambda one: one.value)
    pairs = [likeness(one, other, tower) for one, other in combinations(said, 2)]
    own = float(np.median([0.0 if p is None else p.value for p in pairs])) if pairs else None
    verdict = Verdict(best.value, own, best.means, best.drifted)
    return Verdict(best.value, own, best.means, best.drifted and not verdict.babbled)


def _inner(still: Still) -> Still:
    height, width = still.shape[:2]
    y, x = round(_RIM * height), round(_RIM * width)
    return np.ascontiguousarray(still[y : height - y, x : width - x])


def _softened(still: Still) -> Still:
    """Half as large and back."""
    height, width = still.shape[:2]
    small = cv2.resize(
        still, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _calmed(still: Still) -> Still:
    """Without the grain that its calmest third shows, by non-local means (Buades, Coll, Morel 2005)."""
    height, width = still.shape[:2]
    if min(height, width) < 24:
        return still
    exact = still.astype(np.float32)
    rough = np.abs(exact - cv2.GaussianBlur(exact, (0, 0), 1.5)).mean(axis=2)
    blocks = cv2.resize(rough, (width // 12, height // 12), interpolation=cv2.INTER_AREA)
    strength = min(20.0, 2.0 * float(np.quantile(blocks, 0.3)))
    calm = cv2.fastNlMeansDenoisingColored(still, None, strength, strength, 5, 15)
    return np.asarray(calm, np.uint8)
