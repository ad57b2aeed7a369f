"""The round trip: a film through the whole way with `identity`, then compared with its master."""

import tempfile
from pathlib import Path

from flows.prepare import Order
from flows.restore import restore_film
from media.check import Check, compare
from media.streams import Container
from restar.recipe import load_recipe
from restar.settings import load_settings
from tasks.house import open_house

__all__ = ["round_trip"]


def round_trip(
    path: Path, container: Container = "matroska", allow_damaged: bool = False
) -> list[Check]:
    """Return every property of an identity master against its film; nothing is left behind.

    With `allow_damaged` it is held against what decodes, and one check says what does not.
    Raises RestarError where the film can't make the way at all.
    """
    with tempfile.TemporaryDirectory(prefix="restar-roundtrip-") as folder:
        home = Path(folder)
        settings = load_settings().model_copy(update={"home": home, "database": "", "store": None})
        with open_house(settings) as house:
            recipe = load_recipe("identity")
            deliver = recipe.deliver.model_copy(update={"container": container})
            recipe = recipe.model_copy(update={"deliver": deliver})
            order = Order(recipe, home / "master", allow_damaged=allow_damaged)
            return compare(path, restore_film(house, path, order), allow_damaged)
