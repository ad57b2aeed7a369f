"""How each connection to a SQLite catalog is set up: durable, checked, patient.

`synchronous=FULL` makes a commit survive a power cut, not only a crash: a take that the catalog
calls done must not be forgotten. Leases alone are written at NORMAL (`Catalog.begin`): the process
that holds one does not outlive a power cut. Transactions are begun by the engine, not by the driver's
guess.
"""

import sqlite3
import time
from typing import Any

__all__ = ["BUSY_SECONDS", "prepare_connection"]

BUSY_SECONDS = 60.0


def prepare_connection(connection: sqlite3.Connection, _record: Any = None) -> None:
    """Set up a new connection; raise sqlite3.DatabaseError if the file is not a database."""
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
        "foreign_keys = ON",
        "synchronous = FULL",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    _use_wal(connection)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. SQLite does not wait for a lock here, so we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            if mode == "wal":
                return
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError(f"database is locked (journal mode {mode})")
        time.sleep(0.01)
