"""The flows as Prefect knows them: what prefect.yaml deploys, and what runs inline by default.

Each takes plain, described parameters (Prefect's page makes its form of them), opens the installation
that the environment names, and calls the function of the same name; between flows travel an id and a
path. What is done and what is not stands in the catalog, so a flow that is lost or started twice does
no harm.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

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
from pydantic import Field

from catalog.redo import Wish
from flows.agent import AgentOptions, parse_kinds, run_agent
from flows.bulk import Outcome, counted, write_report
from flows.bulk import bulk as bulk_plain
from flows.drain import drain as drain_plain
from flows.finish import finish as finish_plain
from flows.fixity import audit
from flows.prepare import Order
from flows.prepare import prepare as prepare_plain
from flows.redo import Decision, redo_scenes
from flows.shown import showing_progress, shown_table
from flows.tend import tend as tend_plain
from flows.watch import watch as watch_plain
from restar.errors import VerificationError
from restar.film import Identifiers
from restar.recipe import Recipe, load_recipe
from restar.settings import load_settings
from restar.timeline import parse_scenes
from tasks.filmlist import read_list
from tasks.house import House, open_house

__all__ = [
    "agent", "bulk", "drain", "finish", "fixity", "prepare", "redo", "restore", "tend", "watch",
]  # fmt: skip

Film = Annotated[str, Field(description="Path of a film; if known, also its accession or id.")]
RecipeLike = Annotated[
    str | dict[str, Any],
    Field(description="Name of a recipe, path of a .toml, or a recipe as data."),
]
RecipeName = Annotated[str, Field(description="Name of a recipe, or path of a .toml.")]
Output = Annotated[str, Field(description="Folder of the masters.")]
Scenes = Annotated[str, Field(description="Scenes such as 3,14,20-22.", pattern=r"^[\d,\- ]*$")]
Seed = Annotated[int | None, Field(description="Seed of what is drawn.", ge=0, lt=1 << 63)]
Priority = Annotated[
    int, Field(description="Priority of the jobs: higher comes first.", ge=-1_000_000, le=1_000_000)
]
Force = Annotated[bool, Field(description="Replace a file of the master's name.")]
Damaged = Annotated[bool, Field(description="Restore what decodes of a damaged film.")]
Accession = Annotated[str, Field(description="The archive's own number of the film.")]
Agents = Annotated[int, Field(description="How many agents may run at once.", ge=0, le=10_000)]
RestorationId = Annotated[str | None, Field(description="Only this restoration; empty = all.")]
_MOST_ROWS = 200


@flow(name="restore", flow_run_name="restore {film}", persist_result=False)
def restore(
    film: Film,
    recipe: RecipeLike = "default",
    output: Output = "restored",
    scenes: Scenes = "",
    seed: Seed = None,
    force: Force = False,
    accession: Accession = "",
    allow_damaged: Damaged = False,
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
    film: Film,
    recipe: RecipeLike = "default",
    output: Output = "restored",
    scenes: Scenes = "",
    seed: Seed = None,
    force: Force = False,
    accession: Accession = "",
    allow_damaged: Damaged = False,
    priority: Priority = 0,
) -> dict[str, Any]:
    """Make a film known and queue its work; return the restoration's id and the master's path.

    `scenes` with `seed` gives those scenes a seed of their own.
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
        priority=priority,
    )
    with _house() as house:
        prepared = prepare_plain(house, Path(film), order)
    return {
        "film": prepared.film_id,
        "restoration": prepared.restoration_id,
        "target": str(prepared.target),
        "scenes": prepared.scenes,
        "queued": prepared.queued,
    }


@flow(name="drain", flow_run_name="drain {restoration}", persist_result=False)
def drain(restoration: RestorationId = None) -> dict[str, int]:
    """Do the queued work of a restoration, or of all, until none is left; return how many jobs."""
    with _house() as house:
        return drain_plain(house, restoration).done


