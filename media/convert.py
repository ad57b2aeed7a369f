"""From one pixel format to another: without loss where that can be, else rounded and never truncated.

FFV1 holds most native formats of films; for the rest there is a format in which every pixel's value
is kept and from which the original comes back bit for bit (proven by test). Everything else that
changes a frame's format goes through here, with matrix and range said aloud.
"""

from functools import cache

import av
from av.video.reformatter import Interpolation

from media.format import VideoFormat

__all__ = ["ACCURATE", "ffv1_pix_fmts", "full_range", "lossless_equivalent", "to_format"]

# Round to nearest, take every chroma sample into account, give the same bytes on every machine.
ACCURATE = (
    Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)

_REPACKED = {
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "gbrp": "bgr0",
    "rgb0": "bgr0",
    "0rgb": "bgr0",
    "0bgr": "bgr0",
    "rgba": "bgra",
    "argb": "bgra",
    "abgr": "bgra",
    "gbrap": "bgra",
    "bgr48le": "rgb48le",
    "rgb48be": "rgb48le",
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "p016le": "yuv420p16le",
    "uyvy422": "yuv422p",
    "yuyv422": "yuv422p",
    "yvyu422": "yuv422p",
    "yuvj420p": "yuv420p",
    "yuvj422p": "yuv422p",
    "yuvj440p": "yuv440p",
    "yuvj444p": "yuv444p",
    "yuvj411p": "yuv411p",
}


@cache
def ffv1_pix_fmts() -> frozenset[str]:
    """Return the pixel formats that this libav's FFV1 encoder takes."""
    return frozenset(f.name for f in av.codec.Codec("ffv1", "w").video_formats or ())


def lossless_equivalent(pix_fmt: str) -> str | None:
    """Return the FFV1 pixel format that holds each value of `pix_fmt`; None where there is none."""
    if pix_fmt in ffv1_pix_fmts():
        return pix_fmt
    repacked = _REPACKED.get(pix_fmt)
    if repacked is None or repacked in ffv1_pix_fmts():
        return repacked
    return lossless_equivalent(repacked)


def full_range(pix_fmt: str, tagged: str | None) -> str | None:
    """Return the range that a frame has by its tag, or by its format where that says it (yuvj)."""
    return "pc" if pix_fmt.startswith("yuvj") else tagged


def to_format(frame: av.VideoFrame, target: VideoFormat) -> av.VideoFrame:
    """Return `frame` in the pixel format of `target`, of the same size; itself if it has it already.

    Matrix and range stay the frame's own: this repacks values, it never reinterprets them.
    """
    if frame.format.name == target.pix_fmt:
        return frame
    range_ = {"tv": "MPEG", "pc": "JPEG"}.get(
        full_range(frame.format.name, target.colour.range) or "", "MPEG"
    )
    return frame.reformat(
        format=target.pix_fmt,
        src_color_range=range_,
        dst_color_range=range_,
        interpolation=ACCURATE | Interpolation.BICUBIC,
    )
