"""An agent: a process that drains, on one device, until there is no more to do or it is stopped.

It registers what it is and works on, so that `restar agents` can show it, and says why it left. How it
ends is told in a status that batch systems understand (docs/agents.md).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from catalog.agents import begin_shift, end_shift
from catalog.base import JobKind
from flows.drain import DRAINED, Drained, Shift, work
from flows.stop import Stop, time_limit
from restar.errors import CatalogError, UsageError
from tasks.device import Device, find_device
from tasks.gpulock import a_gpu_of_ones_own
from tasks.house import House

__all__ = ["KINDS", "AgentOptions", "a_device", "parse_kinds", "run_agent"]

KINDS = (*DRAINED, JobKind.ASSEMBLE, JobKind.PROXY)
"""What an agent can do; without a choice it does all of it."""


@dataclass(frozen=True)
class AgentOptions:
    """How an agent works: on which GPU, at what, for how long. Times are in seconds."""

    gpu: int | None = None
    kinds: tuple[JobKind, ...] = KINDS
    restoration_id: str | None = None
    idle_s: float = 60.0
    release_s: float = 300.0
    grace_s: float = 25.0
    limit_s: float | None = None


def parse_kinds(text: str) -> tuple[JobKind, ...]:
    """Return the kinds of a list such as "restore,caption"; raise UsageError for an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {kind.value: kind for kind in KINDS}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"kind '{unknown[0]}' is not known" if unknown else "no kind is named"
        raise UsageError(f"--kinds {text}: {what}; agents do {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def run_agent(house: House, options: AgentOptions, device: Device | None = None) -> Drained:
    """Work until there was no work for `idle_s`, or a signal or the time limit ends it.

    Without `device` it takes a GPU that no other agent of this host has. Raises StoreError (disk nearly
    full), CatalogError (no database for ten minutes), UnfitError, UsageError (no GPU is free).
    """
    if device is None:
        with a_device(options) as found:
            return run_agent(house, options, found)
    shift = Shift(
        kinds=options.kinds,
        restoration_id=options.restoration_id,
        memory_bytes=device.memory_bytes,
        gpus=device.classes,
        device=device.name,
        idle_s=options.idle_s,
        release_s=options.release_s,
        alone=False,
    )
    stop = Stop(options.grace_s, time_limit(options.limit_s, os.environ))
    with house.catalog.begin() as session:
        begin_shift(session, house.agent_id, kind="agent", device=str(device))
    why = "an error"
    try:
        drained = work(house, shift, stop)
        why = f"stopped by {drained.stopped}" if drained.stopped else "no work was left"
        return drained
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise
    finally:
        _leave(house, why)


@contextmanager
def a_device(options: AgentOptions) -> Iterator[Device]:
    """Hold what an agent works on: a GPU of its own where there is one and its kinds may need it.

    Raises UsageError where the GPU that is asked for, or each of them, has an agent already.
    """
    if not set(options.kinds) & set(DRAINED):
        yield Device("", psutil.virtual_memory().total, ())
        return
    with a_gpu_of_ones_own(options.gpu) as number:
        yield find_device(number)


def told(done: dict[str, int]) -> str:
    """Return what was done as a line: "12 restore, 3 score"."""
    return ", ".join(f"{count} {kind}" for kind, count in done.items()) or "nothing"


def names(kinds: Sequence[JobKind]) -> str:
    return ",".join(kind.value for kind in kinds)


def _leave(house: House, why: str) -> None:
    try:
        with house.catalog.begin() as session:
            end_shift(session, house.agent_id, why[:500])
    except CatalogError:
        return  # the database is what is missing; the agent's silence says the rest