@flow(name="agent", flow_run_name="agent {kinds}", persist_result=False)
def agent(
    kinds: Annotated[
        str, Field(description="What it does, of: caption, restore, score, assemble.")
    ] = "caption,restore,score,assemble",
    restoration: RestorationId = None,
    gpu: Annotated[int | None, Field(description="GPU number; empty = the first.", ge=0)] = None,
    idle_seconds: Annotated[
        float, Field(description="It leaves after so long without work.", ge=0)
    ] = 60.0,
    limit_seconds: Annotated[
        float | None, Field(description="It stops before so long is over.", gt=0)
    ] = None,
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
    with _house() as house:
        return run_agent(house, options).done


@flow(name="tend", persist_result=False)
def tend(agents: Agents = 0) -> dict[str, int]:
    """Put the queue in order; where work is ready, see that up to `agents` agents are running.

    To be scheduled each minute. Agents are runs of the deployment `agent/agent`.
    """
    with _house() as house:
        tended = tend_plain(house)
    return {**asdict(tended), "started": _start_agents(agents, tended.ready)}


@flow(name="finish", flow_run_name="finish {target}", persist_result=False)
def finish(
    restoration: Annotated[str, Field(description="Id of the restoration.")],
    target: Annotated[str, Field(description="Path of the master.")],
    force: Force = False,
) -> str | None:
    """Assemble, verify and deliver; return the master's path, None where a take must be remade."""
    with _house() as house:
        master = finish_plain(house, restoration, Path(target), force=force)
    return None if master is None else str(master)


@flow(name="bulk", flow_run_name="bulk {source}", persist_result=False)
def bulk(
    source: Annotated[str, Field(description="A folder of films, or a .csv that lists them.")],
    recipe: RecipeName = "default",
    output: Output = "restored",
    priority: Priority = 0,
    agents: Agents = 1,
    inline: Annotated[
        bool, Field(description="Make the masters in this run, not by agents.")
    ] = False,
) -> str:
    """Queue the work of many films for agents; return how many films are done, queued, failed.

    Run it again for how they stand: a table of the run, and a report in the output folder, say so.
    """
    folder = Path(output).absolute()
    with _house() as house:
        entries = read_list(Path(source), load_recipe(recipe), priority, frozenset([folder]))
        outcomes = bulk_plain(house, entries, folder, queue=not inline)
        ready = 0 if inline else tend_plain(house).ready
    _start_agents(agents, ready)
    write_report(Path(source), outcomes, folder)
    _show("bulk", outcomes, source)
    return counted(outcomes)


@flow(name="watch", flow_run_name="watch {folder}", persist_result=False)
def watch(
    folder: Annotated[str, Field(description="The folder into which people put films.")],
    recipe: RecipeName = "default",
    output: Output = "restored",
    priority: Priority = 0,
    settle_seconds: Annotated[
        float,
        Field(description="A file is taken when it did not change for so long.", ge=0, le=3600),
    ] = 30.0,
    agents: Agents = 1,
) -> str:
    """Queue the work of films in a folder that are new and whole; return what became of them."""
    with _house() as house:
        outcomes = watch_plain(
            house, Path(folder), load_recipe(recipe), Path(output).absolute(),
            priority=priority, settle_s=settle_seconds,
        )  # fmt: skip
        ready = tend_plain(house).ready
    _start_agents(agents, ready)
    _show("watch", outcomes, folder)
    return counted(outcomes)


@flow(name="redo", flow_run_name="redo {film} {scenes}", persist_result=False)
def redo(
    film: Film,
    scenes: Annotated[str, Field(description="Scenes such as 3,14,20-22.", pattern=r"^[\d,\- ]+$")],
    seed: Seed = None,
    prompt: Annotated[
        str | None, Field(description="What the restorer is told.", max_length=10_000)
    ] = None,
    recipe: Annotated[
        str | None, Field(description="Another recipe for these scenes; empty = theirs.")
    ] = None,
    strength: Annotated[
        float | None, Field(description="Option `strength` of the last step, if it has one.")
    ] = None,
    reason: Annotated[str, Field(description="Why; kept in the events.", max_length=10_000)] = "",
    seen: Annotated[
        str | None, Field(description="Only if the take of this key is still selected.")
    ] = None,
    restoration: RestorationId = None,
    priority: Priority = 0,
    agents: Agents = 1,
) -> dict[str, Any]:
    """Ask for new takes of some scenes and queue them for agents; earlier takes stay."""
    chosen = load_recipe(recipe) if recipe else None
    decision = Decision(film, parse_scenes(scenes), restoration, reason, seen)
    wish = Wish(seed=seed, prompt=prompt, recipe=chosen, strength=strength)
    with _house() as house:
        prepared = redo_scenes(house, decision, wish, priority=priority)
        ready = tend_plain(house).ready
    _start_agents(agents, ready)
    return {"restoration": prepared.restoration_id, "queued": prepared.queued}


@flow(name="fixity", persist_result=False)
def fixity(
    sources: Annotated[bool, Field(description="Hash the films' own files, too.")] = False,
) -> dict[str, int]:
    """Hash every stored object and master again; the run fails if any is not what it was."""
    with _house() as house:
        found = audit(house, sources=sources)
    shown_table("fixity", [vars(one) for one in found.failed[:_MOST_ROWS]], "What failed")
    if found.failed:
        raise VerificationError(
            f"{len(found.failed)} of {found.objects} objects are not what they were; their events "
            "say which"
        )
    return {"objects": found.objects, "bytes": found.bytes}


@contextmanager
def _house() -> Iterator[House]:
    with open_house(load_settings()) as house, showing_progress():
        yield house


def _show(key: str, outcomes: list[Outcome], source: str) -> None:
    rows = [
        {
            "film": one.entry.path.name,
            "state": str(one.state),
            "scenes": one.scenes,
            "flagged": one.flagged,
            "reason": one.reason,
            "master": one.master,
        }
        for one in outcomes[:_MOST_ROWS]
    ]
    shown_table(key, rows, f"{source}: {counted(outcomes)}")


def _start_agents(agents: int, ready: int) -> int:
    """See that agents run, `agents` at most, where work is ready; return how many were started."""
    missing = max(0, min(agents, ready) - _running("agent/agent")) if agents and ready else 0
    for _ in range(missing):
        run_deployment(name="agent/agent", timeout=0, as_subflow=False)
    return missing


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
