"""The gate fails on each property that is broken in a good master."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.prepare import Order
from flows.restore import restore_film
from media.attach import sidecar_of
from media.check import compare
from media.probe import probe
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.films import run_ffmpeg
from tests.kinds import make_kind

Master = Callable[..., tuple[Path, Path]]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Master:
    """Return a kind's film and its identity master, made once; treat both as read-only."""
    folder = tmp_path_factory.mktemp("masters")
    settings = Settings(home=folder / "home", agent="tester", database="", store=None)
    made: dict[tuple[str, str], tuple[Path, Path]] = {}

    def get(name: str, container: str = "matroska") -> tuple[Path, Path]:
        if (name, container) not in made:
            film = make_kind(folder, name)
            recipe = load_recipe("identity")
            deliver = recipe.deliver.model_copy(update={"container": container, "access": "none"})
            recipe = recipe.model_copy(update={"deliver": deliver})
            with open_house(settings) as house:
                made[name, container] = (film, restore_film(house, film, Order(recipe, folder)))
        return made[name, container]

    return get


def wrong(film: Path, master: Path) -> set[str]:
    return {check.name for check in compare(film, master) if not check.equal}


COPY = ["-map", "0", "-c", "copy"]
# what is broken -> (film, how ffmpeg breaks its master, a check that has to fail)
BROKEN = {
    "a pixel": ("sar.mp4", [*COPY, "-c:v", "ffv1", "-vf", "drawbox=w=1:h=1"], "pixels"),
    "a frame less": ("sar.mp4", [*COPY, "-frames:v", "9"], "frames"),
    "a late frame": ("sar.mp4", [*COPY, "-bsf:v", "setts=ts=TS+if(eq(N\\,7)\\,9\\,0)"], "PTS"),
    "a time 2 ms off": ("sar.mp4", [*COPY, "-bsf:v", "setts=ts=TS+if(eq(N\\,7)\\,2\\,0)"], "PTS"),
    "shape": ("sar.mp4", [*COPY, "-aspect", "2:1"], "SAR"),
    "field order": ("tff.mov", [*COPY, "-field_order", "bb"], "fields"),
    "fields of a frame": ("tff.mov", [*COPY, "-c:v", "ffv1", "-flags:v", "+ilme", "-vf",
                          "setfield=bff"], "fields of frames"),
    "matrix": ("colours.mkv", [*COPY, "-colorspace", "bt709"], "colour matrix"),
    "range": ("colours.mkv", [*COPY, "-color_range", "tv"], "colour range"),
    "primaries": ("colours.mkv", [*COPY, "-color_primaries", "bt709"], "colour primaries"),
    "transfer": ("colours.mkv", [*COPY, "-color_trc", "bt709"], "colour transfer"),
    "an invented matrix": ("sar.mp4", [*COPY, "-colorspace", "bt709"], "colour matrix"),
    "bit depth": ("gray10.mkv", ["-map", "0", "-c", "copy", "-c:v", "ffv1", "-pix_fmt", "gray"],
                  "pixel format"),
    "mastering display": ("hdr10.mp4", ["-map", "0", "-c", "copy", "-c:v", "ffv1", "-vf",
                          "sidedata=delete:MASTERING_DISPLAY_METADATA"], "mastering display"),
    "light level": ("hdr10.mp4", ["-map", "0", "-c", "copy", "-c:v", "ffv1", "-vf",
                    "sidedata=delete:CONTENT_LIGHT_LEVEL"], "light level"),
    "timecode": ("timecode track.mov", [*COPY, "-metadata:s:0", "timecode=02:00:00:00"],
                 "tag video 0 timecode"),
    "chapter's title": ("chapters.mkv", [*COPY, "-map_chapters", "-1"], "chapters"),
    "title": ("chapters.mkv", [*COPY, "-metadata", "title=other"], "tag title"),
    "language": ("many sounds.mkv", [*COPY, "-metadata:s:3", "language=ger"], "language audio 3"),
    "disposition": ("many sounds.mkv", [*COPY, "-disposition:2", "0"], "disposition audio 2"),
    "a sound's title": ("many sounds.mkv", [*COPY, "-metadata:s:2", "title=x"], "tag audio 2 title"),
    "a sound": ("many sounds.mkv", ["-map", "0", "-map", "-0:a:1", "-c", "copy"], "audio 2 (flac)"),
    "a sound's samples": ("timecode track.mov", ["-map", "0", "-c", "copy", "-c:a", "pcm_s16le", "-af",
                          "volume=0.5"], "audio 1 (pcm_s16le) decoded"),
    "a sound's depth": ("many sounds.mkv", ["-map", "0", "-c", "copy", "-c:a:0", "pcm_s16le"],
                        "audio 1 (pcm_s24le)"),
    "a sound's codec": ("adts.ts", ["-map", "0", "-c", "copy", "-c:a", "flac"], "audio 1 (aac) decoded"),
    "a sound's time": ("timecode track.mov", [*COPY, "-bsf:a", "setts=ts=TS+3"], "audio 1 (pcm_s16le)"),
    "converted sound": ("pcm_dvd.vob", ["-map", "0", "-c", "copy", "-c:a", "pcm_s16le", "-af",
                        "volume=0.9"], "audio 1 (pcm_dvd) decoded"),
    "subtitles": ("subrip.mkv", ["-map", "0", "-map", "-0:s", "-c", "copy"], "subtitle 1 (srt)"),
    "converted subtitles": ("mov_text.mp4", ["-map", "0", "-map", "-0:s", "-c", "copy"],
                            "subtitle 2 (mov_text)"),
    "another picture": ("two pictures.mkv", ["-map", "0", "-map", "-0:1", "-c", "copy"],
                        "video 1 (h264)"),
    "attachments": ("ass and font.mkv", ["-map", "0", "-map", "-0:t:0", "-c", "copy"],
                    "file helper.srt"),
    "times as they are": ("sar.mp4", ["-map", "0", "-map", "-0:t", "-c", "copy"],
                          "file restar-timeline.json"),
    "size": ("sar.mp4", [*COPY, "-c:v", "ffv1", "-vf", "crop=w=in_w-2"], "size"),
    "rotation of pixels": ("sar.mp4", [*COPY, "-c:v", "ffv1", "-vf", "hflip"], "pixels"),
    "two frames changed over": ("sar.mp4", [*COPY, "-c:v", "ffv1", "-vf",
                                "shuffleframes=1 0"], "pixels"),
    "a sound's rate": ("timecode track.mov", [*COPY, "-c:a", "pcm_s16le", "-ar", "44100"],
                       "audio 1 (pcm_s16le) form"),
    "a sound's channels": ("timecode track.mov", [*COPY, "-c:a", "pcm_s16le", "-ac", "2"],
                           "audio 1 (pcm_s16le) form"),
    "the names of channels": ("many sounds.mkv", [*COPY, "-metadata:s:2", "CHANNEL_LAYOUT=6.0"],
                              "audio 2 (flac) form"),
    "a stream too many": ("timecode track.mov", [*COPY, "-map", "0:a"], "other streams"),
    "a file too many": ("sar.mp4", [*COPY, "-attach", "{film}", "-metadata:s:t", "mimetype=a/b"],
                        "files"),
    "times of subtitles": ("mov_text.mp4", [*COPY, "-bsf:s", "setts=ts=TS+40"],
                           "subtitle 2 (mov_text) text"),
    "when it was made": ("made at.mp4", [*COPY, "-metadata", "DATE_ENCODED=2000"],
                         "tag creation_time"),
    "captions for tools": ("captions.m2v", ["-map", "0", "-map", "-0:t:2", "-c", "copy"],
                           "file restar-captions.mcc"),
    "a cover": ("cover.mp4", ["-map", "0:V", "-map", "0:a", "-map", "0:t", "-c", "copy"],
                "file cover-2.png"),
    "a timecode track": ("timecode track.mov", ["-map", "0", "-map", "-0:t:0", "-c", "copy"],
                         "file restar-stream-2-data.jsonl"),
    "an attached stream": ("klv.ts", ["-map", "0", "-map", "-0:t:0", "-c", "copy"],
                           "file restar-stream-1-data.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_master_is_seen(master: Master, what: str, tmp_path: Path) -> None:
    name, how, failing = BROKEN[what]
    film, good = master(name)
    bad = tmp_path / "bad.mkv"
    how = [part.replace("{film}", str(film)) for part in how]
    run_ffmpeg(["-copyts", "-i", f"file:{good}", "-map_metadata", "0", *how, str(bad)])
    assert failing in wrong(film, bad)


def test_a_good_master_is_not_called_broken(master: Master, tmp_path: Path) -> None:
    """The breaking itself, a remux by ffmpeg, breaks nothing."""
    film, good = master("many sounds.mkv")
    copy = tmp_path / "copy.mkv"
    run_ffmpeg(["-copyts", "-i", f"file:{good}", "-map_metadata", "0", *COPY, str(copy)])
    assert wrong(film, copy) == set()


@pytest.mark.parametrize(("name", "turned"), [("rotated.mp4", "0"), ("mirrored.mov", "90")])
def test_a_lost_rotation_is_seen(master: Master, name: str, turned: str, tmp_path: Path) -> None:
    film, good = master(name)
    bad = tmp_path / "bad.mkv"
    run_ffmpeg(["-display_rotation", turned, "-i", f"file:{good}", *COPY, str(bad)])
    assert "rotation" in wrong(film, bad)


def test_captions_that_were_altered_are_seen(master: Master, tmp_path: Path) -> None:
    film, good = master("captions.m2v")
    data = good.read_bytes()
    at = data.index(b'"mark": "A53_CC", "hex": "fc')
    bad = tmp_path / "bad.mkv"
    bad.write_bytes(data[: at + 27] + b"1" + data[at + 28 :])
    assert "file restar-marks.jsonl" in wrong(film, bad)


def test_captions_are_in_the_master(master: Master) -> None:
    film, good = master("captions.m2v")
    assert good.read_bytes().count(b'"mark": "A53_CC", "hex": "fc') == 12
    assert [c for c in compare(film, good) if not c.equal] == []


def test_a_mov_without_its_sidecar_is_seen(master: Master, tmp_path: Path) -> None:
    film, good = master("timecode track.mov", "mov")
    assert wrong(film, good) == set()
    alone = tmp_path / "alone.mov"
    shutil.copy(good, alone)
    assert "file restar-timeline.json" in wrong(film, alone)


def test_mov_keeps_times_that_matroska_can_not(master: Master, tmp_path: Path) -> None:
    source = tmp_path / "fast.nut"
    run_ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=32x32:r=3000:d=0.01", "-c:v", "ffv1", str(source)])
    recipe = load_recipe("identity")
    deliver = recipe.deliver.model_copy(update={"container": "mov", "access": "none"})
    order = Order(recipe.model_copy(update={"deliver": deliver}), tmp_path / "out")
    with open_house(Settings(home=tmp_path / "home", database="", store=None)) as house:
        made = restore_film(house, source, order)
    assert made.suffix == ".mov"
    assert sidecar_of(made).is_file()
    assert probe(made).video.time_base == probe(source).video.time_base
    assert wrong(source, made) == set()


def test_turned_and_mirrored_films_keep_their_tags(master: Master) -> None:
    told = {c.name: c.master for c in compare(*master("rotated.mp4"))}
    assert told["rotation"] == "90 degrees"
    told = {c.name: c.master for c in compare(*master("mirrored.mov"))}
    assert told["rotation"] == "180 degrees, mirrored"
