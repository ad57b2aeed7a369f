"""What a deployed run shows on Prefect's page besides its tasks: progress, and what came out.

Progress is an artifact that follows the scenes or films of the run; results are tables and links. None
of it is ever read back, and where the server is away the work goes on without it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from restar.progress import Advance, listening_too

__all__ = ["showing_progress", "shown_table"]

_EVERY_S = 2.0
_log = logging.getLogger("restar.shown")


@contextmanager
def showing_progress() -> Iterator[None]:
    """Show the progress of a deployed run's scenes, or films, as an artifact."""
    from prefect.runtime import deployment

    if deployment.id is None:  # inline: the terminal shows it
        yield
        return
    with listening_too(_Artifacts()):
        yield


def shown_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """Show rows as a table artifact of the run."""
    from prefect.artifacts import create_table_artifact

    _try(lambda: create_table_artifact([dict(row) for row in rows], key, description))


class _Artifacts:
    """One progress artifact for each piece of work that counts scenes or films to a known end."""

    def __init__(self) -> None:
        self._ends: dict[Advance, Callable[[], None]] = {}

    def begin(self, text: str, unit: str, total: int | None) -> Advance:
        if unit not in ("scenes", "films") or not total:
            return lambda _count: None
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        made = _try(lambda: create_progress_artifact(0.0, f"progress-{unit}", text))
        done, last = [0], [time.monotonic()]

        def show() -> None:
            last[0] = time.monotonic()
            if isinstance(made, UUID):
                at = min(100.0, 100.0 * done[0] / total)
                _try(lambda: update_progress_artifact(made, at, f"{text}: {done[0]} of {total}"))

        def advance(count: int) -> None:
            done[0] += count
            if time.monotonic() - last[0] >= _EVERY_S:
                show()

        self._ends[advance] = show
        return advance

    def end(self, advance: Advance) -> None:
        self._ends.pop(advance, lambda: None)()


def _try(show: Callable[[], Any]) -> Any:
    try:
        return show()
    except Exception as error:
        _log.warning("not shown by the engine: %s", error)
        return None
