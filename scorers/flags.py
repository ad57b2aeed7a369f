"""Flags: where a score says that a take needs a person's eye, as a plain sentence with its place.

The limits were set by benchmarks/calibrate.py on real clips with faults put into good takes, and
tried on other clips (docs/scores.md); a recipe's `score.thresholds` changes them, by flag. A limit
on a scorer by its own name is one on its mean. A flag warns; it never rejects a take.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from scorers import ScoreSeries

__all__ = ["RULES", "Finding", "Rule", "find_flags", "place_of"]

WINDOW = 24  # frames over which what belongs to a whole take is averaged


@dataclass(frozen=True)
class Rule:
    """When a series raises a flag: a frame beyond the limit, or the mean of a window of frames."""

    flag: str
    scorer: str
    limit: float
    over: Literal["frame", "window"]
    says: str


RULES = (
    Rule("blank", "blank", 0.6, "frame", "the picture is black or empty and the source's is not"),
    Rule("frozen", "frozen", 0.5, "frame", "the picture stands still while the source moves on"),
    Rule("wrong-order", "frame-order", 0.25, "frame", "the take shows another moment than the source"),
    Rule("seam-jump", "seam-jump", 1.8, "frame",
         "the picture jumps at once, as at the seam of two windows"),
    Rule("flicker", "flicker", 0.5, "frame", "brightness pulses more than the source's"),
    Rule("unsteady", "warp-error", 1.5, "window",
         "texture changes from frame to frame as the source's does not"),
    Rule("colour-cast", "colour-drift", 1.2, "window", "colours are not the source's"),
    Rule("displaced", "displacement", 0.1, "frame", "the picture lies elsewhere than the source's"),
    Rule("lost-detail", "detail-kept", 0.9, "window", "fine detail of the source is lost"),
    Rule("lost-detail", "detail-gain", 0.95, "window",
         "less detail than a plain resize of the source has"),
    Rule("tile-edges", "tile-edges", 6.7, "window", "straight lines stand in it, as between tiles"),
    Rule("over-sharpened", "overshoot", 1.0, "window", "edges have halos that the source does not have"),
    Rule("invented-detail", "invented-detail", 4.0, "window", "detail that the source does not support"),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A flag that was raised: on frames [first, last] of the scene, by what value against which limit."""

    flag: str
    scorer: str
    first: int
    last: int
    value: float
    limit: float
    place: str
    says: str

    def sentence(self, offset: int = 0) -> str:
        """Return "flag: frames 112-140, upper left: what is wrong", frames counted from `offset`."""
        first, last = self.first + offset, self.last + offset
        frames = f"frame {first}" if first == last else f"frames {first}-{last}"
        place = f", {self.place}" if self.place else ""
        return f"{self.flag}: {frames}{place}: {self.says}"


def find_flags(
    series: Iterable[ScoreSeries],
    thresholds: Mapping[str, float] | None = None,
    ignore: Sequence[str] = (),
) -> list[Finding]:
    """Return what the series of one take are flagged for, in the order of RULES.

    `thresholds` has limits by flag, or by scorer for its mean; flags in `ignore` are not raised.
    """
    limits = dict(thresholds or {})
    flags = {rule.flag for rule in RULES}
    by_mean = [name for name in limits if name not in flags and name not in ignore]
    found: list[tuple[int, Finding]] = []
    for one in series:  # one at a time: those of a long scene are not held together
        for order, rule in enumerate(RULES):
            if rule.scorer == one.name and rule.flag not in ignore:
                judged = _judged(one, rule, limits.get(rule.flag, rule.limit))
                found += [(order, finding) for finding in judged]
        if one.name in by_mean and one.mean is not None:
            place = len(RULES) + by_mean.index(one.name)
            found += [(place, finding) for finding in _by_mean(one, limits[one.name])]
    return [finding for _, finding in sorted(found, key=lambda pair: pair[0])]


def place_of(tile: tuple[int, int], rows: int, columns: int) -> str:
    """Return where a tile lies, in words."""
    across = ("left", "", "right")[min(2, 3 * tile[1] // max(1, columns))]
    down = ("upper", "middle", "lower")[min(2, 3 * tile[0] // max(1, rows))]
    if not across:
        return {"upper": "top", "middle": "centre", "lower": "bottom"}[down]
    return across if down == "middle" else f"{down} {across}"


def _judged(series: ScoreSeries, rule: Rule, limit: float) -> Iterator[Finding]:
    values = dict(zip(series.frames, series.values, strict=True))
    if rule.over == "frame":
        bad = [frame for frame, value in values.items() if _worse(series, value, limit)]
        worst = dict(values)
    else:
        bad, worst = [], {}
        for frames in _windows(series.frames):
            mean = sum(values[f] for f in frames) / len(frames)
            if _worse(series, mean, limit):
                bad += frames
                for frame in frames:
                    worst[frame] = _worst(series, (worst.get(frame, mean), mean))
    step = min((b - a for a, b in pairwise(series.frames)), default=1)  # some look at each fourth
    for run in _runs(sorted(set(bad)), step if rule.over == "frame" else WINDOW):
        value = _worst(series, [worst[f] for f in run])
        yield Finding(
            rule.flag, rule.scorer, run[0], run[-1], value, limit, _place(series, run), rule.says
        )


def _windows(frames: Sequence[int]) -> Iterator[list[int]]:
    """Runs of measured frames within WINDOW, each half a window on; the last one whole."""
    if not frames:
        return
    start, end = frames[0], frames[-1]
    while True:
        inside = list(frames[bisect_left(frames, start) : bisect_left(frames, start + WINDOW)])
        if inside:
            yield inside
        if start + WINDOW > end:
            return
        start = min(start + WINDOW // 2, max(start + 1, end + 1 - WINDOW))


def _runs(frames: Sequence[int], gap: int) -> Iterator[list[int]]:
    run = list(frames[:1])
    for before, frame in pairwise(frames):
        if frame - before > gap:
            yield run
            run = []
        run.append(frame)
    if run:
        yield run


def _place(series: ScoreSeries, run: Sequence[int]) -> str:
    """Where the run's tiles are worst, if they agree; nothing where they are all over."""
    if not series.tiles or not series.heat:
        return ""
    where = dict(zip(series.frames, series.tiles, strict=True))
    rows, columns = len(series.heat), len(series.heat[0])
    words = [place_of(where[f], rows, columns) for f in run]
    common = max(sorted(set(words)), key=words.count)
    return common if 2 * words.count(common) > len(words) else ""


def _by_mean(series: ScoreSeries, limit: float) -> list[Finding]:
    mean = series.mean
    assert mean is not None  # noqa: S101  the caller looked
    if not _worse(series, mean, limit):
        return []
    says = f"its mean of {mean:.3g} {series.unit} is worse than {limit:g}"
    return [
        Finding(
            series.name, series.name, series.frames[0], series.frames[-1], mean, limit, "", says
        )
    ]


def _worse(series: ScoreSeries, value: float, limit: float) -> bool:
    return value < limit if series.better == "higher" else value > limit


def _worst(series: ScoreSeries, values: Sequence[float]) -> float:
    return min(values) if series.better == "higher" else max(values)
