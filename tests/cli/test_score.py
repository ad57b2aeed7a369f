"""`restar score`, `report`, `metrics` and `choose`, and what flags lead to."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from restar.plugins import load_plugin, plugin_names
from tests.cli.conftest import Restar
from tests.cli.faulty import install_faulty
from tests.films import scenes_film
from tests.scorers.test_members import WEIGHTS


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes_film(tmp_path_factory.mktemp("film") / "two.mp4", (14, 12), "96x64", sound=False)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_faulty(tmp_path / "site", monkeypatch)


def recipe(folder: Path, select: str = "", score: str = "") -> Path:
    path = folder / "mine.toml"
    text = 'name = "mine"\n[[restore.steps]]\nuse = "faulty"\n[deliver]\naccess = "none"\n'
    path.write_text(f"{text}[select]\n{select}\n[score]\n{score}\n")
    return path


def restored(restar: Restar, film: Path, folder: Path, *, fails: bool = False, **kw: str) -> object:
    mine = recipe(folder, **kw)
    return restar("restore", "--plain", "--recipe", mine, film, "-o", folder / "out", fails=fails)


def steps_of_selected(restar: Restar, film: Path) -> list[str]:
    (one,) = restar("status", film, "--json").json["films"]
    assert one["takes_done"] == one["scenes"]
    events = restar("events", film, "--json").json
    return [e["type"] for e in events]


def test_a_restored_film_has_scores_and_no_flag(restar: Restar, film: Path, tmp_path: Path) -> None:
    restar("restore", "--plain", film, "-o", tmp_path / "out")
    first, second = restar("score", film, "--json").json
    assert first["flags"] == second["flags"] == []
    psnr = first["scores"]["psnr-to-source"]
    assert psnr["mean"] > 25
    assert (psnr["measured"], psnr["of"]) == (2, 14)  # every eighth
    assert psnr["change"] == 0  # a plain resize against itself
    shown = restar("score", film).out
    assert "no flag" in shown
    assert "ssim-to-source" in shown
    by_key = restar("score", first["take_key"][:12], "--json").json
    assert by_key == [first]


def test_a_score_is_measured_once_unless_again(
    restar: Restar, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restar("restore", "--plain", "--restorer", "identity", film, "-o", tmp_path / "out")
    import tasks.score

    decoded: list[int] = []
    measure = tasks.score._measure
    monkeypatch.setattr(
        tasks.score,
        "_measure",
        lambda *a: (decoded.append(1), measure(*a))[1],  # type: ignore[func-returns-value]
    )
    restar("score", film, "--metric", "flicker")
    assert decoded == []
    restar("score", film, "--metric", "flicker", "--again")
    assert decoded == [1, 1]
    before = restar("score", film, "--json").json
    assert restar("score", film, "--json", "--again").json == before


def test_an_identical_take_is_perfect(restar: Restar, film: Path, tmp_path: Path) -> None:
    restar("restore", "--plain", "--restorer", "identity", film, "-o", tmp_path / "out")
    for take in restar("score", film, "--json").json:
        assert take["flags"] == []
        assert take["scores"]["psnr-to-source"]["mean"] == 100
        assert take["scores"]["ssim-to-source"]["mean"] == 1
        assert take["scores"]["detail-gain"]["mean"] is None


def test_a_flag_says_where_and_keeps_a_plain_take_beside(
    restar: Restar, film: Path, tmp_path: Path, faulty: None
) -> None:
    restored(restar, film, tmp_path)
    scored = restar("score", film, "--json").json
    assert [t["flags"][0].partition(":")[0] for t in scored] == ["colour-cast"] * 2
    assert "frames 0-12" in scored[0]["flags"][0]
    assert "frames 14-22" in scored[1]["flags"][0]
    made = [e for e in restar("events", film, "--json").json if e["type"] == "restoration"]
    assert len(made) == 4  # two takes, and a plain resize beside each
    restar("choose", film, "--scene", 1, "--take", "plain", "--reason", "no cast")
    restored(restar, film, tmp_path)
    one = restar("score", film, "--json").json[0]
    assert one["flags"] == []
    assert one["scores"]["psnr-to-source"]["change"] == 0
    review = restar("events", film, "--json").json
    assert [e["detail"]["reason"] for e in review if e["type"] == "appraisal"] == ["no cast"]


def test_ask_lets_a_flagged_take_wait_for_a_person(
    restar: Restar, film: Path, tmp_path: Path, faulty: None
) -> None:
    select = 'rule = "ask"'
    answer = restored(restar, film, tmp_path, select=select, fails=True)
    assert answer.status == 10  # type: ignore[attr-defined]
    assert "scenes 1-2 wait for a person" in answer.err  # type: ignore[attr-defined]
    restored(restar, film, tmp_path, select=select, fails=True)  # nor does asking twice decide
    page = restar("report", film, "-o", tmp_path / "look.html").path.read_text()
    assert "waits for a decision" in page
    restar("choose", film, "--scene", 1, "--take", "first")
    wrong = restar("choose", film, "--scene", 2, "--take", "second", fails=True)
    assert "first, plain" in wrong.err
    restar("choose", film, "--scene", 2, "--take", "plain")
    assert restored(restar, film, tmp_path, select=select).path.is_file()  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", ["first", "best", "ask"])
def test_a_second_try_is_taken_where_it_is_better(
    restar: Restar, film: Path, tmp_path: Path, faulty: None, rule: str
) -> None:
    select = f'rule = "{rule}"\nsecond_try = {{ seed = 1 }}'
    restored(restar, film, tmp_path, select=select)
    assert [t["flags"] for t in restar("score", film, "--json").json] == [[], []]
    made = [e for e in restar("events", film, "--json").json if e["type"] == "restoration"]
    assert len(made) == 6
    restored(restar, film, tmp_path, select=select)
    again = [e for e in restar("events", film, "--json").json if e["type"] == "restoration"]
    assert len(again) == 6


def test_best_takes_the_less_bad_of_two(
    restar: Restar, film: Path, tmp_path: Path, faulty: None
) -> None:
    select = 'rule = "best"\nby = "colour-drift"\nsecond_try = { cast = 0.05 }'
    restored(restar, film, tmp_path, select=select)
    for take in restar("score", film, "--json").json:
        assert take["scores"]["colour-drift"]["mean"] < 8
        assert "colour-cast" in [f.partition(":")[0] for f in take["flags"]]


def test_limits_are_the_recipes(restar: Restar, film: Path, tmp_path: Path, faulty: None) -> None:
    restored(restar, film, tmp_path, score='ignore = ["colour-cast", "tile-edges"]')
    assert restar("status", film, "--json").json["films"][0]["flags"] == 0
    restored(restar, film, tmp_path, score="thresholds = { colour-cast = 1000.0, flicker = -1.0 }")
    restored(restar, film, tmp_path, score="thresholds = { psnr-to-source = 90.0 }")
    flags = [f for take in restar("score", film, "--json").json for f in take["flags"]]
    assert any(f.startswith("psnr-to-source: frames 0-8: its mean of") for f in flags)


@pytest.mark.parametrize(
    ("score", "named"),
    [
        ('scorers = ["beauty"]', "beauty"),
        ("thresholds = { beauty = 3.0 }", "beauty"),
        ('ignore = ["beauty"]', "beauty"),
        ("frames = -1", "frames"),
        ("thresholds = { flicker = nan }", "thresholds"),
    ],
)
def test_a_wrong_score_section_is_refused_before_any_work(
    restar: Restar, film: Path, tmp_path: Path, faulty: None, score: str, named: str
) -> None:
    answer = restored(restar, film, tmp_path, score=score, fails=True)
    assert named in answer.err  # type: ignore[attr-defined]
    assert len(answer.err.splitlines()) == 1  # type: ignore[attr-defined]
    assert restar("status", "--json").json == {"films": []}


def test_what_can_not_be_measured_here_says_what_is_wanted(
    restar: Restar, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    restar("restore", "--plain", "--restorer", "identity", film, "-o", tmp_path / "out")
    answer = restar("score", film, "--metric", "musiq", fails=True)
    assert answer.status == 7
    assert str(tmp_path / "torch" / "hub" / "pyiqa") in answer.err
    assert "musiq_koniq" in answer.err
    assert "beauty" in restar("score", film, "--metric", "beauty", fails=True).err
    assert "no such film" in restar("score", "elsewhere", fails=True).err
    assert "no such film" in restar("report", "elsewhere", fails=True).err


def test_metrics_tell_direction_licence_and_what_is_missing(
    restar: Restar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    rows = {row["metric"]: row for row in restar("metrics", "--json").json}
    assert set(rows) == set(plugin_names("scorers"))
    assert {name for name, row in rows.items() if not row["ready"]} == set(WEIGHTS)
    assert all(row["what"] and row["licence"] and row["better"] for row in rows.values())
    assert not rows["niqe"]["commercial_use"]
    assert rows["niqe"]["sampled"]
    assert {name for name, row in rows.items() if row["cost"] > 100} == {"niqe", "brisque", "piqe"}
    assert all(row["cost"] for row in rows.values() if row["commercial_use"])
    assert rows["displacement"]["every"] == 4
    text = restar("metrics").out
    assert "PolyForm Noncommercial" in text
    assert "restar downloads nothing" in text


def test_without_pyiqa_the_rest_works_and_says_how_to_get_it(
    restar: Restar, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from scorers import noreference

    monkeypatch.setitem(sys.modules, "pyiqa", None)
    noreference._network.cache_clear()
    load_plugin.cache_clear()
    restar("restore", "--plain", film, "-o", tmp_path / "out")
    answer = restar("score", film, "--metric", "niqe", fails=True)
    assert answer.status == 8
    assert "pip install 'restar[iqa]'" in answer.err
    assert "commercial" in answer.err
    rows = {row["metric"]: row for row in restar("metrics", "--json").json}
    assert not rows["niqe"]["ready"]
    assert rows["flicker"]["ready"]


class Page(HTMLParser):
    """What a page loads, and its pieces."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append(tag)
        self.ids |= {known["id"] or ""} if "id" in known else set()
        self.links |= {(known["href"] or "")[1:]} if tag == "a" else set()
        self.loaded += [known[k] or "" for k in ("src", "srcset") if k in known]
        self.loaded += [known["href"] or ""] if tag == "link" else []


def test_the_report_is_one_page_that_loads_nothing(
    restar: Restar, film: Path, tmp_path: Path, faulty: None
) -> None:
    restored(restar, film, tmp_path)
    path = restar("report", film).path
    assert path == tmp_path / "out" / "two.mine.report.html"
    text = path.read_text()
    page = Page(text)
    assert page.loaded
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.loaded)
    assert page.tags.count("polyline") > 10
    assert page.links <= page.ids
    assert "colours are not the source&#39;s" in text or "colours are not the source's" in text
    assert "plain resize" in text
    assert 'class="heat"' in text
    assert json.dumps(None) not in text.split("<h2>Streams")[0]


def test_names_in_a_report_are_only_text(restar: Restar, film: Path, tmp_path: Path) -> None:
    bad = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    bad.write_bytes(film.read_bytes())
    restar("restore", "--plain", bad, "-o", tmp_path / "out")
    text = restar("report", bad, "-o", tmp_path / "r.html").path.read_text()
    assert "<img src=x" not in text
