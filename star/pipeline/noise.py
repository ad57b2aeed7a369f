"""The noise of a scene, frame by frame: what no window, tile, padding, device or resume may move.

Noise belongs to the frame: its key is (seed, absolute frame, purpose, step), its positions are those of
the picture's own latent (`Frame.own`), and the surroundings get it mirrored. The published way, one
generator over the whole clip, is here for comparison only: there one frame less changes every frame.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from star.noise import FrameNoise, NoiseSource, brownian
from star.pipeline.frame import Frame
from star.schedule import Plan

__all__ = ["NOISES", "ByFrame", "Noise", "NoiseKind", "WholeClip"]

NoiseKind = Literal["frame", "reference"]
NOISES: tuple[str, ...] = get_args(NoiseKind)


class Noise(Protocol):
    """Latent noise (c, rows, columns) on the CPU for each frame of a scene, numbered within the film."""

    def start(self, frame: int) -> Tensor: ...

    def step(self, frame: int, step: int) -> Tensor: ...

    def sample(self, frame: int) -> Tensor: ...


@dataclass(frozen=True)
class ByFrame:
    """Noise keyed by the frame; nothing is kept."""

    seed: int
    channels: int
    frame: Frame

    def start(self, frame: int) -> Tensor:
        return self._of(frame, "start", 0)

    def step(self, frame: int, step: int) -> Tensor:
        return self._of(frame, "step", step)

    def sample(self, frame: int) -> Tensor:
        """Noise of a sampled encoding."""
        return self._of(frame, "encode", 0)

    def _of(self, frame: int, purpose: str, step: int) -> Tensor:
        made = FrameNoise(self.seed).frame(frame, purpose, step, (self.channels, *self.frame.own))
        return self.frame.spread(made)


@dataclass
class WholeClip:
    """Noise as the published pipeline draws it: over the whole clip at once, so memory grows with it."""

    seed: int
    channels: int
    frame: Frame
    first: int
    count: int
    plan: Plan
    _starts: Tensor = field(init=False)
    _samples: Tensor = field(init=False)
    _tree: NoiseSource = field(init=False)
    _steps: dict[int, Tensor] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        shape = (self.count, self.channels, self.frame.rows, self.frame.columns)
        generator = torch.Generator().manual_seed(self.seed)
        self._samples = torch.stack(
            [torch.randn(shape[1:], generator=generator) for _ in range(self.count)]
        )
        self._starts = torch.randn(shape, generator=generator)
        entropy = int(torch.randint(0, 2**63 - 1, [], generator=generator))
        self._tree = brownian(torch.zeros(shape), self.plan.ve_sigmas, entropy)

    def start(self, frame: int) -> Tensor:
        return self._starts[frame - self.first]

    def sample(self, frame: int) -> Tensor:
        return self._samples[frame - self.first]

    def step(self, frame: int, step: int) -> Tensor:
        if step not in self._steps:
            sigmas = self.plan.ve_sigmas
            self._steps[step] = self._tree(step, sigmas[step], sigmas[step + 1])
        return self._steps[step][frame - self.first]
