"""`restar degrade`: make a clean film look like a worn print."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["degrade"]


def degrade(
    film: Annotated[Path, typer.Argument(metavar="FILM", help="A clean film.", show_default=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where the result goes.")
    ],
    preset: Annotated[
        str,
        typer.Option(
            "--preset", metavar="P", help="archive: a worn print; star: for training; clean: x1/4."
        ),
    ] = "archive",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same again: same seed.")
    ] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter: wear.grain=0.1"),
    ] = None,
) -> None:
    """Degrade a film for tests, benchmarks and training.

    Grain, dust, scratches, flicker and gate weave, blur, JPEG and video compression. Every parameter
    is written beside the result, as JSON. Prints the path of the degraded film.
    """
    from cli.console import progress_shown
    from media.degrade import preset as parameters_of
    from media.degrade import with_changes
    from media.degradefilm import degrade_film
    from media.probe import probe
    from restar.progress import track

    what = with_changes(parameters_of(preset, seed), set_ or [])
    total = probe(film).video.frames or None
    with progress_shown(), track(f"degrading {film.name}", "frames", total) as advance:
        made = degrade_film(film, output, what, preset=preset, seed=seed, advance=advance)
    typer.echo(made.film)
