"""Scoring one take: source and take are decoded once, side by side, for all the measures.

Beside every score stands what a plain resize of the same source gets, on a few runs of the same
frames, so that a number says whether anything was gained. What was measured before is not measured again.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av

from catalog.commits import NewScore
from catalog.models import ScoreRow, TakeRow
from media.convert import assumed, scaled, to_format
from media.format import TakeFormat, VideoFormat
from media.frames import decode_all, decode_range
from media.pixfmt import layout_of
from media.probe import probe
from restar.errors import RecipeError, StoreError, VerificationError
from restar.plugins import plugin_names
from restar.progress import track
from restar.recipe import Score
from restar.timeline import FrameRange
from scorers import Metric, Pair, Scorer, ScoreSeries, ScoringSession, scorer
from scorers.flags import RULES, find_flags
from scorers.session import EVERY
from tasks.house import House, OpenFilm
from tasks.step import step

__all__ = [
    "Scored",
    "check_scoring",
    "flags_of",
    "new_scores",
    "score_take",
    "series_from",
    "spread",
]

_RUN = 4  # frames of a run in which a take is held against the plain resize
_RUNS = 3


@dataclass(frozen=True)
class Scored:
    """One measure of a take: its summary as plain data, and where its series is in the store.

    `fresh` is off for what was measured earlier. A series is read each time that it is asked for:
    those of a long scene are not held together.
    """

    house: House
    metric: str
    algorithm: int
    about: Metric
    summary: dict[str, Any]
    series_sha256: str
    fresh: bool = True

    @property
    def series(self) -> ScoreSeries:
        """The series; raises StoreError where it is lost."""
        path = self.house.store.open_local(self.series_sha256)
        return _series(path, self.metric, self.summary)


def check_scoring(wanted: Score) -> None:
    """Raise RecipeError for a scorer, a threshold or a flag that there is not."""
    known = plugin_names("scorers")
    for name in wanted.scorers:
        if name not in known:
            raise RecipeError(f"score.scorers: '{name}' is not known; there are {', '.join(known)}")
    flags = {rule.flag for rule in RULES}
    for key, names in (("thresholds", wanted.thresholds), ("ignore", wanted.ignore)):
        for name in names:
            if name not in flags and name not in known:
                raise RecipeError(
                    f"score.{key}: '{name}' is neither a flag ({', '.join(sorted(flags))}) nor a "
                    "scorer (`restar metrics`)"
                )


@step("score scene {number}")
def score_take(
    house: House,
    film: OpenFilm,
    take: TakeRow,
    wanted: Score,
    *,
    number: int,
    known: Sequence[ScoreRow] = (),
) -> list[Scored]:
    """Measure a take against its source (`number` names the run).

    A measure among `known`, of the same algorithm and frames, is taken from the store.
    """
    frames = FrameRange(take.start, take.end)
    members = [scorer(name) for name in dict.fromkeys(wanted.scorers)]
    found = {row.metric: row for row in known}
    earlier: dict[str, Scored] = {}
    for member in members:
        row = found.get(member.name)
        if row is not None and (one := _earlier(house, member, row, wanted, frames)) is not None:
            earlier[member.name] = one
    bench = _Bench(
        [m for m in members if m.name not in earlier],
        (film.info.format, TakeFormat.from_json(take.spec["format"]).video),
        frames.count,
        wanted.frames,
    )
    if bench.seats:
        _measure(house, film, take, frames, bench, number)
    fresh = {seat.member.name: _published(house, seat, bench) for seat in bench.seats}
    return [{**earlier, **fresh}[member.name] for member in members]


def flags_of(series: Iterable[ScoreSeries], wanted: Score, start: int = 0) -> list[str]:
    """Return what a take is flagged for, as sentences; frames are counted from `start`."""
    return [f.sentence(start) for f in find_flags(series, wanted.thresholds, wanted.ignore)]


def new_scores(scored: Iterable[Scored]) -> list[NewScore]:
    """Return what has to be recorded: what was measured just now."""
    return [
        NewScore(
            metric=one.metric,
            algorithm=one.algorithm,
            summary=one.summary,
            licence=one.about.licence,
            commercial_use=one.about.commercial_use,
            series_sha256=one.series_sha256,
        )
        for one in scored
        if one.fresh
    ]


def series_from(house: House, row: ScoreRow) -> ScoreSeries | None:
    """Return the series of a recorded score; None where it is not in the store (any more)."""
    if row.series_sha256 is None:
        return None
    try:
        return _series(house.store.open_local(row.series_sha256), row.metric, row.summary)
    except (StoreError, OSError):
        return None


def _series(path: Path, name: str, summary: Mapping[str, Any]) -> ScoreSeries:
    data = json.loads(path.read_text(encoding="utf-8"))
    return ScoreSeries(
        name=name,
        unit=summary["unit"],
        better=summary["better"],
        frames=tuple(data["frames"]),
        values=tuple(data["values"]),
        tiles=tuple((r, c) for r, c in data.get("tiles", ())),
        heat=tuple(tuple(line) for line in data.get("heat", ())),
    )


def spread(count: int, wanted: int) -> frozenset[int]:
    """Return `wanted` of `count` frames, evenly spread; all where that is 0 or too many."""
    if not wanted or wanted >= count:
        return frozenset(range(count))
    return frozenset((2 * i + 1) * count // (2 * wanted) for i in range(wanted))


@dataclass
class _Seat:
    """One measure at work: on the whole take, and on some runs of it and of the plain resize."""

    member: Scorer
    session: ScoringSession
    some: ScoringSession
    plain: ScoringSession


@dataclass
class _Bench:
    """The measures at work on one take, and which frames the dear ones see."""

    members: Sequence[Scorer]
    formats: tuple[VideoFormat, VideoFormat]
    count: int
    wanted: int
    seats: list[_Seat] = field(init=False)
    sampled: frozenset[int] = field(init=False)
    runs: frozenset[int] = field(init=False)
    _last: tuple[Pair | None, Pair | None, Pair | None] = (None, None, None)

    def __post_init__(self) -> None:
        self.seats = [_Seat(m, *(m.start(*self.formats) for _ in range(3))) for m in self.members]
        self.sampled = spread(self.count, self.wanted)
        begins = spread(max(1, self.count - _RUN), _runs(self.count))
        starts = (at // EVERY * EVERY for at in begins)  # where measures look that skip frames
        self.runs = frozenset(n for at in starts for n in range(at, min(at + _RUN, self.count)))

    def see(self, index: int, source: av.VideoFrame, take: av.VideoFrame) -> None:
        """Show a pair to whoever has to see it."""
        dear = index in self.sampled and any(s.member.about.sampled for s in self.seats)
        before, some_before, plain_before = self._last
        pair = Pair(index, source, take, self.formats, before)
        some = plain = None
        if index in self.runs or dear:
            larger = plainly(source, *self.formats)
            near = some_before if some_before and some_before.index == index - 1 else None
            some = pair.after(near)
            near = plain_before if plain_before and plain_before.index == index - 1 else None
            plain = pair.beside(larger, self.formats[1], near)
        for seat in self.seats:
            sampled = seat.member.about.sampled
            if not sampled or index in self.sampled:
                seat.session.see(pair)
            if some is None or plain is None:
                continue
            if index in self.sampled if sampled else index in self.runs:
                if not sampled:
                    seat.some.see(some)
                seat.plain.see(plain)
        self._last = (pair, some or some_before, plain or plain_before)


def plainly(source: av.VideoFrame, video: VideoFormat, take: VideoFormat) -> av.VideoFrame:
    """Return a source frame as the restorer `resize` would give it in the take's format."""
    if (source.width, source.height) == (take.width, take.height):
        return to_format(source, take)
    deep = layout_of(take.pix_fmt).bits >= layout_of(video.pix_fmt).bits
    at_source_size = replace(take, width=source.width, height=source.height)
    picture = to_format(source, at_source_size) if deep else source
    siting = assumed(video).chroma_location or "left"
    return to_format(scaled(picture, take.width, take.height, "lanczos", siting), take)


