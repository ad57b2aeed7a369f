"""From one pixel format to another: without loss where that can be, else rounded and never truncated.

FFV1 holds most native formats of films; for most others there is a format in which every sample is
kept and from which the original comes back bit for bit (proven by test). Whatever else changes a
frame's format goes through here too, with matrix, range and chroma siting said aloud. libswscale
repacks, resamples and scales; depth, range and matrix are changed here, because libswscale dithers
where depth falls, shifts instead of scaling full range, and takes every gray for full range.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import av
import cv2
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from media.format import ColourTags, VideoFormat
from media.pixfmt import (
    DEEPEST,
    Layout,
    at_depth,
    deepest,
    ffv1_pix_fmts,
    full_range,
    is_repacking,
    layout_of,
    lossless_equivalent,
)
from media.samples import (
    Signal,
    empty,
    format_of,
    frame_of,
    gray_name,
    planar,
    planes,
    quantised,
    repacked,
    rounded,
    signals,
    tagged,
)
from restar.errors import MediaError, NotFiniteError

__all__ = [
    "assumed",
    "deepest",
    "ffv1_pix_fmts",
    "format_of",
    "from_rgb",
    "full_range",
    "lossless_equivalent",
    "luma_of",
    "luma_only",
    "planar",
    "planes",
    "reduced_rgb",
    "scaled",
    "to_format",
    "to_rgb",
]


# Kr and Kb of ITU-T H.273, table 4.
_LUMA = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}
_FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


def assumed(video: VideoFormat) -> ColourTags:
    """Return what the colour tags of `video` are taken for where they leave something open.

    Matrix: BT.709 from 720 lines on, else BT.601 ("smpte170m"). Range: limited, but full for gray
    (as libav), RGB and yuvj. Chroma: left, as MPEG-2 and its children; centre for yuvj, as JPEG.
    What differs from `video.colour` was assumed, and can be told to people.
    """
    layout, colour = layout_of(video.pix_fmt), video.colour
    jpeg = video.pix_fmt.startswith("yuvj")
    chroma = colour.chroma_location or ("center" if jpeg else "left")
    if layout.kind == "rgb":
        return replace(colour, matrix="gbr", range="pc", chroma_location=chroma)
    untagged = "pc" if layout.kind == "gray" else "tv"
    matrix = None if colour.matrix == "gbr" else colour.matrix
    return replace(
        colour,
        matrix=matrix or ("bt709" if video.height >= 720 else "smpte170m"),
        range=full_range(video.pix_fmt, colour.range) or untagged,
        chroma_location=chroma,
    )


def to_format(frame: av.VideoFrame, target: VideoFormat) -> av.VideoFrame:
    """Return `frame` in the pixel format of `target`, of the same size; itself if it has it already.

    A repacking keeps every sample. Otherwise samples are rounded to nearest, chroma is resampled by
    libswscale (bicubic) at its siting, range goes from the frame's to the target's, and a matrix is
    only used between RGB and Y'CbCr. What the tags of one leave open is taken from the other's where
    both are of one kind, then from `assumed`. Alpha is kept where both have it, else dropped or opaque.
    Raises MediaError for a format that can't be converted.
    """
    name, wanted = frame.format.name, target.pix_fmt
    if name == wanted:
        return frame
    if is_repacking(name, wanted):
        return repacked(frame, wanted)
    layout, goal = layout_of(name), layout_of(wanted)
    same_kind = layout.kind == goal.kind
    here = _colour(frame, target.colour if same_kind else ColourTags())
    kept = vars(here) if same_kind else {}
    tags = {key: value or kept.get(key) for key, value in vars(target.colour).items()}
    there = assumed(replace(target, colour=ColourTags(**tags)))
    size = replace(target, width=frame.width, height=frame.height)
    if same_kind and layout[2:] == goal[2:] and _sited(layout, here, there):
        return _requantised(frame, layout, here, size, there)
    parts = signals(planar(frame), layout, here.range)
    alpha = parts.pop() if layout.alpha else None
    if same_kind:
        parts = _resited(parts, layout, goal, here, there)
    else:
        parts = _from_rgb(_to_rgb(parts, layout, here), goal, there)
    if goal.alpha:
        parts.append(np.ones_like(parts[0]) if alpha is None else alpha)
    return frame_of(frame, parts, size, there)


def to_rgb(frame: av.VideoFrame, colour: ColourTags | None = None) -> Signal:
    """Return a frame as R'G'B', float32 (h, w, 3) in 0..1, by its tags, `colour`, then `assumed`."""
    layout = layout_of(frame.format.name)
    tags = _colour(frame, colour or ColourTags())
    parts = signals(planar(frame), layout, tags.range)[: 1 if layout.kind == "gray" else 3]
    return np.clip(_to_rgb(parts, layout, tags), 0, 1)


