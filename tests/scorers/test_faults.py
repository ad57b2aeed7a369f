"""Each flag is raised by the fault that it is for, at its place, and by no good take.

The rates on real footage are in docs/scores.md (benchmarks/calibrate.py); here one generated scene
shows that each measure sees what it is for.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.faults import FAULTS, OTHERS, STRENGTHS, WHERE
from scorers import ScoreSeries, scorer
from scorers.flags import RULES, find_flags
from tests.scorers.pairs import moving, pairs, scored, video_of

Picture = NDArray[np.float32]
MEMBERS = sorted({rule.scorer for rule in RULES} | {"warp-error"})


@pytest.fixture(scope="module")
def clean() -> list[Picture]:
    return moving(20, size=(320, 180))


@pytest.fixture(scope="module")
def small(clean: list[Picture]) -> list[Picture]:
    return [cv2.resize(p, (160, 90), interpolation=cv2.INTER_AREA) for p in clean]


def measured(source: Sequence[Picture], take: Sequence[Picture]) -> dict[str, ScoreSeries]:
    """What all measures that raise flags say of a take."""
    sessions = [scorer(name).start(video_of(source), video_of(take)) for name in MEMBERS]
    for pair in pairs(source, take):
        for session in sessions:
            session.see(pair)
    return {series.name: series for series in (session.finish() for session in sessions)}


def flags(source: Sequence[Picture], take: Sequence[Picture]) -> set[str]:
    return {finding.flag for finding in find_flags(measured(source, take).values())}


def noisy(pictures: Sequence[Picture], codes: float) -> list[Picture]:
    random = np.random.default_rng(3)
    return [
        np.clip(p + random.normal(0, codes / 255, p.shape), 0, 1).astype(np.float32)
        for p in pictures
    ]


GOOD: dict[str, Callable[[list[Picture], list[Picture]], tuple[list[Picture], list[Picture]]]] = {
    "identity": lambda clean, small: (clean, clean),
    "noise taken away": lambda clean, small: (noisy(clean, 4), clean),
    "all of a still scene": lambda clean, small: (noisy([clean[0]] * 20, 3), [clean[0]] * 20),
    "a flicker taken away": lambda clean, small: (
        [p * np.float32(0.95 + 0.05 * (n * 7 % 3)) for n, p in enumerate(clean)], clean,
    ),
    "a cut that the shot list missed": lambda clean, small: (
        [*noisy(clean[:10], 2), *noisy([p[::-1] for p in clean[10:]], 2)],
        [*clean[:10], *(p[::-1] for p in clean[10:])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_take_has_no_flag(clean: list[Picture], small: list[Picture], kind: str) -> None:
    raised = flags(*GOOD[kind](clean, small))
    if kind == "all of a still scene":
        raised -= {"frozen"}  # equal frames while grain goes on: said, and true
    assert raised == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_strong_fault_raises_its_flag(clean: list[Picture], fault: str) -> None:
    faulty = FAULTS[fault](clean, np.random.default_rng(1), STRENGTHS.index("strong"))
    assert flags(clean, [p.clip(0, 1) for p in faulty]) & set(WHERE[fault])


def test_a_place_is_told(clean: list[Picture]) -> None:
    take = [p.copy() for p in clean]
    texture = np.random.default_rng(5).normal(0, 12 / 255, (50, 80, 1)).astype(np.float32)
    for picture in take:
        picture[10:60, 230:310] += texture
    (found,) = [
        f for f in find_flags(measured(clean, take).values()) if f.flag == "invented-detail"
    ]
    assert found.place == "upper right"
    assert found.sentence(100).startswith("invented-detail: frames 100-116, upper right: ")


@pytest.mark.parametrize("at", [0, 1, 5, 18, 19])
def test_a_black_frame_is_found_wherever_it_is(clean: list[Picture], at: int) -> None:
    take = list(clean)
    take[at] = np.zeros_like(take[at])
    series = scored(scorer("blank"), clean, take)
    assert series.worst == (at, pytest.approx(1, abs=0.05))


@pytest.mark.parametrize("at", [1, 9, 19])
def test_a_repeated_frame_is_found_wherever_it_is(clean: list[Picture], at: int) -> None:
    take = list(clean)
    take[at] = take[at - 1]
    series = scored(scorer("frozen"), clean, take)
    assert series.worst == (at, 1.0)
    assert sorted(series.values)[-2] < 0.2


def test_swapped_frames_are_found_under_grain(clean: list[Picture]) -> None:
    """A camera that creeps over a picture, and grain that is stronger than what a frame moves."""
    world = np.repeat(clean[0], 2, axis=1).repeat(2, axis=0)
    world = cv2.GaussianBlur(world, (0, 0), 3)
    still = [
        cv2.getRectSubPix(world, (320, 180), (260 + 0.7 * n, 150.0)).astype(np.float32)
        for n in range(14)
    ]
    take = list(still)
    take[6], take[7] = take[7], take[6]
    order = scorer("frame-order")
    good, bad = (scored(order, noisy(still, 16), one).values for one in (still, take))
    limit = next(rule.limit for rule in RULES if rule.flag == "wrong-order")
    assert max(good) < limit
    assert {n for n, value in enumerate(bad) if value > limit} == {6, 7}


PARTLY = {"posterised", "ringing", "other-matrix"}  # on some pictures: docs/scores.md has how often


@pytest.mark.parametrize("fault", sorted(set(OTHERS) - PARTLY))
def test_what_else_may_be_wrong_is_flagged(clean: list[Picture], fault: str) -> None:
    faulty = OTHERS[fault](clean, np.random.default_rng(1), STRENGTHS.index("medium"))
    assert flags(clean, [p.clip(0, 1) for p in faulty]) & set(WHERE[fault])


@pytest.mark.parametrize("pixels", [0.25, 0.5, 1.0, 2.0])
def test_a_displacement_is_told_in_pixels(clean: list[Picture], pixels: float) -> None:
    def moved(way: int, picture: Picture) -> Picture:
        move = np.array([[1, 0, 0.6 * way * pixels], [0, 1, 0.8 * way * pixels]])
        how = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
        return np.asarray(cv2.warpAffine(picture, move, (320, 180), **how), np.float32)

    source = clean[:9]
    series = scored(scorer("displacement"), source, [moved(1, p) for p in source])
    assert series.mean == pytest.approx(pixels, rel=0.35)
    weaving = [moved((n // 4 + 1) % 3 - 1, p) for n, p in enumerate(source)]
    assert (scored(scorer("displacement"), source, weaving).mean or 0) < 0.1


@pytest.mark.parametrize("at", [0, 9, 18])
def test_swapped_frames_are_found_wherever_they_are(clean: list[Picture], at: int) -> None:
    take = list(clean)
    take[at], take[at + 1] = take[at + 1], take[at]
    values = scored(scorer("frame-order"), clean, take).values
    assert {n for n, value in enumerate(values) if value > 0.4} == {at, at + 1}


def test_flicker_is_its_standard_deviation(clean: list[Picture]) -> None:
    """Frames that are brighter by random codes of deviation 2 flicker by 2 codes."""
    random = np.random.default_rng(8)
    take = [p + np.float32(random.normal(0, 2 / 255)) for p in clean * 4]
    series = scored(scorer("flicker"), clean * 4, take)
    assert series.mean == pytest.approx(2, rel=0.25)


def test_a_cast_is_its_distance_in_lab(clean: list[Picture]) -> None:
    take = [p * np.array([1.05, 1, 0.95], np.float32) for p in clean[:3]]
    lab = [
        np.mean(cv2.cvtColor(t, cv2.COLOR_RGB2Lab) - cv2.cvtColor(s, cv2.COLOR_RGB2Lab), (0, 1))
        for s, t in zip(clean, take, strict=False)
    ]
    series = scored(scorer("colour-drift"), clean[:3], take)
    assert series.mean == pytest.approx(np.mean(np.linalg.norm(lab, axis=1)), rel=0.05)


def test_unsteady_texture_is_a_warp_error(clean: list[Picture]) -> None:
    take = noisy(clean, 5)
    series = scored(scorer("warp-error"), clean, take)
    assert series.mean is not None
    assert 3 < series.mean < 8  # sqrt 2 times 5 codes of luma, less what interpolation smooths
    assert (scored(scorer("warp-error"), take, clean).mean or 0) < -3


def test_ssim_is_the_published_formula(clean: list[Picture]) -> None:
    from scorers.ssim import ssim_map

    one = clean[0].mean(axis=2)
    other = one + np.float32(0.1)
    mean = cv2.GaussianBlur(one, (11, 11), 1.5)
    wanted = (2 * mean * (mean + 0.1) + 1e-4) / (mean**2 + (mean + 0.1) ** 2 + 1e-4)
    assert np.allclose(ssim_map(one, other), wanted, atol=5e-4)


def test_what_follows_does_not_depend_on_pieces(clean: list[Picture]) -> None:
    """Where no later frame counts, a frame has the same value whether more follow or not."""
    for name in ("psnr-to-source", "ssim-to-source", "blank", "warp-error", "overshoot"):
        part = scored(scorer(name), clean[:8], noisy(clean[:8], 3))
        whole = scored(scorer(name), clean, noisy(clean, 3))
        assert whole.values[: len(part.values)] == part.values
