"""Frames by exact index: what was seen at ingest, and any range of it again, proven the same.

One pass over a film writes a `FrameIndex` (media.index). Every later decode of a range is held against
it, so a seek that lands wrong, a changed file or another decoder can't go unnoticed. A film may be one
file, reels that follow each other on one timeline, or images: `media.parts` knows which.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
from av.codec.context import Flags

from media.damage import Damage, check_whole, late_stream
from media.ffmpeg import Complaints
from media.index import (
    BOTTOM_FIRST,
    PROGRESSIVE,
    TOP_FIRST,
    FrameIndex,
    IndexWriter,
    frame_md5,
)
from media.marks import MarksWriter, marks_of
from media.probe import MediaInfo, Reel, open_media
from media.samples import sixteen_bits, sixteen_bits_of
from media.structure import Ffv1Check
from restar.errors import DamagedMediaError, MediaError, UsageError
from restar.timeline import FrameRange

__all__ = [
    "BOTTOM_FIRST",
    "PROGRESSIVE",
    "TOP_FIRST",
    "FrameIndex",
    "IndexWriter",
    "decode_all",
    "decode_range",
    "frame_at",
    "frame_md5",
    "index_film",
    "nominal_step",
]


def index_film(
    path: Path,
    info: MediaInfo,
    writer: IndexWriter,
    marks: MarksWriter | None = None,
    damage: Damage | None = None,
) -> Iterator[av.VideoFrame]:
    """Decode a whole film once: record every frame, then yield it to whoever else wants to see it.

    Raises MediaError where its size or pixel format changes, and DamagedMediaError where it ends early
    or a part does not decode; if `info.tolerant`, what is missing is noted in `damage` instead.
    """
    damage = Damage() if damage is None else damage
    first: tuple[int, int, str] | None = None
    for reel in info.reels or (Reel(path),):
        before = damage.frames
        part = info if reel.info is None else replace(reel.info, tolerant=info.tolerant)
        last_end = Fraction(0)
        with Complaints(() if info.images else (reel.path,)) as complaints:
            frames = (
                _images(info, 0, damage) if info.images else _decode_reel(reel, part, None, damage)
            )
            for frame in frames:
                if frame.is_corrupt and damage.note(path, info, "is damaged", frame.pts):
                    continue
                shape = (frame.width, frame.height, frame.format.name)
                first = first or shape
                if shape != first:
                    raise _changes(path, damage.frames, first, shape)
                _add(path, writer, frame)
                if marks is not None:
                    marks.add(marks_of(frame))
                damage.frames += 1
                if frame.pts is not None and frame.time_base is not None:
                    native = frame.pts - reel.shift
                    last_end = (native + int(frame.duration or 0)) * frame.time_base
                yield frame
            if not info.images:
                got = damage.frames - before
                check_whole(reel.path, part, got, last_end, complaints.lines(), damage)


def _add(path: Path, writer: IndexWriter, frame: av.VideoFrame) -> None:
    try:
        writer.add(frame)
    except MediaError as error:
        raise MediaError(f"{path}: {error}") from None


def nominal_step(info: MediaInfo) -> int:
    """Return how long a frame lasts by the stream's rate, in its time base; 1 where it says none."""
    rate = info.video.rate
    return round(1 / (rate * info.video.time_base)) if rate else 1


def decode_all(path: Path, info: MediaInfo) -> Iterator[av.VideoFrame]:
    """Yield every frame in order of display, in the decoder's own pixel format, never rotated."""
    yield from _decode(path, info, seek=None)


