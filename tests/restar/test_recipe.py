"""Recipes are data: every fault is one sentence that names its place, and nothing is ever run."""

from pathlib import Path

import pytest

from restar.errors import RecipeError
from restar.recipe import Recipe, built_in_recipes, load_recipe, parse_recipe

LEAST = 'name = "mine"\n[[restore.steps]]\nuse = "identity"\n'


def test_the_built_in_ones_say_what_they_do() -> None:
    recipes = {recipe.name: recipe for recipe in built_in_recipes()}
    assert {"default", "identity"} <= set(recipes)
    assert all(recipe.description for recipe in recipes.values())
    assert load_recipe("default") == recipes["default"]


def test_the_least_recipe_has_safe_defaults() -> None:
    recipe = parse_recipe(LEAST.encode(), "mine.toml")
    assert recipe.restore.pixel_format == "auto"
    assert recipe.select.rule == "first"
    assert recipe.score.thresholds == {}


def test_a_recipe_reads_back_as_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LEAST)
    recipe = load_recipe(str(path))
    assert Recipe.model_validate(recipe.model_dump(mode="json")).sha256 == recipe.sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'restore' is missing|'name' is missing"),
        ("name = 1", "name"),
        ("name = ", "not valid TOML"),
        (LEAST + "[surprise]\nx = 1", "unknown key 'surprise'.*known here:.*restore"),
        (LEAST + "[deliver]\ncodec = 'x'", "unknown key 'deliver.codec'.*known here:.*access"),
        (LEAST + "[deliver]\naccess_crf = 99", "deliver.access_crf"),
        (LEAST + "[score.thresholds]\na = nan", "score.thresholds"),
        ('name = "../x"\n[[restore.steps]]\nuse = "identity"', "'name' is not valid"),
        ('name = "x"\n[restore]\nsteps = []', "restore.steps"),
        ('name = "x"\n[[restore.steps]]\nuse = "identity"\nopt = 1', r"restore.steps.0.opt"),
        ("a" + ".b" * 30_000 + " = 1", "line 1 is no key"),
        ("[a" + ".b" * 30_000 + "]", "line 1 is no key"),
        ("a = " + "[" * 30_000, "not valid TOML"),
    ],
)
def test_a_fault_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        parse_recipe(text.encode(), "mine.toml")
    assert "recipe mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(RecipeError, match="not UTF-8"):
        parse_recipe(b"\xff\xfe\x00name", "mine.toml")


def test_what_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"choose one of .*default.*identity"):
        load_recipe("no-such-recipe")
    with pytest.raises(RecipeError, match=r"gone\.toml: No such file"):
        load_recipe(str(tmp_path / "gone.toml"))


def test_a_name_never_leads_out_of_the_folder() -> None:
    for name in ("../recipes/default", "..", "/etc/passwd"):
        with pytest.raises(RecipeError):
            load_recipe(name)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(3 << 20)
    with pytest.raises(RecipeError, match="larger than 64 KiB"):
        load_recipe(str(path))


def test_what_looks_like_code_stays_text() -> None:
    text = LEAST + "[prompt]\ntext = \"{0.__class__} $(touch /tmp/x) __import__('os')\"\n"
    recipe = parse_recipe(text.encode(), "mine.toml")
    assert recipe.prompt.text == "{0.__class__} $(touch /tmp/x) __import__('os')"
