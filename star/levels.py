"""The levels of the network: diffusers' DownBlock3D and UpBlock3D with STAR's transformers in them.

A level is some rows of residual block, temporal convolution and, at the finer levels, a spatial and a
temporal transformer; then a change of size. The encoder is shared by the UNet and the ControlNet, and
`Sizes` is the one set of numbers from which either is built.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.embeddings import TimestepEmbedding
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.unets.unet_3d_blocks import DownBlock3D, UpBlock3D
from einops import rearrange
from torch import Tensor, nn

from restar.errors import CheckpointError, UsageError
from star.blocks import (
    CroppedUpsample,
    SpatialTransformer,
    TemporalTransformer,
    downsample,
    time_sinusoid,
)
from star.liem import POSITIONS, Position

__all__ = ["DownLevel", "Encoder", "MiddleLevel", "Sizes", "UpLevel", "check_latent"]

_EPS = 1e-5


@dataclass(frozen=True)
class Sizes:
    """The numbers of a network; the defaults are the published one's.

    `base_channels` is the width after the first convolution, `multipliers` the widths of the levels
    in multiples of it, `attention_levels` how many of the finest levels have transformers,
    `first_heads` the heads of the very first temporal transformer. Widths are multiples of `groups`.
    """

    in_channels: int = 4
    out_channels: int = 4
    base_channels: int = 320
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    layers_per_level: int = 2
    attention_levels: int = 3
    head_dim: int = 64
    first_heads: int = 8
    text_dim: int = 1024
    groups: int = 32
    dropout: float = 0.1
    liem_position: Position = "before_norm"

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Sizes":
        """Return the sizes in a configuration; raise CheckpointError for ones that make no network."""
        names = cls.__dataclass_fields__
        sizes = cls(**{key: value for key, value in config.items() if key in names})
        bad = next((w for w in (sizes.base_channels, *sizes.widths) if w % sizes.groups), None)
        if bad is not None:
            raise CheckpointError(
                f"model configuration: a width of {bad} channels can't be normed in {sizes.groups} "
                "groups; choose base_channels as a multiple of groups"
            )
        if sizes.liem_position not in POSITIONS:
            raise CheckpointError(
                f"model configuration: liem_position '{sizes.liem_position}' is not one of "
                f"{', '.join(POSITIONS)}"
            )
        return sizes

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels of each level, finest first."""
        return tuple(self.base_channels * factor for factor in self.multipliers)

    @property
    def time_dim(self) -> int:
        return 4 * self.base_channels


