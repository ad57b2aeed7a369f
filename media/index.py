"""The frame index: what was seen of every frame at ingest, to hold every later decode against.

For each frame its PTS, its duration, whether a seek may start there, its fields, and the MD5 of its
pixels as ffmpeg's `framemd5` gives it. It is a NumPy file that is mapped, never loaded.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from media.staged import Staged
from restar.errors import MediaError

__all__ = [
    "BOTTOM_FIRST",
    "PROGRESSIVE",
    "TOP_FIRST",
    "FrameIndex",
    "IndexWriter",
    "frame_md5",
]

PROGRESSIVE, BOTTOM_FIRST, TOP_FIRST = 0, 1, 2  # values of a record's `interlaced`
_RECORD = np.dtype(
    [("pts", "<i8"), ("duration", "<i8"), ("key", "u1"), ("interlaced", "u1"), ("md5", "V16")]
)


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


class IndexWriter(Staged):
    """Writes a FrameIndex frame by frame, in bounded memory.

    A frame without a PTS (AVI, program and raw streams have such) is one nominal duration after the
    one before it; where the film begins with such frames, they are counted back from the first PTS.
    `rising` refuses times that do not rise.
    """

    def __init__(self, path: Path, step: int = 1, rising: bool = True) -> None:
        self._path = path
        self._raw_path = path.with_name(path.name + ".raw")
        self._raw = self._raw_path.open("wb")
        self._rising = rising
        self._count = 0
        self._guessed = 0
        self._shift = 0
        self._last_pts: int | None = None
        self._step = max(1, step)
        self._fields = _FieldFlags()

    def _end(self, *, well: bool) -> None:
        self._raw.close()
        if well:
            self._write_npy()
        self._raw_path.unlink(missing_ok=True)

    def add(self, frame: av.VideoFrame) -> bytes:
        """Record the next frame, return its MD5; raise MediaError where its time does not rise."""
        pts, duration = self._timed(frame), int(frame.duration or 0)
        md5 = frame_md5(frame)
        record = np.zeros(1, _RECORD)
        record["pts"], record["duration"] = pts, duration
        record["key"], record["interlaced"] = frame.key_frame, self._fields.of(frame)
        record["md5"] = np.void(md5)
        self._raw.write(record.tobytes())
        self._count += 1
        return md5

    def _timed(self, frame: av.VideoFrame) -> int:
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:
            pts = 0 if self._last_pts is None else self._last_pts + self._step
            self._guessed += self._guessed == self._count
        elif self._count and self._guessed == self._count:
            self._shift = pts - self._count * self._step  # all before were counted from 0
        elif self._last_pts is not None:
            if pts <= self._last_pts and self._rising:
                raise MediaError(
                    f"frame {self._count} has PTS {pts}, not after the {self._last_pts} before it; "
                    "mend the film's times first (a remux by ffmpeg often does)"
                )
            self._step = max(1, pts - self._last_pts)
        if frame.duration:
            self._step = int(frame.duration)
        self._last_pts = pts
        return pts

    def _write_npy(self) -> None:
        left = self._guessed if self._shift else 0
        with self._path.open("wb") as file, self._raw_path.open("rb") as raw:
            header = {"descr": _RECORD.descr, "fortran_order": False, "shape": (self._count,)}
            np.lib.format.write_array_header_1_0(file, header)
            while chunk := raw.read(_RECORD.itemsize << 12):
                if left:
                    records = np.frombuffer(chunk, _RECORD).copy()
                    records["pts"][:left] += self._shift
                    left, chunk = max(0, left - len(records)), records.tobytes()
                file.write(chunk)


class _FieldFlags:
    """Which field of a frame is first. PyAV does not say, but libavfilter's `select` knows."""

    def __init__(self) -> None:
        self._graphs: dict[tuple[int, int, str], Graph] = {}

    def of(self, frame: av.VideoFrame) -> int:
        if not frame.interlaced_frame:
            return PROGRESSIVE
        key = (frame.width, frame.height, frame.format.name)
        if key not in self._graphs:
            graph = Graph()
            graph.link_nodes(
                graph.add("buffer", f"video_size={key[0]}x{key[1]}:pix_fmt={key[2]}:time_base=1/1"),
                graph.add("select", "eq(interlace_type\\,TOPFIRST)"),
                graph.add("buffersink"),
            ).configure()
            self._graphs[key] = graph
        graph = self._graphs[key]
        pts, base = frame.pts, frame.time_base
        try:
            graph.vpush(frame)
            graph.vpull()
        except (BlockingIOError, av.error.FFmpegError):
            return BOTTOM_FIRST
        finally:
            frame.pts = pts
            if base is not None:
                frame.time_base = base
        return TOP_FIRST


def frame_md5(frame: av.VideoFrame) -> bytes:
    """Return the MD5 (16 bytes) of a frame's pixels without padding, as ffmpeg's framemd5 does.

    Bits that a pixel format gives no meaning (the fourth byte of bgr0) count as 0.
    """
    digest = hashlib.md5(usedforsecurity=False)
    if frame.format.name == "pal8":  # indices, then the 256 colours themselves
        _add_plane(digest, frame.planes[0], frame.width)
        digest.update(memoryview(frame.planes[1])[:1024])
        return digest.digest()
    for number, plane in enumerate(frame.planes):
        row_bytes = _row_bytes(frame.format, number, plane.width, len(frame.planes))
        _add_plane(digest, plane, row_bytes, _MEANT.get(frame.format.name))
    return digest.digest()


def _add_plane(
    digest: Any, plane: Any, row_bytes: int, meant: tuple[str, int] | None = None
) -> None:
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    pixels = np.ascontiguousarray(rows[: plane.height, :row_bytes])
    if meant is not None:
        words = pixels.view(meant[0])
        pixels = words & words.dtype.type(meant[1])
    digest.update(pixels.data)


# Pixel formats with bits that mean nothing: how to read their words, and the bits that do.
_MEANT = {
    **dict.fromkeys(("bgr0", "rgb0", "vuyx"), ("<u4", 0x00FFFFFF)),
    **dict.fromkeys(("0rgb", "0bgr"), ("<u4", 0xFFFFFF00)),
    **dict.fromkeys(("rgb555le", "bgr555le"), ("<u2", 0x7FFF)),
    **dict.fromkeys(("x2rgb10le", "x2bgr10le", "xv30le"), ("<u4", 0x3FFFFFFF)),
    "v30xle": ("<u4", 0xFFFFFFFC),
    **dict.fromkeys(("xv36le", "xv36be", "xv48le", "xv48be"), ("<u8", 0x0000FFFFFFFFFFFF)),
}


def _row_bytes(pix_fmt: av.VideoFormat, number: int, width: int, planes: int) -> int:
    bits = pix_fmt.padded_bits_per_pixel
    if planes > 1:
        inside = [c for c in pix_fmt.components if c.plane == number]
        bits = sum(-(-component.bits // 8) * 8 for component in inside)
    return width * bits // 8
