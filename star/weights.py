"""The weights of an installation: one folder for each name, with a record of what it is.

    RESTAR_HOME/weights/NAME/
        weights.json                    kind, source, licence and who accepted it, sha256 of every file
        unet/  controlnet/              the denoiser          (each a folder that from_pretrained reads)
        vae/                            between pictures and latents
        text_encoder/                   between prompts and the denoiser

A name holds one part, or several, or a whole model. What is not complete never appears under its name:
it is made in a folder beside and moved there at the end. Importing this needs no torch.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from restar.errors import CheckpointError, UsageError
from restar.hashing import sha256_of, sha256_of_file

__all__ = [
    "PARTS",
    "FileRecord",
    "Installed",
    "Part",
    "WeightsRecord",
    "check_free",
    "find_weights",
    "incoming",
    "installed",
    "record_of",
    "verify_files",
    "write_record",
]

Part = Literal["unet", "controlnet", "vae", "text_encoder"]
PARTS: tuple[Part, ...] = ("unet", "controlnet", "vae", "text_encoder")

RECORD = "weights.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_STALE_SECONDS = 86_400
_STAGING = ".incoming-"


class FileRecord(BaseModel):
    """One file of a weights folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    bytes: int


class WeightsRecord(BaseModel):
    """What a weights folder is: weights.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    parts: tuple[Part, ...]
    trained: bool
    source: str
    source_sha256: str = ""
    licence: str
    licence_url: str = ""
    commercial_use: bool
    accepted_by: str = ""
    accepted_at: str = ""
    parameters: int
    files: dict[str, FileRecord]
    sha256: str
    note: str = ""


@dataclass(frozen=True)
class Installed:
    """Weights that are here: their record and their folder."""

    record: WeightsRecord
    path: Path

    def part(self, part: Part) -> Path:
        """Return a part's folder; raise CheckpointError where these weights have none."""
        if part not in self.record.parts:
            raise CheckpointError(
                f"weights '{self.record.name}' hold {', '.join(self.record.parts)}, no {part}"
            )
        return self.path / part


def installed(home: Path) -> tuple[list[Installed], list[str]]:
    """Return the weights in a weights folder, by name, and a line for each that can't be read."""
    found, broken = [], []
    names = sorted(p.name for p in home.iterdir() if p.is_dir()) if home.is_dir() else []
    for name in names:
        if name.startswith("."):
            continue
        try:
            found.append(find_weights(home, name))
        except CheckpointError as error:
            broken.append(str(error))
    return found, broken


def find_weights(home: Path, name: str) -> Installed:
    """Return the weights of this name; raise CheckpointError, saying how to get them, if not here."""
    check_name(name)
    folder = home / name
    if not folder.is_dir():
        names = ", ".join(sorted(p.name for p in home.glob("[!.]*"))) if home.is_dir() else ""
        raise CheckpointError(
            f"weights '{name}' are not installed in {home} (there: {names or 'none'}); "
            f"`restar weights list` shows which can be fetched, `restar weights fetch {name}` or "
            f"`restar weights import FILE --as {name}` brings them"
        )
    try:
        text = (folder / RECORD).read_text("utf-8")
        return Installed(WeightsRecord.model_validate_json(text), folder)
    except (OSError, ValidationError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise CheckpointError(
            f"weights '{name}': {folder / RECORD} can't be read ({said}); bring them in again, --force"
        ) from None


def verify_files(
    weights: Installed, progress: Callable[[int], None] | None = None
) -> WeightsRecord:
    """Return the record if every file has its recorded sha256; raise CheckpointError if not."""
    here = {
        path.relative_to(weights.path).as_posix(): path
        for path in sorted(weights.path.rglob("*"))
        if path.is_file() and path.name != RECORD
    }
    name = weights.record.name
    for relative, wanted in weights.record.files.items():
        path = here.pop(relative, None)
        if path is None:
            raise CheckpointError(f"weights '{name}': {relative} is gone; bring them in again")
        if path.stat().st_size != wanted.bytes or sha256_of_file(path, progress) != wanted.sha256:
            raise CheckpointError(
                f"weights '{name}': {relative} is not what was installed (its sha256 differs); "
                "bring them in again with --force"
            )
    if here:
        raise CheckpointError(f"weights '{name}': {next(iter(here))} was not installed; remove it")
    if sha256_of(_plain(weights.record.files)) != weights.record.sha256:
        raise CheckpointError(f"weights '{name}': the sha256 in {RECORD} is not that of its files")
    return weights.record


def record_of(folder: Path) -> tuple[dict[str, FileRecord], str]:
    """Return the record of every file in a folder and the sha256 that names them together."""
    files = {
        path.relative_to(folder).as_posix(): FileRecord(
            sha256=sha256_of_file(path), bytes=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != RECORD
    }
    return files, sha256_of(_plain(files))


@contextmanager
def incoming(home: Path, name: str, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder; when the block ends well it becomes the weights `name`, else it is gone.

    Raises UsageError for a name that is taken (unless `force`), or that is none.
    """
    check_free(home, name, force)
    target = home / name
    try:
        home.mkdir(parents=True, exist_ok=True)
        _remove_stale(home)
        folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home))
    except OSError as error:
        raise CheckpointError(f"weights can't be kept in {home}: {error.strerror}") from None
    try:
        yield folder
        _sync(folder)
        _swap(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_record(folder: Path, record: WeightsRecord) -> None:
    """Write weights.json."""
    text = json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / RECORD).write_text(text + "\n", "utf-8")


def check_name(name: str) -> None:
    """Raise UsageError for what can't name weights (it becomes a folder's name)."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' can't name weights: small letters, digits, '-', '_' and '.', at most 64, "
            "beginning with a letter or digit"
        )


def check_free(home: Path, name: str, force: bool = False) -> None:
    """Raise UsageError for a name that is taken, unless `force`, or that is none."""
    check_name(name)
    if (home / name).exists() and not force:
        raise UsageError(
            f"weights '{name}' are there already, in {home / name}; --force replaces them"
        )


def _swap(folder: Path, target: Path) -> None:
    """Move the folder to its place; what was there goes away only after that."""
    old = target.with_name(f"{folder.name}.old")
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Bring everything to disk, readable for whom the user's umask lets read."""
    umask = os.umask(0)
    os.umask(umask)
    for path in [*folder.rglob("*"), folder]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_stale(home: Path) -> None:
    """Remove what a killed process left behind long ago."""
    for path in home.glob(f"{_STAGING}*"):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _plain(files: dict[str, FileRecord]) -> dict[str, str]:
    return {name: file.sha256 for name, file in files.items()}
