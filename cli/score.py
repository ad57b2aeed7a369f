"""`restar score`, `restar metrics`, `restar choose`: what takes are worth, and who decides."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from flows.score import ScoredTake
    from scorers import Metric

__all__ = ["choose", "metrics", "score"]

Film = Annotated[
    str,
    typer.Argument(metavar="FILM", help="A film's path, accession or id.", show_default=False),
]


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
    `score.frames` frames of a scene. What is not for commercial use says so.
    """
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    rows = list(_metrics())
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    shown = table("", "metric", "", "unit", "range", "frames", "use", "what it says")
    shown.columns[0].no_wrap, shown.columns[-1].min_width = True, 24
    for row in rows:
        shown.add_row(
            row["metric"] if row["ready"] else f"{row['metric']} ✗",
            {"higher": "↑", "lower": "↓"}.get(row["better"], ""),
            escape(row["unit"]),
            escape(row["range"]),
            "some" if row["sampled"] else "all",
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


def choose(
    film: Film,
    scene: Annotated[int, typer.Option("--scene", metavar="N", help="The scene.")],
    take: Annotated[
        str,
        typer.Option(
            "--take",
            metavar="first|second|plain|KEY",
            help="The recipe's take, its second try, the plain resize, or the beginning of a key.",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with your name.")] = "",
    restoration: Annotated[
        str | None, typer.Option("--restoration", metavar="ID", help="Which, if it has several.")
    ] = None,
) -> None:
    """Decide which take of a scene goes into the master; no rule overrides it.

    The next `restar restore` of the same film and recipe assembles the master anew, without making
    any take again.
    """
    from catalog.films import find_film
    from catalog.restorations import find_restoration, restoration_scenes
    from catalog.reviews import accept_take, candidates
    from cli.console import open_house_here, stderr
    from flows.score import takes_named
    from restar.errors import UsageError

    with open_house_here() as house, house.catalog.begin() as session:
        found = find_film(session, film)
        row = find_restoration(session, found.id, restoration)
        scenes = {one.number: one for one in restoration_scenes(session, row.id)}
        if scene not in scenes:
            raise UsageError(f"there is no scene {scene}: it has scenes 1 to {len(scenes)}")
        roles = candidates(session, scenes[scene])
        if take in {"first", "second", "plain"}:
            if take not in roles:
                there = ", ".join(roles) or "none yet"
                raise UsageError(f"scene {scene} has no {take} take; there are: {there}")
            chosen = roles[take]
        else:
            (chosen,) = takes_named(session, take)[:1]
        wanted = scenes[scene]
        if (chosen.film_id, chosen.start, chosen.end) != (found.id, wanted.start, wanted.end):
            raise UsageError(f"take {chosen.take_key[:12]} is not of scene {scene} of this film")
        accept_take(session, row, scene, chosen, reviewer=house.who, reason=reason)
    stderr().print(f"restar: scene {scene}: take {chosen.take_key[:12]} chosen by {house.who}")


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
    names = ("what", "unit", "better", "range", "licence", "commercial_use", "source", "sampled")
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
