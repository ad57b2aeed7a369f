"""Files inside a master: covers and fonts of the source, packets of streams that have no other place.

Matroska holds them as attachments. MOV has none, so there they lie in one ZIP beside the master, its
sidecar. Either way `attachments_of` gives them back, so that they are compared like everything else.

A stream's packets are written as lines of JSON, which needs no program of ours to be read: first what
the stream is, then each packet's times (in the stream's time base) and its bytes (base64).
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.stream import AttachmentStream

from media.parts import film_packets, first_files
from media.probe import MediaInfo, open_media
from media.streams import Carried, stream_name
from restar.errors import MediaError

__all__ = ["Attachment", "HeldFile", "attachments_of", "extract", "sidecar_of", "write_sidecar"]

LARGEST = 256 << 20  # bytes; ffmpeg and players hold an attachment in memory


@dataclass(frozen=True)
class Attachment:
    """A file to go into a master, and the name and type that it has there."""

    path: Path
    name: str
    mime: str


@dataclass(frozen=True)
class HeldFile:
    """A file that a master holds, or that it should: its name and its content's sha256."""

    name: str
    sha256: str


def extract(
    path: Path, info: MediaInfo, carried: Sequence[Carried], folder: Path
) -> list[Attachment]:
    """Write each stream that is carried as a file into `folder`, in one pass over the film.

    Raises MediaError for a stream that is too large to be attached.
    """
    wanted = {c.stream.index: c for c in carried if c.file}
    made = {i: Attachment(folder / f"{i}", c.file, c.mime) for i, c in wanted.items()}
    if not wanted:
        return []
    sources = first_files(path, info)
    files = {index: _Extract(made[index].path, one) for index, one in wanted.items()}
    try:
        for index, file in files.items():
            with open_media(sources[wanted[index].stream.input]) as container:
                stream = container.streams[wanted[index].stream.number]
                if isinstance(stream, AttachmentStream):
                    file.add_bytes(stream.data)
                elif wanted[index].proof != "file":
                    file.begin(stream)
        packets = [i for i, one in wanted.items() if one.stream.kind != "attachment"]
        for index, packet, _ in film_packets(path, info, packets):
            files[index].add(packet)
    finally:
        for file in files.values():
            file.close()
    return [made[index] for index in sorted(made)]


def attachments_of(master: Path, info: MediaInfo) -> list[HeldFile]:
    """Return the files that a master holds, in order: its attachments, or those of its sidecar."""
    sidecar = sidecar_of(master)
    if "matroska" not in info.container:
        return list(_zipped(sidecar)) if sidecar.is_file() else []
    held = []
    with open_media(master) as container:
        for stream in container.streams:
            name = stream.metadata.get("filename", "")
            if isinstance(stream, AttachmentStream):
                held.append(HeldFile(name, hashlib.sha256(stream.data).hexdigest()))
            elif "attached_pic" in info.streams[stream.index].disposition:
                packet = next(p for p in container.demux(stream) if p.size)
                held.append(HeldFile(name, hashlib.sha256(memoryview(packet)).hexdigest()))
    return held


def read_attachment(master: Path, info: MediaInfo, name: str) -> bytes | None:
    """Return the last attachment of that name, or None."""
    if "matroska" not in info.container:
        with zipfile.ZipFile(sidecar_of(master)) as archive:
            return archive.read(name) if name in archive.namelist() else None
    with open_media(master) as container:
        found = [
            s.data for s in container.streams
            if isinstance(s, AttachmentStream) and s.metadata.get("filename") == name
        ]  # fmt: skip
    return found[-1] if found else None


def sidecar_of(master: Path) -> Path:
    """Return where the files of a master lie that can't hold them itself."""
    return master.with_name(f"{master.name}.sidecar.zip")


def write_sidecar(target: Path, files: Sequence[Attachment]) -> None:
    """Write a ZIP of files, the same bytes for the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.path.read_bytes())


def _zipped(sidecar: Path) -> Iterator[HeldFile]:
    with zipfile.ZipFile(sidecar) as archive:
        for entry in archive.infolist():
            if entry.file_size > LARGEST:
                raise MediaError(f"{sidecar}: {entry.filename} is larger than restar writes")
            yield HeldFile(entry.filename, hashlib.sha256(archive.read(entry)).hexdigest())


def _codec_tag(context: Any) -> str | None:
    try:
        return getattr(context, "codec_tag", None)
    except UnicodeDecodeError:  # PyAV takes the four bytes for ASCII
        return None


class _Extract:
    """One file that is being written, and never grows beyond what can be attached."""

    def __init__(self, path: Path, carried: Carried) -> None:
        self._carried = carried
        self._file = path.open("wb")
        self._room = LARGEST

    def begin(self, stream: Any) -> None:
        info, context = self._carried.stream, stream.codec_context
        head = {
            "restar": "stream", "version": 1, "index": info.index, "kind": info.kind,
            "codec": info.codec, "tag": _codec_tag(context),
            "time_base": str(info.time_base), "metadata": info.metadata,
            "disposition": info.disposition,
            "extradata": base64.b64encode(getattr(context, "extradata", None) or b"").decode(),
        }  # fmt: skip
        self.add_bytes(json.dumps(head, ensure_ascii=False).encode() + b"\n")

    def add(self, packet: Any) -> None:
        if self._carried.proof == "file":
            self.add_bytes(bytes(packet))
            return
        line = {
            "pts": packet.pts, "dts": packet.dts, "duration": packet.duration,
            "key": packet.is_keyframe, "data": base64.b64encode(bytes(packet)).decode(),
        }  # fmt: skip
        self.add_bytes(json.dumps(line).encode() + b"\n")

    def add_bytes(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise MediaError(
                f"{stream_name(self._carried.stream)} has no place in the master and is too large "
                f"to attach (over {LARGEST >> 20} MiB); take it out first and keep it beside the film"
            )
        self._file.write(data)

    def close(self) -> None:
        self._file.close()
