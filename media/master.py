"""Masters: the packets of takes in a row with the film's exact times, and all its other streams.

No picture is coded a second time. The takes' packets go through a pipe in NUT, which holds any time
base, to one ffmpeg that copies them and every other stream of the source into the master: ffmpeg
carries what a muxer alone would lose (codec delay of AAC, dispositions, attachments, chapters).
"""

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.error

from media import ffmpeg
from media.format import TakeFormat
from media.frames import FrameIndex
from media.probe import MediaInfo, open_media
from media.streams import Carried, plan_streams
from media.take import VideoPacket, take_packets
from restar.errors import MediaError, RestarError, StoreError
from restar.timeline import rescale

__all__ = ["MATROSKA_TIME_BASE", "MasterPlan", "master_arguments", "write_master"]

MATROSKA_TIME_BASE = Fraction(1, 1000)


@dataclass(frozen=True)
class MasterPlan:
    """What a master is made of: the source's other streams, the takes in order, the exact times."""

    source: Path
    info: MediaInfo
    index: FrameIndex
    takes: Sequence[Path]
    take_format: TakeFormat
    tags: dict[str, str] = field(default_factory=dict)


def write_master(plan: MasterPlan, target: Path) -> tuple[Carried, ...]:
    """Write a master to `target` (a name of its own, renamed by the caller once verified).

    Returns how each other stream was carried. Raises MediaError where times would collapse or a
    stream can't be carried, StoreError where there is no space. On any error the file is removed.
    """
    _refuse_collapsing_times(plan)
    carried = plan_streams(plan.source, plan.info)
    with tempfile.TemporaryDirectory(prefix="restar-") as folder:
        timeline = Path(folder) / "timeline.json"
        _write_timeline(plan.index, timeline)
        process = ffmpeg.start(
            master_arguments(plan, carried, timeline, target), stdin=subprocess.PIPE
        )
        try:
            _feed(plan, process)
        except (BrokenPipeError, av.error.FFmpegError) as error:
            ffmpeg.finish(process, f"writing the master {target.name}")
            raise MediaError(f"writing the master {target.name}: {error}") from error
        except BaseException:
            process.kill()
            process.communicate()
            target.unlink(missing_ok=True)
            raise
        try:
            ffmpeg.finish(process, f"writing the master {target.name}")
        except RestarError:
            target.unlink(missing_ok=True)
            raise
    return carried


def master_arguments(
    plan: MasterPlan, carried: Sequence[Carried], timeline: Path, target: Path
) -> list[str]:
    """Return the ffmpeg arguments that join a NUT of pictures (stdin) with the source's rest."""
    info, picture = plan.info, plan.info.picture
    maps = ["-map", "0:v:0", "-map_metadata", "1", "-map_chapters", "1"]
    maps += ["-map_metadata:s:0", f"1:s:{picture}", "-disposition:0", _disposition(info)]
    codecs = ["-c", "copy"]
    out = 0
    for stream in carried:
        if stream.how == "tag":
            continue
        out += 1
        number = stream.stream.index
        maps += ["-map", f"1:{number}", f"-map_metadata:s:{out}", f"1:s:{number}"]
        if stream.how != "copy":
            codecs += [f"-c:{out}", stream.how]
    tags = {"encoder": "restar", **plan.tags}
    return [
        "-copyts", "-f", "nut", "-i", "pipe:0",
        "-i", ffmpeg.file_url(plan.source),
        *maps, *codecs, *_shape_arguments(plan), *_colour_arguments(plan.take_format),
        "-metadata:s:0", "ENCODER=restar, FFV1 level 3",
        *(part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")),
        "-attach", str(timeline),
        f"-metadata:s:{out + 1}", "mimetype=application/json",
        f"-metadata:s:{out + 1}", "filename=restar-timeline.json",
        "-avoid_negative_ts", "disabled", "-max_interleave_delta", "0", "-fflags", "+bitexact",
        "-y", "-f", "matroska", ffmpeg.file_url(target),
    ]  # fmt: skip


def _feed(plan: MasterPlan, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101
    base = plan.index.time_base
    with open_media(plan.takes[0]) as first:
        template = first.streams.video[0]
        extradata = template.codec_context.extradata
        output = av.open(process.stdin, "w", format="nut")
        stream = output.add_stream_from_template(template)
        stream.time_base = base
        for frame, packet in enumerate(_packets(plan.takes, extradata)):
            if frame >= plan.index.count:
                raise MediaError(f"the takes hold more frames than the film's {plan.index.count}")
            packet.pts = packet.dts = plan.index.pts(frame)
            packet.duration = plan.index.duration(frame)
            packet.time_base = base
            packet.stream = stream
            output.mux(packet)
        if frame + 1 != plan.index.count:
            raise MediaError(f"the takes hold {frame + 1} frames, the film {plan.index.count}")
        output.close()
    process.stdin.close()
    process.stdin = None


def _packets(takes: Iterable[Path], extradata: bytes | None) -> Iterator[VideoPacket]:
    for take in takes:
        yield from take_packets(take, extradata)


def _refuse_collapsing_times(plan: MasterPlan) -> None:
    index = plan.index
    last: int | None = None
    for frame in range(index.count):
        millisecond = rescale(index.pts(frame), index.time_base, MATROSKA_TIME_BASE)
        if last is not None and millisecond <= last:
            raise MediaError(
                f"{plan.source}: frames {frame - 1} and {frame} are less than 1 ms apart, which "
                "Matroska can't hold; such films need a MOV master"
            )
        last = millisecond


def _write_timeline(index: FrameIndex, path: Path) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            head = {"time_base": str(index.time_base), "frames": index.count}
            file.write(json.dumps(head)[:-1] + ', "pts": [')
            for start in range(0, index.count, 4096):
                block = index.records["pts"][start : start + 4096].tolist()
                file.write((", " if start else "") + ", ".join(map(str, block)))
            file.write("]}\n")
    except OSError as error:
        raise StoreError(f"{path}: can't be written: {error.strerror}") from None


def _disposition(info: MediaInfo) -> str:
    return "+".join(info.video.disposition) or "0"


def _shape_arguments(plan: MasterPlan) -> list[str]:
    """The display aspect ratio, which ffmpeg takes exactly where its terms are at most 255."""
    video = plan.take_format.video
    if video.sar is None:
        return []
    shape = video.sar * Fraction(video.width, video.height)
    if max(shape.numerator, shape.denominator) <= 255:
        return ["-aspect:0", f"{shape.numerator}:{shape.denominator}"]
    if video.sar == 1:
        return []  # without a shape, Matroska's pixels are square
    raise MediaError(
        f"{plan.source}: its sample aspect ratio {video.sar} at {video.width}x{video.height} can't "
        "be written exactly; give the film without it, or crop it to a standard size"
    )


def _colour_arguments(take_format: TakeFormat) -> list[str]:
    video = take_format.video
    options = {
        "-color_range:0": video.colour.range,
        "-colorspace:0": "rgb" if video.colour.matrix == "gbr" else video.colour.matrix,
        "-color_primaries:0": video.colour.primaries,
        "-color_trc:0": video.colour.transfer,
        "-field_order:0": None if video.field_order == "unknown" else video.field_order,
    }
    return [part for key, value in options.items() if value for part in (key, value)]
