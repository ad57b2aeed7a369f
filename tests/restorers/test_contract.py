"""Each check of the restorers' contract fails on a restorer that is wrong in just that."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from media.convert import planes, to_format
from media.format import VideoFormat
from restar.errors import DamagedMediaError
from restar.spec import ResolvedStep
from restorers import StepContext
from restorers.contract import FORMATS, Reel, RestorerContract
from restorers.identity import Identity

Frames = Iterator[av.VideoFrame]
CHECKS = {name for name in vars(RestorerContract) if name.startswith("test_")}
_calls = itertools.count()


class Nameless(Identity):
    name = ""


class OfNoVersion(Identity):
    algorithm = 0


class Restless(Identity):
    """Resolves to something else each time."""

    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        return replace(super().resolve(options, source), options={"now": next(_calls)})


class Meddling(Identity):
    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        step = super().resolve(options, source)
        options["strength"] = 1
        return step


class Lenient(Identity):
    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        return super().resolve({}, source)


class Squeezing(Identity):
    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        return replace(super().output(step, source), sar=Fraction(4, 3))


class Unkeepable(Identity):
    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        return replace(super().output(step, source), pix_fmt="nv12")


class Woven(Identity):
    """Says progressive of what may be fields."""

    def output(self, step: ResolvedStep, source: VideoFormat) -> VideoFormat:
        return replace(super().output(step, source), field_order="progressive")


class Losing(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        return itertools.islice(super().restore(frames, context), context.frames.count - 1)


class Doubling(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for frame in frames:
            yield frame
            yield frame


class Swapping(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        held = list(frames)
        yield from reversed(held)


class Retiming(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for number, frame in enumerate(frames):
            other = frame.reformat(width=frame.width)
            copy = av.VideoFrame(frame.width, frame.height, frame.format.name)
            copy.time_base, copy.pts = other.time_base, number
            yield copy


class NeedsTwo(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for _, frame in itertools.pairwise(frames):
            yield frame


class Stubborn(Identity):
    """Gives its own format, whatever the target."""

    def restore(self, frames: Frames, context: StepContext) -> Frames:
        yield from frames


class Shrinking(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for frame in frames:
            yield frame.reformat(width=frame.width - 2)


class Mistagging(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for frame in super().restore(frames, context):
            frame.color_range = 3 - (frame.color_range or 1)
            yield frame


class Random(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for frame in frames:
            copy = frame.reformat(format="gray16le")
            planes(copy)[0][0, 0] = next(_calls)
            yield copy


class Scribbling(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        for frame in frames:
            np.frombuffer(memoryview(frame.planes[0]), np.uint8)[:3] ^= 255
            yield frame


class Hoarding(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        yield from list(super().restore(frames, context))


class Eager(Identity):
    def restore(self, frames: Frames, context: StepContext) -> Frames:
        held = [to_format(next(frames), context.target)]
        return itertools.chain(held, super().restore(frames, context))


class Unstoppable(Identity):
    """An iterator with a close() that does nothing."""

    def restore(self, frames: Frames, context: StepContext) -> Frames:
        class Tape:
            def __iter__(self) -> Frames:
                return frames

            def __next__(self) -> av.VideoFrame:
                return next(frames)

            def close(self) -> None:
                pass

        return Tape()


class Silent(Identity):
    """Takes damage for the end."""

    def restore(self, frames: Frames, context: StepContext) -> Frames:
        try:
            yield from super().restore(frames, context)
        except DamagedMediaError:
            return


WRONG: dict[type[Identity], tuple[str, ...]] = {
    Nameless: ("test_it_says_what_it_is",),
    OfNoVersion: ("test_it_says_what_it_is",),
    Restless: ("test_its_step_is_data_and_always_the_same",),
    Meddling: ("test_its_step_is_data_and_always_the_same",),
    Lenient: ("test_an_unknown_option_is_refused_by_name",),
    Squeezing: ("test_its_output_can_be_kept_and_has_the_shape_of_the_source",),
    Unkeepable: ("test_its_output_can_be_kept_and_has_the_shape_of_the_source",),
    Woven: ("test_its_output_can_be_kept_and_has_the_shape_of_the_source",),
    Losing: (
        "test_every_frame_comes_out_once_in_order_at_its_time",
        "test_a_single_frame_is_a_scene",
    ),
    Doubling: ("test_every_frame_comes_out_once_in_order_at_its_time",),
    Swapping: ("test_every_frame_comes_out_once_in_order_at_its_time",),
    Retiming: ("test_every_frame_comes_out_once_in_order_at_its_time",),
    NeedsTwo: ("test_a_single_frame_is_a_scene",),
    Stubborn: ("test_frames_have_the_format_that_the_recipe_asks_for",),
    Shrinking: ("test_frames_have_the_format_that_was_promised",),
    Mistagging: (
        "test_frames_have_the_format_that_was_promised",
        "test_source_frames_are_left_as_they_were",
    ),
    Random: ("test_the_same_seed_gives_the_same_pixels",),
    Scribbling: ("test_source_frames_are_left_as_they_were",),
    Hoarding: ("test_it_reads_no_further_than_it_says", "test_it_stops_when_it_is_closed"),
    Eager: ("test_it_reads_no_further_than_it_says",),
    Unstoppable: ("test_it_stops_when_it_is_closed",),
    Silent: ("test_an_error_of_the_source_is_passed_on",),
}


@pytest.mark.parametrize(
    ("wrong", "check"), [(wrong, check) for wrong, checks in WRONG.items() for check in checks]
)
def test_a_wrong_restorer_is_found(wrong: type[Identity], check: str) -> None:
    assert passes(Identity(), check)
    assert not passes(wrong(), check)


def test_each_check_is_proven_able_to_fail() -> None:
    assert {check for checks in WRONG.values() for check in checks} == CHECKS


def passes(member: Identity, check: str) -> bool:
    contract = RestorerContract()
    arguments = [member]
    if check != "test_it_says_what_it_is":
        arguments.append(FORMATS["8 bit"])  # type: ignore[arg-type]
    try:
        getattr(contract, check)(*arguments)
    except (AssertionError, pytest.fail.Exception):
        return False
    return True


def test_a_reel_counts_and_fails_where_it_is_told() -> None:
    reel = Reel(FORMATS["gray"], fails_after=2)
    with pytest.raises(DamagedMediaError):
        list(reel)
    assert reel.read == len(reel.frames) == 2
