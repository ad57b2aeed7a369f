"""`restar caption`: what restorers are told of each scene; see it, correct it, have it made anew."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cli.restore import RecipeOption

if TYPE_CHECKING:
    from flows.caption import Captioned

__all__ = ["caption"]


def caption(
    film: Annotated[
        str, typer.Argument(metavar="FILM", help="Path, accession or id.", show_default=False)
    ],
    scenes: Annotated[
        str, typer.Option("--scenes", metavar="LIST", help="These scenes, as in 3,14,20-22.")
    ] = "",
    set_: Annotated[
        str | None,
        typer.Option("--set", metavar="TEXT", help="Their prompt, in your own words."),
    ] = None,
    caption_: Annotated[
        str | None,
        typer.Option(
            "--caption",
            metavar="TEXT",
            help="Correct their caption; the recipe makes the prompt of it.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Forget edits and captions; caption anew.")
    ] = False,
    recipe: RecipeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Caption the scenes of a film; show, edit or renew captions and prompts.

    Nothing is restored: the next `restar restore` by that recipe makes the scenes whose prompt changed,
    and only those. Shows for each scene who captioned it, what was left out (names), what the limit cut
    off, and whether it is a text card.
    """
    from cli.console import open_house_here, progress_shown
    from cli.restore import chosen_recipe, film_path
    from flows.caption import Edit, caption_film
    from restar.errors import UsageError
    from restar.timeline import parse_scenes

    edit = Edit(set_, caption_, again)
    edit.check()
    if (set_ is not None or caption_ is not None) and not scenes:
        raise UsageError(
            "--set and --caption need --scenes: say whose words they are, as in 3,14,20-22"
        )
    numbers = parse_scenes(scenes) if scenes else ()
    chosen = chosen_recipe(recipe, None, None, None) if recipe else None
    with open_house_here() as house, progress_shown():
        told = caption_film(house, film_path(house, film), chosen, numbers, edit)
    if as_json:
        typer.echo(json.dumps(vars(told), indent=2, ensure_ascii=False))
    else:
        _show(told)


def _show(told: "Captioned") -> None:
    from rich.console import Console
    from rich.markup import escape

    from cli.console import stderr, table

    title = f"recipe {escape(told.recipe)}: captioner {escape(told.captioner)} ({escape(told.why)})"
    shown = table(title, "scene", "frames", "caption", "prompt", "notes")
    for one in told.scenes:
        prompt = one["prompt"] or (f"({one['source']})" if one["source"] else "")
        notes = [*one["marks"]]
        if one["captioner"] == "person":
            notes.append("caption by a person")
        if one["source"] == "person":
            notes.append("prompt by a person")
        if one["shared_with"]:
            notes.append(f"looks like frames {one['shared_with'][0]}-{one['shared_with'][1] - 1}")
        if one["left_out"]:
            notes.append(f"left out: {', '.join(one['left_out'])}")
        if one["cut"]:
            notes.append(
                f"cut after {one['tokens']} of {one['limit']} tokens: {_short(one['cut'])}"
            )
        if one["tags"]:
            notes.append("tags: " + ", ".join(tag["tag"] for tag in one["tags"]))
        cells = (one["caption"], prompt, "; ".join(notes))
        frames = f"{one['start']}-{one['end'] - 1}"
        shown.add_row(str(one["scene"]), frames, *map(escape, cells))
    Console().print(shown)
    if any(one["captioner"].startswith("facts") for one in told.scenes):
        stderr().print(
            "restar: captions by `facts` are a template filled with measures", markup=False
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
