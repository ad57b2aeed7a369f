"""Alembic's entry: migrations run in the transaction that `catalog.engine` opened for them."""

from typing import Any, Literal

from alembic import context

from catalog.models import Base
from catalog.types import UtcTime


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own types as plain ones: a migration must not change when the program does."""
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=_render,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
