"""Shot lists as files: CSV for people, EDL (CMX 3600) and OTIO for editing programs.

EDL and OTIO are read and written by OpenTimelineIO. Frames count from 0 in CSV; an EDL's timecode
runs at the film's rate, and where it begins elsewhere than at zero, the first event is frame 0.
"""

import csv
import io
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from restar.errors import UsageError
from restar.film import Scene
from restar.textfile import read_text
from restar.timeline import timecode

__all__ = ["FORMATS", "read_shots", "write_shots"]

FORMATS = (".csv", ".edl", ".otio")
_MAX_BYTES = 64 << 20


def read_shots(path: Path, rate: Fraction) -> list[Scene]:
    """Return the scenes of a shot file; raise UsageError naming the line or event that is wrong."""
    _refuse_other(path)
    text = read_text(path, _MAX_BYTES, "a shot list")
    return _from_csv(path, text) if path.suffix == ".csv" else _from_timeline(path, text, rate)


def write_shots(path: Path, scenes: list[Scene], film: Path, rate: Fraction) -> None:
    """Write scenes to a file of the kind that its name says."""
    _refuse_other(path)
    if path.suffix == ".csv":
        text = _to_csv(scenes, rate)
    else:
        timeline = _to_timeline(scenes, film, rate)
        if path.suffix == ".edl":
            text = str(otio.adapters.write_to_string(timeline, "cmx_3600", rate=_edl_rate(rate)))
        else:
            text = str(otio.adapters.write_to_string(timeline, "otio_json"))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({error.strerror})") from None


def _refuse_other(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise UsageError(f"{path}: not a kind of shot list that is known: {', '.join(FORMATS)}")


def _from_csv(path: Path, text: str) -> list[Scene]:
    scenes: list[Scene] = []
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            scenes.append(Scene(len(scenes) + 1, int(row["start"]), int(row["end"])))
        except (KeyError, TypeError, ValueError):
            raise UsageError(
                f"{path}, line {line}: needs the columns start and end, in frames from 0 "
                "(the end is the first frame that no longer belongs to the scene)"
            ) from None
    if not scenes:
        raise UsageError(f"{path}: holds no scenes; the first line is scene,start,end")
    return scenes


def _to_csv(scenes: list[Scene], rate: Fraction) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["scene", "start", "end", "timecode"])
    for scene in scenes:
        writer.writerow([scene.number, scene.start, scene.end, timecode(scene.start, rate)])
    return out.getvalue()


def _from_timeline(path: Path, text: str, rate: Fraction) -> list[Scene]:
    try:
        if path.suffix == ".edl":
            read: Any = otio.adapters.read_from_string(text, "cmx_3600", rate=_edl_rate(rate))
        else:
            read = otio.adapters.read_from_string(text, "otio_json")
        clips = list(read.find_clips())
        track = next(iter(read.video_tracks()))
    except Exception as error:  # adapters raise what they like on a file from outside
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: can't be read as a timeline ({reason})") from None
    scenes: list[Scene] = []
    for clip in clips:
        if clip.parent() is not track:
            continue
        spot = clip.range_in_parent()
        start = round(spot.start_time.rescaled_to(_edl_rate(rate)).value)
        length = round(spot.duration.rescaled_to(_edl_rate(rate)).value)
        scenes.append(Scene(len(scenes) + 1, start, start + length))
    if not scenes:
        raise UsageError(f"{path}: holds no clips")
    return scenes


def _to_timeline(scenes: list[Scene], film: Path, rate: Fraction) -> Any:
    per_second = _edl_rate(rate)
    timeline = otio.schema.Timeline(name=film.stem)
    track = otio.schema.Track(name="V", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    reel = re.sub(r"[^A-Za-z0-9]", "", film.stem)[:8] or "AX"  # all that a CMX reel name may hold
    for scene in scenes:
        media = otio.schema.ExternalReference(target_url=film.name)
        track.append(
            otio.schema.Clip(
                name=f"scene {scene.number}",
                media_reference=media,
                metadata={"cmx_3600": {"reel": reel}},
                source_range=otio.opentime.TimeRange(
                    otio.opentime.RationalTime(scene.start, per_second),
                    otio.opentime.RationalTime(scene.end - scene.start, per_second),
                ),
            )
        )
    return timeline


def _edl_rate(rate: Fraction) -> float:
    """Timecode counts whole frames: 24000/1001 runs at 24 a second, non-drop."""
    return float(max(1, round(rate)))
