"""Is this master what it has to be? Pictures, times, sound, tags: each compared, none assumed.

`check_pictures` proves a master against the checksums that its takes were made with, `check_streams`
all the rest of it against the source; `compare` proves an `identity` master against its source,
property by property. All read the finished file from disk.
"""

import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from media.attach import HeldFile, attachments_of, extract
from media.convert import to_format
from media.damage import Damage
from media.format import VideoFormat
from media.frames import FrameIndex, IndexWriter, decode_all, frame_md5, index_film, nominal_step
from media.marks import MarksWriter, TrackMarks, marks_of, track_marks
from media.master import own_attachments, shift_of
from media.parts import first_files, probe_film
from media.payload import Payload, payloads, samples_md5, subtitle_text
from media.pixfmt import lossless_equivalent
from media.probe import MediaInfo, StreamInfo, probe
from media.streams import Carried, Container, plan_streams
from media.tags import Check, check, tag_checks
from restar.errors import VerificationError
from restar.hashing import sha256_of_file

__all__ = ["Check", "check_pictures", "check_streams", "compare"]

TOLERANCE = Fraction(1, 2000)  # half a millisecond: Matroska's rounding
Advance = Callable[[int], None]


def check_pictures(
    master: Path,
    expected: Iterable[tuple[Fraction, bytes]],
    advance: Advance = lambda _count: None,
) -> int:
    """Decode a master and hold each frame against its expected time (s) and MD5; return the count.

    Raises VerificationError at the first frame that differs, is missing or is too many.
    """
    info = probe(master)
    tolerance = _tolerance(info)
    wanted = iter(expected)
    count = 0
    for frame in decode_all(master, info):
        want = next(wanted, None)
        if want is None:
            raise VerificationError(f"{master}: has more frames than the {count} expected")
        time, md5 = want
        if frame_md5(frame) != md5:
            raise VerificationError(f"{master}: the pixels of frame {count} are not the take's")
        if abs(_time(frame) - time) > tolerance:
            raise VerificationError(f"{master}: frame {count} is at another time than in the film")
        count += 1
        advance(1)
    if next(wanted, None) is not None:
        raise VerificationError(f"{master}: ends after {count} frames, before the film does")
    return count


def check_streams(
    source: Path,
    info: MediaInfo,
    index: FrameIndex,
    marks: Path | None,
    carried: Sequence[Carried],
    master: Path,
) -> list[Check]:
    """Compare everything in a master but its pictures with the source: streams, files, track marks."""
    other = probe(master)
    tracks = [s for s in other.others() if _is_track(s)]
    wanted_tracks = [one for one in carried if one.is_track]
    pairs = [
        (one, held if held is not None and held.kind == one.stream.kind else None)
        for one, held in zip(wanted_tracks, _filled(tracks, len(wanted_tracks)), strict=True)
    ]
    checks = list(_track_checks(source, info, master, other, pairs, shift_of(index)))
    if len(tracks) > len(pairs):
        checks.append(Check("other streams", str(len(pairs)), str(len(tracks)), False))
    with tempfile.TemporaryDirectory(prefix="restar-") as folder:
        files = extract(source, info, carried, Path(folder))
        files += own_attachments(info, index, marks, Path(folder))
        wanted = [HeldFile(f.name, sha256_of_file(f.path)) for f in files]
    copied = [c.stream.index for c in carried if c.how == "copy" and not c.is_track]
    checks += _file_checks(_files_of(source, info, copied) + wanted, attachments_of(master, other))
    if marks is not None:
        checks += _mark_checks(track_marks(marks), master, other)
    return checks


def _filled(tracks: Sequence[StreamInfo], count: int) -> list[StreamInfo | None]:
    """The first tracks of a master, as many as are wanted; None for each that is missing."""
    return [*tracks[:count], *[None] * (count - len(tracks))]


