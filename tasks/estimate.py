"""Estimates: what a list of films would cost, before anything of it is begun.

Speeds come from the takes that were made with the same chain; where there are none, a few frames of
the first film that needs it are decoded, restored and encoded here, and thrown away. Nothing is
ingested. What is counted is restoring: reading a film, captions, scores and the master's assembly come
on top of the hours, and masters need about as many bytes as their takes.
"""

import hashlib
import time
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from catalog.films import film_by_path
from catalog.models import RestorationRow
from catalog.restorations import restorations_of
from catalog.speeds import Speed, chain_of, measured_speeds, missing_frames
from media.frames import decode_all
from media.parts import film_files, probe_film
from media.probe import MediaInfo, open_media
from media.take import TakeWriter
from restar.errors import MediaError, RestarError
from restar.progress import track
from restar.spec import Spec
from restar.timeline import FrameRange
from tasks.device import find_device
from tasks.filmlist import Entry
from tasks.house import NOMINAL_RATE, House, is_here
from tasks.plan import Plan, plan_chain, spec_of
from tasks.restore import Workshop, through_chain

__all__ = ["FilmEstimate", "estimate_list"]

_TRIED = 12  # frames of a trial


@dataclass(frozen=True)
class FilmEstimate:
    """What one film would cost. `frames` are those that are still to be restored; `how` says from what.

    `error` is why it can't be restored at all ("" = it can).
    """

    path: Path
    recipe: str
    priority: int
    frames: int = 0
    hours: float = 0.0
    gpu_hours: float = 0.0
    bytes: int = 0
    how: str = ""
    error: str = ""


def estimate_list(house: House, entries: list[Entry]) -> list[FilmEstimate]:
    """Return an estimate for each film of a list; one that can't be read says why, and stops none."""
    with house.catalog.read() as session:
        speeds = measured_speeds(session)
    said = {chain: f"{speed.takes} takes" for chain, speed in speeds.items()}
    workshop, twins = Workshop(), _twins(entries)
    found: list[FilmEstimate] = []
    with track("estimating", "films", len(entries)) as advance:
        for number, entry in enumerate(entries):
            advance(1)
            if number in twins:
                how = f"most likely the same film as {twins[number].name}"
                found.append(FilmEstimate(entry.path, entry.recipe.name, entry.priority, how=how))
                continue
            try:
                found.append(_estimate(house, entry, workshop, speeds, said))
            except RestarError as error:
                found.append(FilmEstimate(entry.path, entry.recipe.name, entry.priority,
                                          error=str(error)))  # fmt: skip
    return found


def _estimate(
    house: House,
    entry: Entry,
    workshop: Workshop,
    speeds: dict[str, Speed],
    said: dict[str, str],
) -> FilmEstimate:
    info = probe_film(entry.path)
    plan = plan_chain(entry.path, info, entry.recipe)
    spec = spec_of(plan, entry.recipe, "", entry.recipe.restore.seed)
    frames = _frames_to_do(house, entry, info)
    chain = chain_of(spec.to_json())
    if frames and chain not in speeds:
        speeds[chain] = _try(house, entry, info, plan, spec, workshop)
        said[chain] = f"{_TRIED} frames of {entry.path.name}"
    speed = speeds.get(chain, Speed(0, 0.0, 0.0, 0.0))
    video = plan.take_format.video
    pixels = frames * video.width * video.height
    return FilmEstimate(
        path=entry.path,
        recipe=entry.recipe.name,
        priority=entry.priority,
        frames=frames,
        hours=pixels * speed.seconds / 3600,
        gpu_hours=pixels * speed.gpu_seconds / 3600,
        bytes=round(pixels * speed.bytes),
        how=said.get(chain, "nothing to do") if frames else "done before",
    )


def _frames_to_do(house: House, entry: Entry, info: MediaInfo) -> int:
    with house.catalog.read() as session:
        film = film_by_path(session, entry.path)
        if film is not None and is_here(film, entry.path):
            mine = [
                row
                for row in restorations_of(session, film.id)
                if row.recipe_sha256 == entry.recipe.sha256
            ]
            newest: RestorationRow | None = mine[-1] if mine else None
            return film.frames if newest is None else missing_frames(session, newest, film.frames)
    video = info.video
    if video.frames:
        return video.frames
    if video.duration and video.rate:
        return round(video.duration * video.time_base * video.rate)
    seconds = _seconds(entry.path) if not info.images and not info.reels else 0
    if not seconds or not video.rate:
        raise MediaError(
            f"{entry.path}: does not say how long it is; `restar preview` counts its frames"
        )
    return round(seconds * video.rate)


def _seconds(path: Path) -> Fraction:
    """What a file's container says of its length, in seconds; 0 where it says nothing."""
    with open_media(path) as container:
        return Fraction(container.duration or 0, 1_000_000)


def _twins(entries: list[Entry]) -> dict[int, Path]:
    """Entries that are most likely the same film as an earlier one, by size and first bytes."""
    first: dict[tuple[str, int, bytes], Path] = {}
    twins = {}
    for number, entry in enumerate(entries):
        try:
            files = film_files(entry.path)
            with files.all[0].open("rb") as file:
                head = hashlib.sha256(file.read(1 << 20)).digest()
            key = (entry.recipe.sha256, files.size, head)
        except (OSError, RestarError):
            continue  # what is wrong with it is told when it is probed
        earlier = first.setdefault(key, entry.path)
        if earlier != entry.path:
            twins[number] = earlier
    return twins


def _try(
    house: House, entry: Entry, info: MediaInfo, plan: Plan, spec: Spec, workshop: Workshop
) -> Speed:
    """Restore a film's first frames; the model is loaded before the clock runs."""
    frames = list(islice(decode_all(entry.path, info), _TRIED))
    if not frames:
        raise MediaError(f"{entry.path}: holds no frame that decodes")
    whole, one = FrameRange(0, len(frames)), FrameRange(0, 1)
    on_gpu = bool(find_device(None).name)
    for _ in through_chain(workshop, info.format, spec, one, iter(frames[:1])):
        pass
    rate = info.video.rate or NOMINAL_RATE
    with house.store.staging() as folder:
        began = time.monotonic()
        with TakeWriter(folder / "take.mkv", plan.take_format, rate, house.settings.threads) as to:
            for picture in through_chain(workshop, info.format, spec, whole, iter(frames)):
                to.write(picture)
            size = to.finish().path.stat().st_size
        seconds = time.monotonic() - began
    pixels = len(frames) * plan.take_format.video.width * plan.take_format.video.height
    return Speed(0, seconds / pixels, seconds / pixels if on_gpu else 0.0, size / pixels)
