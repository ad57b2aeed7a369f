"""The contract of a restorer as tests: what restar relies on, to run on a plug-in of one's own.

    from restorers.contract import RestorerContract

    class TestMine(RestorerContract):
        @pytest.fixture
        def restorer(self):
            return Mine()

Every check runs for each of `FORMATS` on generated frames. A restorer that can't work on some of
them leaves them out of `formats`, one that has to see more frames ahead says so in `look_ahead`.
"""

# ruff: noqa: S101

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import Any, ClassVar

import av
import pytest

from media.convert import deepest, ffv1_pix_fmts, format_of
from media.format import ColourTags, VideoFormat
from media.synthetic import digest, moving_pictures
from restar.errors import DamagedMediaError, RecipeError
from restar.hashing import canonical_json
from restar.spec import ResolvedStep
from restar.timeline import FrameRange
from restorers import Restorer, StepContext

__all__ = ["FORMATS", "Reel", "RestorerContract"]

_VIDEO = ColourTags("bt709", "tv", "bt709", "bt709")
FORMATS = {
    "8 bit": VideoFormat(48, 32, "yuv420p", Fraction(16, 15), _VIDEO),
    "10 bit": VideoFormat(48, 32, "yuv422p10le", Fraction(1), _VIDEO),
    "odd size, untagged": VideoFormat(37, 23, "yuv420p"),
    "gray": VideoFormat(40, 30, "gray", colour=ColourTags(range="pc")),
    "RGB": VideoFormat(32, 24, "bgr0", colour=ColourTags(matrix="gbr", range="pc")),
}
_COUNT = 7


@dataclass
class Reel:
    """A scene's frames that knows how many were taken from it."""

    video: VideoFormat
    count: int = _COUNT
    seed: int = 0
    read: int = 0
    fails_after: int | None = None
    frames: list[av.VideoFrame] = field(default_factory=list)

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for frame in moving_pictures(self.video, self.count, self.seed):
            if self.read == self.fails_after:
                raise DamagedMediaError("frame is damaged")
            self.read += 1
            self.frames.append(frame)
            yield frame


