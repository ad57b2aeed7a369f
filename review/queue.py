"""Agents and queue: who holds what, how long, what comes next, what failed and why."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from catalog.agents import list_agents
from catalog.queue import look_at_queue
from review.page import house_of, render

__all__ = ["router"]

router = APIRouter()


@router.get("/queue")
def queue(request: Request) -> Response:
    house = house_of(request)
    with house.catalog.read() as session:
        agents = list_agents(session, silent_after=house.settings.lease_seconds)
        found = look_at_queue(session)
    return render(request, "queue.html", agents=agents, queue=found)
