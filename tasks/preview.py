"""A preview: a few seconds restored for a look, and what the whole film would cost.

Nothing is kept in store or catalog but the film itself: a preview's frames are thrown away once they
are in the picture.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from media.frames import decode_all, decode_range
from media.probe import probe
from media.take import TakeWriter
from restar.film import Scene
from restar.progress import track
from restar.recipe import Recipe
from restar.timeline import FrameRange, timecode
from restorers import restorer
from store import write_error
from tasks.condition import measured_condition
from tasks.house import NOMINAL_RATE, House, OpenFilm
from tasks.pictures import Picture, beside, jpeg, small_picture
from tasks.plan import Plan, plan_restoration, spec_of
from tasks.restore import Workshop, restored_frames

__all__ = ["Estimate", "preview"]

_SECONDS = 2
_HEIGHT = 270


@dataclass(frozen=True)
class Estimate:
    """What a whole film would cost, judged by what a few seconds of it did."""

    scenes: tuple[int, ...]
    frames: int
    frames_per_second: float
    hours: float
    take_bytes: int
    picture: Path


def preview(
    house: House, film: OpenFilm, recipe: Recipe, scenes: Sequence[Scene], target: Path
) -> Estimate:
    """Restore two seconds from the middle of each scene; write a picture of before and after.

    `target` is the JPEG to write. The estimate is proportional to frames: of the same machine,
    doing nothing else.
    """
    plan = plan_restoration(film, recipe)
    rate = film.info.video.rate or NOMINAL_RATE
    workshop = Workshop()
    rows: list[Picture] = []
    frames, size, seconds = 0, 0, 0.0
    for scene in scenes:
        part = _middle(scene, round(_SECONDS * rate))
        spec = spec_of(plan, recipe, _told(film, plan, part), recipe.restore.seed)
        with (
            house.store.staging() as folder,
            track(f"preview of scene {scene.number}", "frames", part.count) as advance,
        ):
            began = time.monotonic()
            with TakeWriter(
                folder / "take.mkv", plan.take_format, rate, house.settings.threads
            ) as writer:
                for picture in restored_frames(workshop, film, spec, part):
                    writer.write(picture)
                    advance(1)
                path = writer.finish().path
            seconds += time.monotonic() - began
            frames, size = frames + part.count, size + path.stat().st_size
            rows.append(_pair(film, path, part, scene, rate))
    _save(rows, target)
    speed = frames / max(seconds, 1e-6)
    return Estimate(
        scenes=tuple(scene.number for scene in scenes),
        frames=frames,
        frames_per_second=speed,
        hours=film.index.count / speed / 3600,
        take_bytes=round(size / frames * film.index.count),
        picture=target,
    )


def _told(film: OpenFilm, plan: Plan, part: FrameRange) -> str:
    """What a restorer with words of its own for wear is told; nobody captions for a preview."""
    for resolved in plan.steps:
        member = restorer(resolved.use)
        said = measured_condition(film, part, member, resolved)
        if said:
            template = getattr(member, "prompt_template", lambda _step: "{condition}")(resolved)
            return str(template).format(caption="", facts="", condition=said).strip()
    return ""


def _middle(scene: Scene, length: int) -> FrameRange:
    length = min(length, scene.end - scene.start)
    start = (scene.start + scene.end - length) // 2
    return FrameRange(start, start + length)


def _pair(film: OpenFilm, take: Path, part: FrameRange, scene: Scene, rate: Fraction) -> Picture:
    """Return before and after of a part's middle frame side by side."""
    at = part.count // 2
    middle = part.start + at
    (before,) = decode_range(film.path, film.info, film.index, FrameRange(middle, middle + 1))
    made = probe(take)
    after = next(f for n, f in enumerate(decode_all(take, made)) if n == at)
    pictures = [
        small_picture(before, film.info.format, _HEIGHT),
        small_picture(after, film.info.format, _HEIGHT),
    ]
    label = f"scene {scene.number}, {timecode(middle, rate)}: source, restored"
    return beside(pictures, label)


def _save(rows: Sequence[Picture], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(jpeg(np.concatenate(rows), quality=90))
    except OSError as error:
        raise write_error(target, error) from None