def reduced_rgb(
    frame: av.VideoFrame,
    colour: ColourTags | None,
    shrink: Callable[[NDArray[np.generic]], Signal],
) -> Signal:
    """Return a frame as R'G'B', float32 (h, w, 3) in 0..1, each plane made smaller by `shrink` first.

    `shrink` has to be a mean (linear in the samples) and to give one size for every plane, whatever the
    plane's own: where chroma is sited is not looked at, which far below the frame's size tells nothing.
    """
    layout = layout_of(frame.format.name)
    tags = _colour(frame, colour or ColourTags())
    parts = []
    for number, samples in enumerate(planes(planar(frame))[: 1 if layout.kind == "gray" else 3]):
        offset, span = quantised(layout, number, tags.range)
        parts.append(np.asarray((shrink(samples) - np.float32(offset)) / np.float32(span)))
    return np.clip(_to_rgb(parts, layout._replace(subsampling="444"), tags), 0, 1)


def luma_of(
    frame: av.VideoFrame, colour: ColourTags | None = None, size: tuple[int, int] | None = None
) -> Signal:
    """Return a frame's luma, float32 (h, w), 0..1 and a little beyond, by the tags of `to_rgb`.

    With `size` (width, height) it is reduced to that by area averaging, in 16 bit.
    """
    layout = layout_of(frame.format.name)
    tags = _colour(frame, colour or ColourTags())
    if layout.kind == "rgb":
        gray = layout._replace(kind="gray")
        luma = _from_rgb(to_rgb(frame, tags), gray, ColourTags("bt709"))[0]
        return luma if size is None else _reduced(luma, size)
    offset, span = quantised(layout, 0, tags.range)
    samples = planes(planar(frame))[0]
    if size is not None:
        deep = 1 << (16 - layout.bits)
        samples = _reduced(samples.astype(np.uint16) * np.uint16(deep), size)
        offset, span = offset * deep, span * deep
    luma = samples.astype(np.float32)
    luma -= np.float32(offset)
    luma *= np.float32(1 / span)
    return luma


def _reduced(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), plane.dtype)


def luma_only(frame: av.VideoFrame) -> av.VideoFrame:
    """Return the luma samples of a Y'CbCr or gray frame as a gray one, an RGB frame as it is."""
    layout = layout_of(frame.format.name)
    if layout.kind != "yuv":
        return frame
    gray = av.VideoFrame(frame.width, frame.height, gray_name(layout.bits))
    planes(gray)[0][:] = planes(planar(frame))[0]
    return tagged(gray, frame, _colour(frame, ColourTags()))


def from_rgb(array: NDArray[np.floating], video: VideoFormat) -> av.VideoFrame:
    """Return R'G'B' (h, w, 3) in 0..1 as a frame of `video`'s pixel format, rounded to nearest.

    Raises NotFiniteError where a number is NaN or infinite: rounded, it would be an innocent grey.
    """
    if not np.isfinite(np.sum(array, dtype=np.float64)):
        raise NotFiniteError("a picture holds NaN or infinity: the model gave no numbers here")
    layout, tags = layout_of(video.pix_fmt), assumed(video)
    parts = _from_rgb(np.asarray(array, np.float32), layout, tags)
    if layout.alpha:
        parts.append(np.ones_like(parts[0]))
    height, width = array.shape[:2]
    return frame_of(None, parts, replace(video, width=width, height=height), tags)


def scaled(
    frame: av.VideoFrame,
    width: int,
    height: int,
    kernel: Literal["lanczos", "area", "bicubic"],
    chroma_location: str = "left",
) -> av.VideoFrame:
    """Return a frame at another size, by libswscale in integers, whatever the processor and its threads.

    The frame's format stays, or becomes the planar one of the same samples. Y'CbCr is scaled with
    chroma where `chroma_location` says; RGB plane by plane, never by way of Y'CbCr.
    """
    picture = planar(frame)
    layout = layout_of(picture.format.name)
    if layout.kind != "rgb":
        places = (chroma_location, chroma_location) if layout.kind == "yuv" else None
        result = _scale(picture, width, height, picture.format.name, kernel, places)
        return tagged(result, frame, format_of(frame).colour)
    result = av.VideoFrame(width, height, picture.format.name)
    gray = gray_name(layout.bits)
    for samples, target in zip(planes(picture), planes(result), strict=True):
        plane = av.VideoFrame(frame.width, frame.height, gray)
        planes(plane)[0][:] = samples
        target[:] = planes(_scale(plane, width, height, gray, kernel))[0]
    return tagged(result, frame, format_of(frame).colour)


def _colour(frame: av.VideoFrame, known: ColourTags) -> ColourTags:
    own = format_of(frame)
    merged = {key: value or getattr(known, key) for key, value in vars(own.colour).items()}
    return assumed(replace(own, colour=ColourTags(**merged)))


