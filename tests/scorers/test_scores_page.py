"""docs/scores.md tells the truth about limits and names every measure."""

import re
from pathlib import Path

from restar.plugins import plugin_names
from restar.recipe import Score, Select
from scorers.flags import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")


def test_the_limits_are_those_that_ship() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| [<>] ([\d.]+) \| (\w+) \|$", PAGE, re.M)
    assert rows == [(r.flag, r.scorer, f"{r.limit:g}", r.over) for r in RULES]


def test_every_measure_is_named() -> None:
    assert [name for name in plugin_names("scorers") if f"`{name}`" not in PAGE] == []


def test_every_key_of_the_recipe_is_shown() -> None:
    for section in (Score, Select):
        for key in section.model_fields:
            assert re.search(rf"\b{key}\b", PAGE), key
