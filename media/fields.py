"""Which frames are interlaced or telecined, by looking: ffmpeg's `idet` on every frame of a film.

What a file says of its fields is often wrong, so what the pictures show is recorded beside it. Nothing
is decided here.
"""

import av
import av.error
from av.filter import Graph

__all__ = ["FieldDetector"]

_SCORES = ("single", "multiple", "repeated")


class FieldDetector:
    """Takes in every frame; counts what idet says (see `counts`). Formats that idet lacks: nothing."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._able = True
        self._last: dict[str, str] = {}

    def add(self, frame: av.VideoFrame) -> None:
        """Look at the next frame; all have to be of one format."""
        if not self._able:
            return
        if self._graph is None and not self._begin(frame):
            return
        assert self._graph is not None  # noqa: S101
        pts, base = frame.pts, frame.time_base
        try:
            self._graph.vpush(frame)
            self._take()
        finally:
            frame.pts = pts
            if base is not None:
                frame.time_base = base

    def counts(self) -> dict[str, int]:
        """Frames by idet's verdict over several frames, and by which field is repeated."""
        if self._graph is not None:
            self._graph.vpush(None)
            self._take()
        names = {
            "top_first": "multiple.tff", "bottom_first": "multiple.bff",
            "progressive": "multiple.progressive", "undetermined": "multiple.undetermined",
            "repeated_top": "repeated.top", "repeated_bottom": "repeated.bottom",
        }  # fmt: skip
        found = {name: self._last.get(f"lavfi.idet.{key}") for name, key in names.items()}
        return {name: round(float(value)) for name, value in found.items() if value is not None}

    def _begin(self, frame: av.VideoFrame) -> bool:
        size = f"{frame.width}x{frame.height}"
        graph = Graph()
        graph.threads = 1
        try:
            graph.link_nodes(
                graph.add(
                    "buffer", f"video_size={size}:pix_fmt={frame.format.name}:time_base=1/1000"
                ),
                graph.add("idet"),
                graph.add("buffersink"),
            ).configure()
        except (av.error.FFmpegError, ValueError):
            self._able = False
            return False
        self._graph = graph
        return True

    def _take(self) -> None:
        assert self._graph is not None  # noqa: S101
        while True:
            try:
                got = self._graph.vpull()
            except (BlockingIOError, EOFError, av.error.FFmpegError):
                return
            self._last = dict(got.metadata)
