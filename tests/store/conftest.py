"""The S3 server that the remote store is tried on."""

from tests.s3 import network, s3_server

__all__ = ["network", "s3_server"]
