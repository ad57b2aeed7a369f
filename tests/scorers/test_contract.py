"""Each check of the scorers' contract fails on a scorer that is wrong in just that."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from media.format import VideoFormat
from scorers import Pair, ScoreSeries
from scorers.contract import PAIRS, ScorerContract
from scorers.psnr import PsnrSession, PsnrToSource

CHECKS = {name for name in vars(ScorerContract) if name.startswith("test_")}
_calls = itertools.count()


class Nameless(PsnrToSource):
    name = ""


class Session(PsnrSession):
    """A right one, to be made wrong."""


class Infinite(Session):
    def finish(self) -> ScoreSeries:
        series = super().finish()
        return replace(series, values=tuple(math.inf if v >= 100 else v for v in series.values))


class Foreign(Session):
    def finish(self) -> ScoreSeries:
        return replace(super().finish(), name="ssim")


class OfNumpy(Session):
    def finish(self) -> ScoreSeries:
        series = super().finish()
        return replace(series, values=tuple(map(np.float64, series.values)))


class Padding(Session):
    """Gives a value where nothing was seen."""

    def finish(self) -> ScoreSeries:
        series = super().finish()
        return replace(series, frames=series.frames or (0,), values=series.values or (0.0,))


class Recounting(Session):
    def finish(self) -> ScoreSeries:
        series = super().finish()
        return replace(series, frames=tuple(range(len(series.frames))))


class Restless(Session):
    def finish(self) -> ScoreSeries:
        series = super().finish()
        return replace(series, values=tuple(v + next(_calls) for v in series.values))


class Scribbling(Session):
    def see(self, pair: Pair) -> None:
        np.frombuffer(memoryview(pair.take.planes[0]), np.uint8)[:2] ^= 255
        super().see(pair)


class Mixing(PsnrToSource):
    """Keeps one series for all takes of an instance."""

    def __init__(self) -> None:
        self.session: PsnrSession | None = None

    def start(self, source: VideoFormat, take: VideoFormat) -> PsnrSession:
        if self.session is None or len(self.session.finish().frames) >= 5:
            self.session = PsnrSession(self.name, self.about, source)
        return self.session


def scorer_of(session: type[PsnrSession]) -> PsnrToSource:
    class Wrong(PsnrToSource):
        def start(self, source: VideoFormat, take: VideoFormat) -> PsnrSession:
            return session(self.name, self.about, source)

    return Wrong()


WRONG = [
    (Nameless(), "test_it_says_what_it_is"),
    (scorer_of(Foreign), "test_a_series_is_named_and_finite"),
    (scorer_of(OfNumpy), "test_a_series_is_named_and_finite"),
    (scorer_of(Infinite), "test_a_take_equal_to_its_source_has_a_finite_score"),
    (scorer_of(Padding), "test_one_frame_and_none_make_a_series"),
    (scorer_of(Recounting), "test_a_frame_keeps_its_index"),
    (scorer_of(Restless), "test_the_same_take_has_the_same_score"),
    (Mixing(), "test_two_takes_can_be_measured_side_by_side"),
    (scorer_of(Scribbling), "test_frames_are_left_as_they_were"),
]


@pytest.mark.parametrize(("wrong", "check"), WRONG)
def test_a_wrong_scorer_is_found(wrong: PsnrToSource, check: str) -> None:
    assert passes(scorer_of(Session), check)
    assert not passes(wrong, check)


def test_each_check_is_proven_able_to_fail() -> None:
    assert {check for _, check in WRONG} == CHECKS


def passes(member: PsnrToSource, check: str) -> bool:
    pair = () if check == "test_it_says_what_it_is" else (PAIRS["twice the size"],)
    try:
        getattr(ScorerContract(), check)(member, *pair)
    except (AssertionError, ValueError):
        return False
    return True
