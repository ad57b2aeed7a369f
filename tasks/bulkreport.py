"""The report of a bulk: one page, complete in itself, and the same figures as CSV for a spreadsheet.

What needs somebody comes first: films that failed, with the reason, and films with flagged scenes.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from store import write_text
from tasks.house import SOFTWARE
from tasks.report import page_template

__all__ = ["COLUMNS", "write_bulk_report"]

COLUMNS = (
    "film", "state", "reason", "recipe", "priority", "accession", "title", "scenes", "flagged",
    "frames", "hours", "gpu_hours", "gib", "price", "master", "film_id", "restoration",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_bulk_report(
    target: Path, title: str, rows: Sequence[Mapping[str, Any]], when: datetime
) -> tuple[Path, Path]:
    """Write `target` (.html) and the same as .csv beside it; return both.

    Each row has the keys of `COLUMNS`; `price` may be None.
    """
    table = target.with_suffix(".csv")
    page = page_template("bulk.html").render(
        title=title,
        rows=rows,
        bad=[row for row in rows if row["state"] == "failed"],
        totals={key: sum(row[key] or 0 for row in rows)
                for key in ("scenes", "flagged", "frames", "hours", "gpu_hours", "gib")},
        price=sum(row["price"] or 0 for row in rows) if rows and rows[0]["price"] is not None else None,
        states=_states(rows),
        when=f"{when:%Y-%m-%d %H:%M} UTC",
        software=SOFTWARE,
    )  # fmt: skip
    write_text(target, page)
    write_text(table, _csv(rows))
    return target, table


def _states(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return counts


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    """A field as text; what a spreadsheet would take for a formula is text there, too."""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int) else text
