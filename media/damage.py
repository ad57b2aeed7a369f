"""Damage: a film that ends early or has parts that do not decode is refused, or its gaps are noted.

ffmpeg reads a cut file and exits 0. What tells is the demuxer's log, the length that the video track
itself promises, a decoder that is told not to hide errors, and streams that turn up only later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from media.probe import MediaInfo
from media.structure import cut_off
from restar.errors import DamagedMediaError, MediaError

__all__ = ["Damage", "check_whole", "late_stream"]

_LATE_FRAMES = 2  # a container's duration may count one frame more or less than there are
_NOTED = 1000
_ENDED_EARLY = re.compile(r"(?i)ended prematurely|partial file|truncat|end of file")
_LATE_STREAM = re.compile(r"New (\w+) stream with index (\d+)")


@dataclass
class Damage:
    """What a pass over a film met: how many frames were given, hidden by edit lists, or missing.

    `gaps` holds what did not decode: {"frame": that would have come next, "time": s or None, "what"};
    `outside` counts samples of floating point that were cut off at 0 or 1.
    """

    frames: int = 0
    hidden: int = 0
    missing: int = 0
    outside: int = 0
    gaps: list[dict[str, str | int | float | None]] = field(default_factory=list)

    def note(self, path: Path, info: MediaInfo, what: str, pts: int | None = None) -> bool:
        """Note a gap and return True; raise DamagedMediaError unless damage is allowed."""
        if not info.tolerant:
            raise DamagedMediaError(
                f"{path}: {what}, after {self.frames} frames; get a whole copy, or restore what "
                "decodes by --allow-damaged"
            )
        self.missing += 1
        time = None if pts is None else round(float(pts * info.video.time_base), 3)
        if len(self.gaps) < _NOTED:
            self.gaps.append({"frame": self.frames, "time": time, "what": what})
        return True

    def __str__(self) -> str:
        if not self.missing:
            return "none"
        told = "; ".join(f"frame {gap['frame']}: {gap['what']}" for gap in self.gaps[:3])
        return f"{self.missing} gaps ({told}{'; ...' if self.missing > 3 else ''})"


def check_whole(
    path: Path, info: MediaInfo, count: int, end: Fraction, log: Iterable[str], damage: Damage
) -> None:
    """Raise, or note, where the demuxer said that the file ends early or the track promised more.

    `count` frames of the file were decoded, the last until `end` (s); `log` is what a demuxer said.
    Raises MediaError for a stream that begins so late that it was not known when work began.
    """
    if not count:
        raise DamagedMediaError(f"{path}: not one frame can be decoded; get a whole copy")
    early = ""
    for line in log:
        late = _LATE_STREAM.search(line)
        if late is not None:
            raise late_stream(path, f"its {late[1]} stream {late[2]}")
        if not early and _ENDED_EARLY.search(line):
            early = re.sub(r"^(\[[^\]]*\] )+", "", line).strip().rstrip(".")
    promised = _promised_end(info)
    if not early and promised is not None and info.video.rate:
        missing = int((promised - end) * info.video.rate)
        if missing > _LATE_FRAMES:
            early = f"its video track should last {missing} frames longer"
    early = early or cut_off(path, info.container)
    if early:
        damage.note(path, info, f"the file ends early ({early})")


def late_stream(path: Path, what: str) -> MediaError:
    """Return the error for a stream that was not known when work began."""
    return MediaError(
        f"{path}: {what} begins too late to be seen when the file is opened; remux it first "
        "(ffmpeg -probesize 1G -analyzeduration 1G -i ... -map 0 -c copy)"
    )


def _promised_end(info: MediaInfo) -> Fraction | None:
    """When the video track itself says that it ends, in seconds; None where it does not say."""
    video = info.video
    tag = next((v for k, v in video.metadata.items() if k.upper() == "DURATION"), None)
    if tag is not None:
        try:
            hours, minutes, seconds = tag.strip("\0 ").split(":")
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        except ValueError:
            return None
    if video.duration is None or "matroska" in info.container:
        return None  # Matroska's duration is the longest track's, which may be the sound's
    return ((video.start_pts or 0) + video.duration) * video.time_base
