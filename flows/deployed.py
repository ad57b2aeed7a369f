"""The flows as Prefect knows them: what prefect.yaml deploys, and what runs inline by default.

Each takes plain parameters, opens the installation that the environment names, and calls the function
of the same name; between flows travel an id and a path. What is done and what is not stands in the
catalog, so a flow that is lost or started twice does no harm.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment

from flows.agent import AgentOptions, parse_kinds, run_agent
from flows.drain import drain as drain_plain
from flows.finish import finish as finish_plain
from flows.prepare import Order
from flows.prepare import prepare as prepare_plain
from flows.tend import tend as tend_plain
from restar.film import Identifiers
from restar.recipe import Recipe, load_recipe
from restar.settings import load_settings
from restar.timeline import parse_scenes
from tasks.house import open_house

__all__ = ["agent", "drain", "finish", "prepare", "restore", "tend"]


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


@flow(name="agent", flow_run_name="agent {kinds}", persist_result=False)
def agent(
    kinds: str = "caption,restore,score",
    restoration: str | None = None,
    gpu: int | None = None,
    idle_seconds: float = 60.0,
    limit_seconds: float | None = None,
) -> dict[str, int]:
    """Be an agent (`restar agent`) until there was no work for a while; return how many jobs it did.

    A worker that is stopped stops it too: what is under way is finished or handed back.
    """
    options = AgentOptions(
        gpu=gpu,
        kinds=parse_kinds(kinds),
        restoration_id=restoration,
        idle_s=idle_seconds,
        limit_s=limit_seconds,
    )
    with open_house(load_settings()) as house:
        return run_agent(house, options).done


@flow(name="tend", persist_result=False)
def tend(agents: int = 0) -> dict[str, int]:
    """Put the queue in order; where work is ready, see that up to `agents` agents are running.

    To be scheduled every few minutes. Agents are runs of the deployment `agent/agent`.
    """
    with open_house(load_settings()) as house:
        tended = tend_plain(house)
    missing = max(0, min(agents, tended.ready) - _running("agent/agent")) if agents else 0
    for _ in range(missing):
        run_deployment(name="agent/agent", timeout=0, as_subflow=False)
    return {**asdict(tended), "started": missing}


@flow(name="finish", flow_run_name="finish {target}", persist_result=False)
def finish(restoration: str, target: str, force: bool = False) -> str | None:
    """Assemble, verify and deliver; return the master's path, None where a take must be remade."""
    with open_house(load_settings()) as house:
        master = finish_plain(house, restoration, Path(target), force=force)
    return None if master is None else str(master)


def _running(deployment: str) -> int:
    """How many runs of a deployment are scheduled, pending or under way."""
    live = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        runs = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=live))
            ),
        )
    return len(runs)
