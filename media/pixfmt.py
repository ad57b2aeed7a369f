"""Pixel formats by what they hold: which FFV1 takes, which are the same samples in another order.

libav names some two hundred formats; FFV1 has about sixty of them. For most others there is one in
which every sample is kept and from which the original comes back bit for bit (proven by test).
"""

import re
from functools import cache
from typing import Literal, NamedTuple

import av

from restar.errors import MediaError

__all__ = [
    "DEEPEST",
    "UNPACKED",
    "Layout",
    "at_depth",
    "deepest",
    "ffv1_pix_fmts",
    "full_range",
    "held_as",
    "is_repacking",
    "layout_of",
    "lossless_equivalent",
]

# Formats that FFV1 lacks, each with the one that holds the same samples in another order.
_REPACKED = {
    **dict.fromkeys(("rgb24", "bgr24", "gbrp", "rgb0", "0rgb", "0bgr"), "bgr0"),
    **dict.fromkeys(("rgb555le", "bgr555le", "rgb565le", "bgr565le", "rgb8", "bgr8"), "bgr0"),
    **dict.fromkeys(("rgba", "argb", "abgr", "gbrap"), "bgra"),
    **dict.fromkeys(("rgb48le", "bgr48le", "bgr48be", "rgb48be"), "gbrp16le"),
    **dict.fromkeys(("bgra64le", "bgra64be", "rgba64le", "rgba64be"), "gbrap16le"),
    **dict.fromkeys(("x2rgb10le", "x2bgr10le"), "gbrp10le"),
    **dict.fromkeys(("nv12", "nv21", "yuvj420p"), "yuv420p"),
    **dict.fromkeys(("p010le", "p010be"), "yuv420p10le"),
    **dict.fromkeys(("p012le", "p012be"), "yuv420p12le"),
    **dict.fromkeys(("p016le", "p016be"), "yuv420p16le"),
    **dict.fromkeys(("uyvy422", "yuyv422", "yvyu422", "nv16", "yuvj422p"), "yuv422p"),
    **dict.fromkeys(("p210le", "p210be", "nv20le", "nv20be", "y210le"), "yuv422p10le"),
    **dict.fromkeys(("p212le", "p212be", "y212le"), "yuv422p12le"),
    **dict.fromkeys(("p216le", "p216be", "y216le"), "yuv422p16le"),
    **dict.fromkeys(("nv24", "nv42", "vuyx", "vyu444", "yuvj444p"), "yuv444p"),
    **dict.fromkeys(("p410le", "p410be", "v30xle", "xv30le"), "yuv444p10le"),
    **dict.fromkeys(("p412le", "p412be", "xv36le", "xv36be"), "yuv444p12le"),
    **dict.fromkeys(("p416le", "p416be", "xv48le", "xv48be"), "yuv444p16le"),
    **dict.fromkeys(("ayuv", "uyva", "vuya"), "yuva444p"),
    **dict.fromkeys(("ayuv64le", "ayuv64be"), "yuva444p16le"),
    "yuvj440p": "yuv440p",
    "yuvj411p": "yuv411p",
}
_BIG_ENDIAN = {
    name: name[:-2] + "le"
    for stem, depths in {
        **dict.fromkeys(("yuv420p", "yuv422p", "yuv444p", "gbrp"), (9, 10, 12, 14, 16)),
        **dict.fromkeys(("yuva422p", "yuva444p"), (9, 10, 12, 16)),
        **{
            "yuva420p": (9, 10, 16),
            "gray": (9, 10, 12, 14, 16),
            "gbrap": (10, 12, 14, 16),
            "yuv440p": (10, 12),
        },
    }.items()
    for name in (f"{stem}{depth}be" for depth in depths)
}
# FFV1's own packed formats, and where their samples lie in planes.
UNPACKED = {
    "bgr0": "gbrp", "bgra": "gbrap"
}  # fmt: skip
_SUBSAMPLED = {
    (1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411", (4, 4): "410"
}  # fmt: skip
DEEPEST = {"444": 16, "422": 16, "420": 16, "440": 12, "411": 8, "410": 8}


@cache
def ffv1_pix_fmts() -> frozenset[str]:
    """Return the pixel formats that this libav's FFV1 takes at level 3 and gives back by that name.

    Floating point needs level 4, which is experimental; 16-bit packed RGB comes back planar.
    """
    names = {f.name for f in av.codec.Codec("ffv1", "w").video_formats or ()}
    return frozenset(n for n in names if not re.search(r"f(16|32)[lb]e$", n) and n not in _REPACKED)


def lossless_equivalent(pix_fmt: str) -> str | None:
    """Return the FFV1 pixel format that holds each sample of `pix_fmt`; None where there is none.

    For a palette it is RGB: the colours of the film come back, but not which entries they were. There
    is none for one bit a pixel, XYZ, raw sensor data and most floating point.
    """
    if pix_fmt == "pal8":
        return "bgra"
    if pix_fmt in ffv1_pix_fmts():
        return pix_fmt
    repacked = _REPACKED.get(pix_fmt) or _BIG_ENDIAN.get(pix_fmt)
    return repacked if repacked in ffv1_pix_fmts() else None


def deepest(pix_fmt: str) -> str:
    """Return the deepest format of the same kind and subsampling, 16 bit for most, without alpha."""
    layout = layout_of(pix_fmt)
    if layout.kind != "yuv":
        return {"gray": "gray16le", "rgb": "gbrp16le"}[layout.kind]
    return at_depth(layout.subsampling, DEEPEST[layout.subsampling])


def held_as(pix_fmt: str) -> str | None:
    """Return the FFV1 format of the same samples, None where there is none."""
    return lossless_equivalent(pix_fmt)


def is_repacking(one: str, other: str) -> bool:
    """Return whether one of two formats is the other's samples in another order."""
    held = (
        (_REPACKED.get(one), _BIG_ENDIAN.get(one)),
        (_REPACKED.get(other), _BIG_ENDIAN.get(other)),
    )
    return other in held[0] or one in held[1]


def full_range(pix_fmt: str, tagged: str | None) -> str | None:
    """Return the range that a frame has by its tag, or by its format where that says it (yuvj)."""
    return "pc" if pix_fmt.startswith("yuvj") else tagged


class Layout(NamedTuple):
    """What a pixel format holds, whatever the order of its bytes."""

    kind: Literal["rgb", "yuv", "gray"]
    bits: int
    subsampling: str
    alpha: bool


@cache
def layout_of(pix_fmt: str) -> Layout:
    """Return what a format holds; raise MediaError where its samples can't be converted."""
    equal = held_as(pix_fmt)
    if equal is None or equal == "ya8" or "f16" in equal or "f32" in equal:
        raise MediaError(
            f"pixel format {pix_fmt} can't be converted here; transcode the film to one of FFV1's "
            "integer formats, such as gbrp16le, and keep the original"
        )
    video = av.VideoFormat(equal, 64, 64)
    colours = [c for c in video.components if not c.is_alpha]
    ratio = (64 // video.chroma_width(64), 64 // video.chroma_height(64))
    kind: Literal["rgb", "yuv", "gray"] = "rgb" if video.is_rgb else "yuv"
    return Layout(
        kind="gray" if len(colours) == 1 else kind,
        bits=max(c.bits for c in colours),
        subsampling=_SUBSAMPLED[ratio],
        alpha=len(colours) < len(video.components),
    )


def at_depth(subsampling: str, bits: int) -> str:
    """Return the planar Y'CbCr format of a subsampling ("420") and a depth."""
    return f"yuv{subsampling}p" + ("" if bits == 8 else f"{bits}le")
