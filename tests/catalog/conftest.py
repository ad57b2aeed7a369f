"""A catalog on each database: every test runs on SQLite and on a PostgreSQL server of our own."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from catalog import Catalog, open_catalog

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
def template(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Return the URL of a migrated catalog of a database, made once, to be copied by tests."""
    made: dict[str, str] = {}

    def get(database: str) -> str:
        if database not in made:
            if database == "sqlite":
                folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("template")
                url = f"sqlite:///{folder / 'catalog.sqlite'}"
            else:
                url = _new_database(request.getfixturevalue("server"), "template0")
            open_catalog(url).close()
            made[database] = url
        return made[database]

    return get


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The name of the database that the test runs on."""
    return str(request.param)


@pytest.fixture
def empty_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database without tables."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return _new_database(request.getfixturevalue("server"), "template0")


@pytest.fixture
def url(
    database: str,
    tmp_path: Path,
    template: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> str:
    """The URL of a fresh, migrated catalog."""
    source = template(database)
    if database == "sqlite":
        target = tmp_path / "catalog.sqlite"
        shutil.copyfile(str(make_url(source).database), target)
        return f"sqlite:///{target}"
    return _new_database(request.getfixturevalue("server"), str(make_url(source).database))


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    """A fresh catalog."""
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


def _new_database(server: str, source: str) -> str:
    name = f"t_{secrets.token_hex(6)}"
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")
