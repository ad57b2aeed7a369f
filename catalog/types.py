"""What SQLite and PostgreSQL say differently, said once: UTC times, the database's clock, upserts.

Leases are compared by the clock of the database, never by that of an agent: hosts' clocks disagree,
and a lease that looks expired on one of them would be taken from an agent that is still at work.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    Integer,
    inspect,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from restar.hashing import canonical_json

__all__ = [
    "BigId",
    "UtcTime",
    "db_time",
    "insert_missing",
    "inserted",
    "json_text",
    "now",
    "plain_text",
]

BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """A moment with a time zone, kept in UTC to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class now(FunctionElement[datetime]):  # noqa: N801  (reads as SQL)
    """The database's clock, `seconds` from now. It moves on while a transaction waits for a lock."""

    type = UtcTime()
    inherit_cache = True

    def __init__(self, seconds: float | ColumnElement[float] = 0.0) -> None:
        shift = literal(float(seconds), Double) if isinstance(seconds, float | int) else seconds
        super().__init__(shift)


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    # three digits from SQLite and three zeros: the format in which SQLAlchemy stores a time there
    shift = f"printf('%+.3f seconds', {compiler.process(element.clauses, **kw)})"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {shift})"


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)}))"


def db_time(session: Session) -> datetime:
    """Return the database's clock, in UTC."""
    return session.execute(select(now())).scalar_one()


def json_text(value: Any) -> str:
    """Return canonical JSON that any database takes.

    A file name that is not UTF-8 (Python has it with lone surrogates) comes back as it was.
    """
    return plain_text(canonical_json(value))


def plain_text(text: str) -> str:
    """Return text that any database takes: what is not Unicode is written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def insert_missing(
    session: Session,
    model: type[DeclarativeBase],
    values: Mapping[str, Any],
    unique: Sequence[str],
) -> bool:
    """Insert a row unless one with the same `unique` columns is there; whether it was inserted.

    Two processes that insert the same row at once both return, and one row is there.
    """
    return inserted(session, model, values, unique) is not None


def inserted(
    session: Session,
    model: type[DeclarativeBase],
    values: Mapping[str, Any],
    unique: Sequence[str],
) -> Any:
    """As `insert_missing`; return the new row's primary key (its first column), None where none is."""
    mapper = inspect(model)
    columns = {mapper.attrs[name].columns[0].key: value for name, value in values.items()}
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(mapper.local_table).values(columns)
    keys = [mapper.attrs[name].columns[0].name for name in unique]
    statement = statement.on_conflict_do_nothing(index_elements=keys)
    return session.execute(statement.returning(mapper.primary_key[0])).scalar()
