"""Write the next migration: what the models have and the newest migration has not.

    python -m catalog.migrations 0002 "users and their roles"

Then read what was written (a renamed column looks like one removed and one added), set
`catalog.engine.HEAD`, and run tests/catalog: they hold the migrations against the models on both
databases.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from catalog.engine import open_catalog

__all__ = ["main"]


def main(number: str, title: str) -> None:
    """Compare the models with a catalog made by the migrations so far."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with (
        tempfile.TemporaryDirectory() as folder,
        open_catalog(f"sqlite:///{folder}/catalog.sqlite") as catalog,
        catalog.engine.connect() as connection,
    ):
        config.attributes["connection"] = connection
        command.revision(config, message=title, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
