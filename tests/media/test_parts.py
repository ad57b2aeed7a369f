"""Films that are more than a file: reels in order, images with sound; what is no such film is refused."""

import shutil
from pathlib import Path

import pytest

from flows.roundtrip import round_trip
from media.parts import film_files, probe_film
from restar.errors import MediaError, UsageError
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


def test_openexr_is_refused(tmp_path: Path) -> None:
    refused(images(tmp_path / "scan", "%06d.exr", "gbrpf32le"), "floating point")


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
