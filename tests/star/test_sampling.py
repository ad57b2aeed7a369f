"""The schedule, the plans and the samplers, beside diffusers' own where it has them."""

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from restar.errors import UsageError
from star.guidance import guide
from star.noise import FrameNoise, brownian, no_noise, recorded
from star.sampling import Progress, ddim, dpmpp_2m_sde
from star.schedule import Plan, Schedule, few_step_plan, log_snr, make_plan

SCHEDULE = Schedule.published()
SHAPE = (2, 3, 4, 2, 2)


def denoise(x: Tensor, t: int, _step: int) -> Tensor:
    """Stand in for a network: x_0 depends on x and on the time."""
    return 0.4 * x.tanh() + 0.1 * torch.cos(torch.tensor(t / 100))


def test_tables_are_on_the_circle() -> None:
    assert len(SCHEDULE.sigmas) == 1000
    assert SCHEDULE.sigmas.dtype == torch.float32
    assert (SCHEDULE.sigmas.diff() > 0).all()
    assert float(SCHEDULE.sigmas[-1]) == 1.0
    assert float(SCHEDULE.alphas[899]) == pytest.approx(0.04257, abs=5e-6)
    torch.testing.assert_close(SCHEDULE.sigmas**2 + SCHEDULE.alphas**2, torch.ones(1000))


def test_the_kept_tables_are_what_the_formulas_give() -> None:
    here = Schedule.of_formula(1000)
    torch.testing.assert_close(SCHEDULE.sigmas, here.sigmas, rtol=1e-6, atol=0)
    torch.testing.assert_close(SCHEDULE.alphas[:900], here.alphas[:900], rtol=1e-4, atol=0)
    torch.testing.assert_close(SCHEDULE.ve_sigmas[:900], here.ve_sigmas[:900], rtol=1e-4, atol=0)
    exact = torch.sigmoid(-log_snr(1000).double()).sqrt()
    torch.testing.assert_close(SCHEDULE.sigmas.double(), exact, rtol=3e-7, atol=0)
    assert SCHEDULE.ve_sigmas[-1].isinf()


