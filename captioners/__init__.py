"""Captioners say in words what a scene shows, for the prompt: a family of plug-ins.

A captioner is a class found by the entry point group "restar.captioners". Its `revision` names the
model and the code: the same film, scene and revision is never captioned twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from restar.plugins import load_plugin

__all__ = ["Caption", "Captioner", "captioner"]


@dataclass(frozen=True)
class Caption:
    """A caption and who made it. The text is data: it is shown escaped and never run."""

    text: str
    revision: str


@runtime_checkable
class Captioner(Protocol):
    """One way to caption a scene."""

    name: str

    def revision(self, options: dict[str, Any]) -> str:
        """Return what names model, code and options: part of the caption's identity."""
        ...

    def stills(self, options: dict[str, Any]) -> int:
        """Return how many stills of the scene, evenly spread, it wants to see; 0 = none."""
        ...

    def caption(self, stills: Sequence[NDArray[np.uint8]], options: dict[str, Any]) -> Caption:
        """Return the caption of a scene from its stills (each h, w, 3, RGB, 0..255)."""
        ...


def captioner(name: str) -> Captioner:
    """Return a new instance of the captioner called `name`; raise PluginError if there is none."""
    return load_plugin("captioners", name)()  # type: ignore[no-any-return]
