"""Runs `restar` so that a test can watch it and stop it: `python stopping.py STAGE FLAG LOG ARGS...`

Every call of a restorer is written to LOG (a line for each, with the frames of the scene). At STAGE
the process touches FLAG and sleeps, for a test to kill it there; STAGE "none" never stops.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import media.frames
import store
import tasks.assemble
import tasks.ingest
from cli import main
from restorers import StepContext
from restorers.identity import Identity

stage, flag, log = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
sys.argv[1:] = sys.argv[4:]


def stop() -> None:
    flag.touch()
    time.sleep(600)


def stop_after(owner: Any, name: str, wanted: str, skip: int = 0) -> None:
    """Make a function of a module or class stop the process once it has run `skip` times."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = [0]

    def stopping(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        calls[0] += 1
        if stage == wanted and calls[0] > skip:
            stop()
        return result

    setattr(owner, name, stopping)


def logged(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def restore(self: Any, frames: Iterator[Any], context: StepContext) -> Iterator[Any]:
        with log.open("a") as file:
            file.write(f"{context.frames}\n")
        for number, frame in enumerate(original(self, frames, context)):
            if stage == "restoring" and context.frames.start > 0 and number == 5:
                stop()
            yield frame

    return restore


Identity.restore = logged(Identity.restore)  # type: ignore[method-assign]
stop_after(media.frames.IndexWriter, "add", "indexing", skip=30)
stop_after(tasks.ingest, "_one_pass", "indexed")
stop_after(
    store.Store, "publish", "published take", skip=4
)  # marks, index, then file and checksums
stop_after(tasks.assemble, "write_master", "master written")
stop_after(tasks.assemble, "replace", "master placed")

main()
