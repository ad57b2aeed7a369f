"""Restoring one scene: its frames through the chain of restorers into a take, published whole.

Three threads share the work, so that the model never waits for a file: one decodes ahead (also of the
next scene), this one runs the model, one encodes what the model gave, publishes and commits it. A few
frames wait between them (`AHEAD`), however long the scene is.
"""

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass, field

import av

from media.format import TakeFormat, VideoFormat
from media.frames import decode_range
from media.take import TakeWriter
from restar.errors import VerificationError
from restar.progress import track
from restar.spec import Spec
from restar.timeline import FrameRange
from restorers import Restorer, StepContext, passes_on, restorer
from tasks.channel import Channel, ClosedError, ahead
from tasks.house import NOMINAL_RATE, House, OpenFilm
from tasks.step import step

__all__ = [
    "AHEAD",
    "MadeTake",
    "TakeInWork",
    "Workshop",
    "decoded",
    "restore_scene",
    "restored_frames",
    "through_chain",
]

AHEAD = 8
"""How many frames may wait between two of the threads (200 MB of 4K in 16 bits)."""

_log = logging.getLogger("restar.restore")


@dataclass(frozen=True)
class MadeTake:
    """A take in the store: its file, the checksums of its frames (16 bytes each), its cost.

    `seconds` from the scene's first frame until it was in the store, `model_seconds` of them with
    the model at work.
    """

    sha256: str
    checksums_sha256: str
    bytes: int
    seconds: float
    model_seconds: float


@dataclass
class Workshop:
    """Restorers kept warm from scene to scene, one of each."""

    _members: dict[str, Restorer] = field(default_factory=dict)

    def restorer(self, name: str) -> Restorer:
        if name not in self._members:
            self._members[name] = restorer(name)
        return self._members[name]

    def release(self) -> None:
        """Let go of every model, and give the GPU's memory back.

        A restorer that holds more than what Python counts may have a method `release`.
        """
        for member in self._members.values():
            release = getattr(member, "release", None)
            if release is not None:
                release()
        self._members.clear()
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


