"""A film from its file to its master in one process: prepare, drain, finish.

By default as Prefect flows on an engine of our own (`flows.embedded`), which shows what runs; plain
without it. Both run the same functions and leave the same rows and files.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.restorations import enqueue_assemble
from flows.drain import drain
from flows.finish import finish
from flows.prepare import Order, Prepared, prepare
from restar.timeline import format_scenes
from tasks.house import House

if TYPE_CHECKING:
    from flows.embedded import Engine

__all__ = ["complete", "queue_film", "restore_film", "restoring"]


def restore_film(house: House, path: Path, order: Order) -> Path:
    """Restore a film; return the path of its verified master.

    What an earlier run finished is used again. Raises RestarError; finished takes are kept.
    """
    return complete(house, prepare(house, path, order), force=order.force)


def complete(house: House, prepared: Prepared, *, force: bool = False) -> Path:
    """Do what is queued of a restoration, then assemble; return the path of its verified master."""
    while True:
        drain(house, prepared.restoration_id)
        master = finish(house, prepared.restoration_id, prepared.target, force=force)
        if master is not None:
            return master


def queue_film(house: House, path: Path, order: Order) -> Path:
    """Queue what a film needs, for agents to do; return where its master will be."""
    prepared = prepare(house, path, order)
    with house.catalog.begin() as session:
        enqueue_assemble(session, prepared.restoration_id)  # where nothing else is left to do
    return prepared.target


@contextmanager
def restoring(
    house: House,
    engine: "Engine | None",
    spinner: Callable[[str], AbstractContextManager[object]],
    queue: bool = False,
) -> Iterator[Callable[[Path, Order], Path]]:
    """Yield what restores one film: plain without `engine`, else as flows on it.

    `engine` is what `flows.embedded.start_early` returned; `spinner` shows a text while it comes up.
    With `queue` the work is only queued. Raises EngineError where the engine does not come up.
    """
    if queue:
        yield partial(queue_film, house)
        return
    if engine is None:
        yield partial(restore_film, house)
        return
    from flows.embedded import embedded_prefect

    with ExitStack() as stack:
        with spinner("starting the flow engine (Prefect); --plain goes without"):
            stack.enter_context(embedded_prefect(house.settings.prefect_home, engine))
            from flows.deployed import restore

        def run(path: Path, order: Order) -> Path:
            return Path(
                restore(
                    film=str(path),
                    recipe=order.recipe.model_dump(mode="json"),
                    output=str(order.output),
                    scenes=format_scenes(order.scenes),
                    seed=order.seed,
                    force=order.force,
                    accession=order.identifiers.accession,
                    allow_damaged=order.allow_damaged,
                )
            )

        yield run
