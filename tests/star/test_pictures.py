"""Windows, paddings, colour fixes, the frequency loss and the VAE."""

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder

from restar.errors import UsageError
from star.colour import adain, split_bands, to_pictures, wavelet
from star.configuration import load_config
from star.frequency import (
    SCALE,
    band_losses,
    by_magnitude,
    by_radius,
    time_weight,
    weighted_loss,
)
from star.vae import decode, encode, encode_frames
from star.windows import join_by_cuts, kept_ranges, published_padding, windows


def test_windows_cover_every_clip_once() -> None:
    for length in (2, 3, 8, 32):
        for frames in range(1, 140):
            over = windows(frames, length)
            kept = [n for begin, end in kept_ranges(over) for n in range(begin, end)]
            assert kept == list(range(frames))
            assert all(1 <= end - begin <= max(1.25 * length, 2) for begin, end in over)
            clip = torch.arange(frames).view(1, 1, -1, 1, 1)
            parts = [clip[:, :, begin:end] for begin, end in over]
            assert torch.equal(join_by_cuts(parts, over), clip)


@pytest.mark.parametrize(("frames", "length"), [(0, 8), (5, 1), (-1, 8)])
def test_refuses_windows_over_nothing(frames: int, length: int) -> None:
    with pytest.raises(UsageError, match="windows of"):
        windows(frames, length)


def test_pads_as_published() -> None:
    assert published_padding(480, 640) == (320, 320, 120, 120)
    assert published_padding(1080, 1920) == (0, 64, 0, 24)


def test_adain_gives_the_source_its_statistics() -> None:
    pictures, source = torch.rand(2, 3, 8, 9) * 0.2 + 0.4, torch.rand(2, 3, 4, 5) * 0.3 + 0.3
    found = adain(pictures, source)
    torch.testing.assert_close(
        found.flatten(2).mean(2), source.flatten(2).mean(2), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(found.flatten(2).std(2), source.flatten(2).std(2), atol=1e-2, rtol=0)


def test_wavelet_keeps_the_detail_and_takes_the_colour() -> None:
    pictures = torch.rand(2, 3, 40, 36) * 0.2 + 0.2
    detail, coarse = split_bands(pictures)
    torch.testing.assert_close(detail + coarse, pictures)
    shifted = wavelet(pictures, pictures + 0.25)
    torch.testing.assert_close(shifted, pictures + 0.25, atol=1e-5, rtol=0)


def test_refuses_sources_of_other_shapes() -> None:
    pictures = torch.rand(2, 3, 8, 8)
    with pytest.raises(UsageError, match="number and channels"):
        adain(pictures, torch.rand(3, 3, 8, 8))
    with pytest.raises(UsageError, match="number, channels and size"):
        wavelet(pictures, torch.rand(2, 3, 4, 8))
    with pytest.raises(UsageError, match="clip of shape"):
        to_pictures(torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize("split", [by_magnitude, by_radius])
def test_bands_add_up_and_have_a_gradient(split: object) -> None:
    clip = torch.randn(2, 3, 2, 8, 10, requires_grad=True)
    low, high = split(clip)  # type: ignore[operator]
    assert low.shape == (4, 3, 8, 6, 2)
    whole = torch.view_as_real(torch.fft.rfft2(clip.transpose(1, 2).flatten(0, 1)))
    torch.testing.assert_close(low + high, whole)
    losses = band_losses(clip, torch.zeros_like(clip), split)  # type: ignore[arg-type]
    sum(losses).backward()  # type: ignore[union-attr]
    assert clip.grad is not None
    assert clip.grad.abs().max() > 0


def test_radius_tells_coarse_from_fine() -> None:
    rows = torch.arange(32.0)
    for waves, coarse in ((1, True), (14, False)):
        clip = (
            torch.sin(2 * torch.pi * waves * rows / 32).view(1, 1, 1, -1, 1).expand(1, 1, 1, 32, 32)
        )
        low, high = by_radius(clip)
        assert bool(low.abs().sum() > high.abs().sum()) == coarse


def test_loss_weights_go_from_fine_to_coarse() -> None:
    t = torch.tensor([0, 999])
    low, high = torch.tensor(3.0), torch.tensor(5.0)
    assert weighted_loss(low, high, t).tolist() == pytest.approx([SCALE * 5, SCALE * 3])
    assert time_weight(t).tolist() == [1, 0]


@pytest.fixture(scope="module")
def vae() -> AutoencoderKLTemporalDecoder:
    torch.manual_seed(0)
    return AutoencoderKLTemporalDecoder(**load_config("tiny").vae).eval()


def test_vae_encodes_frame_by_frame(vae: AutoencoderKLTemporalDecoder) -> None:
    frames = torch.rand(3, 3, 24, 16) * 2 - 1
    latents = encode(vae, frames)
    assert latents.shape == (3, 4, 3, 2)
    torch.testing.assert_close(latents[1:2], encode(vae, frames[1:2]))
    posterior = encode_frames(vae, frames)
    noise = torch.randn_like(latents)
    wanted = (posterior.mean + posterior.std * noise) * 0.18215
    torch.testing.assert_close(encode(vae, frames, noise), wanted)


def test_vae_decodes_in_chunks(vae: AutoencoderKLTemporalDecoder) -> None:
    latents = torch.randn(5, 4, 3, 2)
    found = decode(vae, latents, 2)
    assert found.shape == (5, 3, 24, 16)
    torch.testing.assert_close(found[:2], decode(vae, latents[:2], None))
    torch.testing.assert_close(found[4:], decode(vae, latents[4:], None))


def test_vae_refuses_nothing_to_do(vae: AutoencoderKLTemporalDecoder) -> None:
    with pytest.raises(UsageError, match="frames of shape"):
        encode(vae, torch.zeros(0, 3, 8, 8))
    with pytest.raises(UsageError, match="latents of shape"):
        decode(vae, torch.zeros(0, 4, 2, 2))
    with pytest.raises(UsageError, match="chunks of 0"):
        decode(vae, torch.zeros(1, 4, 2, 2), 0)
