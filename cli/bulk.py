"""`restar bulk`: many films, by a folder or a list, tonight and every night."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.bulk import Outcome
    from tasks.estimate import FilmEstimate
    from tasks.house import House

__all__ = ["bulk"]


def bulk(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|LIST.csv",
            help="A folder of films (also below it), or a CSV file with a column `film`.",
            show_default=False,
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", metavar="NAME|FILE.toml", help="For films for which the list names none."
        ),
    ] = "default",
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", help="Of jobs, where the list says none.")
    ] = 0,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where masters and report go.")
    ] = Path("restored"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate hours, GPU hours and bytes.")
    ] = False,
    queue: Annotated[
        bool,
        typer.Option("--queue", help="Only queue the work, for agents (`restar agent`) to do."),
    ] = False,
    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            metavar="SECONDS",
            min=0,
            help="Watch new files for so long, and leave out those that still change.",
        ),
    ] = 0.0,
    report: Annotated[
        bool, typer.Option("--report", help="Only write the report of how the films stand.")
    ] = False,
    price: Annotated[
        float | None,
        typer.Option("--per-hour", metavar="PRICE", min=0, help="Price of a GPU's hour."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: as JSON, for other programs.")
    ] = False,
) -> None:
    """Restore many films; one that fails stops no other, and a report tells what became of each.

    A list has a column `film` (paths beside the list), and any of: recipe, priority, accession, title,
    reel, generation, rights, allow_damaged. The same command goes on where it was: films that are
    done are not read again, those that failed are tried again. Prints the path of the report
    (HTML; the same as CSV beside it). Ends with status 10 where a film failed.

    Examples: `restar bulk /mnt/films --dry-run`, `restar bulk tonight.csv -o /mnt/masters`,
    `restar bulk /mnt/films --recipe mine.toml --queue --priority 5`.
    """
    from cli.console import open_house_here, progress_shown, stderr
    from flows.bulk import State, counted, how_it_stands, with_duplicates, write_report
    from flows.bulk import bulk as run
    from restar.errors import IncompleteError
    from restar.recipe import load_recipe
    from tasks.estimate import estimate_list
    from tasks.filmlist import read_list

    with open_house_here() as house:
        entries = read_list(source, load_recipe(recipe), priority, _ours(house, output))
        if settle:
            from flows.watch import settled

            entries = settled(house, entries, output, settle)
        if dry_run:
            with progress_shown():
                estimates = estimate_list(house, entries)
            _show_estimates(estimates, price, as_json)
            return
        heard: list[Outcome] = []

        def told(outcome: "Outcome") -> None:
            heard.append(outcome)
            reason = f": {outcome.reason}" if outcome.reason else ""
            line = f"restar: {outcome.entry.path.name}: {outcome.state}{reason}"
            stderr().print(line, markup=False, soft_wrap=True)

        try:
            if not report:
                with progress_shown():
                    run(house, entries, output, queue=queue, told=told)
        finally:
            rest = [how_it_stands(house, one, output) for one in entries[len(heard) :]]
            outcomes = with_duplicates([*heard, *rest])
            page = write_report(source, outcomes, output, price)
    stderr().print(f"restar: {counted(outcomes)}", soft_wrap=True)
    typer.echo(page)
    failed = [one for one in outcomes if one.state is State.FAILED]
    if failed and not report:
        raise IncompleteError(f"{len(failed)} of {len(outcomes)} films failed; {page} says why")


def _ours(house: "House", output: Path) -> frozenset[Path]:
    """What is not a film to be restored: the output folder, and masters wherever they are."""
    from sqlalchemy import select

    from catalog.models import MasterRow
    from tasks.deliver import access_path

    with house.catalog.read() as session:
        masters = [Path(path) for path in session.scalars(select(MasterRow.path))]
    return frozenset([output.absolute(), *masters, *(access_path(path) for path in masters)])


def _show_estimates(found: "list[FilmEstimate]", price: float | None, as_json: bool) -> None:
    import json

    if as_json:
        rows = [{**vars(one), "path": str(one.path)} for one in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich import filesize
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    shown = table("", "film", "recipe", "priority", "frames", "hours", "GPU hours", "takes", "by")
    for one in found:
        shown.add_row(
            escape(one.path.name),
            one.recipe,
            str(one.priority),
            str(one.frames or ""),
            f"{one.hours:.2f}",
            f"{one.gpu_hours:.2f}",
            filesize.decimal(one.bytes),
            "[red]✗ see below[/]" if one.error else escape(one.how),
        )
    console = Console()
    console.print(shown)
    for one in found:
        if one.error:
            console.print(f"✗ {one.error}", soft_wrap=True, markup=False, highlight=False)
    hours, gpu = sum(one.hours for one in found), sum(one.gpu_hours for one in found)
    size = sum(one.bytes for one in found)
    cost = "" if price is None else f", {gpu * price:.2f} for the GPUs"
    console.print(
        f"In all: {hours:.2f} hours on one device, {gpu:.2f} GPU hours{cost}, "
        f"{filesize.decimal(size)} of takes and about as much again for masters.",
        soft_wrap=True,
    )
    console.print(
        "Restoring only: reading, captions, scores and assembly come on top.", soft_wrap=True
    )
