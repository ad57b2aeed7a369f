"""`restar restore`: films in, masters out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.embedded import Engine
    from restar.recipe import Recipe
    from tasks.house import House

__all__ = ["chosen_recipe", "film_path", "restore"]

Films = Annotated[
    list[str],
    typer.Argument(
        metavar="FILM",
        help="Video files, folders of images, or manifests (.toml) of reels or images; a film that is "
        "known may also be named by accession or id.",
        show_default=False,
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE.toml",
        help="What to do (see `restar recipes`); without it, and without --restorer: default.",
    ),
]
RestorerOption = Annotated[
    str | None,
    typer.Option("--restorer", metavar="NAME", help="In place of a recipe: one restorer."),
]
ScaleOption = Annotated[
    int | None,
    typer.Option("--scale", metavar="N", help="Enlarge N times (restorers that can; 1 = not)."),
]


def restore(
    films: Films,
    recipe: RecipeOption = None,
    restorer: RestorerOption = None,
    scale: ScaleOption = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of what is drawn; with --scenes: of these scenes."),
    ] = None,
    scenes: Annotated[
        str,
        typer.Option(
            "--scenes",
            metavar="LIST",
            help="With --seed: only these scenes get that seed, as in 3,14,20-22.",
        ),
    ] = "",
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where the masters go.")
    ] = Path("restored"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file of the master's name.")
    ] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Without the flow engine (Prefect); it starts faster."),
    ] = False,
    queue: Annotated[
        bool,
        typer.Option("--queue", help="Only queue the work, for agents (`restar agent`) to do."),
    ] = False,
    allow_damaged: Annotated[
        bool,
        typer.Option(
            "--allow-damaged", help="Restore what decodes of a damaged film; gaps are recorded."
        ),
    ] = False,
    accession: Annotated[
        str, typer.Option(help="The archive's own number of the film (one FILM only).")
    ] = "",
) -> None:
    """Restore films: each becomes a verified lossless master.

    Run it again at any time: what is finished is used again, what is missing or altered is made,
    and after a crash it goes on where it was. Prints the path of each master on a line (with --queue:
    where it will be).

    Examples: `restar restore reel.mkv -o restored`, `restar restore *.mov --recipe identity`,
    `restar restore reel.mkv --scenes 3 --seed 7` (that scene anew, the others as they are).
    """
    engine = None if plain or queue else _engine(films)

    from cli.console import open_house_here, progress_shown, stderr
    from flows.prepare import Order
    from flows.restore import restoring
    from restar.errors import IncompleteError, RestarError, UsageError
    from restar.film import Identifiers
    from restar.timeline import parse_scenes

    if accession and len(films) > 1:
        raise UsageError("--accession names one film; give one FILM with it")
    if scenes and seed is None:
        raise UsageError("--scenes needs --seed: it says which scenes get that seed")
    chosen = chosen_recipe(recipe, restorer, scale, None if scenes else seed)
    if recipe is None and restorer is None:
        stderr().print(f"restar: recipe {chosen.name}: {chosen.description}", soft_wrap=True)
    order = Order(
        recipe=chosen,
        output=output,
        scenes=parse_scenes(scenes) if scenes else (),
        seed=seed if scenes else None,
        force=force,
        allow_damaged=allow_damaged,
        identifiers=Identifiers(accession=accession),
    )
    errors: list[RestarError] = []
    with open_house_here() as house:
        paths = [film_path(house, film) for film in films]
        with restoring(house, engine, stderr().status, queue) as run, progress_shown():
            for path in paths:
                try:
                    master = run(path, order)
                except RestarError as error:
                    errors.append(error)
                    if len(films) > 1:
                        stderr().print(f"restar: {error}", markup=False, soft_wrap=True)
                else:
                    typer.echo(master)
    if errors and len(films) > 1:
        raise IncompleteError(f"{len(errors)} of {len(films)} films could not be restored")
    if errors:
        raise errors[0]


def _engine(films: list[str]) -> "Engine":
    """Let the engine come up while this process still imports; not for what can't be a film."""
    from restar.errors import MediaError
    from restar.settings import load_settings

    missing = [film for film in films if Path(film).suffix and not Path(film).exists()]
    if len(missing) == len(films):
        raise MediaError(f"{missing[0]}: no such file")

    from flows.embedded import start_early

    return start_early(load_settings().prefect_home)


def chosen_recipe(
    recipe: str | None, restorer: str | None, scale: int | None, seed: int | None
) -> "Recipe":
    """Return the recipe that the options name, with theirs put into it."""
    from restar.errors import RecipeError, UsageError
    from restar.plugins import plugin_names
    from restar.recipe import Recipe, Restore, Step, load_recipe

    if recipe is not None and restorer is not None:
        raise UsageError("give --recipe or --restorer, not both")
    if restorer is not None:
        if restorer not in plugin_names("restorers"):
            known = ", ".join(plugin_names("restorers"))
            raise UsageError(f"restorer '{restorer}' is not known; installed: {known}")
        steps: tuple[Step, ...] = (Step(use=restorer),)
        chosen = Recipe(name=restorer, restore=Restore(steps=steps))
    else:
        chosen = load_recipe(recipe or "default")
    restore, name = chosen.restore, chosen.name
    if scale is not None:
        last = restore.steps[-1]
        changed = Step(use=last.use, options={**last.options, "scale": scale})
        restore = restore.model_copy(update={"steps": (*restore.steps[:-1], changed)})
        name = f"{name}-x{scale}"
    if seed is not None:
        if not 0 <= seed < 1 << 63:
            raise RecipeError(f"seed {seed}: give a whole number from 0 to 2^63 - 1")
        restore = restore.model_copy(update={"seed": seed})
        name = f"{name}-seed{seed}"
    return chosen.model_copy(update={"restore": restore, "name": name[:64]})


def film_path(house: "House", film: str) -> Path:
    """Return the file of a film that is named by its path, its accession or its id."""
    from catalog.films import find_film
    from restar.errors import MediaError, RestarError

    path = Path(film)
    if path.exists() or path.suffix or path.parent != Path():
        return path
    try:
        with house.catalog.read() as session:
            found = find_film(session, film)
    except RestarError:
        raise MediaError(f"{film}: no such file, and no film of that accession or id") from None
    here = [known for known in map(Path, reversed(found.paths)) if known.exists()]
    return here[0] if here else Path(found.paths[-1])
