"""Resize: plain Lanczos, which invents nothing; what every other restorer is held against.

In gamma light, the default, libswscale filters the samples as they are coded, in integers: the same
bytes whatever the processor, Y'CbCr without a way by RGB, chroma at its siting. In linear light R'G'B' is
decoded to light, filtered in floats and coded again: a fine pattern keeps its brightness and bright
points do not shrink, while dark edges ring more. Both keep samples centred: output sample x lies at
(x + 0.5) / scale - 0.5 of the source, so no picture shifts, and edges repeat the outermost samples.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from media.convert import (
    assumed,
    from_rgb,
    full_range,
    lossless_equivalent,
    scaled,
    to_format,
    to_rgb,
)
from media.format import VideoFormat
from restar.errors import MediaError, RecipeError
from restar.recipe import explain
from restar.spec import ResolvedStep
from restorers import StepContext

__all__ = ["Options", "Resize"]

Light = NDArray[np.float32]

LARGEST = 8
# What a display makes of a code: BT.1886 for video, whatever curve the camera had (ITU-R BT.1886).
_EXPONENTS = {
    None: 2.4,
    "bt709": 2.4,
    "smpte170m": 2.4,
    "smpte240m": 2.4,
    "bt2020-10": 2.4,
    "bt2020-12": 2.4,
    "bt470m": 2.2,
    "bt470bg": 2.8,
    "linear": 1.0,
}


class Options(BaseModel):
    """The options of a step `resize`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: int = Field(default=2, ge=1, le=LARGEST, strict=True, description="Whole-number factor.")
    light: Literal["gamma", "linear"] = Field(
        default="gamma", description="Filter coded samples (gamma) or light (linear)."
    )


class Resize:
    """Scales progressive pictures by a whole number, Lanczos; scale 1 gives them untouched."""

    name = "resize"
    algorithm = 1
    needs_progressive = True
    uses_prompt = False
    invents = False

    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        """Return the step; raise RecipeError for options that are not valid or can't work here."""
        try:
            chosen = Options.model_validate(options)
        except ValidationError as error:
            raise RecipeError(
                f"step resize: {explain(error, Options)}; scale is a whole number from 1 to "
                f"{LARGEST} (for more, put two resize steps in a row), light is gamma or linear"
            ) from None
        step = ResolvedStep(self.name, self.algorithm, chosen.model_dump())
        _check_source(source, chosen)
        return step

    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        """Return the source's format, `scale` times as large; SAR, fields and tags are the source's.

        An untagged matrix is tagged where readers would guess another one at the new size.
        """
        scale = step.options["scale"]
        pix_fmt = lossless_equivalent(source.pix_fmt) or source.pix_fmt
        colour = replace(source.colour, range=full_range(source.pix_fmt, source.colour.range))
        larger = replace(
            source,
            width=source.width * scale,
            height=source.height * scale,
            pix_fmt=pix_fmt,
            colour=colour,
        )
        if scale > 1 and assumed(larger).matrix != assumed(source).matrix:
            return replace(larger, colour=replace(colour, matrix=assumed(source).matrix))
        return larger

    def restore(
        self, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        """Yield each frame scaled, one at a time; raise MediaError where the size changes midway."""
        options = Options.model_validate(context.step.options)
        for number, frame in enumerate(frames, start=context.frames.start):
            if (frame.width, frame.height) != (context.source.width, context.source.height):
                raise MediaError(
                    f"frame {number} is {frame.width}x{frame.height} in a film of "
                    f"{context.source.width}x{context.source.height}; split the film there"
                )
            if options.scale == 1:
                yield to_format(frame, context.target)
            elif options.light == "gamma":
                yield _resized(frame, context)
            else:
                yield _resized_as_light(frame, context)


def _check_source(source: VideoFormat, options: Options) -> None:
    if options.scale == 1 and lossless_equivalent(source.pix_fmt):
        return
    width, height = source.width * options.scale, source.height * options.scale
    if (width + 128) * (height + 128) >= 1 << 28:  # libavutil, av_image_check_size2
        raise RecipeError(
            f"step resize: scale {options.scale} gives {width}x{height}, more than a frame can "
            "have; choose a smaller scale"
        )
    linear = options.light == "linear"
    if linear and source.colour.transfer not in {*_EXPONENTS, "iec61966-2-1"}:
        raise RecipeError(
            f"step resize: light = linear can't decode transfer {source.colour.transfer}; "
            "use light = gamma"
        )
    try:
        trial = from_rgb(np.zeros((2, 2, 3)), source) if linear else None
        alpha = trial is not None and any(c.is_alpha for c in trial.format.components)
        assumed(source)
    except MediaError as error:
        raise RecipeError(f"step resize: {error}") from None
    if alpha:
        raise RecipeError(
            f"step resize: light = linear would drop the alpha of {source.pix_fmt}; "
            "use light = gamma"
        )


def _resized(frame: av.VideoFrame, context: StepContext) -> av.VideoFrame:
    """Scale in the deeper of the source's and the target's format, so that nothing is rounded twice."""
    target = context.target
    at_source_size = replace(target, width=frame.width, height=frame.height)
    shallower = _bits(target.pix_fmt) < _bits(frame.format.name)
    picture = frame if shallower else to_format(frame, at_source_size)
    place = assumed(context.source).chroma_location or "left"
    return to_format(scaled(picture, target.width, target.height, "lanczos", place), target)


def _resized_as_light(frame: av.VideoFrame, context: StepContext) -> av.VideoFrame:
    source, target = context.source, context.target
    light = _decoded(to_rgb(frame, source.colour), source.colour.transfer)
    size = (target.width, target.height)
    larger = np.clip(cv2.resize(light, size, interpolation=cv2.INTER_LANCZOS4), 0, 1)
    guessed = assumed(source)
    tags = replace(
        target.colour,
        matrix=target.colour.matrix or guessed.matrix,
        chroma_location=target.colour.chroma_location or guessed.chroma_location,
    )
    coded = _coded(larger.astype(np.float32, copy=False), source.colour.transfer)
    result = from_rgb(coded, replace(target, colour=tags))
    result.pts, result.duration = frame.pts, frame.duration
    if frame.time_base is not None:
        result.time_base = frame.time_base
    return result


def _decoded(rgb: Light, transfer: str | None) -> Light:
    if transfer == "iec61966-2-1":
        upper = cv2.pow((rgb + np.float32(0.055)) / np.float32(1.055), 2.4)
        return np.where(rgb <= 0.04045, rgb / np.float32(12.92), upper).astype(np.float32)
    return np.asarray(cv2.pow(rgb, _EXPONENTS[transfer]), np.float32)


def _coded(light: Light, transfer: str | None) -> Light:
    if transfer == "iec61966-2-1":
        upper = np.float32(1.055) * cv2.pow(light, 1 / 2.4) - np.float32(0.055)
        return np.where(light <= 0.0031308, light * np.float32(12.92), upper).astype(np.float32)
    return np.asarray(cv2.pow(light, 1 / _EXPONENTS[transfer]), np.float32)


def _bits(pix_fmt: str) -> int:
    return max(component.bits for component in av.VideoFormat(pix_fmt).components)
