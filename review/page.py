"""How every page is made: one look, everything escaped, undefined names are errors."""

from datetime import UTC, datetime
from fractions import Fraction
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from restar import __version__
from restar.errors import UsageError
from restar.hashing import sha256_of
from restar.timeline import timecode
from tasks.house import NOMINAL_RATE, House

__all__ = ["NAME_COOKIE", "form_of", "house_of", "render", "who", "whole"]

NAME_COOKIE = "restar_name"
MOST_BYTES = 1 << 16
"""Of a form: reasons and prompts are short."""
LONGEST_NAME = 80


def house_of(request: Request) -> House:
    house: House = request.app.state.house
    return house


def who(request: Request) -> str:
    """Return the name under which a person decides: the one they gave, else that of the server's user."""
    given = clean_name(unquote(request.cookies.get(NAME_COOKIE, "")))
    return given or house_of(request).who


def clean_name(text: str) -> str:
    """Return a name as it may stand in an event: one line, no control characters, not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_NAME]


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last of each name; raise UsageError where it is too much."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise UsageError("that is too much text for one form")
    try:
        text = body.decode("utf-8", "replace")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise UsageError("that form has too many fields") from None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def whole(fields: dict[str, str], name: str) -> int:
    """Return a field that has to be a whole number, 0 or more; raise UsageError where it is none."""
    text = fields.get(name, "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise UsageError(f"{name}: give a whole number")
    return int(text)


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page."""
    shown = {
        "me": who(request), "version": __version__, "assets": _ASSETS, "here": request.url.path,
    }  # fmt: skip
    text = _ENVIRONMENT.get_template(template).render(**shown, **values)
    return HTMLResponse(text, status)


def _version_of_assets() -> str:
    """Changes with the files, so that a browser may keep them for as long as it likes."""
    folder = resources.files("review") / "static"
    content = {file.name: sha256_of(file.read_bytes().hex()) for file in folder.iterdir()}
    return sha256_of(content)[:12]


def clock(seconds: float) -> str:
    """Return 0:05, 12:31 or 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def hours(seconds: float) -> str:
    """Return a length of work: 42 s, 3.5 min, 12.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def ago(at: datetime | None) -> str:
    """Return how long ago something was, in one unit."""
    if at is None:
        return "never"
    seconds = (datetime.now(UTC) - at).total_seconds()
    for size, unit in ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now" if seconds < 10 else f"{seconds:.0f} s ago"


def size(count: int) -> str:
    """Return bytes as people read them."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.1f} {unit}"
    return f"{count} B"


def number(value: float | None, sign: bool = False) -> str:
    if value is None:
        return "n/a"
    return f"{value:+.3g}" if sign else f"{value:.4g}"


def at_frame(frame: int, rate: Fraction | None) -> str:
    return timecode(frame, rate or NOMINAL_RATE)


def duration(frames: int, rate: Fraction | None) -> str:
    """Return how long so many frames last."""
    return clock(float(frames / (rate or NOMINAL_RATE)))


_ENVIRONMENT = Environment(
    loader=PackageLoader("review"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "ago": ago, "at_frame": at_frame, "clock": clock, "hours": hours, "duration": duration,
    "number": number, "size": size,
}  # fmt: skip
_ASSETS = _version_of_assets()
