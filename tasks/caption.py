"""Captions: what a scene shows, in words, for restorers that listen to text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioners import Caption, captioner
from media.convert import to_rgb
from media.frames import decode_range
from restar.recipe import Prompt
from restar.timeline import FrameRange
from tasks.house import OpenFilm
from tasks.step import step

__all__ = ["caption_options", "caption_scene", "needs_stills"]


def caption_options(prompt: Prompt) -> dict[str, Any]:
    """Return the options that a recipe gives its captioner."""
    return {"text": prompt.text} if prompt.captioner == "fixed" else {}


def needs_stills(prompt: Prompt) -> bool:
    """Whether captioning has to look at the scene, and so is work of its own."""
    return captioner(prompt.captioner).stills(caption_options(prompt)) > 0


@step("caption scene {number}")
def caption_scene(film: OpenFilm, prompt: Prompt, frames: FrameRange, *, number: int) -> Caption:
    """Return the caption of one scene (`number` names the run)."""
    member = captioner(prompt.captioner)
    options = caption_options(prompt)
    return member.caption(_stills(film, frames, member.stills(options)), options)


def _stills(film: OpenFilm, frames: FrameRange, count: int) -> list[NDArray[np.uint8]]:
    """Return up to `count` frames of a scene, evenly spread, as RGB (h, w, 3), 0..255."""
    wanted = sorted(
        {frames.start + (2 * i + 1) * frames.count // (2 * count) for i in range(count)}
    )
    stills = []
    for at in wanted:
        (frame,) = decode_range(film.path, film.info, film.index, FrameRange(at, at + 1))
        stills.append(np.rint(255 * to_rgb(frame)).astype(np.uint8))
    return stills
