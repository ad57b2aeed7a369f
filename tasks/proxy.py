"""Making a proxy: the frames of a source, of its plain resize, or of a take, for a browser to show.

A take's frames are held against the checksums that it was made with, a source's against the index of
ingest: what is looked at is what is in the master, frame by frame.
"""

import json
from collections.abc import Iterator
from fractions import Fraction

import av
from sqlalchemy.orm import Session

from catalog.models import TakeRow
from catalog.proxies import NewProxy, ProxyOf
from catalog.restorations import find_take
from media.format import TakeFormat, VideoFormat
from media.frames import decode_all, decode_range, frame_md5
from media.probe import probe
from media.proxy import ProxyWriter, index_of
from media.slots import a_slot
from restar.errors import StoreError, VerificationError
from restar.progress import track
from restar.timeline import FrameRange
from tasks.house import NOMINAL_RATE, House, open_film
from tasks.score import plainly
from tasks.step import step

__all__ = ["checked_take", "make_proxy", "take_of"]


@step("proxy of {of.kind}")
def make_proxy(house: House, *, of: ProxyOf) -> NewProxy:
    """Make a proxy and put it into the store with its index.

    Raises NoSourceError where the film is needed and not here, StoreError where the take is gone, and
    VerificationError where a frame is not the one it has to be.
    """
    frames, video, rate = _frames(house, of)
    count = of.end - of.start
    with house.store.staging() as folder:
        path, index = folder / "proxy.mp4", folder / "index.json"
        with (
            a_slot(f"proxy of {of.kind}"),
            track(
                f"proxy of {of.kind}, frames {of.start}-{of.end - 1}", "frames", count
            ) as advance,
            ProxyWriter(path, video, rate, house.settings.threads) as writer,
        ):
            for frame in frames:
                writer.write(frame)
                advance(1)
        index.write_text(json.dumps(index_of(path, video, count)), encoding="utf-8")
        size = path.stat().st_size
        return NewProxy(house.store.publish(path), house.store.publish(index), size, count)


def take_of(session: Session, take_key: str) -> TakeRow:
    """Return a take that is there; raise StoreError where it is lost."""
    take = find_take(session, take_key)
    if take is None:
        raise StoreError(f"take {take_key[:12]}: is not there (any more)")
    return take


def checked_take(house: House, take: TakeRow) -> Iterator[av.VideoFrame]:
    """Yield a take's frames, each held against its checksum; VerificationError where one differs."""
    path = house.store.open_local(take.sha256)
    md5s = house.store.open_local(take.checksums_sha256).read_bytes()
    count = 0
    for frame in decode_all(path, probe(path)):
        if frame_md5(frame) != md5s[16 * count : 16 * (count + 1)]:
            raise VerificationError(
                f"take {take.take_key[:12]}: frame {take.start + count} is not what was made"
            )
        count += 1
        yield frame
    if count != take.end - take.start:
        raise VerificationError(f"take {take.take_key[:12]}: ends after {count} frames")


def _frames(house: House, of: ProxyOf) -> tuple[Iterator[av.VideoFrame], VideoFormat, Fraction]:
    if of.kind == "take":
        with house.catalog.read() as session:
            take = take_of(session, of.take_key)
        rate = probe(house.store.open_local(take.sha256)).video.rate
        video = TakeFormat.from_json(take.spec["format"]).video
        return checked_take(house, take), video, rate or NOMINAL_RATE
    film = open_film(house, of.film_id)
    rate = film.info.video.rate or NOMINAL_RATE
    source = decode_range(film.path, film.info, film.index, FrameRange(of.start, of.end))
    if of.kind == "source":
        return source, film.info.format, rate
    wanted = TakeFormat.from_json(of.format).video
    return (plainly(frame, film.info.format, wanted) for frame in source), wanted, rate
