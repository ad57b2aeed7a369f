"""The levels of the network, as diffusers' 3D blocks are made, with STAR's transformers in them.

A level is some rows of residual block, temporal convolution and, at the finer levels, a spatial and a
temporal transformer; then a change of size. The encoder is shared by the UNet and the ControlNet.
"""

from collections.abc import Sequence

import torch
import torch.utils.checkpoint
from diffusers.models.embeddings import TimestepEmbedding
from einops import rearrange
from torch import Tensor, nn

from restar.errors import UsageError
from star.blocks import (
    CroppedUpsample,
    SpatialTransformer,
    TemporalTransformer,
    TextPool,
    downsample,
    residual_block,
    temporal_conv,
    time_sinusoid,
)
from star.pieces import InPieces
from star.sizes import Sizes

__all__ = ["DownLevel", "Encoder", "MiddleLevel", "UpLevel", "check_latent"]


class Rows(nn.Module, InPieces):
    """Rows of residual block and temporal convolution, the first of them with transformers.

    `given` are the channels that each row gets, `width` those that all give.
    """

    resnets: nn.ModuleList
    temp_convs: nn.ModuleList
    attentions: nn.ModuleList
    temp_attentions: nn.ModuleList
    gradient_checkpointing: bool

    def __init__(
        self, sizes: Sizes, given: Sequence[int], width: int, with_transformers: int
    ) -> None:
        super().__init__()
        dim, groups, position = sizes.head_dim, sizes.groups, sizes.liem_position
        self.gradient_checkpointing = False
        self.resnets = nn.ModuleList(
            residual_block(channels, width, sizes.time_dim, groups, sizes.dropout)
            for channels in given
        )
        self.temp_convs = nn.ModuleList(temporal_conv(width, groups, sizes.dropout) for _ in given)
        self.attentions = nn.ModuleList(
            SpatialTransformer(width, width // dim, dim, sizes.text_dim, groups, position)
            for _ in range(with_transformers)
        )
        self.temp_attentions = nn.ModuleList(
            TemporalTransformer(width, width // dim, dim, groups, position)
            for _ in range(with_transformers)
        )

    def run(
        self, row: int, given: Sequence[Tensor], time: Tensor, text: Tensor, frames: int
    ) -> Tensor:
        """Run one row on what it is given, channels side by side.

        None of its activations are kept where the level is told to recompute them.
        """

        def in_space(time: Tensor, *given: Tensor) -> Tensor:
            return self.resnets[row](torch.cat(given, 1) if len(given) > 1 else given[0], time)

        def in_time(hidden: Tensor) -> Tensor:
            return self.temp_convs[row](hidden, num_frames=frames)

        def compute(*given: Tensor) -> Tensor:
            hidden = self.by_rows(in_time, self.by_frames(in_space, time, *given))
            if row < len(self.attentions):
                hidden = self.attentions[row](hidden, text)
                hidden = self.by_rows(lambda rows: self.temp_attentions[row](rows, frames), hidden)
            return hidden

        if self.gradient_checkpointing and torch.is_grad_enabled():
            recompute = torch.utils.checkpoint.checkpoint
            return recompute(compute, *given, use_reentrant=False)
        return compute(*given)


class DownLevel(Rows):
    """One level of the encoder: rows, then a halving unless it is the last."""

    def __init__(self, sizes: Sizes, index: int) -> None:
        above, width = (sizes.base_channels, *sizes.widths)[index : index + 2]
        rows = sizes.layers_per_level
        with_transformers = rows if index < sizes.attention_levels else 0
        super().__init__(sizes, [above, *[width] * (rows - 1)], width, with_transformers)
        last = index == len(sizes.widths) - 1
        self.downsamplers = nn.ModuleList([] if last else [downsample(width)])

    def forward(
        self, hidden: Tensor, time: Tensor, text: Tensor, frames: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return what goes down, and what each row and the halving leave for the decoder."""
        left = []
        for row in range(len(self.resnets)):
            hidden = self.run(row, [hidden], time, text, frames)
            left.append(hidden)
        for halve in self.downsamplers:
            hidden = self.by_frames(halve, hidden)
            left.append(hidden)
        return hidden, left


class MiddleLevel(Rows):
    """The coarsest level: a row with transformers, a row without them."""

    def __init__(self, sizes: Sizes) -> None:
        width = sizes.widths[-1]
        super().__init__(sizes, [width, width], width, with_transformers=1)

    def forward(self, hidden: Tensor, time: Tensor, text: Tensor, frames: int) -> Tensor:
        for row in range(2):
            hidden = self.run(row, [hidden], time, text, frames)
        return hidden


class UpLevel(Rows):
    """One level of the decoder, as coarse as level `index` of the encoder: rows, then a doubling.

    Each row gets the channels of the row before it and those of one entry of the encoder.
    """

    def __init__(self, sizes: Sizes, index: int) -> None:
        widths = (sizes.base_channels, *sizes.widths)
        above, width, below = widths[index], widths[index + 1], (*widths, widths[-1])[index + 2]
        rows = sizes.layers_per_level + 1
        given = [below, *[width] * (rows - 1)]
        entries = [*[width] * (rows - 1), above]
        with_transformers = rows if index < sizes.attention_levels else 0
        both = [one + other for one, other in zip(given, entries, strict=True)]
        super().__init__(sizes, both, width, with_transformers)
        self.upsamplers = nn.ModuleList([CroppedUpsample(width)] if index else [])

    def forward(
        self, hidden: Tensor, left: list[Tensor], time: Tensor, text: Tensor, frames: int
    ) -> Tensor:
        """Return what goes up; each row takes the last entry off `left`, so memory shrinks as it goes."""
        for row in range(len(self.resnets)):
            hidden = self.run(row, [hidden, left.pop()], time, text, frames)
        for double in self.upsamplers:
            hidden = self.by_frames(double, hidden)
        return hidden


class Encoder(InPieces):
    """What the UNet and the ControlNet begin with; a mixin, so that names stay diffusers' own."""

    sizes: Sizes
    conv_in: nn.Conv2d
    time_embedding: TimestepEmbedding
    text_pool: TextPool | None
    transformer_in: TemporalTransformer
    down_blocks: nn.ModuleList
    mid_block: MiddleLevel

    def build_encoder(self, sizes: Sizes) -> None:
        """Make the layers, in the order in which they run."""
        base = sizes.base_channels
        self.sizes = sizes
        self.conv_in = nn.Conv2d(sizes.in_channels, base, 3, padding=1)
        self.time_embedding = TimestepEmbedding(base, sizes.time_dim)
        heads = sizes.pooled_heads
        self.text_pool = TextPool(sizes.text_dim, heads, sizes.time_dim) if heads else None
        self.transformer_in = TemporalTransformer(
            base, sizes.first_heads, sizes.head_dim, sizes.groups, sizes.liem_position
        )
        self.down_blocks = nn.ModuleList(DownLevel(sizes, i) for i in range(len(sizes.widths)))
        self.mid_block = MiddleLevel(sizes)

    def embed_time(self, t: Tensor, frames: int, text: Tensor) -> Tensor:
        """Return (b*f, time_dim) for times (b,), with the text (b, words, text_dim) if it is pooled."""
        sinusoid = time_sinusoid(t, self.sizes.base_channels).to(self.conv_in.weight.dtype)
        time: Tensor = self.time_embedding(sinusoid)
        if self.text_pool is not None:
            time = time + self.text_pool(text)
        return time.repeat_interleave(frames, 0)

    def encode(
        self, sample: Tensor, time: Tensor, text: Tensor, hint: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the middle's result and what each step of the encoder left, first to last.

        `sample` is (b, c, f, h, w), `time` (b*f, time_dim), `text` (b, words, text_dim); `hint`, of
        (b*f, base_channels, h, w), is added once, right after the first convolution.
        """
        frames = sample.shape[2]
        hidden = self.by_frames(self.conv_in, rearrange(sample, "b c f h w -> (b f) c h w"))
        if hint is not None:
            hidden = hidden + hint
        hidden = self.by_rows(lambda rows: self.transformer_in(rows, frames), hidden)
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
        raise UsageError(
            f"times of shape {tuple(t.shape)}: needs one for each of {len(sample)} clips"
        )
    if text.ndim != 3 or text.shape[0] != len(sample) or text.shape[2] != sizes.text_dim:
        raise UsageError(
            f"text of shape {tuple(text.shape)}: needs ({len(sample)}, words, {sizes.text_dim})"
        )
