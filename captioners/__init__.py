"""Captioners say in words what a scene shows, for the prompt: a family of plug-ins.

A captioner is a class found by the entry point group "restar.captioners". Its `revision` names the
model and the code: the same film, scene and revision is never captioned twice. One that looks at stills
is work of its own; one that wants none (0 stills) is asked at once, whenever a film is prepared.

A captioner that can do more than look at one scene may also have `describe`, which is then called in
the place of `caption` with all that is known of several scenes, `batch`, which says how many, `free`,
which lets go of a model before another one needs the memory, and `tower`, which turns texts into vectors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from restar.plugins import load_plugin

__all__ = ["Caption", "Captioner", "Kind", "SceneView", "captioner", "describe"]

Kind = Literal["model", "template", "file", "fixed", "person"]


@dataclass(frozen=True)
class Caption:
    """A caption and who made it. The text is data: it is shown escaped and never run.

    `kind` says what it rests on: a model that looked, a template filled with measures, a file, the
    recipe, a person.
    """

    text: str
    revision: str
    kind: Kind = "model"


@dataclass(frozen=True)
class SceneView:
    """What is known of a scene: stills (each h, w, 3, RGB, 0..255), the facts that were measured (by
    name, only those that are stated), its number, and the film's file."""

    stills: tuple[NDArray[np.uint8], ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    number: int = 1
    film: Path | None = None


@runtime_checkable
class Captioner(Protocol):
    """One way to caption a scene."""

    name: str

    def revision(self, options: dict[str, Any]) -> str:
        """Return what names model, code and options: part of the caption's identity.

        Raises CheckpointError or PluginError, which say what to do, where something is not here.
        """
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


def describe(
    member: Captioner, scenes: Sequence[SceneView], options: dict[str, Any]
) -> list[Caption]:
    """Return the captions of scenes by any captioner, together where it can."""
    together = getattr(member, "describe", None)
    if together is not None:
        return list(together(scenes, options))
    return [member.caption(scene.stills, options) for scene in scenes]
