"""The contract of a scorer as tests: what restar relies on, to run on a plug-in of one's own.

    from scorers.contract import ScorerContract

    class TestMine(ScorerContract):
        @pytest.fixture
        def scorer(self):
            return Mine()

Each check runs for takes of the source's size, of twice it, and of another pixel format.
"""

# ruff: noqa: S101

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import av
import numpy as np
import pytest

from media.convert import planar, planes, scaled, to_format
from media.format import ColourTags, VideoFormat
from media.synthetic import digest, moving_pictures
from scorers import Scorer, ScoreSeries

__all__ = ["PAIRS", "ScorerContract"]

_SOURCE = VideoFormat(64, 48, "yuv420p", colour=ColourTags("bt709", "tv", "bt709", "bt709"))
_GRAY = VideoFormat(37, 23, "gray")
PAIRS = {
    "same size": (_SOURCE, _SOURCE),
    "twice the size": (_SOURCE, replace(_SOURCE, width=128, height=96)),
    "10 bit 4:2:2": (_SOURCE, replace(_SOURCE, width=128, height=96, pix_fmt="yuv422p10le")),
    "odd gray": (_GRAY, replace(_GRAY, width=74, height=46)),
}
_COUNT = 5

Pair = tuple[VideoFormat, VideoFormat]


class ScorerContract:
    """Subclass it, and give the fixture `scorer`."""

    pairs: ClassVar[tuple[str, ...]] = tuple(PAIRS)

    @pytest.fixture
    def scorer(self) -> Scorer:
        """The scorer under test."""
        raise NotImplementedError("override the fixture `scorer`")

    @pytest.fixture(params=tuple(PAIRS))
    def pair(self, request: pytest.FixtureRequest) -> Pair:
        """The formats of source and take."""
        if request.param not in self.pairs:
            pytest.skip(f"this scorer does not take {request.param}")
        return PAIRS[request.param]

    def test_it_says_what_it_is(self, scorer: Scorer) -> None:
        assert isinstance(scorer, Scorer)
        assert scorer.name
        assert isinstance(scorer.algorithm, int)
        assert scorer.algorithm >= 1

    def test_a_series_is_named_and_finite(self, scorer: Scorer, pair: Pair) -> None:
        series = self.scored(scorer, pair, range(_COUNT))
        assert series.name == scorer.name
        assert series.unit
        assert series.better in {"higher", "lower"}
        assert len(series.frames) == len(series.values)
        assert list(series.frames) == sorted(set(series.frames) & set(range(_COUNT)))
        assert all(type(v) is float and math.isfinite(v) for v in series.values)
        json.dumps([series.frames, series.values], allow_nan=False)

    def test_a_take_equal_to_its_source_has_a_finite_score(
        self, scorer: Scorer, pair: Pair
    ) -> None:
        source, _ = pair
        series = self.scored(scorer, (source, source), range(_COUNT))
        assert all(math.isfinite(v) for v in series.values)

    def test_one_frame_and_none_make_a_series(self, scorer: Scorer, pair: Pair) -> None:
        assert len(self.scored(scorer, pair, range(1)).values) <= 1
        none = self.scored(scorer, pair, ())
        assert (none.frames, none.values, none.mean, none.worst) == ((), (), None, None)

    def test_a_frame_keeps_its_index(self, scorer: Scorer, pair: Pair) -> None:
        assert set(self.scored(scorer, pair, (4, 9, 11)).frames) <= {4, 9, 11}

    def test_the_same_take_has_the_same_score(self, scorer: Scorer, pair: Pair) -> None:
        first = self.scored(scorer, pair, range(_COUNT))
        self.scored(scorer, pair, range(2), noise=9)
        assert self.scored(scorer, pair, range(_COUNT)) == first

    def test_two_takes_can_be_measured_side_by_side(self, scorer: Scorer, pair: Pair) -> None:
        alone = self.scored(scorer, pair, range(_COUNT))
        one, other = scorer.start(*pair), scorer.start(*pair)
        for index, (source, take) in enumerate(self.frames(pair, _COUNT)):
            one.see(index, source, take)
            other.see(index, source, source)
        assert one.finish() == alone

    def test_frames_are_left_as_they_were(self, scorer: Scorer, pair: Pair) -> None:
        session = scorer.start(*pair)
        for index, frames in enumerate(self.frames(pair, 2)):
            before = [(digest(f), f.pts) for f in frames]
            session.see(index, *frames)
            assert [(digest(f), f.pts) for f in frames] == before
        session.finish()

    def scored(
        self, scorer: Scorer, pair: Pair, indices: Sequence[int], noise: int = 2
    ) -> ScoreSeries:
        """The score of a take that differs from its source by `noise` codes."""
        session = scorer.start(*pair)
        for index, frames in zip(indices, self.frames(pair, len(indices), noise), strict=True):
            session.see(index, *frames)
        return session.finish()

    def frames(
        self, pair: Pair, count: int, noise: int = 2
    ) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
        """Frames of a source, each with that of a take: resized, with noise, in its format."""
        source, take = pair
        rng = np.random.default_rng(0)
        for frame in moving_pictures(source, count):
            larger = planar(scaled(frame, take.width, take.height, "lanczos"))
            luma = planes(larger)[0]
            changed = luma + rng.integers(-noise, noise + 1, luma.shape)
            luma[:] = np.clip(changed, 16, 235)
            picture = to_format(larger, take)
            picture.pts = frame.pts
            yield frame, picture
