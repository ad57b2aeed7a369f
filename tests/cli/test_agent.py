"""`restar agent`, `agents`, `jobs`, `cost` as their users give them, on the processor."""

from pathlib import Path

from tests.cli.conftest import Restar


def queued(restar: Restar, scenes: Path, tmp_path: Path) -> list[int]:
    """Queue a film; return the numbers of its jobs."""
    target = restar(
        "restore", "--queue", "--recipe", "identity", "-o", tmp_path / "out", scenes
    ).path
    assert not target.exists()
    return [job["id"] for job in restar("jobs", "--json").json]


def test_from_queue_to_master(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    ids = queued(restar, scenes, tmp_path)
    assert len(ids) == 4
    assert "queued" in restar("jobs").out
    answer = restar("agent", "--idle", "0")
    assert "did 4 restore, 1 assemble" in answer.err
    assert (tmp_path / "out" / "scenes.identity.mkv").exists()
    assert restar("jobs").out.strip() == "No such jobs."
    (agent,) = restar("agents", "--all", "--json").json
    assert (agent["jobs"], agent["frames"], agent["state"]) == (4, 84, "ended")
    assert agent["ended"] == "no work was left"
    assert "No agent is at work" in restar("agents").out
    (cost,) = restar("cost", "--per-hour", "2", "--json").json
    assert (cost["takes"], cost["frames"], cost["gpu_seconds"], cost["price"]) == (4, 84, 0, 0)
    assert cost["device"].startswith("processor")
    assert "scenes.mp4" in restar("cost", scenes).out


def test_jobs_are_cancelled_retried_and_preferred(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    first, second, *_ = queued(restar, scenes, tmp_path)
    (shown,) = restar("jobs", "--cancel", first, "--json").json
    assert (shown["id"], shown["state"]) == (first, "cancelled")
    (shown,) = restar("jobs", "--retry", first, "--json").json
    assert shown["state"] == "queued"
    assert "1 jobs have priority 7" in restar("jobs", "--priority", 7, "--job", second).err
    assert restar("jobs", "--json").json[0]["id"] == second
    assert "3 jobs have priority 7" in restar("jobs", scenes, "--priority", 7).err
    assert restar("jobs", scenes, "--failed", "--retry", 0).out.strip() == "No such jobs."


def test_what_can_t_be_done_is_said(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    queued(restar, scenes, tmp_path)
    for arguments, says in (
        (["jobs", "--cancel", "999"], "no job of this number"),
        (["jobs", "--retry", "999"], "no failed or cancelled job"),
        (["jobs", "--retry", "0"], "name it"),
        (["jobs", "--priority", "1"], "needs a FILM"),
        (["agent", "--kinds", "paint"], "agents do caption"),
        (["agent", "--time-limit", "soon"], "write seconds"),
    ):
        answer = restar(*arguments, fails=True)
        assert answer.status == 2
        assert says in answer.err, answer.err
        assert len(answer.err.splitlines()) == 1


def test_a_time_limit_has_a_status(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    queued(restar, scenes, tmp_path)
    answer = restar("agent", "--idle", "0", "--time-limit", "30", "--grace", "60", fails=True)
    assert answer.status == 75
    assert "its time limit" in answer.err
    assert {job["state"] for job in restar("jobs", "--json").json} == {"queued"}
