"""What had to be decided about a film's pixels that the film itself does not say, told as events.

Where samples are held in another order than the film's (FFV1 has no uyvy422), or a step works in colours
that the film does not define (no matrix in its tags), someone who reads a master years from now has to
find that out without reading this program. Each is one event of the restoration.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.events import EventType, append, restoration_stream
from catalog.models import EventRow, RestorationRow
from media.convert import assumed
from media.format import TakeFormat, VideoFormat
from media.pixfmt import layout_of, lossless_equivalent
from restorers import passes_on
from tasks.plan import Plan

__all__ = ["record_assumptions"]


def record_assumptions(
    session: Session, restoration: RestorationRow, video: VideoFormat, plan: Plan, who: str
) -> None:
    """Record, once for a restoration, how its pixels are held and what is taken for untold."""
    stream = restoration_stream(restoration.id)
    told = {EventType.NORMALIZATION: _repacked(video, plan.take_format),
            EventType.INTERPRETING: _taken_for(video, plan)}  # fmt: skip
    for kind, detail in told.items():
        known = select(EventRow.id).where(EventRow.stream == stream, EventRow.type == kind.value)
        if detail and session.scalars(known.limit(1)).first() is None:
            append(session, stream, kind, film_id=restoration.film_id, agent=who, detail=detail)


def _repacked(video: VideoFormat, take: TakeFormat) -> dict[str, Any]:
    """The pixel format that holds a film's samples where FFV1 has none by the film's own name."""
    held = take.video.pix_fmt
    if held == video.pix_fmt or held != lossless_equivalent(video.pix_fmt):
        return {}
    palette = "; which entry of the palette a pixel named is not kept"
    kept = "every sample is kept, in another order" + (palette if video.pix_fmt == "pal8" else "")
    return {"pixel format": video.pix_fmt, "held as": held, "lossless": kept}


def _taken_for(video: VideoFormat, plan: Plan) -> dict[str, Any]:
    """What the tags leave open and a step may need: nothing for a chain that passes frames on."""
    if all(passes_on(step.use) for step in plan.steps):
        return {}
    taken = assumed(video)
    names = {"rgb": (), "gray": ("range",), "yuv": ("matrix", "range", "chroma_location")}
    found = {
        name: getattr(taken, name)
        for name in names[layout_of(video.pix_fmt).kind]
        if getattr(video.colour, name) is None
    }
    why = "the film's tags leave it open; by its size and pixel format (docs/exactness.md)"
    return {"assumed": found, "because": why} if found else {}
