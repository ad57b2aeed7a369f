"""What keeps the room to this machine: where it may listen, who may ask, what a page may do.

Nobody signs in yet, so whoever reaches the port may decide. It therefore listens on loopback only; a
request has to name this machine as its host (a name elsewhere that is made to lead here, "DNS
rebinding", is refused); what changes something has to come from a page of the room itself; and a page
may load and run nothing but the room's own files.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from restar.errors import UsageError

__all__ = ["POLICY", "Guards", "refuse_other_hosts"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_READING = frozenset({"GET", "HEAD"})


def refuse_other_hosts(host: str) -> None:
    """Raise UsageError for an address that others could reach."""
    if not is_loopback(host):
        raise UsageError(
            f"--host {host}: the review room listens on this machine only (127.0.0.1, ::1): nobody "
            "signs in yet, so whoever reached it could decide. From elsewhere use a tunnel: "
            "ssh -L 8765:127.0.0.1:8765 HOST"
        )


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine, whatever a resolver says."""
    if host.lower() in {"localhost", "localhost."}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guards:
    """Middleware that refuses what does not come from here, and adds the policy to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        reason = _why_not(scope["method"], Headers(scope=scope))
        if reason:
            await PlainTextResponse(reason, 403)(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)


def _why_not(method: str, headers: Headers) -> str:
    """Why a request is refused; empty where it is not."""
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if not is_loopback(host):
        return f"The review room answers on this machine only, not as '{host}'."
    if method in _READING:
        return ""
    origin = headers.get("origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != headers.get("host")
    if elsewhere or headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return "This came from another site; decisions are made on the room's own pages."
    return ""
