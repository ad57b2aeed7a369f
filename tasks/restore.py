"""Restoring one scene: its frames through the chain of restorers into a take, published whole."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av

from media.format import TakeFormat, VideoFormat
from media.frames import decode_range
from media.take import TakeWriter, WrittenTake
from restar.errors import VerificationError
from restar.progress import Advance, track
from restar.spec import Spec
from restar.timeline import FrameRange
from restorers import Restorer, StepContext, restorer
from tasks.house import House, OpenFilm
from tasks.step import step

__all__ = ["MadeTake", "Workshop", "restore_scene", "restored_frames"]

_NOMINAL = Fraction(25)


@dataclass(frozen=True)
class MadeTake:
    """A take in the store: its file, the checksums of its frames (16 bytes each), its cost."""

    sha256: str
    checksums_sha256: str
    bytes: int
    seconds: float


@dataclass
class Workshop:
    """Restorers kept warm from scene to scene, one of each."""

    _members: dict[str, Restorer] = field(default_factory=dict)

    def restorer(self, name: str) -> Restorer:
        if name not in self._members:
            self._members[name] = restorer(name)
        return self._members[name]


@step("restore scene {number}")
def restore_scene(
    house: House,
    workshop: Workshop,
    film: OpenFilm,
    spec: Spec,
    frames: FrameRange,
    *,
    number: int,
) -> MadeTake:
    """Make the take of one scene (`number` names the run) and publish it.

    Raises VerificationError where a restorer gives another number of frames than it got.
    """
    began = time.monotonic()
    with (
        house.store.staging() as folder,
        track(f"{film.path.name} scene {number}", "frames", frames.count) as advance,
    ):
        target = folder / "take.mkv"
        chain = restored_frames(workshop, film, spec, frames)
        take_format = TakeFormat.from_json(spec.format)
        rate = film.info.video.rate or _NOMINAL
        with TakeWriter(target, take_format, rate, house.settings.threads) as writer:
            written = _write(writer, chain, frames, advance)
        checksums = folder / "checksums"
        checksums.write_bytes(written.md5s)
        size = target.stat().st_size
        sha256 = house.store.publish(target)
        return MadeTake(sha256, house.store.publish(checksums), size, time.monotonic() - began)


def restored_frames(
    workshop: Workshop, film: OpenFilm, spec: Spec, frames: FrameRange
) -> Iterator[av.VideoFrame]:
    """Yield a range's frames as the chain of a spec makes them, holding few at a time."""
    pictures = decode_range(film.path, film.info, film.index, frames)
    video: VideoFormat = film.info.format
    last = TakeFormat.from_json(spec.format).video
    for number, resolved in enumerate(spec.steps, start=1):
        member = workshop.restorer(resolved.use)
        target = last if number == len(spec.steps) else member.output(resolved, video)
        context = StepContext(
            frames, resolved, video, target, spec.seed, spec.prompt, spec.negative
        )
        pictures, video = member.restore(pictures, context), target
    return pictures


def _write(
    writer: TakeWriter, pictures: Iterator[av.VideoFrame], frames: FrameRange, advance: Advance
) -> WrittenTake:
    count = 0
    for picture in pictures:
        count += 1
        if count > frames.count:
            break
        writer.write(picture)
        advance(1)
    if count != frames.count:
        raise VerificationError(
            f"frames {frames}: the restorer gave {'more' if count > frames.count else count} "
            f"frames for {frames.count}"
        )
    return writer.finish()
