"""Samplers: from a noised latent back to a clean one, one function each, all of one signature.

A sampler is told `denoise(x, t, step)`, which gives the clean latent x_0 that the network sees in x
(`star.denoiser`), a plan of steps, and where its noise comes from (`star.noise`). After each step it
tells `on_step` where it is; a `Progress` that was kept is where it goes on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from star.noise import NoiseSource
from star.schedule import Plan, Schedule

__all__ = ["Denoise", "OnStep", "Progress", "ddim", "dpmpp_2m_sde"]

# (x, t, step) -> x_0: x is a latent (b, c, f, h, w) with alpha^2 + sigma^2 = 1, t an integer time.
Denoise = Callable[[Tensor, int, int], Tensor]


@dataclass(frozen=True)
class Progress:
    """Where a sampler is: `step` steps are done; `x` as the sampler keeps it, `clean` the last x_0."""

    step: int
    x: Tensor
    clean: Tensor | None


OnStep = Callable[[Progress], None]


def dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    plan: Plan,
    noise: NoiseSource,
    on_step: OnStep = lambda _progress: None,
    resume: Progress | None = None,
) -> Tensor:
    """DPM-Solver++(2M) SDE, midpoint, eta 1: Lu and others, arXiv 2211.01095, algorithm 2, appendix B.

    `x` is the noised latent at the plan's first time. The steps run in x / alpha with the
    variance-exploding sigma. The published sampler comes there by `x * sigma` where `x / alpha` is
    meant, so its network first sees a latent 0.1 % too small; so does this one.
    """
    sigmas = plan.ve_sigmas.to(x.device)
    begin, clean = 0, None
    scaled = x * sigmas[0] if sigmas[0].isfinite() else x
    if resume is not None:
        begin, scaled, clean = resume.step, resume.x, resume.clean
    for step in range(begin, len(plan)):
        sigma, following = sigmas[step], sigmas[step + 1]
        t = int(plan.model_times[step])
        before = clean
        if sigma.isinf():
            clean = denoise(scaled, t, step)
            scaled = clean + following * scaled
        else:
            clean = denoise(scaled / torch.sqrt(sigma**2 + 1), t, step)
            if following == 0:
                scaled = clean
            else:
                past = None if step == 0 or before is None else (before, sigmas[step - 1])
                drift = _second_order(scaled, clean, past, sigma, following)
                spread = torch.sqrt(-torch.expm1(2 * (following.log() - sigma.log())))
                scaled = drift + noise(step, sigma, following) * following * spread
        on_step(Progress(step + 1, scaled, clean))
    return scaled


def ddim(
    denoise: Denoise,
    x: Tensor,
    plan: Plan,
    schedule: Schedule,
    on_step: OnStep = lambda _progress: None,
    resume: Progress | None = None,
) -> Tensor:
    """DDIM without noise, for few steps: Song and others, arXiv 2010.02502, equation 12.

    `x` is pure noise, or a noised latent, at the plan's first time; one step gives the network's x_0
    as it is. The arithmetic is diffusers' DDIMScheduler on this project's schedule.
    """
    solver = ddim_scheduler(schedule, plan)
    begin = 0 if resume is None else resume.step
    current = x if resume is None else resume.x
    for step in range(begin, len(plan)):
        t = int(plan.model_times[step])
        clean = denoise(current, t, step)
        current = solver.step(clean, t, current).prev_sample
        on_step(Progress(step + 1, current, clean))
    return current


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
