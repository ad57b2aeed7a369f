"""star-tiny is STAR: strict loading, every part and the text matter, and tiles do not."""

from pathlib import Path

import pytest
import torch

from restar.errors import CheckpointError, UsageError
from star.controlnet import StarControlNet
from star.liem import SpatialGate, TemporalGate
from star.noise import FrameNoise
from star.patchcodec import PatchCodec, block_transform
from star.pipeline.models import Steps, Tiny
from star.sampling import ddim
from star.schedule import few_step_plan
from star.text import encode_prompts
from star.tiny import FrameConv, PixelNorm, framewise
from star.tinymodel import START_NOISE, TinyStar, enlarged, load_tiny, save_tiny
from star.tinyprompt import Condition, prompt_for
from star.unet import StarUNet

FRAMES, HEIGHT, WIDTH = 2, 56, 64  # 14 by 16 latents


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.rand(FRAMES, 3, HEIGHT // 4, WIDTH // 4, generator=random) * 2 - 1


@torch.no_grad()
def restored(
    model: TinyStar, clip: torch.Tensor, prompt: str = "", steps: int = 1, seed: int = 0
) -> torch.Tensor:
    large = enlarged(clip, 4)[None]
    text = encode_prompts(model.text, [prompt or prompt_for(4, Condition(2, 4, 1))])
    hint = model.hint(large)
    advice = model.network.advice(text, hint)

    def denoise(x: torch.Tensor, t: int, _step: int) -> torch.Tensor:
        times = torch.tensor([t])
        return model.schedule.clean(x, times, model.network.velocity(x, times, text, hint, advice))

    start = FrameNoise(seed).clip(0, FRAMES, "start", 0, tuple(hint[0, :, 0].shape))
    plan = few_step_plan(model.schedule, steps)
    return model.residual(ddim(denoise, start, plan, model.schedule))


def changed(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().mean() / one.abs().mean())


def test_it_is_made_of_stars_own_classes(model: TinyStar) -> None:
    assert isinstance(model.network.unet, StarUNet)
    assert isinstance(model.network.control, StarControlNet)
    assert not any(isinstance(m, torch.nn.GroupNorm) for m in model.network.modules())
    assert sum(w.numel() for w in model.parameters()) < 5_000_000


def test_every_part_matters(model: TinyStar, clip: torch.Tensor) -> None:
    import copy

    whole = restored(model, clip)
    for name, zero in {
        "control": lambda m: m.network.control.parameters(),
        "unet": lambda m: m.network.unet.parameters(),
        "liem": lambda m: (
            w
            for part in m.modules()
            if isinstance(part, SpatialGate | TemporalGate)
            for w in part.parameters()
        ),
    }.items():
        without = copy.deepcopy(model)
        for weight in zero(without):
            weight.data.zero_()
        assert changed(whole, restored(without, clip)) > 1e-3, name


def test_text_and_seed_matter_where_they_should(model: TinyStar, clip: torch.Tensor) -> None:
    one = restored(model, clip)
    assert changed(one, restored(model, clip, prompt_for(4, Condition(9, 0, 9)))) > 1e-4
    assert torch.equal(one, restored(model, clip, seed=5))  # one step starts where nothing is left
    four = restored(model, clip, steps=4)
    assert changed(four, restored(model, clip, steps=4, seed=5)) > 1e-3


def test_words_that_were_not_taught_share_one_row(model: TinyStar) -> None:
    one, other = (encode_prompts(model.text, [f"{w} film enlarged x4"]) for w in ("horse", "river"))
    assert torch.equal(one, other)


def test_a_picture_beside_does_not_change_one_far_away(model: TinyStar) -> None:
    """Norms and attention see no more than their place, so tiles can be joined."""
    random = torch.Generator().manual_seed(2)
    wide = torch.rand(1, 3, 14, 128, generator=random) * 2 - 1
    other = wide.clone()
    other[..., 96:] = 1
    one, two = restored_one(model, wide), restored_one(model, other)
    assert float((one - two)[..., :128].abs().max()) < 1e-5
    assert float((one - two)[..., 400:].abs().max()) > 1e-3


@torch.no_grad()
def restored_one(model: TinyStar, frames: torch.Tensor) -> torch.Tensor:
    hint = model.hint(enlarged(frames, 4)[None])
    text = encode_prompts(model.text, ["film"])
    t = torch.tensor([999])
    return model.residual(-model.network(torch.zeros_like(hint), t, text, hint))


def test_it_is_saved_and_loaded_whole(model: TinyStar, clip: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_tiny(model, path, {"steps": 7}, torch.float32)
    loaded, note = load_tiny(path)
    assert note == {"steps": 7}
    assert torch.equal(restored(loaded, clip), restored(model, clip))


def test_a_file_with_a_part_missing_is_refused(model: TinyStar, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "tiny.safetensors"
    save_tiny(model, path, {}, torch.float16)
    with safe_open(path, "pt") as file:
        head, state = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    assert path.stat().st_size < 20e6
    state.pop("network.control.hint_conv.weight")
    save_file(state, path, head)
    with pytest.raises(CheckpointError, match="not whole star-tiny weights"):
        load_tiny(path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(CheckpointError):
        load_tiny(path)
    with pytest.raises(CheckpointError, match="no such file"):
        load_tiny(tmp_path / "none")


def test_the_codec_loses_nothing() -> None:
    transform = block_transform(4)
    assert torch.allclose(transform @ transform.T, torch.eye(48), atol=1e-6)
    frames = torch.rand(2, 3, 8, 12) * 2 - 1
    codec = PatchCodec()
    latent = codec.encode(frames).latent_dist
    assert latent.mean.shape == (2, 48, 2, 3)
    assert torch.allclose(codec.decode(latent.mode()).sample, frames, atol=1e-6)
    flat = codec.encode(torch.full((1, 3, 4, 4), 0.5)).latent_dist.mean
    assert int((flat.abs() > 1e-6).sum()) == 1
    with pytest.raises(UsageError, match="multiples of 4"):
        codec.encode(torch.zeros(1, 3, 6, 8))
    with pytest.raises(CheckpointError, match="48 scales"):
        PatchCodec(hint_scale=[1.0])


def test_pixel_norm_is_a_layer_norm_over_channels() -> None:
    hidden = torch.randn(2, 8, 3, 4, 5)
    made = PixelNorm(8, 1e-5)(hidden)
    assert torch.allclose(made.mean(1), torch.zeros(2, 3, 4, 5), atol=1e-6)
    assert torch.allclose(made.var(1, unbiased=False), torch.ones(2, 3, 4, 5), atol=1e-3)


def test_other_scales_are_refused() -> None:
    with pytest.raises(UsageError, match="by 2 or 4, not by 3"):
        enlarged(torch.zeros(1, 3, 8, 8), 3)


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("clips", [1, 2])
def test_convolution_over_frames_is_conv3d(frames: int, clips: int) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Conv3d(6, 6, (3, 1, 1), padding=(1, 0, 0))
    quick = framewise(plain)
    assert isinstance(quick, FrameConv)
    given = torch.randn(clips, 6, frames, 3, 4, requires_grad=True)
    wanted, made = plain(given), quick(given)
    torch.testing.assert_close(made, wanted)
    with torch.no_grad():
        torch.testing.assert_close(quick(given), wanted)
    one, other = (torch.autograd.grad(m.square().sum(), given)[0] for m in (wanted, made))
    torch.testing.assert_close(other, one)


def test_convolution_over_frames_works_in_16_bits() -> None:
    torch.manual_seed(0)
    quick = framewise(torch.nn.Conv3d(6, 6, (3, 1, 1), padding=(1, 0, 0)))
    given = torch.randn(1, 6, 3, 3, 4)
    wanted = quick(given)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        made = quick(given)
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.float(), wanted, atol=0.03, rtol=0.03)


def test_one_step_draws_no_noise(model: TinyStar) -> None:
    def refused() -> torch.Tensor:
        raise AssertionError("noise was drawn")

    tiny, hint = Tiny(model), torch.randn(1, 48, 14, 16)
    assert not tiny.begin(hint, refused, Steps("few", 1)).any()
    assert model.schedule.alphas[-1] == 0  # so nothing of it would have been seen
    drawn = torch.randn(1, 48, 14, 16)
    torch.testing.assert_close(
        tiny.begin(hint, lambda: drawn, Steps("few", 4)), START_NOISE * drawn
    )
