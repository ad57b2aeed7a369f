"""Hand-over to editing and grading programs: the selected takes of a restoration as a timeline.

- `otio`: OpenTimelineIO. A clip for each scene; its media are the take, the source and the master, each
  with its own range, so that a program relinks to whichever it has.
- `edl`: CMX 3600, for conforming the master: source and record timecode of each scene.
- `takes`: a folder with a verified copy of each selected take, a list of them with hashes, and an OTIO
  timeline that refers to these copies by name, so that the folder can be moved.

Timecode begins where the source says that it does, drop-frame where the source's is. The rate is the
film's; frames with times of their own (variable rate) are counted at the nominal one.
"""

import csv
import io
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import opentimelineio as otio

from catalog.masters import current_master
from catalog.models import MasterRow, RestorationRow, RestorationSceneRow, TakeRow
from catalog.restorations import restoration_scenes, selected_takes
from restar.errors import IncompleteError, StoreError, UsageError
from restar.hashing import sha256_of_file
from restar.progress import track
from restar.timeline import (
    can_drop,
    drop_timecode,
    format_scenes,
    parse_timecode,
    timecode,
)
from store import replace, write_error, write_text
from tasks.house import NOMINAL_RATE, House, OpenFilm

__all__ = ["FORMATS", "Format", "export_film"]

Format = Literal["otio", "edl", "takes"]
FORMATS: tuple[Format, ...] = ("otio", "edl", "takes")
_DEFAULT = otio.schema.Clip.DEFAULT_MEDIA_KEY


@dataclass(frozen=True)
class _Cut:
    """A scene of the timeline and the take that stands for it."""

    scene: RestorationSceneRow
    take: TakeRow

    @property
    def count(self) -> int:
        return self.scene.end - self.scene.start