def decode_range(
    path: Path, info: MediaInfo, index: FrameIndex, frames: FrameRange, *, proven: bool = False
) -> Iterator[av.VideoFrame]:
    """Yield exactly the frames of a range, each held against the index's checksum.

    Seeks to keyframes ever further back until the first frame is right (an open GOP, or a container
    with a coarse index, needs more than the nearest), in the end to the film's start. `proven` says
    that the caller holds all frames against the index later on: then only the first is held here.
    Raises DamagedMediaError where a frame differs from what was ingested.
    """
    if frames.end > index.count:
        raise UsageError(f"{path}: frames {frames} are beyond its {index.count} frames")
    start = index.keyframe_before(frames.start)
    while True:
        decoded = _decode_from(path, info, index, start, frames.start)
        first = next(decoded, None)
        trusted = not (start and info.tolerant) or _is_right(path, info, index, start, frames)
        if first is not None and frame_md5(first) == index.md5(frames.start) and trusted:
            break
        if start == 0:
            raise _another(path, info, frames.start)
        start = index.keyframe_before(start - 1)
    assert first is not None  # noqa: S101  its checksum was right
    yield first
    got = frames.start + 1
    for frame in islice(decoded, frames.count - 1):
        if not proven and frame_md5(frame) != index.md5(got):
            raise _another(path, info, got)
        yield frame
        got += 1
    if got != frames.end:
        raise DamagedMediaError(f"{path}: ended at frame {got}, before {frames.end}")


def _another(path: Path, info: MediaInfo, frame: int) -> DamagedMediaError:
    why = "its damage decodes differently each time" if info.tolerant else "was the file changed?"
    return DamagedMediaError(f"{path}: frame {frame} is not what it was at ingest; {why}")


def _is_right(
    path: Path, info: MediaInfo, index: FrameIndex, start: int, frames: FrameRange
) -> bool:
    """Whether a range of a damaged film decodes alike from a seek: a demuxer may resume elsewhere."""
    decoded = islice(_decode_from(path, info, index, start, frames.start), frames.count)
    md5s = [frame_md5(frame) == index.md5(n) for n, frame in enumerate(decoded, frames.start)]
    return len(md5s) == frames.count and all(md5s)


def frame_at(path: Path, info: MediaInfo, time: Fraction) -> av.VideoFrame:
    """Return the frame nearest to a time in seconds, for looking at it; intra-only films are quick."""
    base = info.video.time_base
    best: av.VideoFrame | None = None
    for frame in _decode(path, info, seek=round(time / base)):
        here = (frame.pts or 0) * base
        if best is None or abs(here - time) < abs((best.pts or 0) * base - time):
            best = frame
        if here >= time:
            break
    if best is None:
        raise MediaError(f"{path}: no frame near {float(time):.3f} s")
    return best


def _decode(path: Path, info: MediaInfo, seek: int | None) -> Iterator[av.VideoFrame]:
    """Yield frames from the last key frame at or before the PTS `seek` on; None = from the start."""
    if info.images:
        yield from _images(info, max(0, seek or 0))
        return
    reels = info.reels or (Reel(path),)
    first = max((n for n, reel in enumerate(reels) if reel.begin <= (seek or 0)), default=0)
    for number, reel in enumerate(reels[first:]):
        part = info if reel.info is None else replace(reel.info, tolerant=info.tolerant)
        start = seek if number == 0 else None
        # What was right at ingest is held against its MD5 from then on.
        for frame in _decode_reel(reel, part, start, Damage(), check=info.tolerant):
            if not (frame.is_corrupt and info.tolerant):
                yield frame


