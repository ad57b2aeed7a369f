"""Frames that are not where they belong: frozen, repeated, swapped, blank.

A take's frame is held against the source's frames around it. Where the source moves, the frame that
shows the right moment is nearest to its own source frame; noise and restoration change how near it
is, but not which is nearest, since they change all these distances alike.
"""

from collections.abc import Mapping, Sequence

import av
import numpy as np

from media.convert import planar, planes
from scorers import Metric
from scorers.pair import Pair, Plane, tiles
from scorers.session import CODES, FrameScorer, FrameSession, WindowSession, rms

__all__ = ["Blank", "Frozen", "Order"]

_LEAST = 0.6 / CODES  # rms of a tile's change between frames that counts as motion
_LEAST_TILES = 3
Found = tuple[float, Plane] | None


class _Moment:
    """Small lumas of one frame without their means and of the source's contrast.

    Brightness and contrast belong to other measures: a source that flickers is at each moment nearest
    to the frame that happens to be as bright. `repeats` says that the take's frame is the one before.
    """

    def __init__(self, pair: Pair) -> None:
        self.index = pair.index
        self.source, take = pair.source_flat, pair.take_flat
        self.contrast = rms(self.source)
        self.take = _of_contrast(take, self.contrast)
        self.repeats = pair.before is not None and _equal(pair.take, pair.before.take)


def _of_contrast(picture: Plane, contrast: float) -> Plane:
    """A picture brought to a contrast (rms); an empty one stays as it is."""
    own = rms(picture)
    return picture if own < 0.2 * contrast else np.asarray(picture * (contrast / max(own, 1e-6)))


def _equal(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    pairs = zip(planes(planar(one)), planes(planar(other)), strict=True)
    return all(np.array_equal(a[::64], b[::64]) and np.array_equal(a, b) for a, b in pairs)


def _advantage(here: _Moment, other: _Moment, usual: Plane) -> Found:
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
    shown = here.take - usual  # |shown - here|^2 - |shown - there|^2 as one product
    gain = tiles((there - here.source) * (2 * shown - here.source - there))
    moved = change[moving]
    parts = gain[moving] / moved
    order = np.argsort(parts)
    weights = np.cumsum(np.minimum(moved[order], 4 * _median(moved)))
    middle = float(parts[order][int(np.searchsorted(weights, weights[-1] / 2))])
    return max(-1.0, min(1.0, middle)), np.where(moving, gain, 0)


def _backwards(before: _Moment, after: _Moment) -> Found:
    """How much the take changes against the source's change between two neighbours: -1..1.

    Less the correlation of T' - T with S' - S, by tiles that move, each with no more than four times
    the usual weight. Grain of the source is in neither change of the take, and cancels: this sees
    frames that changed places under grain in which `_advantage` sees nothing.
    """
    source = _of_contrast(after.source, before.contrast) - before.source
    take = _of_contrast(after.take, before.contrast) - before.take
    moved, shown = tiles(np.square(source)), tiles(np.square(take))
    moving = (moved >= _LEAST**2) & (shown >= (_LEAST / 2) ** 2)
    if int(moving.sum()) < _LEAST_TILES:
        return None
    common, size = tiles(source * take), np.sqrt(moved * shown)
    weight = np.where(moving, np.minimum(size, 4 * _median(size[moving])), 0)
    against = -common / np.maximum(size, 1e-12)
    return float((against * weight).sum() / weight.sum()), np.where(moving, -common, 0)


def _median(values: Plane) -> float:
    """The middle value; of an even number the upper of the two (numpy's own takes ten times as long)."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


class _SequenceSession(WindowSession[_Moment]):
    """Judges a frame among the two before and the two after it."""

    REACH = 2

    def see(self, pair: Pair) -> None:
        self.keep(pair.index, pair.shared("moment", _Moment))


def _usual(near: Mapping[int, _Moment]) -> Plane:
    """What a take changes at any of these moments."""
    changes = [m.take - m.source for m in near.values()]
    if len(changes) < 3:
        return np.zeros_like(changes[0])
    return _middle_of_five(changes) if len(changes) == 5 else np.median(changes, axis=0)


def _middle_of_five(planes: Sequence[Plane]) -> Plane:
    """The median of each pixel; numpy's own takes ten times as long."""
    a, b, c, d, e = planes
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray(np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e)))


