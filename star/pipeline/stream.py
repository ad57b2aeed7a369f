"""Work in overlapping windows on a stream, blended, holding one window of it.

This is the one way in which the pipeline deals with length: sampling and decoding are both a work on
some neighbouring frames at once. A frame goes on as soon as every window that covers it is done.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from torch import Tensor

from restar.errors import VerificationError
from star.pipeline.cover import Cover

__all__ = ["blended"]

T = TypeVar("T")


def blended(
    items: Iterator[T], cover: Cover, work: Callable[[int, list[T]], Sequence[Tensor]]
) -> Iterator[tuple[T, Tensor]]:
    """Yield each item of a stream of `cover.length` with what `work` made of it, blended.

    `work` is told where its window begins and its items, and gives one tensor for each. At most one
    window of items and one of results is held. Raises VerificationError where the stream ends early.
    """
    held: deque[T] = deque()
    sums: deque[Tensor | None] = deque()
    first = 0
    ends = [start for start, _ in cover.windows[1:]] + [cover.length]
    for (start, end), weights, settled in zip(cover.windows, cover.weights, ends, strict=True):
        held.extend(islice(items, end - first - len(held)))
        if len(held) < end - first:
            raise VerificationError(
                f"a scene of {cover.length} frames ended after {first + len(held)}; its range is wrong"
            )
        sums.extend([None] * (end - first - len(sums)))
        window = list(islice(held, start - first, None))
        made = work(start, window)
        for place, (one, weight) in enumerate(zip(made, weights.tolist(), strict=True)):
            at = start - first + place
            sums[at] = _added(sums[at], one, weight)
        del window, made
        while first < settled:
            total = sums.popleft()
            assert total is not None  # noqa: S101  # the windows leave no gap
            yield held.popleft(), total
            first += 1


def _added(total: Tensor | None, one: Tensor, weight: float) -> Tensor | None:
    if weight == 0:
        return total
    part = one if weight == 1 else one * weight
    return part if total is None else total + part
