"""`restar status`: what is under way and what is done."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["status"]

Film = Annotated[
    str | None,
    typer.Argument(
        metavar="FILM", help="A film's path, accession or id; all without.", show_default=False
    ),
]


def status(
    film: Film = None,
    restoration: Annotated[
        str | None,
        typer.Option("--restoration", metavar="ID", help="Show the scenes of this restoration."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Show films, their scenes and takes, jobs and masters; also while a run is going.

    With a FILM that has one restoration (or with --restoration), each of its scenes too.
    """
    from catalog.films import find_film
    from catalog.restorations import find_restoration, restorations_of
    from catalog.status import scene_table
    from catalog.status import status as figures
    from cli.console import open_house_here

    with open_house_here() as house, house.catalog.read() as session:
        found = find_film(session, film) if film else None
        data = figures(session, found.id if found else None)
        if as_json:
            typer.echo(json.dumps(data, indent=2))
            return
        names = {f["film"]: _file_name(session, f["film"]) for f in data["films"]}
        _show_films(data["films"], names)
        if found is None:
            return
        if restoration or len(restorations_of(session, found.id)) == 1:
            row = find_restoration(session, found.id, restoration)
            _show_scenes(scene_table(session, row.id))


def _file_name(session: "Session", film_id: str) -> str:
    from pathlib import Path

    from catalog.films import film_by_id

    row = film_by_id(session, film_id)
    return Path(row.paths[-1]).name if row else ""


def _show_films(films: list[dict[str, Any]], names: dict[str, str]) -> None:
    """A row for each restoration; masters below, whole, so that their paths can be copied."""
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    console = Console()
    if not films:
        console.print("No films yet: `restar restore FILM` adds one.")
        return
    shown = table("", "film", "id", "restoration", "recipe", "takes", "jobs", "flags")
    for column in shown.columns[1:5]:  # ids are copied: whole, on one line
        column.no_wrap = True
    for film in films:
        jobs = ", ".join(f"{n} {state}" for state, n in film["jobs"].items() if n)
        first = [escape(names[film["film"]]), film["film"][:12]]
        for one in film["restorations"]:
            takes = f"{one['takes_done']}/{one['scenes']}"
            shown.add_row(*first, one["id"][:12], one["recipe"], takes, jobs, str(film["flags"]))
            first, jobs = ["", ""], ""
        if not film["restorations"]:
            shown.add_row(*first, "none yet", "", "", jobs, str(film["flags"]))
    console.print(shown)
    masters = [path for film in films for path in film["masters"]]
    if masters:
        console.print("Masters:")
    for path in masters:
        console.print(f"  {path}", soft_wrap=True, markup=False, highlight=False)


def _show_scenes(scenes: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    shown = table("Scenes", "scene", "frames", "take", "seconds", "scores", "flags", "problem")
    for scene in scenes:
        scores = _scores(scene["scores"])
        shown.add_row(
            str(scene["scene"]),
            f"{scene['start']}-{scene['end'] - 1}",
            (scene["take_key"] or "")[:12],
            "" if scene["seconds"] is None else f"{scene['seconds']:.1f}",
            scores,
            ", ".join(flag.partition(":")[0] for flag in scene["flags"]),
            escape(scene["error"] or ""),
        )
    Console().print(shown)


def _scores(scores: dict[str, Any]) -> str:
    """The first score in words, and how many more `restar score` shows."""
    if not scores:
        return ""
    name = "psnr-to-source" if "psnr-to-source" in scores else min(scores)
    mean, unit = scores[name]["mean"], scores[name].get("unit", "")
    shown = f"{name} {'n/a' if mean is None else f'{mean:.2f} {unit}'}"
    more = len(scores) - 1
    return f"{shown} (+{more}: restar score)" if more else shown
