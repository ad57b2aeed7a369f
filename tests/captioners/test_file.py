"""Captions from a file beside the film, in each of its formats, and files that are none."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from captioners import SceneView, describe
from captioners.contract import CaptionerContract
from captioners.file import File, read_captions
from restar.errors import PluginError, UsageError

FORMS = {
    "json": '{"film": "the film", "scenes": {"2": "a street", "4-5": "a\\u0000 <b>house</b>"}}',
    "csv": 'scene,caption\n,the film\n2,a street\n4-5,"a <b>house</b>"\n',
    "txt": "the film\n2: a street\n4-5: a <b>house</b>\n",
}


class TestContract(CaptionerContract):
    other_options: ClassVar[dict[str, Any]] = {"path": "captions"}

    @pytest.fixture
    def captioner(self) -> File:
        return File()


def views(film: Path, *numbers: int) -> list[SceneView]:
    return [SceneView(number=number, film=film) for number in numbers]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_says_the_same(form: str, tmp_path: Path) -> None:
    (tmp_path / f"reel.captions.{form}").write_text(FORMS[form], encoding="utf-8")
    captions = describe(File(), views(tmp_path / "reel.mkv", 1, 2, 4, 5), {})
    said = ["the film", "a street", "a <b>house</b>", "a <b>house</b>"]
    assert [caption.text for caption in captions] == said
    assert {caption.kind for caption in captions} == {"file"}


def test_a_folder_of_one_s_own_and_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "reel.captions.txt").write_text("a street")
    film = tmp_path / "films" / "reel.mkv"
    for path in (folder, folder / "reel.captions.txt"):
        assert describe(File(), views(film, 1), {"path": str(path)})[0].text == "a street"


def test_a_scene_that_is_not_named_has_an_empty_caption(tmp_path: Path) -> None:
    (tmp_path / "reel.captions.txt").write_text("2: a street")
    assert describe(File(), views(tmp_path / "reel.mkv", 1), {})[0].text == ""


def test_a_missing_file_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no reel\.captions\.json \(\.csv, \.txt\)"):
        describe(File(), views(tmp_path / "reel.mkv", 1), {})


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.json", b"{", "not captions as JSON"),
        ("a.json", b"[1]", "not captions as JSON"),
        ("a.json", b'{"scenes": {"1": 7}}', "a caption is not text"),
        ("a.json", b"[" * 100_000, "not captions as JSON"),
        ("a.json", b'{"scenes": {"x": "y"}}', "not a list of scenes"),
        ("a.csv", b"a,b\n1,2\n", "first line has to be scene,caption"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.txt", b"1: " + b"x" * 10_001, "over 10,000 characters"),
        ("a.doc", b"", r"\.json, \.csv or \.txt"),
    ],
)
def test_what_is_no_file_of_captions(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=says):
        read_captions(tmp_path / name)
