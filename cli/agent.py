"""`restar agent`, `agents`, `jobs`, `cost`: those who work, what they work at, what it costs."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from catalog.base import JobState

__all__ = ["agent", "agents", "cost", "jobs"]

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]


def agent(
    gpu: Annotated[
        int | None,
        typer.Option(
            "--gpu",
            metavar="N",
            min=0,
            help="Work on GPU N, counted as CUDA_VISIBLE_DEVICES shows them; without: the first "
            "that no other agent has, else the processor.",
        ),
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            metavar="LIST",
            help="Do only these: restore,caption,score,assemble; also proxy (for `restar review`).",
        ),
    ] = "caption,restore,score,assemble",
    idle: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="Leave after so long without work (inf: never)."
        ),
    ] = 60.0,
    release: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="Release the model after so long without work."
        ),
    ] = 300.0,
    grace: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1, help="After SIGTERM be gone within this time."),
    ] = 25.0,
    time_limit: Annotated[
        str,
        typer.Option(
            "--time-limit",
            metavar="TIME",
            help="Stop before this is over: 3600, 90m, 4h, 1d; within Slurm its own limit is known.",
        ),
    ] = "",
) -> None:
    """Work at what is queued: claim a job, do it, commit it, with the model kept warm.

    Start one for each GPU, on as many hosts as share the catalog (RESTAR_DATABASE) and the store
    (RESTAR_STORE). `restar restore --queue` and Prefect's flow `prepare` queue work. An agent that is
    killed loses nothing: what it held is taken over after its lease (RESTAR_LEASE_SECONDS).

    Ends with status 0 when no work is left, 75 when it was stopped (SIGTERM, a time limit; what was
    not finished is back in the queue: start it again), 5 when the disk is nearly full, 6 when the
    catalog stays away, 12 when one job after the other failed here.
    """
    from cli.console import open_house_here, progress_shown, stderr
    from flows.agent import AgentOptions, a_device, parse_kinds, run_agent, told
    from flows.stop import AGAIN

    options = AgentOptions(
        gpu=gpu,
        kinds=parse_kinds(kinds),
        idle_s=idle,
        release_s=release,
        grace_s=grace,
        limit_s=_seconds(time_limit) if time_limit else None,
    )
    with a_device(options) as device, open_house_here() as house, progress_shown():
        stderr().print(f"restar: agent {house.agent_id} on {device}, at {kinds}", soft_wrap=True)
        drained = run_agent(house, options, device)
    stderr().print(f"restar: agent {house.agent_id} did {told(drained.done)}", soft_wrap=True)
    if drained.stopped:
        stderr().print(f"restar: stopped by {drained.stopped}; the rest is in the queue")
        raise typer.Exit(130 if drained.stopped == "SIGINT" else AGAIN)


def agents(
    every: Annotated[bool, typer.Option("--all", help="Also those that have left.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who works: what each agent holds and for how long, its speed, its last error.

    An agent that is "silent" has not been heard of for a lease's time; what it holds is taken over
    when its lease runs out.
    """
    from catalog.agents import list_agents
    from cli.console import open_house_here, table

    with open_house_here() as house, house.catalog.read() as session:
        found = list_agents(session, every=every, silent_after=house.settings.lease_seconds)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from rich.console import Console
    from rich.markup import escape

    if not found:
        Console().print("No agent is at work: `restar agent` starts one.")
        return
    shown = table(
        "", "agent", "where", "state", "device", "model", "holds", "done", "speed", "last error"
    )
    for one in found:
        holds = "\n".join(_held(job) for job in one["holds"])
        speed = one["frames_per_second"]
        shown.add_row(
            f"{one['id']} {escape(one['name'])}",
            escape(f"{one['host']}:{one['pid']}"),
            one["ended"]
            if one["state"] == "ended"
            else f"{one['state']}, {one['seen_ago']:.0f} s ago",
            escape(one["device"]),
            escape(one["model"]),
            escape(holds),
            f"{one['jobs']} jobs",
            "" if speed is None else f"{speed:.2f} fps",
            escape(one["error"] or ""),
        )
    Console().print(shown)


