"""`restar tidy`, `restar hold` and the quota, by the command."""

from pathlib import Path

from tests.cli.conftest import Restar
from tests.cli.test_redo import QUIET, STEPS
from tests.cli.test_restore import restorations


def test_a_spare_take_goes_and_the_master_stays(
    restar: Restar, home: Path, scenes: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'name = "mine"\n{STEPS}{QUIET}')
    run = ("restore", "--plain", "--recipe", recipe, scenes, "-o", tmp_path / "out")
    restar(*run)
    softer = tmp_path / "softer.toml"
    softer.write_text(recipe.read_text().replace("gamma", "linear").replace("mine", "softer"))
    restar("redo", scenes, "--scenes", 2, "--recipe", softer)
    restar("redo", scenes, "--scenes", 2, "--recipe", recipe)
    objects = home / "store" / "objects"
    before = {p.name for p in objects.rglob("*") if p.is_file()}
    assert "0 takes" in restar("tidy").err, "it is not 90 days old"
    assert "1 takes" in restar("tidy", "--older-than", 0).err
    restar("hold", scenes, "--reason", "case 12")
    assert "0 takes" in restar("tidy", "--older-than", 0, "--drop").err
    restar("hold", scenes, "--release")
    assert "not on hold" in restar("hold", scenes).err
    assert "1 takes" in restar("tidy", "--older-than", 0, "--drop", scenes).err
    left = {p.name for p in objects.rglob("*") if p.is_file()}
    assert left < before
    assert len(before - left) == 2, "the take and its checksums"
    assert restar("fixity", "--json").json["failed"] == []
    restar(*run)
    assert restorations(restar, scenes) == 5


def test_a_quota_stops_an_agent_before_more_is_made(
    restar: Restar, scenes: Path, tmp_path: Path, monkeypatch: object
) -> None:
    restar("restore", "--plain", "--recipe", "identity", scenes, "-o", tmp_path / "out")
    monkeypatch.setenv("RESTAR_QUOTA_GIB", "0.0000001")  # type: ignore[attr-defined]
    restar("restore", "--queue", scenes, "-o", tmp_path / "out")
    answer = restar("agent", "--idle", 0, fails=True)
    assert answer.status == 5
    assert "RESTAR_QUOTA_GIB" in answer.err
    assert {job["state"] for job in restar("jobs", "--json").json} == {"queued"}
