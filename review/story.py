"""Where a frame of a master comes from, and in what two takes differ: plain facts for a table."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.browse import film_rate
from catalog.closeup import SceneSheet, TakeSheet
from catalog.events import film_stream, restoration_stream
from catalog.models import EventRow
from media.index import FrameIndex
from restar.errors import MediaError, StoreError
from restar.timeline import timecode
from review.look import Side, flat
from tasks.house import NOMINAL_RATE, House

__all__ = ["differences", "events_of_scene", "story_of"]

_MOST_EVENTS = 200


def differences(
    takes: Sequence[TakeSheet], sides: Sequence[Side]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return in what the specs of takes differ: (what, [(side's name, value)]), one row a difference."""
    if len(takes) < 2:
        return []
    names = {side.take.row.id: side.name for side in sides if side.take is not None}
    specs = {take.row.id: dict(flat(take.row.spec)) for take in takes}
    keys = sorted({key for spec in specs.values() for key in spec})
    return [
        (key, [(names[take], spec.get(key, "—")) for take, spec in specs.items()])
        for key in keys
        if len({spec.get(key) for spec in specs.values()}) > 1
    ]


def story_of(
    house: House, sheet: SceneSheet, take: TakeSheet | None, frame: int
) -> list[tuple[str, str]]:
    """Return the story of one frame, from the file that was ingested to the master, as (what, fact)."""
    film, scene = sheet.film, sheet.scene
    frame = min(max(frame, scene.start), scene.end - 1)
    rate = film_rate(film.media) or NOMINAL_RATE
    source = film.to_manifest().sources[0]
    story = [
        (
            "frame",
            f"{frame} of the film, {frame - scene.start} of the scene, {timecode(frame, rate)}",
        ),
        ("source", f"{source.name}, sha256 {source.sha256}"),
    ]
    story += _of_index(house, sheet, frame)
    if take is None:
        return [*story, ("take", "none yet")]
    story += _of_take(house, take, frame)
    chosen = sheet.selection
    if chosen is not None and take.selected:
        who = f"{chosen.decided_by} at {chosen.selected_at:%Y-%m-%d %H:%M:%S} UTC (rule {chosen.rule})"
        story.append(("chosen by", who))
    return story


def events_of_scene(session: Session, sheet: SceneSheet, take: TakeSheet | None) -> list[EventRow]:
    """Return what happened to a scene and its take, and to its film and restoration as wholes."""
    streams = (film_stream(sheet.film.id), restoration_stream(sheet.restoration.id))
    rows = session.scalars(
        select(EventRow)
        .where(EventRow.film_id == sheet.film.id, EventRow.stream.in_(streams))
        .order_by(EventRow.id.desc())
        .limit(20_000)
    )
    key = take.row.take_key if take is not None else None
    found = []
    for row in rows:
        scene, of_take = row.detail.get("scene"), row.detail.get("take_key")
        if (
            scene == sheet.scene.number
            or (key and of_take == key)
            or (scene is None and not of_take)
        ):
            found.append(row)
        if len(found) == _MOST_EVENTS:
            break
    return found


def _of_index(house: House, sheet: SceneSheet, frame: int) -> list[tuple[str, str]]:
    streams = sheet.film.media.get("streams") or [{}]
    base = streams[min(sheet.film.media.get("picture", 0), len(streams) - 1)].get("time_base")
    try:
        path = house.store.open_local(sheet.film.frame_index)
        index = FrameIndex.load(path, Fraction(base or 1))
        return [
            ("shown at", f"{float(index.time(frame)):.6f} s (PTS {index.pts(frame)} in {base})"),
            ("its pixels", f"MD5 {index.md5(frame).hex()} as ingested"),
        ]
    except (StoreError, MediaError, IndexError):
        return [("its pixels", "the index of ingest is not in the store")]


def _of_take(house: House, take: TakeSheet, frame: int) -> list[tuple[str, str]]:
    row = take.row
    steps = " → ".join(
        f"{s['use']} (algorithm {s['algorithm']}{_model(s)})" for s in row.spec["steps"]
    )
    told = [
        ("restored by", steps),
        ("take", f"key {row.take_key}"),
        ("its file", f"sha256 {row.sha256}, {row.bytes:,} bytes"),
    ]
    try:
        with house.store.open_local(row.checksums_sha256).open("rb") as file:
            file.seek(16 * (frame - row.start))
            told.append(("restored pixels", f"MD5 {file.read(16).hex()} as made"))
    except (StoreError, OSError):
        told.append(("restored pixels", "the take's checksums are not in the store"))
    when = f"{row.made_at:%Y-%m-%d %H:%M:%S} UTC, in {row.seconds:.1f} s"
    told.append(("made", f"{when} under environment {row.environment_sha256}"))
    return told


def _model(step: Mapping[str, Any]) -> str:
    return f", model {step['model_sha256']}" if step["model_sha256"] else ", no model"
