"""A catalog on each database: every test runs on SQLite and on a PostgreSQL server of our own."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from catalog import Catalog, open_catalog
from catalog.models import Base

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server on a socket in a temporary folder, gone afterwards."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (initdb is not there)")
    folder = Path(tempfile.mkdtemp(prefix="restar-pg-", dir="/tmp"))  # a socket needs a short path
    run_as = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        run_as = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"

    def call(program: str, *arguments: str) -> None:
        command = [*run_as, str(binaries / program), "-D", str(data), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)

    options = f"-k {folder} -c listen_addresses= -c fsync=off -c full_page_writes=off"
    call("initdb", "-A", "trust", "-U", "restar", "--no-sync", "-E", "UTF8", "--locale=C")
    call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://restar@/postgres?host={folder}"
    finally:
        call("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated catalog's file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "catalog.sqlite"
    open_catalog(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgresql_catalog(server: str) -> Iterator[Catalog]:
    """A migrated catalog on the server, to be emptied: far quicker than a database for each test."""
    with open_catalog(new_database(server)) as catalog:
        yield catalog


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The name of the database that the test runs on."""
    return str(request.param)


@pytest.fixture
def empty_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the test's own, without tables."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return new_database(request.getfixturevalue("server"))


@pytest.fixture
def url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a migrated catalog without rows."""
    if database == "sqlite":
        path = tmp_path / "catalog.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    shared: Catalog = request.getfixturevalue("postgresql_catalog")
    tables = reversed(Base.metadata.sorted_tables)
    empty = "; ".join(f"DELETE FROM {table.name}" for table in tables)  # noqa: S608
    with shared.engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL session_replication_role = replica; {empty}")
    return shared.url


@pytest.fixture
def catalog(url: str, database: str, request: pytest.FixtureRequest) -> Iterator[Catalog]:
    """A catalog without rows."""
    if database == "postgresql":
        yield request.getfixturevalue("postgresql_catalog")
        return
    with open_catalog(url) as opened:
        yield opened


def _binaries() -> Path | None:
    """Find the folder of the server's programs: asked of pg_config, else Debian's, the newest."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if shutil.which("pg_config"):
        asked = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=True
        )
        candidates.insert(0, Path(asked.stdout.strip()))
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


def new_database(server: str) -> str:
    """Make an empty database on a server; return its URL."""
    name = f"t_{secrets.token_hex(6)}"
    target = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(target, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")
