"""A captioner's own wavering: the ways a scene is shown, and what a take is held against."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from captioners.drift import THRESHOLDS
from captioners.waver import WAYS, judged, ways_of

WORDS = ["horse", "field", "boat", "lake", "cat"]


def tower(words: Sequence[str]) -> NDArray[np.float32]:
    return np.eye(len(WORDS), dtype=np.float32)[[WORDS.index(word) for word in words]]


@pytest.fixture(autouse=True)
def no_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captioners.drift.find_spec", lambda _name: None)


def picture(height: int = 120, width: int = 160, grain: float = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    ground = cv2.resize(
        rng.uniform(40, 210, (6, 8, 3)).astype(np.float32), (width, height)
    )  # fmt: skip
    noisy = ground + grain * rng.standard_normal(ground.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def test_every_way_shows_the_same_scene_otherwise() -> None:
    stills, others = [picture(grain=12)] * 2, [picture(grain=4)] * 2
    shown = ways_of(stills, others)
    assert len(shown) == len(WAYS)
    assert [len(way) for way in shown] == [2] * len(WAYS)
    assert shown[0] == others
    for way in shown[1:]:
        assert way[0].dtype == np.uint8
        assert way[0].shape != stills[0].shape or not np.array_equal(way[0], stills[0])
    assert shown[1][0].shape == (106, 140, 3), "six hundredths less on each side"
    true = picture().astype(float)
    before = np.abs(stills[0] - true).mean()
    assert np.abs(shown[3][0] - true).mean() < 0.5 * before, "most of the grain is gone"


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (23, 40), (37, 29)])
def test_pictures_of_any_size_can_be_shown(size: tuple[int, int]) -> None:
    stills = [picture(*size)]
    for way in ways_of(stills, stills):
        assert min(way[0].shape[:2]) >= 1
        assert way[0].shape[2] == 3


def test_a_clean_picture_is_left_as_it_is() -> None:
    flat = np.full((96, 128, 3), 130, np.uint8)
    assert np.array_equal(ways_of([flat], [flat])[3][0], flat)


def test_a_take_is_held_against_all_that_is_said_of_its_source() -> None:
    steady = ["a horse in a field", "a horse", "a field with a horse"]
    assert judged(steady[:1], "a blurry horse in a field", tower).agreement == pytest.approx(1)
    drifted = judged(steady, "a boat on a lake", tower)
    assert drifted.drifted
    assert not drifted.babbled
    assert drifted.agreement == 0
    assert drifted.own is not None
    assert drifted.own > THRESHOLDS["words"]
    assert not judged([*steady, "a boat"], "a boat on a lake", tower).drifted
    once = judged(["a horse"], "a boat", tower)
    assert once.drifted
    assert once.own is None, "of one caption nothing is known of wavering"


def test_where_the_captioner_does_not_agree_with_itself_nothing_is_told() -> None:
    verdict = judged(["a horse", "a field", "a lake", "a cat"], "a boat", tower)
    assert verdict.babbled
    assert not verdict.drifted
    fits = judged(["a horse", "a field", "a lake", "a cat"], "a cat", tower)
    assert not fits.babbled, "the take fits one of them: that is an answer"
    assert fits.agreement == pytest.approx(1)


def test_captions_without_content_give_no_verdict() -> None:
    verdict = judged(["a blurry photo", "an old photo"], "a boat", tower)
    assert (verdict.agreement, verdict.drifted) == (None, False)
    assert judged(["a horse"], "a boat").agreement is None, "no means to compare"
