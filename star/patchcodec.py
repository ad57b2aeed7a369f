"""A codec that loses nothing: each 4x4 block of pixels becomes 48 channels of one latent position.

A learned VAE of a size that can be trained on a laptop starts below plain bicubic enlargement, so a
small model works on rearranged pixels instead. The 48 channels are the block's cosine transform, by
three orthonormal colours: plain pixels of a block are nearly equal, and a network that is given them
sees the brightness 100 times as large as the detail it has to mend. Each channel has a scale of its
own. The class has the VAE's interface (diffusers' AutoencoderKLTemporalDecoder).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from restar.errors import CheckpointError, UsageError

__all__ = ["PatchCodec", "PatchLatent", "block_transform"]


@dataclass(frozen=True)
class PatchLatent:
    """What stands for the VAE's posterior: a point, since nothing is lost."""

    mean: Tensor

    @property
    def std(self) -> Tensor:
        """Zero."""
        return torch.zeros_like(self.mean)

    def mode(self) -> Tensor:
        """Return the point."""
        return self.mean


@dataclass(frozen=True)
class Encoded:
    """What `encode` gives, as diffusers' AutoencoderKLOutput."""

    latent_dist: PatchLatent


@dataclass(frozen=True)
class Decoded:
    """What `decode` gives, as diffusers' DecoderOutput."""

    sample: Tensor


class PatchCodec(ModelMixin, ConfigMixin):
    """An orthonormal transform of blocks of `patch` pixels, as a VAE; it has no weights.

    `hint_scale` and `residual_scale` are the standard deviations, one a channel, by which the enlarged
    input and the residual to it are brought to about 1. Raises CheckpointError for lists that don't fit.
    """

    @register_to_config
    def __init__(
        self,
        patch: int = 4,
        hint_scale: Sequence[float] | None = None,
        residual_scale: Sequence[float] | None = None,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        channels = 3 * patch * patch
        self.patch = patch
        self.register_buffer("transform", block_transform(patch), persistent=False)
        for name, scale in (("hint_std", hint_scale), ("residual_std", residual_scale)):
            values = torch.tensor([1.0] * channels if scale is None else list(scale))
            if values.shape != (channels,) or not bool((values > 0).all()):
                raise CheckpointError(
                    f"patch codec: needs {channels} scales over 0 for each channel"
                )
            self.register_buffer(name, values, persistent=False)

    def encode(self, frames: Tensor) -> Encoded:
        """Return the latents (n, 3 patch^2, h / patch, w / patch) of frames (n, 3, h, w).

        Raises UsageError for a size that is no multiple of the block.
        """
        if frames.shape[-2] % self.patch or frames.shape[-1] % self.patch:
            raise UsageError(
                f"frames of {frames.shape[-1]}x{frames.shape[-2]}: needs multiples of {self.patch}"
            )
        blocks = F.pixel_unshuffle(frames, self.patch)
        return Encoded(PatchLatent(torch.einsum("kc,nchw->nkhw", self.transform, blocks)))

    def decode(self, latents: Tensor, num_frames: int = 1) -> Decoded:
        """Return frames (n, 3, h, w) of latents (n, 3 patch^2, h / patch, w / patch); keeps gradients."""
        blocks = torch.einsum("kc,nkhw->nchw", self.transform, latents)
        return Decoded(F.pixel_shuffle(blocks, self.patch))


def block_transform(patch: int) -> Tensor:
    """Return the orthonormal (3 patch^2, 3 patch^2) matrix from a block's pixels to its channels.

    Rows: brightness, red against blue, green against both; within each the DCT-II of the block, by rows.
    """
    index = torch.arange(patch, dtype=torch.float64)
    cosines = torch.cos(math.pi * (index[None] + 0.5) * index[:, None] / patch)
    cosines = cosines / cosines.norm(dim=1, keepdim=True)
    colours = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    colours = colours / colours.norm(dim=1, keepdim=True)
    return torch.kron(colours, torch.kron(cosines, cosines)).float()
