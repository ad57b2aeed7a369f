"""The blocks of the network: diffusers' own, with what the published network does differently.

Frames are folded into the batch for spatial layers: a clip (b, c, f, h, w) travels as (b*f, c, h, w).
What differs from diffusers: LIEM before each norm of a transformer's attentions, text keys and values
computed once a clip instead of once a frame, an upsampling that cuts its first and last row (the
downsampling adds one on either side), and a time embedding whose frequencies come from a power.
"""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention import Attention, BasicTransformerBlock
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.upsampling import Upsample2D
from einops import rearrange
from torch import Tensor, nn

from star.liem import Position, SpatialGate, TemporalGate, gated_norm

__all__ = [
    "CroppedUpsample",
    "SpatialTransformer",
    "TemporalTransformer",
    "TextPool",
    "downsample",
    "residual_block",
    "temporal_conv",
    "time_sinusoid",
]


class SpatialTransformer(Transformer2DModel):
    """Attention among the pixels of each frame, then from each pixel to the text."""

    def __init__(
        self,
        channels: int,
        heads: int,
        head_dim: int,
        text_dim: int,
        groups: int,
        position: Position,
    ) -> None:
        super().__init__(
            heads,
            head_dim,
            in_channels=channels,
            cross_attention_dim=text_dim,
            norm_num_groups=groups,
            use_linear_projection=True,
        )
        self.position = position
        for block in self.transformer_blocks:
            block.local1 = SpatialGate()
            block.attn2.set_processor(TextAttention())

    def forward(self, hidden: Tensor, text: Tensor) -> Tensor:
        """Return (b*f, c, h, w) for `hidden` of that shape and `text` of (b, words, width)."""
        size = hidden.shape[-2:]
        tokens = self.proj_in(rearrange(self.norm(hidden), "n c h w -> n (h w) c"))
        for block in self.transformer_blocks:
            tokens = run_block(block, tokens, (size[0], size[1]), self.position, text)
        tokens = rearrange(self.proj_out(tokens), "n (h w) c -> n c h w", h=size[0])
        return tokens + hidden


class TemporalTransformer(TransformerTemporalModel):
    """Attention among the frames at each pixel, twice. Knows no position and no text."""

    def __init__(
        self, channels: int, heads: int, head_dim: int, groups: int, position: Position
    ) -> None:
        super().__init__(heads, head_dim, in_channels=channels, norm_num_groups=groups)
        self.position = position
        for block in self.transformer_blocks:
            block.local1 = TemporalGate()
            block.local2 = TemporalGate()

    def forward(self, hidden: Tensor, frames: int) -> Tensor:
        """Return (b*f, c, h, w) for `hidden` of that shape; the norm spans all frames of a clip."""
        size = hidden.shape[-2:]
        clip = self.norm(rearrange(hidden, "(b f) c h w -> b c f h w", f=frames))
        tokens = self.proj_in(rearrange(clip, "b c f h w -> (b h w) f c"))
        for block in self.transformer_blocks:
            tokens = run_block(block, tokens, (size[0], size[1]), self.position)
        tokens = self.proj_out(tokens)
        height, width = size
        return rearrange(tokens, "(b h w) f c -> (b f) c h w", h=height, w=width) + hidden


class CroppedUpsample(Upsample2D):
    """Twice as large by repeating pixels, without the first and the last row, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, use_conv=True, out_channels=channels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (n, c, 2h - 2, 2w) for (n, c, h, w)."""
        larger = F.interpolate(hidden, scale_factor=2.0, mode="nearest")
        return self.conv(larger[..., 1:-1, :])


