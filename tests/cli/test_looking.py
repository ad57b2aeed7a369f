"""The commands that show: status, events, recipes, doctor, shots, preview, roundtrip, help."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.app import app
from media.probe import probe
from restar.recipe import load_recipe
from tests.cli.conftest import Restar
from tests.films import run_ffmpeg

ROOT = Path(__file__).parents[2]
STATES = {"queued", "leased", "done", "failed", "cancelled"}


def test_status_has_the_shape_that_is_promised(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    assert restar("status", "--json").json == {"films": []}
    master = restar(
        "restore", "--plain", "--recipe", "identity", scenes, "-o", tmp_path / "out"
    ).path
    (film,) = restar("status", "--json").json["films"]
    assert set(film) == {
        "film", "scenes", "takes_done", "jobs", "flags", "masters", "restorations",
    }  # fmt: skip
    assert (film["scenes"], film["takes_done"], film["flags"]) == (4, 4, 0)
    assert set(film["jobs"]) == STATES
    assert film["jobs"]["done"] > 0
    assert film["masters"] == [str(master)]
    (one,) = film["restorations"]
    assert set(one) == {"id", "recipe", "scenes", "takes_done", "masters"}
    shown = restar("status", scenes).out
    assert str(master) in shown
    assert "4/4" in shown


def test_a_film_with_several_restorations_has_to_name_one(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    for recipe in ("identity", "default"):
        restar("restore", "--plain", "--recipe", recipe, scenes, "-o", tmp_path / "out")
    (film,) = restar("status", "--json").json["films"]
    assert (film["scenes"], film["takes_done"]) == (8, 8)
    ids = [one["id"] for one in film["restorations"]]
    shown = restar("status", scenes, "--restoration", ids[1][:12]).out
    assert "Scenes" in shown
    wrong = restar("status", scenes, "--restoration", "ffff", fails=True)
    assert all(one[:12] in wrong.err for one in ids)


def test_events_are_premis_and_chained(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    restar("restore", "--plain", "--recipe", "identity", scenes, "-o", tmp_path / "out")
    events = restar("events", scenes, "--json").json
    assert all(set(e) >= {"type", "when", "agent", "outcome", "detail"} for e in events)
    keys = [e["detail"]["take_key"] for e in events if e["type"] == "restoration"]
    assert len(keys) == len(set(keys)) == 4
    assert [e["when"] for e in events] == sorted(e["when"] for e in events)
    assert "restoration" in restar("events", scenes).out


def test_shots_are_listed_merged_split_and_carried_by_file(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    assert "4 scenes" in restar("shots", scenes).out
    restar("shots", scenes, "--merge", "1-2", "--note", "one take")
    assert "version 2, 3 scenes" in restar("shots", scenes, "--list").out
    restar("shots", scenes, "--split", "10")
    for ending in ("csv", "edl", "otio"):
        file = tmp_path / f"cuts.{ending}"
        restar("shots", scenes, "--export", file)
        assert file.stat().st_size > 0
        restar("shots", scenes, "--merge", "1-4")
        assert "1 scenes" in restar("shots", scenes).out
        assert "4 scenes" in restar("shots", scenes, "--import", file).out
    wrong = restar("shots", scenes, "--split", "4000", fails=True)
    assert wrong.status == 2


def test_an_edited_shot_list_makes_only_what_is_new(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    def made() -> int:
        return sum(e["type"] == "restoration" for e in restar("events", scenes, "--json").json)

    out = ("-o", tmp_path / "out", "--force")
    restar("restore", "--plain", "--recipe", "identity", scenes, *out)
    restar("shots", scenes, "--merge", "3-4")
    restar("restore", "--plain", "--recipe", "identity", scenes, *out)
    assert made() == 5


def test_preview_estimates_and_shows(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    answer = restar("preview", scenes, "-o", tmp_path / "look")
    assert answer.path.suffix == ".jpg"
    assert answer.path.read_bytes()[:2] == b"\xff\xd8"
    assert "the whole film (84 frames): about" in answer.err
    assert restar("status", "--json").json["films"][0]["takes_done"] == 0


def test_recipes_teach(restar: Restar, tmp_path: Path) -> None:
    assert {"default", "identity"} <= set(restar("recipes").out.split())
    assert json.loads(restar("recipes", "default", "--json").out)["name"] == "default"
    mine = tmp_path / "mine.toml"
    mine.write_text(restar("recipes", "default").out)
    assert load_recipe(str(mine)) == load_recipe("default")
    assert "deliver" in restar("recipes", "--keys").out


def test_doctor_names_what_is_missing_and_how_to_get_it(
    restar: Restar, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = restar("doctor").out
    for what in ("ffmpeg", "catalog", "store", "disk", "restorers", "weights"):
        assert what in whole
    monkeypatch.setenv("RESTAR_FFMPEG", "/nowhere/ffmpeg")
    assert "/nowhere/ffmpeg" in restar("doctor", fails=True).out.replace("\n", "")


def test_roundtrip_tells_equal_from_different(
    restar: Restar, film: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film("odd_gray")
    (result,) = restar("roundtrip", path, "--json").json["films"]
    assert result["equal"]
    assert all(check["equal"] for check in result["checks"])

    import flows.roundtrip

    original = flows.roundtrip.restore_film

    def other_pixels(*arguments: object) -> Path:
        master: Path = original(*arguments)  # type: ignore[arg-type]
        changed = master.with_name("changed.mkv")
        run_ffmpeg(["-i", str(master), "-vf", "negate", "-c:v", "ffv1", str(changed)])
        return changed.replace(master)

    monkeypatch.setattr(flows.roundtrip, "restore_film", other_pixels)
    answer = restar("roundtrip", path, "--json", fails=True)
    assert answer.status == 1
    assert not answer.json["films"][0]["equal"]


@pytest.mark.parametrize(
    "command", [command.name for command in app.registered_commands if command.name]
)
def test_every_command_teaches(restar: Restar, command: str) -> None:
    text = restar(command, "--help").out
    assert "Usage: restar" in text
    assert len(text) > 300


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "prefect", "sqlalchemy", "cv2", "av", "numpy", "scenedetect", "alembic")
    code = (
        "import sys\nsys.argv = ['restar', '--help']\nfrom cli import main\n"
        f"try: main()\nexcept SystemExit: pass\nprint([m for m in {heavy} if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_a_degraded_film_tells_how_it_was_made(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    options = ("-o", tmp_path, "--preset", "archive", "--seed", 3, "--set", "wear.grain=0.1")
    made = restar("degrade", scenes, *options).path
    told = json.loads(made.with_suffix(".json").read_text())
    assert (told["preset"], told["seed"]) == ("archive", 3)
    assert told["parameters"]["wear"]["grain"] == 0.1
    assert probe(made).video.codec == "h264"
