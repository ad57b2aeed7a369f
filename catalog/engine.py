"""Opening the catalog: SQLite in WAL on a local disk or PostgreSQL, at the right version, never half.

A write transaction takes SQLite's write lock at once (BEGIN IMMEDIATE): one that reads first and
writes later would fail half-way whenever another process wrote in between. A read sees one moment,
can write nothing, and neither waits for a writer nor holds one up.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.orm import Session

from catalog.filesystem import refuse_network
from catalog.sqlite_connection import prepare_connection
from catalog.types import json_text
from restar.errors import CatalogError

__all__ = ["HEAD", "Catalog", "open_catalog"]

HEAD = "0008"  # the newest migration of this program; a test holds it against the folder
_MIGRATION_LOCK = 0x7265_7374_6172  # PostgreSQL advisory lock: "restar"


class Catalog:
    """An open catalog. Threads may share one; a process opens its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(restar_write="durable")
        self._noter = engine.execution_options(restar_write="soon")
        self._reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) if engine.dialect.name == "postgresql" else engine  # fmt: skip

    @property
    def url(self) -> str:
        """Where the catalog is, without a password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def begin(self, *, durable: bool = True) -> Iterator[Session]:
        """A write transaction: committed at the end of the block, undone on any error.

        One that is not `durable` outlives this process, but on SQLite a power cut may undo it until
        the next durable one is committed: enough for leases, which such a cut ends anyway.
        """
        engine = self._writer if durable else self._noter
        with _explained(self.engine), _session(engine) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A view of one moment. The database refuses to write in it."""
        with _explained(self.engine), _session(self._reader) as session:
            yield session

    def close(self) -> None:
        """Close every connection; the last one to leave SQLite folds its log into the file."""
        self.engine.dispose()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_catalog(url: str, *, migrate: bool = True, idle_seconds: float = 60.0) -> Catalog:
    """Open the catalog at a SQLAlchemy URL (`sqlite:////folder/file`, `postgresql://...`).

    A new one gets its tables, an older one is migrated; two processes may do so at once. With
    `migrate` off, an older or missing one is refused. PostgreSQL undoes a transaction in which nothing
    came for `idle_seconds`: the process that began it is frozen or cut off, and others may wait for
    what it holds. Raises CatalogError if it can't be opened, is
    damaged, lies on a network file system (SQLite), or belongs to a newer restar.
    """
    engine = _engine(url, idle_seconds)
    try:
        with _explained(engine):
            version = _version(engine)
            if version != HEAD:
                if not migrate:
                    raise CatalogError(_wrong_version(engine, version))
                _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Catalog(engine)


def _engine(url: str, idle_seconds: float) -> Engine:
    try:
        target = make_url(url)
    except ArgumentError:
        raise CatalogError(
            "RESTAR_DATABASE is not a database URL: write sqlite:////folder/file or postgresql://..."
        ) from None
    backend = target.get_backend_name()
    if backend == "sqlite":
        return _sqlite(target)
    if backend != "postgresql":
        raise CatalogError(f"{backend}: not a catalog's database: use sqlite:/// or postgresql://")
    try:
        return create_engine(
            target.set(drivername="postgresql+psycopg"),
            json_serializer=json_text,
            pool_pre_ping=True,
            connect_args={
                "options": f"-c idle_in_transaction_session_timeout={round(1000 * idle_seconds)}",
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 60_000,  # milliseconds until a host that is gone is known to be
            },
        )
    except ImportError:
        raise CatalogError("PostgreSQL needs its driver: pip install 'restar[postgres]'") from None


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise CatalogError("the catalog has to be a file: RESTAR_DATABASE=sqlite:////folder/file")
    path = Path(url.database).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogError(
            f"{path.parent}: can't be made ({error.strerror}); set RESTAR_HOME to a folder that "
            "you may write to"
        ) from None
    refuse_network(path)
    engine = create_engine(f"sqlite:///{path}", json_serializer=json_text)
    event.listen(engine, "connect", prepare_connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("restar_write", "")
        wanted = {"query_only": "OFF" if writing else "ON"}
        if writing:
            wanted["synchronous"] = "NORMAL" if writing == "soon" else "FULL"
        for pragma, value in wanted.items():
            if connection.info.get(pragma) != value:  # else it is as it was left
                connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
                connection.info[pragma] = value
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _session(engine: Engine) -> Session:
    return Session(engine, expire_on_commit=False)


def _version(engine: Engine) -> str | None:
    """Return the catalog's migration; None if it has none yet."""
    with engine.connect() as connection:
        return _version_on(connection)


def _version_on(connection: Connection) -> str | None:
    query = text("SELECT version_num FROM alembic_version")
    try:
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            return connection.execute(query).scalar()
    except (OperationalError, ProgrammingError):
        tables = inspect(connection).get_table_names()
        if "alembic_version" in tables:
            raise
    if tables:
        raise CatalogError(
            f"{connection.engine.url.database}: this database holds other tables "
            f"({', '.join(sorted(tables)[:3])}, ...); give the catalog one of its own"
        )
    return None


def _migrate(engine: Engine) -> None:
    """Bring the catalog to HEAD in one transaction, one process at a time."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with _alone(engine) as connection:
        version = _version_on(connection)
        if version == HEAD:
            return
        if version is not None and version not in known:
            raise CatalogError(_wrong_version(engine, version))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A write transaction in which no other process migrates."""
    with engine.connect() as plain:
        connection = plain.execution_options(restar_write="durable")
        if engine.dialect.name == "postgresql":
            with connection.begin():
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                yield connection
            return
        # SQLite makes a table anew to alter it, which foreign keys would take for a deletion
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise CatalogError("the catalog's rows don't fit together; it was not migrated")
        finally:
            raw.execute("PRAGMA foreign_keys = ON")


def _wrong_version(engine: Engine, version: str | None) -> str:
    where = engine.url.render_as_string(hide_password=True)
    if version is None:
        return f"{where}: there is no catalog here yet; `restar restore` makes one"
    if version < HEAD:
        return f"{where}: the catalog is older ({version}) than this program ({HEAD}); migrate it"
    return f"{where}: made by a newer restar (version {version}, here {HEAD}): upgrade restar"


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    """Turn what the database itself reports into one line that says what to do."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise  # a fault of this program: the trace is wanted
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
        advice = next((say for sign, say in _ADVICE.items() if sign in reason), _GENERAL_ADVICE)
        where = engine.url.render_as_string(hide_password=True)
        raise CatalogError(f"catalog {where}: {reason}; {advice}") from error


_ADVICE = {
    "not a database": "the file is damaged or no catalog: restore a backup, or move it away",
    "malformed": "the file is damaged: restore a backup, or move it away",
    "disk I/O error": "the disk fails or the file is damaged: look at the disk, restore a backup",
    "locked": "another process has been writing for long: try again, or end that process",
    "deadlock": "nothing was written: try again",
    "full": "there is no space left on the disk of the catalog",
    "readonly": "you need write permission for the file and its folder",
    "read-only": "you need write permission for the file and its folder",
    "unable to open": "you need permission for the file and its folder",
    "refused": "start the server, or correct RESTAR_DATABASE",
    "password": "correct user and password in RESTAR_DATABASE",
}
_GENERAL_ADVICE = "look at RESTAR_DATABASE and at the server or disk behind it"
