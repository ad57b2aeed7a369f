"""`restar preview`: a look and an estimate before hours are spent."""

from pathlib import Path
from typing import Annotated

import typer

from cli.restore import RecipeOption, RestorerOption, ScaleOption

__all__ = ["preview"]


def preview(
    film: Annotated[
        str, typer.Argument(metavar="FILM", help="Path, accession or id.", show_default=False)
    ],
    recipe: RecipeOption = None,
    restorer: RestorerOption = None,
    scale: ScaleOption = None,
    scenes: Annotated[
        str, typer.Option("--scenes", metavar="LIST", help="These scenes, as in 3,14,20-22.")
    ] = "",
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where the picture goes.")
    ] = Path("restored"),
) -> None:
    """Restore two seconds of a few scenes; estimate hours and bytes for the whole film.

    Prints the path of a picture with each scene before and after.
    """
    from rich import filesize

    from cli.console import open_house_here, progress_shown, stderr
    from cli.restore import chosen_recipe, film_path
    from restar.errors import UsageError
    from restar.timeline import parse_scenes
    from tasks.house import open_film
    from tasks.ingest import ingest
    from tasks.preview import preview as make_preview
    from tasks.shots import shots_of

    chosen = chosen_recipe(recipe, restorer, scale, None)
    with open_house_here() as house, progress_shown():
        found = open_film(house, ingest(house, path=film_path(house, film)))
        known = {scene.number: scene for scene in shots_of(house, found.row.id)[1]}
        numbers = parse_scenes(scenes) if scenes else _spread(len(known))
        unknown = set(numbers) - set(known)
        if unknown:
            raise UsageError(f"{found.path.name} has scenes 1-{len(known)}, not {min(unknown)}")
        target = output / f"{found.path.stem}.{chosen.name}.preview.jpg"
        result = make_preview(house, found, chosen, [known[n] for n in numbers], target)
    size = filesize.decimal(result.take_bytes)
    stderr().print(
        f"restar: {result.frames} frames at {result.frames_per_second:.1f} a second\n"
        f"restar: the whole film ({found.index.count} frames): about {_hours(result.hours)} and "
        f"{size} of takes, and as much again for the master",
        soft_wrap=True,
        markup=False,
    )
    typer.echo(result.picture)


def _spread(count: int, wanted: int = 3) -> tuple[int, ...]:
    """Scene numbers spread evenly over a film."""
    return tuple(sorted({1 + (2 * i + 1) * count // (2 * wanted) for i in range(wanted)}))


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} h"
    if hours * 60 >= 1:
        return f"{hours * 60:.0f} min"
    return f"{max(1, round(hours * 3600))} s"
