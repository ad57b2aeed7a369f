"""A PostgreSQL server of our own for a test session: one for all tests, which may restart it."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from catalog import open_catalog

__all__ = ["DATABASES", "Postgres", "new_database", "postgres"]

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


class Postgres:
    """A server on a socket in a temporary folder; `url` is that of its own database."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(
            tempfile.mkdtemp(prefix="restar-pg-", dir="/tmp")
        )  # sockets: short paths
        self._run_as: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self.folder, "postgres")
            self._run_as = ["runuser", "-u", "postgres", "--"]
        self.url = f"postgresql://restar@/postgres?host={self.folder}"
        self._template = ""
        self.call("initdb", "-A", "trust", "-U", "restar", "--no-sync", "-E", "UTF8", "--locale=C")

    def call(self, program: str, *arguments: str) -> None:
        data = str(self.folder / "data")
        command = [*self._run_as, str(self._binaries / program), "-D", data, *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c full_page_writes=off"
        self.call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.call("pg_ctl", "-w", "-m", "immediate", "stop")

    def migrated(self) -> str:
        """Return the URL of a new catalog without rows, copied from one that was migrated once."""
        if not self._template:
            url = new_database(self.url)
            open_catalog(url).close()
            self._template = url.partition("?")[0].rpartition("/")[2]
        return new_database(self.url, self._template)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's server, gone afterwards."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (initdb is not there)")
    server = Postgres(binaries)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def new_database(server: str, template: str = "template0") -> str:
    """Make a database on a server, empty or as the template is; return its URL."""
    name = f"t_{secrets.token_hex(6)}"
    target = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(target, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


def _binaries() -> Path | None:
    """Find the folder of the server's programs: asked of pg_config, else Debian's, the newest."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if shutil.which("pg_config"):
        asked = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=True
        )
        candidates.insert(0, Path(asked.stdout.strip()))
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)