@dataclass(frozen=True)
class _Clock:
    """How a film counts: its rate, the number of its first frame, and whether timecode drops."""

    rate: Fraction
    first: int
    drop: bool

    def code(self, frame: int) -> str:
        """The timecode of frame 0, 1, ... of the film; it goes round after a day."""
        base = max(1, round(self.rate))
        day = 24 * 3600 * base - (24 * 54 * 2 * base // 30 * self.drop)
        at = (self.first + frame) % day
        return drop_timecode(at, self.rate) if self.drop else timecode(at, self.rate)

    def span(self, start: int, count: int) -> Any:
        rate = float(self.rate)
        return otio.opentime.TimeRange(
            otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(count, rate)
        )


def export_film(
    house: House, film: OpenFilm, restoration: RestorationRow, kind: Format, target: Path | None
) -> Path:
    """Write a restoration's selected takes as a timeline; return where.

    `target` is the file, or the folder of `takes`; without it the master's name decides. Raises
    IncompleteError where a scene has no selected take, StoreError where a take is not what it was.
    """
    with house.catalog.read() as session:
        scenes = restoration_scenes(session, restoration.id)
        takes = selected_takes(session, restoration.id)
        master = current_master(session, restoration.id)
    missing = [scene.number for scene in scenes if scene.number not in takes]
    if missing:
        raise IncompleteError(
            f"scenes {format_scenes(missing)} have no selected take yet; `restar restore` makes them"
        )
    cuts = [_Cut(scene, takes[scene.number]) for scene in scenes]
    clock = _clock(film)
    target = (target or _beside(restoration, master, kind)).absolute()
    if kind == "edl":
        write_text(target, _edl(film, cuts, clock, master))
    elif kind == "otio":
        timeline = _timeline(film, restoration, cuts, clock, master, _stored(house))
        write_text(target, timeline.to_json_string())
    else:
        _takes(house, film, restoration, cuts, clock, master, target)
    return target


def _clock(film: OpenFilm) -> _Clock:
    """Where the source's timecode begins: a tag of the file, of its pictures or of another stream."""
    rate = film.info.video.rate or NOMINAL_RATE
    tags = [film.info.metadata, film.info.video.metadata, *(s.metadata for s in film.info.others())]
    for found in (v for tag in tags for k, v in tag.items() if k.lower() == "timecode"):
        try:
            drop = can_drop(rate) and any(sign in found for sign in ";.")
            return _Clock(rate, parse_timecode(found, rate), drop)
        except UsageError:
            continue  # a tag that is none: the next one, or zero
    return _Clock(rate, 0, False)


def _beside(restoration: RestorationRow, master: MasterRow | None, kind: Format) -> Path:
    path = Path(master.path if master is not None else restoration.output)
    if not path.name:
        raise UsageError("this restoration has no master yet: say where to write, by -o")
    return path.with_suffix(f".{kind}")


def _stored(house: House) -> Callable[[_Cut], str]:
    return lambda cut: house.store.open_local(cut.take.sha256).as_uri()


def _timeline(
    film: OpenFilm,
    restoration: RestorationRow,
    cuts: Sequence[_Cut],
    clock: _Clock,
    master: MasterRow | None,
    url: Callable[[_Cut], str],
) -> Any:
    timeline = otio.schema.Timeline(
        name=f"{film.path.stem} restored",
        global_start_time=otio.opentime.RationalTime(clock.first, float(clock.rate)),
        metadata={
            "restar": {
                "film": film.row.id,
                "restoration": restoration.id,
                "accession": film.row.accession,
                "rate": str(clock.rate),
                "timecode": clock.code(0),
                "master_sha256": master.sha256 if master is not None else "",
            }
        },
    )
    track = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    whole = clock.span(clock.first, film.index.count)
    for cut in cuts:
        clip = otio.schema.Clip(name=f"scene {cut.scene.number}", metadata={"restar": _about(cut)})
        references = {
            _DEFAULT: otio.schema.ExternalReference(url(cut), clock.span(0, cut.count)),
            "source": otio.schema.ExternalReference(film.path.as_uri(), whole),
        }
        if master is not None:
            references["master"] = otio.schema.ExternalReference(Path(master.path).as_uri(), whole)
        clip.set_media_references(references, _DEFAULT)
        clip.source_range = clock.span(0, cut.count)
        track.append(clip)
    return timeline


def _about(cut: _Cut) -> dict[str, Any]:
    return {
        "scene": cut.scene.number,
        "source_frames": [cut.scene.start, cut.scene.end],
        "take_key": cut.take.take_key,
        "sha256": cut.take.sha256,
        "seed": str(cut.take.spec["seed"]),
        "steps": [step["use"] for step in cut.take.spec["steps"]],
        "flags": list(cut.scene.flags),
    }


def _edl(film: OpenFilm, cuts: Sequence[_Cut], clock: _Clock, master: MasterRow | None) -> str:
    """A CMX 3600 list. Its events are numbered to 999 and then go on with more digits, as programs do."""
    name = Path(master.path).name if master is not None else film.path.name
    reel = re.sub(r"[^A-Za-z0-9]", "", film.row.reel or film.path.stem)[:8].upper() or "AX"
    lines = [f"TITLE: {_plain(film.path.stem)[:70]}",
             f"FCM: {'DROP FRAME' if clock.drop else 'NON-DROP FRAME'}", ""]  # fmt: skip
    for number, cut in enumerate(cuts, start=1):
        ends = f"{clock.code(cut.scene.start)} {clock.code(cut.scene.end)}"
        lines += [
            f"{number:03}  {reel:<8} V     C        {ends} {ends}",
            f"* FROM CLIP NAME: {_plain(name)}",
            f"* COMMENT: SCENE {cut.scene.number} TAKE {cut.take.take_key[:12]}",
            "",
        ]
    return "\n".join(lines)


def _takes(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    cuts: Sequence[_Cut],
    clock: _Clock,
    master: MasterRow | None,
    folder: Path,
) -> None:
    names = {cut.scene.number: _name(film, cut) for cut in cuts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from None
    total = sum(cut.take.bytes for cut in cuts)
    if shutil.disk_usage(folder).free < total:
        raise StoreError(f"{folder}: needs {total >> 20} MiB free; choose another folder by -o")
    with track("copying takes", "bytes", total) as advance:
        for cut in cuts:
            _copy(house.store.verify(cut.take.sha256), folder / names[cut.scene.number],
                  cut.take.sha256)  # fmt: skip
            advance(cut.take.bytes)
    timeline = _timeline(
        film, restoration, cuts, clock, master, lambda cut: names[cut.scene.number]
    )
    write_text(folder / "timeline.otio", timeline.to_json_string())
    write_text(folder / "takes.csv", _csv(cuts, clock, names))


def _copy(source: Path, target: Path, sha256: str) -> None:
    if target.exists() and sha256_of_file(target) == sha256:
        return
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, part)
        if sha256_of_file(part) != sha256:
            raise StoreError(f"{target}: the copy is not what was copied; is the disk sound?")
        replace(part, target)
    except OSError as error:
        raise write_error(target, error) from None
    finally:
        part.unlink(missing_ok=True)


def _csv(cuts: Sequence[_Cut], clock: _Clock, names: dict[int, str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["scene", "start", "end", "timecode", "file", "sha256", "take", "flags"])
    for cut in cuts:
        scene, take = cut.scene, cut.take
        code = clock.code(scene.start)
        writer.writerow([scene.number, scene.start, scene.end, code, names[scene.number],
                         take.sha256, take.take_key, "; ".join(scene.flags)])  # fmt: skip
    return out.getvalue()


def _name(film: OpenFilm, cut: _Cut) -> str:
    return f"{film.path.stem}.scene-{cut.scene.number:04}.{cut.take.take_key[:12]}.mkv"


def _plain(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "_", text)
