"""Access copies: H.264 for people to look at, one encode of the master in one pass.

The filter graph is built with ffmpeg-python as data and run by `media.ffmpeg`. Every frame keeps its
own time; chroma subsampling needs even sizes, so an odd last row or column is repeated once.
"""

from pathlib import Path

import ffmpeg as graph

from media import ffmpeg
from media.probe import MediaInfo

__all__ = ["access_arguments", "is_access_copy_of", "write_access_copy"]


def write_access_copy(master: Path, info: MediaInfo, target: Path, crf: int, sha256: str) -> None:
    """Write an H.264 copy of a master to `target`, naming the master's sha256 in its comment.

    Raises MediaError or StoreError; then no file is left.
    """
    try:
        ffmpeg.run(access_arguments(master, info, target, crf, sha256), f"writing {target.name}")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def access_arguments(
    master: Path, info: MediaInfo, target: Path, crf: int, sha256: str
) -> list[str]:
    """Return ffmpeg's arguments for an access copy."""
    source = graph.input(ffmpeg.file_url(master), copyts=None)
    picture = source[f"{info.picture}"]
    video = info.format
    odd_columns, odd_rows = video.width % 2, video.height % 2
    if odd_columns or odd_rows:
        picture = picture.filter("pad", f"iw+{odd_columns}", f"ih+{odd_rows}").filter(
            "fillborders", right=odd_columns, bottom=odd_rows, mode="smear"
        )
    picture = picture.filter("format", "yuv420p")
    streams = [picture]
    if any(stream.kind == "audio" for stream in info.streams):
        streams.append(source["a"])
    output = graph.output(
        *streams,
        ffmpeg.file_url(target),
        **{
            "c:v": "libx264", "crf": crf, "preset": "medium", "c:a": "aac", "b:a": "192k",
            "fps_mode": "passthrough", "movflags": "+faststart", "f": "mp4",
            "metadata": f"comment={_mark(sha256)}",
        },
    ).overwrite_output()  # fmt: skip
    return [str(part) for part in output.get_args()]


def is_access_copy_of(sha256: str, info: MediaInfo) -> bool:
    """Whether a probed file is the access copy of the master of that hash."""
    return info.metadata.get("comment") == _mark(sha256)


def _mark(sha256: str) -> str:
    return f"restar access copy of {sha256}"
