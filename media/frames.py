"""Frames by exact index: what was seen at ingest, and any range of it again, proven the same.

One pass over a film writes a `FrameIndex`: for each frame its PTS, its duration, whether a seek may
start there, and the MD5 of its pixels as ffmpeg's `framemd5` gives it. Every later decode of a range
is held against it, so a seek that lands wrong, a changed file or another decoder can't go unnoticed.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from media.ffmpeg import complaints
from media.probe import MediaInfo, open_media
from restar.errors import DamagedMediaError, MediaError, UsageError
from restar.timeline import FrameRange

__all__ = [
    "FrameIndex",
    "IndexWriter",
    "decode_all",
    "decode_range",
    "frame_at",
    "frame_md5",
    "index_film",
]

_RECORD = np.dtype(
    [("pts", "<i8"), ("duration", "<i8"), ("key", "u1"), ("interlaced", "u1"), ("md5", "V16")]
)
_LATE_FRAMES = 2  # a container's duration may count one frame more or less than there are


@dataclass(frozen=True)
class FrameIndex:
    """Every frame of a film in order of display, mapped from disk (34 bytes a frame).

    `pts` and `duration` are in `time_base`; a duration of 0 is unknown.
    """

    records: NDArray[np.void]
    time_base: Fraction

    @classmethod
    def load(cls, path: Path, time_base: Fraction) -> "FrameIndex":
        """Map an index file that `IndexWriter` made."""
        try:
            records = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise MediaError(
                f"{path}: not a frame index ({error}); ingest the film again"
            ) from None
        if records.dtype != _RECORD or records.ndim != 1:
            raise MediaError(f"{path}: not a frame index of this version; ingest the film again")
        return cls(records, time_base)

    @property
    def count(self) -> int:
        return len(self.records)

    def pts(self, frame: int) -> int:
        return int(self.records["pts"][frame])

    def md5(self, frame: int) -> bytes:
        return bytes(self.records["md5"][frame].tobytes())

    def time(self, frame: int) -> Fraction:
        """The exact time of a frame in seconds."""
        return self.pts(frame) * self.time_base

    def duration(self, frame: int) -> int:
        """A frame's duration: as coded, else until the next frame, else that of the one before."""
        coded = int(self.records["duration"][frame])
        if coded > 0:
            return coded
        if frame + 1 < self.count:
            return self.pts(frame + 1) - self.pts(frame)
        return self.pts(frame) - self.pts(frame - 1) if frame else 0

    def keyframe_before(self, frame: int) -> int:
        """The last frame at or before `frame` where a seek may start; 0 where there is none."""
        keys = np.flatnonzero(self.records["key"][: frame + 1])
        return int(keys[-1]) if len(keys) else 0


class IndexWriter:
    """Writes a FrameIndex frame by frame, in bounded memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw_path = path.with_name(path.name + ".raw")
        self._raw = self._raw_path.open("wb")
        self._count = 0
        self._last_pts: int | None = None
        self._step = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._raw.close()
        if kind is None:
            self._write_npy()
        self._raw_path.unlink(missing_ok=True)

    def add(self, frame: av.VideoFrame) -> None:
        """Record the next frame; raise MediaError where its time does not rise."""
        pts = frame.pts if frame.pts is not None else frame.dts
        duration = int(frame.duration or 0)
        if pts is None:  # AVI and program streams give none: count on from the frame before
            pts = 0 if self._last_pts is None else self._last_pts + self._step
        if self._last_pts is not None:
            if pts <= self._last_pts:
                raise MediaError(
                    f"frame {self._count} has PTS {pts}, not after the {self._last_pts} before it"
                )
            self._step = pts - self._last_pts
        self._last_pts = pts
        record = np.zeros(1, _RECORD)
        record["pts"], record["duration"] = pts, duration
        record["key"], record["interlaced"] = frame.key_frame, frame.interlaced_frame
        record["md5"] = np.void(frame_md5(frame))
        self._raw.write(record.tobytes())
        self._count += 1

    def _write_npy(self) -> None:
        with self._path.open("wb") as file, self._raw_path.open("rb") as raw:
            header = {"descr": _RECORD.descr, "fortran_order": False, "shape": (self._count,)}
            np.lib.format.write_array_header_1_0(file, header)
            while chunk := raw.read(1 << 20):
                file.write(chunk)


def index_film(path: Path, info: MediaInfo, writer: IndexWriter) -> Iterator[av.VideoFrame]:
    """Decode a whole film once: record every frame, then yield it to whoever else wants to see it.

    Raises DamagedMediaError where the film ends early or a part does not decode.
    """
    count = 0
    last_end = Fraction(0)
    with complaints(path) as demuxer:
        try:
            for frame in decode_all(path, info):
                if frame.is_corrupt:
                    raise DamagedMediaError(f"{path}: frame {count} is damaged; get a whole copy")
                writer.add(frame)
                count += 1
                if frame.pts is not None and frame.time_base is not None:
                    last_end = (frame.pts + int(frame.duration or 0)) * frame.time_base
                yield frame
        except BaseException:
            demuxer.kill()
            raise
        _check_whole(path, info, count, last_end, demuxer.communicate()[1].decode(errors="replace"))


def decode_all(path: Path, info: MediaInfo) -> Iterator[av.VideoFrame]:
    """Yield every frame in order of display, in the decoder's own pixel format, never rotated."""
    yield from _decode(path, info, seek=None)


