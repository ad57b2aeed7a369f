"""Bulk: one film that fails stops no other, the same list goes on where it was, reports tell all."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from restar.recipe import load_recipe
from tasks.bulkreport import COLUMNS
from tasks.filmlist import read_list
from tests.cli.conftest import Restar
from tests.cli.test_restore import restorations


class _Tags(HTMLParser):
    """The words of a page, and whether every tag that was opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in {"meta", "br", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def folder(scenes: Path, film: Any, tmp_path: Path) -> Path:
    """Three films, one twice, one broken, and a list that names them."""
    made = tmp_path / "films"
    (made / "more").mkdir(parents=True)
    (made / "a <b>.mp4").write_bytes(scenes.read_bytes())
    (made / "more" / "twin.mp4").write_bytes(scenes.read_bytes())
    (made / "gray.mkv").write_bytes(film("odd_gray").read_bytes())
    (made / "broken.mov").write_text("no film")
    (made / "notes.txt").write_text("not a film either")
    quiet = "score.scorers = []\ndeliver = { access = 'none', report = false }\n"
    step = 'restore.steps = [{ use = "identity" }]\n'
    (tmp_path / "quick.toml").write_text(f'name = "quick"\n{step}{quiet}')
    return made


def rows(page: Path) -> dict[str, dict[str, str]]:
    with page.with_suffix(".csv").open(newline="") as file:
        return {Path(row["film"]).name: row for row in csv.DictReader(file)}


def test_a_folder_is_restored_and_the_same_command_goes_on(
    restar: Restar, folder: Path, tmp_path: Path
) -> None:
    command = ("bulk", folder, "--recipe", tmp_path / "quick.toml", "-o", folder / "out")
    estimate = {Path(e["path"]).name: e for e in restar(*command, "--dry-run", "--json").json}
    assert estimate["a <b>.mp4"]["frames"] == 84
    assert estimate["a <b>.mp4"]["hours"] > 0
    assert estimate["a <b>.mp4"]["bytes"] > 10_000
    assert "same film as a <b>.mp4" in estimate["twin.mp4"]["how"]
    assert "can be read" in estimate["broken.mov"]["error"]
    assert not (folder / "out").exists()

    answer = restar(*command, "--per-hour", 2, fails=True)
    assert answer.status == 10
    found = rows(answer.path)
    assert {name: row["state"] for name, row in found.items()} == {
        "a <b>.mp4": "done", "twin.mp4": "duplicate", "gray.mkv": "done", "broken.mov": "failed",
    }  # fmt: skip
    assert tuple(found["gray.mkv"]) == COLUMNS
    assert "not a film" in found["broken.mov"]["reason"]
    assert found["gray.mkv"]["price"] == "0.0000"
    made = restorations(restar, folder / "a <b>.mp4")
    assert made == 4
    page = _Tags()
    page.feed(answer.path.read_text())
    assert page.open == []
    assert any(word == "a <b>.mp4" for word in page.words)

    again = rows(restar(*command, fails=True).path)
    assert again["a <b>.mp4"]["reason"] == "was done before"
    assert {n: r["state"] for n, r in again.items()} == {n: r["state"] for n, r in found.items()}
    assert restorations(restar, folder / "a <b>.mp4") == made
    stand = rows(restar(*command, "--report").path)
    assert (stand["twin.mp4"]["state"], stand["a <b>.mp4"]["state"]) == ("duplicate", "done")
    left = json.loads(restar(*command, "--dry-run", "--json").out)
    assert sum(one["frames"] for one in left) == 0, "nothing is left to be done"


def test_a_list_gives_each_film_its_recipe_names_and_priority(
    restar: Restar, folder: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "tonight.csv"
    listed.write_text(
        "film,recipe,priority,accession,title\n"
        "films/gray.mkv,quick.toml,1,B-2,=1+1\n"
        '"films/a <b>.mp4",quick.toml,9,A-1,The Horse\n'
    )
    answer = restar("bulk", listed, "--queue", "-o", tmp_path / "out")
    assert [row["state"] for row in rows(answer.path).values()] == ["queued", "queued"]
    assert "'=1+1" in answer.path.with_suffix(".csv").read_text()
    jobs = restar("jobs", "--json").json
    assert (jobs[0]["priority"], Path(jobs[0]["film"]).name) == (9, "a <b>.mp4")
    restar("agent", "--idle", 0)
    stands = rows(restar("bulk", listed, "--report", "-o", tmp_path / "out").path)
    assert [row["state"] for row in stands.values()] == ["done", "done"]
    assert restar("status", "A-1", "--json").json["films"][0]["takes_done"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name\na.mkv\n", "unknown column 'name'"),
        ("recipe\nidentity\n", "has no column 'film'"),
        ("film\n", "lists no films"),
        ("film,priority\na.mkv,soon\n", "line 2: priority is a whole number"),
        ("film,recipe\na.mkv,none-such\n", "recipe 'none-such' is not known"),
        ("film,allow_damaged\na.mkv,maybe\n", "allow_damaged is yes or no"),
        ("film,title\na.mkv\n", "line 2: has not as many fields"),
    ],
)
def test_a_list_that_is_wrong_is_refused_whole(
    restar: Restar, tmp_path: Path, text: str, said: str
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(text)
    answer = restar("bulk", listed, "-o", tmp_path / "out", fails=True)
    assert answer.status == 2
    assert said in answer.err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_images_and_a_manifest_are_films_and_their_files_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "scan").mkdir()
    for name in ("f_001.dpx", "f_002.dpx", "mix.wav"):
        (tmp_path / "scan" / name).touch()
    for name in ("r1.mov", "r2.mov", "other.mov"):
        (tmp_path / name).touch()
    (tmp_path / "reels.toml").write_text('reels = ["r1.mov", "r2.mov"]')
    (tmp_path / "recipe.toml").write_text('name = "mine"')
    found = read_list(tmp_path, load_recipe("identity"))
    assert [entry.path.name for entry in found] == ["other.mov", "reels.toml", "scan"]
