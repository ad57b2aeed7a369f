"""STAR small enough for a laptop: the same UNet and ControlNet, with what a small model needs changed.

Four things differ from the published network, each for a reason that was measured on small models:

- It diffuses the residual to the enlarged input, not the picture, in the space of `star.patchcodec`.
- Norms are over the channels of one position (`PixelNorm`). A group norm's statistics span the frame,
  so a result would depend on the tile or window that it was computed in. The last norm is left out.
- The spatial attention of the middle stays within windows of 8x8 positions (`WindowedTransformer`),
  so that a picture of any size is seen as the crops of the training were.
- The UNet reads the enlarged input beside the noisy latent, as I2VGen-XL reads its image. The latent
  comes scaled by alpha, so nothing of it is left at the noisiest time, where one step begins; the
  ControlNet is always asked at that time, so its answer is made once and serves every step.
"""

from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from star.blocks import SpatialTransformer
from star.controlnet import StarControlNet, zeroed
from star.levels import MiddleLevel
from star.pieces import InPieces
from star.schedule import Schedule
from star.sizes import Sizes
from star.unet import StarUNet

__all__ = [
    "FrameConv",
    "PixelNorm",
    "TinyControlNet",
    "TinyNetwork",
    "TinyUNet",
    "WindowedTransformer",
]

_WINDOW = 8


class TinyUNet(StarUNet):
    """StarUNet with the changes above; reads [noisy latent, enlarged input] side by side."""

    @wraps(StarUNet.__init__)  # type: ignore[misc]
    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        adapt(self, self.sizes)
        self.conv_norm_out: nn.Module = nn.Identity()  # type: ignore[assignment]
        # Without a norm before it, the activation can die for good.
        self.conv_act: nn.Module = nn.Identity()  # type: ignore[assignment]
        zeroed(self.conv_out)


class TinyControlNet(StarControlNet):
    """StarControlNet with the changes above, made to be trained together with its UNet.

    The published ControlNet begins at zero beside a trained UNet. Here both begin untrained, and two
    zeros in a row (hint and exits) would hold back each other's gradient: both begin as usual.
    """

    @wraps(StarControlNet.__init__)  # type: ignore[misc]
    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        adapt(self, self.sizes)
        for conv in (self.hint_conv, *self.controlnet_down_blocks, self.controlnet_mid_block):
            conv.reset_parameters()


class TinyNetwork(nn.Module):
    """From the scaled latent, time, text and hint to the velocity: star.denoiser's `Predict`."""

    alphas: Tensor

    def __init__(self, unet: TinyUNet, control: TinyControlNet, schedule: Schedule) -> None:
        super().__init__()
        self.unet, self.control = unet, control
        self.register_buffer("alphas", schedule.alphas, persistent=False)

    def forward(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> Tensor:
        """Return v (b, c, f, h, w) of `x` at times `t` (b,); `hint` is the enlarged input's latent."""
        assert hint is not None  # noqa: S101
        return self.velocity(x, t, text, hint, self.advice(text, hint))

    def advice(self, text: Tensor, hint: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what the ControlNet says of a hint, the same for every step."""
        last = len(self.alphas) - 1
        t = torch.full((len(hint),), last, device=hint.device)
        hint = channels_last(hint)
        return self.control(torch.zeros_like(hint), t, text, hint)

    def velocity(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor,
        hint: Tensor,
        advice: tuple[list[Tensor], Tensor] | None,
    ) -> Tensor:
        """Return v, with the ControlNet's advice or without it."""
        scaled = x * self.alphas[t].view(-1, 1, 1, 1, 1).to(x.dtype)
        seen = channels_last(torch.cat([scaled, hint.to(x.dtype)], 1))
        residuals, middle = advice or (None, None)
        return self.unet(seen, t, text, residuals, middle)


class PixelNorm(nn.Module):
    """Normalises over the channels of each position: (n, c, ...) -> (n, c, ...)."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        last = hidden.movedim(1, -1)
        made = F.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        return made.movedim(-1, 1)


class FrameConv(nn.Conv3d):
    """A convolution over each position's three neighbouring frames, as products of matrices.

    The same numbers as Conv3d with a kernel of (3, 1, 1), up to rounding; on a CPU several times as
    fast, since a frame is multiplied as it lies, channels last, and nothing is copied.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (b, c, f, h, w) for `hidden` of that shape."""
        clips, _, frames, height, width = hidden.shape
        rows = hidden.permute(0, 2, 3, 4, 1).flatten(1, 3)
        before, same, after = self.weight[..., 0, 0].unbind(-1)
        made = F.linear(rows, same, self.bias)
        step = height * width
        if frames > 1:
            add_product(made[:, step:], rows[:, :-step], before)
            add_product(made[:, :-step], rows[:, step:], after)
        return made.view(clips, frames, height, width, -1).permute(0, 4, 1, 2, 3)


class WindowedTransformer(SpatialTransformer):
    """SpatialTransformer whose positions attend to those of their own 8x8 window only."""

    def forward(self, hidden: Tensor, text: Tensor) -> Tensor:
        """Return (b*f, c, h, w) for `hidden` of that shape; the edge is repeated to whole windows."""
        height, width = hidden.shape[-2:]
        padded = F.pad(hidden, (0, -width % _WINDOW, 0, -height % _WINDOW), mode="replicate")
        rows = padded.shape[-2] // _WINDOW
        parts = rearrange(padded, "n c (r y) (k x) -> (n r k) c y x", y=_WINDOW, x=_WINDOW)
        made = super().forward(parts, text)
        whole = rearrange(made, "(n r k) c y x -> n c (r y) (k x)", n=len(hidden), r=rows)
        return whole[..., :height, :width]


def adapt(model: nn.Module, sizes: Sizes) -> None:
    """Put per-position norms and windowed attention in the place of the published ones.

    No norm spans frames or positions then, so the levels can run piece by piece.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(parent, name, PixelNorm(child.num_channels, child.eps))
            elif isinstance(child, nn.Conv3d):
                setattr(parent, name, framewise(child))
    for level in list(model.modules()):
        if isinstance(level, MiddleLevel):
            width = sizes.widths[-1]
            level.attentions = nn.ModuleList(windowed(sizes, width) for _ in level.attentions)
        if isinstance(level, InPieces):
            level.in_pieces = True


def add_product(to: Tensor, rows: Tensor, weight: Tensor) -> None:
    """Add rows (b, n, c) times a weight (d, c) to (b, n, d), in place."""
    if torch.is_grad_enabled():
        to += F.linear(rows, weight)
        return
    columns = weight.t().to(to.dtype).expand(len(rows), -1, -1)
    to.baddbmm_(rows.to(to.dtype), columns)


def channels_last(clip: Tensor) -> Tensor:
    """Return a clip (b, c, f, h, w) laid out so that a position's channels are neighbours in memory.

    Norms, linear layers and convolutions over frames then read it as it lies.
    """
    return clip.movedim(1, -1).contiguous().movedim(-1, 1)


def framewise(conv: nn.Conv3d) -> FrameConv:
    """Return the same convolution, with the same weights, as a FrameConv."""
    made = FrameConv(conv.in_channels, conv.out_channels, (3, 1, 1), padding=(1, 0, 0))
    made.weight, made.bias = conv.weight, conv.bias
    return made


def windowed(sizes: Sizes, width: int) -> WindowedTransformer:
    made = WindowedTransformer(
        width,
        width // sizes.head_dim,
        sizes.head_dim,
        sizes.text_dim,
        sizes.groups,
        sizes.liem_position,
    )
    made.norm = PixelNorm(width, made.norm.eps)
    return made
