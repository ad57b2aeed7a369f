"""The round trip: a film through the whole way with `identity`, then compared with its master."""

import tempfile
from pathlib import Path

from flows.prepare import Order
from flows.restore import restore_film
from media.check import Check, compare
from restar.recipe import load_recipe
from restar.settings import load_settings
from tasks.house import open_house

__all__ = ["round_trip"]


def round_trip(path: Path) -> list[Check]:
    """Return every property of an identity master against its film; nothing is left behind.

    Raises RestarError where the film can't make the way at all.
    """
    with tempfile.TemporaryDirectory(prefix="restar-roundtrip-") as folder:
        home = Path(folder)
        settings = load_settings().model_copy(update={"home": home, "database": "", "store": None})
        with open_house(settings) as house:
            order = Order(recipe=load_recipe("identity"), output=home / "master")
            return compare(path, restore_film(house, path, order))
