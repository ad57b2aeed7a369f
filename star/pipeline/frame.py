"""Pictures to what the network takes and back: enlarged, padded by reflection, cut out again.

The network takes latent heights and widths of certain remainders. Padding repeats the picture mirrored,
so nothing foreign comes near its edge; the published pipeline pads with white to at least 720x1280.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from restar.errors import UsageError
from star.windows import published_padding

__all__ = ["LEAST_SIDE", "PADDINGS", "Frame", "Padding", "frame_for", "reflected"]

Padding = Literal["reflect", "reference"]
PADDINGS: tuple[str, ...] = get_args(Padding)

LEAST_SIDE = 2
"""Pictures of fewer pixels a side can't be mirrored, and show nothing."""


@dataclass(frozen=True)
class Frame:
    """A picture of (height, width) inside what the network sees, in pixels; `factor` pixels a latent."""

    height: int
    width: int
    left: int
    right: int
    top: int
    bottom: int
    factor: int
    padding: Padding

    @property
    def rows(self) -> int:
        """Latent rows."""
        return (self.top + self.height + self.bottom) // self.factor

    @property
    def columns(self) -> int:
        """Latent columns."""
        return (self.left + self.width + self.right) // self.factor

    def padded(self, pictures: Tensor) -> Tensor:
        """Return (n, c, height, width) with its surroundings."""
        if self.padding == "reference":
            around = (self.left, self.right, self.top, self.bottom)
            return torch.nn.functional.pad(pictures, around, value=1.0)
        return reflected(pictures, self.top, self.bottom, self.left, self.right)

    def cut(self, pictures: Tensor) -> Tensor:
        """Return (n, c, height, width) without its surroundings."""
        rows = slice(self.top, self.top + self.height)
        return pictures[..., rows, self.left : self.left + self.width]

    def spread(self, noise: Tensor) -> Tensor:
        """Return noise (c, h, w) of the picture's own latent mirrored over the whole latent."""
        top, left = self.top // self.factor, self.left // self.factor
        bottom = self.rows - top - noise.shape[-2]
        right = self.columns - left - noise.shape[-1]
        return reflected(noise[None], top, bottom, left, right)[0]

    @property
    def own(self) -> tuple[int, int]:
        """Rows and columns of the picture's own latent, whatever surrounds it."""
        return -(-self.height // self.factor), -(-self.width // self.factor)


def frame_for(
    height: int, width: int, factor: int, levels: int, padding: Padding = "reflect"
) -> Frame:
    """Return the frame of a picture for a network of so many levels.

    Raises UsageError for a picture of a single row or column.
    """
    if min(height, width) < LEAST_SIDE:
        raise UsageError(
            f"pictures of {width}x{height}: STAR needs at least {LEAST_SIDE} pixels a side; "
            "use the restorer `resize`"
        )
    step = 2 ** (levels - 1)
    if padding == "reference":
        left, right, top, bottom = published_padding(height, width)
        return Frame(height, width, left, right, top, bottom, factor, padding)
    rows, columns = -(-height // factor), -(-width // factor)
    rows = max(rows, 2)
    rows += -(rows - 2) % step
    columns += -columns % step
    bottom, right = rows * factor - height, columns * factor - width
    return Frame(height, width, 0, right, 0, bottom, factor, padding)


def reflected(pictures: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Return (..., h, w) mirrored outwards, as often as it takes, without repeating the edge."""
    rows = _mirror(pictures.shape[-2], top, bottom)
    columns = _mirror(pictures.shape[-1], left, right)
    return pictures[..., rows, :][..., columns]


def _mirror(size: int, before: int, after: int) -> Tensor:
    if size == 1:
        return torch.zeros(before + 1 + after, dtype=torch.long)
    places = torch.arange(-before, size + after) % (2 * size - 2)
    return torch.where(places < size, places, 2 * size - 2 - places)
