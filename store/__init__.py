"""Files by hash: written in a staging folder, published whole, never changed afterwards.

A file is flushed to disk, hashed, and renamed under its sha256 in one step, so that a crash leaves
either the whole file or none. What is read again is hashed again first: an altered file is set aside
and reported, never used. The store is a folder on a disk, or a bucket on S3 with such a folder as its
cache (store.remote); `open_store` opens either.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from restar.errors import StoreError
from restar.hashing import sha256_of_file

__all__ = [
    "AlteredError", "Store", "file_state", "fsync", "open_store", "replace", "write_error",
    "write_text",
]  # fmt: skip

_SHA256 = re.compile(r"[0-9a-f]{64}")


class AlteredError(StoreError):
    """A stored file is not what it was when it was published; it has been set aside."""


class Store:
    """A store in a local folder: `objects/` by hash, `staging/` being written, `quarantine/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._own: dict[str, tuple[int, ...]] = {}
        try:
            for name in ("objects", "staging", "quarantine"):
                (root / name).mkdir(parents=True, exist_ok=True)
            _make_folders(root / "objects")
        except OSError as error:
            raise StoreError(
                f"{root}: can't be made ({error.strerror}); set RESTAR_HOME or RESTAR_STORE to a "
                "folder that you may write to"
            ) from None
        self._sweep()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield a new folder to write in; it is gone afterwards, also after a crash (at next use)."""
        folder = self.root / "staging" / f"{os.getpid()}-{secrets.token_hex(4)}"
        lock_path = folder.with_suffix(_LOCK)
        with ExitStack() as held:
            try:
                held.enter_context(_locked(lock_path))
                folder.mkdir()
            except OSError as error:
                raise write_error(folder, error) from None
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                lock_path.unlink(missing_ok=True)

    def publish(self, path: Path) -> str:
        """Move a finished file from staging into the store; return its sha256.

        A file of the same bytes that is there already is kept, if it still has them.
        """
        sha256 = sha256_of_file(path)
        target = self._object(sha256)
        try:
            path.chmod(0o444)
            replace(path, target)
            self._own[sha256] = file_state(target)
        except OSError as error:
            raise write_error(target, error) from None
        return sha256

    def holds(self, sha256: str) -> bool:
        """Whether a file of that hash is there (by name; `verify` reads it)."""
        return self._object(sha256).is_file()

    def open_local(self, sha256: str) -> Path:
        """Return the path of a stored file; raise StoreError if it is missing."""
        path = self._object(sha256)
        if not path.is_file():
            raise StoreError(
                f"{path}: is missing from the store; was RESTAR_HOME or RESTAR_STORE changed?"
            )
        return path

    def verify(
        self, sha256: str, progress: Callable[[int], None] | None = None, *, own: bool = False
    ) -> Path:
        """Return the path of a stored file after hashing it.

        With `own`, one that this store hashed when it published it, and that nobody touched since (by
        inode, size and times), is not read again. Raises StoreError if it is missing, AlteredError if
        its bytes changed (then it is set aside).
        """
        path = self.open_local(sha256)
        try:
            if own and self._own.get(sha256) == file_state(path):
                return path
            actual = sha256_of_file(path, progress)
        except OSError as error:
            raise StoreError(f"{path}: can't be read ({error.strerror})") from None
        if actual != sha256:
            aside = self.root / "quarantine" / f"{sha256}-{secrets.token_hex(4)}"
            path.replace(aside)
            raise AlteredError(f"{path}: was altered since it was made; set aside as {aside}")
        return path

    def remove(self, sha256: str) -> None:
        """Remove an object; one that is not there is no error. Whether it may go is the caller's."""
        try:
            self._object(sha256).unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self._object(sha256), error) from None

    def check(self, sha256: str, progress: Callable[[int], None] | None = None) -> None:
        """Hash a stored object where it is kept, as `verify` does; a cache is not believed."""
        self.verify(sha256, progress)

    def free_bytes(self) -> int:
        """How many bytes may still be written."""
        return shutil.disk_usage(self.root).free

    def _object(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise StoreError(f"'{sha256}' is not a sha256")
        return self.root / "objects" / sha256[:2] / sha256

    def _sweep(self) -> None:
        """Remove staging folders whose process is gone: it held a lock as long as it lived."""
        for lock_path in (self.root / "staging").glob(f"*{_LOCK}"):
            try:
                with lock_path.open("r") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
                    lock_path.unlink(missing_ok=True)
            except (BlockingIOError, FileNotFoundError):
                continue


def open_store(place: str, cache: Path, cache_gib: float = 100.0) -> Store:
    """Open the store in a folder, or at `s3://bucket/prefix` with `cache` as its folder here.

    The cache is kept below `cache_gib` GiB. Raises StoreError for another sort of URL, and where it
    can't be reached.
    """
    scheme, colon, _ = place.partition("://")
    if not colon:
        return Store(Path(place).absolute())
    if scheme != "s3":
        raise StoreError(f"{place}: not a store: give a folder, or s3://bucket/prefix")
    from store.remote import S3Store

    return S3Store(place, cache, round(cache_gib * 2**30))


def _make_folders(objects: Path) -> None:
    """Make the folders of all first bytes, and write their names to disk, before any is needed."""
    if (objects / "ff").is_dir():
        return
    for first in range(256):
        (objects / f"{first:02x}").mkdir(exist_ok=True)
    fsync(objects)


def file_state(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced; the last, ctime, can't be set by anyone."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


_LOCK = ".lock"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; one that a sweep removed before it was locked is made again."""
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock.fileno()).st_nlink:
                yield
                return


def replace(path: Path, target: Path) -> None:
    """Give a finished file its final name in one step that survives a power cut."""
    try:
        fsync(path)
        path.replace(target)
        fsync(target.parent)
    except OSError as error:
        raise write_error(target, error) from None


def write_text(target: Path, text: str) -> None:
    """Write a text file (UTF-8, its line ends as given) whole or not at all, in a folder made for it."""
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        replace(part, target)
    except OSError as error:
        raise write_error(target, error) from None
    finally:
        part.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(path: Path, error: OSError) -> StoreError:
    """Return what to tell a person about a failed write."""
    reason = error.strerror or str(error)
    return StoreError(
        f"{path}: can't be written ({reason}); free some space or choose another place"
    )