def _requantised(
    frame: av.VideoFrame,
    layout: Layout,
    here: ColourTags,
    target: VideoFormat,
    there: ColourTags,
) -> av.VideoFrame:
    """Each sample by a table, for what changes in depth and range only."""
    goal = layout_of(target.pix_fmt)
    result = empty(target)
    top = (1 << goal.bits) - 1
    pairs = zip(planes(planar(frame)), planes(result), strict=True)
    for number, (samples, wanted) in enumerate(pairs):
        offset, span = quantised(layout, number, here.range)
        new_offset, new_span = quantised(goal, number, there.range)
        values = (np.arange(1 << layout.bits) - offset) / span * new_span + new_offset
        table = np.clip(np.rint(values), 0, top).astype(wanted.dtype)
        np.take(table, samples, out=wanted, mode="clip")
    return tagged(repacked(result, target.pix_fmt), frame, there)


def _to_rgb(parts: list[Signal], layout: Layout, tags: ColourTags) -> Signal:
    if layout.kind == "rgb":
        return np.stack(parts, axis=-1)
    if layout.kind == "gray":
        return np.repeat(parts[0][..., None], 3, axis=-1)
    full = layout._replace(subsampling="444")
    ycc = np.stack(_resited(parts, layout, full, tags, tags), axis=-1)
    return _transformed(ycc, np.linalg.inv(_matrix(tags.matrix)))


def _from_rgb(rgb: Signal, layout: Layout, tags: ColourTags) -> list[Signal]:
    if layout.kind == "rgb":
        return [rgb[..., n] for n in range(3)]
    ycc = _transformed(rgb, _matrix(tags.matrix))
    parts = [ycc[..., n] for n in range(1 if layout.kind == "gray" else 3)]
    return _resited(parts, layout._replace(subsampling="444"), layout, tags, tags)


def _transformed(pixels: Signal, matrix: NDArray[np.floating]) -> Signal:
    return np.asarray(cv2.transform(pixels, matrix), np.float32)


def _matrix(name: str | None) -> NDArray[np.float64]:
    """The matrix from R'G'B' to Y'CbCr (H.273, 8.3)."""
    if name not in _LUMA:
        raise MediaError(
            f"colour matrix {name} can't be converted here; known are {', '.join(_LUMA)}"
        )
    kr, kb = _LUMA[name]
    y = np.array((kr, 1 - kr - kb, kb))
    cb = (np.array((0, 0, 1)) - y) / (2 * (1 - kb))
    cr = (np.array((1, 0, 0)) - y) / (2 * (1 - kr))
    return np.stack((y, cb, cr))


def _resited(
    parts: list[Signal],
    layout: Layout,
    goal: Layout,
    here: ColourTags,
    there: ColourTags,
) -> list[Signal]:
    """The chroma planes at another subsampling or siting, by libswscale on deep integers."""
    if layout.subsampling == goal.subsampling and _sited(layout, here, there):
        return parts
    bits = min(DEEPEST[layout.subsampling], DEEPEST[goal.subsampling])
    height, width = parts[0].shape
    source = av.VideoFrame(width, height, at_depth(layout.subsampling, bits))
    top = (1 << bits) - 1
    luma, *chroma = planes(source)
    luma[:] = 0
    for signal, samples in zip(parts[1:], chroma, strict=True):
        samples[:] = rounded(signal, 0.5 * top, top, top)
    wanted = at_depth(goal.subsampling, bits)
    places = (here.chroma_location or "left", there.chroma_location or "left")
    result = _scale(source, width, height, wanted, "bicubic", places)
    return [
        parts[0],
        *((p.astype(np.float32) / np.float32(top) - np.float32(0.5)) for p in planes(result)[1:]),
    ]


def _sited(layout: Layout, here: ColourTags, there: ColourTags) -> bool:
    """Whether the chroma of a format lies at the same place by both tags."""
    return layout.subsampling == "444" or here.chroma_location == there.chroma_location


def _scale(
    frame: av.VideoFrame,
    width: int,
    height: int,
    pix_fmt: str,
    kernel: str,
    chroma: tuple[str, str] | None = None,
) -> av.VideoFrame:
    """One frame through libavfilter's `scale`, its chroma sited as said (in, out); numbers as they are.

    The graph is told of no tags, so that it can't convert by them.
    """
    size = f"{frame.width}x{frame.height}"
    options = f"w={width}:h={height}:flags={kernel}+{_FLAGS}"
    if chroma is not None:
        options += f":in_chroma_loc={chroma[0]}:out_chroma_loc={chroma[1]}"
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add("buffer", f"video_size={size}:pix_fmt={frame.format.name}:time_base=1/1"),
        graph.add("scale", options),
        graph.add("format", f"pix_fmts={pix_fmt}"),
        graph.add("buffersink"),
    ).configure()
    tags, pts = (frame.colorspace, frame.color_range), frame.pts
    frame.colorspace, frame.color_range = 2, 0
    try:
        graph.vpush(frame)
        return graph.vpull()
    finally:
        frame.colorspace, frame.color_range = tags
        frame.pts = pts
