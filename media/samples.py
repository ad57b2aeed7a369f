"""The samples of a frame: read and written as numbers, and put in another order without loss.

libswscale repacks, told that nothing else changes; samples become signals (Y', R', G', B' from 0 to 1,
Cb and Cr about 0) by depth and range, and codes again by rounding, never by truncation.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from media.format import ColourTags, VideoFormat
from media.pixfmt import UNPACKED, Layout, full_range, held_as, layout_of
from media.probe import LIBAV_NAMES
from restar.errors import MediaError

__all__ = [
    "Samples",
    "Signal",
    "empty",
    "format_of",
    "frame_of",
    "gray_name",
    "planar",
    "planes",
    "quantised",
    "repacked",
    "rounded",
    "signals",
    "sixteen_bits",
    "sixteen_bits_of",
    "tagged",
]

_FLOAT = re.compile(r"(gbrp|gbrap|gray)f(?:16|32)[lb]e")

Samples = NDArray[np.uint8] | NDArray[np.uint16]
Signal = NDArray[np.float32]


def format_of(frame: av.VideoFrame) -> VideoFormat:
    """Return a frame's own format and tags. SAR and fields are its stream's; libav gives no more."""
    colour = ColourTags(
        matrix=_name("Colorspace", frame.colorspace, unspecified=2),
        range=_name("ColorRange", frame.color_range, unspecified=0),
        primaries=_name("ColorPrimaries", frame.color_primaries, unspecified=2),
        transfer=_name("ColorTrc", frame.color_trc, unspecified=2),
    )
    return VideoFormat(frame.width, frame.height, frame.format.name, colour=colour)


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a frame with the same samples in planes; itself where they are. A palette is looked up."""
    name = held_as(frame.format.name) or frame.format.name
    return repacked(frame, UNPACKED.get(name, name))


def planes(frame: av.VideoFrame) -> list[Samples]:
    """Return views of a planar frame's samples (h, w), writable: Y, U, V (, A), or R, G, B (, A)."""
    views: list[Samples] = []
    for component in frame.format.components:
        plane = frame.planes[component.plane]
        dtype = np.dtype(np.uint8 if component.bits <= 8 else "<u2")
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : plane.height
        ]
        views.append(rows[:, : plane.width * dtype.itemsize].view(dtype))
    return views


