"""Windows cover a line without gaps, and a stream through them is held one window at a time."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restar.errors import UsageError, VerificationError
from star.pipeline.cover import cover
from star.pipeline.stream import blended


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 300), st.integers(2, 40), st.data())
def test_weights_add_up_to_one_and_windows_are_of_one_size(
    length: int, window: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, window // 2))
    over = cover(length, window, overlap)
    total = torch.zeros(length)
    for (start, end), weights in zip(over.windows, over.weights, strict=True):
        assert end - start == min(window, length)
        assert len(weights) == end - start
        assert bool((weights > 0).all())
        total[start:end] += weights
    torch.testing.assert_close(total, torch.ones(length))
    for (_, end), (start, _) in zip(over.windows, over.windows[1:], strict=False):
        assert end - start >= overlap


@pytest.mark.parametrize("frames", [33, 40, 41, 65, 72])
def test_cut_is_the_published_way_and_leaves_no_gap(frames: int) -> None:
    over = cover(frames, 32, 16, "cut")
    total = torch.zeros(frames)
    for (start, end), weights in zip(over.windows, over.weights, strict=True):
        assert set(weights.tolist()) <= {0.0, 1.0}
        total[start:end] += weights
    assert total.tolist() == [1.0] * frames


def test_refuses_overlaps_of_more_than_half() -> None:
    with pytest.raises(UsageError, match="at most half a window"):
        cover(10, 4, 3)


def test_a_stream_is_blended_and_held_one_window_at_a_time() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in range(20):
            read.append(number)
            yield number

    def work(start: int, window: list[int]) -> list[torch.Tensor]:
        assert window == list(range(start, start + len(window)))
        return [torch.tensor(float(one)) for one in window]

    for number, (item, made) in enumerate(blended(items(), cover(20, 6, 2), work)):
        assert item == number
        assert float(made) == pytest.approx(number)
        assert len(read) <= number + 6


def test_a_stream_that_ends_early_is_an_error() -> None:
    with pytest.raises(VerificationError, match="10 frames ended after 4"):
        list(blended(iter(range(4)), cover(10, 5, 1), lambda _s, w: [torch.zeros(1)] * len(w)))
