"""The frequency term has a gradient, the right one; the velocity's loss is what it says."""

import pytest
import torch

from star.frequency import SCALE
from star.schedule import Schedule
from training.config import LossConfig
from training.loss import frequency_loss, star_losses

CLIP = (1, 3, 2, 8, 12)


def clips(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    found, wanted = (torch.randn(CLIP, generator=random, dtype=torch.float64) for _ in range(2))
    return found, wanted


@pytest.mark.parametrize("t", [30, 600])
@pytest.mark.parametrize("split", ["radius", "magnitude"])
def test_gradient_of_the_frequency_term_is_that_of_finite_differences(split: str, t: int) -> None:
    settings = LossConfig(frequency=split)  # type: ignore[arg-type]
    found, wanted = clips(1)
    time = torch.tensor([t], dtype=torch.float64)

    def loss(clip: torch.Tensor) -> torch.Tensor:
        return frequency_loss(clip, wanted, time, 999, settings)

    clip = found.clone().requires_grad_()
    loss(clip).backward()
    assert clip.grad is not None
    assert float(clip.grad.abs().max()) > 1e-6
    # The magnitude split holds its threshold still in the gradient, as a constant of the step.
    if split == "magnitude":
        return
    random = torch.Generator().manual_seed(2)
    for _ in range(5):
        way = torch.randn(CLIP, generator=random, dtype=torch.float64)
        step = 1e-6
        measured = (loss(found + step * way) - loss(found - step * way)) / (2 * step)
        told = (clip.grad * way).sum()
        assert float(told) == pytest.approx(float(measured), rel=1e-4)


def test_low_frequencies_count_late_in_the_noise_and_high_ones_early() -> None:
    settings = LossConfig(frequency="radius")
    wanted = torch.zeros(1, 3, 1, 16, 16)
    coarse = wanted + torch.linspace(-1, 1, 16)
    fine = wanted + torch.tensor([1.0, -1.0]).repeat(8)

    def term(clip: torch.Tensor, t: int) -> float:
        return float(frequency_loss(clip, wanted, torch.tensor([t]), 999, settings))

    assert term(fine, 50) > 20 * term(fine, 950)
    assert term(coarse, 700) / term(fine, 700) > term(coarse, 50) / term(fine, 50)
    assert term(fine, 999) == 0
    assert SCALE == 0.01


def test_no_frequency_term_is_zero() -> None:
    found, wanted = clips(3)
    assert (
        float(frequency_loss(found, wanted, torch.tensor([9]), 999, LossConfig(frequency="none")))
        == 0
    )


def test_the_true_velocity_has_no_loss_at_any_time() -> None:
    schedule = Schedule.published()
    random = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(3, 4, 2, 8, 8, generator=random) for _ in range(2))
    t = torch.tensor([40, 500, 999])
    x, v = schedule.diffuse(x0, t, noise), schedule.velocity(x0, t, noise)

    def pictures(latent: torch.Tensor) -> torch.Tensor:
        return latent[:, :3]

    right = star_losses(schedule, v, x, x0, noise, t, LossConfig(), pictures)
    wrong = star_losses(schedule, v + 0.5, x, x0, noise, t, LossConfig(), pictures)
    assert float(right.velocity.max()) <= 0.0101  # what the L1-like loss adds under its root
    assert float(right.frequency.max()) < 1e-4
    assert float(wrong.velocity.min()) > 0.1
    assert (wrong.frequency[:2] > right.frequency[:2]).all()
    assert float(wrong.frequency[2]) == 0


def test_relative_loss_is_the_share_of_the_enlarged_inputs_error() -> None:
    """A clip ten times as near its input counts as much, and no network at all is 1."""
    schedule = Schedule.published()
    random = torch.Generator().manual_seed(0)
    near, noise = (torch.randn(1, 3, 2, 8, 8, generator=random) for _ in range(2))
    last = torch.tensor([999, 999])
    x0, noise = torch.cat([near, 10 * near]), noise.expand(2, -1, -1, -1, -1)
    x = schedule.diffuse(x0, last, noise)

    def loss(part: float, relative: bool) -> torch.Tensor:
        v = schedule.velocity(part * x0, last, noise)
        settings = LossConfig(relative=relative)
        return star_losses(schedule, v, x, x0, noise, last, settings, lambda z: z).velocity

    assert loss(0.0, True).tolist() == pytest.approx([1, 1])
    assert loss(0.5, True).tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    absolute = loss(0.5, False)
    assert float(absolute[1] / absolute[0]) == pytest.approx(10, rel=0.01)


def test_a_clip_with_nothing_to_mend_has_no_boundless_weight() -> None:
    schedule = Schedule.published()
    x0, noise, last = torch.zeros(1, 3, 1, 8, 8), torch.ones(1, 3, 1, 8, 8), torch.tensor([999])
    v = schedule.velocity(x0 + 0.1, last, noise)
    settings = LossConfig(relative=True)
    made = star_losses(schedule, v, noise, x0, noise, last, settings, lambda z: z).velocity
    assert float(made) == pytest.approx(1, rel=0.02)


def test_the_error_of_frame_differences_has_a_gradient_and_a_single_frame_has_none() -> None:
    """An error that is the same in each frame counts as before; one that comes and goes counts more."""
    schedule, last = Schedule.published(), torch.tensor([999])
    random = torch.Generator().manual_seed(0)

    def loss(off: torch.Tensor, steady: float) -> torch.Tensor:
        x0 = torch.ones_like(off)
        v = schedule.velocity(x0 + off, last, x0)
        settings = LossConfig(steady=steady)
        return star_losses(schedule, v, x0, x0, x0, last, settings, lambda z: z).velocity.sum()

    shape = (1, 3, 4, 8, 8)
    still = torch.randn(1, 3, 1, 8, 8, generator=random).expand(shape)
    coming = torch.randn(shape, generator=random).requires_grad_()
    assert float(loss(still, 1.0)) == pytest.approx(float(loss(still, 0.0)), abs=0.0101)
    more = loss(coming, 1.0) - loss(coming, 0.0)
    assert more.item() > 1
    (slope,) = torch.autograd.grad(more, coming)
    assert float(slope.abs().max()) > 1e-4
    one = coming.detach()[:, :, :1]
    assert float(loss(one, 1.0)) == float(loss(one, 0.0))


def test_what_came_out_worse_than_the_input_counts_once_more() -> None:
    """`harm` leaves alone what is better than the enlarged input, whose error is the residual itself."""
    schedule, last = Schedule.published(), torch.tensor([999])
    x0 = torch.ones(1, 3, 2, 8, 8)

    def loss(off: float, harm: float) -> float:
        v = schedule.velocity(x0 + off, last, x0)
        settings = LossConfig(relative=True, harm=harm)
        return float(star_losses(schedule, v, x0, x0, x0, last, settings, lambda z: z).velocity)

    assert loss(0.5, 2.0) == loss(0.5, 0.0) == pytest.approx(0.5, rel=0.01)
    assert loss(1.5, 0.0) == pytest.approx(1.5, rel=0.01)
    assert loss(1.5, 2.0) == pytest.approx(1.5 + 2.0 * 0.5, rel=0.01)
