"""The report: one page, complete in itself, that shows what was done to a film and proves it.

What to look at first (flags, with their place on a map), scores along the film against a plain resize,
scenes before and after, the streams of source against master, what ran on what, and the hashes. It can be
written before there is a master. Everything from outside is escaped, and nothing is loaded.
"""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.orm import Session

from catalog.events import events_of
from catalog.masters import current_master
from catalog.models import (
    EnvironmentRow,
    MasterRow,
    RestorationRow,
    RestorationSceneRow,
    TakeRow,
)
from catalog.restorations import restoration_scenes, selected_takes
from catalog.reviews import candidates
from media.format import TakeFormat
from media.frames import decode_range, frame_at
from media.probe import MediaInfo, StreamInfo, probe
from restar.errors import StoreError, UsageError
from restar.progress import track
from restar.recipe import Recipe
from restar.timeline import FrameRange, timecode
from store import replace
from tasks.house import NOMINAL_RATE, SOFTWARE, House, OpenFilm
from tasks.pictures import heat_svg, jpeg, small_picture
from tasks.reportscores import SceneScores, charts, licences, scene_scores

__all__ = ["page_template", "place_report", "write_report"]

_SHOWN = 48  # scenes with pictures; those of a long film are picked evenly
_FLAGGED = 120  # flagged scenes with pictures, the first ones
_HEIGHT = 300  # pixels of a picture


def place_report(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    recipe: Recipe,
    target: Path | None = None,
) -> Path:
    """Write the report of a restoration as it stands, beside its master or at `target`; return where."""
    with house.catalog.read() as session:
        master = current_master(session, restoration.id)
    if target is None:
        beside = Path(master.path if master else restoration.output)
        target = beside.absolute().with_suffix(".report.html")
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_report(house, film, restoration, master, recipe, part)
        replace(part, target)
    except OSError as error:
        raise StoreError(f"{target}: can't be written ({error.strerror or error})") from None
    finally:
        part.unlink(missing_ok=True)
    return target


