"""Restorers make the pixels of a take: a family of plug-ins behind one protocol.

A restorer is a class found by the entry point group "restar.restorers". An instance may keep a model
warm over many scenes; all that decides its pixels comes in through the resolved step, the seed, the
prompt and the frames, so that the same spec gives the same bytes.

A restorer that does not listen to text says so by `uses_prompt = False`: then nobody captions for it
with a heavy model, and no caption is in its spec. One that does may have `prompt_template(step)` (the
template on its model's card, with {caption}, {facts}, {condition}) and `count_tokens(text)`.
One that can show nothing but what its source shows says so by `invents = False`; what may invent gives
way to a plain resize where a recipe wants that of text cards.
One that gives on the very frames that came in, and writes into none, says `passes_on = True`: their
checksums are not computed a second time.
Three things are optional: `needs` (see Needing), `settles` (see Settling), and `release()`, which lets go
of a model that is held outside of Python's reach when its agent has been idle, or needs the memory for
another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import av

from media.format import VideoFormat
from restar.needs import NONE, Needs
from restar.plugins import load_plugin
from restar.spec import ResolvedStep
from restar.timeline import FrameRange

__all__ = [
    "ModelLicence", "Needing", "Restorer", "Settling", "StepContext", "invents", "licence_of", "needs_of",
    "passes_on", "restorer", "seams_of",
]  # fmt: skip


@dataclass(frozen=True)
class ModelLicence:
    """Under which licence the weights of a step are used; `source` is where they are from."""

    name: str
    licence: str
    commercial_use: bool
    source: str = ""


@dataclass(frozen=True)
class StepContext:
    """What one step is told about one scene.

    `frames` is the absolute range on the film's timeline (noise is keyed by it), `source` the format
    of the frames that come in, `target` that of the frames that must come out.
    """

    frames: FrameRange
    step: ResolvedStep
    source: VideoFormat
    target: VideoFormat
    seed: int
    prompt: str = ""
    negative: str = ""


@runtime_checkable
class Restorer(Protocol):
    """One way to make a scene's pixels. `algorithm` rises whenever the same input gives other bytes."""

    name: str
    algorithm: int
    needs_progressive: bool

    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        """Return the step with every option chosen.

        Raises RecipeError for options that are unknown, out of range, or can't work on `source`;
        PluginError or CheckpointError where something that it needs is not here.
        """
        ...

    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        """Return the format of the frames that the step gives for frames of `source`."""
        ...

    def restore(
        self, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        """Yield exactly one frame for each frame of the scene, in order, holding few at a time."""
        ...


@runtime_checkable
class Needing(Protocol):
    """A restorer that asks something of the agent that runs it. Most don't, and lack this method."""

    def needs(self, step: ResolvedStep, source: VideoFormat) -> Needs:
        """Return what the step needs for scenes of this format: a model, memory, a class of GPU."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A restorer with options whose `auto` depends on the host; a restoration keeps its answers."""

    settles: tuple[str, ...]

    def resolve(
        self, options: dict[str, Any], source: VideoFormat, answers: Mapping[str, Any] | None = None
    ) -> ResolvedStep:
        """Return the step with every option chosen, with `answers` as they are.

        They were found when the restoration began. What this host has today changes nothing then, and
        refuses nothing.
        """
        ...


def needs_of(member: Restorer, step: ResolvedStep, source: VideoFormat) -> Needs:
    """Return what a restorer's step needs of an agent; nothing where it does not say."""
    return member.needs(step, source) if isinstance(member, Needing) else NONE


def licence_of(step: ResolvedStep) -> ModelLicence | None:
    """Return the licence of a step's weights, where its restorer has a method `licence(step)`."""
    found = getattr(restorer(step.use), "licence", None)
    return None if found is None else found(step)


def seams_of(member: Restorer, step: ResolvedStep, frames: FrameRange) -> list[int]:
    """Return where on the film a step changed from one window of frames to the next, if it tells."""
    found = getattr(member, "seams", None)
    return [] if found is None else found(step, frames)


def passes_on(name: str) -> bool:
    """Whether the restorer of that name gives on the very frames that it gets."""
    return bool(getattr(load_plugin("restorers", name), "passes_on", False))


def restorer(name: str) -> Restorer:
    """Return a new instance of the restorer called `name`; raise PluginError if there is none."""
    return load_plugin("restorers", name)()  # type: ignore[no-any-return]


def invents(name: str) -> bool:
    """Return whether a restorer may show what its source does not: any that does not deny it."""
    return bool(getattr(load_plugin("restorers", name), "invents", True))
