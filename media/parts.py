"""What a film is on disk: one file, reels in order, or images with sound; probed as one film.

Reels and images are named by a manifest, a small TOML file (docs/exactness.md):

    reels = ["reel 1.mov", "reel 2.mov"]        # in order

    images = "scan/*.dpx"                       # or a folder; numbered without a gap
    rate = "24000/1001"                         # frames a second; may be left out where images say it
    sound = ["mix.wav"]                         # any number, all beginning with the first frame

and, in either, `[identifiers]` with accession, title, reel, generation, rights. A folder of images
(and WAV files) needs no manifest where the images say their rate.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, Literal

import av
import av.error
from av.packet import Packet
from av.stream import Stream
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from media import ffmpeg
from media.probe import Chapter, MediaInfo, Reel, StreamInfo, open_media, probe
from media.samples import format_of, sixteen_bits_of
from restar.errors import MediaError, UsageError
from restar.film import Identifiers

__all__ = [
    "FilmFiles",
    "ffmpeg_inputs",
    "film_files",
    "film_packets",
    "first_files",
    "float_error",
    "probe_film",
]

IMAGES = frozenset({".dpx", ".tif", ".tiff", ".png", ".exr", ".cin", ".j2k", ".jp2", ".j2c", ".tga",
                    ".bmp", ".jpg", ".jpeg", ".sgi", ".webp", ".jxl", ".ppm", ".pgm"})  # fmt: skip
SOUNDS = frozenset({".wav", ".w64", ".rf64", ".aif", ".aiff", ".flac"})
_NUMBER = re.compile(r"(\d+)(?=\D*$)")


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid")
    accession: str = ""
    title: str = ""
    reel: str = ""
    generation: str = ""
    rights: str = ""


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reels: list[str] = Field(default_factory=list, max_length=1000)
    images: str = ""
    rate: str = Field(default="", pattern=r"^(\d{1,9}(/[1-9]\d{0,8}|\.\d{1,6})?)?$")
    sound: list[str] = Field(default_factory=list, max_length=64)
    identifiers: _Names = Field(default_factory=_Names)

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        if rate and (not 0 < Fraction(rate) <= 1000):
            raise ValueError("has to be above 0 and at most 1000")
        return rate

    @model_validator(mode="after")
    def _is_one_kind(self) -> "_Manifest":
        if bool(self.reels) == bool(self.images):
            raise ValueError("give reels, or images, and not both")
        if self.reels and (self.sound or self.rate):
            raise ValueError("reels have their own sound and rate")
        return self


@dataclass(frozen=True)
class FilmFiles:
    """The files of a film: `kind` as in restar.film, reels or images in `pictures`."""

    kind: Literal["file", "reels", "sequence"]
    pictures: tuple[Path, ...]
    sounds: tuple[Path, ...] = ()
    rate: Fraction | None = None
    identifiers: Identifiers = field(default_factory=Identifiers)

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file, in the order in which the film's manifest names them."""
        return self.pictures + self.sounds

    @property
    def size(self) -> int:
        """Bytes of all files; raise MediaError where one is missing."""
        try:
            return sum(path.stat().st_size for path in self.all)
        except OSError as error:
            raise MediaError(f"{error.filename}: {error.strerror}") from None


def film_files(path: Path) -> FilmFiles:
    """Return the files of a film that is named by a file, a folder or a manifest.

    Raises MediaError for a folder that holds no film, UsageError for a manifest that is not valid.
    """
    if path.is_dir():
        return _folder(path, None)
    if path.suffix.lower() == ".toml" and path.is_file():
        return _read_manifest(path)
    if path.suffix.lower() == ".exr":
        raise MediaError(
            f"{path}: is one image; give its folder, or a manifest with images and rate"
        )
    return FilmFiles("file", (path,))


def probe_film(path: Path, *, rounding: bool = False) -> MediaInfo:
    """Return what a film holds, whichever way it lies on disk (`media.probe.probe` for one file).

    Images of floating point are refused, or with `rounding` read as 16-bit integers.
    """
    files = film_files(path)
    if files.kind == "file":
        return probe(path)
    if files.kind == "reels":
        return _probe_reels(path, files)
    info = _probe_images(path, files)
    if info.rounded_from and not rounding:
        raise float_error(path)
    return info


def float_error(path: Path) -> MediaError:
    """Return the error for images of floating point that nobody asked to round."""
    return MediaError(
        f"{path}: holds floating point, which FFV1 can't; have it rounded to 16 bits by "
        'restore.pixel_format = "gbrp16le" in the recipe, which is not lossless, or convert it with a '
        "transfer that you choose; keep the original"
    )


