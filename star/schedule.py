"""How noisy a latent is at each of 1000 times, and the plans by which a sampler walks back.

Index 0 is clean, index 999 pure noise: x_t = alpha_t x_0 + sigma_t eps with alpha^2 + sigma^2 = 1. The
network gives the velocity v = alpha_t eps - sigma_t x_0 (Salimans and Ho, arXiv 2202.00512). A sampler
works with the variance-exploding sigma, sigma_t / alpha_t. The published tables are float32 with its
cancellations (alpha[998] is 8 % off). Which last bits come out depends on the processor's own log,
tan and root, and one of them can be a tenth of a percent of alpha; so the tables that the published code
came to are kept as a file, and every machine works with the same ones.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal, Self

import torch
from safetensors.torch import load
from torch import Tensor

from restar.errors import UsageError

__all__ = ["FEW_STEPS", "START", "Plan", "Schedule", "few_step_plan", "log_snr", "make_plan"]

# The published sampler starts here, not from pure noise: 4 % of the low-resolution latent survive.
START = 899

FEW_STEPS = (1, 2, 4)
_COARSE_UNTIL = 500


@dataclass(frozen=True)
class Schedule:
    """The noise schedule, float32 tensors of one entry a time.

    `ve_sigmas` is sigma / alpha, infinite where no signal is left.
    """

    sigmas: Tensor
    alphas: Tensor
    ve_sigmas: Tensor

    @classmethod
    def published(cls) -> Self:
        """Return STAR's, of 1000 times."""
        return cls(**_published_tables())

    @classmethod
    def of_formula(cls, steps: int) -> Self:
        """Return what the published formulas give in float32 on this processor."""
        sigmas = torch.sqrt(torch.sigmoid(-log_snr(steps)))
        noise = sigmas**2
        return cls(sigmas, torch.sqrt(1 - noise), torch.sqrt(noise / (1 - noise)))

    def diffuse(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t for the clean `x0` (b, ...) at times `t` (b,)."""
        alpha, sigma = self.at(t, x0)
        return alpha * x0 + sigma * noise

    def velocity(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return v, what the network is trained to give: alpha eps - sigma x0, by way of x_t.

        The published code takes (alpha x_t - x_0) / sigma, which in float32 is up to 6e-5 of the
        largest value off where sigma is small. So is this, to be equal to it.
        """
        alpha, sigma = self.at(t, x0)
        return (alpha * self.diffuse(x0, t, noise) - x0) / sigma

    def clean(self, xt: Tensor, t: Tensor, velocity: Tensor) -> Tensor:
        """Return x_0 from x_t and v."""
        alpha, sigma = self.at(t, xt)
        return alpha * xt - sigma * velocity

    def noise(self, xt: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """Return the noise that makes x_t of x_0."""
        alpha, sigma = self.at(t, xt)
        return (xt - alpha * x0) / sigma

    def posterior(self, xt: Tensor, t: Tensor, x0: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (b, ...) and variance (b, 1, ...) of x_{t-1} given x_t and x_0.

        Ho, Jain and Abbeel, arXiv 2006.11239, equations 6 and 7. At time 0 the mean is x_0.
        """
        alpha, sigma = self.at(t, xt)
        alpha_before, _ = self.at((t - 1).clamp(min=0), xt)
        first = (t == 0).view(alpha.shape).to(alpha.device)
        alpha_before = torch.where(first, torch.ones_like(alpha), alpha_before)
        sigma_before = torch.sqrt(1 - alpha_before**2)  # in float32 not the table's, as published
        beta = 1 - (alpha / alpha_before) ** 2
        of_clean = alpha_before * beta / sigma**2
        of_noisy = alpha * sigma_before**2 / (alpha_before * sigma**2)
        return of_clean * x0 + of_noisy * xt, beta * (sigma_before / sigma) ** 2

    def at(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return alpha and sigma at integer times (b,), of `like`'s device, shaped (b, 1, ...)."""
        shape = (-1,) + (1,) * (like.ndim - 1)
        index = t.to(self.sigmas.device)
        alpha, sigma = self.alphas[index], self.sigmas[index]
        return alpha.view(shape).to(like.device), sigma.view(shape).to(like.device)

    def ve_sigma_at(self, times: Tensor) -> Tensor:
        """Return sigma / alpha at fractional times, linear between neighbours in log sigma."""
        low, high, part = times.floor().long(), times.ceil().long(), times.frac()
        logs = self.ve_sigmas.log()
        between = (1 - part) * logs[low] + part * logs[high]
        between[between.isnan() | between.isinf()] = torch.inf
        return between.exp()

    def time_of(self, ve_sigmas: Tensor) -> Tensor:
        """Return the fractional time of each sigma / alpha: `ve_sigma_at`, backwards."""
        logs = self.ve_sigmas.log()
        wanted = ve_sigmas.log()
        low = (torch.searchsorted(logs, wanted, right=True) - 1).clamp(0, len(logs) - 2)
        below, above = logs[low], logs[low + 1]
        part = ((below - wanted) / (below - above)).clamp(0, 1)
        times = (1 - part) * low + part * (low + 1)
        last = torch.full_like(times, len(logs) - 1)
        return torch.where(ve_sigmas.isinf(), last, times)


@dataclass(frozen=True)
class Plan:
    """The steps of a sampler, noisiest first: n + 1 VE sigmas, the last 0, and n times.

    `times` is where each sigma lies on the schedule; the network is told `model_times`, those rounded.
    """

    ve_sigmas: Tensor
    times: Tensor
    model_times: Tensor

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def of(cls, schedule: Schedule, ve_sigmas: Tensor) -> "Plan":
        """Return the plan with these VE sigmas, to which the closing 0 is added."""
        times = schedule.time_of(ve_sigmas)
        ends = torch.cat([ve_sigmas, ve_sigmas.new_zeros(1)])
        return cls(ends, times, times.round().long())


@lru_cache(maxsize=1)
def _published_tables() -> dict[str, Tensor]:
    file = resources.files("star") / "configs" / "published-schedule.safetensors"
    return load(file.read_bytes())


def log_snr(steps: int) -> Tensor:
    """Return the cosine schedule's log-SNR from 15 to -15, shifted for large latents, float32.

    The shift is 2 ln(1/2) at the noisy end and 2 ln(1/4) at the clean one, in between linear
    (Hoogeboom and others, simple diffusion, arXiv 2301.11093, section 2).
    """
    u = torch.linspace(1, 0, steps)
    start, end = math.atan(math.exp(7.5)), math.atan(math.exp(-7.5))
    cosine = -2 * torch.log(torch.tan(start + u * (end - start)))
    noisy, clean = cosine + 2 * math.log(1 / 2), cosine + 2 * math.log(1 / 4)
    return u * noisy + (1 - u) * clean


def make_plan(
    schedule: Schedule, mode: Literal["fast", "normal"], steps: int = 15, start: int = START
) -> Plan:
    """Return the published sampler's plan: "fast" takes 14 steps, "normal" `steps` equal ones.

    Fast: four coarse steps from `start` down to 500, then fine ones. Both count back from `start`
    to just above 0 and leave the last step but one out, so that the closing 0 follows a larger sigma.
    Raises UsageError for numbers that give no plan.
    """
    last = len(schedule.sigmas) - 1
    if not 0 < start <= last or steps < 1:
        raise UsageError(
            f"a plan of {steps} steps from time {start}: needs at least 1 step and a start of 1 to {last}"
        )
    if mode == "fast":
        if start <= _COARSE_UNTIL:
            raise UsageError(
                f"the fast plan starts above time {_COARSE_UNTIL}, not at {start}; take a normal one"
            )
        coarse = torch.arange(start, _COARSE_UNTIL - 1, -(start - _COARSE_UNTIL + 1) / 4)
        fine = torch.arange(_COARSE_UNTIL, -1, -(_COARSE_UNTIL + 1) / 11)
        times = torch.cat([coarse, fine])
    elif mode == "normal":
        times = torch.arange(start, -1, -(start + 1) / (steps + 1))
    else:
        raise UsageError(f"plan '{mode}': choose fast or normal")
    return Plan.of(schedule, schedule.ve_sigma_at(times.float().clamp(0, start))[:-1])


def few_step_plan(schedule: Schedule, steps: int) -> Plan:
    """Return a plan of 1, 2 or 4 equal steps from pure noise, for small models trained for it.

    The times are trailing ones (Lin and others, arXiv 2305.08891, section 3.3): the first is the
    schedule's last, where no signal is left.
    """
    if steps not in FEW_STEPS:
        raise UsageError(f"few-step sampling takes 1, 2 or 4 steps, not {steps}")
    count = len(schedule.sigmas)
    times = torch.arange(count, 0, -count / steps).round() - 1
    return Plan.of(schedule, schedule.ve_sigma_at(times))
