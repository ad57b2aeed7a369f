"""An agent in this process: failures told apart, models kept and released, what it says of itself."""

import time
from pathlib import Path
from typing import Any

import pytest

import restorers
from catalog.agents import list_agents
from catalog.costs import costs
from catalog.models import JobKind, JobState
from flows.agent import AgentOptions, parse_kinds, run_agent
from flows.drain import Drained, Shift, work
from flows.stop import Stop, time_limit
from restar.errors import NoSourceError, UnfitError, UsageError
from restar.failures import Failure, failure_of, is_final
from tasks.device import Device, find_device
from tests.flows import fakes
from tests.flows.world import World, slow

PROCESSOR = Device("", 1 << 34, ())
GPU = Device("Fake GPU", 80 << 30, ("cuda", "sm90"))


def agent(world: World, device: Device = PROCESSOR, **options: Any) -> Drained:
    with world.house() as house:
        return run_agent(house, AgentOptions(idle_s=0, **options), device)


@pytest.mark.parametrize(
    ("fails", "kind", "tries"),
    [
        ("memory", Failure.OUT_OF_MEMORY, 3),
        ("nan", Failure.NOT_FINITE, 2),
        ("oops", Failure.BUG, 3),
    ],
)
def test_failures_are_told_apart_and_limited(
    fails: str, kind: Failure, tries: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.bench._FAILURES_IN_A_ROW", 99)
    world.queue(slow(fails=fails))
    agent(world, kinds=(JobKind.RESTORE,))
    jobs = world.jobs()
    assert {(job.state, job.error_kind, job.attempt) for job in jobs} == {
        (JobState.FAILED, kind.value, tries)
    }
    assert all(job.error for job in jobs)
    told = [event["detail"] for event in world.events() if event["type"] == "execution"]
    assert [(one["sort"], one["attempt"]) for one in told] == [(kind.value, tries)] * 4
    with world.house() as house, house.catalog.read() as session:
        found = list_agents(session, every=True)
    assert any(kind.value in (one["error"] or "") for one in found)


def test_an_agent_on_which_nothing_works_leaves_the_queue_to_others(world: World) -> None:
    world.queue(slow(fails="memory"))
    with pytest.raises(UnfitError, match="3 jobs in a row"):
        agent(world)
    assert world.job_states() == {JobState.QUEUED: 4}
    spent = sorted(3 - (job.max_attempts - job.attempt) for job in world.jobs())
    assert spent == [0, 1, 1, 1], "what was claimed ahead cost a try"


def test_a_source_that_is_not_here_may_be_on_another_host(world: World, tmp_path: Path) -> None:
    moved = tmp_path / "film.mp4"
    moved.write_bytes(world.film.read_bytes())
    world.queue(film=moved)
    moved.rename(tmp_path / "away.mp4")
    with pytest.raises(UnfitError, match="no longer at"):
        agent(world)
    assert {job.error_kind for job in world.jobs()} <= {"", Failure.NO_SOURCE.value}
    assert world.job_states() == {JobState.QUEUED: 4}


def test_a_damaged_film_fails_at_once_and_the_agent_goes_on(world: World, tmp_path: Path) -> None:
    damaged = tmp_path / "film.mp4"
    content = bytearray(world.film.read_bytes())
    damaged.write_bytes(content)
    world.queue(film=damaged)
    middle = content.index(b"mdat") + 3000
    content[middle : middle + 4000] = bytes(4000)
    damaged.write_bytes(content)
    agent(world, kinds=(JobKind.RESTORE,))
    failed = [job for job in world.jobs() if job.state is JobState.FAILED]
    assert failed
    assert {(job.error_kind, job.attempt) for job in failed} == {(Failure.BAD_MEDIA.value, 1)}


def test_a_model_is_loaded_once_and_released_for_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    load = restorers.restorer
    monkeypatch.setattr("tasks.restore.restorer", lambda name: (loads.append(name), load(name))[1])
    released: list[int] = []
    monkeypatch.setattr(fakes.Slow, "release", lambda _self: released.append(1), raising=False)
    world.queue(slow("one", model="one"))
    world.queue(slow("two", model="two"))
    agent(world, kinds=(JobKind.RESTORE,))
    assert world.job_states() == {JobState.DONE: 8, JobState.QUEUED: 2}  # two assemblies
    assert len(loads) == 2, "a model was loaded scene by scene"
    assert len(released) == 1


def test_a_model_is_released_when_idle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[float] = []
    monkeypatch.setattr(
        fakes.Slow, "release", lambda _self: released.append(time.monotonic()), raising=False
    )
    world.queue(slow(model="one"))
    with world.house() as house:
        work(house, Shift(alone=False, idle_s=2.0, release_s=0.5, kinds=(JobKind.RESTORE,)))
        ended = time.monotonic()
    assert len(released) == 1
    assert ended - released[0] > 0.5


def test_an_agent_does_only_what_it_can(world: World) -> None:
    world.queue(slow(memory=40 << 30, gpu="sm90"))
    assert agent(world).done == {}
    small = Device("Old GPU", 16 << 30, ("cuda", "sm70"))
    assert agent(world, small).done == {}
    assert agent(world, GPU, kinds=(JobKind.ASSEMBLE,)).done == {}
    assert agent(world, GPU).done == {"restore": 4, "assemble": 1}


def test_gpu_time_is_recorded_and_added_up(world: World) -> None:
    prepared = world.queue(slow(seconds=0.2))
    agent(world, GPU)
    with world.catalog.read() as session:
        (row,) = costs(session, prepared.film_id)
        assert costs(session, "another") == []
    assert (row["takes"], row["frames"], row["device"]) == (4, 84, "Fake GPU, 80 GiB")
    assert 0.8 <= row["gpu_seconds"] <= row["seconds"]
    events = [event for event in world.events() if event["type"] == "restoration"]
    assert sum(event["detail"]["gpu_seconds"] for event in events) == pytest.approx(
        row["gpu_seconds"], abs=0.01
    )


def test_the_next_scene_is_ready_when_the_model_is_free(world: World) -> None:
    world.queue(slow(seconds=0.3))
    with world.house() as house:
        drained = work(house, Shift(alone=False))
    assert len(drained.gaps) == 4
    assert min(drained.gaps[2:]) < 0.05, "claim, decode, encode and commit were not hidden"


def test_a_stop_before_the_first_job_leaves_all_in_the_queue(world: World) -> None:
    world.queue()
    stop = Stop(grace=2)
    stop.ask("a test")
    with world.house() as house:
        assert work(house, Shift(alone=False), stop).stopped == "a test"
    assert world.job_states() == {JobState.QUEUED: 4}


def test_kinds_are_read_and_refused() -> None:
    assert parse_kinds("restore, caption,restore") == (JobKind.RESTORE, JobKind.CAPTION)
    for wrong in ("", "restore,paint", "fixity"):
        with pytest.raises(UsageError, match="agents do caption"):
            parse_kinds(wrong)


def test_slurm_s_own_limit_is_known() -> None:
    assert time_limit(None, {}) is None
    assert time_limit(60.0, {"SLURM_JOB_END_TIME": "1"}) == 60.0
    ahead = str(int(time.time()) + 100)
    left = time_limit(None, {"SLURM_JOB_END_TIME": ahead})
    assert left is not None
    assert 90 < left <= 100
    assert time_limit(None, {"SLURM_JOB_END_TIME": "soon"}) is None


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UsageError, match="leaves 2"):
        find_device(2)


def test_without_a_gpu_it_is_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tasks.device._DEVICES", tmp_path)
    device = find_device(None)
    assert (device.name, device.classes) == ("", ())
    assert str(device).startswith("processor, ")


def test_what_was_not_raised_on_purpose_is_a_bug() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch names it."""

    wrapped = RuntimeError("a step failed")
    wrapped.__cause__ = OutOfMemoryError("CUDA out of memory")
    assert failure_of(wrapped) is Failure.OUT_OF_MEMORY
    assert failure_of(KeyError("x")) is Failure.BUG
    assert failure_of(NoSourceError("x")) is Failure.NO_SOURCE
    assert failure_of(FloatingPointError()) is Failure.NOT_FINITE
    assert not is_final(Failure.NO_SOURCE, "")
    assert is_final(Failure.BAD_MEDIA, "")
    assert is_final(Failure.NOT_FINITE, Failure.NOT_FINITE.value)
