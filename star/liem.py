"""LIEM, the local information enhancement module: one learned gate a position, in space and in time.

A gate looks at the largest and the mean channel of each position and scales that position by a number
between 0 and 1 (STAR, arXiv 2501.02976, section 3.2). The published network gates before LayerNorm,
which divides a scale of a whole token out again, so there the gate acts only where it is near zero.
Models that this project trains put it after the norm, where it has an effect and a gradient.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

__all__ = ["POSITIONS", "Position", "SpatialGate", "TemporalGate", "gated_norm"]

Position = Literal["before_norm", "after_norm"]
POSITIONS: tuple[str, ...] = get_args(Position)


class SpatialGate(nn.Module):
    """Gates each pixel of a frame by a 7x7 convolution over the frame's [max, mean] channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Return `tokens`, gated. Shape (n, height * width, channels), `size` is (height, width)."""
        seen = extremes(tokens).transpose(1, 2).reshape(len(tokens), 2, *size)
        gate: Tensor = self.conv1(seen).sigmoid()
        return tokens * gate.flatten(2).transpose(1, 2)


class TemporalGate(nn.Module):
    """Gates each frame of a pixel's track by a linear map of its own [max, mean] channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Linear(2, 1, bias=False)

    def forward(self, tokens: Tensor, _size: tuple[int, int] | None = None) -> Tensor:
        """Return `tokens`, gated. Shape (n, frames, channels)."""
        gate: Tensor = self.conv1(extremes(tokens)).sigmoid()
        return tokens * gate


def extremes(tokens: Tensor) -> Tensor:
    """Return the largest and the mean channel of each token, in that order: (..., c) -> (..., 2)."""
    return torch.cat([tokens.amax(-1, keepdim=True), tokens.mean(-1, keepdim=True)], -1)


def gated_norm(
    norm: nn.Module,
    gate: nn.Module | None,
    tokens: Tensor,
    size: tuple[int, int],
    position: Position,
) -> Tensor:
    """Return the normalised tokens, gated before or after the norm; without a gate, just the norm."""
    if gate is None:
        return norm(tokens)
    if position == "before_norm":
        return norm(gate(tokens, size))
    return gate(norm(tokens), size)
