"""What a stream holds, in numbers that can be compared: packets, decoded samples, text.

Packets are compared by the sha256 of their bytes in order. Where a container changes packet headers
or a codec was converted, the decoded samples are compared, by ffmpeg and at their full depth: ffmpeg
trims what a codec delays, as a listener hears it.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from media import ffmpeg
from media.parts import ffmpeg_inputs, film_packets
from media.probe import MediaInfo

__all__ = ["Payload", "payloads", "samples_md5", "subtitle_text"]


@dataclass(frozen=True)
class Payload:
    """A stream's packets: how many, the sha256 of their bytes in order, first and last time (s)."""

    packets: int
    sha256: str
    first: Fraction | None
    last: Fraction | None


def payloads(path: Path, info: MediaInfo) -> dict[int, Payload]:
    """Return the payload of every stream but the pictures and attachments, by index, in one pass."""
    indexes = [s.index for s in info.others() if s.kind in {"audio", "subtitle", "video"}]
    digests = {index: hashlib.sha256() for index in indexes}
    counts = dict.fromkeys(indexes, 0)
    firsts: dict[int, Fraction] = {}
    lasts: dict[int, Fraction] = {}
    for index, packet, moved in film_packets(path, info, indexes):
        digests[index].update(memoryview(packet))
        counts[index] += 1
        if packet.pts is not None and packet.time_base is not None:
            lasts[index] = packet.pts * packet.time_base + moved
            firsts.setdefault(index, lasts[index])
    return {
        i: Payload(counts[i], d.hexdigest(), firsts.get(i), lasts.get(i))
        for i, d in digests.items()
    }


def samples_md5(path: Path, info: MediaInfo, indexes: Sequence[int]) -> list[str]:
    """Return the MD5 of each audio stream's decoded samples (64-bit float holds every depth)."""
    if not indexes:
        return []
    wanted = [info.streams[index] for index in indexes]
    maps = [part for s in wanted for part in ("-map", f"{s.input}:{s.number}")]
    with tempfile.TemporaryDirectory(prefix="restar-") as folder:
        inputs = [part for one in ffmpeg_inputs(path, info, Path(folder)) for part in one]
        how = ["-c:a", "pcm_f64le", "-f", "streamhash", "-hash", "md5", "-"]
        lines = ffmpeg.run([*inputs, *maps, *how], f"{path}: decoding its sound").splitlines()
    found = {int(line.split(",")[0]): line.partition("=")[2] for line in lines if "MD5=" in line}
    return [found.get(number, "nothing") for number in range(len(indexes))]


def subtitle_text(path: Path, info: MediaInfo, index: int) -> str:
    """Return a text subtitle as SubRip, with its times."""
    stream = info.streams[index]
    with tempfile.TemporaryDirectory(prefix="restar-") as folder:
        inputs = [part for one in ffmpeg_inputs(path, info, Path(folder)) for part in one]
        what = ["-map", f"{stream.input}:{stream.number}", "-f", "srt", "-"]
        return ffmpeg.run(["-copyts", *inputs, *what], f"{path}: reading subtitles").strip()
