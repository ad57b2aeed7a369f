"""Ingest: a film becomes known. Its bytes are hashed and its frames decoded once, for everyone.

That one pass gives the frame index (time and checksum of every frame), the shot list and the measures
from which facts of its scenes are told. A film that is known already, wherever its file lies now, is not
decoded again.
"""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import av

from captioners import measure
from catalog.events import EventType, Outcome, append, film_stream
from catalog.films import film_by_id, register_film
from catalog.models import FilmRow
from catalog.shots import latest_shot_list, save_shot_list
from media.damage import Damage
from media.fields import FieldDetector
from media.frames import TOP_FIRST, FrameIndex, IndexWriter, index_film, nominal_step
from media.marks import MarksWriter
from media.parts import film_files, float_error, probe_film
from media.probe import MediaInfo
from media.slots import a_slot
from restar.errors import MediaError, StoreError
from restar.film import FilmManifest, Identifiers, Scene, Source
from restar.hashing import canonical_json, sha256_of_file
from restar.progress import Advance, track
from tasks.announce import announce
from tasks.house import NOMINAL_RATE, House, elsewhere, measured_of
from tasks.measure import measurer_for, save_measures
from tasks.shots import DETECTOR, ShotSettings, detect_scenes
from tasks.step import step

__all__ = ["ingest"]


@step("ingest {path.name}")
def ingest(
    house: House,
    *,
    path: Path,
    identifiers: Identifiers | None = None,
    allow_damaged: bool = False,
    rounding: bool = False,
) -> str:
    """Make a film known; return its id. `path` names a file, a folder of images, or a manifest.

    `allow_damaged` leaves out what does not decode, `rounding` reads floating point as 16-bit integers;
    either is recorded as an event.
    Raises MediaError for what is no whole film. A film that can't be read leaves nothing behind.
    """
    path = path.absolute()
    files = film_files(path)
    info = replace(probe_film(path, rounding=True), tolerant=allow_damaged)
    with track(f"reading {path.name}", "bytes", info.size) as advance:
        sources = tuple(
            Source(sha256_of_file(file, advance), file.stat().st_size, file.name)
            for file in files.all
        )
    names = _named(files.identifiers, identifiers or Identifiers())
    rate = str(info.video.rate) if files.kind == "sequence" else ""
    manifest = FilmManifest(files.kind, sources, names, rate)
    with house.catalog.read() as session:
        known = film_by_id(session, manifest.film_id)
        listed = latest_shot_list(session, manifest.film_id)
    if known is not None and listed is not None and _is_whole(house, known, allow_damaged):
        measured = known.media["measured"]
        places = [*elsewhere(known, path), path]
        _register(house, manifest, places, info, known.frame_index, known.frames, measured)
        return manifest.film_id
    if info.rounded_from and not rounding:
        raise float_error(path)
    index_sha256, measured, measures_sha256, scenes = _one_pass(house, path, info)
    if files.size != info.size:
        raise MediaError(f"{path}: changed while it was read; try again once it is whole")
    places = [path] if known is None else [*elsewhere(known, path), path]
    _register(house, manifest, places, info, index_sha256, scenes[-1].end, measured, scenes)
    save_measures(house, manifest.film_id, measures_sha256)
    announce(
        "film.ingested", f"restar.film.{manifest.film_id}",
        path=str(path), scenes=len(scenes), frames=scenes[-1].end,
    )  # fmt: skip
    return manifest.film_id


