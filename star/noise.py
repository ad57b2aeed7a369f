"""Where a sampler's noise comes from.

Restoring keys noise by the frame (`FrameNoise`), so that a window's length, a resume point or the
device never moves it. The published sampler draws from one Brownian tree over the whole clip
(`brownian`); that, and recorded noise (`recorded`), exist to compare with it.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from restar.errors import UsageError

__all__ = ["FrameNoise", "NoiseSource", "brownian", "no_noise", "recorded"]

# Told the step, its VE sigma and the next; gives unit-variance noise of the latent's shape.
NoiseSource = Callable[[int, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class FrameNoise:
    """Unit-variance noise keyed by (seed, absolute frame, purpose, step), made on the CPU.

    Philox is a counter-based generator: each key has its own stream, so frames can be made in any
    order, alone or together, with the same values.
    """

    seed: int

    def frame(self, frame: int, purpose: str, step: int, shape: Sequence[int]) -> Tensor:
        """Return float32 noise of `shape` for one frame."""
        name = f"{self.seed}:{frame}:{purpose}:{step}".encode()
        key = int.from_bytes(hashlib.sha256(name).digest()[:16], "little")
        stream = np.random.Generator(np.random.Philox(key=key))
        return torch.from_numpy(stream.standard_normal(tuple(shape), dtype=np.float32))

    def clip(
        self, start: int, frames: int, purpose: str, step: int, shape: Sequence[int]
    ) -> Tensor:
        """Return (1, c, frames, h, w) for frames `start`... of the film; `shape` is (c, h, w)."""
        made = [self.frame(start + n, purpose, step, shape) for n in range(frames)]
        return torch.stack(made, 1)[None]


def recorded(noises: Sequence[Tensor]) -> NoiseSource:
    """Return a source that gives `noises` in order, one a step."""

    def source(step: int, _sigma: Tensor, _following: Tensor) -> Tensor:
        if step >= len(noises):
            raise UsageError(f"recorded noise holds {len(noises)} steps; step {step + 1} has none")
        return noises[step]

    return source


def no_noise(like: Tensor) -> NoiseSource:
    """Return a source of zeros."""
    return lambda _step, _sigma, _following: torch.zeros_like(like)


def brownian(like: Tensor, sigmas: Tensor, entropy: int | None = None) -> NoiseSource:
    """Return noise from increments of one Brownian path in sigma, as the published sampler draws it.

    Without `entropy` the tree is seeded from torch's global generator. The same path is cut where the
    steps are, so plans of other steps see the same noise (k-diffusion's BrownianTreeNoiseSampler).
    """
    import torchsde

    finite = sigmas[(sigmas > 0) & sigmas.isfinite()]
    if entropy is None:
        entropy = int(torch.randint(0, 2**63 - 1, []).item())
    tree = torchsde.BrownianTree(
        finite.min(), torch.zeros_like(like), finite.max(), entropy=entropy
    )

    def source(_step: int, sigma: Tensor, following: Tensor) -> Tensor:
        low, high = sorted((sigma, following))
        sign = 1 if sigma < following else -1
        with warnings.catch_warnings():  # it keeps the ends in fewer digits than they are asked in
            warnings.filterwarnings("ignore", message="Should have t[ab]")
            increment: Tensor = tree(low, high) * sign
        return increment / (following - sigma).abs().sqrt()

    return source