def film_packets(
    path: Path, info: MediaInfo, indexes: Sequence[int]
) -> Iterator[tuple[int, "Packet[Stream]", Fraction]]:
    """Yield (stream's index, packet, seconds to add to its times) of some streams, file by file."""
    for number, files in enumerate(_inputs(path, info)):
        wanted = {
            s.number: s.index for s in info.streams if s.index in indexes and s.input == number
        }
        if not wanted:
            continue
        for reel in files:
            with open_media(reel.path) as container:
                streams = [container.streams[n] for n in sorted(wanted)]
                for packet in container.demux(streams):
                    if packet.size and packet.stream_index in wanted:
                        moved = reel.shift * info.video.time_base
                        yield wanted[packet.stream_index], packet, moved


def first_files(path: Path, info: MediaInfo) -> list[Path]:
    """Return the first file of each of a film's inputs."""
    return [files[0].path for files in _inputs(path, info)]


def ffmpeg_inputs(path: Path, info: MediaInfo, folder: Path) -> list[list[str]]:
    """Return ffmpeg's arguments for each input of a film; reels are one, listed in a file in `folder`."""
    if not info.reels:
        return [["-i", ffmpeg.file_url(files[0].path)] for files in _inputs(path, info)]
    lines = ["ffconcat version 1.0"]
    ends = [*(reel.start for reel in info.reels[1:]), None]
    for reel, end in zip(info.reels, ends, strict=True):
        name = str(reel.path.absolute()).replace("'", r"'\''")
        lines.append(f"file '{name}'")
        if end is not None:
            lines.append(f"duration {round((end - reel.start) * 10**6)}us")
    listed = folder / "reels.ffconcat"
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [["-f", "concat", "-safe", "0", "-i", str(listed)]]


def _inputs(path: Path, info: MediaInfo) -> list[tuple[Reel, ...]]:
    if info.images:
        return [(Reel(sound),) for sound in info.sounds]
    return [info.reels or (Reel(path),)]


def _read_manifest(path: Path) -> FilmFiles:
    try:
        if path.stat().st_size > 1 << 20:
            raise UsageError(f"{path}: larger than 1 MiB, so not a manifest")
        found = _Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: not a manifest of a film: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the manifest"
        raise UsageError(f"{path}: {place}: {first['msg']}") from None
    names = Identifiers(**found.identifiers.model_dump())
    here = path.absolute().parent
    if found.reels:
        reels = tuple(here / name for name in found.reels)
        return FilmFiles("reels", reels, identifiers=names)
    sounds = tuple(here / name for name in found.sound)
    folder, pattern = here / found.images, None
    if not folder.is_dir():
        folder, pattern = folder.parent, folder.name
    rate = Fraction(found.rate) if found.rate else None
    return replace(_folder(folder, pattern), sounds=sounds, rate=rate, identifiers=names)


def _folder(folder: Path, pattern: str | None) -> FilmFiles:
    """The images in a folder in the order of their numbers, and the sound files beside them."""
    if not folder.is_dir():
        raise MediaError(f"{folder}: no such folder")
    files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    images = [p for p in files if p.suffix.lower() in IMAGES and p.match(pattern or "*")]
    sounds = sorted(p for p in files if p.suffix.lower() in SOUNDS)
    if not images:
        raise MediaError(
            f"{folder}: holds no images{f' {pattern}' if pattern else ''}; give a video file, a folder "
            "of numbered images, or a manifest (.toml) that lists reels"
        )
    kinds = {(_NUMBER.sub("#", p.stem), p.suffix.lower()) for p in images}
    if len(kinds) > 1:
        shown = ", ".join(sorted(f"{stem}{suffix}" for stem, suffix in kinds)[:3])
        raise MediaError(
            f"{folder}: holds images of several kinds ({shown}); name one in a manifest"
        )
    return FilmFiles("sequence", _in_order(folder, images), tuple(sounds))


def _in_order(folder: Path, images: Sequence[Path]) -> tuple[Path, ...]:
    numbered: dict[int, Path] = {}
    for path in images:
        number = _NUMBER.search(path.stem)
        if number is None and len(images) > 1:
            raise MediaError(f"{path}: has no number; number the images of a sequence")
        at = int(number[1]) if number else 0
        if at in numbered:
            raise MediaError(f"{path}: has the same number as {numbered[at].name}")
        numbered[at] = path
    order = sorted(numbered)
    gap = next(((a, b) for a, b in pairwise(order) if b != a + 1), None)
    if gap is not None:
        missing = f"{gap[0] + 1}" if gap[1] == gap[0] + 2 else f"{gap[0] + 1} to {gap[1] - 1}"
        raise MediaError(
            f"{folder}: image {missing} is missing; put it back, or number without gaps"
        )
    return tuple(numbered[number] for number in order)


