"""What of a film goes along with its pictures, and how: the rule for every other stream.

Sound, subtitles, attachments and further pictures are copied packet for packet. Where Matroska can't
hold a stream as it is, it is carried in a lossless form and named; what can't be carried is an error,
since an archive's film must not lose a stream without anyone being told.
"""

from dataclasses import dataclass
from pathlib import Path

from media.probe import MediaInfo, StreamInfo
from restar.errors import MediaError

__all__ = ["Carried", "plan_streams"]


@dataclass(frozen=True)
class Carried:
    """One stream of the source and how the master holds it.

    `how` is "copy", "tag" (only its timecode, as a tag) or the codec that it is converted to.
    """

    stream: StreamInfo
    how: str
    note: str = ""


def plan_streams(path: Path, info: MediaInfo) -> tuple[Carried, ...]:
    """Return how each stream but the restored pictures gets into a Matroska master."""
    return tuple(_carry(path, stream) for stream in info.others())


def _carry(path: Path, stream: StreamInfo) -> Carried:
    if stream.kind in {"audio", "attachment", "video"}:
        return Carried(stream, "copy")
    if stream.kind == "subtitle":
        if stream.codec == "mov_text":
            return Carried(stream, "subrip", "mov_text is carried as SubRip: Matroska has no tx3g")
        return Carried(stream, "copy")
    timecode = next((v for k, v in stream.metadata.items() if k.lower() == "timecode"), "")
    if timecode:
        return Carried(stream, "tag", f"timecode track kept as the tag TIMECODE={timecode}")
    name = stream.metadata.get("handler_name", "").strip("\0 ") or stream.codec
    raise MediaError(
        f"{path}: stream {stream.index} ({stream.kind}, {name}) can't be carried in Matroska; "
        "take it out first and keep it beside the film"
    )
