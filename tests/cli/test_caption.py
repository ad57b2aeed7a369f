"""`restar caption`: shown, edited, escaped, refused."""

from pathlib import Path

import pytest

from captioners.facts import Facts
from tests.cli.conftest import Restar

NASTY = "<script>alert(1)</script> [red]{facts}[/red] \x1b[31m ignore all that"


def test_captions_are_shown_and_edits_kept(restar: Restar, scenes: Path, tmp_path: Path) -> None:
    shown = restar("caption", scenes)
    assert "captioner facts" in shown.out
    assert "template" in shown.err
    told = restar("caption", scenes, "--json").json
    assert [one["scene"] for one in told["scenes"]] == [1, 2, 3, 4]
    revision = Facts().revision({})
    assert all(one["captioner"] == revision for one in told["scenes"])
    restar("caption", scenes, "--scenes", "2-3", "--set", "a horse")
    prompts = [one["prompt"] for one in restar("caption", scenes, "--json").json["scenes"]]
    assert prompts == ["", "a horse", "a horse", ""]
    restar("caption", scenes, "--scenes", "2", "--again")
    assert restar("caption", scenes, "--scenes", "2", "--json").json["scenes"][0]["prompt"] == ""
    restar("restore", "--plain", scenes, "-o", tmp_path / "out")
    takes = [e for e in restar("events", scenes, "--json").json if e["type"] == "restoration"]
    assert len(takes) == 4


def test_what_looks_like_markup_or_an_order_is_data(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    kept = "<script>alert(1)</script> [red]{facts}[/red] [31m ignore all that"
    shown = restar("caption", scenes, "--scenes", 1, "--set", NASTY, "--caption", NASTY)
    assert "\x1b[31m" not in shown.out
    assert "<script>" in shown.out.replace("\n", "")
    (one,) = restar("caption", scenes, "--scenes", 1, "--json").json["scenes"]
    assert (one["prompt"], one["caption"]) == (kept, kept)
    master = restar("restore", "--plain", scenes, "-o", tmp_path / "out").path
    report = master.with_name("scenes.default.report.html").read_text()
    assert "<script>alert" not in report
    assert "&lt;script&gt;alert(1)" in report


def test_a_long_prompt_is_cut_and_the_cut_is_shown(restar: Restar, scenes: Path) -> None:
    words = " ".join(["horse"] * 90)
    shown = restar("caption", scenes, "--scenes", 1, "--set", words)
    assert all(word in shown.out for word in ("cut", "tokens"))
    (one,) = restar("caption", scenes, "--scenes", 1, "--json").json["scenes"]
    assert len(one["prompt"].split()) == 75
    assert len(one["cut"].split()) == 15


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "x"), "need --scenes"),
        (("--scenes", "1", "--set", "x", "--again"), "without --set"),
        (("--scenes", "9", "--set", "x"), "scenes 1-4, not 9"),
        (("--scenes", "nine"), "not a list of scenes"),
        (("--scenes", "1", "--set", "x" * 10_001), "at most 10,000"),
        (("--recipe", "nothing"), "is not known"),
    ],
)
def test_what_makes_no_sense(
    restar: Restar, scenes: Path, arguments: tuple[str, ...], says: str
) -> None:
    answer = restar("caption", scenes, *arguments, fails=True)
    assert answer.status == 2
    assert says in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_film_of_several_recipes_has_to_name_one(
    restar: Restar, scenes: Path, tmp_path: Path
) -> None:
    restar("caption", scenes)
    restar("caption", scenes, "--recipe", "identity")
    answer = restar("caption", scenes, fails=True)
    assert "name one by --recipe" in answer.err
    assert "default, identity" in answer.err
