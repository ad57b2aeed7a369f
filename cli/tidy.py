"""`restar tidy`, `restar hold`: which files may go, and which must stay."""

from typing import Annotated

import typer

__all__ = ["hold", "tidy"]


def tidy(
    film: Annotated[
        str | None,
        typer.Argument(metavar="[FILM]", help="Only this film's takes.", show_default=False),
    ] = None,
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Made longer ago than this."),
    ] = 90.0,
    drop: Annotated[
        bool, typer.Option("--drop", help="Drop them; without, only say how many there are.")
    ] = False,
) -> None:
    """Find files of takes on which nothing rests any more; drop them with --drop.

    Never dropped: takes that are selected or wanted in any restoration, that stand in a master, that a
    scene has to choose from, or that a person once chose; takes of films with work under way, or on
    hold. The catalog keeps what they were, and `restar redo` can make them again.
    """
    from rich import filesize

    from catalog.films import find_film
    from cli.console import open_house_here, progress_shown, stderr
    from flows.tidy import tidy as run

    with open_house_here() as house, progress_shown():
        film_id = None
        if film is not None:
            with house.catalog.read() as session:
                film_id = find_film(session, film).id
        done = run(house, older_than_s=86400 * older_than, film_id=film_id, dry_run=not drop)
    what = "dropped" if drop else "may be dropped (--drop does it)"
    stderr().print(f"restar: {done.takes} takes, {filesize.decimal(done.bytes)}, {what}")


def hold(
    film: Annotated[
        str,
        typer.Argument(metavar="FILM", help="A film's path, accession or id.", show_default=False),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; needed to put it on hold.")] = "",
    release: Annotated[bool, typer.Option("--release", help="Take the hold off.")] = False,
) -> None:
    """Put a film on hold: nothing of it is ever dropped, until the hold is taken off by name.

    Without --reason and --release: say whether it is on hold. Each change is an event.
    """
    from catalog.films import find_film
    from catalog.lifecycle import set_hold
    from cli.console import open_house_here, stderr
    from restar.errors import UsageError

    if reason and release:
        raise UsageError("give --reason, or --release, not both")
    with open_house_here() as house, house.catalog.begin() as session:
        row = find_film(session, film)
        if reason or release:
            set_hold(session, row.id, reason, agent=house.who)
        state = f"on hold: {row.hold}" if row.hold else "not on hold"
    stderr().print(f"restar: {row.id[:12]} is {state}", markup=False)
