"""A store on S3, with a folder here that is its cache.

A finished file is hashed, uploaded under its hash (in parts where it is large), and counts only when S3
says that it holds the same bytes: by the MD5s of the parts (the ETag), or where a bucket's encryption
hides those, by reading it back. What is read is downloaded once, hashed, and kept; only whole files are
in the cache, so what reads them needs to know nothing of S3. Calls that fail are tried again, longer and
longer apart; where S3 stays away the error is one line, and nothing half-written counts.

Credentials, region and endpoint are those of AWS's own tools (AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL_S3, ...), never settings of restar.
"""

import hashlib
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from restar.errors import StoreError
from restar.hashing import sha256_of_file
from store import AlteredError, Store, file_state, replace, write_error

__all__ = ["S3Store"]

_log = logging.getLogger("restar.store")
T = TypeVar("T")


class S3Store(Store):
    """A store at `s3://bucket/prefix`; `root` is the folder of the cache."""

    part_bytes = 32 << 20
    """Bytes of a part of an upload (5 MiB is the least that S3 takes)."""
    tries = 6
    longest_wait_s = 30.0
    _kept_s = 3600.0  # what was used within the hour is never put out of the cache

    def __init__(self, url: str, cache: Path, cache_bytes: int) -> None:
        super().__init__(cache)
        try:
            import s3fs
        except ImportError:
            raise StoreError(f"{url}: needs s3fs: pip install 'restar[s3]'") from None
        self.url = url.rstrip("/")
        self._prefix = self.url.removeprefix("s3://")
        self._cache_bytes = cache_bytes
        self._fs: Any = s3fs.S3FileSystem(
            use_listings_cache=False,
            default_fill_cache=False,
            config_kwargs={
                "connect_timeout": 10,
                "read_timeout": 60,
                "retries": {"max_attempts": 3, "mode": "standard"},
                "max_pool_connections": 32,
            },
        )
        self._fs.retries = 2  # above that, `_tried` waits longer and says so
        bucket = self._prefix.partition("/")[0]
        if not bucket:
            raise StoreError(f"{url}: names no bucket: write s3://bucket/prefix")
        if not self._tried("reaching", lambda: self._fs.exists(bucket)):
            raise StoreError(f"{url}: there is no bucket '{bucket}', or it may not be read")

    def publish(self, path: Path) -> str:
        """Put a finished file into the cache and the bucket; return its sha256."""
        sha256 = super().publish(path)
        local = super()._object(sha256)
        key = self._key(sha256)
        size = local.stat().st_size
        if self._size_of(key) != size:
            part = self._part_of(size)
            put = lambda: self._fs.put_file(str(local), key, chunksize=part)  # noqa: E731
            self._tried(f"uploading {sha256[:12]}", put)
        self._confirm(local, key, sha256, size)
        self._use(sha256)
        self._trim()
        return sha256

    def holds(self, sha256: str) -> bool:
        """Whether an object of that hash is in the bucket (by name; `verify` reads it)."""
        return self._size_of(self._key(sha256)) is not None

    def open_local(self, sha256: str) -> Path:
        """Return the path of an object here, downloaded and hashed where it was not.

        Raises StoreError if it is missing, AlteredError if the bucket's bytes changed.
        """
        path = super()._object(sha256)
        if not path.is_file():
            self._download(sha256, path)
        self._use(sha256)
        return path

    def verify(
        self, sha256: str, progress: Callable[[int], None] | None = None, *, own: bool = False
    ) -> Path:
        """Return the path of an object here after hashing it; an altered copy is fetched again."""
        path = super()._object(sha256)
        if path.is_file():
            self._use(sha256)
            try:
                return super().verify(sha256, progress, own=own)
            except AlteredError as error:
                _log.warning("%s; it is fetched again", error)
        self._download(sha256, path)
        self._use(sha256)
        return path

    def remove(self, sha256: str) -> None:
        """Remove an object from the bucket and from here."""
        key = self._key(sha256)
        if self._size_of(key) is not None:
            self._tried("removing", lambda: self._fs.rm_file(key))
        super().remove(sha256)

    def check(self, sha256: str, progress: Callable[[int], None] | None = None) -> None:
        """Hash an object in the bucket, reading all of it.

        Raises StoreError if it is missing, AlteredError if it changed (then it is set aside).
        """
        key = self._key(sha256)
        if self._tried(f"reading {sha256[:12]}", lambda: self._hash(key, progress)) != sha256:
            self._set_aside(sha256)

    def _download(self, sha256: str, path: Path) -> None:
        key = self._key(sha256)
        with self.staging() as folder:
            target = folder / sha256
            self._tried(f"downloading {sha256[:12]}", lambda: self._fs.get_file(key, str(target)))
            if sha256_of_file(target) != sha256:
                self._set_aside(sha256)
            try:
                target.chmod(0o444)
                path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise write_error(path, error) from None
            replace(target, path)
        self._trim()

    def _confirm(self, local: Path, key: str, sha256: str, size: int) -> None:
        """Hold what S3 says that it has against the file; raise StoreError where it differs."""
        info = self._tried(f"asking for {sha256[:12]}", lambda: self._fs.info(key))
        tag = str(info.get("ETag", "")).strip('"')
        if info["size"] == size and tag in _etags(local, self._part_of(size)):
            return
        if info["size"] != size or self._tried("reading back", lambda: self._hash(key)) != sha256:
            self._tried("removing", lambda: self._fs.rm_file(key))
            raise StoreError(
                f"{self.url}: what arrived of {sha256[:12]} is not what was sent; it was removed, try "
                "again"
            )

    def _hash(self, key: str, progress: Callable[[int], None] | None = None) -> str:
        digest = hashlib.sha256()
        with self._fs.open(key, "rb", block_size=self.part_bytes, cache_type="none") as file:
            while data := file.read(4 << 20):
                digest.update(data)
                if progress is not None:
                    progress(len(data))
        return digest.hexdigest()

    def _set_aside(self, sha256: str) -> None:
        key = self._key(sha256)
        aside = f"{self._prefix}/quarantine/{sha256}-{secrets.token_hex(4)}"
        self._tried("setting aside", lambda: self._fs.mv(key, aside))
        raise AlteredError(f"s3://{key}: was altered since it was made; set aside as s3://{aside}")

    def _size_of(self, key: str) -> int | None:
        def ask() -> int | None:
            try:
                return int(self._fs.info(key)["size"])
            except FileNotFoundError:
                return None

        return self._tried("looking", ask)

    def _key(self, sha256: str) -> str:
        return (
            f"{self._prefix}/objects/{super()._object(sha256).relative_to(self.root / 'objects')}"
        )

    def _part_of(self, size: int) -> int:
        """How large parts are: an upload has at most 10,000 of them."""
        return max(self.part_bytes, -(-size // 9000))

    def _tried(self, what: str, call: Callable[[], T]) -> T:
        """Call S3; try again where that may help, with waits that grow."""
        for attempt in range(1, self.tries + 1):
            try:
                return call()
            except FileNotFoundError as error:
                raise StoreError(
                    f"{self.url}: {what}: {error}: is missing from the store; was RESTAR_STORE changed?"
                ) from None
            except PermissionError as error:
                raise StoreError(f"{self.url}: {what}: not allowed ({error})") from None
            except Exception as error:
                if not _passes(error) or attempt == self.tries:
                    raise StoreError(
                        f"{self.url}: {what} failed {attempt} times ({type(error).__name__}: {error}); "
                        "is S3 reachable from here?"
                    ) from None
                wait = min(self.longest_wait_s, 0.2 * 3**attempt) * random.uniform(0.5, 1)  # noqa: S311
                _log.warning("%s: %s failed (%s), again in %.1f s", self.url, what, error, wait)
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _use(self, sha256: str) -> None:
        path = super()._object(sha256)
        with suppress(OSError):
            known = self._own.get(sha256) == file_state(path)
            os.utime(path)
            if known:
                self._own[sha256] = file_state(path)

    def _trim(self) -> None:
        """Put the least used copies out of the cache where it is too large; S3 has them all."""
        found = []
        for path in (self.root / "objects").glob("??/*"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for used, size, path in sorted(found):
            if total <= self._cache_bytes or used > time.time() - self._kept_s:
                return
            path.unlink(missing_ok=True)
            total -= size


def _etags(path: Path, part: int) -> Iterator[str]:
    """The ETags that S3 gives a file that was uploaded whole, and in parts of that size."""
    whole, parts = hashlib.md5(usedforsecurity=False), []
    with closing(path.open("rb")) as file:
        while data := file.read(part):
            whole.update(data)
            parts.append(hashlib.md5(data, usedforsecurity=False).digest())
    yield whole.hexdigest()
    yield f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _passes(error: Exception) -> bool:
    """Whether a failure may pass: not one of what was asked, or of who asks."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code", "") if isinstance(answer, dict) else ""
    return code not in {"NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"} and not (
        isinstance(error, (ValueError, TypeError, NotImplementedError))
    )
