"""`restar roundtrip`: prove on one's own films that nothing is lost."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["roundtrip"]


class Container(StrEnum):
    """What a master can be."""

    matroska = "matroska"
    mov = "mov"


def roundtrip(
    films: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILM...",
            help="Video files, folders of images, or manifests (.toml) of reels or images.",
            show_default=False,
        ),
    ],
    container: Annotated[
        Container, typer.Option("--container", help="Container of the master.")
    ] = Container.matroska,
    allow_damaged: Annotated[
        bool,
        typer.Option("--allow-damaged", help="Leave out what does not decode, and say what."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Restore films by `identity` in a temporary house; compare the masters with them.

    Frames, PTS, pixels, sound, tags and chapters: every property on a line. Exits 1 on any
    difference. Nothing is kept, and your catalog is not touched.
    """
    from cli.console import progress_shown
    from flows.roundtrip import round_trip

    results: list[dict[str, Any]] = []
    with progress_shown():
        for film in films:
            checks = round_trip(film, container.value, allow_damaged)
            results.append({
                "film": str(film),
                "equal": all(check.equal for check in checks),
                "checks": [vars(check) for check in checks],
            })  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"films": results}, indent=2))
    else:
        _show(results)
    if not all(result["equal"] for result in results):
        raise typer.Exit(1)


def _show(results: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    console = Console()
    for result in results:
        verdict = "[green]equal[/]" if result["equal"] else "[red]differs[/]"
        shown = table(f"{escape(result['film'])}: {verdict}", "property", "source", "master", "")
        for check in result["checks"]:
            mark = "[green]✓[/]" if check["equal"] else "[red]✗ differs[/]"
            cells = (check["name"], check["source"], check["master"])
            shown.add_row(*map(escape, cells), mark)
        console.print(shown)
