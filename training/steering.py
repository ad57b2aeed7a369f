"""Texts that say another noise level than the measured one, with the picture that belongs to it.

Where the text always says what the picture shows, a network need not listen. So some texts say less noise
than there is: then less is to be taken, and a share of the grain stays in the picture to reach. Some say
more: nothing more is to be taken, since only noise should go. A level beside the measured one is not
drawn below it: a measure may be one off, and grain that stays by mistake is what nobody asked for.
"""

import numpy as np

from star.tinyprompt import noise_of

__all__ = ["said_noise", "share_left"]

_HIGHEST = 9
_LOWER = 0.7  # share of lower levels, where there is grain to leave


def said_noise(measured: int, grain: bool, random: np.random.Generator) -> int:
    """Return the level that a text says in the place of the measured one; lower only with grain."""
    lower = list(range(measured - 1)) if grain else []
    higher = list(range(measured + 1, _HIGHEST + 1))
    choices = lower if lower and (not higher or random.random() < _LOWER) else higher
    return int(random.choice(choices)) if choices else measured


def share_left(said: int, measured: int) -> float:
    """Return the share (0..1) of the grain that stays when `said` is taken to be all of it."""
    if said >= measured:
        return 0.0
    return 1 - noise_of(said) / noise_of(measured)
