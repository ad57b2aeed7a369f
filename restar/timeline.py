"""Exact time: ranges of frames, PTS as integers in a rational time base, lists of scenes.

Seconds as floats are never stored: a film of 24000/1001 frames a second drifts by a frame in some
hours when they are. A PTS is an integer count of a time base; a time is a Fraction of a second.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from restar.errors import UsageError

__all__ = [
    "FrameRange",
    "format_scenes",
    "parse_scenes",
    "rescale",
    "timecode",
]


@dataclass(frozen=True, order=True)
class FrameRange:
    """A half-open range of frames [start, end) on a film's derived timeline."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise UsageError(f"frames {self.start}-{self.end} are not a range: it needs a frame")

    @property
    def count(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.end))

    def __contains__(self, frame: int) -> bool:
        return self.start <= frame < self.end

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


def rescale(pts: int, source: Fraction, target: Fraction) -> int:
    """Return `pts` in time base `target`, rounded to nearest, halves away from zero (as libav)."""
    exact = abs(pts) * source / target
    rounded = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
    return rounded if pts >= 0 else -rounded


def timecode(frame: int, rate: Fraction) -> str:
    """Return a non-drop HH:MM:SS:FF for a frame number at `rate` rounded to whole frames."""
    base = max(1, round(rate))
    seconds, frames = divmod(frame, base)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"


_SCENES = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*")


def parse_scenes(text: str) -> tuple[int, ...]:
    """Return the scene numbers of a list such as "3,14,20-22", sorted and once each.

    Scenes are numbered from 1. Raises UsageError for anything else.
    """
    compact = text.replace(" ", "")
    if not _SCENES.fullmatch(compact):
        raise UsageError(f"'{text}' is not a list of scenes: write them like 3,14,20-22")
    numbers: set[int] = set()
    for item in compact.split(","):
        first, _, last = item.partition("-")
        low, high = int(first), int(last or first)
        if low < 1 or high < low or high - low > 1_000_000:
            raise UsageError(f"'{item}' in '{text}' is not a range of scenes (numbered from 1)")
        numbers.update(range(low, high + 1))
    return tuple(sorted(numbers))


def format_scenes(numbers: Iterable[int]) -> str:
    """Return scene numbers the way `parse_scenes` reads them: "3,14,20-22"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
