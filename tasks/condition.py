"""How worn a scene is, in the terms of the restorer that listens: measured once a scene and kept.

Some models were taught words of their own for grain, softness and flicker. A restorer that has a method
`condition(step, pictures)` measures them on `condition_frames` successive frames of a scene, and what it
says stands in the place of {condition} in its template. It is kept with the captions of the film, so that
a second run, or another recipe, measures nothing again.
"""

from catalog.captions import find_caption, record_caption
from media.convert import to_rgb
from media.frames import decode_range
from restar.spec import ResolvedStep
from restar.timeline import FrameRange
from restorers import Restorer
from tasks.house import House, OpenFilm

__all__ = ["condition_of", "measured_condition"]


def condition_of(
    house: House, film: OpenFilm, frames: FrameRange, member: Restorer, step: ResolvedStep
) -> str | None:
    """Return a scene's condition in the restorer's words; None where it has none of its own."""
    if not hasattr(member, "condition"):
        return None
    revision = f"condition:{member.name}:{step.model_sha256[:16]}"
    with house.catalog.read() as session:
        row = find_caption(session, film.row.id, frames, revision)
    if row is not None:
        return row.text or None
    said = measured_condition(film, frames, member, step)
    with house.catalog.begin() as session:
        record_caption(
            session, film.row.id, frames, revision, said or "",
            captioner=member.name, made_by=house.who,
        )  # fmt: skip
    return said


def measured_condition(
    film: OpenFilm, frames: FrameRange, member: Restorer, step: ResolvedStep
) -> str | None:
    """Return what the restorer measures on frames from the middle of a scene."""
    condition = getattr(member, "condition", None)
    if condition is None:
        return None
    count = min(int(getattr(member, "condition_frames", 1)), frames.count)
    start = frames.start + (frames.count - count) // 2
    middle = FrameRange(start, start + count)
    pictures = [
        to_rgb(frame, film.info.format.colour)
        for frame in decode_range(film.path, film.info, film.index, middle)
    ]
    said: str | None = condition(step, pictures)
    return said
