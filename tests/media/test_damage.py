"""Damage is never passed in silence: refused with how far it got, or restored with its gaps recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.events import events_of
from flows.prepare import Order
from flows.restore import restore_film
from flows.roundtrip import round_trip
from media.check import compare
from media.probe import probe
from restar.errors import DamagedMediaError, MediaError
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.films import run_ffmpeg

LENGTH = 12


def film(folder: Path, suffix: str, arguments: list[str]) -> Path:
    path = folder / f"film{suffix}"
    picture = ["-f", "lavfi", "-i", f"testsrc2=s=96x64:r=25,trim=end_frame={LENGTH}"]
    run_ffmpeg([*picture, *arguments, str(path)])
    return path


H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "4"]


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3 | 1])


def hurt(path: Path) -> None:
    """Turn bits over in the middle of the pictures."""
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 60):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))


DAMAGED: dict[str, tuple[str, list[str], Callable[[Path], None]]] = {
    "cut mkv": (".mkv", H264, cut),
    "cut mp4": (".mp4", [*H264, "-movflags", "frag_keyframe+empty_moov"], cut),
    "cut ts": (".ts", H264, cut),
    "hurt ffv1": (".mkv", ["-c:v", "ffv1", "-level", "3", "-slicecrc", "1"], hurt),
    "hurt h264": (".mp4", H264, hurt),
    "hurt mpeg2": (".ts", ["-c:v", "mpeg2video", "-q:v", "2"], hurt),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_refused_or_restored_and_told(tmp_path: Path, name: str) -> None:
    suffix, arguments, damage = DAMAGED[name]
    path = film(tmp_path, suffix, arguments)
    assert all(check.equal for check in round_trip(path))
    damage(path)
    with pytest.raises(DamagedMediaError, match=r"after \d+ frames.*--allow-damaged"):
        round_trip(path)
    checks = round_trip(path, allow_damaged=True)
    assert [check for check in checks if not check.equal] == []
    told = next(check for check in checks if check.name == "damage")
    assert "gaps" in told.source
    assert int(next(c.source for c in checks if c.name == "frames")) <= LENGTH


def test_gaps_are_an_event_and_stay_refused_without_leave(
    tmp_path: Path, settings: Settings
) -> None:
    path = film(tmp_path, ".mkv", H264)
    cut(path)
    order = Order(load_recipe("identity"), tmp_path / "out", allow_damaged=True)
    with open_house(settings) as house:
        master = restore_film(house, path, order)
        with house.catalog.read() as session:
            film_id = probe(master).metadata["RESTAR_FILM"]
            events: list[dict[str, Any]] = events_of(session, film_id)
        (warning,) = [event for event in events if event["type"] == "validation"]
        assert warning["outcome"] == "warning"
        assert "ends early" in warning["detail"]["gaps"][0]["what"]
        assert warning["detail"]["gaps"][0]["frame"] < LENGTH
        with pytest.raises(DamagedMediaError):
            restore_film(house, path, Order(load_recipe("identity"), tmp_path / "again"))
        with pytest.raises(DamagedMediaError):
            compare(path, master)


def test_a_picture_that_changes_its_size_is_refused(tmp_path: Path) -> None:
    parts = []
    for number, size in enumerate(("96x64", "64x48")):
        part = tmp_path / f"{number}.ts"
        picture = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.3"]
        run_ffmpeg([*picture, *H264, "-output_ts_offset", str(number), str(part)])
        parts.append(part.read_bytes())
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(MediaError, match="change from 96x64 yuv420p to 64x48 yuv420p at frame"):
        round_trip(path)


def test_times_that_do_not_rise_are_refused(tmp_path: Path) -> None:
    """Matroska's millisecond makes two frames one where a film was timed more finely."""
    path = tmp_path / "film.mkv"
    bunched = ["-vf", "setpts=N*0.04/TB-eq(N\\,5)*0.0397/TB", "-fps_mode", "passthrough"]
    run_ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=96x64:r=1000:d=0.01", *bunched, *H264, str(path)])
    with pytest.raises(MediaError, match=r"film.mkv: frame 5 has PTS \d+, not after the \d+"):
        round_trip(path)


def test_pixels_that_change_their_shape_are_refused(tmp_path: Path) -> None:
    """A broadcast that goes from 4:3 to 16:9 does so in its sequence headers, and nowhere else."""
    parts = []
    for number, aspect in enumerate(("4:3", "16:9")):
        part = tmp_path / f"{number}.m2v"
        picture = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.4"]
        run_ffmpeg([*picture, "-c:v", "mpeg2video", "-aspect", aspect, str(part)])
        parts.append(part.read_bytes())
    path = tmp_path / "film.m2v"
    path.write_bytes(b"".join(parts))
    with pytest.raises(MediaError, match=r"change their shape from 8/9 to 32/27 near frame \d+"):
        round_trip(path)


def test_a_stream_that_begins_too_late_is_refused(tmp_path: Path) -> None:
    """MPEG-TS has no list of its streams in front; sound that starts after the probe would be lost."""
    picture = ["-f", "lavfi", "-i", "nullsrc=s=704x576:r=25:d=9,geq=random(1)*255:128:128"]
    coded = ["-c:v", "mpeg2video", "-q:v", "1"]
    silent, spoken = tmp_path / "silent.ts", tmp_path / "spoken.ts"
    run_ffmpeg([*picture, *coded, str(silent)])
    tone = ["-f", "lavfi", "-i", "nullsrc=s=704x576:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1"]
    run_ffmpeg([*tone, *coded, "-c:a", "mp2", "-output_ts_offset", "9.4", str(spoken)])
    path = tmp_path / "film.ts"
    after = tmp_path / "after.ts"
    run_ffmpeg(["-i", str(silent), "-c", "copy", "-output_ts_offset", "11", str(after)])
    path.write_bytes(silent.read_bytes() + spoken.read_bytes() + after.read_bytes())
    assert len(probe(path).streams) == 1
    with pytest.raises(MediaError, match=r"stream.* begins too late"):
        round_trip(path)
