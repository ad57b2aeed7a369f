"""The VAE between pictures and latents: diffusers' AutoencoderKLTemporalDecoder, in bounded memory.

The encoder sees one frame at a time. The decoder sees some frames at once and has no memory between
calls; the published pipeline decodes islands of three frames, which leaves seams (`chunk`).
"""

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKLTemporalDecoder
from torch import Tensor

from restar.errors import UsageError

__all__ = ["PUBLISHED_CHUNK", "Posterior", "decode", "encode", "encode_frames"]

PUBLISHED_CHUNK = 3


@dataclass(frozen=True)
class Posterior:
    """Where the encoder puts frames: `mean` and `std`, (f, c, h, w), before the latents' scaling."""

    mean: Tensor
    std: Tensor


@torch.no_grad()
def encode_frames(vae: AutoencoderKLTemporalDecoder, frames: Tensor) -> Posterior:
    """Return the posterior of frames (f, 3, h, w) in -1..1, one frame at a time."""
    if frames.ndim != 4 or 0 in frames.shape:
        raise UsageError(f"frames of shape {tuple(frames.shape)}: needs (frames, 3, height, width)")
    found = [vae.encode(frame[None]).latent_dist for frame in frames]
    return Posterior(torch.cat([d.mean for d in found]), torch.cat([d.std for d in found]))


def encode(
    vae: AutoencoderKLTemporalDecoder, frames: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Return scaled latents (f, c, h / 8, w / 8): the posterior's mean, or a sample with `noise`."""
    posterior = encode_frames(vae, frames)
    latents = posterior.mean if noise is None else posterior.mean + posterior.std * noise
    return latents * vae.config.scaling_factor


@torch.no_grad()
def decode(
    vae: AutoencoderKLTemporalDecoder, latents: Tensor, chunk: int | None = PUBLISHED_CHUNK
) -> Tensor:
    """Return frames (f, 3, 8h, 8w) in about -1..1 of scaled latents (f, c, h, w).

    `chunk` frames are decoded at once, all where it is None; how many changes the result.
    """
    if latents.ndim != 4 or 0 in latents.shape or (chunk is not None and chunk < 1):
        raise UsageError(
            f"latents of shape {tuple(latents.shape)} in chunks of {chunk}: needs (frames, channels, "
            "height, width) and chunks of at least 1"
        )
    length = chunk or len(latents)
    pieces = [latents[at : at + length] for at in range(0, len(latents), length)]
    scale = vae.config.scaling_factor
    return torch.cat([vae.decode(p / scale, num_frames=len(p)).sample for p in pieces])
