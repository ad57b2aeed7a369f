"""What frames carry besides pixels: captions, timecodes, HDR and display data, in full and by frame.

libav hangs such data on each decoded frame ("side data"). FFV1 has no place for most of it. So every
change of it is written down, byte for byte, in a file of JSON lines that goes into the master; what a
container can say of a whole track (rotation, mastering display, light level) is written there as well.
"""

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
from av.sidedata.sidedata import SideDataContainer

from media.staged import Staged

__all__ = [
    "ContentLight",
    "Marks",
    "MarksWriter",
    "MasteringDisplay",
    "TrackMarks",
    "changes",
    "marks_of",
    "track_marks",
]

Marks = dict[str, bytes]

# What this libav computes while it decodes: of the decoder, not of the film.
_NOT_OF_THE_FILM = frozenset({"MOTION_VECTORS", "VIDEO_ENC_PARAMS", "REGIONS_OF_INTEREST",
                              "DETECTION_BBOXES", "VIDEO_HINT"})  # fmt: skip


@dataclass(frozen=True)
class MasteringDisplay:
    """The display that a film was graded on (SMPTE ST 2086): CIE x, y of R, G, B and white; cd/m2."""

    primaries: tuple[Fraction, ...] | None
    luminance: tuple[Fraction, Fraction] | None

    @classmethod
    def parse(cls, data: bytes) -> "MasteringDisplay":
        """Read libav's AVMasteringDisplayMetadata."""
        numbers = struct.unpack("=20i2i", data[:88])
        ratios = [Fraction(a, b or 1) for a, b in zip(numbers[:20:2], numbers[1:20:2], strict=True)]
        low, high = ratios[8:]
        return cls(tuple(ratios[:8]) if numbers[20] else None, (low, high) if numbers[21] else None)

    def numbers(self) -> list[Fraction | None]:
        """The ten numbers in Matroska's order: R, G, B, white as x, y; greatest, least luminance."""
        low, high = self.luminance or (None, None)
        return [*(self.primaries or [None] * 8), high, low]

    def __str__(self) -> str:
        return ",".join("-" if n is None else f"{float(n):.5g}" for n in self.numbers())


@dataclass(frozen=True)
class ContentLight:
    """MaxCLL and MaxFALL in cd/m2 (CTA-861.3)."""

    content: int
    average: int

    @classmethod
    def parse(cls, data: bytes) -> "ContentLight":
        """Read libav's AVContentLightMetadata."""
        return cls(*struct.unpack("=2I", data[:8]))

    def __str__(self) -> str:
        return f"{self.content},{self.average}"


@dataclass(frozen=True)
class TrackMarks:
    """What a container says of the pictures as a whole. `matrix` is libav's display matrix (9 ints)."""

    matrix: tuple[int, ...] | None = None
    mastering: MasteringDisplay | None = None
    light: ContentLight | None = None

    @classmethod
    def of(cls, marks: Marks) -> "TrackMarks":
        """Read those of one frame."""
        matrix, display = marks.get("DISPLAYMATRIX"), marks.get("MASTERING_DISPLAY_METADATA")
        light = marks.get("CONTENT_LIGHT_LEVEL")
        return cls(
            struct.unpack("=9i", matrix[:36]) if matrix else None,
            MasteringDisplay.parse(display) if display else None,
            ContentLight.parse(light) if light else None,
        )

    @property
    def turn(self) -> tuple[float, bool]:
        """Degrees as ffmpeg's `-display_rotation` takes them, and whether it is mirrored as well."""
        if self.matrix is None:
            return 0.0, False
        a, b, _, c, d = self.matrix[:5]
        mirrored = a * d - b * c < 0
        sign = -1 if mirrored else 1
        return round(math.degrees(math.atan2(sign * c, sign * a)), 3) + 0.0, mirrored

    def told(self) -> dict[str, str]:
        """Each in words, for comparing and for people."""
        degrees, mirrored = self.turn
        return {
            "rotation": f"{degrees % 360:g} degrees{', mirrored' if mirrored else ''}",
            "mastering display": str(self.mastering or "none"),
            "light level": str(self.light or "none"),
        }


def marks_of(frame: av.VideoFrame) -> Marks:
    """Return all that a frame carries besides its pixels, by libav's name, byte for byte.

    "UNREADABLE" stands for data of a kind newer than PyAV (such as EXIF), which can't be read.
    """
    try:
        # Not `frame.side_data`: a frame that was asked for it holds itself, and hundreds of frames
        # would wait for the garbage collector with all their pixels.
        sides = SideDataContainer(frame)  # type: ignore[call-arg]
    except ValueError:  # of a kind that PyAV has no name for, and then it gives none of them
        return {"UNREADABLE": b""}
    kept = [one for one in sides if one.type.name not in _NOT_OF_THE_FILM]
    return {one.type.name: bytes(one) for one in kept}


class MarksWriter(Staged):
    """Writes the changes of marks from frame to frame, in bounded memory."""

    def __init__(self, path: Path) -> None:
        self.kinds: dict[str, int] = {}
        self._file: IO[str] = path.open("w", encoding="ascii")
        self._last: Marks = {}
        self._frame = 0
        self._tell({"restar": "marks", "version": 1, "of": "side data of frames, by libav's names"})

    def _end(self, *, well: bool) -> None:
        self._file.close()

    def add(self, marks: Marks) -> None:
        """Record what differs from the frame before."""
        for name in sorted(marks.keys() | self._last.keys()):
            data = marks.get(name)
            if data is not None:
                self.kinds[name] = self.kinds.get(name, 0) + 1
            if data != self._last.get(name):
                shown = None if data is None else data.hex()
                self._tell({"frame": self._frame, "mark": name, "hex": shown})
        self._last = marks
        self._frame += 1

    def _tell(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def track_marks(path: Path) -> TrackMarks:
    """Return what the marks of the first frame in a file by `MarksWriter` say of the whole track."""
    first: Marks = {}
    for line in changes(path):
        if line["frame"] > 0:
            break
        first[line["mark"]] = bytes.fromhex(line["hex"])
    return TrackMarks.of(first)


def changes(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of marks but its head."""
    with path.open(encoding="ascii") as file:
        next(file)
        yield from map(json.loads, file)