class TakeInWork:
    """A take that is being encoded, published and then committed, in a thread of its own.

    `put` gives it frames; `end` says that the model is done; `wait` returns when all is done, or
    raises what went wrong. `then` is called with the finished take, `otherwise` with what kept it from
    that, both in that thread. `check` is called before every frame, and may raise.
    """

    def __init__(
        self,
        house: House,
        film: OpenFilm,
        spec: Spec,
        then: Callable[[MadeTake], None],
        otherwise: Callable[[BaseException], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._house, self._then, self._otherwise, self._check = house, then, otherwise, check
        self._format = TakeFormat.from_json(spec.format)
        self._rate = film.info.video.rate or NOMINAL_RATE
        self._frames: Channel[tuple[av.VideoFrame, bytes | None]] = Channel(AHEAD)
        self._began = time.monotonic()
        self._model_seconds = 0.0
        self._error: BaseException | None = None
        self._abandoned = False
        run = copy_context().run
        self._thread = threading.Thread(target=lambda: run(self._make), name="take", daemon=True)
        self._thread.start()

    def put(self, frame: av.VideoFrame, md5: bytes | None = None) -> None:
        self._check()
        try:
            self._frames.put((frame, md5))
        except ClosedError:
            self._thread.join()
            raise self._error or VerificationError("a take was given up") from None

    def end(self, model_seconds: float) -> None:
        self._model_seconds = model_seconds
        self._frames.end()

    def abandon(self) -> None:
        """Give the take up; nothing of it is left."""
        self._abandoned = True
        self._frames.end(ClosedError())
        self._thread.join()

    @property
    def failed(self) -> bool:
        """Whether it has failed already."""
        return self._error is not None

    def wait(self, seconds: float | None = None) -> None:
        """Return when the take was committed, or time is up; raise what kept it from that."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error

    def _make(self) -> None:
        try:
            made = self._encode()
            self._then(made)
        except BaseException as error:
            if not self._abandoned:
                self._error = error
                self._otherwise(error)
        finally:
            self._frames.close()

    def _encode(self) -> MadeTake:
        store = self._house.store
        with store.staging() as folder:
            target = folder / "take.mkv"
            threads = self._house.settings.threads
            with TakeWriter(target, self._format, self._rate, threads) as writer:
                for frame, md5 in self._frames:
                    writer.write(frame, md5)
                written = writer.finish()
            checksums = folder / "checksums"
            checksums.write_bytes(written.md5s)
            size = target.stat().st_size
            sha256 = store.publish(target)
            sums = store.publish(checksums)
        seconds = time.monotonic() - self._began
        return MadeTake(sha256, sums, size, seconds, self._model_seconds)


def decoded(film: OpenFilm, spec: Spec, frames: FrameRange) -> Channel[av.VideoFrame]:
    """Begin to decode a range, `AHEAD` frames ahead of whoever reads it.

    Frames that a chain passes on are held against the film's checksums where the master is verified.
    """
    proven = _passes_on(film, spec) and not film.info.tolerant
    return ahead(
        lambda: decode_range(film.path, film.info, film.index, frames, proven=proven),
        AHEAD,
        "decoder",
    )


@step("{use}-scene-{number:03}-a{attempt}")
def restore_scene(
    workshop: Workshop,
    film: OpenFilm,
    spec: Spec,
    frames: FrameRange,
    pictures: Iterator[av.VideoFrame],
    take: TakeInWork,
    *,
    number: int,
    use: str = "restore",
    attempt: int = 1,
) -> float:
    """Run the model over one scene; return the seconds that it took.

    Scene `number`, the restorer `use` and the `attempt` name the run: "star-scene-014-a2".

    Raises VerificationError where a restorer gives another number of frames than it got.
    """
    began = time.monotonic()
    count = 0
    chain = restored_frames(workshop, film, spec, frames, pictures)
    held = _passes_on(film, spec)
    with track(f"{film.path.name} scene {number}", "frames", frames.count) as advance:
        try:
            for picture in chain:
                count += 1
                if count > frames.count:
                    break
                take.put(picture, film.index.md5(frames.start + count - 1) if held else None)
                advance(1)
        finally:
            close = getattr(chain, "close", None)
            if close is not None:
                close()
    if count != frames.count:
        raise VerificationError(
            f"frames {frames}: the restorer gave {'more' if count > frames.count else count} "
            f"frames for {frames.count}"
        )
    return time.monotonic() - began


def _passes_on(film: OpenFilm, spec: Spec) -> bool:
    """Whether frames are encoded as they are decoded, so that the index's checksums are the take's.

    A frame that was decoded wrongly is then found in the master, whose every frame is held against them.
    """
    same = TakeFormat.from_json(spec.format).video.pix_fmt == film.info.format.pix_fmt
    return same and all(passes_on(step.use) for step in spec.steps)


def restored_frames(
    workshop: Workshop,
    film: OpenFilm,
    spec: Spec,
    frames: FrameRange,
    pictures: Iterator[av.VideoFrame] | None = None,
) -> Iterator[av.VideoFrame]:
    """Yield a range's frames as the chain of a spec makes them, holding few at a time.

    `pictures` are the range's frames where they are being decoded already.
    """
    if pictures is None:
        pictures = decode_range(film.path, film.info, film.index, frames)
    return through_chain(workshop, film.info.format, spec, frames, pictures)


def through_chain(
    workshop: Workshop,
    video: VideoFormat,
    spec: Spec,
    frames: FrameRange,
    pictures: Iterator[av.VideoFrame],
) -> Iterator[av.VideoFrame]:
    """Yield frames of format `video` as the chain of a spec makes them, holding few at a time."""
    last = TakeFormat.from_json(spec.format).video
    for number, resolved in enumerate(spec.steps, start=1):
        member = workshop.restorer(resolved.use)
        target = last if number == len(spec.steps) else member.output(resolved, video)
        context = StepContext(
            frames, resolved, video, target, spec.seed, spec.prompt, spec.negative
        )
        pictures, video = member.restore(pictures, context), target
    return pictures
