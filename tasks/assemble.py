"""Assembly: the selected takes become a master, proven against them before it gets its name.

The source is hashed again (its sound is copied from it), and so are the takes, but those that this very
process hashed when it made them and that nobody touched since. The finished file is decoded again and
every frame held against the checksum that its take was made with. Until all that holds there is only a
hidden temporary file beside the place where the master is to be.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from catalog.models import RestorationRow, RestorationSceneRow, TakeRow
from media.attach import sidecar_of
from media.check import check_pictures, check_streams
from media.format import TakeFormat
from media.master import MasterPlan, shift_of, write_master
from media.parts import film_files
from media.probe import probe
from media.streams import Carried, Container
from restar.errors import MediaError, StoreError, VerificationError
from restar.hashing import sha256_of_file
from restar.progress import track
from store import replace
from tasks.house import House, OpenFilm
from tasks.step import step

__all__ = ["MadeMaster", "SelectedTake", "assemble_master", "claim_place", "master_path"]

FILM_TAG, RESTORATION_TAG = "RESTAR_FILM", "RESTAR_RESTORATION"


@dataclass(frozen=True)
class SelectedTake:
    """A scene and the take that stands for it."""

    scene: RestorationSceneRow
    take: TakeRow


@dataclass(frozen=True)
class MadeMaster:
    """A master in its place. `framemd5` is the sha256 over the MD5s of all its frames, in order."""

    path: Path
    sha256: str
    bytes: int
    framemd5: str
    detail: dict[str, Any]


def master_path(folder: Path, source: Path, recipe: str, container: Container = "matroska") -> Path:
    """Return where the master of a film under a recipe goes."""
    suffix = {"matroska": "mkv", "mov": "mov"}[container]
    name = source.name if source.is_dir() else source.stem
    return folder.absolute() / f"{name}.{recipe}.{suffix}"


def claim_place(target: Path, film_id: str, force: bool) -> None:
    """Make the folder of a master; raise StoreError where the master must not or can't be written.

    A file that restar made of the same film is replaced; any other one is not, but by force.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        trial = _part(target)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise StoreError(
            f"{target.parent}: can't be written ({error.strerror}); choose another folder by -o"
        ) from None
    if target.exists() and not force and not _made_of(target, film_id):
        raise StoreError(
            f"{target}: exists and is no master of this film; move it, choose another folder by "
            "-o, or replace it by --force"
        )


@step("assemble {target.name}")
def assemble_master(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    selected: Sequence[SelectedTake],
    *,
    target: Path,
    tags: dict[str, str],
    container: Container = "matroska",
    force: bool = False,
) -> MadeMaster:
    """Write, verify and place the master of a restoration.

    Raises AlteredError for a take that is not what it was, MediaError for such a source, and
    VerificationError where the finished file is not what it has to be (it is removed).
    """
    _source_is_whole(film)
    paths = _whole_takes(house, selected)
    claim_place(target, film.row.id, force)
    _refuse_lack_of_space(target, selected)
    plan = MasterPlan(
        source=film.path,
        info=film.info,
        index=film.index,
        takes=paths,
        take_format=TakeFormat.from_json(restoration.take_format),
        marks=film.marks,
        tags={FILM_TAG: film.row.id, RESTORATION_TAG: restoration.id, **tags},
        container=container,
    )
    part = _part(target)
    try:
        with track(f"assembling {target.name}", "frames", film.index.count):
            carried = write_master(plan, part)
        digest = _verify(house, film, selected, carried, part, target)
        sha256 = sha256_of_file(part)
        size = part.stat().st_size
        if container == "mov":
            replace(sidecar_of(part), sidecar_of(target))
        replace(part, target)
    finally:
        part.unlink(missing_ok=True)
        sidecar_of(part).unlink(missing_ok=True)
    detail = {
        "streams": [
            {"kind": c.stream.kind, "codec": c.stream.codec, "how": c.how, "note": c.note}
            for c in carried
        ]
    }
    return MadeMaster(target, sha256, size, digest, detail)


def _source_is_whole(film: OpenFilm) -> None:
    sources, files = film.row.to_manifest().sources, film_files(film.path)
    with track(f"checking {film.path.name}", "bytes", files.size) as advance:
        for source, file in zip(sources, files.all, strict=True):
            if sha256_of_file(file, advance) != source.sha256:
                raise MediaError(
                    f"{file}: is not the file that was ingested; put the right one back"
                )


def _whole_takes(house: House, selected: Sequence[SelectedTake]) -> list[Path]:
    total = sum(one.take.bytes for one in selected)
    with track("checking takes", "bytes", total) as advance:
        return [house.store.verify(one.take.sha256, advance, own=True) for one in selected]


def _verify(
    house: House,
    film: OpenFilm,
    selected: Sequence[SelectedTake],
    carried: Sequence[Carried],
    part: Path,
    target: Path,
) -> str:
    digest, shift = hashlib.sha256(), shift_of(film.index)

    def expected() -> Iterator[tuple[Fraction, bytes]]:
        for one in selected:
            md5s = house.store.verify(one.take.checksums_sha256, own=True).read_bytes()
            if len(md5s) != 16 * (one.scene.end - one.scene.start):
                raise VerificationError(f"scene {one.scene.number}: its take has a wrong length")
            for number in range(one.scene.start, one.scene.end):
                at = 16 * (number - one.scene.start)
                digest.update(md5s[at : at + 16])
                yield film.index.time(number) + shift, md5s[at : at + 16]

    with track(f"verifying {target.name}", "frames", film.index.count) as advance:
        check_pictures(part, expected(), advance)
    checks = check_streams(film.path, film.info, film.index, film.marks, carried, part)
    wrong = next((check for check in checks if not check.equal), None)
    if wrong is not None:
        raise VerificationError(
            f"{target.name}: {wrong.name}: source {wrong.source}, master {wrong.master}"
            + ('; use deliver.container = "matroska"' if target.suffix == ".mov" else "")
        )
    return digest.hexdigest()


def _refuse_lack_of_space(target: Path, selected: Sequence[SelectedTake]) -> None:
    needed = sum(one.take.bytes for one in selected)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise StoreError(
            f"{target.parent}: has {free >> 20} MiB free and the master needs {needed >> 20} MiB; "
            "free some space or choose another folder by -o"
        )


def _made_of(target: Path, film_id: str) -> bool:
    try:
        return probe(target).metadata.get(FILM_TAG) == film_id
    except MediaError:
        return False


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")
