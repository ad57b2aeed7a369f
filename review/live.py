"""Live updates: one look a second at the catalog for all open pages, told to each as an event.

Server-sent events (HTML Living Standard, section 9.2): an answer that does not end. A page gets only the
news that something changed and fetches what it shows of that; so nobody reads anything twice, and a page
that was away for an hour has only to load again. Nothing is looked at while no page is open.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from catalog.pulse import Change, Pulse, changes_since, pulse_of
from restar.errors import CatalogError
from tasks.house import House

__all__ = ["Watch", "router"]

router = APIRouter()
PERIOD_S = 1.0
_KEEP_ALIVE_S = 15.0
_MOST_WAITING = 100
_log = logging.getLogger("restar.review")


@router.get("/live")
async def live(request: Request) -> StreamingResponse:
    watch: Watch = request.app.state.watch

    async def told() -> AsyncIterator[str]:
        yield "retry: 3000\n\n"
        async for change in watch.changes():
            if change is None:
                yield ": still here\n\n"
            else:
                news = {"films": change.films, "queue": change.queue}
                yield f"event: changed\ndata: {json.dumps(news)}\n\n"

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(told(), media_type="text/event-stream", headers=headers)


class Watch:
    """Looks at the catalog as long as somebody listens."""

    def __init__(self, house: House, period_s: float = PERIOD_S) -> None:
        self._house, self._period = house, period_s
        self._listeners: set[asyncio.Queue[Change | None]] = set()
        self._over = False
        self._task: asyncio.Task[None] | None = None

    async def changes(self) -> AsyncIterator[Change | None]:
        """Yield what changes from now on; None now and then, so that a connection that is gone shows."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(_MOST_WAITING)
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            while not self._over:
                try:
                    change = await asyncio.wait_for(queue.get(), _KEEP_ALIVE_S)
                except TimeoutError:
                    change = None
                if not self._over:
                    yield change
        finally:
            self._listeners.discard(queue)

    def end(self) -> None:
        """End every answer that is open: the room closes, and would wait for them."""
        self._over = True
        for queue in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

    async def _look(self) -> None:
        before: Pulse | None = None
        while self._listeners and not self._over:
            try:
                if before is None:
                    before = await run_in_threadpool(self._pulse)
                else:
                    before, change = await run_in_threadpool(self._changes, before)
                    if change:
                        self._tell(change)
            except CatalogError as error:
                _log.warning("no live updates for now: %s", error)
            await asyncio.sleep(self._period)

    def _tell(self, change: Change) -> None:
        for queue in self._listeners:
            with contextlib.suppress(
                asyncio.QueueFull
            ):  # whoever reads so slowly loads again anyway
                queue.put_nowait(change)

    def _pulse(self) -> Pulse:
        with self._house.catalog.read() as session:
            return pulse_of(session)

    def _changes(self, before: Pulse) -> tuple[Pulse, Change]:
        with self._house.catalog.read() as session:
            return changes_since(session, before)
