"""Identity: every frame as it is, to prove that the way through restar loses nothing.

A frame whose pixel format FFV1 holds is passed on as the very object that came in. One that FFV1
lacks (nv12, rgb24, uyvy422, yuvj420p, big endian, ...) is repacked into the format of the same samples.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av

from media.convert import assumed, full_range, lossless_equivalent, to_format
from media.format import VideoFormat
from media.index import frame_md5
from restar.errors import MediaError, RecipeError
from restar.spec import ResolvedStep
from restorers import StepContext

__all__ = ["Identity"]


class Identity:
    """Gives every frame untouched, of any size, any field order and any format that FFV1 can hold."""

    name = "identity"
    algorithm = 1
    needs_progressive = False
    uses_prompt = False
    invents = False
    passes_on = True

    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        """Return the step; raise RecipeError for an option, or a format that can't even be converted."""
        if options:
            raise RecipeError(f"step identity: unknown option '{min(options)}'; it has none")
        if lossless_equivalent(source.pix_fmt) is None:
            try:
                assumed(source)
            except MediaError as error:
                raise RecipeError(f"step identity: {error}") from None
        return ResolvedStep(self.name, self.algorithm, {})

    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        """Return the source's format, by the name under which FFV1 holds the same samples if it does."""
        pix_fmt = lossless_equivalent(source.pix_fmt) or source.pix_fmt
        colour = replace(source.colour, range=full_range(source.pix_fmt, source.colour.range))
        return replace(source, pix_fmt=pix_fmt, colour=colour)

    def restore(
        self, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        """Yield each frame, repacked only where FFV1 needs it, and shown to come back from that.

        Raises MediaError where bits that the pixel format calls padding hold something.
        """
        source, target = context.source, context.target
        repacks = source.pix_fmt != target.pix_fmt == lossless_equivalent(source.pix_fmt)
        for number, frame in enumerate(frames, start=context.frames.start):
            picture = to_format(frame, target)
            if repacks and not _comes_back(frame, picture, source):
                raise MediaError(
                    f"frame {number}: pixel format {source.pix_fmt} holds something in bits that have "
                    f"no meaning there, which {target.pix_fmt} has no place for; name the format that "
                    "it really is, or convert the film first and keep the original"
                )
            yield picture


def _comes_back(frame: av.VideoFrame, picture: av.VideoFrame, source: VideoFormat) -> bool:
    """Whether a frame comes back from the format of the same samples; of a palette, its colours do."""
    if source.pix_fmt == "pal8":
        return True
    return frame_md5(to_format(picture, source)) == frame_md5(frame)
