"""What a file holds, read by libav in this process: container, streams, tags, chapters.

Nothing is decoded here. A film's name is never interpreted: it is opened as a local file, so a name
that looks like a URL or a filter stays a name, and containers that open other files are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from media.format import ColourTags, VideoFormat
from restar.errors import MediaError

__all__ = ["Chapter", "MediaInfo", "Reel", "StreamInfo", "open_media", "probe", "stream_info"]

# These read further files, named inside the first one.
_REFUSED = frozenset({"hls", "dash", "concat", "imf", "sdp", "rtsp", "lavfi", "tty", "vapoursynth"})


@dataclass(frozen=True)
class StreamInfo:
    """One stream. Times are in `time_base`; fields of other kinds than its own stay at their default.

    `index` counts the streams of the film; it is stream `number` of the film's `input` (media.parts).
    """

    index: int
    kind: str
    codec: str
    time_base: Fraction
    start_pts: int | None = None
    duration: int | None = None
    frames: int = 0
    rate: Fraction | None = None
    video: VideoFormat | None = None
    sample_rate: int = 0
    channels: int = 0
    layout: str = ""
    sample_format: str = ""
    disposition: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    input: int = 0
    number: int = 0


@dataclass(frozen=True)
class Chapter:
    """A chapter: its times in seconds, exact, and its tags."""

    start: Fraction
    end: Fraction
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reel:
    """One of several files that follow each other.

    Its PTS plus `shift`, in the time base of the pictures, are those of the film; `start` is where the
    file begins (s), `begin` its first possible PTS. `info` is its own probe (None: the film's).
    """

    path: Path
    shift: int = 0
    begin: int = 0
    start: Fraction = Fraction(0)
    info: "MediaInfo | None" = None


@dataclass(frozen=True)
class MediaInfo:
    """A probed film: a file, or `reels` in order, or `images` with `sounds` (files beside them).

    `tolerant` says that what does not decode is left out; `rounded_from` is the floating-point pixel
    format of images that are read as 16-bit integers.
    """

    container: str
    size: int
    streams: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]
    metadata: dict[str, str]
    picture: int
    reels: tuple[Reel, ...] = ()
    images: tuple[Path, ...] = ()
    sounds: tuple[Path, ...] = ()
    tolerant: bool = False
    rounded_from: str = ""

    @property
    def video(self) -> StreamInfo:
        """The stream of moving pictures that is restored."""
        return self.streams[self.picture]

    @property
    def format(self) -> VideoFormat:
        """The format of the pictures that are restored."""
        assert self.video.video is not None  # noqa: S101  probe() chose a video stream
        return self.video.video

    def others(self) -> tuple[StreamInfo, ...]:
        """Every stream but the pictures that are restored."""
        return tuple(s for s in self.streams if s.index != self.picture)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, no paths; fractions are left for canonical JSON to spell."""
        bare = replace(self, reels=(), images=(), sounds=())
        parts = {
            "reels": [{"name": r.path.name, "start": r.start} for r in self.reels],
            "images": len(self.images),
            "sounds": [sound.name for sound in self.sounds],
        }
        found = {**asdict(bare), **parts}
        del found["tolerant"]  # how it is read, not what it is
        if not self.rounded_from:
            del found["rounded_from"]
        return found


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a local media file for reading; raise MediaError with the reason where it can't be."""
    if not path.exists():
        raise MediaError(f"{path}: no such file")
    if path.is_dir():
        raise MediaError(
            f"{path}: is a folder; give a video file (reels and image sequences are not read yet)"
        )
    if not path.is_file():
        raise MediaError(f"{path}: not a regular file")
    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: the file is empty")
        options = {"protocol_whitelist": "file", "ignore_editlist": "0"}
        container = av.open(f"file:{path.absolute()}", metadata_errors="replace", options=options)
    except PermissionError:
        raise MediaError(f"{path}: no permission to read it") from None
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{path}: not a film that can be read ({reason})") from None
    with container:
        if _REFUSED & set(container.format.name.split(",")):
            raise MediaError(
                f"{path}: a {container.format.name} list names other files; give those instead"
            )
        yield container


def probe(path: Path) -> MediaInfo:
    """Return what a film holds; raise MediaError if it is no film or has no moving pictures."""
    with open_media(path) as container:
        streams = tuple(stream_info(stream) for stream in container.streams)
        picture = _chosen(path, streams)
        if picture.video is None or not picture.video.width or not picture.video.height:
            raise MediaError(f"{path}: its video stream has no readable picture size; is it whole?")
        return MediaInfo(
            container=container.format.name,
            size=path.stat().st_size,
            streams=streams,
            chapters=tuple(_chapter(chapter) for chapter in container.chapters()),
            metadata=dict(container.metadata),
            picture=picture.index,
        )


def _chosen(path: Path, streams: tuple[StreamInfo, ...]) -> StreamInfo:
    """The stream to restore: the first that is marked as default, else the first; the rest is kept."""
    pictures = [
        s for s in streams
        if s.kind == "video" and not {"attached_pic", "timed_thumbnails"} & set(s.disposition)
    ]  # fmt: skip
    if not pictures:
        raise MediaError(f"{path}: has no moving pictures, only {_kinds(streams)}")
    return next((s for s in pictures if "default" in s.disposition), pictures[0])


def _kinds(streams: tuple[StreamInfo, ...]) -> str:
    return ", ".join(sorted({s.kind for s in streams})) or "nothing"


def stream_info(stream: Any) -> StreamInfo:
    context = stream.codec_context
    video: VideoFormat | None = None
    extra: dict[str, Any] = {}
    if stream.type == "video" and context is not None:
        video = VideoFormat(
            width=context.width,
            height=context.height,
            pix_fmt=context.pix_fmt or "",
            sar=stream.sample_aspect_ratio or None,
            colour=_colour(context),
            field_order=_FIELD_ORDERS.get(int(context.field_order), "unknown"),
        )
        extra = {"rate": _rate(stream), "frames": stream.frames}
    elif stream.type == "audio" and context is not None:
        extra = {
            "sample_rate": context.sample_rate,
            "channels": context.channels,
            "layout": context.layout.name,
            "sample_format": context.format.name if context.format else "",
        }
    return StreamInfo(
        index=stream.index,
        number=stream.index,
        kind=stream.type,
        codec=context.name if context is not None else "unknown",
        time_base=stream.time_base or Fraction(1, 1000),
        start_pts=stream.start_time,
        duration=stream.duration,
        video=video,
        disposition=tuple(
            sorted(
                str(flag.name) for flag in type(stream.disposition) if flag in stream.disposition
            )
        ),
        metadata=dict(stream.metadata),
        **extra,
    )


def _rate(stream: Any) -> Fraction | None:
    """Frames a second; some demuxers (DV) give the tick of their clock as the average."""
    average = stream.average_rate or stream.guessed_rate
    if average and average > 1000 and average * stream.time_base == 1:
        others = (stream.guessed_rate, stream.base_rate)
        average = next((rate for rate in others if rate and rate <= 1000), average)
    return average or None


_FIELD_ORDERS = {0: "unknown", 1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}


def _colour(context: Any) -> ColourTags:
    return ColourTags(
        matrix=_tag(Colorspace, context.colorspace, unspecified=2),
        range=_tag(ColorRange, context.color_range, unspecified=0),
        primaries=_tag(ColorPrimaries, context.color_primaries, unspecified=2),
        transfer=_tag(ColorTrc, context.color_trc, unspecified=2),
    )


def _tag(kind: Any, value: int, unspecified: int) -> str | None:
    return None if int(value) == unspecified else _libav_name(kind, int(value))


def _libav_name(kind: Any, value: int) -> str:
    return LIBAV_NAMES[kind.__name__].get(value, str(value))


# libavutil/pixdesc.c: the names that ffmpeg's own options take.
LIBAV_NAMES: dict[str, dict[int, str]] = {
    "ColorRange": {1: "tv", 2: "pc"},
    "Colorspace": {
        0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
        9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc",
        13: "chroma-derived-c", 14: "ictcp",
    },
    "ColorPrimaries": {
        1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
        9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
    },
    "ColorTrc": {
        1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear",
        9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
        14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
    },
}  # fmt: skip


def _chapter(chapter: Any) -> Chapter:
    base = chapter["time_base"]
    return Chapter(
        start=chapter["start"] * base,
        end=chapter["end"] * base,
        metadata=dict(chapter.get("metadata") or {}),
    )
