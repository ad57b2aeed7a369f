"""Stills by frame number, exact, and proven so: a source's against its index, a take's against its sums.

A still of a frame never changes (films and takes are known by their bytes), so it is kept, in a folder
that may be emptied at any time, and the oldest go when there are too many.
"""

import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np

from catalog.models import TakeRow
from media.convert import to_rgb
from media.format import TakeFormat, VideoFormat
from media.frames import decode_range, frame_at, frame_md5
from media.probe import probe
from restar.errors import UsageError, VerificationError
from restar.hashing import sha256_of
from restar.timeline import FrameRange
from tasks.house import NOMINAL_RATE, House, OpenFilm, open_film
from tasks.pictures import Picture, jpeg, small_picture
from tasks.score import plainly

__all__ = ["HEIGHTS", "Stills"]

HEIGHTS = {"s": 135, "m": 300, "l": 720}
"""Heights of reduced stills, in their display shape; "full" has the frame's own pixels."""
_STRIP, _STRIP_HEIGHT = 6, 90
_KEPT_OPEN = 8
_MOST_BYTES = 4 << 30
_ALGORITHM = 1


@dataclass
class Stills:
    """Stills of one house. Threads may share it."""

    house: House
    most_bytes: int = _MOST_BYTES
    _films: dict[str, OpenFilm] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._sweep()

    def of_film(self, film_id: str, frame: int, size: str) -> bytes:
        """Return frame `frame` of a film's source: JPEG of a size in HEIGHTS, or PNG where it is "full".

        Raises NoSourceError where the film is not here, UsageError for a frame that it does not have.
        """

        def make() -> bytes:
            return _encoded(*self.source_frame(film_id, frame), size)

        return self._kept(("film", film_id, frame, size), make)

    def of_take(self, take: TakeRow, frame: int, size: str) -> bytes:
        """Return frame `frame` (counted in the film) of a take, as `of_film` does.

        Raises StoreError where its file is missing, VerificationError where the frame is another.
        """
        if not take.start <= frame < take.end:
            raise UsageError(f"the take has frames {take.start} to {take.end - 1}, not {frame}")

        def make() -> bytes:
            video = TakeFormat.from_json(take.spec["format"]).video
            return _encoded(self.take_frame(take, frame), video, size)

        return self._kept(("take", take.sha256, frame - take.start, size), make)

    def of_resize(self, film_id: str, take_format: TakeFormat, frame: int, size: str) -> bytes:
        """Return a source frame as the restorer `resize` gives it in a take's format (see `of_film`)."""

        def make() -> bytes:
            picture, video = self.source_frame(film_id, frame)
            return _encoded(plainly(picture, video, take_format.video), take_format.video, size)

        return self._kept(("resize", film_id, str(take_format), frame, size), make)

    def strip(self, film_id: str, frames: int) -> bytes:
        """Return a JPEG of six frames of a film side by side, evenly spread."""
        count = min(_STRIP, frames)
        wanted = [(2 * i + 1) * frames // (2 * count) for i in range(count)]

        def make() -> bytes:
            film = self._film(film_id)
            pictures = [
                small_picture(self._source_frame(film, one), film.info.format, _STRIP_HEIGHT)
                for one in wanted
            ]
            return jpeg(_filled(pictures), 82)

        return self._kept(("strip", film_id, frames), make)

    def take_frame(self, take: TakeRow, frame: int) -> av.VideoFrame:
        """Return a frame of a take as it was made, held against its checksum."""
        path = self.house.store.open_local(take.sha256)
        info = probe(path)
        number = frame - take.start
        picture = frame_at(path, info, number / (info.video.rate or NOMINAL_RATE))
        sums = self.house.store.open_local(take.checksums_sha256)
        with sums.open("rb") as file:
            file.seek(16 * number)
            if frame_md5(picture) != file.read(16):
                raise VerificationError(
                    f"take {take.take_key[:12]}: frame {frame} is not what was made; `restar restore` "
                    "makes it again"
                )
        return picture

    def source_frame(self, film_id: str, frame: int) -> tuple[av.VideoFrame, VideoFormat]:
        """Return a frame of a film's source as it was ingested, and the film's format."""
        film = self._film(film_id)
        if not 0 <= frame < film.index.count:
            raise UsageError(f"the film has frames 0 to {film.index.count - 1}, not {frame}")
        return self._source_frame(film, frame), film.info.format

    def _source_frame(self, film: OpenFilm, frame: int) -> av.VideoFrame:
        (picture,) = decode_range(film.path, film.info, film.index, FrameRange(frame, frame + 1))
        return picture

    def _film(self, film_id: str) -> OpenFilm:
        with self._lock:
            found = self._films.get(film_id)
        if found is None:
            found = open_film(self.house, film_id)
            with self._lock:
                while len(self._films) >= _KEPT_OPEN:
                    self._films.pop(next(iter(self._films)))
                self._films[film_id] = found
        return found

    @property
    def folder(self) -> Path:
        return self.house.settings.home.absolute() / "stills"

    def _kept(self, key: tuple[str | int, ...], make: Callable[[], bytes]) -> bytes:
        name = sha256_of([_ALGORITHM, *key])
        path = self.folder / name[:2] / name
        try:
            data = path.read_bytes()
            os.utime(path)
            return data
        except OSError:
            data = make()
        part = path.with_name(f".{name}-{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)  # a still that can't be kept is made again
        return data

    def _sweep(self) -> None:
        """Let the stills go that were not looked at for longest, down to three quarters of the most."""
        files = []
        for path in self.folder.glob("*/*"):
            try:
                files.append((path.stat().st_mtime, path.stat().st_size, path))
            except OSError:
                continue
        total = sum(size for _, size, _ in files)
        if total <= self.most_bytes:
            return
        for _, size, path in sorted(files):
            path.unlink(missing_ok=True)
            total -= size
            if total <= 0.75 * self.most_bytes:
                return


def _encoded(frame: av.VideoFrame, video: VideoFormat, size: str) -> bytes:
    if size != "full":
        return jpeg(small_picture(frame, video, HEIGHTS[size]), 84)
    rgb = to_rgb(frame, video.colour)
    picture = np.rint(np.clip(rgb[..., ::-1], 0, 1) * 255).astype(np.uint8)
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done  # noqa: S101  a picture in memory always encodes
    return data.tobytes()


def _filled(pictures: list[Picture]) -> Picture:
    """Pictures side by side, each cut or filled to 16:9, so that every film's strip has one shape."""
    width = round(_STRIP_HEIGHT * 16 / 9)
    row = np.full((_STRIP_HEIGHT, width * len(pictures), 3), 11, np.uint8)
    for number, picture in enumerate(pictures):
        part = picture[:, max(0, (picture.shape[1] - width) // 2) :][:, :width]
        left = number * width + (width - part.shape[1]) // 2
        row[:, left : left + part.shape[1]] = part
    return row
