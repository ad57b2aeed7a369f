"""Bad input: one line that says what to do, a status other than 0, and nothing left behind."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Restar, everything_in
from tests.films import run_ffmpeg

ROOT = Path(__file__).parents[2]


def not_media(folder: Path, _scenes: Path) -> Path:
    path = folder / "notes.mkv"
    path.write_text("this is a shopping list\n" * 100)
    return path


def empty(folder: Path, _scenes: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def directory(folder: Path, _scenes: Path) -> Path:
    path = folder / "folder.mkv"
    path.mkdir()
    return path


def missing(folder: Path, _scenes: Path) -> Path:
    return folder / "gone.mkv"


def sound_only(folder: Path, _scenes: Path) -> Path:
    path = folder / "sound.m4a"
    run_ffmpeg(["-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", str(path)])
    return path


def ends_early(folder: Path, scenes: Path) -> Path:
    """Cut off behind its index (which ffmpeg is told to write first), so that it opens."""
    whole, path = folder / "whole.mp4", folder / "cut.mp4"
    run_ffmpeg(["-i", str(scenes), "-c", "copy", "-movflags", "+faststart", str(whole)])
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def garbled(folder: Path, scenes: Path) -> Path:
    path = folder / "garbled.mp4"
    data = bytearray(scenes.read_bytes())
    for at in range(len(data) // 4, len(data) // 2):
        data[at] = (at * 31) % 251
    path.write_bytes(data)
    return path


def checked(answer: Answer, tmp_path: Path) -> None:
    """What has to hold after every failure."""
    assert "Traceback" not in answer.err
    assert "unexpected" not in answer.err
    said = [line for line in answer.err.splitlines() if "recipe default" not in line]
    assert len(said) == 1, answer.err
    assert said[0].startswith("restar: ")
    assert answer.out == ""
    assert not (tmp_path / "out").exists()
    store = tmp_path / "home" / "store"
    assert not list((store / "staging").iterdir()) if store.exists() else True
    assert not [p for p in everything_in(tmp_path) if p.endswith(".part")]


@pytest.mark.parametrize(
    "make", [not_media, empty, directory, missing, sound_only, ends_early, garbled]
)
def test_a_film_that_is_none(
    make: Callable[[Path, Path], Path], restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, scenes)
    answer = restar("restore", "--plain", path, "-o", tmp_path / "out", fails=True)
    assert answer.status == 3
    assert path.name in answer.err
    checked(answer, tmp_path)
    assert restar("status", "--json").json == {"films": []}


@pytest.mark.parametrize(
    "text",
    [
        'name = "x"\n[restore]\nsteps = [{use = "resize"}]\nsharpness = 3\n',
        'name = "x"\nunknown = 1\n[[restore.steps]]\nuse = "resize"\n',
        'name = "x"\n[[restore.steps]]\nuse = "resize"\noptions = {sharpness = 3}\n',
        "name = \"x\"\n[[restore.steps]]\nuse = \"__import__('os').system('true')\"\n",
        "name = \n",
        "",
    ],
)
def test_a_recipe_that_is_none(restar: Restar, scenes: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    answer = restar(
        "restore", "--plain", scenes, "--recipe", path, "-o", tmp_path / "out", fails=True
    )
    assert answer.status in {2, 8}
    checked(answer, tmp_path)


def test_an_unknown_key_is_named_with_its_place(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('name = "x"\n[restore]\nsteps = [{use = "resize"}]\n[deliver]\ncodek = "x"\n')
    answer = restar("restore", "--plain", scenes, "--recipe", path, fails=True)
    assert "deliver.codek" in answer.err
    assert "bad.toml" in answer.err


def test_an_output_folder_that_is_a_file(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file")
    answer = restar("restore", "--plain", scenes, "-o", place / "below", fails=True)
    assert answer.status == 5
    assert str(place) in answer.err
    assert place.read_text() == "a file"


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE is POSIX")
def test_no_space(scenes: Path, tmp_path: Path) -> None:
    """A limit on file size stands for a full disk: writes fail half way, in ffmpeg and in Python."""
    few = 48 * 1024

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (few, few))

    # The catalog is made first: without it there is no place to record anything.
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RESTAR_")},
        "RESTAR_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "cli"]
    subprocess.run([*command, "status"], env=environment, check=True, capture_output=True)
    run = subprocess.run(
        [*command, "restore", "--plain", str(scenes), "-o", str(tmp_path / "out")],
        env=environment, capture_output=True, text=True, preexec_fn=limit, check=False,
    )  # fmt: skip
    assert run.returncode not in {0, 70}, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert not (tmp_path / "out").exists() or everything_in(tmp_path / "out") == set()
