"""The application: its pages, its guards, and how an error is told."""

import asyncio
import logging
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from restar.errors import (
    CatalogError,
    NoSourceError,
    OutdatedError,
    RestarError,
    StoreError,
    UsageError,
)
from review import film, films, live, media, queue, scene
from review.guards import Guards
from review.page import render
from tasks.house import House
from tasks.stills import Stills

__all__ = ["create_app"]

_log = logging.getLogger("restar.review")


def create_app(house: House) -> FastAPI:
    """Return the review room over an open house, as an ASGI application."""
    app = FastAPI(title="restar review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.house, app.state.stills, app.state.watch = house, Stills(house), live.Watch(house)
    app.state.stills_at_once = asyncio.Semaphore(media.AT_ONCE)
    app.add_middleware(Guards)
    app.add_exception_handler(RestarError, _told)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(RequestValidationError, _not_found)
    app.add_exception_handler(Exception, _fault)
    for room in (films, film, scene, media, queue, live):
        app.include_router(room.router)
    app.mount("/static", _Assets(directory=Path(__file__).parent / "static"), name="static")
    return app


class _Assets(StaticFiles):
    """The room's own files, which a page names with their version."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


_STATUS: tuple[tuple[type[RestarError], int], ...] = (
    (NoSourceError, 404),
    (OutdatedError, 409),
    (UsageError, 404),
    (StoreError, 404),
    (CatalogError, 503),
)


def _told(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    return _page(request, status, str(error))


def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _page(
        request, status, "There is no such page." if status == 404 else "That can't be done."
    )


def _fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _page(request, 500, f"A fault of restar: {type(error).__name__}. The log has the trace.")


def _page(request: Request, status: int, message: str) -> Response:
    """An error as a page, or as a line where a picture or a piece of a page was asked for."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page:
        return PlainTextResponse(message, status)
    answer: HTMLResponse = render(request, "error.html", status, code=status, message=message)
    return answer
