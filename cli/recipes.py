"""`restar recipes`: which there are, what they do, and what can be written in one."""

from collections.abc import Mapping
from typing import Annotated

import typer

__all__ = ["recipes"]


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME|FILE.toml", help="Show this one whole.", show_default=False),
    ] = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="List every key that a recipe may have.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With a name: as JSON, every default filled in.")
    ] = False,
) -> None:
    """List the recipes that come along; show or check one.

    A recipe is a TOML file. It is data: nothing in it is ever run. To begin one of your own:
    `restar recipes default > mine.toml`, then `restar restore FILM --recipe mine.toml`.
    """
    from rich.console import Console

    from cli.console import table
    from restar.recipe import Recipe, built_in_recipes, load_recipe, recipe_text

    console = Console()
    if keys:
        shown = table("", "section", "key", "default", "meaning")
        for section, field in Recipe.model_fields.items():
            model = field.annotation
            for key, part in getattr(model, "model_fields", {}).items():
                default = (
                    "" if part.is_required() else str(part.get_default(call_default_factory=True))
                )
                shown.add_row(section, key, default, part.description or "")
        console.print(shown)
    elif name is not None:
        recipe = load_recipe(name)
        if as_json:
            console.print_json(recipe.model_dump_json())
        else:
            typer.echo(recipe_text(name).rstrip("\n"))
    else:
        shown = table("", "recipe", "steps", "what it does")
        for one in built_in_recipes():
            steps = " → ".join(f"{step.use}{_options(step.options)}" for step in one.restore.steps)
            shown.add_row(one.name, steps, one.description)
        console.print(shown)
        console.print(
            "Write your own: `restar recipes default > mine.toml`; `restar recipes --keys`."
        )


def _options(options: Mapping[str, object]) -> str:
    return f" ({', '.join(f'{k} {v}' for k, v in options.items())})" if options else ""
