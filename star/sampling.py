"""Samplers: from a noised latent back to a clean one, one class each, all of one shape.

A sampler keeps latents in its own form (`begin`), shows the network what it takes (`seen`), and goes one
step on when it is told the clean latent x_0 that the network found (`advance`). Each of these works on
every number by itself, so a clip may be walked through frame by frame, step after step, in any order
that has the frames of a window together (`star.pipeline`); `sample` walks through it as a whole.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from star.noise import NoiseSource, no_noise
from star.schedule import Plan, Schedule

__all__ = [
    "Ddim", "Denoise", "DpmSolver", "OnStep", "Progress", "Sampler", "ddim", "dpmpp_2m_sde", "sample",
]  # fmt: skip

# (x, t, step) -> x_0: x is a latent (b, c, f, h, w) with alpha^2 + sigma^2 = 1, t an integer time.
Denoise = Callable[[Tensor, int, int], Tensor]


class Sampler(Protocol):
    """A plan with the arithmetic between its steps; tensors of any shape."""

    plan: Plan

    def begin(self, x: Tensor) -> Tensor:
        """Return a noised latent at the plan's first time in the sampler's own form."""
        ...

    def seen(self, x: Tensor, step: int) -> Tensor:
        """Return what the network is shown of `x`."""
        ...

    def draws(self, step: int) -> bool:
        """Return whether the step adds noise."""
        ...

    def advance(
        self, step: int, x: Tensor, clean: Tensor, before: Tensor | None, noise: Tensor | None
    ) -> Tensor:
        """Return x after the step, told x_0 of this step and of the one before."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where a sampler is: `step` steps are done; `x` as the sampler keeps it, `clean` the last x_0."""

    step: int
    x: Tensor
    clean: Tensor | None


OnStep = Callable[[Progress], None]


class DpmSolver:
    """DPM-Solver++(2M) SDE, midpoint, eta 1: Lu and others, arXiv 2211.01095, algorithm 2, appendix B.

    The steps run in x / alpha with the variance-exploding sigma. The published sampler comes there by
    `x * sigma` where `x / alpha` is meant, so its network first sees a latent 0.1 % too small; so does
    this one.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def begin(self, x: Tensor) -> Tensor:
        first = self.plan.ve_sigmas[0].to(x.device)
        return x * first if first.isfinite() else x

    def seen(self, x: Tensor, step: int) -> Tensor:
        sigma = self.plan.ve_sigmas[step].to(x.device)
        return x if sigma.isinf() else x / torch.sqrt(sigma**2 + 1)

    def draws(self, step: int) -> bool:
        sigma, following = self.plan.ve_sigmas[step], self.plan.ve_sigmas[step + 1]
        return bool(sigma.isfinite()) and bool(following > 0)

    def advance(
        self, step: int, x: Tensor, clean: Tensor, before: Tensor | None, noise: Tensor | None
    ) -> Tensor:
        sigmas = self.plan.ve_sigmas.to(x.device)
        sigma, following = sigmas[step], sigmas[step + 1]
        if sigma.isinf():
            return clean + following * x
        if following == 0 or noise is None:
            return clean
        past = None if step == 0 or before is None else (before, sigmas[step - 1])
        drift = _second_order(x, clean, past, sigma, following)
        spread = torch.sqrt(-torch.expm1(2 * (following.log() - sigma.log())))
        return drift + noise * following * spread


class Ddim:
    """DDIM without noise, for few steps: Song and others, arXiv 2010.02502, equation 12.

    One step from pure noise gives the network's x_0 as it is. The arithmetic is diffusers'
    DDIMScheduler on this project's schedule.
    """

    def __init__(self, plan: Plan, schedule: Schedule) -> None:
        self.plan, self.schedule = plan, schedule

    @cached_property
    def solver(self) -> DDIMScheduler:
        return ddim_scheduler(self.schedule, self.plan)

    def begin(self, x: Tensor) -> Tensor:
        return x

    def seen(self, x: Tensor, step: int) -> Tensor:
        return x

    def draws(self, step: int) -> bool:
        return False

    def advance(
        self, step: int, x: Tensor, clean: Tensor, before: Tensor | None, noise: Tensor | None
    ) -> Tensor:
        return self.solver.step(clean, int(self.plan.model_times[step]), x).prev_sample


def sample(
    sampler: Sampler,
    denoise: Denoise,
    x: Tensor,
    noise: NoiseSource,
    on_step: OnStep = lambda _progress: None,
    resume: Progress | None = None,
) -> Tensor:
    """Walk a whole clip through every step; `x` is the noised latent at the plan's first time.

    After each step `on_step` is told where it is; a `Progress` that was kept is where it goes on.
    """
    plan = sampler.plan
    begin, clean, current = 0, None, sampler.begin(x)
    if resume is not None:
        begin, current, clean = resume.step, resume.x, resume.clean
    sigmas = plan.ve_sigmas.to(x.device)
    for step in range(begin, len(plan)):
        before = clean
        clean = denoise(sampler.seen(current, step), int(plan.model_times[step]), step)
        drawn = noise(step, sigmas[step], sigmas[step + 1]) if sampler.draws(step) else None
        current = sampler.advance(step, current, clean, before, drawn)
        on_step(Progress(step + 1, current, clean))
    return current


def dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    plan: Plan,
    noise: NoiseSource,
    on_step: OnStep = lambda _progress: None,
    resume: Progress | None = None,
) -> Tensor:
    """Return the clean latent of `x`, a whole clip, by DpmSolver."""
    return sample(DpmSolver(plan), denoise, x, noise, on_step, resume)


def ddim(
    denoise: Denoise,
    x: Tensor,
    plan: Plan,
    schedule: Schedule,
    on_step: OnStep = lambda _progress: None,
    resume: Progress | None = None,
) -> Tensor:
    """Return the clean latent of `x`, a whole clip, by Ddim."""
    return sample(Ddim(plan, schedule), denoise, x, no_noise(x), on_step, resume)


def ddim_scheduler(schedule: Schedule, plan: Plan) -> DDIMScheduler:
    """Return diffusers' DDIM on this schedule, for a plan of equal steps, told x_0 in place of v."""
    count = len(schedule.sigmas)
    solver = DDIMScheduler(
        count,
        prediction_type="sample",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )
    solver.alphas_cumprod = schedule.alphas**2
    solver.set_timesteps(len(plan))
    return solver


def _second_order(
    x: Tensor, clean: Tensor, past: tuple[Tensor, Tensor] | None, sigma: Tensor, following: Tensor
) -> Tensor:
    """Return x without its noise after one step; `past` is the x_0 and the sigma of the step before."""
    step = sigma.log() - following.log()
    weight = -torch.expm1(-2 * step)
    moved = following / sigma * torch.exp(-step) * x + weight * clean
    if past is None or not math.isfinite(float(past[1])):
        return moved
    before, sigma_before = past
    ratio = (sigma_before.log() - sigma.log()) / step
    return moved + 0.5 * weight / ratio * (clean - before)
