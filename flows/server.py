"""Prefect's server as restar runs it: `python -m flows.server HOST PORT HOME`.

It is Prefect's own application, on a new home filled in one step instead of by a hundred migrations
(`flows.embedded_server`), and with one mend: Prefect 3.8.8 hands its scheduler's inserts an attribute
that SQLAlchemy 2.1 refuses ("Can't evaluate bulk DML statement"), so that under `prefect server start`
with SQLAlchemy 2.1 no schedule ever fires. SQLAlchemy 2.0 ignored that attribute; here it is ignored
again.
"""

import sys
from pathlib import Path
from typing import Any

__all__ = ["main", "mend_scheduler"]


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    host, port, home = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    import uvicorn

    from flows.embedded_server import prepare_database

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    prepare_database(home)
    mend_scheduler()
    from prefect.server.api.server import create_app

    uvicorn.run(create_app(), host=host, port=port, log_level="warning", timeout_keep_alive=30)


def mend_scheduler() -> None:
    """Let bulk inserts of runs ignore the attribute `state`, which the scheduler writes afterwards."""
    from prefect.server.database import orm_models

    for model in (orm_models.FlowRun, orm_models.TaskRun):
        hybrid: Any = model.__dict__["state"]
        if getattr(hybrid, "bulk_dml_setter", _ignore) is None:
            hybrid.bulk_dml_setter = _ignore


def _ignore(_model: Any, _values: Any, _value: Any) -> None:
    return


if __name__ == "__main__":
    main()
