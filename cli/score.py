"""`restar score`, `restar metrics`: what takes are worth, and by which measures."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flows.score import ScoredTake
    from scorers import Metric

__all__ = ["metrics", "score"]


def score(
    name: Annotated[
        str,
        typer.Argument(
            metavar="FILM|TAKE",
            help="A film's path, accession or id (its selected takes), or the beginning of a take's key.",
            show_default=False,
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="Measure this (again for more); see `restar metrics`."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew what was measured before.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Score takes: measures of fidelity, steadiness, order, colour and detail, and what they warn of.

    Without --metric by the recipe that made a take. What was measured before is shown from the catalog.
    Beside each score stands its change against a plain resize of the same frames. Scores sort and
    warn; people decide.
    """
    from cli.console import open_house_here, progress_shown
    from flows.score import score_named

    with open_house_here() as house, progress_shown():
        done = score_named(house, name, tuple(metric or ()), again=again)
    if as_json:
        typer.echo(json.dumps([_data(one) for one in done], indent=2, allow_nan=False))
        return
    for one in done:
        _show(one)


def metrics(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """List the measures: what each says, which way is better, its licence, and what it needs.

    A recipe names those that it wants in `score.scorers`. Those marked "some" are dear and see
    `score.frames` frames of a scene. What is not for commercial use says so. "ms" is what a frame costs
    that is measured, of a source of 640x360 and a take of 1280x720 (one processor, measured alone).
    """
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    rows = list(_metrics())
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    shown = table("", "metric", "", "unit", "range", "frames", "ms", "use", "what it says")
    shown.columns[0].no_wrap, shown.columns[-1].min_width = True, 24
    for row in rows:
        shown.add_row(
            row["metric"] if row["ready"] else f"{row['metric']} ✗",
            {"higher": "↑", "lower": "↓"}.get(row["better"], ""),
            escape(row["unit"]),
            escape(row["range"]),
            _frames_of(row),
            f"{row['cost']:.3g}" if row["cost"] else "",
            "any" if row["commercial_use"] else "n.c.",
            escape(row["what"]),
        )
    console = Console()
    console.print(shown)
    licences: dict[str, list[str]] = {}
    for row in rows:
        licences.setdefault(row["licence"], []).append(row["metric"])
    lines = ["↑ more is better, ↓ less; n.c. = not for commercial use. Licences:"]
    lines += [f"  {licence}: {', '.join(names)}" for licence, names in licences.items()]
    missing = [row["needs"].removeprefix("scorer ") for row in rows if not row["ready"]]
    lines += ["✗ can't run here:", *(f"  {line}" for line in missing)] if missing else []
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _frames_of(row: dict[str, Any]) -> str:
    if row["sampled"]:
        return "some"
    return "all" if row["every"] in {1, ""} else f"1 of {row['every']}"


def _metrics() -> "list[dict[str, Any]]":
    from media.format import VideoFormat
    from restar.errors import RestarError
    from restar.plugins import plugin_names
    from scorers import scorer

    trial, rows = VideoFormat(640, 360, "yuv420p"), []
    for name in plugin_names("scorers"):
        needs, about = "", None
        try:
            member = scorer(name)
            about = member.about
            member.start(trial, trial)
        except RestarError as error:
            needs = str(error)
        rows.append({"metric": name, "ready": not needs, "needs": needs, **_told(about)})
    return rows


def _told(about: "Metric | None") -> dict[str, Any]:
    names = (
        "what", "unit", "better", "range", "licence", "commercial_use", "source", "sampled", "every",
        "cost",
    )  # fmt: skip
    told = {name: getattr(about, name, "") for name in names}
    return {**told, "files": list(about.files) if about else []}


def _data(one: "ScoredTake") -> dict[str, Any]:
    return {
        "take_key": one.take.take_key,
        "frames": [one.take.start, one.take.end],
        "scenes": [[s.restoration_id, s.number] for s in one.scenes],
        "scores": {s.metric: s.summary for s in one.scored},
        "flags": one.flags,
    }


def _show(one: "ScoredTake") -> None:
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    where = ", ".join(f"scene {n}" for n in sorted({s.number for s in one.scenes})) or "of no scene"
    title = f"Take {one.take.take_key[:12]}, {where}, frames {one.take.start}-{one.take.end - 1}"
    shown = table(
        title, "metric", "", "mean", "against resize", "worst 5 %", "worst frame", "measured"
    )
    shown.columns[0].no_wrap = True
    for scored in one.scored:
        summary = scored.summary
        worst = summary["worst_frame"]
        shown.add_row(
            scored.metric,
            {"higher": "↑", "lower": "↓"}[summary["better"]],
            _number(summary["mean"], f" {summary['unit']}"),
            _number(summary["change"], sign=True),
            _number(summary["worst_part"]),
            "" if worst is None else str(one.take.start + worst),
            f"{summary['measured']} of {summary['of']}",
        )
    console = Console()
    console.print(shown)
    for flag in one.flags:
        console.print(f"  [red]⚑[/] {escape(flag)}", soft_wrap=True, highlight=False)
    if not one.flags:
        console.print("  [green]no flag[/]")


def _number(value: float | None, unit: str = "", *, sign: bool = False) -> str:
    if value is None:
        return "n/a"
    return f"{value:+.3g}{unit}" if sign else f"{value:.4g}{unit}"
