"""A proxy before an S3 server that does what networks do: errors, slowness, cut connections."""

import socket
import threading
import time
from collections import deque
from contextlib import suppress

__all__ = ["Faults"]

_BODY = b"<Error><Code>InternalError</Code><Message>We encountered it.</Message></Error>"
_HEAD = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
)


class Faults:
    """Forwards connections to `port`; each takes the next of `plan`: "", "500", "slow", "cut".

    "cut" ends a connection after `after` bytes of the answer, or of the request if there is none yet.
    """

    def __init__(self, port: int, after: int = 200_000) -> None:
        self._upstream, self._after = port, after
        self.plan: deque[str] = deque()
        self.met: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        fault = self.plan.popleft() if self.plan else ""
        self.met.append(fault)
        with suppress(OSError), client:
            if fault == "500":
                asked = client.recv(65536)
                client.sendall(_HEAD if asked.startswith(b"HEAD") else _HEAD + _BODY)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
                return
            with socket.create_connection(("127.0.0.1", self._upstream)) as server:
                if fault == "slow":
                    time.sleep(1.0)
                limit = self._after if fault == "cut" else None
                there = threading.Thread(
                    target=self._pump, args=(client, server, limit), daemon=True
                )
                there.start()
                self._pump(server, client, limit)
                there.join(5)

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        sent = 0
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                sent += len(data)
                if limit is not None and sent >= limit:
                    for one in (source, target):
                        one.shutdown(socket.SHUT_RDWR)
                    return
            target.shutdown(socket.SHUT_WR)
