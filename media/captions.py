"""Closed captions as files that caption tools read, made from the A/53 data of a film's frames.

Captions (ATSC A/53 part 4; CEA-608 and CEA-708) lie inside coded pictures, where no player of a master
looks for them. The marks of a film hold them byte for byte (`media.marks`); here they become MacCaption
(.mcc), which holds all of it in caption distribution packets (SMPTE ST 334-2), and where a film runs
at a rate of NTSC also Scenarist (.scc), which holds the first field's CEA-608 and that more tools read.
Times are those of the pictures: the film's own timecode where it has one, else from 00:00:00:00.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from media.index import FrameIndex
from media.marks import changes
from media.probe import MediaInfo

__all__ = ["CAPTION_FILES", "CAPTION_MARK", "write_captions"]

CAPTION_FILES = {"restar-captions.mcc": "text/plain", "restar-captions.scc": "text/plain"}
CAPTION_MARK = "A53_CC"
_SCC_RATE = Fraction(30000, 1001)
# Frames a second -> its code in a caption distribution packet (ST 334-2, table 3).
_CDP_RATES = {
    Fraction(24000, 1001): 1, Fraction(24): 2, Fraction(25): 3, Fraction(30000, 1001): 4,
    Fraction(30): 5, Fraction(50): 6, Fraction(60000, 1001): 7, Fraction(60): 8,
}  # fmt: skip
_MOST_IN_A_PACKET = 31  # cc_count has five bits
# MacCaption's own short names for runs of bytes that are often there.
_SHORT = [
    *((bytes((0xFA, 0, 0)) * count, chr(ord("F") + count)) for count in range(9, 0, -1)),
    (b"\xfb\x80\x80", "P"), (b"\xfc\x80\x80", "Q"), (b"\xfd\x80\x80", "R"), (b"\x96\x69", "S"),
    (b"\x61\x01", "T"), (b"\x00", "Z"),
]  # fmt: skip
_TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")


@dataclass(frozen=True)
class _Clock:
    """Timecode: `per_second` frames in a second of it, the first frame's number, drop-frame or not."""

    per_second: int
    first: int = 0
    drops: bool = False

    @classmethod
    def of(cls, rate: Fraction, timecode: str) -> "_Clock":
        per_second = round(rate)
        told = _TIMECODE.fullmatch(timecode)
        if told is None:
            return cls(per_second)
        hours, minutes, seconds, frames = (int(told[n]) for n in (1, 2, 3, 5))
        drops = told[4] == ";" and per_second in {30, 60}
        whole = 60 * hours + minutes
        dropped = (whole - whole // 10) * per_second // 15 if drops else 0
        return cls(per_second, (60 * whole + seconds) * per_second + frames - dropped, drops)

    def at(self, frame: int) -> str:
        """The timecode of the film's frame of that number (SMPTE ST 12-1, 7.4)."""
        number, leap = self.first + frame, self.per_second // 15
        if self.drops:
            tens, rest = divmod(number, 600 * self.per_second - 9 * leap)
            minutes = max(0, rest - leap) // (60 * self.per_second - leap)
            number += leap * (9 * tens + minutes)
        seconds, frames = divmod(number, self.per_second)
        minutes, seconds = divmod(seconds, 60)
        mark = ";" if self.drops else ":"
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}{mark}{frames:02}"


def write_captions(info: MediaInfo, index: FrameIndex, marks: Path, folder: Path) -> list[Path]:
    """Write a film's captions into `folder`, the same bytes for the same film; return the files.

    None where it has no captions, or runs at a rate that captions are not defined for; an .scc where
    there is CEA-608 in the first field and the rate is one of NTSC.
    """
    rate = _rate(index)
    if rate not in _CDP_RATES or next(_captions(marks, index), None) is None:
        return []
    timecode = next(
        (v for tags in (info.video.metadata, info.metadata) for k, v in tags.items()
         if k.lower() == "timecode"), ""
    )  # fmt: skip
    mcc, scc = (folder / name for name in CAPTION_FILES)
    clock = _Clock.of(rate, timecode)
    with mcc.open("w", encoding="ascii", newline="\r\n") as file:
        file.write(_mcc_head(index, clock))
        for number, data in _numbered(marks, index, rate):
            file.write(f"{clock.at(number)}\t{_mcc_line(data, number, _CDP_RATES[rate])}\n")
    if rate.denominator != 1001:
        return [mcc]
    lines = 0
    with scc.open("w", encoding="ascii", newline="\r\n") as file:
        file.write("Scenarist_SCC V1.0\n\n")
        for start, words in _scc_lines(marks, index):
            lines += 1
            file.write(f"{_Clock.of(_SCC_RATE, timecode).at(start)}\t{' '.join(words)}\n\n")
    return [mcc, scc] if lines else [mcc]


