"""`restar shots`: see and change where a film's scenes begin and end."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from restar.film import Scene
    from tasks.house import OpenFilm

__all__ = ["shots"]


def shots(
    film: Annotated[
        str, typer.Argument(metavar="FILM", help="Path, accession or id.", show_default=False)
    ],
    list_: Annotated[bool, typer.Option("--list", help="List the scenes (the default).")] = False,
    merge: Annotated[
        str, typer.Option("--merge", metavar="LIST", help="Make these scenes one, as in 3-5.")
    ] = "",
    split: Annotated[
        str,
        typer.Option("--split", metavar="FRAMES", help="Begin a scene at these frames: 120,348."),
    ] = "",
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take the scenes of a .csv, .edl or .otio."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write them to a .csv, .edl or .otio."),
    ] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the new version.")] = "",
) -> None:
    """List, merge, split, import or export a film's scenes.

    A change makes a new version of the shot list; the next `restar restore` uses it and makes only
    the takes of scenes that are new. Frames count from 0.
    """
    from cli.console import open_house_here, progress_shown, stderr
    from cli.restore import film_path
    from restar.errors import UsageError
    from tasks.house import open_film
    from tasks.ingest import ingest
    from tasks.shotfiles import read_shots, write_shots
    from tasks.shots import merged, save_edit, shots_of, split_at

    asked = [bool(merge), bool(split), import_ is not None, export is not None, list_]
    if sum(asked) > 1:
        raise UsageError("give one of --list, --merge, --split, --import, --export")
    with open_house_here() as house:
        with progress_shown():
            found = open_film(house, ingest(house, path=film_path(house, film)))
        version, scenes = shots_of(house, found.row.id)
        rate = found.info.video.rate or Fraction(25)
        if export is not None:
            write_shots(export, scenes, found.path, rate)
            stderr().print(
                f"restar: {len(scenes)} scenes written to {export}", markup=False, soft_wrap=True
            )
            return
        if merge:
            changed, how = merged(scenes, merge), f"merge {merge}"
        elif split:
            changed, how = split_at(scenes, split), f"split {split}"
        elif import_ is not None:
            changed, how = read_shots(import_, rate), f"import {import_.name}"
        else:
            _show(found, version, scenes, rate)
            return
        version = save_edit(house, found.row.id, changed, how, note)
        _show(found, version, changed, rate)


def _show(film: "OpenFilm", version: int, scenes: "list[Scene]", rate: Fraction) -> None:
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table
    from restar.timeline import timecode

    title = f"{escape(film.path.name)}: shot list version {version}, {len(scenes)} scenes"
    shown = table(title, "scene", "start", "end", "frames", "timecode")
    for one in scenes:
        frames = one.end - one.start
        shown.add_row(
            str(one.number), str(one.start), str(one.end), str(frames), timecode(one.start, rate)
        )
    Console().print(shown)
