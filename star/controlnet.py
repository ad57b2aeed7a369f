"""The video ControlNet: reads the low-resolution latent and corrects the UNet at every level.

diffusers has ControlNets for images and for motion modules, none for this encoder. It is a copy of
the UNet's encoder with a time embedding of its own; the hint enters once, right after the first
convolution, and leaves through one 1x1 convolution for each entry of the encoder and one for the
middle. All of these begin at zero, so an untrained ControlNet changes nothing (arXiv 2302.05543).
"""

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn

from restar.errors import UsageError
from star.levels import Encoder, check_latent
from star.sizes import Sizes

__all__ = ["StarControlNet"]


class StarControlNet(ModelMixin, ConfigMixin, Encoder):
    """STAR's ControlNet; the defaults are the published size: 629,886,414 parameters."""

    _supports_gradient_checkpointing = True
    _skip_layerwise_casting_patterns = ("norm", "time_embedding")

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        hint_channels: int = 4,
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
        self.hint_conv = zeroed(nn.Conv2d(hint_channels, base_channels, 3, padding=1))
        self.controlnet_down_blocks = nn.ModuleList(
            zeroed(nn.Conv2d(width, width, 1)) for width in entries(sizes)
        )
        self.controlnet_mid_block = zeroed(nn.Conv2d(sizes.widths[-1], sizes.widths[-1], 1))

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        hint: Tensor | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """Return the residuals for each entry of the encoder, (b*f, c, h, w), and the middle's.

        `sample`, `timestep` and `encoder_hidden_states` are the UNet's; `hint` is the latent of the
        low-resolution clip, of the sample's frames and size. Without one the encoder sees only noise,
        as the published network does when it is given none.
        """
        check_latent(self.sizes, sample, timestep, encoder_hidden_states)
        added = None if hint is None else self.embed_hint(hint, sample)
        time = self.embed_time(timestep, sample.shape[2], encoder_hidden_states)
        middle, left = self.encode(sample, time, encoder_hidden_states, added)
        residuals = [
            self.by_frames(conv, entry)
            for conv, entry in zip(self.controlnet_down_blocks, left, strict=True)
        ]
        return residuals, self.controlnet_mid_block(middle)

    def embed_hint(self, hint: Tensor, sample: Tensor) -> Tensor:
        """Return (b*f, base_channels, h, w) for a hint as large and as long as the sample."""
        wanted = (sample.shape[0], self.hint_conv.in_channels, *sample.shape[2:])
        if hint.shape != wanted:
            raise UsageError(f"hint of shape {tuple(hint.shape)}: needs {wanted}, as the latent")
        return self.by_frames(self.hint_conv, rearrange(hint, "b c f h w -> (b f) c h w"))


def entries(sizes: Sizes) -> list[int]:
    """Return the channels of each entry that the encoder leaves for the decoder, first to last."""
    widths = [sizes.base_channels]
    for index, width in enumerate(sizes.widths):
        last = index == len(sizes.widths) - 1
        widths += [width] * (sizes.layers_per_level + (0 if last else 1))
    return widths


def zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution with weight and bias of zero."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
