"""The store: whole or not at all, known by hash, altered files noticed."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from restar.errors import StoreError
from restar.hashing import sha256_of_file
from store import AlteredError, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, data: bytes) -> str:
    with store.staging() as folder:
        path = folder / "file"
        path.write_bytes(data)
        return store.publish(path)


def test_what_is_published_is_found_by_its_hash(store: Store) -> None:
    sha256 = put(store, b"frames")
    assert store.open_local(sha256).read_bytes() == b"frames"
    assert store.verify(sha256) == store.open_local(sha256)
    assert list((store.root / "staging").iterdir()) == []


def test_the_same_bytes_twice_are_one_file(store: Store) -> None:
    assert put(store, b"x") == put(store, b"x")
    assert len([p for p in (store.root / "objects").rglob("*") if p.is_file()]) == 1


def test_what_is_published_survives_a_power_cut(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes before the name, then the name; its folder was written before any file came."""
    synced: list[tuple[str, bool]] = []

    def note(path: Path) -> None:
        inside = path.is_relative_to(store.root)
        where = path.relative_to(store.root).parts[0] if inside else str(path)
        synced.append((where, path.is_file()))

    monkeypatch.setattr("store.fsync", note)
    put(store, b"x")
    assert synced == [("staging", True), ("objects", False)]
    synced.clear()
    other = Store(tmp_path / "other")
    assert synced == [(str(other.root / "objects"), False)]


def test_an_altered_file_is_set_aside(store: Store) -> None:
    sha256 = put(store, b"frames")
    path = store.open_local(sha256)
    path.chmod(0o644)
    path.write_bytes(b"frameS")
    with pytest.raises(AlteredError, match="altered"):
        store.verify(sha256)
    assert not store.holds(sha256)
    assert [p.read_bytes() for p in (store.root / "quarantine").iterdir()] == [b"frameS"]
    assert put(store, b"frames") == sha256


def test_what_it_published_itself_is_hashed_again_only_if_touched(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = put(store, b"frames")
    read: list[Path] = []

    def hashed(path: Path, progress: object = None) -> str:
        read.append(path)
        return sha256_of_file(path)

    monkeypatch.setattr("store.sha256_of_file", hashed)
    assert store.verify(sha256, own=True) == store.verify(sha256)
    assert len(read) == 1, "only the one that did not ask for less"
    Store(store.root).verify(sha256, own=True)
    assert len(read) == 2, "another process's store knows nothing of it"
    path = store.open_local(sha256)
    times = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"framez")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(AlteredError):
        store.verify(sha256, own=True)


def test_publishing_again_heals_an_altered_file(store: Store) -> None:
    sha256 = put(store, b"frames")
    path = store.open_local(sha256)
    path.chmod(0o644)
    path.write_bytes(b"damage")
    put(store, b"frames")
    assert store.verify(sha256).read_bytes() == b"frames"


def test_a_missing_file_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="missing from the store"):
        store.open_local("0" * 64)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "Z" * 64])
def test_only_a_hash_is_a_name(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="not a sha256"):
        store.open_local(name)


def test_an_error_in_staging_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.staging() as folder:
        (folder / "half").write_bytes(b"half")
        raise RuntimeError
    assert list((store.root / "staging").iterdir()) == []


def test_a_root_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="RESTAR_STORE"):
        Store(tmp_path / "file" / "store")


@pytest.mark.kill
def test_what_a_killed_process_left_is_swept_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    code = f"""
        import os, sys, time
        from pathlib import Path
        from store import Store
        with Store(Path({str(tmp_path / "store")!r})).staging() as folder:
            (folder / "half").write_bytes(b"half")
            print(folder, flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        Store(tmp_path / "store")
        assert (folder / "half").exists(), "a live process's staging folder was swept"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    Store(tmp_path / "store")
    assert not folder.exists()
