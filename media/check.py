"""Is this master what it has to be? Pictures, times, sound, tags: each compared, none assumed.

`check_pictures` proves a master against the checksums that its takes were made with; `compare` proves
an `identity` master against its source, property by property. Both read the finished file from disk.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from media import ffmpeg
from media.convert import to_format
from media.format import VideoFormat
from media.frames import decode_all, frame_md5
from media.probe import MediaInfo, StreamInfo, open_media, probe
from media.streams import plan_streams
from restar.errors import VerificationError

__all__ = ["Check", "Payload", "check_pictures", "check_streams", "compare", "payloads"]

TOLERANCE = Fraction(1, 2000)  # half a millisecond: Matroska's rounding


@dataclass(frozen=True)
class Check:
    """One property: what the source has, what the master has, and whether that is right."""

    name: str
    source: str
    master: str
    equal: bool


@dataclass(frozen=True)
class Payload:
    """A stream's packets: how many, the sha256 of their bytes in order, the first one's time."""

    packets: int
    sha256: str
    first: Fraction | None


def check_pictures(
    master: Path, expected: Iterable[tuple[Fraction, bytes]], advance: Any = lambda _count: None
) -> int:
    """Decode a master and hold each frame against its expected time (s) and MD5; return the count.

    Raises VerificationError at the first frame that differs, is missing or is too many.
    """
    info = probe(master)
    wanted = iter(expected)
    count = 0
    for frame in decode_all(master, info):
        want = next(wanted, None)
        if want is None:
            raise VerificationError(f"{master}: has more frames than the {count} expected")
        time, md5 = want
        if frame_md5(frame) != md5:
            raise VerificationError(f"{master}: the pixels of frame {count} are not the take's")
        assert frame.pts is not None and frame.time_base is not None  # noqa: S101
        if abs(frame.pts * frame.time_base - time) > TOLERANCE:
            raise VerificationError(f"{master}: frame {count} is at another time than in the film")
        count += 1
        advance(1)
    if next(wanted, None) is not None:
        raise VerificationError(f"{master}: ends after {count} frames, before the film does")
    return count


def check_streams(source: Path, info: MediaInfo, master: Path) -> list[Check]:
    """Compare every other stream of a master with the source's, packet for packet."""
    carried = [c for c in plan_streams(source, info) if c.how != "tag"]
    master_info = probe(master)
    ours, theirs = payloads(source, info), payloads(master, master_info)
    others = [s for s in master_info.others() if not _is_timeline(s)]
    checks = []
    for number, entry in enumerate(carried):
        name = f"{entry.stream.kind} {number + 1} ({entry.stream.codec})"
        if number >= len(others):
            checks.append(Check(name, "present", "missing", False))
            continue
        here = ours.get(entry.stream.index)
        there = theirs.get(others[number].index)
        if entry.how == "copy" and here is not None:
            checks.append(_same_payload(name, here, there))
    if len(others) > len(carried):
        checks.append(Check("other streams", str(len(carried)), str(len(others)), False))
    return checks


def compare(source: Path, master: Path) -> list[Check]:
    """Return what an identity master kept of its source, one line per property."""
    info, other = probe(source), probe(master)
    checks = list(_picture_checks(source, info, master, other))
    checks += _tag_checks(info, other)
    checks += check_streams(source, info, master)
    checks += _sound_checks(source, info, master)
    checks.append(_check("chapters", _chapters(info), _chapters(other)))
    return checks


def payloads(path: Path, info: MediaInfo) -> dict[int, Payload]:
    """Return the payload of every stream but the pictures, by stream index, in one pass."""
    kinds = {"audio", "subtitle"}
    digests = {s.index: hashlib.sha256() for s in info.others() if s.kind in kinds}
    counts = dict.fromkeys(digests, 0)
    firsts: dict[int, Fraction] = {}
    if not digests:
        return {}
    with open_media(path) as container:
        for packet in container.demux([container.streams[i] for i in digests]):
            if not packet.size:
                continue
            index = packet.stream_index
            digests[index].update(memoryview(packet))
            counts[index] += 1
            if index not in firsts and packet.pts is not None:
                firsts[index] = packet.pts * (packet.time_base or Fraction(1))
    return {i: Payload(counts[i], d.hexdigest(), firsts.get(i)) for i, d in digests.items()}


