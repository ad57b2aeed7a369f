"""Identity passes the film's own frames."""

from dataclasses import replace

import numpy as np
import pytest

from media.convert import format_of, lossless_equivalent, to_format
from media.format import ColourTags, VideoFormat
from media.index import frame_md5
from media.synthetic import digest, moving_pictures
from restar.errors import MediaError, RecipeError
from restar.timeline import FrameRange
from restorers import StepContext, restorer
from restorers.contract import FORMATS, RestorerContract
from restorers.identity import Identity


class TestContract(RestorerContract):
    @pytest.fixture
    def restorer(self) -> Identity:
        return Identity()


def restored(source: VideoFormat, pix_fmt: str | None = None) -> list[bool]:
    member = Identity()
    step = member.resolve({}, source)
    target = member.output(step, source)
    context = StepContext(
        FrameRange(0, 3), step, source, replace(target, pix_fmt=pix_fmt or target.pix_fmt), 0
    )
    frames = list(moving_pictures(source, 3))
    out = list(member.restore(iter(frames), context))
    return [a is b for a, b in zip(frames, out, strict=True)]


@pytest.mark.parametrize("name", FORMATS)
def test_the_very_frames_come_out(name: str) -> None:
    assert restored(FORMATS[name]) == [True] * 3


def test_fields_and_odd_shapes_pass() -> None:
    source = replace(FORMATS["odd size, untagged"], field_order="tt")
    assert Identity().output(Identity().resolve({}, source), source) == source
    assert not Identity.needs_progressive


@pytest.mark.parametrize("pix_fmt", ["nv12", "rgb24", "yuvj420p", "p010le", "uyvy422"])
def test_what_ffv1_lacks_is_repacked(pix_fmt: str) -> None:
    source = VideoFormat(32, 16, pix_fmt, colour=ColourTags(transfer="bt709"))
    member = Identity()
    step = member.resolve({}, source)
    target = member.output(step, source)
    assert target.pix_fmt == lossless_equivalent(pix_fmt)
    assert target.colour.range == ("pc" if pix_fmt == "yuvj420p" else None)
    context = StepContext(FrameRange(0, 2), step, source, target, 0)
    out = list(member.restore(moving_pictures(source, 2), context))
    assert [format_of(f).pix_fmt for f in out] == [target.pix_fmt] * 2


def test_a_wanted_format_is_made() -> None:
    assert restored(FORMATS["8 bit"], "yuv422p10le") == [False] * 3


def test_it_has_no_options_and_refuses_what_cannot_be_converted() -> None:
    with pytest.raises(RecipeError, match="unknown option 'strength'; it has none"):
        Identity().resolve({"strength": 1}, FORMATS["gray"])
    with pytest.raises(RecipeError, match="xyz12le can't be converted"):
        Identity().resolve({}, VideoFormat(16, 16, "xyz12le"))
    assert digest(next(moving_pictures(FORMATS["gray"], 1)))


def test_it_is_found_by_name() -> None:
    assert isinstance(restorer("identity"), Identity)


@pytest.mark.parametrize(
    ("pix_fmt", "bits", "means_nothing"),
    [("p010le", 0x0001, False), ("rgb555le", 0x8000, True), ("x2rgb10le", 0xC000_0000, True)],
)
def test_bits_without_a_meaning_are_noticed_where_they_would_be_lost(
    pix_fmt: str, bits: int, means_nothing: bool
) -> None:
    """The spare bits of a word are nobody's; those below the ten of p010 may be twelve-bit samples."""
    source = VideoFormat(32, 16, pix_fmt)
    (frame,) = moving_pictures(source, 1)
    words = np.frombuffer(memoryview(frame.planes[0]), "<u4" if bits > 0xFFFF else "<u2")
    words |= bits
    member = Identity()
    step = member.resolve({}, source)
    context = StepContext(FrameRange(7, 8), step, source, member.output(step, source), 0)
    if means_nothing:
        (out,) = member.restore(iter([frame]), context)
        assert frame_md5(to_format(out, source)) == frame_md5(frame)
    else:
        with pytest.raises(MediaError, match="frame 7: pixel format p010le holds something"):
            list(member.restore(iter([frame]), context))
