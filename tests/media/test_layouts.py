"""Whatever streams a film has, in whatever order and container: all come back, or it is refused."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.prepare import Order
from flows.restore import restore_film
from flows.roundtrip import round_trip
from media.check import compare
from media.probe import probe
from restar.errors import MediaError
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.films import run_ffmpeg

VIDEO = {
    ".mkv": ["libx264", "ffv1", "mpeg4"],
    ".mov": ["prores_ks", "libx264", "mjpeg"],
    ".mp4": ["libx264", "mpeg4"],
    ".ts": ["libx264", "mpeg2video"],
    ".avi": ["mpeg4", "huffyuv", "rawvideo"],
}
SOUND = {
    ".mkv": ["aac", "flac", "pcm_s24le", "libmp3lame", "libopus", "ac3"],
    ".mov": ["aac", "pcm_s16be", "pcm_s24le", "alac", "pcm_s8"],
    ".mp4": ["aac", "ac3", "libmp3lame"],
    ".ts": ["aac", "mp2", "ac3"],
    ".avi": ["pcm_s16le", "libmp3lame", "ac3"],
}
TEXT = {".mkv": "srt", ".mov": "mov_text", ".mp4": "mov_text"}
LANGUAGES = ["und", "ger", "jpn", "fra"]
FLAGS = ["0", "default", "forced", "comment", "hearing_impaired"]
SRT = "1\n00:00:00,050 --> 00:00:00,150\nслово {n}\n"


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    """A container, its pictures, and up to four more streams of several kinds."""
    suffix = draw(st.sampled_from(sorted(VIDEO)))
    sounds = draw(st.lists(st.tuples(
        st.sampled_from(SOUND[suffix]), st.sampled_from((1, 2)), st.sampled_from((0.1, 0.3, 0.4)),
        st.sampled_from(LANGUAGES), st.sampled_from(FLAGS),
    ), max_size=3))  # fmt: skip
    return {
        "suffix": suffix,
        "video": draw(st.sampled_from(VIDEO[suffix])),
        "size": draw(st.sampled_from(("64x48", "48x64", "128x32"))),
        "rate": draw(st.sampled_from(("25", "24000/1001", "30000/1001", "50"))),
        "offset": draw(st.sampled_from(("0",) if suffix == ".avi" else ("0", "0.1", "3600"))),
        "sounds": sounds,
        "texts": draw(st.integers(0, 2)) if suffix in TEXT else 0,
        "title": draw(st.sampled_from(("", "Ein = Titel; #1", "'quoted' \\ 東"))),
    }


def make(layout: dict[str, Any], folder: Path) -> Path:
    inputs = ["-f", "lavfi", "-i", f"testsrc2=s={layout['size']}:r={layout['rate']}:d=0.32"]
    maps, options = ["-map", "0"], list[str]()
    for number, (codec, channels, seconds, language, flag) in enumerate(layout["sounds"]):
        inputs += ["-f", "lavfi", "-i", f"sine=f={220 + 100 * number}:r=48000:d={seconds}"]
        maps += ["-map", str(number + 1)]
        options += [f"-c:a:{number}", codec, f"-ac:a:{number}", str(channels)]
        options += [
            f"-metadata:s:a:{number}",
            f"language={language}",
            f"-disposition:a:{number}",
            flag,
        ]
    for number in range(layout["texts"]):
        text = folder / f"{number}.srt"
        text.write_text(SRT.format(n=number), encoding="utf-8")
        inputs += ["-i", str(text)]
        maps += ["-map", str(1 + len(layout["sounds"]) + number)]
    if layout["texts"]:
        options += ["-c:s", TEXT[layout["suffix"]]]
    plain = {"libx264": ["-preset", "ultrafast", "-pix_fmt", "yuv420p"]}
    path = folder / f"film{layout['suffix']}"
    run_ffmpeg([*inputs, *maps, "-c:v", layout["video"], *plain.get(layout["video"], []), *options,
                "-metadata", f"title={layout['title']}", "-output_ts_offset", layout["offset"],
                str(path)])  # fmt: skip
    return path


@settings(
    max_examples=12, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(layouts())
def test_any_layout_comes_back(layout: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        checks = round_trip(make(layout, Path(name)))
        wrong = [check for check in checks if not check.equal]
        assert wrong == [], layout


@settings(
    max_examples=5, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(layouts(), st.integers(0, 20))
def test_any_layout_that_lost_a_stream_is_seen(layout: dict[str, Any], which: int) -> None:
    """The same films, with one stream or file taken out of their masters."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = make(layout, folder)
        deliver = load_recipe("identity").deliver.model_copy(update={"access": "none"})
        recipe = load_recipe("identity").model_copy(update={"deliver": deliver})
        with open_house(Settings(home=folder / "home", database="", store=None)) as house:
            master = restore_film(house, film, Order(recipe, folder / "out"))
        others = [stream.index for stream in probe(master).others()]
        bad, lost = folder / "bad.mkv", others[which % len(others)]
        kept = ["-map", "0", "-map", f"-0:{lost}", "-c", "copy"]
        run_ffmpeg(["-copyts", "-i", str(master), *kept, str(bad)])
        assert [check for check in compare(film, bad) if not check.equal], (layout, lost)


def test_what_has_no_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mka"
    run_ffmpeg(["-f", "lavfi", "-i", "sine=d=0.1", str(path)])
    try:
        round_trip(path)
    except MediaError as error:
        assert "no moving pictures" in str(error)
    else:
        raise AssertionError("a film without pictures was taken")
