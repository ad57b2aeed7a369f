"""Scorers measure a take: a family of plug-ins fed by one decode of source and take together.

A scorer is a class found by the entry point group "restar.scorers". A score sorts and warns; it never
accepts or rejects a take alone. What several scorers need of a frame is computed once, in its `Pair`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from media.format import VideoFormat
from restar.plugins import load_plugin
from scorers.pair import Pair

__all__ = ["Better", "Grid", "Metric", "Pair", "ScoreSeries", "Scorer", "ScoringSession", "scorer"]

Better = Literal["higher", "lower"]
Grid = tuple[tuple[float, ...], ...]
_WORST_PART = 20  # the worst twentieth of the frames


@dataclass(frozen=True)
class Metric:
    """What a person has to know of a measure before using it (`restar metrics` shows it).

    `sampled` measures are dear: they see some frames, evenly spread (`score.frames` of the recipe),
    the others see each, or every so manieth (`every`). `files` are wanted besides what is installed,
    `licence` is that of code and parameters. `cost`: milliseconds of one processor for each frame (those
    that it skips among them) of a source of 640x360 and a take of 1280x720, measured alone
    (benchmarks/metrics.py); 0 = not measured.
    """

    what: str
    unit: str
    better: Better
    range: str = ""
    licence: str = "Apache-2.0"
    commercial_use: bool = True
    source: str = ""
    sampled: bool = False
    files: tuple[str, ...] = ()
    every: int = 1
    cost: float = 0.0


@dataclass(frozen=True)
class ScoreSeries:
    """One score over a scene: a value for each frame that was measured (index within the scene).

    `better` says which way is better. Values are finite; a frame to which the score does not apply
    is left out, and a scene without any value is "not applicable". Where a measure knows places,
    `tiles` has the worst tile (row, column) of each measured frame, and `heat` the worst frame's
    value for every tile.
    """

    name: str
    unit: str
    better: Better
    frames: tuple[int, ...]
    values: tuple[float, ...]
    tiles: tuple[tuple[int, int], ...] = ()
    heat: Grid = ()

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

    @property
    def worst_part(self) -> float | None:
        """The mean of the worst 5 % of the frames, of one at least."""
        if not self.values:
            return None
        ordered = sorted(self.values, reverse=self.better == "lower")
        part = ordered[: -(-len(ordered) // _WORST_PART)]
        return sum(part) / len(part)


class ScoringSession(Protocol):
    """The measuring of one take: sees each pair of frames once, in order."""

    def see(self, pair: Pair) -> None: ...

    def finish(self) -> ScoreSeries: ...


@runtime_checkable
class Scorer(Protocol):
    """One measure. `algorithm` rises whenever the same take gives other values."""

    name: str
    algorithm: int
    about: Metric

    def start(self, source: VideoFormat, take: VideoFormat) -> ScoringSession:
        """Return the measuring of one take.

        Raises PluginError or CheckpointError where something that it needs is not here.
        """
        ...


def scorer(name: str) -> Scorer:
    """Return a new instance of the scorer called `name`; raise PluginError if there is none."""
    return load_plugin("scorers", name)()  # type: ignore[no-any-return]
