"""`restar events`: everything that was done to a film, in PREMIS terms."""

import json
from typing import Annotated

import typer

__all__ = ["events"]


def events(
    film: Annotated[
        str,
        typer.Argument(metavar="FILM", help="Path, accession or id.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """List the events of a film and its restorations, oldest first, and verify their chains.

    There is exactly one `restoration` event for each take that was made. Fails where an event was
    altered or removed.
    """
    from catalog.events import events_of, film_stream, restoration_stream, verify_chain
    from catalog.films import find_film
    from catalog.restorations import restorations_of
    from cli.console import open_house_here, stderr, table

    with open_house_here() as house, house.catalog.read() as session:
        found = find_film(session, film)
        streams = [restoration_stream(row.id) for row in restorations_of(session, found.id)]
        for stream in (film_stream(found.id), *streams):
            verify_chain(session, stream)
        listed = events_of(session, found.id)
    if as_json:
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape

    shown = table("", "when", "type", "agent", "outcome", "detail")
    for event in listed:
        detail = ", ".join(f"{key} {_short(value)}" for key, value in event["detail"].items())
        cells = (event["when"], event["type"], event["agent"], event["outcome"], detail)
        shown.add_row(*map(escape, cells))
    Console().print(shown)
    stderr().print(f"restar: {len(listed)} events, every chain whole")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else text[:12] + "…"
