"""Exports are read back by OpenTimelineIO: every frame in its place, at the source's timecode."""

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from catalog.models import RestorationRow
from catalog.restorations import restorations_of
from flows.prepare import Order
from flows.restore import restore_film
from media.frames import decode_all, frame_md5
from media.probe import probe
from restar.errors import UsageError
from restar.hashing import sha256_of_file
from restar.recipe import Recipe
from restar.settings import Settings
from restar.timeline import drop_timecode, parse_timecode
from tasks.export import FORMATS, export_film
from tasks.house import House, OpenFilm, open_film, open_house
from tests.films import run_ffmpeg

NTSC = Fraction(30000, 1001)
RECIPE = Recipe.model_validate(
    {
        "name": "quick",
        "restore": {"steps": [{"use": "identity"}]},
        "score": {"scorers": []},
        "deliver": {"access": "none", "report": False},
    }
)


def ntsc_film(path: Path) -> Path:
    """Two scenes of one second and a half at 29.97, drop-frame timecode across a minute."""
    size = "s=64x48:r=30000/1001:d=1.5"
    run_ffmpeg(
        [
            *["-f", "lavfi", "-i", f"testsrc2={size}", "-f", "lavfi", "-i", f"color=white:{size}"],
            *["-filter_complex", "[0:v][1:v]concat", "-c:v", "mpeg4", "-q:v", "3"],
            *["-timecode", "01:00:58;20", str(path)],
        ]
    )
    return path


def restored(house: House, film: Path, folder: Path) -> tuple[OpenFilm, RestorationRow, Path]:
    master = restore_film(house, film, Order(RECIPE, folder / "out"))
    with house.catalog.read() as session:
        from catalog.films import find_film

        row = find_film(session, str(film))
        (restoration,) = restorations_of(session, row.id)
    return open_film(house, row.id), restoration, master


def test_all_three_are_read_back(settings: Settings, tmp_path: Path) -> None:
    source = ntsc_film(tmp_path / "a b.mov")
    with open_house(settings) as house:
        film, restoration, master = restored(house, source, tmp_path)
        made = {k: export_film(house, film, restoration, k, None) for k in FORMATS}
        again = export_film(house, film, restoration, "takes", made["takes"])
    assert again == made["takes"]
    assert [path.name for path in made.values()] == [
        "a b.quick.otio", "a b.quick.edl", "a b.quick.takes",
    ]  # fmt: skip
    total = film.index.count
    first = parse_timecode("01:00:58;20", NTSC)

    timeline: Any = otio.adapters.read_from_file(str(made["otio"]))
    assert timeline.global_start_time.value == first
    assert timeline.global_start_time.rate == pytest.approx(float(NTSC), abs=1e-9)
    clips = list(timeline.find_clips())
    assert [c.name for c in clips] == [f"scene {n + 1}" for n in range(len(clips))]
    assert len(clips) == 2
    assert sum(c.duration().value for c in clips) == total
    references = clips[0].media_references()
    assert references["master"].target_url == master.as_uri()
    assert references["source"].available_range.start_time.value == first
    at = 0
    for clip in clips:
        assert clip.metadata["restar"]["source_frames"][0] == at
        at += int(clip.duration().value)

    text = made["edl"].read_text()
    assert "FCM: DROP FRAME" in text
    assert "01:00:58;20" in text
    events = [line.split() for line in text.splitlines() if line[:3].isdigit()]
    assert [e[4] for e in events][1:] == [e[5] for e in events][:-1], "scenes meet"
    assert parse_timecode(events[-1][7], NTSC) - first == total
    read: Any = otio.adapters.read_from_file(str(made["edl"]), rate=float(NTSC))
    assert len(list(read.find_clips())) == len(clips)

    folder = made["takes"]
    with (folder / "takes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(sha256_of_file(folder / row["file"]) == row["sha256"] for row in rows)
    frames = [frame_md5(f) for row in rows
              for f in decode_all(folder / row["file"], probe(folder / row["file"]))]  # fmt: skip
    assert frames == [frame_md5(f) for f in decode_all(source, probe(source))]
    beside: Any = otio.adapters.read_from_file(str(folder / "timeline.otio"))
    assert [c.media_reference.target_url for c in beside.find_clips()] == [r["file"] for r in rows]


@pytest.mark.parametrize("rate", [NTSC, 2 * NTSC])
def test_drop_frame_timecode_goes_both_ways_and_keeps_the_clock(rate: Fraction) -> None:
    base = round(rate)
    seen = set()
    for frame in [
        *range(0, 20 * 60 * base, 7),
        *range(59 * base, 61 * base),
        24 * 3600 * base // 2,
    ]:
        code = drop_timecode(frame, rate)
        assert parse_timecode(code, rate) == frame
        seen.add(code)
    assert drop_timecode(1800 * base // 30, rate)[:8] == "00:01:00"
    assert drop_timecode(17982 * base // 30, rate) == "00:10:00;00"
    assert drop_timecode(107892 * base // 30, rate) == "01:00:00;00"
    assert not any(code.endswith("01:00;00") for code in seen)


@pytest.mark.parametrize("text", ["", "1:2:3:4", "00:00:00:30", "24:00:00:00", "00:01:00;00", "x"])
def test_what_is_no_timecode(text: str) -> None:
    with pytest.raises(UsageError):
        parse_timecode(text, NTSC)
