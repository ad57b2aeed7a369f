"""`restar parity`: prove that the denoiser computes what the published one computes."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["parity"]


def parity(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A folder of recorded fixtures.", show_default=False),
    ],
    dump: Annotated[
        Path | None,
        typer.Option("--dump", metavar="OUT", help="Write what was computed here, same keys."),
    ] = None,
) -> None:
    """Run a folder of recorded fixtures with the classes that restore films; compare every number.

    Each line: fixture, largest error relative to the largest recorded value, limit, verdict. What the
    folder holds and is not known is a failure. Exits 1 if any fails. See docs/star.md.
    """
    from cli.console import progress_shown
    from star.installed import require_star

    require_star()
    from star.parity import run_parity
    from star.parity.show import show

    with progress_shown():
        passed = show(run_parity(folder, dump))
    if not passed:
        raise typer.Exit(1)
