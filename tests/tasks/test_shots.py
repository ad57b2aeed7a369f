"""Shot lists: cuts found on our own frames, edits that hold every frame, files that read back."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.frames import decode_all
from media.probe import probe
from restar.errors import UsageError
from restar.film import Scene
from tasks.shotfiles import FORMATS, read_shots, write_shots
from tasks.shots import ShotSettings, detect_scenes, merged, split_at

RATE = Fraction(24_000, 1001)
SCENES = [Scene(1, 0, 20), Scene(2, 20, 44), Scene(3, 44, 66), Scene(4, 66, 84)]


def test_cuts_are_exact_frames(scenes: Path) -> None:
    info = probe(scenes)
    found = detect_scenes(decode_all(scenes, info), info.format, Fraction(24), ShotSettings())
    assert found == SCENES


def test_a_film_of_one_frame_is_a_scene(film) -> None:  # type: ignore[no-untyped-def]
    path = film("one_frame")
    info = probe(path)
    found = detect_scenes(decode_all(path, info), info.format, Fraction(25), ShotSettings())
    assert found == [Scene(1, 0, 1)]


def test_a_scene_has_a_least_length(scenes: Path) -> None:
    info = probe(scenes)
    settings = ShotSettings(min_scene_seconds=1.5)
    found = detect_scenes(decode_all(scenes, info), info.format, Fraction(24), settings)
    assert all(scene.end - scene.start >= 36 for scene in found[:-1])
    assert (found[0].start, found[-1].end) == (0, 84)


@given(st.sets(st.integers(1, 499), max_size=12), st.data())
def test_edits_hold_every_frame_once(starts: set[int], data: st.DataObject) -> None:
    bounds = [0, *sorted(starts), 500]
    whole = [Scene(n, a, b) for n, (a, b) in enumerate(pairwise(bounds), 1)]
    frame = data.draw(st.integers(1, 499).filter(lambda f: f not in starts))
    split = split_at(whole, str(frame))
    assert [s.start for s in split] == sorted({0, frame, *starts})
    assert split[-1].end == 500
    number = next(s.number for s in split if s.start == frame)
    assert merged(split, f"{number - 1}-{number}") == whole


@pytest.mark.parametrize("numbers", ["2", "1,3", "4-5", "9-10"])
def test_a_merge_that_makes_no_sense_is_refused(numbers: str) -> None:
    with pytest.raises(UsageError):
        merged(SCENES, numbers)


@pytest.mark.parametrize("frames", ["84", "20", "1000"])
def test_a_split_that_makes_no_sense_is_refused(frames: str) -> None:
    with pytest.raises(UsageError):
        split_at(SCENES, frames)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("rate", [Fraction(24), RATE, Fraction(25), Fraction(30_000, 1001)])
def test_a_file_reads_back_as_written(kind: str, rate: Fraction, tmp_path: Path) -> None:
    path = tmp_path / f"shots{kind}"
    write_shots(path, SCENES, Path('a film "of" mine.mkv'), rate)
    assert read_shots(path, rate) == SCENES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("a.csv", "start,end\n"),
        ("a.csv", "from,to\n0,5\n"),
        ("a.csv", "start,end\n0,five\n"),
        ("a.edl", "this is no EDL\n"),
        ("a.otio", "{}"),
        ("a.otio", "not json"),
        ("a.otio", '{"OTIO_SCHEMA": "Timeline.1", "tracks": 3}'),
        ("a.txt", "0,5"),
    ],
)
def test_a_wrong_file_is_one_clear_line(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_shots(path, RATE)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_or_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"):
        write_shots(tmp_path / "no" / "such" / "shots.csv", SCENES, Path("x.mkv"), RATE)
    with pytest.raises(UsageError, match="No such file"):
        read_shots(tmp_path / "gone.csv", RATE)
