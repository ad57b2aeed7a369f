"""A catalog on each database: every test runs on SQLite and on a PostgreSQL server of our own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog import Catalog, open_catalog
from catalog.models import Base
from tests.postgres import DATABASES, Postgres, new_database


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated catalog's file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "catalog.sqlite"
    open_catalog(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgresql_catalog(postgres: Postgres) -> Iterator[Catalog]:
    """A migrated catalog on the server, to be emptied: far quicker than a database for each test."""
    with open_catalog(new_database(postgres.url)) as catalog:
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
    return new_database(request.getfixturevalue("postgres").url)


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