def _runs(count: int) -> int:
    return max(1, min(_RUNS, count // 32))


def _measure(
    house: House, film: OpenFilm, take: TakeRow, frames: FrameRange, bench: _Bench, number: int
) -> None:
    path = house.store.open_local(take.sha256)
    pairs = zip(
        decode_range(film.path, film.info, film.index, frames),
        decode_all(path, probe(path)),
        strict=False,
    )
    count = 0
    with track(f"scoring scene {number}", "frames", frames.count) as advance:
        for index, (source, picture) in enumerate(pairs):
            bench.see(index, source, picture)
            count += 1
            advance(1)
    if count != frames.count:
        raise VerificationError(f"scene {number}: its take ends after {count} frames")


def _published(house: House, seat: _Seat, bench: _Bench) -> Scored:
    member = seat.member
    series, plain = _finite(seat.session.finish()), _finite(seat.plain.finish())
    some = series if member.about.sampled else _finite(seat.some.finish())
    content = {
        "frames": series.frames, "values": series.values, "tiles": series.tiles, "heat": series.heat,
    }  # fmt: skip
    with house.store.staging() as folder:
        path = folder / "series.json"
        path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        sha256 = house.store.publish(path)
    worst = series.worst
    summary = {
        "algorithm": member.algorithm,
        "unit": series.unit,
        "better": series.better,
        "mean": series.mean,
        "worst": worst[1] if worst else None,
        "worst_frame": worst[0] if worst else None,
        "worst_part": series.worst_part,
        "trend": _trend(series),
        "plain": plain.mean,
        "change": None if None in (some.mean, plain.mean) else some.mean - plain.mean,  # type: ignore[operator]
        "measured": len(series.frames),
        "of": bench.count,
    }
    if member.about.sampled:
        summary["wanted"] = bench.wanted
    return Scored(house, series.name, member.algorithm, member.about, summary, sha256)


def _finite(series: ScoreSeries) -> ScoreSeries:
    """What is no number is left out, whatever plug-in it comes from: it would compare with nothing."""
    kept = [i for i, value in enumerate(series.values) if math.isfinite(value)]
    if len(kept) == len(series.values):
        return series
    return replace(
        series,
        frames=tuple(series.frames[i] for i in kept),
        values=tuple(series.values[i] for i in kept),
        tiles=tuple(series.tiles[i] for i in kept) if series.tiles else (),
        heat=(),
    )


def _earlier(
    house: House, member: Scorer, row: ScoreRow, wanted: Score, frames: FrameRange
) -> Scored | None:
    summary = row.summary
    if row.algorithm != member.algorithm or summary.get("of") != frames.count:
        return None
    if member.about.sampled and summary.get("wanted") != wanted.frames:
        return None
    if row.series_sha256 is None or series_from(house, row) is None:
        return None
    return Scored(
        house, member.name, row.algorithm, member.about, summary, row.series_sha256, fresh=False
    )


def _trend(series: ScoreSeries) -> float | None:
    """By how much a score changes from first to last frame, along the nearest straight line."""
    count = len(series.frames)
    if count < 3:
        return None
    middle = sum(series.frames) / count
    mean = sum(series.values) / count
    above = sum(
        (f - middle) * (v - mean) for f, v in zip(series.frames, series.values, strict=True)
    )
    below = sum((f - middle) ** 2 for f in series.frames)
    trend = above / below * (series.frames[-1] - series.frames[0])
    return trend if math.isfinite(trend) else None