def _one_pass(
    house: House, path: Path, info: MediaInfo
) -> tuple[str, dict[str, Any], str, list[Scene]]:
    """Decode once; return the index's sha256, what was found, the measures' sha256, the scenes."""
    rate, damage, fields = info.video.rate or NOMINAL_RATE, Damage(), FieldDetector()
    with house.store.staging() as folder:
        index = folder / "index.npy"
        with (
            a_slot(f"indexing {path.name}"),
            track(f"indexing {path.name}", "frames", _expected(info)) as advance,
            IndexWriter(index, nominal_step(info)) as writer,
            MarksWriter(folder / "marks.jsonl") as marks,
            measurer_for(folder, info.video.rate) as measurer,
            closing(_seen(index_film(path, info, writer, marks, damage), fields, advance)) as seen,
            closing(measure.measured(seen, measurer)) as frames,
        ):
            scenes = detect_scenes(frames, info.format, rate, ShotSettings())
        flags = FrameIndex.load(index, info.video.time_base).records["interlaced"]
        measured = {
            "marks": house.store.publish(folder / "marks.jsonl"),
            "marked_frames": marks.kinds,
            "interlaced_frames": int((flags > 0).sum()),
            "top_field_first": int((flags == TOP_FIRST).sum()),
            "idet": fields.counts(),
            "hidden_frames": damage.hidden,
            "missing": damage.missing,
            "gaps": damage.gaps,
            **({"rounded": _rounded(info, damage)} if info.rounded_from else {}),
        }
        measures = house.store.publish(folder / "measures.npz")
        return house.store.publish(index), measured, measures, scenes


def _rounded(info: MediaInfo, damage: Damage) -> dict[str, Any]:
    """What is told of floating point that was read as 16-bit integers."""
    return {
        "pixel format": info.rounded_from, "held as": info.format.pix_fmt,
        "lossless": "no: 0 to 1 was rounded to 16 bits, and what lies outside was cut off",
        "samples outside": damage.outside,
    }  # fmt: skip


def _expected(info: MediaInfo) -> int | None:
    """How many frames a film says that it has, if it does; only the progress bar believes it."""
    if info.video.frames:
        return info.video.frames
    if info.video.duration and info.video.rate:
        return round(info.video.duration * info.video.time_base * info.video.rate)
    return None


def _seen(
    frames: Iterator[av.VideoFrame], fields: FieldDetector, advance: Advance
) -> Generator[av.VideoFrame, None, None]:
    """Pass frames on, showing each to the detector of fields and counting it."""
    for frame in frames:
        fields.add(frame)
        yield frame
        advance(1)


def _register(
    house: House,
    manifest: FilmManifest,
    places: list[Path],
    info: MediaInfo,
    index_sha256: str,
    frames: int,
    measured: dict[str, Any],
    scenes: list[Scene] | None = None,
) -> None:
    with house.catalog.begin() as session:
        register_film(
            session,
            manifest,
            media={**json.loads(canonical_json(info.to_json())), "measured": measured},
            frame_index=index_sha256,
            frames=frames,
            paths=places,
            agent=house.who,
        )
        if scenes is not None and measured["gaps"]:
            append(
                session,
                film_stream(manifest.film_id),
                EventType.VALIDATION,
                film_id=manifest.film_id,
                agent=house.who,
                outcome=Outcome.WARNING,
                detail={"damage": measured["missing"], "gaps": measured["gaps"]},
            )
        if scenes is not None and "rounded" in measured:
            append(
                session,
                film_stream(manifest.film_id),
                EventType.NORMALIZATION,
                film_id=manifest.film_id,
                agent=house.who,
                outcome=Outcome.WARNING,
                detail=measured["rounded"],
            )
        if scenes is not None and latest_shot_list(session, manifest.film_id) is None:
            save_shot_list(
                session,
                manifest.film_id,
                scenes,
                detector=DETECTOR,
                parameters=ShotSettings().to_json(),
                made_by=house.who,
            )


def _named(told: Identifiers, given: Identifiers) -> Identifiers:
    """The names in a film's manifest, where nothing else was said with the command."""
    return Identifiers(**{key: value or vars(told)[key] for key, value in vars(given).items()})


def _is_whole(house: House, known: FilmRow, allow_damaged: bool) -> bool:
    """Whether what an earlier pass found is all there, and was found in the way that is wanted now."""
    measured = measured_of(known)
    if measured is None or (measured["gaps"] and not allow_damaged):
        return False
    try:
        house.store.verify(known.frame_index)
        house.store.verify(measured["marks"])
    except StoreError:
        return False
    return True