def repacked(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """Return the same samples in another order: libswscale, told that nothing else changes.

    In one thread: with several, libswscale 9.5 gave wrong samples in 5 of 1500 frames (yuyv422).
    """
    if frame.format.name == pix_fmt:
        return frame
    range_ = "JPEG" if "yuvj" in frame.format.name + pix_fmt else "MPEG"
    result = frame.reformat(
        format=pix_fmt,
        src_color_range=range_,
        dst_color_range=range_,
        interpolation=Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
        threads=1,
    )
    if pix_fmt == "bgr0":  # FFV1 does not code the fourth byte, and gives 0 for it
        np.frombuffer(memoryview(result.planes[0]), np.uint8)[3::4] = 0
    colour = format_of(frame).colour
    return tagged(result, frame, replace(colour, range=full_range(frame.format.name, colour.range)))


def empty(video: VideoFormat) -> av.VideoFrame:
    """Return a frame to be filled, in the planar format of the same samples."""
    name = held_as(video.pix_fmt) or video.pix_fmt
    return av.VideoFrame(video.width, video.height, UNPACKED.get(name, name))


def sixteen_bits_of(pix_fmt: str) -> str | None:
    """Return the 16-bit integer format for one of floating point; None for any other format."""
    found = _FLOAT.fullmatch(pix_fmt)
    return None if found is None else f"{found[1]}16le"


def sixteen_bits(frame: av.VideoFrame) -> tuple[av.VideoFrame, int]:
    """Return a frame of floating point in 16-bit integers, and how many samples were outside 0..1.

    0..1 becomes 0..65535, rounded to nearest and cut off at both ends; light stays linear where it was.
    Raises MediaError for NaN and infinity.
    """
    result = av.VideoFrame(frame.width, frame.height, sixteen_bits_of(frame.format.name) or "")
    outside = 0
    for component, codes in zip(frame.format.components, planes(result), strict=True):
        plane = frame.planes[component.plane]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        dtype = np.dtype(f"{'>' if frame.format.is_big_endian else '<'}f{component.bits // 8}")
        values = rows[: plane.height, : plane.width * dtype.itemsize].view(dtype).astype(np.float64)
        if not np.isfinite(values).all():
            raise MediaError("an image holds NaN or infinity, which is no light")
        outside += int(np.count_nonzero((values < 0) | (values > 1)))
        codes[:] = np.rint(np.clip(values, 0, 1) * 65535)
    return tagged(result, frame, format_of(frame).colour), outside


def gray_name(bits: int) -> str:
    """Return the gray format of a depth."""
    return "gray" if bits == 8 else f"gray{bits}le"


def signals(frame: av.VideoFrame, layout: Layout, range_: str | None) -> list[Signal]:
    """Return samples as signals: Y', R', G', B', alpha 0..1 (and beyond), Cb, Cr about 0 (H.273, 8.3)."""
    parts = []
    for number, samples in enumerate(planes(frame)):
        offset, span = quantised(layout, number, range_)
        parts.append((samples.astype(np.float32) - np.float32(offset)) / np.float32(span))
    return parts


def frame_of(
    like: av.VideoFrame | None, parts: Sequence[Signal], video: VideoFormat, tags: ColourTags
) -> av.VideoFrame:
    """Return signals as a frame in the pixel format of `video`, with `tags`, and the times of `like`."""
    layout = layout_of(video.pix_fmt)
    frame = empty(video)
    for number, (signal, samples) in enumerate(zip(parts, planes(frame), strict=True)):
        offset, span = quantised(layout, number, tags.range)
        samples[:] = rounded(signal, offset, span, (1 << layout.bits) - 1)
    return tagged(repacked(frame, video.pix_fmt), like, tags)


def rounded(signal: Signal, offset: float, span: float, top: int) -> Signal:
    """Return signals as codes from 0 to `top`, rounded to nearest."""
    values = signal * np.float32(span)
    values += np.float32(offset)
    np.rint(values, out=values)
    return np.clip(values, 0, top, out=values)


def quantised(layout: Layout, number: int, range_: str | None) -> tuple[float, float]:
    """Return the code of zero and the number of codes from 0 to 1 of component `number` (H.273, 8.3)."""
    top = (1 << layout.bits) - 1
    unit = 1 << (layout.bits - 8)
    chroma = layout.kind == "yuv" and number in {1, 2}
    full = range_ != "tv" or layout.kind == "rgb" or (number > 0 and not chroma)
    if chroma:
        return 128 * unit, top if full else 224 * unit
    return (0, top) if full else (16 * unit, 219 * unit)


def tagged(frame: av.VideoFrame, like: av.VideoFrame | None, colour: ColourTags) -> av.VideoFrame:
    """Give a frame these tags, and the times of `like`; return it."""
    frame.colorspace = _code("Colorspace", colour.matrix, 2)
    frame.color_range = _code("ColorRange", colour.range, 0)
    frame.color_primaries = _code("ColorPrimaries", colour.primaries, 2)
    frame.color_trc = _code("ColorTrc", colour.transfer, 2)
    if like is not None:
        frame.pts, frame.duration = like.pts, like.duration
        if like.time_base is not None:
            frame.time_base = like.time_base
    return frame


def _name(kind: str, code: int, unspecified: int) -> str | None:
    return None if code == unspecified else LIBAV_NAMES[kind].get(int(code), str(int(code)))


def _code(kind: str, name: str | None, unspecified: int) -> int:
    codes = {known: number for number, known in LIBAV_NAMES[kind].items()}
    return unspecified if name is None else codes[name] if name in codes else int(name)
