"""The SQL catalog: films, shot lists, restorations, takes, masters, jobs and their events.

The catalog owns which work is queued, leased or done. Its functions take a `Session` first and never
commit, so a caller joins several of them into one transaction of `Catalog.begin()`. SQLite (WAL) on
one host and PostgreSQL beyond it behave the same and pass the same tests.
"""

from catalog.engine import Catalog, open_catalog

__all__ = ["Catalog", "open_catalog"]
