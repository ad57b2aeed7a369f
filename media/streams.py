"""What of a film goes along with its pictures, and how: the rule for every other stream.

A stream is copied packet for packet where the master's container gives the same packets back; that is
tried on its first packets, not looked up in a list. Else sound becomes PCM of the same samples, text
becomes text that the container holds, and the packets themselves are attached in a file of their own.
What can't go along in any of these ways is an error: no stream is lost without anyone being told.
"""

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
import av.error

from media import ffmpeg
from media.parts import first_files
from media.probe import MediaInfo, StreamInfo, open_media
from restar.errors import MediaError

__all__ = ["Carried", "Container", "Proof", "plan_streams", "stream_name"]

Container: TypeAlias = Literal["matroska", "mov"]
Proof: TypeAlias = Literal["packets", "samples", "text", "file"]

_TRIED_PACKETS = 24  # of each stream
_READ_PACKETS = 4000  # of the file, to find them
_TEXT = {"matroska": "subrip", "mov": "mov_text"}
_IMAGES = {"png": "png", "mjpeg": "jpg", "gif": "gif", "bmp": "bmp", "tiff": "tiff", "webp": "webp"}
_MIME = {"jpg": "jpeg"}


@dataclass(frozen=True)
class Carried:
    """One stream of the source and how the master holds it.

    `how` is "copy", "attach" (only as a file) or the codec that it is converted to; `proof` says what
    is compared; `file` names the attachment that holds its packets, if one does.
    """

    stream: StreamInfo
    how: str
    proof: Proof = "packets"
    file: str = ""
    mime: str = ""
    note: str = ""

    @property
    def is_track(self) -> bool:
        """Whether it is a track of the master (not an attachment)."""
        return self.how != "attach" and self.stream.kind != "attachment"


def plan_streams(
    path: Path, info: MediaInfo, container: Container = "matroska"
) -> tuple[Carried, ...]:
    """Return how each stream but the restored pictures gets into a master of that container.

    Reads the film's first packets. Nothing is refused here: what has no other place is attached.
    """
    kept = _kept_packets(path, info, container)
    if info.reels or (container == "mov" and "mov" not in info.container):
        # No container tells of a codec's delay in mid-stream, and MOV tells of it in its own way: such
        # sound would not come back as it was, so it is decoded.
        kept = {i: ok for i, ok in kept.items() if not _is_coded_sound(info.streams[i])}
    return tuple(_carry(stream, kept.get(stream.index), container) for stream in info.others())


def stream_name(stream: StreamInfo) -> str:
    """Return a stream's name for people."""
    title = stream.metadata.get("title") or stream.metadata.get("filename", "")
    return f"stream {stream.index} ({stream.kind}, {stream.codec}{', ' + title if title else ''})"


def _carry(stream: StreamInfo, kept: bool | None, container: Container) -> Carried:
    if stream.kind == "attachment" or "attached_pic" in stream.disposition:
        return _file(stream, container)
    if kept:
        return Carried(stream, "copy")
    if stream.kind == "audio" and stream.sample_format:
        return _sound(stream, kept)
    if stream.kind == "subtitle" and stream.codec in {"mov_text", "subrip", "text", "webvtt"}:
        note = f"as text in {_TEXT[container]}; its own packets are attached"
        return _with_file(stream, _TEXT[container], "text", note)
    timecode = next((v for k, v in stream.metadata.items() if k.lower() == "timecode"), "")
    note = f"timecode {timecode} is a tag too; " if timecode else ""
    return _with_file(stream, "attach", "packets", f"{note}its packets are attached")


def _is_coded_sound(stream: StreamInfo) -> bool:
    pcm = stream.codec.startswith("pcm_") or stream.codec == "s302m"
    return stream.kind == "audio" and not pcm


def _sound(stream: StreamInfo, kept: bool | None) -> Carried:
    if kept is False:
        return Carried(stream, "copy", "samples", note="with packet headers of another form")
    pcm = not _is_coded_sound(stream)
    codec = {
        "u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s24le" if pcm else "pcm_s32le",
        "flt": "pcm_f32le", "dbl": "pcm_f64le", "s64": "pcm_s64le",
    }[stream.sample_format.removesuffix("p")]  # fmt: skip
    if pcm:
        return Carried(stream, codec, "samples", note=f"as {codec} of the same samples")
    note = f"decoded to {codec} of the same samples; its own packets are attached"
    return _with_file(stream, codec, "samples", note)


