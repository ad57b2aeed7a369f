"""When a series raises a flag, over which frames, and in which words."""

from dataclasses import replace

import pytest

from scorers import ScoreSeries
from scorers.flags import RULES, WINDOW, find_flags, place_of


def series(name: str, values: list[float], **more: object) -> ScoreSeries:
    rule = next(rule for rule in RULES if rule.scorer == name)
    better = "higher" if rule.flag == "lost-detail" else "lower"
    frames = tuple(range(len(values)))
    return replace(
        ScoreSeries(name, "codes", better, frames, tuple(values)),
        **more,  # type: ignore[arg-type]
    )


def test_frames_beyond_the_limit_are_runs() -> None:
    values = [0.0] * 20
    values[3] = values[4] = values[10] = 1.0
    found = find_flags([series("blank", values)])
    assert [(f.flag, f.first, f.last) for f in found] == [("blank", 3, 4), ("blank", 10, 10)]
    assert found[1].sentence(100).startswith("blank: frame 110: ")
    assert found[0].sentence().startswith("blank: frames 3-4: ")


def test_what_belongs_to_a_take_is_a_mean_over_a_window() -> None:
    one = [0.0] * 200
    one[50] = 20.0  # 20 / 24 is under the limit
    assert find_flags([series("overshoot", one)]) == []
    some = [2.0 if 96 <= n < 120 else 0.0 for n in range(200)]
    (found,) = find_flags([series("overshoot", some)])
    assert found.first <= 96
    assert found.last >= 119
    assert found.last - found.first <= 3 * WINDOW


@pytest.mark.parametrize("count", [1, 5, WINDOW, WINDOW + 1, 100])
def test_a_bad_take_of_any_length_is_flagged_from_end_to_end(count: int) -> None:
    (found,) = find_flags([series("overshoot", [5.0] * count)])
    assert (found.first, found.last) == (0, count - 1)


def test_more_is_better_where_it_is() -> None:
    assert find_flags([series("detail-kept", [1.0] * 9)]) == []
    assert find_flags([series("detail-kept", [0.5] * 9)])[0].flag == "lost-detail"


def test_a_recipe_sets_limits_and_ignores() -> None:
    bad = series("flicker", [2.0] * 9)
    assert find_flags([bad])
    assert find_flags([bad], {"flicker": 3.0}) == []
    assert find_flags([bad], ignore=["flicker"]) == []
    psnr = ScoreSeries("psnr-to-source", "dB", "higher", (0, 1), (30.0, 34.0))
    assert find_flags([psnr]) == []
    (found,) = find_flags([psnr], {"psnr-to-source": 33.0})
    assert found.sentence() == ("psnr-to-source: frames 0-1: its mean of 32 dB is worse than 33")
    assert find_flags([psnr], {"psnr-to-source": 31.0}) == []


def test_nothing_measured_is_nothing_flagged() -> None:
    assert find_flags([series(rule.scorer, []) for rule in RULES]) == []
    assert find_flags([]) == []


@pytest.mark.parametrize(
    ("tile", "words"),
    [((0, 0), "upper left"), ((8, 11), "lower right"), ((4, 6), "centre"), ((4, 0), "left"),
     ((0, 6), "top"), ((8, 5), "bottom")],
)  # fmt: skip
def test_places_have_words(tile: tuple[int, int], words: str) -> None:
    assert place_of(tile, 9, 12) == words


def test_a_place_is_told_where_frames_agree() -> None:
    heat = tuple((0.0,) * 12 for _ in range(9))
    bad = series("overshoot", [5.0] * 6, heat=heat, tiles=((0, 0),) * 6)
    assert find_flags([bad])[0].place == "upper left"
    spread = ((0, 0), (8, 11), (4, 0), (0, 6), (8, 5), (0, 11))
    assert find_flags([replace(bad, tiles=spread)])[0].place == ""


def test_what_looks_at_some_frames_tells_one_run_of_them() -> None:
    frames = tuple(range(0, 24, 4))
    far = ScoreSeries("displacement", "pixels", "lower", frames, (0.5, 0.5, 0.5, 0.0, 0.5, 0.5))
    assert [(f.first, f.last) for f in find_flags([far])] == [(0, 8), (16, 20)]