def _probe_reels(path: Path, files: FilmFiles) -> MediaInfo:
    """The reels as one film: each begins where the longest stream of the one before it ends."""
    infos = [probe(reel) for reel in files.pictures]
    first = infos[0]
    for reel, info in zip(files.pictures[1:], infos[1:], strict=True):
        if _kind(info) != _kind(first):
            raise MediaError(
                f"{reel}: differs from {files.pictures[0].name} in format or streams; restore such "
                "reels as films of their own"
            )
    base = first.video.time_base
    reels: list[Reel] = []
    start = Fraction(0)
    for file, info in zip(files.pictures, infos, strict=True):
        begin, end = _extent(file, info)
        shift = ceil((start - begin) / base)
        start = begin + shift * base
        reels.append(Reel(file, shift, round(start / base), start, info))
        start += end - begin
    chapters = [
        Chapter(c.start + r.shift * base, c.end + r.shift * base, c.metadata)
        for r, info in zip(reels, infos, strict=True)
        for c in info.chapters
    ]
    return replace(first, size=files.size, reels=tuple(reels), chapters=tuple(chapters))


def _kind(info: MediaInfo) -> list[Any]:
    return [
        (s.kind, s.codec, s.time_base, s.video, s.sample_rate, s.channels) for s in info.streams
    ]


def _extent(path: Path, info: MediaInfo) -> tuple[Fraction, Fraction]:
    """When the first packet of a file's timed streams begins, and the last one ends (s)."""
    with open_media(path) as container:
        begin = Fraction(
            container.start_time or 0, 10**6
        )  # where ffmpeg's concat takes it to begin
    end = begin
    indexes = [s.index for s in info.streams if s.kind in {"video", "audio", "subtitle"}]
    for _, packet, _ in film_packets(path, info, indexes):
        if packet.pts is None or packet.time_base is None or packet.is_discard:
            continue
        at = packet.pts * packet.time_base
        end = max(end, at + (packet.duration or 0) * packet.time_base)
    if end == begin:
        raise MediaError(
            f"{path}: its packets have no times; remux it first, then list it as a reel"
        )
    return begin, end


def _probe_images(path: Path, files: FilmFiles) -> MediaInfo:
    with open_media(files.pictures[0]) as container:
        try:
            frame = next(container.decode(video=0), None)
        except av.error.FFmpegError as error:
            raise MediaError(f"{files.pictures[0]}: does not decode ({error.strerror})") from None
        stream = container.streams.video[0]
        if frame is None:
            raise MediaError(f"{files.pictures[0]}: holds no picture")
        said = (
            stream.codec_context.framerate if files.pictures[0].suffix.lower() == ".dpx" else None
        )
        video = replace(format_of(frame), sar=stream.codec_context.sample_aspect_ratio or None)
        rounded = sixteen_bits_of(video.pix_fmt)
        rounded_from = video.pix_fmt if rounded else ""
        video = replace(video, pix_fmt=rounded or video.pix_fmt)
        codec = stream.codec_context.name
    rate = files.rate or (said if said and 1 <= said <= 1000 else None)
    if rate is None:
        raise MediaError(
            f"{path}: its images do not say how many there are a second; write a manifest (.toml) "
            f'with images = "{path.name}" and rate = "24"'
        )
    picture = StreamInfo(
        index=0, kind="video", codec=codec, time_base=1 / rate, start_pts=0,
        duration=len(files.pictures), frames=len(files.pictures), rate=rate, video=video,
        disposition=("default",), input=-1,
    )  # fmt: skip
    streams, metadata = [picture], dict[str, str]()
    for number, sound in enumerate(files.sounds):
        with open_media(sound) as container:
            if any(s.type == "video" for s in container.streams):
                raise MediaError(f"{sound}: is no sound file")
        for one in _sound_streams(sound):
            streams.append(replace(one, index=len(streams), input=number))
    return MediaInfo(
        container="images", size=files.size, streams=tuple(streams), chapters=(),
        metadata=metadata, picture=0, images=files.pictures, sounds=files.sounds,
        rounded_from=rounded_from,
    )  # fmt: skip


def _sound_streams(path: Path) -> list[StreamInfo]:
    from media.probe import stream_info

    with open_media(path) as container:
        tags = dict(container.metadata)
        found = [stream_info(stream) for stream in container.streams]
        return [replace(stream, metadata={**tags, **stream.metadata}) for stream in found]
