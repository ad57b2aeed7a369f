"""Pictures and files: stills by frame number, proxies and masters in ranges, never a file in memory.

A request names things by what the catalog calls them (ids, frame numbers, one of a few sizes) and never
by a path: what is opened is what the catalog or the store has under that id.
"""

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.closeup import find_master_by_id, restoration_by_id
from catalog.models import FilmRow, ProxyRow, TakeRow
from media.attach import sidecar_of
from media.format import TakeFormat
from restar.errors import StoreError, UsageError
from review.page import house_of
from review.rights import may_download
from tasks.deliver import access_path, report_path
from tasks.stills import Stills

__all__ = ["AT_ONCE", "router"]

router = APIRouter()
Sha = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Frame = Annotated[int, Path(ge=0, lt=1 << 40)]
TakeId = Annotated[int, Path(ge=1, lt=1 << 31)]
Size = Literal["s", "m", "l"]
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
AT_ONCE = 3
"""How many stills are made at once; more only wait."""


@router.get("/still/film/{film_id}/strip.jpg")
async def strip(request: Request, film_id: Sha) -> Response:
    return await _still(
        request, "image/jpeg", lambda s: s.strip(film_id, _film(request, film_id).frames)
    )


@router.get("/still/film/{film_id}/{frame}/full.png")
async def film_exact(request: Request, film_id: Sha, frame: Frame) -> Response:
    return await _still(request, "image/png", lambda s: s.of_film(film_id, frame, "full"))


@router.get("/still/film/{film_id}/{frame}/{size}.jpg")
async def film_still(request: Request, film_id: Sha, frame: Frame, size: Size) -> Response:
    return await _still(request, "image/jpeg", lambda s: s.of_film(film_id, frame, size))


@router.get("/still/take/{take_id}/{frame}/full.png")
async def take_exact(request: Request, take_id: TakeId, frame: Frame) -> Response:
    return await _still(
        request, "image/png", lambda s: s.of_take(_take(request, take_id), frame, "full")
    )


@router.get("/still/take/{take_id}/{frame}/{size}.jpg")
async def take_still(request: Request, take_id: TakeId, frame: Frame, size: Size) -> Response:
    return await _still(
        request, "image/jpeg", lambda s: s.of_take(_take(request, take_id), frame, size)
    )


@router.get("/still/resize/{restoration_id}/{frame}/full.png")
async def resize_exact(request: Request, restoration_id: Sha, frame: Frame) -> Response:
    return await _still(
        request, "image/png", lambda s: _resized(request, s, restoration_id, frame, "full")
    )


@router.get("/still/resize/{restoration_id}/{frame}/{size}.jpg")
async def resize_still(request: Request, restoration_id: Sha, frame: Frame, size: Size) -> Response:
    return await _still(
        request, "image/jpeg", lambda s: _resized(request, s, restoration_id, frame, size)
    )


@router.get("/proxy/{sha256}.json")
def proxy_index(request: Request, sha256: Sha) -> Response:
    _, index = _proxy(request, sha256)
    return FileResponse(index, media_type="application/json", headers=_FOREVER)


@router.get("/proxy/{sha256}.mp4")
def proxy_file(request: Request, sha256: Sha) -> Response:
    file, _ = _proxy(request, sha256)
    return FileResponse(file, media_type="video/mp4", headers=_FOREVER)


@router.get("/master/{master_id}/{what}")
def master_file(
    request: Request, master_id: Sha, what: Literal["master", "sidecar", "access", "report"]
) -> Response:
    with house_of(request).catalog.read() as session:
        master = find_master_by_id(session, master_id)
        film = session.get_one(FilmRow, _film_of(session, master.restoration_id))
    allowed = may_download(film)
    if what not in allowed.files:
        raise UsageError(f"this is not given out: {allowed.reason}")
    path = files_of_master(FilePath(master.path))[what]
    if not path.is_file():
        raise StoreError(f"{path.name}: is no longer where it was made")
    kind = {".html": "text/html", ".mp4": "video/mp4", ".zip": "application/zip"}
    return FileResponse(
        path, filename=path.name, media_type=kind.get(path.suffix, "application/octet-stream")
    )


def files_of_master(master: FilePath) -> dict[str, FilePath]:
    """Return where a master and what was delivered with it lie."""
    return {
        "master": master,
        "sidecar": sidecar_of(master),
        "access": access_path(master),
        "report": report_path(master),
    }


async def _still(request: Request, kind: str, make: Callable[[Stills], bytes]) -> Response:
    """Make a still in a thread, a few at a time, so that pages never wait behind pictures."""
    async with request.app.state.stills_at_once:
        if await request.is_disconnected():
            return Response(status_code=204)
        data = await run_in_threadpool(make, request.app.state.stills)
    return Response(data, media_type=kind, headers=_FOREVER)


def _resized(request: Request, stills: Stills, restoration_id: str, frame: int, size: str) -> bytes:
    with house_of(request).catalog.read() as session:
        row = restoration_by_id(session, restoration_id)
    return stills.of_resize(row.film_id, TakeFormat.from_json(row.take_format), frame, size)


def _film(request: Request, film_id: str) -> FilmRow:
    with house_of(request).catalog.read() as session:
        film = session.get(FilmRow, film_id)
    if film is None:
        raise UsageError(f"there is no film {film_id[:12]} in the catalog")
    return film


def _take(request: Request, take_id: int) -> TakeRow:
    with house_of(request).catalog.read() as session:
        take = session.get(TakeRow, take_id)
    if take is None:
        raise UsageError(f"there is no take {take_id} in the catalog")
    return take


def _proxy(request: Request, sha256: str) -> tuple[FilePath, FilePath]:
    house = house_of(request)
    with house.catalog.read() as session:
        row = session.scalars(select(ProxyRow).where(ProxyRow.sha256 == sha256)).first()
    if row is None:
        raise UsageError(f"there is no proxy {sha256[:12]} in the catalog")
    return house.store.open_local(row.sha256), house.store.open_local(row.index_sha256)


def _film_of(session: Session, restoration_id: str) -> str:
    return restoration_by_id(session, restoration_id).film_id
