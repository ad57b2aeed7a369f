"""Masters: the packets of takes in a row with the film's exact times, and all its other streams.

No picture is coded a second time. The takes' packets go through a pipe to one ffmpeg that copies them
and every other stream of the source into the master: ffmpeg carries what a muxer alone would lose
(codec delay of AAC, dispositions, attachments, chapters). Matroska rounds times to its millisecond;
MOV keeps them as they are, in the film's own time base.
"""

import json
import math
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.error

from media import ffmpeg
from media.attach import Attachment, extract, sidecar_of, write_sidecar
from media.captions import CAPTION_FILES, write_captions
from media.format import TakeFormat
from media.frames import FrameIndex
from media.marks import TrackMarks, track_marks
from media.parts import ffmpeg_inputs
from media.payload import subtitle_text
from media.pipe import PicturePipe
from media.probe import MediaInfo, open_media
from media.streams import Carried, Container, plan_streams
from media.tags import MADE_AT
from media.take import VideoPacket, take_packets
from restar.errors import MediaError, StoreError
from restar.hashing import canonical_json
from restar.timeline import rescale

__all__ = [
    "MATROSKA_TIME_BASE",
    "MasterPlan",
    "master_arguments",
    "own_attachments",
    "shift_of",
    "write_master",
]

MATROSKA_TIME_BASE = Fraction(1, 1000)
_NANOSECOND = Fraction(1, 10**9)
_JSON, _LINES = "application/json", "application/jsonl"


@dataclass(frozen=True)
class MasterPlan:
    """What a master is made of: the source's other streams, the takes in order, the exact times.

    `marks` is what the frames carry besides pixels (a file by `media.marks.MarksWriter`).
    """

    source: Path
    info: MediaInfo
    index: FrameIndex
    takes: Sequence[Path]
    take_format: TakeFormat
    marks: Path | None = None
    tags: dict[str, str] = field(default_factory=dict)
    container: Container = "matroska"


def write_master(plan: MasterPlan, target: Path) -> tuple[Carried, ...]:
    """Write a master to `target` (a name of its own, renamed by the caller once verified).

    Returns how each other stream was carried. A MOV gets a sidecar (`media.attach.sidecar_of`).
    Raises MediaError where times would collapse or a stream can't be carried, StoreError where there
    is no space. On any error the files are removed.
    """
    _refuse_what_the_container_lacks(plan)
    carried = plan_streams(plan.source, plan.info, plan.container)
    with tempfile.TemporaryDirectory(prefix="restar-") as folder:
        files = extract(plan.source, plan.info, carried, Path(folder))
        files += own_attachments(plan.info, plan.index, plan.marks, Path(folder))
        try:
            if plan.container == "mov":
                write_sidecar(sidecar_of(target), files)
            arguments = master_arguments(plan, carried, files, Path(folder), target)
            _mux(plan, arguments, target)
        except BaseException:
            target.unlink(missing_ok=True)
            sidecar_of(target).unlink(missing_ok=True)
            raise
    return carried


def own_attachments(
    info: MediaInfo, index: FrameIndex, marks: Path | None, folder: Path
) -> list[Attachment]:
    """Write into `folder` what every master gets: the film's probe, marks, captions, exact times."""
    source, timeline = folder / "source.json", folder / "timeline.json"
    source.write_text(canonical_json(info.to_json()) + "\n", encoding="utf-8")
    _write_timeline(index, timeline)
    files = [Attachment(source, "restar-source.json", _JSON)]
    if marks is not None:
        files.append(Attachment(marks, "restar-marks.jsonl", _LINES))
        captions = write_captions(info, index, marks, folder)
        files += [Attachment(path, path.name, CAPTION_FILES[path.name]) for path in captions]
    return [*files, Attachment(timeline, "restar-timeline.json", _JSON)]


def shift_of(index: FrameIndex) -> Fraction:
    """Return by how much (s) all streams move together, since neither container starts below 0."""
    first = index.time(0)
    return Fraction(0) if first >= 0 else Fraction(math.ceil(-first * 1000), 1000)


