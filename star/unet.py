"""The UNet: gives the velocity of a noisy latent, told the time, the text and the ControlNet's hints."""

from collections.abc import Sequence
from typing import Any

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn

from star.levels import Encoder, UpLevel, check_latent
from star.sizes import Sizes

__all__ = ["StarUNet"]


class StarUNet(ModelMixin, ConfigMixin, Encoder):
    """STAR's UNet (arXiv 2501.02976, I2VGen-XL variant), of any size from a configuration.

    The parameters have diffusers' UNet3DConditionModel's names; the gates of LIEM are `local1` and
    `local2` of each transformer block. The defaults are the published size: 1,411,235,496 parameters.
    """

    _supports_gradient_checkpointing = True
    _skip_layerwise_casting_patterns = ("norm", "time_embedding")

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 4,
        base_channels: int = 320,
        multipliers: tuple[int, ...] = (1, 2, 4, 4),
        layers_per_level: int = 2,
        attention_levels: int = 3,
        head_dim: int = 64,
        first_heads: int = 8,
        text_dim: int = 1024,
        groups: int = 32,
        dropout: float = 0.1,
        liem_position: str = "before_norm",
        pooled_heads: int = 0,
    ) -> None:
        super().__init__()
        sizes = Sizes.of(self.config)
        self.build_encoder(sizes)
        levels = reversed(range(len(sizes.widths)))
        self.up_blocks = nn.ModuleList(UpLevel(sizes, index) for index in levels)
        self.conv_norm_out = nn.GroupNorm(groups, sizes.widths[0], eps=1e-5)
        self.conv_act = nn.SiLU()
        self.conv_out = nn.Conv2d(sizes.widths[0], out_channels, 3, padding=1)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        down_block_additional_residuals: Sequence[Tensor] | None = None,
        mid_block_additional_residual: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """Return the velocity (b, c, f, h, w) of `sample` (b, c, f, h, w) at times `timestep` (b,).

        `encoder_hidden_states` is the text (b, words, text_dim). The additional residuals are what
        `StarControlNet` returns: one for each entry of the encoder, (b*f, c, h, w), and the middle's.
        Raises UsageError for a shape that the network can't take.
        """
        check_latent(self.sizes, sample, timestep, encoder_hidden_states)
        frames = sample.shape[2]
        time = self.embed_time(timestep, frames, encoder_hidden_states)
        hidden, left = self.encode(sample, time, encoder_hidden_states)
        if mid_block_additional_residual is not None:
            hidden = hidden + mid_block_additional_residual
        for index, residual in enumerate(down_block_additional_residuals or ()):
            left[index] = left[index] + residual
        for level in self.up_blocks:
            hidden = level(hidden, left, time, encoder_hidden_states, frames)
        hidden = self.by_frames(self.come_out, hidden)
        return rearrange(hidden, "(b f) c h w -> b c f h w", f=frames)

    def come_out(self, hidden: Tensor) -> Tensor:
        """Return the velocity of frames, (n, c, h, w), for what the last level gives of them."""
        return self.conv_out(self.conv_act(self.conv_norm_out(hidden)))
