"""Scorers measure a take: a family of plug-ins fed by one decode of source and take together.

A scorer is a class found by the entry point group "restar.scorers". A score sorts and warns; it never
accepts or rejects a take alone.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import av

from media.format import VideoFormat
from restar.plugins import load_plugin

__all__ = ["ScoreSeries", "Scorer", "ScoringSession", "scorer"]


@dataclass(frozen=True)
class ScoreSeries:
    """One score over a scene: a value for each frame that was measured (index within the scene).

    `better` says which way is better. Values are finite; a frame to which the score does not apply
    is left out, and a scene without any value is "not applicable".
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    frames: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def worst(self) -> tuple[int, float] | None:
        """The worst value and its frame, or None where the score does not apply."""
        if not self.values:
            return None
        pick = min if self.better == "higher" else max
        return pick(zip(self.frames, self.values, strict=True), key=lambda pair: pair[1])


class ScoringSession(Protocol):
    """The measuring of one take: sees each pair of frames once, in order."""

    def see(self, index: int, source: av.VideoFrame, take: av.VideoFrame) -> None: ...

    def finish(self) -> ScoreSeries: ...


@runtime_checkable
class Scorer(Protocol):
    """One measure. `algorithm` rises whenever the same take gives other values."""

    name: str
    algorithm: int

    def start(self, source: VideoFormat, take: VideoFormat) -> ScoringSession: ...


def scorer(name: str) -> Scorer:
    """Return a new instance of the scorer called `name`; raise PluginError if there is none."""
    return load_plugin("scorers", name)()  # type: ignore[no-any-return]
