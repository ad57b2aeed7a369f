"""A whole film through the degrader: pictures worn, sound and times kept, every parameter written down.

Beside the film lies a JSON file with everything that is needed to make it again.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from media import ffmpeg
from media.convert import assumed, from_rgb, to_rgb
from media.degrade import Degradation, degrade_frames, output_size
from media.format import VideoFormat
from media.frames import decode_all
from media.probe import MediaInfo, probe
from restar import __version__
from restar.errors import MediaError, StoreError
from restar.hashing import sha256_of_file

__all__ = ["DegradedFilm", "degrade_film"]


@dataclass(frozen=True)
class DegradedFilm:
    """What was written: the film, and the JSON of its parameters."""

    film: Path
    parameters: Path
    frames: int


def degrade_film(
    source: Path,
    folder: Path,
    what: Degradation,
    *,
    preset: str,
    seed: int,
    advance: Callable[[int], None] = lambda _count: None,
) -> DegradedFilm:
    """Write `<name>.<preset>.mkv` and its `.json` into a folder; replace those of an earlier run.

    Frames keep their times; sound and subtitles are copied. Raises MediaError or StoreError, and
    then leaves nothing.
    """
    info = probe(source)
    film = folder / f"{source.stem}.{preset}.mkv"
    if film.resolve() == source.resolve():
        raise StoreError(f"{film}: is the film itself; choose another folder by -o")
    parts = [film.with_name(f".{film.name}.part"), film.with_name(f".{film.stem}.json.part")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frames = _encode(source, info, what, seed, parts[0], advance)
        told = _parameters(source, what, preset, seed, frames)
        parts[1].write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        parameters = film.with_suffix(".json")
        parts[0].replace(film)
        parts[1].replace(parameters)
    except OSError as error:
        raise StoreError(f"{folder}: can't be written ({error.strerror or error})") from None
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return DegradedFilm(film, parameters, frames)


def _parameters(
    source: Path, what: Degradation, preset: str, seed: int, frames: int
) -> dict[str, Any]:
    return {
        "source": {"name": source.name, "sha256": sha256_of_file(source)},
        "preset": preset,
        "seed": seed,
        "frames": frames,
        "parameters": asdict(what),
        "software": {
            "restar": __version__, "numpy": np.__version__, "opencv": cv2.__version__,
            "av": av.__version__,
        },
    }  # fmt: skip


def _encode(
    source: Path,
    info: MediaInfo,
    what: Degradation,
    seed: int,
    target: Path,
    advance: Callable[[int], None],
) -> int:
    width, height = output_size(info.format.width, info.format.height, what)
    colour = assumed(info.format)
    video = VideoFormat(width, height, "yuv420p", sar=info.format.sar, colour=colour)
    if colour.matrix == "gbr":
        video = VideoFormat(width, height, "yuv420p", sar=info.format.sar)
    doing = f"writing {target.name}"
    process = ffmpeg.start(
        _arguments(source, info, what, video, target), doing, stdin=subprocess.PIPE
    )
    try:
        count = _feed(process, source, info, what, seed, video, advance)
    except (BrokenPipeError, av.error.FFmpegError) as error:
        ffmpeg.finish(process, doing)
        raise MediaError(f"{doing}: {error}") from error
    except BaseException:
        process.kill()
        process.communicate()
        raise
    ffmpeg.finish(process, doing)
    return count


def _feed(
    process: "subprocess.Popen[bytes]",
    source: Path,
    info: MediaInfo,
    what: Degradation,
    seed: int,
    video: VideoFormat,
    advance: Callable[[int], None],
) -> int:
    """Send degraded frames with their own times down the pipe, uncoded in NUT."""
    times: list[tuple[int, Fraction]] = []

    def pictures() -> Iterator[NDArray[np.float32]]:
        for frame in decode_all(source, info):
            times[:] = [(frame.pts or 0, frame.time_base or info.video.time_base)]
            yield to_rgb(frame)

    assert process.stdin is not None  # noqa: S101
    count = 0
    with av.open(process.stdin, "w", format="nut") as output:
        stream = output.add_stream("rawvideo", rate=info.video.rate or 25)
        assert isinstance(stream, av.VideoStream)  # noqa: S101
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, video.pix_fmt
        stream.time_base = info.video.time_base
        for picture in degrade_frames(pictures(), what, seed):
            frame = from_rgb(picture, video)
            frame.pts, frame.time_base = times[0]
            for packet in stream.encode(frame):
                output.mux(packet)
            count += 1
            advance(1)
        for packet in stream.encode(None):
            output.mux(packet)
    process.stdin.close()
    process.stdin = None
    return count


def _arguments(
    source: Path, info: MediaInfo, what: Degradation, video: VideoFormat, target: Path
) -> list[str]:
    codec = ["-c:v", "libx264", "-preset", "slow", "-crf", str(what.crf), "-threads", "1"]
    if not what.crf:
        codec = ["-c:v", "ffv1", "-level", "3", "-slicecrc", "1", "-g", "1"]
    matrix = assumed(video).matrix or "smpte170m"
    others = [f"1:{s.index}" for s in info.others() if s.kind in {"audio", "subtitle"}]
    return [
        "-copyts", "-f", "nut", "-i", "pipe:0", "-i", ffmpeg.file_url(source),
        "-map", "0:v", *(part for one in others for part in ("-map", one)),
        "-map_metadata", "1", "-fps_mode", "passthrough",
        *codec, "-c:a", "copy", "-c:s", "copy",
        "-colorspace", matrix, "-color_range", assumed(video).range or "tv",
        "-avoid_negative_ts", "disabled", "-fflags", "+bitexact", "-flags:v", "+bitexact",
        "-y", "-f", "matroska", ffmpeg.file_url(target),
    ]  # fmt: skip
