"""The loss of STAR: the velocity's, and the dynamic frequency term with its gradient.

Liu and others, arXiv 2501.02976, section 3.3: v-loss + b(t) * DF, where DF compares the decoded picture
that the network sees with the true one, coarse content weighted by c(t) = (t / last)^power, detail by
1 - c(t). The released code decodes without a gradient, so there the term teaches nothing; here it does.
A model that restores in one step begins at the noisiest time, where the velocity is the picture itself:
there the loss is L1-like, since a squared error makes soft pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from star.frequency import Split, band_losses, by_magnitude, by_radius, time_weight, weighted_loss
from star.schedule import Schedule
from training.config import LossConfig

__all__ = ["SPLITS", "Losses", "frequency_loss", "star_losses"]

SPLITS: dict[str, Split] = {"radius": by_radius, "magnitude": by_magnitude}

_LEAST_ERROR = 0.1  # of the residual's deviation: below it there is next to nothing to mend

# A clip's latent (1, c, f, h, w) -> pictures (1, 3, f, H, W) or what stands for them, with gradient.
Decode = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Losses:
    """The loss of each clip (b,): `velocity` (L1-like at the noisiest time) and `frequency`."""

    velocity: Tensor
    frequency: Tensor

    @property
    def total(self) -> Tensor:
        return (self.velocity + self.frequency).mean()


def star_losses(
    schedule: Schedule,
    velocity: Tensor,
    x: Tensor,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    settings: LossConfig,
    decode: Decode,
) -> Losses:
    """Return the losses of a predicted `velocity` (b, c, f, h, w), float32, at times `t` (b,).

    `x` is the noised, `x0` the clean latent. `decode` brings latent differences to the measure of
    pictures, so that no channel counts more than its share of the picture.
    """
    last = len(schedule.sigmas) - 1
    clean = schedule.clean(x, t, velocity)
    wanted = schedule.velocity(x0, t.clamp(min=1), noise)
    of_velocity, of_frequency = [], []
    for index in range(len(t)):
        one = slice(index, index + 1)
        if int(t[index]) == last:
            residual = decode(x0[one])
            off = decode(clean[one]) - residual
            of_velocity.append(_first_loss(off, residual, settings))
            of_frequency.append(velocity.new_zeros(()))
            continue
        off = decode(velocity[one]) - decode(wanted[one])
        of_velocity.append(0.5 * off.square().mean())
        of_frequency.append(
            frequency_loss(decode(clean[one]), decode(x0[one]), t[one], last, settings)
        )
    return Losses(torch.stack(of_velocity), torch.stack(of_frequency))


def _first_loss(off: Tensor, residual: Tensor, settings: LossConfig) -> Tensor:
    """Return the loss at the noisiest time for one clip's errors (1, c, f, h, w), a number.

    `harm` counts once more what came out worse than the enlarged input itself: a mean over clips would
    trade a picture that is spoilt for one that gains. `steady` counts the errors of frame differences:
    errors that come and go are seen more than those that stay, and a mean does not tell them apart.
    """
    loss = _absolute(off) / _share(residual, settings)
    if settings.harm:
        given = _absolute(residual) / _share(residual, settings)
        loss = loss + settings.harm * (loss - given).clamp(min=0)
    if settings.steady and off.shape[2] > 1:
        jumps = _absolute(off.diff(dim=2)) / _share(residual.diff(dim=2), settings)
        loss = loss + settings.steady * jumps
    return loss


def _absolute(off: Tensor) -> Tensor:
    """Return the mean size of errors, rounded off at zero (Charbonnier)."""
    return (off.square() + 1e-4).sqrt().mean()


def _share(residual: Tensor, settings: LossConfig) -> Tensor | float:
    """Return what one clip's error is divided by: 1, or the error of the enlarged input itself.

    Decibels over the input are a ratio of errors. Without this the loss of clean clips, whose errors
    are small, is lost beside that of worn ones, and the network makes clean clips worse.
    """
    return _absolute(residual).clamp(min=_LEAST_ERROR) if settings.relative else 1.0


def frequency_loss(
    found: Tensor, wanted: Tensor, t: Tensor, last: int, settings: LossConfig
) -> Tensor:
    """Return b(t) * DF, a number, for one clip's pictures (1, c, f, h, w) at time `t` (1,)."""
    if settings.frequency == "none":
        return found.new_zeros(())
    low, high = band_losses(found, wanted, SPLITS[settings.frequency])
    term = weighted_loss(low, high, t, last, settings.power)
    return (time_weight(t, last) * term).squeeze()
