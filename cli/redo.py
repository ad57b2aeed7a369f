"""`restar redo`, `restar select`, `restar choose`: what a person decides about single scenes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.prepare import Prepared
    from flows.redo import Decision
    from tasks.house import House

__all__ = ["choose", "redo", "select"]

Film = Annotated[
    str,
    typer.Argument(metavar="FILM", help="A film's path, accession or id.", show_default=False),
]
Scenes = Annotated[
    str, typer.Option("--scenes", metavar="LIST", help="Which scenes, as in 3,14,20-22.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with your name.")]
Restoration = Annotated[
    str | None, typer.Option("--restoration", metavar="ID", help="Which, if it has several.")
]
Seen = Annotated[
    str | None,
    typer.Option(
        "--seen",
        metavar="KEY",
        help="Only if this take is still selected, by its whole key; '' = only if none is.",
    ),
]
Queue = Annotated[
    bool, typer.Option("--queue", help="Only queue the work, for agents (`restar agent`) to do.")
]


def redo(
    film: Film,
    scenes: Scenes,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Another seed of what is drawn.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="Tell the restorer this.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME|FILE.toml",
            help="By the chain and prompt settings of this recipe; takes have to keep their size.",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            "--strength",
            metavar="X",
            help="The option `strength` of the recipe's last step, where its restorer has one.",
        ),
    ] = None,
    reason: Reason = "",
    restoration: Restoration = None,
    seen: Seen = None,
    priority: Annotated[
        int, typer.Option("--priority", metavar="N", help="Priority of the jobs (0 is usual).")
    ] = 0,
    queue: Queue = False,
) -> None:
    """Make new takes of some scenes, and join the master anew from its takes.

    Only these scenes run; the others, and the scenes' earlier takes, stay as they are (`restar select`
    brings one back). Without --seed, --prompt, --recipe or --strength each scene gets the next seed
    that it has not had. What is asked holds for every later run of the same recipe. The decision
    is an event with your name. Prints the master's path.

    Examples: `restar redo reel.mkv --scenes 14`, `restar redo A-17 --scenes 14,20-22 --seed 7`,
    `restar redo reel.mkv --scenes 3 --prompt "a man on a horse" --strength 0.4`.
    """
    from catalog.redo import Wish
    from flows.redo import redo_scenes
    from restar.recipe import load_recipe

    chosen = load_recipe(recipe) if recipe is not None else None
    wish = Wish(seed=seed, prompt=prompt, recipe=chosen, strength=strength)
    decision = _decision(film, scenes, restoration, reason, seen)
    _carry_out(lambda house: redo_scenes(house, decision, wish, priority=priority), queue, "redone")


def select(
    film: Film,
    scenes: Scenes,
    take: Annotated[
        str | None,
        typer.Option(
            "--take",
            metavar="first|second|plain|KEY",
            help="The recipe's take, its second try, the plain resize, or the beginning of a key.",
        ),
    ] = None,
    reason: Reason = "",
    restoration: Restoration = None,
    seen: Seen = None,
    queue: Queue = False,
) -> None:
    """Choose which take of some scenes goes into the master, and join the master anew.

    Without --take: list the takes that each scene has to choose from. No rule overrides what you
    choose; it is an event with your name. Prints the master's path.

    Examples: `restar select reel.mkv --scenes 14`, `restar select reel.mkv --scenes 14 --take 5e3a91`,
    `restar select reel.mkv --scenes 3,5 --take plain --reason "the face is invented"`.
    """
    decision = _decision(film, scenes, restoration, reason, seen)
    if take is None:
        _list(decision)
        return
    from flows.redo import select_scenes

    name = take
    _carry_out(lambda house: select_scenes(house, decision, name), queue, "selected")


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
    reason: Reason = "",
    restoration: Restoration = None,
) -> None:
    """Decide which take of a scene goes into the master; no rule overrides it.

    The next `restar restore` of the same film and recipe assembles the master anew, without making
    any take again; `restar select` does so at once.
    """
    from cli.console import open_house_here, stderr
    from flows.redo import Decision, select_scenes

    with open_house_here() as house:
        changed = select_scenes(house, Decision(film, (scene,), restoration, reason), take).scenes
        said = f"chosen by {house.who}" if changed else "is chosen already, by a person"
        stderr().print(f"restar: scene {scene}: take {take} {said}")


def _decision(
    film: str, scenes: str, restoration: str | None, reason: str, seen: str | None
) -> "Decision":
    from flows.redo import Decision
    from restar.errors import UsageError
    from restar.timeline import parse_scenes

    numbers = parse_scenes(scenes)
    if seen and (len(seen) != 64 or len(numbers) > 1):
        raise UsageError("--seen takes the whole key of one scene's take (64 characters)")
    return Decision(film, numbers, restoration, reason, seen)


def _carry_out(decide: "Callable[[House], Prepared]", queue: bool, what: str) -> None:
    """Record a decision; make the master by it, unless agents are to."""
    from cli.console import open_house_here, progress_shown, stderr
    from flows.redo import complete_film

    with open_house_here() as house, progress_shown():
        prepared = decide(house)
        scenes = f"{prepared.scenes} scene{'s' if prepared.scenes > 1 else ''}"
        said = f"{scenes} {what} by {house.who}"
        if what == "redone":
            said = f"{scenes} to be redone by {house.who}, {prepared.queued} jobs queued"
        elif not prepared.scenes:
            said = "chosen already, by a person; nothing was changed"
        stderr().print(f"restar: {said}")
        master: Path = prepared.target if queue else complete_film(house, prepared)
    typer.echo(master)


def _list(decision: "Decision") -> None:
    from rich.console import Console
    from rich.markup import escape

    from cli.console import open_house_here, table
    from flows.redo import list_choices

    with open_house_here() as house:
        found = list_choices(house, decision)
    shown = table("", "scene", "take", "", "made", "chain", "seed", "prompt", "scores")
    shown.columns[1].no_wrap = True
    for one in found:
        take = one.take
        means = [f"{name} {mean:.4g}" for name, mean in one.scores.items() if mean is not None]
        shown.add_row(
            str(one.scene),
            take.take_key[:12],
            "selected" if one.selected else "",
            f"{take.made_at:%Y-%m-%d %H:%M}",
            escape(" → ".join(_step(step) for step in take.spec["steps"])),
            str(take.spec["seed"]),
            escape(take.spec["prompt"][:60]),
            ", ".join(means[:3]),
        )
    Console().print(shown if found else "No takes yet.")


def _step(step: dict[str, object]) -> str:
    options = step["options"]
    strength = options.get("strength") if isinstance(options, dict) else None
    return str(step["use"]) if strength is None else f"{step['use']} {strength}"
