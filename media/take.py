"""Takes: restored scenes as lossless FFV1, all of one restoration in exactly one setting.

FFV1 level 3, every frame a key frame, with a CRC in each slice: pieces of the same setting have equal
extradata, and their packets in a row are those of one whole encode (measured, docs/exactness.md). A
take's own times are nominal; the master gets the film's exact ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from media.convert import to_format
from media.format import TakeFormat
from media.frames import frame_md5
from media.probe import LIBAV_NAMES, open_media
from media.staged import Staged
from restar.errors import MediaError, StoreError, VerificationError

__all__ = ["TakeWriter", "VideoPacket", "WrittenTake", "take_packets"]

VideoPacket: TypeAlias = "Packet[VideoStream]"


@dataclass(frozen=True)
class WrittenTake:
    """A finished take file: its count of frames, and the MD5 of each (16 bytes a frame, in order)."""

    path: Path
    frames: int
    md5s: bytes


class TakeWriter(Staged):
    """Encodes frames to a take file; on an error inside the block the file is removed."""

    def __init__(self, path: Path, take_format: TakeFormat, rate: Fraction, threads: int = 0):
        self.path = path
        self._format = take_format
        self._md5s = bytearray()
        self._time_base = 1 / rate
        try:
            self._container: OutputContainer = av.open(
                f"file:{path.absolute()}", "w", format="matroska", options={"fflags": "+bitexact"}
            )
        except OSError as error:
            raise StoreError(f"{path}: can't be written: {error.strerror or error}") from None
        self._stream = _ffv1_stream(self._container, take_format, rate, threads)
        self._open = True

    def _end(self, *, well: bool) -> None:
        if self._open:
            self._container.close()
        if not well:
            self.path.unlink(missing_ok=True)

    def write(self, frame: av.VideoFrame, md5: bytes | None = None) -> None:
        """Encode the next frame, converted to the take's format where it has another.

        `md5` is that of the frame where it was computed already; a wrong one is found at assembly.
        """
        picture = to_format(frame, self._format.video)
        self._md5s += frame_md5(picture) if md5 is None or picture is not frame else md5
        picture.pts = len(self._md5s) // 16 - 1
        picture.time_base = self._time_base
        self._mux(picture)

    def finish(self) -> WrittenTake:
        """Flush, close the file and return what was written; raise MediaError if it is empty."""
        if not self._md5s:
            raise MediaError(f"{self.path}: a take needs at least one frame")
        self._mux(None)
        self._open = False
        try:
            self._container.close()
        except OSError as error:
            raise _write_error(self.path, error) from None
        return WrittenTake(self.path, len(self._md5s) // 16, bytes(self._md5s))

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(picture):
                self._container.mux(packet)
        except OSError as error:
            raise _write_error(self.path, error) from None


def take_packets(path: Path, extradata: bytes | None) -> Iterator[VideoPacket]:
    """Yield a take's packets in order; raise VerificationError if its codec setting is another.

    `extradata` is that of the takes before it, or None for the first.
    """
    with open_media(path) as container:
        stream = container.streams.video[0]
        if extradata is not None and stream.codec_context.extradata != extradata:
            raise VerificationError(f"{path}: was encoded in another setting than the other takes")
        for packet in container.demux(stream):
            if packet.size:
                yield packet


def _ffv1_stream(
    container: OutputContainer, take_format: TakeFormat, rate: Fraction, threads: int
) -> VideoStream:
    video = take_format.video
    stream = container.add_stream(take_format.encoder, rate=rate)
    assert isinstance(stream, VideoStream)  # noqa: S101
    stream.width, stream.height, stream.pix_fmt = video.width, video.height, video.pix_fmt
    stream.options = {
        "level": str(take_format.level),
        "slicecrc": "1",
        "slices": str(take_format.slices),
    }
    context = stream.codec_context
    context.gop_size = 1
    context.time_base = 1 / rate
    context.thread_count = threads
    if video.sar:
        context.sample_aspect_ratio = video.sar
    colour = video.colour
    context.color_range = _number("ColorRange", colour.range, 0)
    context.colorspace = _number("Colorspace", colour.matrix, 2)
    context.color_primaries = _number("ColorPrimaries", colour.primaries, 2)
    context.color_trc = _number("ColorTrc", colour.transfer, 2)
    return stream


def _number(kind: str, name: str | None, unspecified: int) -> int:
    if name is None:
        return unspecified
    for number, known in LIBAV_NAMES[kind].items():
        if known == name:
            return number
    return int(name)


def _write_error(path: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    return StoreError(f"{path}: can't be written ({reason}); free some space and run it again")