def _rate(index: FrameIndex) -> Fraction | None:
    """The rate at which a film's frames follow each other, if it is one that captions know."""
    if index.count < 2:
        return None
    step = float(np.median(np.diff(index.records["pts"][:1000]))) * float(index.time_base)
    known = min(_CDP_RATES, key=lambda rate: abs(float(rate) * step - 1))
    return known if abs(float(known) * step - 1) < 0.0005 else None


def _captions(marks: Path, index: FrameIndex) -> Iterator[tuple[int, bytes]]:
    """Yield each frame that has caption data, and the data: three bytes for each construct."""
    data, since = b"", 0
    for line in changes(marks):
        if line["mark"] != CAPTION_MARK:
            continue
        if data:
            yield from ((frame, data) for frame in range(since, line["frame"]))
        data, since = bytes.fromhex(line["hex"] or ""), line["frame"]
    if data:
        yield from ((frame, data) for frame in range(since, index.count))


def _numbered(marks: Path, index: FrameIndex, rate: Fraction) -> Iterator[tuple[int, bytes]]:
    """The same by the frames of the timecode, which are evenly spaced and each used once."""
    last, first = -1, index.time(0)
    for frame, data in _captions(marks, index):
        last = max(last + 1, round((index.time(frame) - first) * rate))
        yield last, data


def _mcc_head(index: FrameIndex, clock: _Clock) -> str:
    name = f"restar {index.count} {index.md5(0).hex()} {index.md5(index.count - 1).hex()}"
    return (
        "File Format=MacCaption_MCC V1.0\n\n"
        f"UUID={str(uuid.uuid5(uuid.NAMESPACE_OID, name)).upper()}\n"
        "Creation Program=restar\n"
        "Creation Date=Thursday, January 1, 1970\n"  # the same bytes for the same film
        "Creation Time=00:00:00\n"
        f"Time Code Rate={clock.per_second}{'DF' if clock.drops else ''}\n\n"
    )


def _mcc_line(data: bytes, sequence: int, rate: int) -> str:
    """One ancillary packet (DID 61h, SDID 01h) with one caption distribution packet."""
    data = data[: 3 * _MOST_IN_A_PACKET]
    counter = (sequence & 0xFFFF).to_bytes(2, "big")
    body = bytes((rate << 4 | 0xF, 0x43)) + counter
    body += bytes((0x72, 0xE0 | len(data) // 3)) + data + b"\x74" + counter
    packet = b"\x96\x69" + bytes((len(body) + 4,)) + body
    packet += bytes((-sum(packet) & 0xFF,))
    ancillary = b"\x61\x01" + bytes((len(packet),)) + packet
    return _shortened(ancillary + bytes((sum(ancillary) & 0xFF,)))


def _shortened(data: bytes) -> str:
    text, at = "", 0
    while at < len(data):
        run, name = next(
            ((run, name) for run, name in _SHORT if data.startswith(run, at)), (b"", "")
        )
        text += name or f"{data[at]:02X}"
        at += len(run) or 1
    return text


def _scc_lines(marks: Path, index: FrameIndex) -> Iterator[tuple[int, list[str]]]:
    """Runs of words of the first field without a gap, each with the number of its first frame."""
    start, words, first = 0, list[str](), index.time(0)
    for frame, data in _captions(marks, index):
        place = round((index.time(frame) - first) * _SCC_RATE)
        for at in range(0, len(data) - 2, 3):
            kind, *pair = data[at : at + 3]
            if kind & 0x07 != 4 or not any(byte & 0x7F for byte in pair):
                continue  # not a valid pair of the first field, or two nulls
            if words and place > start + len(words):
                yield start, words
                words = []
            start = start if words else place
            words = [*words, f"{pair[0]:02x}{pair[1]:02x}"]
            if len(words) >= _LONGEST_LINE:
                yield start, words
                start, words = start + len(words), []
    if words:
        yield start, words


_LONGEST_LINE = 32
