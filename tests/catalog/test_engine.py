"""Opening a catalog: made, migrated, shared, explained, refused."""

import shutil
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from catalog import Catalog, engine, filesystem, open_catalog, sqlite_connection
from catalog.engine import HEAD
from catalog.models import Base, FilmRow
from restar.errors import CatalogError
from tests.catalog.rows import add_film


def test_head_is_the_newest_migration() -> None:
    folder = Path(engine.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_the_migrations_make_what_the_models_say(empty_url: str) -> None:
    with open_catalog(empty_url) as catalog, catalog.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                # SQLAlchemy can't read an index with DESC back from SQLite (see test_jobs)
                "include_object": lambda _object, name, *_: name != "ix_job_queue",
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_every_constraint_has_a_name() -> None:
    unnamed = [
        (table.name, constraint)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is None
    ]
    assert unnamed == []
    names = [c.name for table in Base.metadata.tables.values() for c in table.constraints]
    assert max(len(str(name)) for name in names) <= 63, "PostgreSQL would cut a name"


def test_a_missing_catalog_is_made_only_if_wanted(empty_url: str) -> None:
    with pytest.raises(CatalogError, match="no catalog here yet"):
        open_catalog(empty_url, migrate=False)
    open_catalog(empty_url).close()
    open_catalog(empty_url, migrate=False).close()


def test_an_open_catalog_does_not_load_the_migrations(
    catalog: Catalog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_migrate", lambda _engine: pytest.fail("migrated again"))
    open_catalog(url).close()


def test_a_catalog_of_a_newer_program_is_refused(empty_url: str) -> None:
    with open_catalog(empty_url) as catalog, catalog.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for migrate in (True, False):
        with pytest.raises(CatalogError, match="upgrade restar"):
            open_catalog(empty_url, migrate=migrate)


def test_another_program_s_database_is_refused(empty_url: str) -> None:
    with open_catalog(empty_url) as catalog, catalog.begin() as session:
        session.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(CatalogError, match="holds other tables"):
        open_catalog(empty_url)


def test_a_migration_that_fails_leaves_nothing(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    shutil.copytree(Path(engine.__file__).parent / "migrations", package / "migrations")
    script = package / "migrations" / "versions" / "9998_broken.py"
    script.write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9998', '{HEAD}'\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE half (id INTEGER)')\n"
        "    raise RuntimeError('broken')\n"
    )
    monkeypatch.setattr(engine, "__file__", str(package / "engine.py"))
    with pytest.raises(RuntimeError, match="broken"):
        open_catalog(empty_url)
    monkeypatch.undo()
    with pytest.raises(CatalogError, match="no catalog here yet"):
        open_catalog(empty_url, migrate=False)
    open_catalog(empty_url).close()


def test_an_older_catalog_is_migrated(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_catalog(empty_url) as catalog, catalog.begin() as session:
        film = add_film(session)
    package = tmp_path / "package"
    shutil.copytree(Path(engine.__file__).parent / "migrations", package / "migrations")
    (package / "migrations" / "versions" / "9998_next.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        f"revision, down_revision = '9998', '{HEAD}'\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('film', recreate='auto') as film:\n"
        "        film.add_column(sa.Column('country', sa.Text()))\n"
        "        film.alter_column('title', new_column_name='name')\n"
    )
    monkeypatch.setattr(engine, "__file__", str(package / "engine.py"))
    monkeypatch.setattr(engine, "HEAD", "9998")
    with pytest.raises(CatalogError, match="older"):
        open_catalog(empty_url, migrate=False)
    with open_catalog(empty_url) as catalog, catalog.read() as session:
        assert session.execute(text("SELECT id FROM film WHERE name = ''")).scalar() == film.id
        assert session.execute(text("SELECT count(*) FROM event")).scalar() == 1


def test_an_error_undoes_the_whole_transaction(catalog: Catalog) -> None:
    with pytest.raises(RuntimeError), catalog.begin() as session:
        add_film(session)
        raise RuntimeError
    with catalog.read() as session:
        assert session.get(FilmRow, "x") is None
        assert session.execute(text("SELECT count(*) FROM film")).scalar() == 0


def test_a_read_can_write_nothing(catalog: Catalog) -> None:
    with pytest.raises((CatalogError, DBAPIError)), catalog.read() as session:
        add_film(session)
    with catalog.begin() as session:
        add_film(session)


def test_a_read_sees_one_moment_and_waits_for_no_writer(catalog: Catalog) -> None:
    def write() -> None:
        with catalog.begin() as session:
            add_film(session, "b.mkv")

    count = text("SELECT count(*) FROM film")
    with catalog.begin() as writer:
        add_film(writer, "a.mkv")
        with catalog.read() as session:
            assert session.execute(count).scalar() == 0
    with catalog.read() as session:
        assert session.execute(count).scalar() == 1
        other = threading.Thread(target=write)
        other.start()
        other.join(30)
        assert session.execute(count).scalar() == 1
    with catalog.read() as session:
        assert session.execute(count).scalar() == 2


def test_rows_are_readable_after_their_session(catalog: Catalog) -> None:
    with catalog.begin() as session:
        film = add_film(session)
    assert film.to_manifest().film_id == film.id
    assert film.registered_at.utcoffset() is not None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("", "not a database URL"),
        ("nonsense", "not a database URL"),
        ("mysql://x/y", "use sqlite"),
        ("sqlite://", "has to be a file"),
        ("sqlite:///:memory:", "has to be a file"),
    ],
)
def test_what_is_no_catalog_s_url_is_refused(wrong: str, says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        open_catalog(wrong)


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="RESTAR_DATABASE") as caught:
        open_catalog(f"postgresql://me:secret@/x?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"not a database, " * 1000)
    with pytest.raises(CatalogError, match="damaged or no catalog"):
        open_catalog(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database, " * 1000


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_damaged_file_is_reported(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with (
        pytest.raises(CatalogError, match="damaged"),
        open_catalog(url) as catalog,
        catalog.read() as session,
    ):
        session.execute(text("SELECT * FROM film")).all()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_writer_that_waits_too_long_is_told_why(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.05)
    with (
        open_catalog(url) as one,
        open_catalog(url) as other,
        one.begin() as first,
        pytest.raises(CatalogError, match="another process"),
        other.begin() as second,
    ):
        first.execute(text("SELECT 1"))  # a write transaction locks before it reads
        second.execute(text("SELECT 1"))
        pytest.fail("two writers at once")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_commit_on_sqlite_survives_a_power_cut(catalog: Catalog) -> None:
    for transaction in (catalog.read, catalog.begin):
        with transaction() as session:
            assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert session.execute(text("PRAGMA synchronous")).scalar() == 2
            assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_only_what_says_so_waits_for_a_later_sync(catalog: Catalog) -> None:
    """A connection is used again: what one transaction asked of it must not stay for the next."""
    for durable, level in ((False, 1), (True, 2), (False, 1), (True, 2)):
        with catalog.begin(durable=durable) as session:
            assert session.execute(text("PRAGMA synchronous")).scalar() == level
        with catalog.read() as session:
            assert session.execute(text("PRAGMA query_only")).scalar() == 1


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match="RESTAR_HOME"):
        open_catalog(f"sqlite:///{tmp_path / 'file' / 'catalog.sqlite'}")


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_a_network_drive_is_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts, home = tmp_path / "mounts", tmp_path / "my films" / "home"
    escaped = str(home.parent).replace(" ", r"\040")
    mounts.write_text(f"/dev/x / ext4 rw 0 0\nhost:/x {escaped} {kind} rw 0 0\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    with pytest.raises(CatalogError, match=f"network file system \\({kind}\\)"):
        open_catalog(f"sqlite:///{home / 'catalog.sqlite'}")
    assert not (home / "catalog.sqlite").exists()
    open_catalog(f"sqlite:///{tmp_path / 'local' / 'catalog.sqlite'}").close()
