"""`restar export`: the selected takes for editing and grading programs."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    film: Annotated[
        str,
        typer.Argument(metavar="FILM", help="A film's path, accession or id.", show_default=False),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="otio|edl|takes",
            help="OpenTimelineIO, a CMX 3600 list, or a folder with copies of the takes.",
        ),
    ] = "otio",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="File or folder; else beside the master."
        ),
    ] = None,
    restoration: Annotated[
        str | None, typer.Option("--restoration", metavar="ID", help="Which, if it has several.")
    ] = None,
) -> None:
    """Hand the selected takes over to Resolve, Baselight and the like. Prints the path.

    `otio`: a clip for each scene, linked to its take, the source and the master. `edl`: to cut the
    master into its scenes. `takes`: verified copies in a folder of their own, with a timeline and a
    list. Timecode is the source's.
    """
    from catalog.films import find_film
    from catalog.restorations import find_restoration
    from cli.console import open_house_here, progress_shown
    from restar.errors import UsageError
    from tasks.export import FORMATS, export_film
    from tasks.house import open_film

    chosen = next((one for one in FORMATS if one == kind), None)
    if chosen is None:
        raise UsageError(f"--format {kind}: choose one of {', '.join(FORMATS)}")
    with open_house_here() as house, progress_shown():
        with house.catalog.read() as session:
            found = find_film(session, film)
            row = find_restoration(session, found.id, restoration)
        path = export_film(house, open_film(house, found.id), row, chosen, output)
    typer.echo(path)
