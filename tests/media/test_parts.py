"""Films that are more than a file: reels in order, images with sound; what is no such film is refused."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from catalog.events import events_of
from flows.prepare import Order
from flows.restore import restore_film
from flows.roundtrip import round_trip
from media.ffmpeg import ffmpeg_program
from media.frames import decode_all
from media.parts import film_files, probe_film
from media.probe import probe
from restar.errors import MediaError, UsageError
from restar.recipe import Recipe, load_recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.films import run_ffmpeg


def images(folder: Path, name: str, pix_fmt: str, count: int = 6) -> Path:
    folder.mkdir()
    pattern = ["-f", "lavfi", "-i", f"testsrc2=s=48x32:r=24,trim=end_frame={count}"]
    run_ffmpeg([*pattern, "-pix_fmt", pix_fmt, "-start_number", "86400", str(folder / name)])
    return folder


def sound(path: Path, seconds: str = "0.25") -> None:
    tone = ["-f", "lavfi", "-i", f"sine=r=48000:d={seconds}"]
    run_ffmpeg([*tone, "-c:a", "pcm_s24le", "-metadata", "title=Ton ü", str(path)])


@pytest.mark.parametrize(
    ("name", "pix_fmt"),
    [("scan_%06d.dpx", "gbrp10be"), ("f-%05d.tif", "rgb48le"), ("p %05d.png", "rgb24")],
)
def test_images_with_sound_come_back(tmp_path: Path, name: str, pix_fmt: str) -> None:
    folder = images(tmp_path / "scan", name, pix_fmt)
    sound(tmp_path / "mix.wav")
    manifest = tmp_path / "film.toml"
    manifest.write_text('images = "scan"\nrate = "24000/1001"\nsound = ["mix.wav"]\n')
    checks = round_trip(manifest)
    assert [c for c in checks if not c.equal] == []
    told = {c.name: c.source for c in checks}
    assert told["frames"] == "6"
    assert told["PTS"] == "0.000 to 0.209 s"
    assert told["tag audio 1 title"] == "Ton ü"
    assert len(film_files(manifest).pictures) == len(list(folder.iterdir()))


@pytest.mark.parametrize("codec", ["prores_ks", "libx264"])
def test_reels_come_back_as_one_film(tmp_path: Path, codec: str) -> None:
    coded = ["-c:a", "aac"] if codec == "libx264" else ["-c:a", "pcm_s16le"]
    names = ["reel '1'.mov", "reel 2 ü.mov", "reel 3.mov"]
    for number, name in enumerate(names, start=1):
        source = ["-f", "lavfi", "-i", f"testsrc2=s=48x32:r=25:d=0.{number + 2},hue=h={number * 60}",
                  "-f", "lavfi", "-i", f"sine=f={number * 200}:r=48000:d=0.41"]  # fmt: skip
        pix_fmt = ["-pix_fmt", "yuv420p"] if codec == "libx264" else []
        tags = ["-metadata", "title=Rolle", "-metadata:s:a", "language=fra"]
        run_ffmpeg([*source, "-c:v", codec, *pix_fmt, *coded, *tags, str(tmp_path / name)])
    manifest = tmp_path / "film.toml"
    manifest.write_text(f"reels = {names!r}\n[identifiers]\ntitle = 'Der Film'\n".replace('"', '"'))
    checks = round_trip(manifest)
    assert [c for c in checks if not c.equal] == []
    assert {c.name: c.source for c in checks}["frames"] == str(8 + 10 + 13)
    assert film_files(manifest).identifiers.title == "Der Film"
    starts = [reel.start for reel in probe_film(manifest).reels]
    assert starts == sorted(starts)
    assert starts[1] >= 0.41  # no reel begins before the sound of the one before it has ended


def refused(path: Path, words: str, error: type[Exception] = MediaError) -> None:
    with pytest.raises(error, match=words) as caught:
        probe_film(path)
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    folder = images(tmp_path / "scan", "a%06d.png", "rgb24")
    (folder / "a086403.png").unlink()
    refused(folder, "image 86403 is missing")


def test_images_without_a_rate(tmp_path: Path) -> None:
    refused(images(tmp_path / "scan", "a%06d.png", "rgb24"), "rate = ")


def test_images_of_two_kinds(tmp_path: Path) -> None:
    folder = images(tmp_path / "scan", "a%06d.png", "rgb24")
    shutil.copy(folder / "a086400.png", folder / "b000001.png")
    refused(folder, "several kinds")


@pytest.mark.parametrize("pix_fmt", ["gbrpf32le", "gbrapf32le", "grayf32le"])
def test_openexr_is_refused(tmp_path: Path, pix_fmt: str) -> None:
    images(tmp_path / "scan", "%06d.exr", pix_fmt)
    manifest = tmp_path / "film.toml"
    manifest.write_text('images = "scan"\nrate = "24"\n')
    refused(manifest, "floating point.*not lossless")
    with pytest.raises(MediaError, match="floating point"):
        round_trip(manifest)


def exr(folder: Path, values: list[float]) -> Path:
    """A film of one row of gray light: an image for each value, and half of each picture dark."""
    folder.mkdir()
    for number, value in enumerate(values):
        light = np.array([[value, 0.0]] * 2, "<f4").tobytes()
        raw = ["-f", "rawvideo", "-pix_fmt", "grayf32le", "-s", "2x2", "-i", "-"]
        subprocess.run(
            [ffmpeg_program(), "-v", "error", *raw, "-frames:v", "1", str(folder / f"{number:03}.exr")],
            input=light, check=True,
        )  # fmt: skip
    manifest = folder.with_suffix(".toml")
    manifest.write_text(f'images = "{folder.name}"\nrate = "24"\n')
    return manifest


def asking(pixel_format: str) -> Recipe:
    recipe = load_recipe("identity")
    restore = recipe.restore.model_copy(update={"pixel_format": pixel_format})
    deliver = recipe.deliver.model_copy(update={"access": "none", "report": False})
    return recipe.model_copy(update={"restore": restore, "deliver": deliver})


def test_openexr_is_rounded_where_the_recipe_asks_and_that_is_told(
    tmp_path: Path, settings: Settings
) -> None:
    film = exr(tmp_path / "scan", [0.5, 1.0, 1.5, -0.25, 1 / 65535])
    with open_house(settings) as house:
        master = restore_film(house, film, Order(asking("gray16le"), tmp_path / "out"))
        with house.catalog.read() as session:
            film_id = probe(master).metadata["RESTAR_FILM"]
            (told,) = [e for e in events_of(session, film_id) if e["type"] == "normalization"]
        with pytest.raises(MediaError, match="not lossless"):
            restore_film(house, film, Order(asking("auto"), tmp_path / "again"))
    codes = [int(f.to_ndarray()[0, 0]) for f in decode_all(master, probe(master))]
    assert codes == [32768, 65535, 65535, 0, 1]
    assert told["outcome"] == "warning"
    assert told["detail"]["lossless"].startswith("no")
    assert told["detail"]["samples outside"] == 4


def test_light_that_is_no_number_is_refused(tmp_path: Path, settings: Settings) -> None:
    film = exr(tmp_path / "scan", [0.5, float("nan")])
    with open_house(settings) as house, pytest.raises(MediaError, match=r"001\.exr.*NaN"):
        restore_film(house, film, Order(asking("gray16le"), tmp_path / "out"))


def test_reels_that_differ(tmp_path: Path) -> None:
    for name, size in (("a.mkv", "48x32"), ("b.mkv", "32x32")):
        picture = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.2"]
        run_ffmpeg([*picture, "-c:v", "ffv1", str(tmp_path / name)])
    (tmp_path / "film.toml").write_text('reels = ["a.mkv", "b.mkv"]\n')
    refused(tmp_path / "film.toml", "b.mkv: differs from a.mkv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reels = []", "give reels, or images"),
        ('reels = ["a.mkv"]\nimages = "x"', "give reels, or images"),
        ('reels = ["a.mkv"]\nspeed = 2', "speed"),
        ('images = "x"\nrate = "fast"', "rate"),
        ('images = "x"\nrate = "24/0"', "rate"),
        ("reels = [", "not a manifest"),
        ("reels = [3]", "reels"),
    ],
)
def test_a_manifest_that_is_not_valid(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "film.toml"
    path.write_text(text)
    refused(path, words, UsageError)