def write_report(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    master: MasterRow | None,
    recipe: Recipe,
    target: Path,
) -> None:
    """Write the report of a restoration to `target`; with the master's part where there is one."""
    with house.catalog.read() as session:
        scenes = restoration_scenes(session, restoration.id)
        takes = selected_takes(session, restoration.id)
        roles = {scene.number: candidates(session, scene) for scene in scenes}
        shown = {n: takes.get(n) or roles[n].get("first") for n in roles}
        scores = scene_scores(session, house, scenes, shown, recipe)
        events = events_of(session, film.row.id)
        environments = _environments(session, [take for take in shown.values() if take])
    if not any(shown.values()):
        raise UsageError(f"{film.path.name}: has no take yet; `restar restore` makes them")
    every = max(1, -(-len(scenes) // _SHOWN))
    rows, flagged = [], 0
    with track("report", "scenes", len(scenes)) as advance:
        for scene in scenes:
            take, measured = shown[scene.number], scores[scene.number]
            flagged += bool(scene.flags)
            wanted = (scene.flags and flagged <= _FLAGGED) or (scene.number - 1) % every == 0
            pictured = take if wanted else None
            plain = roles[scene.number].get("plain") if scene.flags else None
            rows.append({
                **_times(film, FrameRange(scene.start, scene.end)),
                "number": scene.number,
                "take": take,
                "waits": scene.number not in takes,
                "roles": _role_names(roles[scene.number], takes.get(scene.number)),
                "scores": measured.summaries,
                "flags": scene.flags,
                "caption": scene.caption or "",
                "overrides": scene.overrides,
                "pictures": _pictures(house, film, scene, pictured, plain) if pictured else None,
                "map": _map(house, film, scene, pictured, measured) if pictured else None,
            })  # fmt: skip
            advance(1)
    info = probe(Path(master.path)) if master and Path(master.path).is_file() else None
    first = next(take for take in shown.values() if take)
    page = page_template("report.html").render(
        film=film.row,
        film_name=film.path.name,
        source=film.row.to_manifest().sources[0],
        master=master,
        master_name=Path(master.path).name if master else "",
        restoration=restoration,
        recipe=recipe.model_dump(mode="json"),
        steps=first.spec["steps"],
        scenes=rows,
        charts=charts(list(scores.values()), recipe),
        licences=licences(scores.values()),
        streams=_streams(film.info, info) if info else [],
        environments=environments,
        events=events,
        software=SOFTWARE,
        work_seconds=sum(take.seconds for take in shown.values() if take),
    )
    target.write_text(page, encoding="utf-8")


def _environments(session: Session, takes: list[TakeRow]) -> dict[str, Any]:
    return {
        take.environment_sha256: session.get_one(EnvironmentRow, take.environment_sha256).content
        for take in takes
    }


def _role_names(roles: dict[str, TakeRow], selected: TakeRow | None) -> list[dict[str, Any]]:
    """The takes that a scene has to choose from, where there is a choice."""
    if len(roles) < 2:
        return []
    chosen = selected.take_key if selected else None
    return [
        {"role": role, "key": take.take_key, "chosen": take.take_key == chosen}
        for role, take in roles.items()
    ]


def _times(film: OpenFilm, frames: FrameRange) -> dict[str, Any]:
    rate = film.info.video.rate or NOMINAL_RATE
    return {
        "start": frames.start,
        "end": frames.end,
        "timecode": timecode(frames.start, rate),
        "seconds": float(film.index.time(frames.end - 1) - film.index.time(frames.start)),
    }


def _pictures(
    house: House,
    film: OpenFilm,
    scene: RestorationSceneRow,
    take: TakeRow,
    plain: TakeRow | None,
) -> dict[str, str]:
    """Stills of the middle of a scene: the source, the take, and the plain resize if there is one."""
    middle = (scene.start + scene.end) // 2
    (before,) = decode_range(film.path, film.info, film.index, FrameRange(middle, middle + 1))
    stills = {
        "before": _still(small_picture(before, film.info.format, _HEIGHT)),
        "after": _take_still(house, film, take, middle - scene.start),
    }
    if plain is not None and plain.take_key != take.take_key:
        stills["plain"] = _take_still(house, film, plain, middle - scene.start)
    return stills


def _take_still(house: House, film: OpenFilm, take: TakeRow, number: int) -> str:
    path = house.store.open_local(take.sha256)
    rate = film.info.video.rate or NOMINAL_RATE
    frame = frame_at(path, probe(path), number / rate)
    return _still(small_picture(frame, TakeFormat.from_json(take.spec["format"]).video, _HEIGHT))


def _map(
    house: House,
    film: OpenFilm,
    scene: RestorationSceneRow,
    take: TakeRow,
    scores: SceneScores,
) -> dict[str, Any] | None:
    """Where a take is worst: the still of its worst frame under the tiles of the measure that says so."""
    worst = scores.worst_map
    if worst is None:
        return None
    found = worst.worst
    frame = found[0] if found else 0
    return {
        "metric": worst.name,
        "frame": scene.start + frame,
        "still": _take_still(house, film, take, frame),
        "tiles": Markup(heat_svg(worst.heat, worst.better)),  # numbers only  # noqa: S704
    }


def _still(picture: Any) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(picture, 82)).decode()


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


def _number(value: float | None, sign: bool = False) -> str:
    if value is None:
        return "n/a"
    return f"{value:+.3g}" if sign else f"{value:.4g}"


def page_template(name: str) -> Any:
    """Return a page of the house; everything that is put into it is escaped."""
    environment = Environment(
        loader=PackageLoader("tasks", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["clock"] = lambda s: f"{int(s) // 60}:{s % 60:04.1f}"
    environment.filters["number"] = _number
    environment.filters["mib"] = lambda n: f"{n / (1 << 20):.1f} MiB"
    return environment.get_template(name)
