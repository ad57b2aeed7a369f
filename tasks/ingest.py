"""Ingest: a film becomes known. Its bytes are hashed and its frames decoded once, for everyone.

That one pass gives the frame index (time and checksum of every frame), the shot list and the measures
from which facts of its scenes are told. A film that
is known already, wherever its file lies now, is not decoded again.
"""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av

from captioners.measure import measured
from catalog.films import film_by_id, register_film
from catalog.shots import latest_shot_list, save_shot_list
from media.frames import FrameIndex, IndexWriter, index_film
from media.probe import MediaInfo, probe
from restar.errors import MediaError, StoreError
from restar.film import FilmManifest, Identifiers, Scene, Source
from restar.hashing import canonical_json, sha256_of_file
from restar.progress import track
from tasks.house import House
from tasks.measure import measurer_for, save_measures
from tasks.shots import DETECTOR, ShotSettings, detect_scenes
from tasks.step import step

__all__ = ["ingest"]

_NOMINAL = Fraction(25)  # where a film says no frame rate; only cut detection uses it


@step("ingest {path.name}")
def ingest(house: House, *, path: Path, identifiers: Identifiers | None = None) -> str:
    """Make a film known; return its id.

    Raises MediaError for what is no whole film. A film that can't be read leaves nothing behind.
    """
    path = path.absolute()
    info = probe(path)
    with track(f"reading {path.name}", "bytes", info.size) as advance:
        source = Source(sha256_of_file(path, advance), info.size, path.name)
    manifest = FilmManifest("file", (source,), identifiers or Identifiers())
    with house.catalog.read() as session:
        known = film_by_id(session, manifest.film_id)
        listed = latest_shot_list(session, manifest.film_id)
    if known is not None and listed is not None and _index_is_whole(house, known.frame_index):
        _register(house, manifest, path, info, known.frame_index, known.frames)
        return manifest.film_id
    index_sha256, scenes, measures_sha256 = _one_pass(house, path, info)
    if path.stat().st_size != info.size:
        raise MediaError(f"{path}: changed while it was read; try again once it is whole")
    _register(house, manifest, path, info, index_sha256, scenes[-1].end, scenes)
    save_measures(house, manifest.film_id, measures_sha256)
    return manifest.film_id


def _one_pass(house: House, path: Path, info: MediaInfo) -> tuple[str, list[Scene], str]:
    rate = info.video.rate or _NOMINAL
    with house.store.staging() as folder:
        index = folder / "index.npy"
        with (
            IndexWriter(index) as writer,
            measurer_for(folder, info.video.rate) as measurer,
            closing(_shown(path, info, index_film(path, info, writer))) as shown,
            closing(measured(shown, measurer)) as frames,
        ):
            scenes = detect_scenes(frames, info.format, rate, ShotSettings())
        FrameIndex.load(index, info.video.time_base)
        measures = house.store.publish(folder / "measures.npz")
        return house.store.publish(index), scenes, measures


def _shown(
    path: Path, info: MediaInfo, frames: Iterator[av.VideoFrame]
) -> Generator[av.VideoFrame, None, None]:
    """Pass frames on, counting them on a progress bar."""
    expected = info.video.frames or None
    if expected is None and info.video.duration and info.video.rate:
        expected = round(info.video.duration * info.video.time_base * info.video.rate)
    with track(f"indexing {path.name}", "frames", expected) as advance:
        for frame in frames:
            yield frame
            advance(1)


def _register(
    house: House,
    manifest: FilmManifest,
    path: Path,
    info: MediaInfo,
    index_sha256: str,
    frames: int,
    scenes: list[Scene] | None = None,
) -> None:
    with house.catalog.begin() as session:
        register_film(
            session,
            manifest,
            media=json.loads(canonical_json(info.to_json())),
            frame_index=index_sha256,
            frames=frames,
            paths=[path],
            agent=house.who,
        )
        if scenes is not None and latest_shot_list(session, manifest.film_id) is None:
            save_shot_list(
                session,
                manifest.film_id,
                scenes,
                detector=DETECTOR,
                parameters=ShotSettings().to_json(),
                made_by=house.who,
            )


def _index_is_whole(house: House, sha256: str) -> bool:
    try:
        house.store.verify(sha256)
    except StoreError:
        return False
    return True