def _file(stream: StreamInfo, container: Container) -> Carried:
    if stream.kind == "attachment":
        if container == "matroska":
            return Carried(stream, "copy", "file")
        name = stream.metadata.get("filename") or f"attachment-{stream.index}"
        mime = stream.metadata.get("mimetype", "application/octet-stream")
        return Carried(stream, "attach", "file", name, mime, "kept in the sidecar")
    kind = _IMAGES.get(stream.codec)
    if kind is None:
        return _with_file(stream, "attach", "packets", "picture; its packets are attached")
    name = stream.metadata.get("filename") or f"cover-{stream.index}.{kind}"
    mime = stream.metadata.get("mimetype") or f"image/{_MIME.get(kind, kind)}"
    return Carried(stream, "attach", "file", name, mime, "picture, attached as a file")


def _with_file(stream: StreamInfo, how: str, proof: Proof, note: str) -> Carried:
    codec = stream.kind if stream.codec == "unknown" else stream.codec
    file = f"restar-stream-{stream.index}-{codec}.jsonl"
    return Carried(stream, how, proof, file, "application/jsonl", note)


def _kept_packets(path: Path, info: MediaInfo, container: Container) -> dict[int, bool]:
    """For each stream that the container takes: whether it gives the first packets back as they are."""
    wanted = [
        s for s in info.others()
        if s.kind in {"audio", "subtitle", "video", "data"} and "attached_pic" not in s.disposition
    ]  # fmt: skip
    if not wanted:
        return {}
    kept: dict[int, bool] = {}
    for number, file in enumerate(first_files(path, info)):
        mine = [stream for stream in wanted if stream.input == number]
        if mine:
            kept |= _tried_in_file(file, mine, container)
    return kept


def _tried_in_file(path: Path, wanted: list[StreamInfo], container: Container) -> dict[int, bool]:
    kept: dict[int, bool] = {}
    with open_media(path) as source:
        packets = _first_packets(source, {s.number for s in wanted})
        for stream in wanted:
            mine = packets[stream.number]
            found = _tried(source.streams[stream.number], mine, container)
            if found is None and stream.kind in {"audio", "video"}:
                found = _tried_by_ffmpeg(path, stream, mine, container)
            if found is not None:
                kept[stream.index] = found
    return kept


def _first_packets(source: Any, wanted: set[int]) -> dict[int, list[Any]]:
    packets: dict[int, list[Any]] = {index: [] for index in wanted}
    for number, packet in enumerate(source.demux([source.streams[i] for i in sorted(wanted)])):
        mine = packets.get(packet.stream_index)
        if mine is not None and packet.size and len(mine) < _TRIED_PACKETS:
            mine.append(packet)
        if number > _READ_PACKETS or all(len(p) >= _TRIED_PACKETS for p in packets.values()):
            break
    return packets


def _tried_by_ffmpeg(
    path: Path, stream: StreamInfo, packets: list[Any], container: Container
) -> bool | None:
    """The same by the program that writes the masters, which takes some more codecs."""
    with tempfile.TemporaryDirectory(prefix="restar-") as folder:
        trial = Path(folder) / "trial"
        what = ["-map", f"0:{stream.number}", "-c", "copy", "-frames:0", str(len(packets))]
        try:
            ffmpeg.run(
                ["-copyts", "-i", ffmpeg.file_url(path), *what, "-f", container, str(trial)],
                f"{path}: trying {stream_name(stream)}",
            )
            with open_media(trial) as written:
                context = written.streams[0].codec_context
                if context is None or context.name != stream.codec:
                    return None
                got = [bytes(packet) for packet in written.demux() if packet.size]
        except MediaError:
            return None
    return got == [bytes(packet) for packet in packets]


def _tried(stream: Any, packets: list[Any], container: Container) -> bool | None:
    """Write packets into the container, in memory; None where it does not take them."""
    file = io.BytesIO()
    given = [bytes(packet) for packet in packets]
    try:
        with av.open(file, "w", format=container) as target:
            copy = target.add_stream_from_template(stream, opaque=True)
            for packet in packets:
                packet.stream = copy
                target.mux(packet)
            target.start_encoding()
        file.seek(0)
        with av.open(file, "r") as written:
            if len(written.streams) != 1 or written.streams[0].type != stream.type:
                return None
            if written.streams[0].codec_context is None:
                return None
            if written.streams[0].codec_context.name != stream.codec_context.name:
                return False
            return [bytes(packet) for packet in written.demux() if packet.size] == given
    except (av.error.FFmpegError, ValueError, TypeError, AttributeError):
        return None
