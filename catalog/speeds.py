"""Speeds: what takes have cost so far, by what they were made with. Estimates rest on these alone."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog.models import RestorationRow, SelectionRow, TakeRow

__all__ = ["Speed", "chain_of", "measured_speeds", "missing_frames"]

_NEWEST = 2000  # takes that are looked at: what was measured long ago was another machine


@dataclass(frozen=True)
class Speed:
    """What was measured of one chain: `takes` takes, per pixel of output and frame.

    Seconds, seconds with a GPU, bytes.
    """

    takes: int
    seconds: float
    gpu_seconds: float
    bytes: float


def chain_of(spec: dict[str, Any]) -> str:
    """Return what makes scenes of equal size take about as long: steps, options and models."""
    return " > ".join(
        f"{step['use']} {step['model_sha256'][:12]} {sorted(step['options'].items())}"
        for step in spec["steps"]
    )


def measured_speeds(session: Session) -> dict[str, Speed]:
    """Return the speeds of the chains that the newest takes were made with, by `chain_of`."""
    newest = select(TakeRow).where(TakeRow.seconds > 0).order_by(TakeRow.id.desc()).limit(_NEWEST)
    sums: dict[str, list[float]] = {}
    for take in session.scalars(newest):
        video = take.spec["format"].get("video", {})
        pixels = (take.end - take.start) * video.get("width", 0) * video.get("height", 0)
        if not pixels:
            continue
        one = sums.setdefault(chain_of(take.spec), [0.0] * 5)
        for at, value in enumerate((1, pixels, take.seconds, take.gpu_seconds, take.bytes)):
            one[at] += value
    return {
        chain: Speed(int(count), seconds / pixels, gpu / pixels, size / pixels)
        for chain, (count, pixels, seconds, gpu, size) in sums.items()
    }


def missing_frames(session: Session, restoration: RestorationRow, frames: int) -> int:
    """Return how many of a film's frames have no selected take yet in a restoration."""
    query = (
        select(func.coalesce(func.sum(TakeRow.end - TakeRow.start), 0))
        .select_from(SelectionRow)
        .join(TakeRow, TakeRow.id == SelectionRow.take_id)
        .where(SelectionRow.restoration_id == restoration.id)
    )
    return max(0, frames - int(session.execute(query).scalar_one()))
