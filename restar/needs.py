"""What a job asks of the agent that does it: a model, memory, a class of GPU.

Restorers, captioners and scorers state it, the catalog queues by it, agents are chosen by it. It
decides where and when work is done, never what comes out: so it is no part of a spec.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["NONE", "Needs", "joined"]

_STEP = 1 << 28  # memory is stated in steps of 256 MiB: fewer different needs, shorter claims


@dataclass(frozen=True)
class Needs:
    """What is needed. `model` names weights that are worth keeping warm ("" = none).

    `memory_bytes` is of the device that works: the GPU's, or main memory without one; 0 is hardly
    any. `gpu` is a class that the GPU has to be of: "" (none needed), "cuda" (any CUDA GPU), a
    compute capability such as "sm90", or a product name in lower case.
    """

    model: str = ""
    memory_bytes: int = 0
    gpu: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what is set, as it stands in a job's payload."""
        steps = -(-self.memory_bytes // _STEP)
        stated = {"model": self.model, "memory_bytes": steps * _STEP, "gpu": self.gpu}
        return {name: value for name, value in stated.items() if value}

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> "Needs":
        """Return the needs in a job's payload; none where it states none."""
        return cls(
            str(payload.get("model", "")),
            int(payload.get("memory_bytes", 0)),
            str(payload.get("gpu", "")),
        )


NONE = Needs()


def joined(several: list[Needs]) -> Needs:
    """Return what a chain of steps needs: every model at once, the largest memory, the one class.

    Models are kept warm together, so their names and their memory add up.
    """
    models = [one.model for one in several if one.model]
    return Needs(
        "+".join(dict.fromkeys(models)),
        sum(one.memory_bytes for one in several if one.model)
        or max((one.memory_bytes for one in several), default=0),
        next((one.gpu for one in several if one.gpu not in ("", "cuda")), "")
        or next((one.gpu for one in several if one.gpu), ""),
    )
