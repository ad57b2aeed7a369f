"""The stand-in for a network that sampler fixtures were recorded with: a formula, given as text."""

import re
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from restar.errors import CheckpointError

__all__ = ["FakeModel"]

_NUMBER = r"([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
_FORMULA = re.compile(
    r"\s*".join(
        part.replace("N", _NUMBER)
        for part in (
            r"\(N", r"\+", r"N", r"\*", r"mean\(y over dims 1,\s*2\)\)", r"\*", r"x", r"\+", r"N", r"\*",
            r"hint", r"\+", r"N", r"\*", r"sin\(t", r"/", r"N\)", r"\+", r"N", r"\*",
            r"mean\(x over c,\s*f,\s*h,\s*w\)", r"\+", r"N", r"\*", r"k",
        )
    )
)  # fmt: skip


@dataclass(frozen=True)
class FakeModel:
    """(own + by_text mean(text)) x + by_hint hint + by_time sin(t / period) + by_mean mean(x) + slope k.

    k counts the frames of what the model is given, from 0.
    """

    own: float
    by_text: float
    by_hint: float
    by_time: float
    period: float
    by_mean: float
    slope: float

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the model that a text describes; raise CheckpointError for another formula."""
        found = _FORMULA.search(text)
        if found is None:
            raise CheckpointError(f"sampler_info.json: no such fake model is known here: {text}")
        return cls(*map(float, found.groups()))

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> Tensor:
        """Return v for x (b, c, f, h, w), as a network does."""
        one = (-1, 1, 1, 1, 1)
        frame = torch.arange(x.shape[2], dtype=x.dtype).view(1, 1, -1, 1, 1)
        v = (self.own + self.by_text * text.mean((1, 2))).view(one) * x
        if hint is not None:
            v = v + self.by_hint * hint
        v = v + (self.by_time * torch.sin(t / self.period)).view(one)
        return v + self.by_mean * x.mean((1, 2, 3, 4)).view(one) + self.slope * frame
