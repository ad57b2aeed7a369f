"""Scoring a take as a task: what is recorded, how often frames are decoded, and that no NaN gets in."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from catalog.models import ScoreRow, TakeRow
from catalog.restorations import selected_takes
from flows.drain import drain
from flows.prepare import Order, prepare
from restar.recipe import Score, load_recipe
from restar.settings import Settings
from scorers import Metric, Pair, ScoreSeries
from tasks import score as scoring
from tasks.house import House, OpenFilm, open_film, open_house
from tasks.score import Scored, score_take, series_from, spread
from tests.films import scenes_film


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, OpenFilm, TakeRow]]:
    """An installation with one film of one scene, restored and not scored."""
    folder = tmp_path_factory.mktemp("studio")
    film = scenes_film(folder / "one.mp4", (40,), "96x64", sound=False)
    recipe = load_recipe("default").model_copy(update={"score": Score(scorers=())})
    with open_house(
        Settings(home=folder / "home", agent="tester", database="", store=None)
    ) as house:
        prepared = prepare(house, film, Order(recipe, folder / "out"))
        drain(house, prepared.restoration_id)
        with house.catalog.read() as session:
            (take,) = selected_takes(session, prepared.restoration_id).values()
        yield house, open_film(house, prepared.film_id), take


def scored(studio: tuple[House, OpenFilm, TakeRow], **wanted: object) -> list[Scored]:
    house, film, take = studio
    return score_take(house, film, take, Score.model_validate(wanted), number=1)


def test_all_standard_measures_come_from_one_decode(
    studio: tuple[House, OpenFilm, TakeRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    decodes: list[str] = []
    for name in ("decode_range", "decode_all"):
        original = getattr(scoring, name)
        monkeypatch.setattr(
            scoring, name, lambda *a, o=original, n=name: (decodes.append(n), o(*a))[1]
        )
    found = scored(studio)
    assert decodes == ["decode_range", "decode_all"]
    assert [one.metric for one in found] == list(Score().scorers)
    for one in found:
        json.dumps(one.summary, allow_nan=False)
        assert one.summary["of"] == 40
        assert one.summary["change"] in {0, None}  # a plain resize beside itself
        assert one.summary["trend"] is not None or one.summary["measured"] < 3


def test_a_series_comes_back_from_the_store(studio: tuple[House, OpenFilm, TakeRow]) -> None:
    house, _, take = studio
    for one in scored(studio):
        row = ScoreRow(take_id=take.id, metric=one.metric, algorithm=one.algorithm,
                       summary=one.summary, series_sha256=one.series_sha256)  # fmt: skip
        assert series_from(house, row) == one.series


def test_dear_measures_see_some_frames(
    studio: tuple[House, OpenFilm, TakeRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting()
    monkeypatch.setattr(scoring, "scorer", lambda _name: counting)
    for wanted, measured in ((5, 5), (0, 40), (100, 40)):
        (one,) = scored(studio, scorers=["counting"], frames=wanted)
        assert one.summary["measured"] == measured
        assert one.summary["wanted"] == wanted
    (one,) = scored(studio, scorers=["counting"], frames=5)
    assert one.series.frames == (4, 12, 20, 28, 36)


def test_what_is_no_number_never_gets_further(
    studio: tuple[House, OpenFilm, TakeRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = Counting([math.nan, math.inf, 1.0, -math.inf])
    monkeypatch.setattr(scoring, "scorer", lambda _name: wild)
    (one,) = scored(studio, scorers=["counting"], frames=4)
    assert one.series.values == (1.0,)
    assert one.summary["mean"] == 1.0
    nothing = Counting([math.nan])
    monkeypatch.setattr(scoring, "scorer", lambda _name: nothing)
    (one,) = scored(studio, scorers=["counting"], frames=1)
    assert (one.summary["mean"], one.summary["worst"], one.summary["trend"]) == (None, None, None)


@pytest.mark.parametrize(("count", "wanted"), [(1, 5), (5, 5), (100, 5), (7, 3), (10, 0)])
def test_frames_are_spread_evenly(count: int, wanted: int) -> None:
    chosen = sorted(spread(count, wanted))
    assert len(chosen) == (min(count, wanted) or count)
    assert all(0 <= frame < count for frame in chosen)
    gaps = {b - a for a, b in pairwise(chosen)}
    assert max(gaps, default=1) - min(gaps, default=1) <= 1


class Counting:
    """A dear measure that gives what it is told to."""

    name = "counting"
    algorithm = 1
    about = Metric("counts", "frames", "lower", sampled=True)

    def __init__(self, values: list[float] | None = None) -> None:
        self.values = values

    def start(self, *_formats: object) -> "Session":
        return Session(self.values)


class Session:
    def __init__(self, values: list[float] | None) -> None:
        self.values, self.frames = values, list[int]()

    def see(self, pair: Pair) -> None:
        self.frames.append(pair.index)

    def finish(self) -> ScoreSeries:
        values = self.values or [float(n) for n in range(len(self.frames))]
        series = ScoreSeries("counting", "frames", "lower", tuple(self.frames), tuple(values))
        return replace(series, values=tuple(values[: len(self.frames)]))


def test_a_page_of_scores_of_a_long_film_stays_small(tmp_path: Path) -> None:
    from tasks.charts import SceneSeries, timeline

    frames = tuple(range(50_000))
    values = tuple(float(n % 7) if n != 12_345 else 100.0 for n in frames)
    series = ScoreSeries("flicker", "codes", "lower", frames, values)
    svg = timeline([SceneSeries(1, 0, 50_000, series, 1.0, [])], 5.0)
    assert len(svg) < 40_000
    assert svg.count("<polyline") == 1
    assert "12345" not in svg


def test_a_chart_of_nothing_is_empty_and_of_one_frame_a_dot() -> None:
    from tasks.charts import SceneSeries, timeline

    assert timeline([SceneSeries(1, 0, 5, None, None, [])], None) == ""
    one = ScoreSeries("flicker", "codes", "lower", (0,), (1.0,))
    assert "<circle" in timeline([SceneSeries(1, 0, 1, one, None, [])], 3.0)
