"""`restar report`: a page that shows what was done to a film, and how good it is."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    film: Annotated[
        str,
        typer.Argument(metavar="FILM", help="A film's path, accession or id.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE.html", help="Where it goes; else beside the master."
        ),
    ] = None,
    restoration: Annotated[
        str | None, typer.Option("--restoration", metavar="ID", help="Which, if it has several.")
    ] = None,
) -> None:
    """Write report.html: scores along the film, before and after, flags, maps, streams and hashes.

    One file, complete in itself: nothing is loaded from elsewhere. It can be written before there is a
    master, to look at takes that wait for a decision. Prints its path.
    """
    from catalog.films import find_film
    from catalog.restorations import find_restoration, recipe_of
    from cli.console import open_house_here, progress_shown
    from tasks.house import open_film
    from tasks.report import place_report

    with open_house_here() as house:
        with house.catalog.read() as session:
            found = find_film(session, film)
            row = find_restoration(session, found.id, restoration)
            recipe = recipe_of(session, row)
        with progress_shown():
            path = place_report(house, open_film(house, found.id), row, recipe, output)
    typer.echo(path)
