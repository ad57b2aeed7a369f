"""`restar redo` and `restar select`: only these scenes run, earlier takes stay, the master follows."""

from pathlib import Path
from typing import Any

import pytest

from catalog import open_catalog
from catalog.films import find_film
from catalog.redo import Wish, redo
from catalog.restorations import restoration_scenes, restorations_of
from catalog.status import scene_table
from tests.cli.conftest import Restar
from tests.cli.test_restore import restorations
from tests.flows.world import framemd5

STEPS = '[[restore.steps]]\nuse = "resize"\noptions = { scale = 2, light = "gamma" }\n'
QUIET = '[deliver]\naccess = "none"\nreport = false\n[score]\nscorers = []\n'


def mine(folder: Path, more: str = "", steps: str = STEPS, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\n' + steps + QUIET + more)
    return path


@pytest.fixture
def master(restar: Restar, scenes: Path, tmp_path: Path) -> Path:
    """The master of a film of four scenes, by the recipe `mine`."""
    out = tmp_path / "out"
    return restar("restore", "--plain", "--recipe", mine(tmp_path), scenes, "-o", out).path


def table(home: Path, film: Path) -> list[dict[str, Any]]:
    """The scenes of the newest restoration."""
    with open_catalog(f"sqlite:///{home / 'catalog.sqlite'}") as catalog, catalog.read() as session:
        rows = restorations_of(session, find_film(session, str(film)).id)
        return scene_table(session, rows[-1].id)


def test_redo_runs_the_scene_and_select_brings_the_old_take_back(
    restar: Restar, home: Path, scenes: Path, master: Path, tmp_path: Path
) -> None:
    before, first = table(home, scenes), framemd5(master)
    softer = mine(tmp_path, steps=STEPS.replace("gamma", "linear"), name="softer")
    answer = restar("redo", scenes, "--scenes", "2", "--recipe", softer, "--reason", "aliased")
    assert answer.path == master
    assert "1 scene to be redone" in answer.err
    assert restorations(restar, scenes) == 5
    after = table(home, scenes)
    changed = [a["take_key"] != b["take_key"] for a, b in zip(after, before, strict=True)]
    assert changed == [False, True, False, False]
    assert after[1]["overrides"]["recipe"] == "softer"
    frames = framemd5(master)
    assert frames[20:44] != first[20:44]
    assert frames[:20] + frames[44:] == first[:20] + first[44:]
    restar("restore", "--plain", "--recipe", tmp_path / "mine.toml", scenes, "-o", master.parent)
    assert restorations(restar, scenes) == 5, "what was asked of a scene holds for later runs"

    listed = restar("select", scenes, "--scenes", "2").out
    assert before[1]["take_key"][:12] in listed
    restar("select", scenes, "--scenes", "2", "--take", before[1]["take_key"][:12])
    assert restorations(restar, scenes) == 5
    assert framemd5(master) == first
    written = master.stat().st_mtime_ns
    again = restar("select", scenes, "--scenes", "2", "--take", before[1]["take_key"][:12])
    assert "chosen already" in again.err
    assert (again.path, master.stat().st_mtime_ns) == (master, written)
    decisions = [e["detail"]["decision"] for e in restar("events", scenes, "--json").json
                 if e["type"] == "appraisal"]  # fmt: skip
    assert decisions == ["redo", "accept"]


def test_seeds_and_prompts_outlive_a_change_of_the_recipe(
    restar: Restar, home: Path, scenes: Path, master: Path, tmp_path: Path
) -> None:
    restar("redo", scenes, "--scenes", "3", "--seed", "7", "--prompt", "a horse")
    made = restorations(restar, scenes)
    again = mine(tmp_path, "thresholds = { psnr-to-source = 20.0 }\n")
    restar("restore", "--plain", "--recipe", again, scenes, "-o", master.parent)
    assert table(home, scenes)[2]["overrides"] == {"seed": 7, "prompt": "a horse"}
    assert restorations(restar, scenes) == made, "the take with that seed and prompt is used again"


def test_what_the_review_room_asks_an_agent_resolves(
    restar: Restar, home: Path, scenes: Path, master: Path
) -> None:
    with open_catalog(f"sqlite:///{home / 'catalog.sqlite'}") as catalog:
        with catalog.begin() as session:
            (row,) = restorations_of(session, find_film(session, str(scenes)).id)
            seen = {t["scene"]: t["take_key"] for t in scene_table(session, row.id)}
            redo(session, row.id, {4: seen[4]}, Wish(prompt="a street"), reviewer="ada")
        restar("agent", "--idle", 0)
        with catalog.read() as session:
            scene = restoration_scenes(session, row.id)[3]
            assert (scene.prompt, scene.overrides) == ("a street", {"prompt": "a street"})
            assert [t["take_key"] == seen[t["scene"]] for t in scene_table(session, row.id)] == [
                True, True, True, False,
            ]  # fmt: skip
    assert restar("status", scenes, "--json").json["films"][0]["masters"] == [str(master)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scenes", "9"), "has scenes 1-4, not 9"),
        (("--scenes", "1", "--strength", "0.5"), "scene 1 can't have strength 0.5: step"),
        (("--scenes", "1", "--strength", "0.5"), "unknown key 'strength'"),
        (("--scenes", "1", "--recipe", "identity"), "could not join"),
        (("--scenes", "1", "--seed", "1", "--seen", "f" * 64), "is selected by now"),
        (("--scenes", "1,2", "--seen", "f" * 64), "whole key of one scene"),
    ],
)
def test_what_can_not_be_changes_nothing(
    restar: Restar, home: Path, scenes: Path, master: Path, options: tuple[str, ...], said: str
) -> None:
    before = table(home, scenes)
    answer = restar("redo", scenes, *options, fails=True)
    assert answer.status == 2
    assert said in answer.err
    assert table(home, scenes) == before
    assert restar("jobs", "--json").json == []


def test_a_take_of_another_scene_is_refused(
    restar: Restar, home: Path, scenes: Path, master: Path
) -> None:
    other = table(home, scenes)[0]["take_key"]
    answer = restar("select", scenes, "--scenes", 2, "--take", other[:10], fails=True)
    assert "is not of scene 2" in answer.err
    answer = restar("select", scenes, "--scenes", "1,2", "--take", other[:10], fails=True)
    assert "is of one scene" in answer.err
