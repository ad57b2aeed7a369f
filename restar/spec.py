"""Specs: what a recipe, a scene, its prompt and its seed resolve to for one scene's pixels.

Two scenes' worth of work are the same exactly where their take keys are equal, so a spec holds all
that reaches a pixel (steps with every option resolved, algorithm versions, model hashes, seed, prompt,
the take's format) and nothing that does not (delivery, thresholds, selection, titles, paths).
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from restar.hashing import sha256_of
from restar.timeline import FrameRange

__all__ = ["ResolvedStep", "Spec", "take_key"]


@dataclass(frozen=True)
class ResolvedStep:
    """One step with nothing left to choose: every option, the code's version, the model's hash."""

    use: str
    algorithm: int
    options: dict[str, Any]
    model_sha256: str = ""


@dataclass(frozen=True)
class Spec:
    """All that decides the pixels of one scene. `format` is the take's (media.format.TakeFormat)."""

    steps: tuple[ResolvedStep, ...]
    seed: int
    prompt: str
    negative: str
    format: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Spec":
        steps = tuple(ResolvedStep(**step) for step in data["steps"])
        return cls(**{**data, "steps": steps})


def take_key(film_id: str, frames: FrameRange, spec: Spec) -> str:
    """Return the key of the take of `frames` of a film under `spec`: 64 hex digits."""
    return sha256_of({"film": film_id, "range": [frames.start, frames.end], "spec": spec.to_json()})
