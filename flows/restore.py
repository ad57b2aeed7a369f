"""A film from its file to its master in one process: prepare, drain, finish.

By default as Prefect flows on an engine of our own (`flows.embedded`), which shows what runs; plain
without it. Both run the same functions and leave the same rows and files.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from flows.drain import drain
from flows.finish import finish
from flows.prepare import Order, prepare
from tasks.house import House

__all__ = ["restore_film", "restoring"]


def restore_film(house: House, path: Path, order: Order) -> Path:
    """Restore a film; return the path of its verified master.

    What an earlier run finished is used again. Raises RestarError; finished takes are kept.
    """
    prepared = prepare(house, path, order)
    while True:
        drain(house, prepared.restoration_id)
        master = finish(house, prepared.restoration_id, prepared.target, force=order.force)
        if master is not None:
            return master


@contextmanager
def restoring(
    house: House, plain: bool, spinner: Callable[[str], AbstractContextManager[object]]
) -> Iterator[Callable[[Path, Order], Path]]:
    """Yield what restores one film: plain, or as flows on an engine that runs inside the block.

    `spinner` is shown with a text while the engine starts. Raises EngineError where it does not.
    """
    if plain:
        yield partial(restore_film, house)
        return
    from flows.embedded import embedded

    with spinner("starting the flow engine"):
        engine = embedded(house.settings)
        engine.__enter__()
