"""An S3 server on loopback (moto), reached over a network that can fail."""

import os
from collections.abc import Iterator

import pytest

from store.remote import S3Store
from tests.store.proxy import Faults

__all__ = ["network", "s3_server"]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """The port of moto's S3 on loopback."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    yield running.get_host_and_port()[1]
    running.stop()


@pytest.fixture
def network(s3_server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """A network to that server that can fail, and the environment that leads there."""
    faults = Faults(s3_server)
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{faults.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(S3Store, "longest_wait_s", 0.05)
    monkeypatch.setattr(S3Store, "part_bytes", 5 << 20)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem(anon=False).mkdirs("films", exist_ok=True)
    yield faults
    faults.plan.clear()
    s3fs.S3FileSystem.clear_instance_cache()
    faults.close()