def compare(source: Path, master: Path, allow_damaged: bool = False) -> list[Check]:
    """Return what an identity master kept of its source, one line per property.

    Raises DamagedMediaError for a damaged source unless that is allowed; then a line tells of it.
    """
    info, other = replace(probe_film(source), tolerant=allow_damaged), probe(master)
    container: Container = "matroska" if "matroska" in other.container else "mov"
    with tempfile.TemporaryDirectory(prefix="restar-") as name:
        folder = Path(name)
        checks = list(_picture_checks(source, info, master, other, folder))
        index = FrameIndex.load(folder / "source.npy", info.video.time_base)
        carried = plan_streams(source, info, container)
        checks += tag_checks(info, other, carried, container, shift_of(index))
        checks += check_streams(source, info, index, folder / "marks", carried, master)
    return checks


def _picture_checks(
    source: Path, info: MediaInfo, master: Path, other: MediaInfo, folder: Path
) -> Iterator[Check]:
    different = 0
    with (
        IndexWriter(folder / "source.npy", nominal_step(info)) as ours,
        IndexWriter(folder / "master.npy", rising=False) as theirs,
        MarksWriter(folder / "marks") as marks,
    ):
        copies = decode_all(master, other)
        damage = Damage()
        for frame in index_film(source, info, ours, marks, damage):
            copy = next(copies, None)
            if copy is not None:
                theirs.add(copy)
                different += not _same_pixels(frame, copy, info.format)
        for copy in copies:
            theirs.add(copy)
    here = FrameIndex.load(folder / "source.npy", info.video.time_base)
    there = FrameIndex.load(folder / "master.npy", other.video.time_base)
    yield check("frames", str(here.count), str(there.count))
    if damage.missing:
        yield Check("damage", str(damage), "left out, as --allow-damaged asks", True)
    if damage.hidden:
        yield Check("edit list", f"hides {damage.hidden} packets", "not part of the film", True)
    yield Check("pixels", "every frame", f"{different} frames differ", different == 0)
    yield _format_check(info.format.pix_fmt, other.format.pix_fmt)
    yield _time_check(here, there, _tolerance(other))
    yield check("fields of frames", _fields(here), _fields(there))


def _format_check(here: str, there: str) -> Check:
    held = lossless_equivalent(here)
    return Check("pixel format", here, there, there in {here, held})


def _time_check(here: FrameIndex, there: FrameIndex, tolerance: Fraction) -> Check:
    shift = shift_of(here)
    pairs = range(min(here.count, there.count))
    worst = max((abs(here.time(n) + shift - there.time(n)) for n in pairs), default=Fraction(0))
    shown = f"{float(here.time(0)):.3f} to {float(here.time(here.count - 1)):.3f} s"
    moved = f", all moved by {float(shift):.3f} s" if shift else ""
    return Check("PTS", shown, f"worst {float(worst * 1000):.3f} ms{moved}", worst <= tolerance)


def _tolerance(master: MediaInfo) -> Fraction:
    """How far a PTS may be off: not at all in MOV, which has the film's own time base."""
    return TOLERANCE if "matroska" in master.container else Fraction(0)


def _fields(index: FrameIndex) -> str:
    """How many frames are of each kind, and a checksum over which are."""
    flags = np.asarray(index.records["interlaced"])
    kinds = {0: "progressive", 1: "bottom first", 2: "top first"}
    counts = [f"{(flags == k).sum()} {name}" for k, name in kinds.items() if (flags == k).any()]
    where = f" ({zlib.crc32(flags.tobytes()):08x})" if len(counts) > 1 else ""
    return ", ".join(counts) + where


def _same_pixels(source: av.VideoFrame, copy: av.VideoFrame, native: VideoFormat) -> bool:
    if source.format.name == "pal8":  # its colours are compared, in which FFV1 holds them
        source = to_format(source, replace(native, pix_fmt=copy.format.name))
    if source.format.name != copy.format.name:
        copy = to_format(copy, native)
    return frame_md5(source) == frame_md5(copy)


def _time(frame: av.VideoFrame) -> Fraction:
    assert frame.pts is not None and frame.time_base is not None  # noqa: S101  a master's have them
    return frame.pts * frame.time_base