def _picture_checks(
    source: Path, info: MediaInfo, master: Path, other: MediaInfo
) -> Iterator[Check]:
    frames = {"source": 0, "master": 0}
    different = 0
    worst = Fraction(0)
    theirs = decode_all(master, other)
    last: Fraction | None = None
    for frame in decode_all(source, info):
        frames["source"] += 1
        copy = next(theirs, None)
        if copy is None:
            continue
        frames["master"] += 1
        different += not _same_pixels(frame, copy, info.format)
        here, there = _time(frame), _time(copy)
        if here is not None and there is not None:
            worst = max(worst, abs(here - there))
            last = here
    frames["master"] += sum(1 for _ in theirs)
    yield _check("frames", str(frames["source"]), str(frames["master"]))
    yield Check("pixels", "every frame", f"{different} frames differ", different == 0)
    shown = f"worst {float(worst * 1000):.3f} ms"
    yield Check("PTS", f"to {float(last or 0):.3f} s", shown, worst <= TOLERANCE)


def _same_pixels(source: av.VideoFrame, copy: av.VideoFrame, native: VideoFormat) -> bool:
    if source.format.name != copy.format.name:
        copy = to_format(copy, native)
    return frame_md5(source) == frame_md5(copy)


def _time(frame: av.VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _tag_checks(info: MediaInfo, other: MediaInfo) -> Iterator[Check]:
    here, there = info.format, other.format
    yield _check("size", f"{here.width}x{here.height}", f"{there.width}x{there.height}")
    yield _check("SAR", _shape(here), _shape(there))
    yield _check("fields", _fields(here), _fields(there))
    for name in ("matrix", "range", "primaries", "transfer"):
        yield _check(
            f"colour {name}",
            getattr(here.colour, name) or "unspecified",
            getattr(there.colour, name) or "unspecified",
        )
    for key, value in sorted(info.metadata.items()):
        if key.lower() in _CONTAINER_TAGS:
            continue
        found = next((v for k, v in other.metadata.items() if k.lower() == key.lower()), "missing")
        yield _check(f"tag {key}", value, found)
    for ours, theirs in zip(_plain(info), _plain(other), strict=False):
        yield _check(f"language {ours.kind} {ours.index}", _language(ours), _language(theirs))
        yield _check(
            f"disposition {ours.kind} {ours.index}",
            ",".join(ours.disposition) or "none",
            ",".join(theirs.disposition) or "none",
        )


def _sound_checks(source: Path, info: MediaInfo, master: Path) -> Iterator[Check]:
    """Decoded sound by ffmpeg, which trims what a codec delays: what a listener would hear."""
    there_are = sum(stream.kind == "audio" for stream in probe(master).streams)
    for number, stream in enumerate(s for s in info.streams if s.kind == "audio"):
        here = _sound_md5(source, number)
        there = _sound_md5(master, number) if number < there_are else "missing"
        yield _check(f"sound {number + 1} decoded ({stream.codec})", here[:12], there[:12])


def _sound_md5(path: Path, number: int) -> str:
    arguments = ["-i", ffmpeg.file_url(path), "-map", f"0:a:{number}", "-f", "md5", "-"]
    return ffmpeg.run(arguments, f"{path}: decoding sound {number + 1}").strip().partition("=")[2]


def _same_payload(name: str, here: Payload, there: Payload | None) -> Check:
    shown = f"{here.packets} packets {here.sha256[:12]}"
    if there is None:
        return Check(name, shown, "missing", False)
    late = abs((here.first or Fraction(0)) - (there.first or Fraction(0)))
    equal = (here.packets, here.sha256) == (there.packets, there.sha256) and late <= TOLERANCE
    return Check(name, shown, f"{there.packets} packets {there.sha256[:12]}", equal)


def _check(name: str, source: str, master: str) -> Check:
    return Check(name, source, master, source == master)


# Written by the container itself about itself.
_CONTAINER_TAGS = frozenset(
    {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
)


def _plain(info: MediaInfo) -> list[StreamInfo]:
    return [s for s in info.streams if s.kind in {"video", "audio", "subtitle"}]


def _language(stream: StreamInfo) -> str:
    return stream.metadata.get("language", "und")


def _shape(video: VideoFormat) -> str:
    """Square pixels are what Matroska means where it says nothing."""
    return "square" if video.sar in {None, Fraction(1)} else str(video.sar)


def _fields(video: VideoFormat) -> str:
    return "progressive" if video.field_order in {"unknown", "progressive"} else video.field_order


def _chapters(info: MediaInfo) -> str:
    return (
        "; ".join(
            f"{round(float(c.start), 3)}-{round(float(c.end), 3)} {c.metadata.get('title', '')}".strip()
            for c in info.chapters
        )
        or "none"
    )


def _is_timeline(stream: StreamInfo) -> bool:
    return stream.metadata.get("filename", "") == "restar-timeline.json"
