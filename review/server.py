"""Serving the room: one process on loopback, with a helper beside it that makes proxies.

The helper is an agent like any other (`restar agent --kinds proxy`), in a process of its own so that
encoding never slows a page, and at a low priority. It ends when the room does, also where that is killed:
it then reads the end of its standard input.
"""

import socket

import uvicorn

from restar.errors import UsageError
from review.app import create_app
from review.guards import refuse_other_hosts
from review.live import Watch
from tasks.house import House

__all__ = ["Room", "listen", "serve"]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a loopback address; raise UsageError where it can't."""
    refuse_other_hosts(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"port {port} on {host} can't be used ({error.strerror}); choose another by --port"
        ) from None
    listener.listen(128)
    return listener


class Room(uvicorn.Server):
    """A server that ends its live updates when it closes, in the place of waiting for them."""

    def __init__(self, house: House) -> None:
        self._app = create_app(house)
        super().__init__(
            uvicorn.Config(
                self._app, log_level="warning", access_log=False, server_header=False,
                timeout_graceful_shutdown=3, lifespan="off", ws="none",
            )
        )  # fmt: skip

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        watch: Watch = self._app.state.watch
        watch.end()
        await super().shutdown(sockets)


def serve(house: House, listener: socket.socket) -> None:
    """Serve the room until SIGINT or SIGTERM."""
    Room(house).run(sockets=[listener])
