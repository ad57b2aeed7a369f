"""`restar restore`: what is made again after a change, and what is not."""

from pathlib import Path

import pytest

from media.probe import probe
from tests.cli.conftest import Restar


def restorations(restar: Restar, film: Path) -> int:
    """How many takes were ever made of a film: one `restoration` event each."""
    return sum(e["type"] == "restoration" for e in restar("events", film, "--json").json)


def recipe(folder: Path, text: str) -> Path:
    """Write a recipe that always has the same name."""
    path = folder / "mine.toml"
    path.write_text('name = "mine"\n' + text)
    return path


def test_without_a_recipe_the_default_runs_and_is_named(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    answer = restar("restore", "--plain", scenes, "-o", tmp_path / "out")
    assert answer.path == tmp_path / "out" / "scenes.default.mkv"
    assert "recipe default" in answer.err
    source, master = probe(scenes), probe(answer.path)
    assert (master.format.width, master.format.height) == (
        2 * source.format.width,
        2 * source.format.height,
    )
    assert {p.name for p in answer.path.parent.iterdir()} == {
        "scenes.default.mkv",
        "scenes.default.access.mp4",
        "scenes.default.report.html",
    }


def test_delivery_thresholds_and_folder_redo_no_scene(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    steps = '[[restore.steps]]\nuse = "resize"\noptions = { scale = 2 }\n'
    first = recipe(tmp_path, steps)
    restar("restore", "--plain", "--recipe", first, scenes, "-o", tmp_path / "a")
    assert restorations(restar, scenes) == 4
    for change, folder in (
        ('[deliver]\naccess = "none"\n', "a"),
        ("[deliver]\naccess_crf = 30\n", "a"),
        ("[score]\nthresholds = { psnr-to-source = 20.0 }\n", "a"),
        ("", "b"),
    ):
        again = recipe(tmp_path, steps + change)
        answer = restar(
            "restore", "--plain", "--recipe", again, scenes, "-o", tmp_path / folder, "--force"
        )
        assert answer.path == tmp_path / folder / "scenes.mine.mkv"
        assert restorations(restar, scenes) == 4, change


def test_a_changed_seed_of_one_scene_redoes_one(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "out")
    restar("restore", "--plain", "--recipe", "identity", scenes, *out)
    restar("restore", "--plain", "--recipe", "identity", scenes, *out, "--scenes", 3, "--seed", 7)
    assert restorations(restar, scenes) == 5
    restar("restore", "--plain", "--recipe", "identity", scenes, *out, "--scenes", 3, "--seed", 7)
    assert restorations(restar, scenes) == 5


def test_a_scene_that_is_not_there_is_named(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    answer = restar(
        *("restore", "--plain", scenes, "-o", tmp_path / "out", "--scenes", "9", "--seed", 1),
        fails=True,
    )
    assert answer.status == 2
    assert "9" in answer.err


def test_several_films_are_several_masters_and_a_bad_one_stops_none(
    restar: Restar, scenes: Path, film: "object", tmp_path: Path
) -> None:
    gray = film("odd_gray")  # type: ignore[operator]
    bad = tmp_path / "bad.mkv"
    bad.write_text("no film")
    answer = restar(
        *("restore", "--plain", "--recipe", "identity", scenes, bad, gray, "-o", tmp_path / "out"),
        fails=True,
    )
    assert answer.status == 10
    assert [Path(line).name for line in answer.out.splitlines()] == [
        "scenes.identity.mkv",
        "gray.identity.mkv",
    ]
    assert "bad.mkv" in answer.err
    assert "1 of 3 films" in answer.err


def test_a_known_film_goes_by_accession_and_id(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "out")
    restar("restore", "--plain", "--restorer", "identity", scenes, *out, "--accession", "A-17")
    (film,) = restar("status", "A-17", "--json").json["films"]
    same = restar("restore", "--plain", "--restorer", "identity", film["film"][:10], *out)
    assert same.path == tmp_path / "out" / "scenes.identity.mkv"
    assert restorations(restar, scenes) == 4


def test_a_file_in_the_masters_place_is_kept_unless_forced(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    precious = out / "scenes.identity.mkv"
    precious.write_text("somebody's")
    answer = restar("restore", "--plain", "--recipe", "identity", scenes, "-o", out, fails=True)
    assert precious.read_text() == "somebody's"
    assert "--force" in answer.err
    restar("restore", "--plain", "--recipe", "identity", scenes, "-o", out, "--force")
    assert probe(precious).video.codec == "ffv1"


@pytest.mark.parametrize(("scale", "status"), [(0, 2), (1000, 2), (-1, 2)])
def test_a_scale_that_makes_no_sense(
    restar: Restar, scenes: Path, tmp_path: Path, scale: int, status: int
) -> None:
    answer = restar(
        "restore", "--plain", scenes, "--scale", scale, "-o", tmp_path / "out", fails=True
    )
    assert answer.status == status
    assert len(answer.err.splitlines()) <= 2
    assert "scale" in answer.err
    assert not (tmp_path / "out").exists()
