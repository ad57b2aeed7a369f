"""The report: one page, complete in itself, that shows what was done to a film and proves it.

A strip of scenes before and after, the streams of source against master, what ran on what, and the
hashes. Everything that comes from outside is escaped by the template, and nothing is loaded.
"""

import base64
from fractions import Fraction
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from catalog.events import events_of
from catalog.models import EnvironmentRow, MasterRow, RestorationRow
from catalog.restorations import restoration_scenes, selected_takes
from catalog.status import scene_table
from media.frames import decode_range, frame_at
from media.probe import MediaInfo, StreamInfo, probe
from restar.progress import track
from restar.recipe import Recipe
from restar.timeline import FrameRange, timecode
from tasks.house import SOFTWARE, House, OpenFilm
from tasks.pictures import jpeg, small_picture

__all__ = ["write_report"]

_SHOWN = 48  # scenes with pictures; those of a long film are picked evenly
_HEIGHT = 240  # pixels of a picture
_NOMINAL = Fraction(25)


def write_report(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    master: MasterRow,
    recipe: Recipe,
    target: Path,
) -> None:
    """Write the report of a master to `target`."""
    master_path = Path(master.path)
    info = probe(master_path)
    with house.catalog.read() as session:
        scenes = restoration_scenes(session, restoration.id)
        takes = selected_takes(session, restoration.id)
        scores = {row["scene"]: row["scores"] for row in scene_table(session, restoration.id)}
        events = events_of(session, film.row.id)
        environments = {
            take.environment_sha256: session.get_one(
                EnvironmentRow, take.environment_sha256
            ).content
            for take in takes.values()
        }
    every = max(1, -(-len(scenes) // _SHOWN))
    rows = []
    with track("report", "scenes", len(scenes)) as advance:
        for scene in scenes:
            frames = FrameRange(scene.start, scene.end)
            shown = (scene.number - 1) % every == 0
            rows.append({
                **_times(film, frames),
                "number": scene.number,
                "take": takes[scene.number],
                "scores": scores[scene.number],
                "flags": scene.flags,
                "caption": scene.caption or "",
                "overrides": scene.overrides,
                "pictures": _pictures(film, master_path, info, frames) if shown else None,
            })  # fmt: skip
            advance(1)
    page = _template().render(
        film=film.row,
        film_name=film.path.name,
        source=film.row.to_manifest().sources[0],
        master=master,
        master_name=master_path.name,
        restoration=restoration,
        recipe=recipe.model_dump(mode="json"),
        steps=next(iter(takes.values())).spec["steps"],
        scenes=rows,
        streams=_streams(film.info, info),
        environments=environments,
        events=events,
        software=SOFTWARE,
        work_seconds=sum(take.seconds for take in takes.values()),
    )
    target.write_text(page, encoding="utf-8")


def _times(film: OpenFilm, frames: FrameRange) -> dict[str, Any]:
    rate = film.info.video.rate or _NOMINAL
    return {
        "start": frames.start,
        "end": frames.end,
        "timecode": timecode(frames.start, rate),
        "seconds": float(film.index.time(frames.end - 1) - film.index.time(frames.start)),
    }


def _pictures(film: OpenFilm, master: Path, info: MediaInfo, frames: FrameRange) -> dict[str, str]:
    middle = (frames.start + frames.end) // 2
    (before,) = decode_range(film.path, film.info, film.index, FrameRange(middle, middle + 1))
    after = frame_at(master, info, film.index.time(middle))
    pairs = {"before": (before, film.info.format), "after": (after, info.format)}
    return {
        name: "data:image/jpeg;base64,"
        + base64.b64encode(jpeg(small_picture(frame, video, _HEIGHT))).decode()
        for name, (frame, video) in pairs.items()
    }


def _streams(source: MediaInfo, master: MediaInfo) -> list[tuple[str, str, str]]:
    """Return (what, in the source, in the master) for the pictures and each other stream."""
    here, there = [source.video, *source.others()], [master.video, *master.others()]
    rows = []
    for number in range(max(len(here), len(there))):
        ours = here[number] if number < len(here) else None
        theirs = there[number] if number < len(there) else None
        kind = (ours or theirs).kind  # type: ignore[union-attr]
        rows.append((kind, _told(ours), _told(theirs)))
    rows.append(("container", source.container, master.container))
    rows.append(("chapters", str(len(source.chapters)), str(len(master.chapters))))
    return rows


def _told(stream: StreamInfo | None) -> str:
    if stream is None:
        return "—"
    if stream.video is not None:
        video, colour = stream.video, stream.video.colour
        parts = [stream.codec, f"{video.width}x{video.height}", video.pix_fmt,
                 f"SAR {video.sar or 'unspecified'}", colour.matrix or "matrix unspecified",
                 colour.range or "range unspecified"]  # fmt: skip
        return ", ".join(parts)
    if stream.kind == "audio":
        return f"{stream.codec}, {stream.sample_rate} Hz, {stream.layout}"
    name = stream.metadata.get("filename", stream.metadata.get("title", ""))
    return f"{stream.codec} {name}".strip()


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("tasks", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["clock"] = lambda s: f"{int(s) // 60}:{s % 60:04.1f}"
    environment.filters["mib"] = lambda n: f"{n / (1 << 20):.1f} MiB"
    return environment.get_template("report.html")


def place_report(*a: object) -> Path:
    raise NotImplementedError