class TextAttention:
    """Attention to a text that all frames of a clip share: keys and values are made once a clip.

    The frames' queries are laid end to end, since each query is answered on its own.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """Return (b*f, pixels, c) for `hidden_states` of that shape and a text of (b, words, width)."""
        frames, clips = hidden_states.shape[0], encoder_hidden_states.shape[0]
        query = rearrange(
            attn.to_q(hidden_states), "(b f) n (k d) -> b k (f n) d", b=clips, k=attn.heads
        )
        key, value = (
            rearrange(make(encoder_hidden_states), "b n (k d) -> b k n d", k=attn.heads)
            for make in (attn.to_k, attn.to_v)
        )
        answer = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        answer = rearrange(answer, "b k (f n) d -> (b f) n (k d)", f=frames // clips)
        return attn.to_out[1](attn.to_out[0](answer))


class TextPool(nn.Module):
    """A text as one vector beside the time, so that every level hears it, the finest too.

    Each head weighs the words by what they are; nothing is compared with the picture, so it costs
    nothing. The exit begins at zero: a network that is given one gives what it gave before.
    """

    def __init__(self, text_dim: int, heads: int, out: int) -> None:
        super().__init__()
        self.scores = nn.Linear(text_dim, heads)
        self.values = nn.Linear(text_dim, text_dim)
        self.inner = nn.Linear(text_dim, 2 * text_dim)
        self.exit = nn.Linear(2 * text_dim, out)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, text: Tensor) -> Tensor:
        """Return (b, out) for a text (b, words, text_dim)."""
        return self.exit(self.hidden(text))

    def hidden(self, text: Tensor) -> Tensor:
        """Return what the exit reads, (b, 2 text_dim)."""
        weights = self.scores(text).softmax(1)
        values = rearrange(self.values(text), "b n (k d) -> b n k d", k=weights.shape[-1])
        pooled = (values * weights[..., None]).sum(1).flatten(1)
        return F.silu(self.inner(pooled))


def run_block(
    block: BasicTransformerBlock,
    tokens: Tensor,
    size: tuple[int, int],
    position: Position,
    text: Tensor | None = None,
) -> Tensor:
    """Return one transformer block's result. The residual takes the tokens as they are, not gated.

    `local1` and `local2` are the block's gates, where it has them. Without `text` the second
    attention is among the tokens again.
    """
    gates = (getattr(block, "local1", None), getattr(block, "local2", None))
    tokens = tokens + block.attn1(gated_norm(block.norm1, gates[0], tokens, size, position))
    tokens = tokens + block.attn2(gated_norm(block.norm2, gates[1], tokens, size, position), text)
    return tokens + block.ff(block.norm3(tokens))


def residual_block(
    channels: int, width: int, time_dim: int, groups: int, dropout: float
) -> ResnetBlock2D:
    """Return the spatial part of a row: (n, channels, h, w), told (n, time_dim) -> (n, width, h, w)."""
    return ResnetBlock2D(
        in_channels=channels,
        out_channels=width,
        temb_channels=time_dim,
        eps=1e-5,
        groups=groups,
        dropout=dropout,
    )


def temporal_conv(channels: int, groups: int, dropout: float) -> TemporalConvLayer:
    """Return the temporal part of a row, which is where the order of frames enters."""
    return TemporalConvLayer(channels, channels, dropout=dropout, norm_num_groups=groups)


def downsample(channels: int) -> nn.Module:
    """Return the halving convolution: (n, c, h, w) -> (n, c, h // 2 + 1, w // 2), for even sizes."""
    return Downsample2D(channels, use_conv=True, out_channels=channels, padding=(2, 1), name="op")


def time_sinusoid(t: Tensor, dim: int) -> Tensor:
    """Return (n, dim) features of times (n,): cosines, then sines, and a zero where `dim` is odd.

    The frequencies are 10000 ** (-k / (dim // 2)) in float32. diffusers' Timesteps takes the same
    from an exponential, which is 6e-5 off.
    """
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device) / half
    angles = torch.outer(t.float(), torch.pow(10000, -steps))
    features = torch.cat([angles.cos(), angles.sin()], 1)
    return F.pad(features, (0, dim % 2))
