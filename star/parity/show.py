"""The table of verdicts, a line at a time, as they come."""

import sys
from collections.abc import Iterable

from star.parity.record import Result

__all__ = ["line", "show"]

_HEAD = ("fixture", "max rel error", "limit", "verdict")


def show(results: Iterable[Result]) -> bool:
    """Print a line for each result and a last one; return whether there were any and all passed."""
    print(_columns(*_HEAD), flush=True)
    count = failed = 0
    for result in results:
        print(line(result), flush=True)
        count += 1
        failed += not result.passed
    verdict = "no fixture found" if not count else f"{count} fixtures, {failed} failed"
    print(verdict, file=sys.stdout)
    return count > 0 and failed == 0


def line(result: Result) -> str:
    """Return one line of the table."""
    name = result.file.removesuffix(".safetensors").removesuffix(".json")
    what = name if result.fixture == "-" else f"{name} {result.fixture}"
    limit = "equal" if result.limit == 0 else f"{result.limit:.0e}"
    shown = _columns(what, f"{result.error:.2e}", limit, "ok" if result.passed else "FAILED")
    return f"{shown} {result.note}".rstrip() if result.note else shown


def _columns(what: str, error: str, limit: str, verdict: str) -> str:
    return f"{what:<52} {error:>13} {limit:>7} {verdict:<7}".rstrip()
