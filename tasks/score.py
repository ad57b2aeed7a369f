"""Scoring one take: source and take are decoded once, side by side, for all the measures."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from catalog.models import TakeRow
from media.format import TakeFormat
from media.frames import decode_all, decode_range
from media.probe import probe
from restar.errors import VerificationError
from restar.recipe import Score
from restar.timeline import FrameRange
from scorers import ScoreSeries, scorer
from tasks.house import House, OpenFilm
from tasks.step import step

__all__ = ["Scored", "flags_of", "score_take"]


@dataclass(frozen=True)
class Scored:
    """One measure of a take: its summary as plain data, and the series in the store."""

    metric: str
    summary: dict[str, Any]
    series_sha256: str


@step("score scene {number}")
def score_take(
    house: House, film: OpenFilm, take: TakeRow, wanted: Score, *, number: int
) -> list[Scored]:
    """Measure a take against its source (`number` names the run)."""
    frames = FrameRange(take.start, take.end)
    take_format = TakeFormat.from_json(take.spec["format"])
    members = [scorer(name) for name in wanted.scorers]
    sessions = [m.start(film.info.format, take_format.video) for m in members]
    path = house.store.open_local(take.sha256)
    count = 0
    pairs = zip(
        decode_range(film.path, film.info, film.index, frames),
        decode_all(path, probe(path)),
        strict=False,
    )
    for index, (source, picture) in enumerate(pairs):
        for session in sessions:
            session.see(index, source, picture)
        count += 1
    if count != frames.count:
        raise VerificationError(f"scene {number}: its take ends after {count} frames")
    return [
        _published(house, member.algorithm, session.finish())
        for member, session in zip(members, sessions, strict=True)
    ]


def flags_of(scored: Iterable[Scored], wanted: Score) -> list[str]:
    """Return the measures whose mean is worse than the recipe's threshold."""
    flags = []
    for one in scored:
        limit, mean = wanted.thresholds.get(one.metric), one.summary["mean"]
        if limit is None or mean is None:
            continue
        if (mean < limit) if one.summary["better"] == "higher" else (mean > limit):
            flags.append(one.metric)
    return flags


def _published(house: House, algorithm: int, series: ScoreSeries) -> Scored:
    worst = series.worst
    with house.store.staging() as folder:
        path = folder / "series.json"
        path.write_text(
            json.dumps({"frames": series.frames, "values": series.values}), encoding="utf-8"
        )
        sha256 = house.store.publish(path)
    summary = {
        "algorithm": algorithm,
        "unit": series.unit,
        "better": series.better,
        "mean": series.mean,
        "worst": worst[1] if worst else None,
        "worst_frame": worst[0] if worst else None,
        "measured": len(series.frames),
    }
    return Scored(series.name, summary, sha256)
