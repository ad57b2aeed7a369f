"""The flows as Prefect knows them: what prefect.yaml deploys, and what runs inline by default.

Each takes plain parameters, opens the installation that the environment names, and calls the function
of the same name; between flows travel an id and a path. What is done and what is not stands in the
catalog, so a flow that is lost or started twice does no harm.
"""

from pathlib import Path
from typing import Any

from prefect import flow

from flows.drain import drain as drain_plain
from flows.finish import finish as finish_plain
from flows.prepare import Order
from flows.prepare import prepare as prepare_plain
from restar.film import Identifiers
from restar.recipe import Recipe, load_recipe
from restar.settings import load_settings
from restar.timeline import parse_scenes
from tasks.house import open_house

__all__ = ["drain", "finish", "prepare", "restore"]


@flow(name="restore", flow_run_name="restore {film}", persist_result=False)
def restore(
    film: str,
    recipe: str | dict[str, Any] = "default",
    output: str = "restored",
    scenes: str = "",
    seed: int | None = None,
    force: bool = False,
    accession: str = "",
    allow_damaged: bool = False,
) -> str:
    """Take a film the whole way; return the path of its verified master."""
    prepared = prepare(film, recipe, output, scenes, seed, force, accession, allow_damaged)
    while True:
        drain(prepared["restoration"])
        master = finish(prepared["restoration"], prepared["target"], force)
        if master is not None:
            return master


@flow(name="prepare", flow_run_name="prepare {film}", persist_result=False)
def prepare(
    film: str,
    recipe: str | dict[str, Any] = "default",
    output: str = "restored",
    scenes: str = "",
    seed: int | None = None,
    force: bool = False,
    accession: str = "",
    allow_damaged: bool = False,
) -> dict[str, Any]:
    """Make a film known and queue its work; return the restoration's id and the master's path.

    `recipe` is a name, the path of a .toml, or a recipe as data; `scenes` with `seed` gives those
    scenes a seed of their own.
    """
    chosen = Recipe.model_validate(recipe) if isinstance(recipe, dict) else load_recipe(recipe)
    order = Order(
        recipe=chosen,
        output=Path(output),
        scenes=parse_scenes(scenes) if scenes else (),
        seed=seed,
        force=force,
        allow_damaged=allow_damaged,
        identifiers=Identifiers(accession=accession),
    )
    with open_house(load_settings()) as house:
        prepared = prepare_plain(house, Path(film), order)
    return {
        "film": prepared.film_id,
        "restoration": prepared.restoration_id,
        "target": str(prepared.target),
        "scenes": prepared.scenes,
        "queued": prepared.queued,
    }


@flow(name="drain", flow_run_name="drain {restoration}", persist_result=False)
def drain(restoration: str | None = None) -> dict[str, int]:
    """Do the queued work of a restoration, or of all, until none is left; return how many jobs."""
    with open_house(load_settings()) as house:
        return drain_plain(house, restoration).done


@flow(name="finish", flow_run_name="finish {target}", persist_result=False)
def finish(restoration: str, target: str, force: bool = False) -> str | None:
    """Assemble, verify and deliver; return the master's path, None where a take must be remade."""
    with open_house(load_settings()) as house:
        master = finish_plain(house, restoration, Path(target), force=force)
    return None if master is None else str(master)