def test_velocity_and_clean_are_inverse() -> None:
    x0, noise = torch.randn(2, *SHAPE).unbind(0)
    t = torch.tensor([300, 800])
    xt, v = SCHEDULE.diffuse(x0, t, noise), SCHEDULE.velocity(x0, t, noise)
    torch.testing.assert_close(SCHEDULE.clean(xt, t, v), x0, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(SCHEDULE.noise(xt, t, x0), noise, atol=1e-4, rtol=1e-4)


def test_times_and_sigmas_are_inverse() -> None:
    times = torch.tensor([1.0, 90.9, 454.25, 899.0])
    torch.testing.assert_close(
        SCHEDULE.time_of(SCHEDULE.ve_sigma_at(times)), times, atol=2e-2, rtol=0
    )


@pytest.mark.parametrize(
    ("mode", "steps", "start"),
    [("fast", 15, 400), ("normal", 0, 899), ("normal", 5, 1000), ("slow", 5, 899)],
)
def test_refuses_plans_that_are_none(mode: str, steps: int, start: int) -> None:
    with pytest.raises(UsageError, match="plan"):
        make_plan(SCHEDULE, mode, steps, start)  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps_are_diffusers_ddim(steps: int) -> None:
    x = torch.randn(SHAPE)
    plan = few_step_plan(SCHEDULE, steps)
    theirs = DDIMScheduler(
        1000, prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=False
    )
    theirs.alphas_cumprod = SCHEDULE.alphas**2
    theirs.set_timesteps(steps)
    assert plan.model_times.tolist() == theirs.timesteps.tolist()
    other = x
    for t in theirs.timesteps:
        alpha, sigma = SCHEDULE.alphas[t], SCHEDULE.sigmas[t]
        v = (alpha * other - denoise(other, int(t), 0)) / sigma
        other = theirs.step(v, t, other).prev_sample
    torch.testing.assert_close(ddim(denoise, x, plan, SCHEDULE), other, atol=1e-5, rtol=1e-4)


def test_one_step_is_what_the_network_sees() -> None:
    x = torch.randn(SHAPE)
    assert torch.equal(ddim(denoise, x, few_step_plan(SCHEDULE, 1), SCHEDULE), denoise(x, 999, 0))


@pytest.mark.parametrize("steps", [0, 3, 8])
def test_refuses_other_counts_of_few_steps(steps: int) -> None:
    with pytest.raises(UsageError, match="1, 2 or 4"):
        few_step_plan(SCHEDULE, steps)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
def test_multistep_is_diffusers_where_that_can_be_told_the_same() -> None:
    times = torch.tensor([899, 700, 450, 300, 120])
    plan = Plan.of(SCHEDULE, SCHEDULE.ve_sigma_at(times.float()))
    noises = [torch.randn(SHAPE) for _ in range(4)]
    theirs = DPMSolverMultistepScheduler(
        1000, algorithm_type="sde-dpmsolver++", solver_order=2, prediction_type="sample",
        final_sigmas_type="zero",
    )  # fmt: skip
    theirs.set_timesteps(5)
    theirs.timesteps, theirs.sigmas = times, plan.ve_sigmas
    start = torch.randn(SHAPE)
    # Theirs begins at x, ours at x * sigma / sqrt(1 + sigma^2): the published slip (see dpmpp_2m_sde).
    sigma = plan.ve_sigmas[0]
    x = start * sigma / torch.sqrt(1 + sigma**2)
    for t, noise in zip(times, [*noises, torch.zeros(SHAPE)], strict=True):
        x = theirs.step(denoise(x, int(t), 0), t, x, variance_noise=noise).prev_sample
    ours = dpmpp_2m_sde(denoise, start, plan, recorded(noises))
    torch.testing.assert_close(ours, x, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("stop", range(1, 14))
def test_goes_on_from_every_step(stop: int) -> None:
    x = torch.randn(SHAPE)
    plan = make_plan(SCHEDULE, "fast")
    noises = recorded([torch.randn(SHAPE) for _ in range(13)])
    kept: dict[int, Progress] = {}
    whole = dpmpp_2m_sde(denoise, x, plan, noises, lambda p: kept.update({p.step: p}))
    assert sorted(kept) == list(range(1, 15))
    assert torch.equal(dpmpp_2m_sde(denoise, x, plan, noises, resume=kept[stop]), whole)


def test_few_steps_go_on_from_every_step() -> None:
    x = torch.randn(SHAPE)
    plan = few_step_plan(SCHEDULE, 4)
    kept: dict[int, Progress] = {}
    whole = ddim(denoise, x, plan, SCHEDULE, lambda p: kept.update({p.step: p}))
    for stop in range(1, 4):
        assert torch.equal(ddim(denoise, x, plan, SCHEDULE, resume=kept[stop]), whole)


def test_starts_from_pure_noise() -> None:
    plan = make_plan(SCHEDULE, "normal", 4, start=999)
    assert plan.ve_sigmas[0].isinf()
    found = dpmpp_2m_sde(denoise, torch.randn(SHAPE), plan, no_noise(torch.zeros(SHAPE)))
    assert found.isfinite().all()


def test_recorded_noise_that_runs_out_is_an_error() -> None:
    plan = make_plan(SCHEDULE, "normal", 3)
    with pytest.raises(UsageError, match="holds 1 steps; step 2"):
        dpmpp_2m_sde(denoise, torch.randn(SHAPE), plan, recorded([torch.randn(SHAPE)]))


def test_brownian_noise_has_unit_variance_and_a_seed() -> None:
    plan = make_plan(SCHEDULE, "normal", 6)
    like = torch.zeros(1, 4, 8, 16, 16)
    for step in range(5):
        sources = [brownian(like, plan.ve_sigmas, entropy=5) for _ in range(2)]
        one, other = (s(step, *plan.ve_sigmas[step : step + 2]) for s in sources)
        assert torch.equal(one, other)
        assert float(one.std()) == pytest.approx(1, abs=0.03)


def test_noise_of_a_frame_is_its_own() -> None:
    noise = FrameNoise(seed=3)
    clip = noise.clip(10, 5, "start", 0, (4, 6, 8))
    assert clip.shape == (1, 4, 5, 6, 8)
    assert torch.equal(clip[:, :, 2:4], noise.clip(12, 2, "start", 0, (4, 6, 8)))
    others = [FrameNoise(4).frame(10, "start", 0, (4, 6, 8)), noise.frame(10, "step", 0, (4, 6, 8)),
              noise.frame(10, "start", 1, (4, 6, 8)), noise.frame(11, "start", 0, (4, 6, 8))]  # fmt: skip
    assert not any(torch.equal(clip[0, :, 0], other) for other in others)
    assert float(noise.clip(0, 64, "start", 0, (4, 16, 16)).std()) == pytest.approx(1, abs=0.01)


def test_guidance() -> None:
    one, other = torch.randn(2, *SHAPE).unbind(0)
    assert torch.equal(guide(one, other, 1.0), other + (one - other))
    rescaled = guide(one, other, 9.0, 1.0)
    torch.testing.assert_close(rescaled.flatten(1).std(1), one.flatten(1).std(1))
    whole = guide(one, other, 9.0, 0.3)
    for n in range(2):
        part = slice(n, n + 1)
        torch.testing.assert_close(whole[part], guide(one[part], other[part], 9.0, 0.3))
