"""Frames that are not where they belong: frozen, repeated, swapped, blank.

A take's frame is held against the source's frames around it. Where the source moves, the frame that
shows the right moment is nearest to its own source frame; noise and restoration change how near it
is, but not which is nearest, since they change all these distances alike.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Sequence

import av
import cv2
import numpy as np

from media.convert import planar, planes
from scorers import Metric, ScoreSeries
from scorers.pair import Pair, Plane, tiles
from scorers.session import CODES, FrameScorer, FrameSession, rms

__all__ = ["Blank", "Frozen", "Order"]

_GRAIN = 1.2  # pixels of a small luma below which grain is stronger than motion
_LEAST = 0.6 / CODES  # rms of a tile's change between frames that counts as motion
_LEAST_TILES = 3


class _Moment:
    """Small lumas of one frame without their means and of the source's contrast.

    Brightness and contrast belong to other measures: a source that flickers is at each moment nearest
    to the frame that happens to be as bright. `repeats` says that the take's frame is the one before.
    """

    def __init__(self, pair: Pair) -> None:
        self.index = pair.index
        self.source, take = (_flat(p) for p in (pair.source_small, pair.take_small))
        self.contrast = rms(self.source)
        self.take = _of_contrast(take, self.contrast)
        self.repeats = pair.before is not None and _equal(pair.take, pair.before.take)


def _flat(picture: Plane) -> Plane:
    gray = picture @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    smooth = cv2.GaussianBlur(gray, (0, 0), _GRAIN)
    return np.asarray(smooth - smooth.mean(), np.float32)


def _of_contrast(picture: Plane, contrast: float) -> Plane:
    """A picture brought to a contrast (rms); an empty one stays as it is."""
    own = rms(picture)
    return picture if own < 0.2 * contrast else np.asarray(picture * (contrast / max(own, 1e-6)))


def _equal(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    pairs = zip(planes(planar(one)), planes(planar(other)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def _advantage(here: _Moment, other: _Moment, usual: Plane) -> tuple[float, Plane] | None:
    """How much nearer `here`'s take is to another moment's source frame than to its own: -1..1.

    (|T - S|^2 - |T - O|^2) / |S - O|^2: -1 where T shows S exactly, 1 where it shows O, about 0
    where it tells nothing. `usual` is what the take changes at any of these moments, and is taken away:
    a colour cast says nothing of time. The middle one of the tiles that move, weighted by how much they
    do: dust that a take lost changes a tile or two. None where fewer than three tiles move.
    """
    there = _of_contrast(other.source, here.contrast)
    change = tiles(np.square(here.source - there))
    moving = change >= _LEAST**2
    if int(moving.sum()) < _LEAST_TILES:
        return None
    shown = here.take - usual
    gain = tiles(np.square(shown - here.source)) - tiles(np.square(shown - there))
    parts = gain[moving] / change[moving]
    order = np.argsort(parts)
    weights = np.cumsum(np.minimum(change[moving][order], 4 * float(np.median(change[moving]))))
    middle = float(parts[order][int(np.searchsorted(weights, weights[-1] / 2))])
    return max(-1.0, min(1.0, middle)), np.where(moving, gain, 0)


class _SequenceSession(FrameSession):
    """Judges a frame among the two before and the two after it."""

    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._near: deque[_Moment] = deque(maxlen=5)
        self._judged = -1

    @abstractmethod
    def judge(self, moment: _Moment, near: Sequence[_Moment], usual: Plane) -> None:
        """Record a frame's value."""

    def see(self, pair: Pair) -> None:
        if self._near and self._near[-1].index != pair.index - 1:
            self._judge_rest()
            self._near.clear()
        self._near.append(_Moment(pair))
        if len(self._near) >= 3:
            self._judge(self._near[-3])

    def finish(self) -> ScoreSeries:
        self._judge_rest()
        return super().finish()

    def _judge_rest(self) -> None:
        for moment in list(self._near)[-2:]:
            if moment.index > self._judged:
                self._judge(moment)

    def _judge(self, moment: _Moment) -> None:
        self._judged = moment.index
        changes = [m.take - m.source for m in self._near]
        usual = np.median(changes, axis=0) if len(changes) > 2 else np.zeros_like(changes[0])
        self.judge(moment, list(self._near), np.asarray(usual, np.float32))


class _OrderSession(_SequenceSession):
    def judge(self, moment: _Moment, near: Sequence[_Moment], usual: Plane) -> None:
        others = [m for m in near if 0 < abs(m.index - moment.index) <= 2]
        found = [a for m in others if (a := _advantage(moment, m, usual)) is not None]
        if found:
            self.record(moment.index, *max(found, key=lambda one: one[0]))


class Order(FrameScorer):
    """Whether each frame shows the moment of its source frame: -1 it does, 1 it shows another's.

    (|T-S_t|^2 - |T-S_u|^2) / |S_t-S_u|^2, the middle of the moving tiles of 90-line luma, the greatest
    over u within two frames; all of one contrast, and T without the median of T-S over these five
    frames. Own definition: the projection of the take's error on the source's motion.
    """

    name = "frame-order"
    about = Metric("frames shown at the wrong moment", "advantage", "lower", "-1 to 1")
    session = _OrderSession


class _FrozenSession(_SequenceSession):
    def judge(self, moment: _Moment, near: Sequence[_Moment], usual: Plane) -> None:
        last = next((m for m in near if m.index == moment.index - 1), None)
        if last is None:
            return
        moved = rms(moment.source - _of_contrast(last.source, moment.contrast))
        if moment.repeats and moved >= _LEAST / 4:
            self.record(moment.index, 1.0)
            return
        found = _advantage(moment, last, usual)
        if found is None:
            return
        held = _of_contrast(last.take, rms(moment.take))
        still = 1 - min(1.0, rms(moment.take - held) / max(moved, 1e-6))
        self.record(moment.index, max(0.0, found[0]) * still)


class Frozen(FrameScorer):
    """Whether a frame repeats the one before while the source goes on: 0 it does not, 1 it does.

    1 where two frames of the take are equal and the source's are not; else the advantage (see `Order`)
    of the source frame before, times the part of the source's motion that is missing.
    """

    name = "frozen"
    about = Metric("frames that repeat the one before", "part", "lower", "0 to 1")
    session = _FrozenSession


class _BlankSession(FrameSession):
    def see(self, pair: Pair) -> None:
        source, take = (_flat(p) for p in (pair.source_small, pair.take_small))
        power = float(np.square(source, dtype=np.float64).mean())
        change = abs(float(pair.take_small.mean()) - float(pair.source_small.mean()))
        lost = 0.0
        if power >= _LEAST**2:
            lost = 1 - float((source * take).mean(dtype=np.float64)) / power
        self.record(pair.index, max(0.0, min(1.0, max(lost, 2 * change))))


class Blank(FrameScorer):
    """How much of the source's picture is missing from a frame: 0 nothing, 1 all (black, one colour).

    1 - <T,S>/<S,S> of 90-line lumas without their means, or twice the change of mean brightness.
    """

    name = "blank"
    about = Metric("black and empty frames", "part", "lower", "0 to 1")
    session = _BlankSession
