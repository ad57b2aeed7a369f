"""What a session keeps does not grow with the scene, but for a few bytes a frame of its series."""

import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest

from scorers import Metric, Pair
from scorers.flags import find_flags
from scorers.session import FrameSession, WindowSession

ABOUT = Metric("something", "codes", "lower")
FRAMES = 50_000


class Plain(FrameSession):
    def see(self, pair: Pair) -> None:
        raise NotImplementedError


class Around(WindowSession[np.ndarray]):
    """Records how many frames it was judged among."""

    REACH = 3

    def see(self, pair: Pair) -> None:
        raise NotImplementedError

    def judge(self, index: int, near: Mapping[int, np.ndarray]) -> None:
        self.record(index, len(near), near[index])
        assert len(self._near) <= 2 * self.REACH + 1


def grown(session: FrameSession, frames: int) -> float:
    """Bytes a frame that a session took."""
    grid = np.zeros((9, 12), np.float32)
    tracemalloc.start()
    for index in range(frames):
        if isinstance(session, Around):
            session.keep(index, grid)
        else:
            session.record(index, index % 7, grid)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / frames


@pytest.mark.parametrize("kind", [Plain, Around])
def test_a_frame_costs_a_few_bytes(kind: type[FrameSession]) -> None:
    assert grown(kind("some", ABOUT), FRAMES) < 25


def test_each_frame_is_judged_once_among_its_window() -> None:
    session = Around("some", ABOUT)
    grid = np.zeros((2, 2))
    for index in (*range(10), 20, 21):
        session.keep(index, grid)
    series = session.finish()
    assert series.frames == (*range(10), 20, 21)
    assert series.values == (4, 5, 6, 7, 7, 7, 7, 6, 5, 4, 2, 2)


def test_the_flags_of_a_long_series_take_no_time() -> None:
    from scorers import ScoreSeries

    frames = tuple(range(100_000))
    long = ScoreSeries("overshoot", "%", "lower", frames, tuple(float(n % 3) for n in frames))
    assert [f.flag for f in find_flags([long])] == []
    (found,) = find_flags([long], {"over-sharpened": 0.5})
    assert (found.first, found.last) == (0, 99_999)
