"""Exact time: nothing is rounded but where it is said, and lists of scenes read back as written."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restar.errors import UsageError
from restar.timeline import FrameRange, format_scenes, parse_scenes, rescale, timecode

bases = st.sampled_from(
    [Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 24_000), Fraction(1, 48_000)]
)


@given(st.integers(-(2**40), 2**40), bases, bases)
def test_rescaling_is_off_by_half_a_tick_at_most(pts: int, source: Fraction, to: Fraction) -> None:
    assert abs(rescale(pts, source, to) * to - pts * source) <= to / 2


@given(st.integers(-(2**40), 2**40), bases, bases)
def test_rescaling_treats_both_signs_alike(pts: int, source: Fraction, to: Fraction) -> None:
    assert rescale(-pts, source, to) == -rescale(pts, source, to)


def test_a_half_goes_away_from_zero_as_in_libav() -> None:
    half = Fraction(1, 2000)
    assert rescale(1, half, Fraction(1, 1000)) == 1
    assert rescale(-1, half, Fraction(1, 1000)) == -1
    assert rescale(2 * 10**9 + 1, half, Fraction(1, 1000)) == 10**9 + 1


def test_ten_hours_of_film_do_not_drift() -> None:
    rate, frames = Fraction(24_000, 1001), 10 * 3600 * 24
    last = rescale(frames, 1 / rate, Fraction(1, 1000))
    assert abs(Fraction(last, 1000) - frames / rate) <= Fraction(1, 2000)


@given(st.sets(st.integers(1, 5000), min_size=1))
def test_a_list_of_scenes_reads_back_as_written(numbers: set[int]) -> None:
    assert parse_scenes(format_scenes(numbers)) == tuple(sorted(numbers))


def test_scenes_are_written_short() -> None:
    assert format_scenes([22, 3, 20, 14, 21]) == "3,14,20-22"
    assert parse_scenes(" 3, 14,20-22, 21 ") == (3, 14, 20, 21, 22)


@pytest.mark.parametrize("text", ["", "0", "-1", "5-3", "a", "1,,2", "1-", "3;4", "1-99999999"])
def test_what_is_no_list_of_scenes_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="scenes"):
        parse_scenes(text)


@pytest.mark.parametrize(("start", "end"), [(3, 3), (5, 2), (-1, 4)])
def test_a_range_holds_a_frame(start: int, end: int) -> None:
    with pytest.raises(UsageError):
        FrameRange(start, end)


def test_a_range_is_half_open() -> None:
    frames = FrameRange(2, 5)
    assert (frames.count, list(frames), 5 in frames, str(frames)) == (3, [2, 3, 4], False, "[2, 5)")


def test_timecode_counts_whole_frames() -> None:
    assert timecode(24 * 3600 + 25, Fraction(24_000, 1001)) == "01:00:01:01"