def master_arguments(
    plan: MasterPlan,
    carried: Sequence[Carried],
    files: Sequence[Attachment],
    folder: Path,
    target: Path,
) -> list[str]:
    """Return the ffmpeg arguments that join a stream of pictures (stdin) with the source's rest.

    Reels are listed, and their tags and subtitles written, in `folder`.
    """
    info = plan.info
    inputs = ffmpeg_inputs(plan.source, info, folder)
    tracks = [one for one in carried if one.how != "attach"]
    maps = ["-map", "0:v:0", *_tag_arguments(plan, inputs, folder)]
    codecs = ["-c", "copy"]
    for out, one in enumerate(tracks, start=1):
        place = f"{1 + one.stream.input}:{one.stream.number}"
        if (
            one.proof == "text"
        ):  # ffmpeg reads it alone: beside an edit list it gets its times wrong
            inputs.append(["-i", str(_write_text(plan, one, folder))])
            place = f"{len(inputs)}:0"
        maps += ["-map", place, *_track_arguments(plan, one, out)]
        if one.how != "copy":
            codecs += [f"-c:{out}", one.how]
    tags = {"encoder": "restar", **plan.tags}
    if shift_of(plan.index):
        tags["RESTAR_SHIFT"] = f"{float(shift_of(plan.index)):.3f} s"
    return [
        *_turn_arguments(_track_marks(plan)),
        "-copyts", "-f", "matroska", "-i", "pipe:0",
        *(part for one in inputs for part in (*_shift_arguments(plan), *one)),
        *maps, *codecs, *_shape_arguments(plan), *_colour_arguments(plan.take_format),
        *_made_at(plan, info.metadata), *_made_at(plan, info.video.metadata, ":s:0"),
        "-metadata:s:0", "ENCODER=restar, FFV1 level 3",
        *(part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")),
        *_container_arguments(plan, files, len(tracks)),
        "-avoid_negative_ts", "disabled", "-max_interleave_delta", "0", "-fflags", "+bitexact",
        "-y", "-f", plan.container, ffmpeg.file_url(target),
    ]  # fmt: skip


def _tag_arguments(plan: MasterPlan, inputs: list[list[str]], folder: Path) -> list[str]:
    """Tags of the film and its pictures, and chapters; those of reels and images go by a file."""
    info = plan.info
    flags = ["-disposition:0", "+".join(info.video.disposition) or "0"]
    if not info.reels and not info.images:
        copied = ["-map_metadata", "1", "-map_chapters", "1"]
        return [*copied, "-map_metadata:s:0", f"1:s:{info.picture}", *flags]
    written = folder / "tags.txt"
    written.write_text(_ffmetadata(info), encoding="utf-8")
    inputs.append(["-f", "ffmetadata", "-i", str(written)])
    number = str(len(inputs))
    named = [p for k, v in info.video.metadata.items() for p in ("-metadata:s:0", f"{k}={v}")]
    return ["-map_metadata", number, "-map_chapters", number, *named, *flags]


def _track_arguments(plan: MasterPlan, one: Carried, out: int) -> list[str]:
    stream, arguments = one.stream, list[str]()
    if plan.info.reels or plan.info.images:
        arguments += ["-map_metadata:s:" + str(out), "-1"]
        for key, value in stream.metadata.items():
            arguments += [f"-metadata:s:{out}", f"{key}={value}"]
    else:
        arguments += [f"-map_metadata:s:{out}", f"1:s:{stream.number}"]
    if stream.kind != "attachment":
        arguments += [f"-disposition:{out}", "+".join(stream.disposition) or "0"]
    arguments += _made_at(plan, stream.metadata, f":s:{out}")
    if stream.channels > 2:  # Matroska counts channels and does not name them
        arguments += [f"-metadata:s:{out}", f"CHANNEL_LAYOUT={stream.layout}"]
    return arguments


def _made_at(plan: MasterPlan, tags: Mapping[str, str], where: str = "") -> list[str]:
    """When a film or stream was made, under Matroska's own name: its tracks have no creation time."""
    known = {key.lower(): value for key, value in tags.items()}
    if plan.container != "matroska" or "creation_time" not in known or MADE_AT in known:
        return []
    return [f"-metadata{where}", f"{MADE_AT.upper()}={known['creation_time']}"]


def _write_text(plan: MasterPlan, one: Carried, folder: Path) -> Path:
    path = folder / f"{one.stream.index}.srt"
    text = subtitle_text(plan.source, plan.info, one.stream.index)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _ffmetadata(info: MediaInfo) -> str:
    """A film's tags and chapters in ffmpeg's own text form."""

    def lines(tags: dict[str, str]) -> list[str]:
        return [f"{_escaped(key)}={_escaped(value)}" for key, value in tags.items()]

    told = [";FFMETADATA1", *lines(info.metadata)]
    for one in info.chapters:
        ends = [
            f"{name}={round(at * 10**9)}" for name, at in (("START", one.start), ("END", one.end))
        ]
        told += ["[CHAPTER]", "TIMEBASE=1/1000000000", *ends, *lines(one.metadata)]
    return "\n".join(told) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def _container_arguments(plan: MasterPlan, files: Sequence[Attachment], out: int) -> list[str]:
    if plan.container == "mov":
        base = plan.index.time_base
        return [
            "-bsf:v:0", f"setts=time_base=1/{base.denominator}",
            "-video_track_timescale", str(base.denominator),
            "-movflags", "+use_metadata_tags+write_colr",
        ]  # fmt: skip
    arguments = []
    for number, file in enumerate(files, start=out + 1):
        arguments += [
            "-attach", str(file.path),
            f"-metadata:s:{number}", f"mimetype={file.mime}",
            f"-metadata:s:{number}", f"filename={file.name}",
        ]  # fmt: skip
    return arguments


def _mux(plan: MasterPlan, arguments: Sequence[str], target: Path) -> None:
    doing = f"writing the master {target.name}"
    process = ffmpeg.start(arguments, doing, stdin=subprocess.PIPE)
    try:
        _feed(plan, process)
    except (BrokenPipeError, av.error.FFmpegError) as error:
        ffmpeg.finish(process, doing)
        raise MediaError(f"{doing}: {error}") from error
    except BaseException:
        process.kill()
        process.communicate()
        raise
    ffmpeg.finish(process, doing)


def _feed(plan: MasterPlan, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101
    index, marks = plan.index, _track_marks(plan)
    unit = MATROSKA_TIME_BASE if plan.container == "matroska" else _NANOSECOND
    pipe = PicturePipe(process.stdin, unit)
    with open_media(plan.takes[0]) as first:
        extradata = first.streams.video[0].codec_context.extradata or b""
    rate = plan.info.video.rate
    pipe.begin(plan.take_format.video, extradata, rate, marks.mastering, marks.light)
    shift = int(shift_of(index) / unit)
    frame = -1
    for frame, packet in enumerate(_packets(plan.takes, extradata)):
        if frame >= index.count:
            raise MediaError(f"the takes hold more frames than the film's {index.count}")
        time = rescale(index.pts(frame), index.time_base, unit)
        duration = rescale(index.duration(frame), index.time_base, unit)
        pipe.write(memoryview(packet), time + shift, duration)
    if frame + 1 != index.count:
        raise MediaError(f"the takes hold {frame + 1} frames, the film {index.count}")
    process.stdin.close()
    process.stdin = None


def _packets(takes: Iterable[Path], extradata: bytes | None) -> Iterator[VideoPacket]:
    for take in takes:
        yield from take_packets(take, extradata)


def _track_marks(plan: MasterPlan) -> TrackMarks:
    return TrackMarks() if plan.marks is None else track_marks(plan.marks)


def _turn_arguments(marks: TrackMarks) -> list[str]:
    """Options of the pictures' input; a rotation stays a tag, the pixels are never turned."""
    degrees, mirrored = marks.turn
    arguments = ["-display_rotation:v:0", f"{degrees:g}"] if degrees or mirrored else []
    return [*arguments, "-display_hflip:v:0"] if mirrored else arguments


def _shift_arguments(plan: MasterPlan) -> list[str]:
    shift = shift_of(plan.index)
    return ["-itsoffset", f"{float(shift):.3f}"] if shift else []


def _refuse_what_the_container_lacks(plan: MasterPlan) -> None:
    if plan.container == "matroska":
        _refuse_collapsing_times(plan)
        return
    base, colour = plan.index.time_base, plan.take_format.video.colour
    if base.denominator >= 1 << 31:
        raise MediaError(f"{plan.source}: its time base {base} can't be kept in MOV; use Matroska")
    if colour.range == "pc" and plan.take_format.video.pix_fmt.startswith("yuv"):
        raise MediaError(
            f"{plan.source}: MOV can't say that its Y'CbCr is of full range; "
            'use deliver.container = "matroska"'
        )


def _refuse_collapsing_times(plan: MasterPlan) -> None:
    index = plan.index
    last: int | None = None
    for frame in range(index.count):
        millisecond = rescale(index.pts(frame), index.time_base, MATROSKA_TIME_BASE)
        if last is not None and millisecond <= last:
            raise MediaError(
                f"{plan.source}: frames {frame - 1} and {frame} are less than 1 ms apart, which "
                'Matroska can\'t hold; such films need a MOV master (deliver.container = "mov" in '
                "the recipe)"
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
