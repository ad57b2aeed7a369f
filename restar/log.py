"""Log lines that can be searched: each carries the film, scene and take it is about.

`about` sets these for everything that is logged inside its block, also by libraries. Lines go to
standard error as text, or as JSON (one object a line) for those who collect them.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["about", "set_up_logging"]

_about: ContextVar[dict[str, str]] = ContextVar("restar_about", default={})  # noqa: B039


@contextmanager
def about(**keys: str | int) -> Iterator[None]:
    """Key every log line inside the block, as in `about(film=..., scene=3)`."""
    token = _about.set({**_about.get(), **{name: str(value) for name, value in keys.items()}})
    try:
        yield
    finally:
        _about.reset(token)


def set_up_logging(level: str, style: str) -> None:
    """Send the lines of restar's own loggers, from `level` up, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    logger = logging.getLogger("restar")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        keys = " ".join(f"{name}={value}" for name, value in _about.get().items())
        line = f"{record.levelname.lower()} {keys + ' ' if keys else ''}{record.getMessage()}"
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"when": when, "level": record.levelname.lower(), "logger": record.name}
        line |= _about.get() | {"message": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
