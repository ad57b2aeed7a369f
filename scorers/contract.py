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
from scorers import Metric, Pair, Scorer, ScoreSeries

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

Formats = tuple[VideoFormat, VideoFormat]


class ScorerContract:
    """Subclass it, and give the fixture `scorer`."""

    pairs: ClassVar[tuple[str, ...]] = tuple(PAIRS)

    @pytest.fixture
    def scorer(self) -> Scorer:
        """The scorer under test."""
        raise NotImplementedError("override the fixture `scorer`")

    @pytest.fixture(params=tuple(PAIRS))
    def formats(self, request: pytest.FixtureRequest) -> Formats:
        """The formats of source and take."""
        if request.param not in self.pairs:
            pytest.skip(f"this scorer does not take {request.param}")
        return PAIRS[request.param]

    def test_it_says_what_it_is(self, scorer: Scorer) -> None:
        assert isinstance(scorer, Scorer)
        assert scorer.name
        assert isinstance(scorer.algorithm, int)
        assert scorer.algorithm >= 1
        assert isinstance(scorer.about, Metric)
        assert scorer.about.what
        assert scorer.about.licence

    def test_a_series_is_named_and_finite(self, scorer: Scorer, formats: Formats) -> None:
        series = self.scored(scorer, formats, range(_COUNT))
        assert series.name == scorer.name
        assert (series.unit, series.better) == (scorer.about.unit, scorer.about.better)
        assert series.unit
        assert series.better in {"higher", "lower"}
        assert len(series.frames) == len(series.values)
        assert list(series.frames) == sorted(set(series.frames) & set(range(_COUNT)))
        assert all(type(v) is float and math.isfinite(v) for v in series.values)
        assert len(series.tiles) in {0, len(series.frames)}
        json.dumps([series.frames, series.values, series.tiles, series.heat], allow_nan=False)

    def test_a_take_equal_to_its_source_has_a_finite_score(
        self, scorer: Scorer, formats: Formats
    ) -> None:
        source, _ = formats
        series = self.scored(scorer, (source, source), range(_COUNT))
        assert all(math.isfinite(v) for v in series.values)

    def test_one_frame_and_none_make_a_series(self, scorer: Scorer, formats: Formats) -> None:
        assert len(self.scored(scorer, formats, range(1)).values) <= 1
        none = self.scored(scorer, formats, ())
        assert (none.frames, none.values, none.mean, none.worst) == ((), (), None, None)

    def test_a_frame_keeps_its_index(self, scorer: Scorer, formats: Formats) -> None:
        assert set(self.scored(scorer, formats, (8, 9, 16)).frames) <= {8, 9, 16}

    def test_the_same_take_has_the_same_score(self, scorer: Scorer, formats: Formats) -> None:
        first = self.scored(scorer, formats, range(_COUNT))
        self.scored(scorer, formats, range(2), noise=9)
        assert self.scored(scorer, formats, range(_COUNT)) == first

    def test_two_takes_can_be_measured_side_by_side(self, scorer: Scorer, formats: Formats) -> None:
        alone = self.scored(scorer, formats, range(_COUNT))
        one, other = scorer.start(*formats), scorer.start(*formats)
        other_take = list(self.pairs_of(formats, range(_COUNT), noise=9))
        for pair, wrong in zip(self.pairs_of(formats, range(_COUNT)), other_take, strict=True):
            one.see(pair)
            other.see(wrong)
        assert one.finish() == alone

    def test_frames_are_left_as_they_were(self, scorer: Scorer, formats: Formats) -> None:
        session = scorer.start(*formats)
        before = None
        for index, frames in enumerate(self.frames(formats, 2)):
            was = [(digest(f), f.pts) for f in frames]
            before = Pair(index, *frames, formats, before)
            session.see(before)
            assert [(digest(f), f.pts) for f in frames] == was
        session.finish()

    def scored(
        self, scorer: Scorer, formats: Formats, indices: Sequence[int], noise: int = 2
    ) -> ScoreSeries:
        """The score of a take that differs from its source by `noise` codes."""
        session = scorer.start(*formats)
        for pair in self.pairs_of(formats, indices, noise):
            session.see(pair)
        return session.finish()

    def pairs_of(self, formats: Formats, indices: Sequence[int], noise: int = 2) -> Iterator[Pair]:
        """Pairs at these indices; one knows the pair before it where that is the frame before."""
        last: Pair | None = None
        frames = self.frames(formats, len(indices), noise)
        for index, (source, take) in zip(indices, frames, strict=True):
            before = last if last is not None and last.index == index - 1 else None
            last = Pair(index, source, take, formats, before)
            yield last

    def frames(
        self, formats: Formats, count: int, noise: int = 2
    ) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
        """Frames of a source, each with that of a take: resized, with noise, in its format."""
        source, take = formats
        rng = np.random.default_rng(0)
        for frame in moving_pictures(source, count):
            larger = planar(scaled(frame, take.width, take.height, "lanczos"))
            luma = planes(larger)[0]
            changed = luma + rng.integers(-noise, noise + 1, luma.shape)
            luma[:] = np.clip(changed, 16, 235)
            picture = to_format(larger, take)
            picture.pts = frame.pts
            yield frame, picture