def _track_checks(
    source: Path,
    info: MediaInfo,
    master: Path,
    other: MediaInfo,
    pairs: Sequence[tuple[Carried, StreamInfo | None]],
    shift: Fraction,
) -> Iterator[Check]:
    ours, theirs = payloads(source, info), payloads(master, other)
    sounds = [(c, s) for c, s in pairs if c.stream.kind == "audio" and s is not None]
    heard = zip(
        samples_md5(source, info, [c.stream.index for c, _ in sounds]),
        samples_md5(master, other, [s.index for _, s in sounds]),
        strict=True,
    )
    for number, (one, held) in enumerate(pairs, start=1):
        name = f"{one.stream.kind} {number} ({one.stream.codec})"
        if held is None:
            yield Check(name, "present", "missing", False)
            continue
        here, there = ours.get(one.stream.index), theirs.get(held.index)
        if here is None or there is None:
            yield Check(name, "present", "missing", False)
            continue
        yield _payload_check(name, one, here, there, shift)
        if one.stream.kind == "audio":
            md5s = next(heard)
            yield check(f"{name} decoded", md5s[0][:12], md5s[1][:12])
            yield check(f"{name} form", _sound(one.stream), _sound(held, one.stream.layout))
        elif one.proof == "text":
            here_text = subtitle_text(source, info, one.stream.index)
            text = here_text, subtitle_text(master, other, held.index)
            yield Check(f"{name} text", f"{len(text[0])} letters", f"{len(text[1])} letters",
                        text[0] == text[1])  # fmt: skip


def _payload_check(
    name: str, one: Carried, here: Payload, there: Payload, shift: Fraction
) -> Check:
    ends = ((here.first, there.first), (here.last, there.last))
    late = max(abs((a or Fraction(0)) + shift - (b or Fraction(0))) for a, b in ends)
    if one.proof == "text":  # which holds its own times; mov_text fills gaps with empty packets
        return Check(name, f"as {one.how}", f"{there.packets} packets", there.packets > 0)
    if one.proof != "packets":  # cut anew, so only the first one's time can be told
        began = here.first or Fraction(0)
        if one.how != "copy":  # decoded: what a codec needs before time 0 is no sound
            began = max(began, Fraction(0))
        late = abs(began + shift - (there.first or Fraction(0)))
        shown = f"at {float(here.first or 0):.3f} s, as {one.how}"
        return Check(name, shown, f"at {float(there.first or 0):.3f} s", late <= TOLERANCE)
    equal = (here.packets, here.sha256) == (there.packets, there.sha256) and late <= TOLERANCE
    shown = f"{here.packets} packets {here.sha256[:12]}"
    moved = "" if late <= TOLERANCE else f", {float(late * 1000):.3f} ms off"
    return Check(name, shown, f"{there.packets} packets {there.sha256[:12]}{moved}", equal)


def _sound(stream: StreamInfo, layout: str = "") -> str:
    """Rate and channels; where the container only counts channels, a tag names them."""
    said = stream.metadata.get("CHANNEL_LAYOUT", "") if layout else ""
    shown = said or stream.layout
    plain = {"mono": "1 channels", "stereo": "2 channels"}
    return f"{stream.sample_rate} Hz, {plain.get(shown, shown)}"


def _files_of(source: Path, info: MediaInfo, indexes: Sequence[int]) -> list[HeldFile]:
    """The source's own attachments, in order."""
    if not indexes:
        return []
    places = [s.index for s in info.streams if _is_file(s)]
    held = attachments_of(first_files(source, info)[0], info)
    return [held[places.index(index)] for index in indexes]


def _file_checks(wanted: Sequence[HeldFile], held: Sequence[HeldFile]) -> Iterator[Check]:
    for number, file in enumerate(wanted):
        there = held[number] if number < len(held) else None
        shown = f"{there.name} {there.sha256[:12]}" if there else "missing"
        yield check(f"file {file.name}", f"{file.name} {file.sha256[:12]}", shown)
    if len(held) > len(wanted):
        yield Check("files", str(len(wanted)), str(len(held)), False)


def _mark_checks(here: TrackMarks, master: Path, other: MediaInfo) -> Iterator[Check]:
    frame = next(decode_all(master, other), None)
    there = TrackMarks.of(marks_of(frame)) if frame is not None else TrackMarks()
    for name, value in here.told().items():
        yield check(name, value, there.told()[name])


def _is_file(stream: StreamInfo) -> bool:
    return stream.kind == "attachment" or "attached_pic" in stream.disposition


def _is_track(stream: StreamInfo) -> bool:
    return stream.kind in {"audio", "subtitle", "video"} and not _is_file(stream)