class _OrderSession(_SequenceSession):
    def __init__(self, name: str, about: Metric) -> None:
        super().__init__(name, about)
        self._last: tuple[int, Found] = (-1, None)

    def judge(self, index: int, near: Mapping[int, _Moment]) -> None:
        here, usual = near[index], _usual(near)
        found = [_advantage(here, m, usual) for n, m in near.items() if n != index]
        if self._last[0] == index:
            found.append(self._last[1])
        if index + 1 in near:
            self._last = index + 1, _backwards(here, near[index + 1])
            found.append(self._last[1])
        told = [one for one in found if one is not None]
        if told:
            self.record(index, *max(told, key=lambda one: one[0]))


class Order(FrameScorer):
    """Whether each frame shows the moment of its source frame: -1 it does, 1 it shows another's.

    The greatest of (|T-S_t|^2 - |T-S_u|^2) / |S_t-S_u|^2 over u within two frames, the middle of the
    moving tiles of 90-line luma, T without the median of T-S over these five frames; and of less the
    correlation of T_u-T_t with S_u-S_t for the neighbours u, which turns round where two frames changed
    places. All of one contrast. Own definition: the projection of the take's error, and of its change,
    on the source's motion.
    """

    name = "frame-order"
    algorithm = 3
    about = Metric(
        "frames shown at the wrong moment",
        "advantage",
        "lower",
        "-1 to 1",
        cost=2.5,
    )
    session = _OrderSession


class _FrozenSession(_SequenceSession):
    def judge(self, index: int, near: Mapping[int, _Moment]) -> None:
        moment, last = near[index], near.get(index - 1)
        if last is None:
            return
        moved = rms(moment.source - _of_contrast(last.source, moment.contrast))
        if moment.repeats and moved >= _LEAST / 4:
            self.record(index, 1.0)
            return
        held = _of_contrast(last.take, rms(moment.take))
        still = 1 - min(1.0, rms(moment.take - held) / max(moved, 1e-6))
        if still <= 0:
            self.record(index, 0.0)
            return
        found = _advantage(moment, last, _usual(near))
        if found is not None:
            self.record(index, max(0.0, found[0]) * still)


class Frozen(FrameScorer):
    """Whether a frame repeats the one before while the source goes on: 0 it does not, 1 it does.

    1 where two frames of the take are equal and the source's are not; else the advantage (see `Order`)
    of the source frame before, times the part of the source's motion that is missing.
    """

    name = "frozen"
    algorithm = 3
    about = Metric(
        "frames that repeat the one before",
        "part",
        "lower",
        "0 to 1",
        cost=2.0,
    )
    session = _FrozenSession


class _BlankSession(FrameSession):
    def see(self, pair: Pair) -> None:
        source, take = pair.source_flat, pair.take_flat
        power = float(np.square(source, dtype=np.float64).mean())
        change = abs(float(pair.take_tiles.mean()) - float(pair.source_tiles.mean()))
        lost = 0.0
        if power >= _LEAST**2:
            lost = 1 - float((source * take).mean(dtype=np.float64)) / power
        self.record(pair.index, max(0.0, min(1.0, max(lost, 2 * change))))


class Blank(FrameScorer):
    """How much of the source's picture is missing from a frame: 0 nothing, 1 all (black, one colour).

    1 - <T,S>/<S,S> of 90-line lumas without their means, or twice the change of the mean of R'G'B'.
    """

    name = "blank"
    algorithm = 2
    about = Metric(
        "black and empty frames",
        "part",
        "lower",
        "0 to 1",
        cost=2.5,
    )
    session = _BlankSession
