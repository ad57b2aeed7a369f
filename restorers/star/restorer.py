"""The restorer `star`: a film's frames through STAR, with the source's colours, sizes, times and tags.

What it is told of a scene is a prompt. star-tiny's prompt says how worn the scene is, in levels that are
measured on it (`condition`); where these say that star-tiny has little to gain over a plain resize, the
scene gets the resize (`instead`), if the recipe says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from media.convert import assumed, from_rgb, to_rgb
from media.format import VideoFormat
from restar.errors import MediaError, RecipeError
from restar.memory import give_back_freed
from restar.needs import Needs
from restar.settings import load_settings
from restar.spec import ResolvedStep
from restar.timeline import FrameRange
from restorers import ModelLicence, StepContext
from restorers.resize import Resize
from restorers.star.card import hardly_gains, tiny_template, with_strength
from restorers.star.options import Options, checked
from restorers.star.settle import settled
from restorers.star.weights import Chosen, chosen_weights
from star.installed import require_star
from star.windows import kept_ranges, spread, windows

if TYPE_CHECKING:
    import torch

    from star.pipeline.models import Model
    from star.pipeline.placement import Placement

__all__ = ["Star"]

Signal = NDArray[np.float32]


@dataclass
class _Loaded:
    """A model that is kept warm, and for which step."""

    key: tuple[str, str]
    model: "Model"
    placement: "Placement"


class Star:
    """STAR, and star-tiny: enlarges and restores progressive pictures of any size and any number."""

    name = "star"
    algorithm = 2
    needs_progressive = True
    uses_prompt = True
    settles = (
        "model", "window", "overlap", "decode_window", "decode_overlap", "tile", "tile_overlap",
        "precision", "guidance_passes",
    )  # fmt: skip
    """Options whose `auto` depends on what is installed on a host, and on its memory."""
    condition_frames = 5
    """How many successive frames `condition` looks at, as many as a training clip has."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    def resolve(
        self, options: dict[str, Any], source: VideoFormat, answers: Mapping[str, Any] | None = None
    ) -> ResolvedStep:
        """Return the step with weights found and every `auto` answered.

        Raises RecipeError for options that can't work here, CheckpointError for weights that are missing.
        """
        require_star()
        wanted = checked({**options, **(answers or {})})
        weights = chosen_weights(wanted, load_settings().weights_root)
        chosen = settled(wanted, weights, source, within_memory=not answers)
        _check_source(source, chosen)
        return ResolvedStep(self.name, self.algorithm, chosen.model_dump(), weights.sha256)

    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        """Return the source's format, `scale` times as large; SAR and tags are the source's."""
        return Resize().output(step, source)

    def needs(self, step: ResolvedStep, source: VideoFormat) -> Needs:
        """Return the model, its predicted memory, and a GPU for all but small models."""
        from restorers.star.settle import predicted

        options = checked(step.options)
        weights = self._weights(step)
        gpu = "cuda" if options.precision != "float32" else ""
        return Needs(weights.name, predicted(options, weights, source), gpu)

    def seams(self, step: ResolvedStep, frames: FrameRange) -> list[int]:
        """Return the frames of the film amid each overlap of two windows."""
        options, count = checked(step.options), frames.count
        length = int(options.window)
        over = (
            windows(count, length)
            if options.blend == "cut"
            else spread(count, length, min(int(options.overlap), length // 2))
        )
        return [frames.start + start for start, _ in kept_ranges(over)[1:]]

    def licence(self, step: ResolvedStep) -> ModelLicence:
        """Return the licence of a step's weights; of several parts, all of theirs."""
        return self._weights(step).licence

    def smaller(self, step: ResolvedStep, source: VideoFormat) -> dict[str, Any] | None:
        """Return options in which the step takes less memory; None where it can't."""
        from restorers.star.settle import smaller

        options = checked(step.options)
        less = smaller(options, self._weights(step), source)
        if less is None:
            return None
        found = less.model_dump()
        return {name: found[name] for name in found if found[name] != step.options.get(name)}

    def prompt_template(self, step: ResolvedStep) -> str:
        """Return what the model is told where a recipe does not say: star-tiny's card, or the caption."""
        return tiny_template(step.options["scale"]) if self._is_tiny(step) else "{caption}"

    def condition(self, step: ResolvedStep, pictures: Sequence[Signal]) -> str | None:
        """Return the levels of wear that star-tiny reads, measured on successive frames (h, w, 3), 0..1.

        None where the model reads none, or the pictures are too small to be measured.
        """
        from restorers.star.card import measured_levels

        return measured_levels(pictures) if self._is_tiny(step) and pictures else None

    def instead(self, step: ResolvedStep, prompt: str) -> tuple[ResolvedStep, str] | None:
        """Return the step that a scene of this prompt gets in this one's place, and why; mostly None."""
        options = checked(step.options)
        if not self._is_tiny(step) or options.clean != "resize":
            return None
        reason = hardly_gains(options.scale, prompt)
        if not reason:
            return None
        resize = Resize()
        return ResolvedStep(
            resize.name, resize.algorithm, {"scale": options.scale, "light": "gamma"}
        ), reason

    def count_tokens(self, text: str) -> int:
        """Return how many of the text tower's tokens a text takes, without its start and end."""
        from star.tokens import tokenize

        ids = tokenize(text).ids
        return sum(1 for one in ids if one) - 2 if len(ids) else 0

    def release(self) -> None:
        """Let go of the model."""
        self._loaded = None
        give_back_freed()

    def restore(
        self, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        """Yield each frame restored, one window of them in pixels at a time."""
        from restorers.star.ways import ways_of
        from star.pipeline.chain import Chain
        from star.pipeline.colour import corrected

        options = checked(context.step.options)
        loaded = self._ready(context.step, options)
        size = (context.source.height, context.source.width)
        chain: Chain[av.VideoFrame] = Chain(
            loaded.model,
            ways_of(options, loaded.model),
            loaded.placement,
            seed=context.seed,
            first=context.frames.start,
            count=context.frames.count,
            size=size,
        )

        def seen(frame: av.VideoFrame) -> "torch.Tensor":
            return _tensor(to_rgb(frame, context.source.colour))

        given = ((frame, seen(frame) * 2 - 1) for frame in _of_one_size(frames, context))
        prompt = with_strength(context.prompt, options.strength)
        made = chain.run(given, prompt, context.negative)
        bright = ((frame, (picture * 0.5 + 0.5).clamp(0, 1)) for frame, picture in made)
        try:
            for frame, picture in corrected(options.colour, bright, seen):
                yield _coded(frame, picture.permute(1, 2, 0).numpy(), context)
        except RuntimeError as error:  # torch's own error for the processor's and Apple's memory
            if not re.search("can't allocate memory|not enough memory|out of memory", str(error)):
                raise
            raise MemoryError(str(error).splitlines()[0]) from error

    def _ready(self, step: ResolvedStep, options: Options) -> _Loaded:
        key = (step.model_sha256, options.precision)
        if self._loaded is None or self._loaded.key != key:
            from restorers.star.ways import loaded_model

            self._loaded = None
            self._loaded = _Loaded(key, *loaded_model(self._weights(step), options))
        return self._loaded

    def _weights(self, step: ResolvedStep) -> Chosen:
        """Return the step's weights; raise CheckpointError where others are here by now."""
        from restar.errors import CheckpointError

        weights = chosen_weights(checked(step.options), load_settings().weights_root)
        if weights.sha256 != step.model_sha256:
            raise CheckpointError(
                f"step star: the weights '{weights.name}' here ({weights.sha256[:12]}) are not those of "
                f"the spec ({step.model_sha256[:12]}); run `restar restore` again for a new spec, or "
                "bring the old weights back"
            )
        return weights

    @staticmethod
    def _is_tiny(step: ResolvedStep) -> bool:
        from restorers.star.options import TINY

        return bool(step.options["model"] == TINY)


def _tensor(rgb: Signal) -> "torch.Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)


def _coded(frame: av.VideoFrame, rgb: Signal, context: StepContext) -> av.VideoFrame:
    from dataclasses import replace

    guessed = assumed(context.source)
    colour = context.target.colour
    tags = replace(
        colour,
        matrix=colour.matrix or guessed.matrix,
        range=colour.range or guessed.range,
        chroma_location=colour.chroma_location or guessed.chroma_location,
    )
    result = from_rgb(rgb, replace(context.target, colour=tags))
    result.pts, result.duration = frame.pts, frame.duration
    if frame.time_base is not None:
        result.time_base = frame.time_base
    return result


def _of_one_size(frames: Iterator[av.VideoFrame], context: StepContext) -> Iterator[av.VideoFrame]:
    width, height = context.source.width, context.source.height
    for number, frame in enumerate(frames, start=context.frames.start):
        if (frame.width, frame.height) != (width, height):
            raise MediaError(
                f"frame {number} is {frame.width}x{frame.height} in a film of {width}x{height}; "
                "split the film there"
            )
        yield frame


def _check_source(source: VideoFormat, options: Options) -> None:
    width, height = source.width * options.scale, source.height * options.scale
    if (width + 128) * (height + 128) >= 1 << 28:  # libavutil, av_image_check_size2
        raise RecipeError(
            f"step star: scale {options.scale} gives {width}x{height}, more than a frame can have; "
            "choose a smaller scale"
        )
    if min(source.width, source.height) < 2:
        raise RecipeError(
            f"step star: pictures of {source.width}x{source.height} show nothing that could be "
            "restored; use the restorer `resize`"
        )
    try:
        trial = from_rgb(np.zeros((2, 2, 3)), source)
        assumed(source)
    except MediaError as error:
        raise RecipeError(f"step star: {error}") from None
    if any(component.is_alpha for component in trial.format.components):
        raise RecipeError(
            f"step star: would drop the alpha of {source.pix_fmt}; use `resize`, or a film without alpha"
        )