def _decode_reel(
    reel: Reel, info: MediaInfo, seek: int | None, damage: Damage, check: bool = True
) -> Iterator[av.VideoFrame]:
    with open_media(reel.path) as container:
        stream = container.streams[info.picture]
        assert isinstance(stream, av.VideoStream)  # noqa: S101  probe() chose a video stream
        # Among several frames in flight, those behind one that fails could be lost with it.
        stream.thread_type = "SLICE" if info.tolerant else "AUTO"
        # A decoder that hides damage would give made-up pictures: let it say so instead.
        stream.codec_context.options = {"err_detect": "explode"}
        # Else libav cuts off fewer columns on the left than the film says, for the sake of alignment.
        stream.codec_context.flags |= Flags.unaligned
        if seek is not None:
            container.seek(seek - reel.shift, stream=stream, backward=True)
        packets = container.demux(stream)
        ffv1 = Ffv1Check() if info.video.codec == "ffv1" and check else None
        # AVI has no PTS; what libav takes for them goes wrong where B-frames are packed (Xvid).
        guessed = container.format.name == "avi" and info.video.codec == "mpeg4"
        shape: Fraction | None = None
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                damage.note(reel.path, info, f"can't be read on ({error.strerror})")
                return
            except IndexError:  # how PyAV meets a stream that was not there when it opened the file
                raise late_stream(reel.path, "a stream") from None
            if packet is None:
                return
            if not packet.size and packet.pts is not None:
                continue  # Theora's way to show the frame before for longer; a decoder takes none
            damage.hidden += packet.is_discard
            if ffv1 is not None and packet.size:
                wrong = ffv1.why_not(bytes(packet), packet.is_keyframe)
                if wrong and damage.note(reel.path, info, wrong, packet.pts):
                    continue
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError as error:
                damage.note(reel.path, info, f"does not decode ({error.strerror})", packet.pts)
                continue
            shape = _same_shape(reel, stream, shape, damage.frames) if frames and check else shape
            for frame in frames:
                pts = frame.dts if guessed else frame.pts
                frame.pts = None if pts is None else pts + reel.shift
                yield frame


def _same_shape(reel: Reel, stream: av.VideoStream, was: Fraction | None, count: int) -> Fraction:
    """The shape of a stream's pixels, which a master can only say once."""
    now = stream.codec_context.sample_aspect_ratio or Fraction(1)
    if was not in {None, now}:
        raise MediaError(
            f"{reel.path}: its pixels change their shape from {was} to {now} near frame {count}; cut "
            "it there into films of one shape each"
        )
    return now


def _images(
    info: MediaInfo, start: int = 0, damage: Damage | None = None
) -> Iterator[av.VideoFrame]:
    """Yield one frame for each image, at its number in units of the film's rate."""
    for number, image in enumerate(info.images[start:], start=start):
        with open_media(image) as container:
            try:
                frame = next(container.decode(video=0), None)
            except av.error.FFmpegError as error:
                raise DamagedMediaError(f"{image}: does not decode ({error.strerror})") from None
        if frame is None:
            raise DamagedMediaError(f"{image}: holds no picture")
        if info.rounded_from:
            frame, outside = _rounded(image, frame)
            if damage is not None:
                damage.outside += outside
        frame.pts, frame.time_base, frame.duration = number, info.video.time_base, 1
        yield frame


def _rounded(image: Path, frame: av.VideoFrame) -> tuple[av.VideoFrame, int]:
    if sixteen_bits_of(frame.format.name) is None:
        return frame, 0
    try:
        return sixteen_bits(frame)
    except MediaError as error:
        raise MediaError(f"{image}: {error}") from None


def _decode_from(
    path: Path, info: MediaInfo, index: FrameIndex, start: int, wanted: int
) -> Iterator[av.VideoFrame]:
    frames = _decode(path, info, seek=index.pts(start) if start else None)
    if not start:
        return islice(frames, wanted, None)
    pts = index.pts(wanted)
    return _from_pts(frames, pts)


def _from_pts(frames: Iterator[av.VideoFrame], pts: int) -> Iterator[av.VideoFrame]:
    for frame in frames:
        if frame.pts is not None and frame.pts > pts:
            return
        if frame.pts == pts:
            yield frame
            break
    yield from frames


def _changes(
    path: Path, count: int, first: tuple[int, int, str], now: tuple[int, int, str]
) -> MediaError:
    was, is_ = ("{}x{} {}".format(*shape) for shape in (first, now))
    return MediaError(
        f"{path}: its pictures change from {was} to {is_} at frame {count}; cut it there into films "
        "of one format each"
    )
