"""Announcements: what happened, as an event of the engine, for its automations and its page.

Only what shows and what may be acted upon: the record of what was done is the catalog's. Outside of a
flow nothing is announced, and where the engine is away nothing is held up.
"""

import logging
from typing import Any

from tasks.step import inside_flow

__all__ = ["announce"]

_log = logging.getLogger("restar.announce")


def announce(event: str, resource: str, **payload: Any) -> None:
    """Emit an event such as "master.assembled" about a resource, where a flow is running."""
    if not inside_flow():
        return
    from prefect.events import emit_event

    try:
        emit_event(event, resource={"prefect.resource.id": resource}, payload=payload)
    except Exception as error:
        _log.warning("%s is not announced: %s", event, error)
