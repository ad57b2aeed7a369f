"""What a file holds, read by libav in this process: container, streams, tags, chapters.

Nothing is decoded here. A film's name is never interpreted: it is opened as a local file, so a name
that looks like a URL or a filter stays a name, and containers that open other files are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from media.format import ColourTags, VideoFormat
from restar.errors import MediaError

__all__ = ["Chapter", "MediaInfo", "StreamInfo", "open_media", "probe"]

# These read further files, named inside the first one.
_REFUSED = frozenset({"hls", "dash", "concat", "imf", "sdp", "rtsp", "lavfi", "tty", "vapoursynth"})


@dataclass(frozen=True)
class StreamInfo:
    """One stream. Times are in `time_base`; fields of other kinds than its own stay at their default."""

    index: int
    kind: str
    codec: str
    time_base: Fraction
    start_pts: int | None = None
    duration: int | None = None
    frames: int = 0
    rate: Fraction | None = None
    video: VideoFormat | None = None
    rotation: int = 0
    sample_rate: int = 0
    channels: int = 0
    layout: str = ""
    disposition: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """A chapter: its times in seconds, exact, and its tags."""

    start: Fraction
    end: Fraction
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MediaInfo:
    """A probed file."""

    container: str
    size: int
    streams: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]
    metadata: dict[str, str]
    picture: int

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
        """Return plain data; fractions are left for canonical JSON to spell."""
        return asdict(self)


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
        streams = tuple(_stream(stream) for stream in container.streams)
        pictures = [s for s in streams if s.kind == "video" and "attached_pic" not in s.disposition]
        if not pictures:
            raise MediaError(f"{path}: has no moving pictures, only {_kinds(streams)}")
        if len(pictures) > 1:
            raise MediaError(
                f"{path}: has {len(pictures)} video streams; split them first, one film a file"
            )
        picture = pictures[0]
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


def _kinds(streams: tuple[StreamInfo, ...]) -> str:
    return ", ".join(sorted({s.kind for s in streams})) or "nothing"


def _stream(stream: Any) -> StreamInfo:
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
        extra = {"rate": stream.average_rate or stream.guessed_rate, "frames": stream.frames}
    elif stream.type == "audio" and context is not None:
        extra = {
            "sample_rate": context.sample_rate,
            "channels": context.channels,
            "layout": context.layout.name,
        }
    return StreamInfo(
        index=stream.index,
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