class RestorerContract:
    """Subclass it, and give the fixture `restorer`."""

    options: ClassVar[dict[str, Any]] = {}
    formats: ClassVar[tuple[str, ...]] = tuple(FORMATS)
    look_ahead: ClassVar[int] = 0

    @pytest.fixture
    def restorer(self) -> Restorer:
        """The restorer under test."""
        raise NotImplementedError("override the fixture `restorer`")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test that asks for a `source`, the format of a scene, runs once for each of `formats`."""
        if "source" in metafunc.fixturenames:
            found = [FORMATS[name] for name in self.formats]
            metafunc.parametrize("source", found, ids=self.formats)

    def test_it_says_what_it_is(self, restorer: Restorer) -> None:
        assert isinstance(restorer, Restorer)
        assert restorer.name
        assert isinstance(restorer.algorithm, int)
        assert restorer.algorithm >= 1
        assert isinstance(restorer.needs_progressive, bool)

    def test_its_step_is_data_and_always_the_same(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        given = dict(self.options)
        step = restorer.resolve(given, source)
        assert given == self.options, "resolve() changed the options that it was given"
        assert (step.use, step.algorithm) == (restorer.name, restorer.algorithm)
        again = restorer.resolve(dict(self.options), source)
        assert canonical_json(step.options) == canonical_json(again.options)
        assert step.model_sha256 == again.model_sha256

    def test_an_unknown_option_is_refused_by_name(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        with pytest.raises(RecipeError, match="no_such_option"):
            restorer.resolve({**self.options, "no_such_option": 1}, source)

    def test_its_output_can_be_kept_and_has_the_shape_of_the_source(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        output = restorer.output(restorer.resolve(dict(self.options), source), source)
        assert output.pix_fmt in ffv1_pix_fmts(), "FFV1 can't hold the output"
        assert _shape(output) == _shape(source), "the display aspect ratio changed"
        assert output.field_order == source.field_order or restorer.needs_progressive

    def test_every_frame_comes_out_once_in_order_at_its_time(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        reel = Reel(source)
        out = self.restored(restorer, reel)
        assert len(out) == reel.count
        assert [(f.pts, f.time_base) for f in out] == [(f.pts, f.time_base) for f in reel.frames]

    def test_a_single_frame_is_a_scene(self, restorer: Restorer, source: VideoFormat) -> None:
        assert len(self.restored(restorer, Reel(source, count=1))) == 1

    def test_frames_have_the_format_that_was_promised(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        context = self.context(restorer, source)
        self._check_format(restorer, source, context.target)

    def test_frames_have_the_format_that_the_recipe_asks_for(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        target = self.context(restorer, source).target
        self._check_format(restorer, source, replace(target, pix_fmt=deepest(target.pix_fmt)))

    def test_the_same_seed_gives_the_same_pixels(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        first = [digest(f) for f in self.restored(restorer, Reel(source))]
        self.restored(restorer, Reel(source, count=2, seed=1))
        assert [digest(f) for f in self.restored(restorer, Reel(source))] == first

    def test_source_frames_are_left_as_they_were(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        reel = Reel(source)
        self.restored(restorer, reel)
        for frame, intact in zip(reel.frames, Reel(source), strict=True):
            assert digest(frame) == digest(intact)
            assert frame.pts == intact.pts
            assert format_of(frame) == format_of(intact)

    def test_it_reads_no_further_than_it_says(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        reel = Reel(source, count=_COUNT + self.look_ahead)
        frames = restorer.restore(iter(reel), self.context(restorer, source, reel.count))
        assert reel.read == 0, "frames were read before any was asked for"
        for given, _ in enumerate(frames, start=1):
            assert reel.read <= given + self.look_ahead

    def test_it_stops_when_it_is_closed(self, restorer: Restorer, source: VideoFormat) -> None:
        reel = Reel(source, count=_COUNT + 2 * self.look_ahead)
        frames = restorer.restore(iter(reel), self.context(restorer, source, reel.count))
        next(frames)
        close = getattr(frames, "close", None)
        assert close is not None, "restore() has to be a generator, or to have close()"
        close()
        assert reel.read <= 1 + self.look_ahead
        assert next(frames, None) is None, "it goes on after close()"

    def test_an_error_of_the_source_is_passed_on(
        self, restorer: Restorer, source: VideoFormat
    ) -> None:
        with pytest.raises(DamagedMediaError, match="frame is damaged"):
            self.restored(restorer, Reel(source, fails_after=3))

    def context(self, restorer: Restorer, source: VideoFormat, count: int = _COUNT) -> StepContext:
        """The context of a scene that does not begin at the film's first frame."""
        step: ResolvedStep = restorer.resolve(dict(self.options), source)
        target = restorer.output(step, source)
        return StepContext(
            FrameRange(100, 100 + count), step, source, target, seed=5, prompt="a reel of film"
        )

    def restored(self, restorer: Restorer, reel: Reel) -> list[av.VideoFrame]:
        """The scene restored; no more frames than are plausible."""
        context = self.context(restorer, reel.video, reel.count)
        return list(islice(restorer.restore(iter(reel), context), 2 * reel.count + 2))

    def _check_format(self, restorer: Restorer, source: VideoFormat, target: VideoFormat) -> None:
        context = replace(self.context(restorer, source), target=target)
        for frame in restorer.restore(iter(Reel(source)), context):
            assert (frame.width, frame.height) == (target.width, target.height)
            assert frame.format.name == target.pix_fmt
            for name in ("matrix", "range"):
                tag, wanted = (getattr(x.colour, name) for x in (format_of(frame), target))
                assert None in {tag, wanted} or tag == wanted, f"{name} is tagged {tag}"


def _shape(video: VideoFormat) -> Fraction:
    return (video.sar or Fraction(1)) * Fraction(video.width, video.height)
