"""`facts`: what was measured of a scene, in plain sentences. The default where no model is present.

It sees no stills: ingest measured the film while it was decoded. A sentence says what the picture shows
(colour, light, movement, camera, a text card) or what became of the print (grain, flicker, softness). The
second kind is for people and for search: told to a restorer, it would be drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioners import Caption, SceneView
from restar.errors import RecipeError

__all__ = ["Facts", "condition_in_words", "picture_in_words"]

VERSION = 2

_COLOUR = {"colour": "colour", "monochrome": "black-and-white", "tinted": "tinted, one-colour"}
_LIGHT = {"dark": "dark", "bright": "bright"}
_CONTRAST = {"low": "of low contrast", "high": "of high contrast"}
_CAMERA = {
    "static": "The camera does not move.",
    "pan left": "The camera pans to the left.",
    "pan right": "The camera pans to the right.",
    "tilt up": "The camera tilts up.",
    "tilt down": "The camera tilts down.",
    "zoom in": "The camera zooms in.",
    "zoom out": "The camera zooms out.",
}
_MOTION = {
    "still": "Nothing moves.",
    "little": "There is little movement.",
    "much": "There is much movement.",
}


class Facts:
    """Captions a scene with its measured facts, by a template."""

    name = "facts"

    def revision(self, options: dict[str, Any]) -> str:
        """Return the version of measures and sentences; raise RecipeError for any option."""
        for option in options:
            raise RecipeError(f"captioner facts: unknown option '{option}'; it has none")
        from captioners.measure import ALGORITHM

        return f"facts-{VERSION}-{ALGORITHM}"

    def stills(self, options: dict[str, Any]) -> int:
        """Return 0: it looks at measures."""
        self.revision(options)
        return 0

    def caption(self, stills: Sequence[NDArray[np.uint8]], options: dict[str, Any]) -> Caption:
        """Return a caption of a scene of which nothing was measured: there is none to say."""
        return self.describe([SceneView(tuple(stills))], options)[0]

    def describe(self, scenes: Sequence[SceneView], options: dict[str, Any]) -> list[Caption]:
        """Return what was measured of each scene as sentences."""
        revision = self.revision(options)
        return [
            Caption(
                f"{picture_in_words(one.facts)} {condition_in_words(one.facts)}".strip(),
                revision,
                "template",
            )
            for one in scenes
        ]


def picture_in_words(facts: Mapping[str, str]) -> str:
    """Return what the picture shows: colour, light, a text card, camera and movement."""
    if facts.get("text_card") == "yes":
        return _joined([_look(facts, "text card")])
    fade = {
        ("yes", False): "It fades in.", ("yes", True): "It fades in and out."
    }.get((facts.get("fade_in", ""), facts.get("fade_out") == "yes"), "")  # fmt: skip
    if not fade and facts.get("fade_out") == "yes":
        fade = "It fades out."
    still = facts.get("motion") == "still"
    camera = "" if still else _CAMERA.get(facts.get("camera", ""), "")
    motion = _MOTION.get(facts.get("motion", ""), "")
    return _joined([_look(facts, "picture"), camera, motion, fade])


def condition_in_words(facts: Mapping[str, str]) -> str:
    """Return what became of the picture: grain, flicker, softness."""
    told = {
        "grain": {"yes": "grainy", "no": "free of grain"},
        "flicker": {"yes": "flickering", "no": "steady in brightness"},
        "sharpness": {"sharp": "sharp", "soft": "soft"},
    }
    words = [told[name][facts[name]] for name in told if name in facts]
    return f"It is {_listed(words)}." if words else ""


def _look(facts: Mapping[str, str], noun: str) -> str:
    """The first sentence: `A dark black-and-white picture of low contrast.`"""
    before = [_LIGHT.get(facts.get("brightness", ""), ""), _COLOUR.get(facts.get("colour", ""), "")]
    words = [word for word in before if word]
    after = _CONTRAST.get(facts.get("contrast", ""), "")
    if not words and not after:
        return "A text card." if noun == "text card" else ""
    return " ".join(part for part in ("A", *words, noun, after) if part) + "."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _joined(sentences: Sequence[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
