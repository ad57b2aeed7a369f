"""The store on S3: what goes in comes out, whatever the network does; what is altered is never used."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from restar.errors import StoreError
from restar.hashing import sha256_of_file
from store import AlteredError, open_store
from store.remote import S3Store
from tests.store.proxy import Faults


@pytest.fixture
def store(network: Faults, tmp_path: Path) -> S3Store:
    opened = open_store(f"s3://films/{tmp_path.name}", tmp_path / "cache")
    assert isinstance(opened, S3Store)
    return opened


def put(store: S3Store, data: bytes) -> str:
    with store.staging() as folder:
        path = folder / "x"
        path.write_bytes(data)
        return store.publish(path)


def elsewhere(store: S3Store, folder: Path) -> S3Store:
    """The same store on another host."""
    return S3Store(store.url, folder, 1 << 30)


BIG = os.urandom(1 << 20) * 12  # three parts


def test_what_goes_in_comes_out_on_another_host(store: S3Store, tmp_path: Path) -> None:
    keys = {put(store, data): data for data in (b"", b"small", BIG)}
    other = elsewhere(store, tmp_path / "other")
    for sha256, data in keys.items():
        assert store.holds(sha256)
        assert other.verify(sha256).read_bytes() == data
        other.check(sha256)
        assert put(store, data) == sha256, "again is no harm"
    assert not store.holds("0" * 64)
    with pytest.raises(StoreError, match="is missing from the store"):
        other.open_local("0" * 64)
    assert list((tmp_path / "other" / "staging").iterdir()) == []


@pytest.mark.parametrize("fault", ["500", "slow", "cut"])
def test_faults_of_the_network_are_outlived(
    store: S3Store, network: Faults, tmp_path: Path, fault: str
) -> None:
    store._fs.invalidate_cache()
    network.plan.extend([fault, "", fault, fault])
    sha256 = put(store, BIG)
    other = elsewhere(store, tmp_path / "other")
    network.plan.extend([fault, fault])
    assert sha256_of_file(other.open_local(sha256)) == sha256
    assert fault in network.met


def test_where_s3_stays_away_it_is_one_line_and_nothing_counts(
    store: S3Store, network: Faults
) -> None:
    network.plan.extend(["500"] * 500)
    with pytest.raises(StoreError, match="is S3 reachable") as caught:
        put(store, b"never")
    assert len(str(caught.value).splitlines()) == 1
    network.plan.clear()
    import hashlib

    assert not store.holds(hashlib.sha256(b"never").hexdigest())


def test_an_altered_object_is_set_aside_and_an_altered_copy_fetched_again(
    store: S3Store, tmp_path: Path
) -> None:
    sha256 = put(store, b"a take")
    copy = store.open_local(sha256)
    copy.chmod(0o644)
    copy.write_bytes(b"b take")
    assert store.verify(sha256).read_bytes() == b"a take"

    fs: Any = store._fs
    fs.pipe_file(store._key(sha256), b"c take")
    assert store.verify(sha256).read_bytes() == b"a take", "the copy here is whole"
    with pytest.raises(AlteredError, match="set aside"):
        store.check(sha256)
    assert not store.holds(sha256)
    fs.pipe_file(store._key(sha256), b"d take")
    with pytest.raises(AlteredError, match="set aside"):
        elsewhere(store, tmp_path / "other").open_local(sha256)
    assert len(fs.ls(f"{store._prefix}/quarantine")) == 2


def test_what_arrives_otherwise_is_refused(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fs: Any = store._fs

    def put_other(path: str, key: str, **_options: Any) -> None:
        fs.pipe_file(key, Path(path).read_bytes()[:-1] + b"?")

    monkeypatch.setattr(fs, "put_file", put_other)
    with pytest.raises(StoreError, match="not what was sent"):
        put(store, b"a take")


def test_the_cache_stays_small_and_what_is_in_use_stays(store: S3Store, tmp_path: Path) -> None:
    small = S3Store(store.url, tmp_path / "small", 2500)
    keys = [put(small, bytes([n]) * 1000) for n in range(4)]
    assert all(small._object(key).is_file() for key in keys), "used within the hour"
    small._kept_s = -1
    for at, key in enumerate(keys):
        os.utime(small._object(key), (at, at))
    small._trim()
    assert [small._object(key).is_file() for key in keys] == [False, False, True, True]
    assert small.open_local(keys[0]).read_bytes() == bytes([0]) * 1000


def test_many_threads_at_once(store: S3Store) -> None:
    keys: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: keys.append(put(store, bytes([n]) * 5000)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 8
    assert all(store.holds(key) for key in keys)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gs://x/y", "not a store"),
        ("s3:///y", "names no bucket"),
        ("s3://none/y", "no bucket 'none'"),
    ],
)
def test_what_is_no_store(network: Faults, tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        open_store(url, tmp_path)