def jobs(
    film: Annotated[
        str | None, typer.Argument(metavar="[FILM]", help="Only a film's jobs.", show_default=False)
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed, and why.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are done or cancelled.")
    ] = False,
    retry: Annotated[
        list[int] | None, typer.Option("--retry", metavar="ID", help="Queue a failed job again.")
    ] = None,
    cancel: Annotated[
        list[int] | None,
        typer.Option("--cancel", metavar="ID", help="Take a job out of the queue."),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority", metavar="N", help="Give the FILM's open jobs, or --job, priority N."
        ),
    ] = None,
    job: Annotated[
        list[int] | None,
        typer.Option("--job", metavar="ID", help="With --priority: this job only."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what is under way and queued, in the order in which it will be done; change it.

    Without options: the open jobs. Jobs of higher priority come first (0 is usual); of one priority,
    the restorations share the agents evenly. A job that is cancelled while an agent is at it is given
    up there. `restar jobs FILM --failed --retry 0` queues all failed jobs of a film again.
    """
    from catalog.control import list_jobs
    from catalog.films import find_film
    from cli.console import open_house_here
    from restar.errors import UsageError

    if priority is not None and film is None and not job:
        raise UsageError("--priority needs a FILM, or --job ID")
    with open_house_here() as house:
        film_id = None
        if film is not None:
            with house.catalog.read() as session:
                film_id = find_film(session, film).id
        changed = _change(house, film_id, retry or [], cancel or [], priority, job or [])
        with house.catalog.read() as session:
            found = list_jobs(
                session,
                states=_states(failed, every, bool(changed)),
                film_id=film_id,
                job_ids=changed,
                limit=limit,
            )
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    _show_jobs(found, limit)


def cost(
    film: Annotated[
        str | None, typer.Argument(metavar="[FILM]", help="Only this film.", show_default=False)
    ] = None,
    price: Annotated[
        float | None,
        typer.Option("--per-hour", metavar="PRICE", min=0, help="Price of a GPU's hour."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the takes of each restoration cost: frames, hours, and hours that they had a GPU.

    Counted from what was recorded with every take that is there, on which device it was made, also
    those that are not selected any more.
    """
    from catalog.costs import costs
    from catalog.films import find_film
    from cli.console import open_house_here, table

    with open_house_here() as house, house.catalog.read() as session:
        found = costs(session, find_film(session, film).id if film else None)
    if price is not None:
        for one in found:
            one["price"] = round(one["gpu_seconds"] / 3600 * price, 2)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from pathlib import Path

    from rich.console import Console
    from rich.markup import escape

    shown = table("", "film", "device", "takes", "frames", "hours", "GPU hours", "s/frame", "price")
    for one in found:
        shown.add_row(
            escape(Path(one["path"]).name),
            escape(one["device"]),
            str(one["takes"]),
            str(one["frames"]),
            f"{one['seconds'] / 3600:.3f}",
            f"{one['gpu_seconds'] / 3600:.3f}",
            f"{one['seconds'] / one['frames']:.3f}",
            f"{one['price']:.2f}" if "price" in one else "",
        )
    Console().print(shown if found else "No takes yet.")


def _change(
    house: Any,
    film_id: str | None,
    retry: list[int],
    cancel: list[int],
    priority: int | None,
    only: list[int],
) -> list[int]:
    """Do what was asked; return the jobs that it was about."""
    from catalog import control
    from catalog.restorations import restorations_of
    from cli.console import stderr
    from restar.errors import UsageError

    about: list[int] = []
    with house.catalog.begin() as session:
        if 0 in retry:
            if film_id is None:
                raise UsageError("--retry 0 queues all failed jobs of a FILM again: name it")
            for row in restorations_of(session, film_id):
                control.retry(session, row.id)
        for job_id in filter(None, retry):
            if not control.retry(session, job_id=job_id):
                raise UsageError(f"--retry {job_id}: no failed or cancelled job has this number")
            about.append(job_id)
        for job_id in cancel:
            if not control.cancel(session, job_id=job_id):
                raise UsageError(f"--cancel {job_id}: no job of this number is queued or under way")
            about.append(job_id)
        if priority is not None:
            changed = sum(control.set_priority(session, priority, job_id=one) for one in only)
            if not only and film_id is not None:
                for row in restorations_of(session, film_id):
                    changed += control.set_priority(session, priority, restoration_id=row.id)
            about += only
            stderr().print(f"restar: {changed} jobs have priority {priority} now")
    return about


def _states(failed: bool, every: bool, named: bool) -> "tuple[JobState, ...]":
    from catalog.base import OPEN, JobState

    if every or named:
        return tuple(JobState)
    return (JobState.FAILED,) if failed else OPEN


def _show_jobs(found: list[dict[str, Any]], limit: int) -> None:
    from pathlib import Path

    from rich.console import Console
    from rich.markup import escape

    from cli.console import table

    if not found:
        Console().print("No such jobs.")
        return
    shown = table(
        "", "job", "kind", "film", "scene", "priority", "state", "tries", "agent", "error"
    )
    for one in found:
        state = one["state"]
        if one["held"] and state == "queued":
            state = "waits for an earlier phase"
        if one["lease_left"] is not None:
            state += f", {one['lease_left']:.0f} s left"
        error = f"{one['error_kind']}: {one['error']}" if one["error"] else ""
        shown.add_row(
            str(one["id"]),
            one["kind"],
            escape(Path(one["film"]).name if one["film"] else ""),
            str(one["scene"] or ""),
            str(one["priority"]),
            state,
            f"{one['attempt']}/{one['max_attempts']}",
            one["agent"] or "",
            escape(error),
        )
    Console().print(shown)
    if len(found) == limit:
        Console().print(f"The first {limit}; --limit shows more.")


def _held(job: dict[str, Any]) -> str:
    from pathlib import Path

    film = Path(job["film"]).name if job["film"] else ""
    scene = f" scene {job['scene']}" if job["scene"] else ""
    return (
        f"{job['kind']} {film}{scene} for {job['held_for']:.0f} s, lease {job['lease_left']:.0f} s"
    )


def _seconds(text: str) -> float:
    from restar.errors import UsageError

    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--time-limit {text}: write seconds, or 90m, 4h, 1d")
    return seconds