def decode_range(
    path: Path, info: MediaInfo, index: FrameIndex, frames: FrameRange
) -> Iterator[av.VideoFrame]:
    """Yield exactly the frames of a range, each held against the index's checksum.

    Seeks to keyframes ever further back until the first frame is right (an open GOP, or a container
    with a coarse index, needs more than the nearest), in the end to the film's start.
    Raises DamagedMediaError where a frame differs from what was ingested.
    """
    if frames.end > index.count:
        raise UsageError(f"{path}: frames {frames} are beyond its {index.count} frames")
    start = index.keyframe_before(frames.start)
    while True:
        decoded = _decode_from(path, info, index, start, frames.start)
        first = next(decoded, None)
        if first is not None and frame_md5(first) == index.md5(frames.start):
            break
        if start == 0:
            raise DamagedMediaError(
                f"{path}: frame {frames.start} is not what it was at ingest; was the file changed?"
            )
        start = index.keyframe_before(start - 1)
    yield first
    got = frames.start + 1
    for frame in islice(decoded, frames.count - 1):
        if frame_md5(frame) != index.md5(got):
            raise DamagedMediaError(
                f"{path}: frame {got} is not what it was at ingest; was the file changed?"
            )
        yield frame
        got += 1
    if got != frames.end:
        raise DamagedMediaError(f"{path}: ended at frame {got}, before {frames.end}")


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


def frame_md5(frame: av.VideoFrame) -> bytes:
    """Return the MD5 (16 bytes) of a frame's pixels without padding, as ffmpeg's framemd5 does.

    A byte that means nothing (the fourth of bgr0) counts as 0, which is how FFV1 gives it back.
    """
    digest = hashlib.md5(usedforsecurity=False)
    for number, plane in enumerate(frame.planes):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        row_bytes = _row_bytes(frame.format, number, plane.width, len(frame.planes))
        pixels = rows[: plane.height, :row_bytes].copy()
        if frame.format.name in _MEANINGLESS:
            pixels[:, _MEANINGLESS[frame.format.name] :: 4] = 0
        digest.update(pixels.data)
    return digest.digest()


_MEANINGLESS = {"bgr0": 3, "rgb0": 3, "0rgb": 0, "0bgr": 0}


def _row_bytes(pix_fmt: av.VideoFormat, number: int, width: int, planes: int) -> int:
    bits = pix_fmt.padded_bits_per_pixel
    if planes > 1:
        inside = [c for c in pix_fmt.components if c.plane == number]
        bits = sum(-(-component.bits // 8) * 8 for component in inside)
    return width * bits // 8


def _decode(path: Path, info: MediaInfo, seek: int | None) -> Iterator[av.VideoFrame]:
    with open_media(path) as container:
        stream = container.streams[info.picture]
        assert isinstance(stream, av.VideoStream)  # noqa: S101  probe() chose a video stream
        stream.thread_type = "AUTO"
        if seek is not None:
            container.seek(seek, stream=stream, backward=True)
        try:
            yield from container.decode(stream)
        except av.error.FFmpegError as error:
            raise DamagedMediaError(f"{path}: does not decode ({error.strerror})") from None


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


def _check_whole(path: Path, info: MediaInfo, count: int, end: Fraction, log: str) -> None:
    """Raise where the demuxer said that the file ends early, or the video track promised more."""
    if not count:
        raise DamagedMediaError(f"{path}: not one frame can be decoded; get a whole copy")
    early = next((line for line in log.splitlines() if _ENDED_EARLY.search(line)), None)
    promised = _promised_end(info)
    if early is None and promised is not None and info.video.rate:
        missing = int((promised - end) * info.video.rate)
        if missing > _LATE_FRAMES:
            early = f"its video track should last {missing} frames longer"
    if early is None:
        return
    reason = re.sub(r"^\[[^\]]*\] ", "", early).strip().rstrip(".")
    raise DamagedMediaError(
        f"{path}: the file ends early, after {count} frames ({reason}); get a whole copy"
    )


_ENDED_EARLY = re.compile(r"(?i)ended prematurely|partial file|truncat|end of file")


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
