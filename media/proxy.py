"""Proxies: pictures that a browser can show frame by frame, with an index of where each frame lies.

H.264 in MP4, every frame a key frame, so that each packet is one picture that decodes by itself: frame n
of the scene is packet n, whatever the film's times are. 8 bit 4:2:0 of limited range, by the film's own
matrix, which is written down, and shown as R'G'B' in BT.709's primaries as the report does. Larger
pictures than 1080 lines are reduced by area; the shape (SAR) stays a number beside the pictures. Lossy,
for looking at motion: what is judged pixel by pixel is a still of the take itself.
"""

import base64
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from media.convert import assumed, planes, scaled, to_format
from media.format import ColourTags, VideoFormat
from media.pixfmt import layout_of
from media.probe import LIBAV_NAMES, open_media
from media.staged import Staged
from restar.errors import MediaError, StoreError, VerificationError

__all__ = ["ALGORITHM", "MOST_LINES", "ProxyWriter", "index_of", "proxy_format"]

ALGORITHM = 1
MOST_LINES = 1080
_OPTIONS = {"preset": "ultrafast", "crf": "14", "tune": "zerolatency"}


def proxy_format(video: VideoFormat) -> VideoFormat:
    """Return what pictures of `video` become: size, 8 bit 4:2:0, limited range, the film's matrix."""
    shrink = min(Fraction(1), Fraction(MOST_LINES, video.height))
    known = assumed(video)
    kept = known.matrix if layout_of(video.pix_fmt).kind == "yuv" else None
    target = VideoFormat(
        width=max(2, round(video.width * shrink)),
        height=max(2, round(video.height * shrink)),
        pix_fmt="yuv420p",
        sar=video.sar,
        colour=ColourTags(kept, "tv", "bt709", "bt709", "left"),
        field_order=video.field_order,
    )
    return replace(target, colour=replace(target.colour, matrix=assumed(target).matrix))


class ProxyWriter(Staged):
    """Encodes the frames of a scene to a proxy; on an error inside the block the file is removed."""

    def __init__(self, path: Path, video: VideoFormat, rate: Fraction, threads: int = 0) -> None:
        self.path, self.video, self.target = path, video, proxy_format(video)
        self._siting = assumed(video).chroma_location or "left"
        self._even = (self.target.width % 2, self.target.height % 2)
        self.frames = 0
        self._time_base = 1 / rate
        try:
            self._container: OutputContainer = av.open(
                f"file:{path.absolute()}", "w", format="mp4", options={"movflags": "+faststart"}
            )
        except OSError as error:
            raise StoreError(f"{path}: can't be written: {error.strerror or error}") from None
        stream = self._container.add_stream("libx264", rate=rate)
        assert isinstance(stream, VideoStream)  # noqa: S101
        self._stream = stream
        self._set_up(threads)

    def _end(self, *, well: bool) -> None:
        try:
            if well:
                self._mux(None)
            self._container.close()
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise StoreError(
                f"{self.path}: can't be written ({error.strerror or error}); free some space"
            ) from None
        if not well:
            self.path.unlink(missing_ok=True)

    def write(self, frame: av.VideoFrame) -> None:
        """Encode the next frame."""
        picture = frame
        if (frame.width, frame.height) != (self.target.width, self.target.height):
            picture = scaled(frame, self.target.width, self.target.height, "area", self._siting)
        picture = to_format(_with_tags(picture, self.video), self.target)
        picture = _even(picture) if any(self._even) else picture
        picture.pts, picture.time_base = self.frames, self._time_base
        self.frames += 1
        self._mux(picture)

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def _set_up(self, threads: int) -> None:
        columns, rows = self._even
        stream, context = self._stream, self._stream.codec_context
        stream.width, stream.height = self.target.width + columns, self.target.height + rows
        stream.pix_fmt = self.target.pix_fmt
        stream.options = dict(_OPTIONS)
        context.gop_size = 1
        context.time_base = self._time_base
        context.thread_count = threads
        if self.target.sar:
            context.sample_aspect_ratio = self.target.sar
        colour = self.target.colour
        context.color_range = _code("ColorRange", colour.range)
        context.colorspace = _code("Colorspace", colour.matrix)
        context.color_primaries = _code("ColorPrimaries", colour.primaries)
        context.color_trc = _code("ColorTrc", colour.transfer)


def index_of(path: Path, video: VideoFormat, frames: int) -> dict[str, Any]:
    """Return what a browser needs to show any frame of a proxy, as plain data.

    {"codec", "description" (avcC, base64), "width", "height", "sar" ([x, y]), "frames", "at" [byte],
    "size" [bytes]}. `video` is what was asked of ProxyWriter. Raises VerificationError unless the file
    holds exactly `frames` key frames, in order.
    """
    target = proxy_format(video)
    at: list[int] = []
    size: list[int] = []
    with open_media(path) as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if not packet.is_keyframe or packet.pos is None:
                raise VerificationError(f"{path}: frame {len(at)} of the proxy is no key frame")
            at.append(packet.pos)
            size.append(packet.size)
    if len(at) != frames:
        raise VerificationError(f"{path}: the proxy holds {len(at)} frames, not {frames}")
    if not extradata or extradata[0] != 1:
        raise MediaError(f"{path}: its encoder gave no parameters (avcC)")
    sar = target.sar or Fraction(1)
    return {
        "codec": f"avc1.{extradata[1:4].hex()}",
        "description": base64.b64encode(extradata).decode(),
        "width": target.width, "height": target.height, "sar": [sar.numerator, sar.denominator],
        "frames": frames, "at": at, "size": size,
    }  # fmt: skip


def _with_tags(frame: av.VideoFrame, video: VideoFormat) -> av.VideoFrame:
    """The frame with the film's tags where it says none itself: they decide how it is converted."""
    tags = video.colour
    if frame.colorspace == _UNSPECIFIED and tags.matrix:
        frame.colorspace = _code("Colorspace", tags.matrix)
    if frame.color_range == 0 and tags.range:
        frame.color_range = _code("ColorRange", tags.range)
    return frame


def _even(frame: av.VideoFrame) -> av.VideoFrame:
    """The last row and column once more where 4:2:0 needs an even size; the index leaves them out."""
    width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
    result = av.VideoFrame(width, height, frame.format.name)
    for samples, target in zip(planes(frame), planes(result), strict=True):
        rows, columns = samples.shape
        target[:] = np.pad(
            samples, ((0, target.shape[0] - rows), (0, target.shape[1] - columns)), mode="edge"
        )
    return result


def _code(kind: str, name: str | None) -> int:
    codes = {known: number for number, known in LIBAV_NAMES[kind].items()}
    return codes[name] if name is not None else 2


_UNSPECIFIED = 2
