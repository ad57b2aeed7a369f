"""A stream of pictures for ffmpeg's standard input: FFV1 packets in the least of Matroska.

ffmpeg joins it with the source's other streams into a master. Matroska is spoken here because, of what
a pipe can carry, it alone tells ffmpeg of mastering display and light level, and because its time unit
is ours to choose: milliseconds where the master is Matroska too, nanoseconds where it is MOV. Each
packet is a cluster of its own, so that any times and gaps can be said (RFC 9559).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

from media.format import VideoFormat
from media.marks import ContentLight, MasteringDisplay

__all__ = ["PicturePipe", "element"]


@dataclass(frozen=True)
class PicturePipe:
    """Writes one track of FFV1 pictures to a pipe. Times are whole `unit`s (s) after the start."""

    out: IO[bytes]
    unit: Fraction

    def begin(
        self,
        video: VideoFormat,
        extradata: bytes,
        rate: Fraction | None = None,
        mastering: MasteringDisplay | None = None,
        light: ContentLight | None = None,
    ) -> None:
        """Write what comes before the first packet."""
        head = [
            (0x4286, _uint(1)), (0x42F7, _uint(1)), (0x42F2, _uint(4)), (0x42F3, _uint(8)),
            (0x4282, b"matroska"), (0x4287, _uint(4)), (0x4285, _uint(2)),
        ]  # fmt: skip
        nanoseconds = self.unit * 10**9
        info = [(0x2AD7B1, _uint(int(nanoseconds))), (0x4D80, b"restar"), (0x5741, b"restar")]
        self.out.write(element(0x1A45DFA3, _joined(head)))
        self.out.write(_id(0x18538067) + b"\x01" + b"\xff" * 7)  # a segment of unknown size
        self.out.write(element(0x1549A966, _joined(info)))
        track = [
            (0xD7, _uint(1)), (0x73C5, _uint(1)), (0x83, _uint(1)), (0x9C, _uint(0)),
            (0x22B59C, b"und"),
            (0x86, b"V_FFV1"), (0x63A2, extradata), (0xE0, _video(video, mastering, light)),
        ]  # fmt: skip
        if rate:
            track.append((0x23E383, _uint(round(10**9 / rate))))
        self.out.write(element(0x1654AE6B, element(0xAE, _joined(track))))

    def write(self, packet: memoryview, time: int, duration: int) -> None:
        """Write a packet that is shown `time` units after the start, for `duration` units.

        The packet itself, often a megabyte, is written from where it lies.
        """
        length = element(0x9B, _uint(duration)) if duration > 0 else b""
        block = _head(0xA1, 4 + len(packet)) + b"\x81\x00\x00\x00"
        rest = len(block) + len(packet) + len(length)
        begin = element(0xE7, _uint(time)) + _head(0xA0, rest)
        self.out.write(_head(0x1F43B675, len(begin) + rest) + begin + block)
        self.out.write(packet)
        self.out.write(length)


def element(number: int, data: bytes) -> bytes:
    """Return an EBML element: its id, the size of its data in eight bytes, the data."""
    return _head(number, len(data)) + data


def _head(number: int, size: int) -> bytes:
    return _id(number) + struct.pack(">Q", size | 1 << 56)


def _video(
    video: VideoFormat, mastering: MasteringDisplay | None, light: ContentLight | None
) -> bytes:
    parts = [(0xB0, _uint(video.width)), (0xBA, _uint(video.height))]
    colour: list[tuple[int, bytes]] = []
    if light is not None:
        colour += [(0x55BC, _uint(light.content)), (0x55BD, _uint(light.average))]
    if mastering is not None:
        ids = range(0x55D1, 0x55DB)
        pairs = zip(ids, mastering.numbers(), strict=True)
        colour.append((0x55D0, _joined([(i, _float(n)) for i, n in pairs if n is not None])))
    if colour:
        parts.append((0x55B0, _joined(colour)))
    return _joined(parts)


def _joined(parts: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(element(number, data) for number, data in parts)


def _id(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _uint(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _float(value: Fraction) -> bytes:
    return struct.pack(">d", float(value))