class DownLevel(DownBlock3D):
    """One level of the encoder: rows, then a halving unless it is the last."""

    def __init__(self, sizes: Sizes, index: int) -> None:
        widths = (sizes.base_channels, *sizes.widths)
        last = index == len(sizes.widths) - 1
        super().__init__(
            in_channels=widths[index],
            out_channels=widths[index + 1],
            temb_channels=sizes.time_dim,
            dropout=sizes.dropout,
            num_layers=sizes.layers_per_level,
            resnet_eps=_EPS,
            resnet_groups=sizes.groups,
            add_downsample=False,
        )
        set_dropout(self.temp_convs, sizes.dropout)
        add_transformers(self, sizes, index, sizes.layers_per_level)
        self.downsamplers = None if last else nn.ModuleList([downsample(widths[index + 1])])

    def forward(  # type: ignore[override]
        self, hidden: Tensor, time: Tensor, text: Tensor, frames: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return what goes down, and what each row and the halving leave for the decoder."""
        left = []
        for row in range(len(self.resnets)):
            hidden = run_row(self, row, hidden, time, text, frames)
            left.append(hidden)
        for halve in self.downsamplers or ():
            hidden = halve(hidden)
            left.append(hidden)
        return hidden, left


class MiddleLevel(nn.Module):
    """The coarsest level: row, transformers, row without them."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.widths[-1]
        self.gradient_checkpointing = False
        self.resnets = nn.ModuleList(
            ResnetBlock2D(
                in_channels=width,
                out_channels=width,
                temb_channels=sizes.time_dim,
                eps=_EPS,
                groups=sizes.groups,
                dropout=sizes.dropout,
            )
            for _ in range(2)
        )
        self.temp_convs = nn.ModuleList(
            TemporalConvLayer(width, width, dropout=sizes.dropout, norm_num_groups=sizes.groups)
            for _ in range(2)
        )
        add_transformers(self, sizes, 0, rows=1, width=width)

    def forward(self, hidden: Tensor, time: Tensor, text: Tensor, frames: int) -> Tensor:
        for row in range(2):
            hidden = run_row(self, row, hidden, time, text, frames)
        return hidden


class UpLevel(UpBlock3D):
    """One level of the decoder, as coarse as level `index` of the encoder: rows, then a doubling."""

    def __init__(self, sizes: Sizes, index: int) -> None:
        widths = (sizes.base_channels, *sizes.widths)
        below = widths[min(index + 2, len(widths) - 1)]
        super().__init__(
            in_channels=widths[index],
            prev_output_channel=below,
            out_channels=widths[index + 1],
            temb_channels=sizes.time_dim,
            dropout=sizes.dropout,
            num_layers=sizes.layers_per_level + 1,
            resnet_eps=_EPS,
            resnet_groups=sizes.groups,
            add_upsample=False,
        )
        set_dropout(self.temp_convs, sizes.dropout)
        add_transformers(self, sizes, index, sizes.layers_per_level + 1)
        self.upsamplers = nn.ModuleList([CroppedUpsample(widths[index + 1])]) if index else None

    def forward(  # type: ignore[override]
        self, hidden: Tensor, left: list[Tensor], time: Tensor, text: Tensor, frames: int
    ) -> Tensor:
        """Return what goes up; each row takes the last entry off `left`, so memory shrinks as it goes."""
        for row in range(len(self.resnets)):
            hidden = torch.cat([hidden, left.pop()], 1)
            hidden = run_row(self, row, hidden, time, text, frames)
        for double in self.upsamplers or ():
            hidden = double(hidden)
        return hidden


class Encoder:
    """What the UNet and the ControlNet begin with; a mixin, so that names stay diffusers' own."""

    sizes: Sizes
    conv_in: nn.Conv2d
    time_embedding: TimestepEmbedding
    transformer_in: TemporalTransformer
    down_blocks: nn.ModuleList
    mid_block: MiddleLevel

    def build_encoder(self, sizes: Sizes) -> None:
        """Make the layers, in the order in which they run."""
        base = sizes.base_channels
        self.sizes = sizes
        self.conv_in = nn.Conv2d(sizes.in_channels, base, 3, padding=1)
        self.time_embedding = TimestepEmbedding(base, sizes.time_dim)
        self.transformer_in = TemporalTransformer(
            base, sizes.first_heads, sizes.head_dim, sizes.groups, sizes.liem_position
        )
        self.down_blocks = nn.ModuleList(DownLevel(sizes, i) for i in range(len(sizes.widths)))
        self.mid_block = MiddleLevel(sizes)

    def embed_time(self, t: Tensor, frames: int) -> Tensor:
        """Return (b*f, time_dim) for times (b,)."""
        sinusoid = time_sinusoid(t, self.sizes.base_channels).to(self.conv_in.weight.dtype)
        return self.time_embedding(sinusoid).repeat_interleave(frames, 0)  # type: ignore[no-any-return]

    def encode(
        self, sample: Tensor, time: Tensor, text: Tensor, hint: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the middle's result and what each step of the encoder left, first to last.

        `sample` is (b, c, f, h, w), `time` (b*f, time_dim), `text` (b, words, text_dim); `hint`, of
        (b*f, base_channels, h, w), is added once, right after the first convolution.
        """
        frames = sample.shape[2]
        hidden = self.conv_in(rearrange(sample, "b c f h w -> (b f) c h w"))
        if hint is not None:
            hidden = hidden + hint
        hidden = self.transformer_in(hidden, frames)
        left = [hidden]
        for level in self.down_blocks:
            hidden, made = level(hidden, time, text, frames)
            left += made
        return self.mid_block(hidden, time, text, frames), left


def check_latent(sizes: Sizes, sample: Tensor, t: Tensor, text: Tensor) -> None:
    """Raise UsageError for shapes that the network can't take, saying which sizes it can."""
    if sample.ndim != 5 or 0 in sample.shape or sample.shape[1] != sizes.in_channels:
        raise UsageError(
            f"latent of shape {tuple(sample.shape)}: needs (batch, {sizes.in_channels}, frames, "
            "height, width) with at least one frame"
        )
    height, width = sample.shape[-2:]
    step = 2 ** (len(sizes.widths) - 1)
    if height < 2 or (height - 2) % step or width % step:
        raise UsageError(
            f"latent of {width}x{height}: the network takes heights of 2 more than a multiple of "
            f"{step} and widths of a multiple of {step}; pad the frames (star.windows.padding)"
        )
    if t.shape != sample.shape[:1]:
        raise UsageError(f"times of shape {tuple(t.shape)}: needs one for each of {len(sample)} clips")
    if text.ndim != 3 or text.shape[0] != len(sample) or text.shape[2] != sizes.text_dim:
        raise UsageError(
            f"text of shape {tuple(text.shape)}: needs ({len(sample)}, words, {sizes.text_dim})"
        )


def add_transformers(
    level: nn.Module, sizes: Sizes, index: int, rows: int, width: int | None = None
) -> None:
    """Give a level its transformers where it has any; `index` counts from the finest level."""
    rows = rows if index < sizes.attention_levels else 0
    width = width or sizes.widths[index]
    dim, groups, position = sizes.head_dim, sizes.groups, sizes.liem_position
    level.attentions = nn.ModuleList(
        SpatialTransformer(width, dim, sizes.text_dim, groups, position) for _ in range(rows)
    )
    level.temp_attentions = nn.ModuleList(
        TemporalTransformer(width, width // dim, dim, groups, position) for _ in range(rows)
    )


def set_dropout(layers: nn.ModuleList, rate: float) -> None:
    """Set the rate of each Dropout; diffusers' levels fix that of their temporal convolutions."""
    for module in layers.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate


def run_row(
    level: Any, row: int, hidden: Tensor, time: Tensor, text: Tensor, frames: int
) -> Tensor:
    """Run one row of a level, keeping no activations of it where the level is told to recompute."""

    def run(hidden: Tensor) -> Tensor:
        hidden = level.resnets[row](hidden, time)
        hidden = level.temp_convs[row](hidden, num_frames=frames)
        if row < len(level.attentions):
            hidden = level.attentions[row](hidden, text)
            hidden = level.temp_attentions[row](hidden, frames)
        return hidden

    if level.gradient_checkpointing and torch.is_grad_enabled():
        return torch.utils.checkpoint.checkpoint(run, hidden, use_reentrant=False)  # type: ignore[no-any-return]
    return run(hidden)


