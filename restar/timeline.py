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
    "can_drop",
    "drop_timecode",
    "format_scenes",
    "parse_scenes",
    "parse_timecode",
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


def drop_timecode(frame: int, rate: Fraction) -> str:
    """Return a drop-frame HH:MM:SS;FF for a frame number (SMPTE ST 12-1); `rate` is 29.97 or 59.94.

    Two numbers (four at 59.94) are left out each minute, but not each tenth, so that it keeps the clock.
    """
    base = round(rate)
    dropped = base // 15
    tens, rest = divmod(frame, 600 * base - 9 * dropped)
    minutes = max(0, rest - base * 60) // (60 * base - dropped) + (rest >= base * 60)
    shown = frame + 9 * dropped * tens + dropped * min(minutes, 9)
    head, _, frames = timecode(shown, Fraction(base)).rpartition(":")
    return f"{head};{frames}"


def can_drop(rate: Fraction) -> bool:
    """Whether timecode at a rate may be drop-frame: 30000/1001 and 60000/1001."""
    return rate in (Fraction(30000, 1001), Fraction(60000, 1001))


def parse_timecode(text: str, rate: Fraction) -> int:
    """Return the frame number of a timecode at `rate`; ";" or "." before the frames is drop-frame.

    Raises UsageError for what is no timecode of that rate.
    """
    found = _TIMECODE.fullmatch(text.strip())
    base = max(1, round(rate))
    drop = found is not None and found[4] in ";." and can_drop(rate)
    if found is None:
        raise UsageError(f"'{text}' is not a timecode: write it like 01:00:00:00")
    hours, minutes, seconds, frames = (int(found[n]) for n in (1, 2, 3, 5))
    dropped = base // 15 if drop else 0
    skipped = drop and minutes % 10 and not seconds and frames < dropped
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= base or skipped:
        raise UsageError(f"'{text}' is not a timecode at {float(rate):.6g} frames a second")
    total = 60 * hours + minutes
    return (60 * total + seconds) * base + frames - dropped * (total - total // 10)


_TIMECODE = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
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
