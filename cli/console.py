"""What a person sees while work goes on: bars in a terminal, plain lines in a log file."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from restar.progress import Advance, listening

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from tasks.house import House

__all__ = ["open_house_here", "progress_shown", "stderr", "table"]


def stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show the progress of everything inside the block on standard error."""
    if not sys.stderr.isatty():
        with listening(_Lines()):
            yield
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as bars, listening(_Bars(bars)):
        yield


class _Bars:
    """One bar for each piece of work that is under way."""

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._tasks: dict[Advance, TaskID] = {}

    def begin(self, text: str, unit: str, total: int | None) -> Advance:
        divide = 1 << 20 if unit == "bytes" else 1
        shown = None if total is None else max(1, total // divide)
        name = "MiB" if unit == "bytes" else unit
        task = self._bars.add_task(text, total=shown, unit=name)

        def advance(count: int) -> None:
            self._bars.advance(task, count / divide)

        self._tasks[advance] = task
        return advance

    def end(self, advance: Advance) -> None:
        self._bars.remove_task(self._tasks.pop(advance))


class _Lines:
    """One line for each piece of work that took a moment, once it is done."""

    LEAST_SECONDS = 0.5

    def __init__(self) -> None:
        self._begun: dict[Advance, tuple[str, float, list[int], str]] = {}

    def begin(self, text: str, unit: str, total: int | None) -> Advance:
        count = [0]

        def advance(more: int) -> None:
            count[0] += more

        self._begun[advance] = (text, time.monotonic(), count, unit)
        return advance

    def end(self, advance: Advance) -> None:
        text, began, count, unit = self._begun.pop(advance)
        seconds = time.monotonic() - began
        if seconds >= self.LEAST_SECONDS:
            done = f": {count[0]} {unit}" if count[0] else ""
            print(f"restar: {text}{done} in {seconds:.1f} s", file=sys.stderr, flush=True)


def table(title: str, *columns: str) -> "Table":
    """Return an empty table in the house's look."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def open_house_here() -> "AbstractContextManager[House]":
    """Open the installation that the environment names."""
    from restar.settings import load_settings
    from tasks.house import open_house

    return open_house(load_settings())
