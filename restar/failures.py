"""Why work failed, told apart: what a person has to do differs, and so does whether a retry helps."""

from enum import StrEnum

from restar.errors import (
    CheckpointError,
    MediaError,
    NoSourceError,
    NotFiniteError,
    PluginError,
    RestarError,
    StoreError,
    UsageError,
    VerificationError,
)

__all__ = ["Failure", "failure_of", "is_final"]


class Failure(StrEnum):
    """The sort of a failure, as it stands beside a job's last error."""

    OUT_OF_MEMORY = "out of memory"
    NOT_FINITE = "not finite"
    BAD_MEDIA = "bad media"
    NO_SOURCE = "no source"
    NOT_HERE = "not installed"
    REFUSED = "refused"
    WRONG_RESULT = "wrong result"
    STORE = "store"
    AGENT_LOST = "agent lost"
    OTHER = "other"
    BUG = "bug"


_CLASSES: tuple[tuple[type[BaseException], Failure], ...] = (
    (MemoryError, Failure.OUT_OF_MEMORY),
    (NotFiniteError, Failure.NOT_FINITE),
    (FloatingPointError, Failure.NOT_FINITE),
    (NoSourceError, Failure.NO_SOURCE),
    (MediaError, Failure.BAD_MEDIA),
    (StoreError, Failure.STORE),
    (PluginError, Failure.NOT_HERE),
    (CheckpointError, Failure.NOT_HERE),
    (VerificationError, Failure.WRONG_RESULT),
    (UsageError, Failure.REFUSED),
    (RestarError, Failure.OTHER),
)


def failure_of(error: BaseException) -> Failure:
    """Return what sort of failure an error is; what was not raised on purpose is a bug."""
    for one in _chain(error):
        # torch.OutOfMemoryError, known by name: this module must not import torch
        if type(one).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(one):
            return Failure.OUT_OF_MEMORY
    return next((kind for known, kind in _CLASSES if isinstance(error, known)), Failure.BUG)


def is_final(failure: Failure, before: str) -> bool:
    """Whether another try would end the same way; `before` is the sort of the try before.

    A damaged film stays damaged and a refused setting refused. Numbers that are not finite may come
    from a faulty GPU, so they get one more try. The rest may pass: memory is freed, files come back.
    """
    if failure is Failure.NOT_FINITE:
        return before == Failure.NOT_FINITE
    return failure in (Failure.BAD_MEDIA, Failure.REFUSED)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__
    return found
