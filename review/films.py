"""The overview: all films at a glance, those first that need a person."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from catalog.browse import PAGE, Show, Sort, list_films, list_runs
from review.page import NAME_COOKIE, clean_name, form_of, house_of, render

__all__ = ["router"]

router = APIRouter()
_YEAR_S = 365 * 86400


@router.get("/")
def films(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    show: Show = "all",
    sort: Sort = "risk",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    folder: Annotated[str, Query(max_length=4000)] = "",
) -> Response:
    with house_of(request).catalog.read() as session:
        found = list_films(session, search=q, show=show, sort=sort, page=page, folder=folder)
    return render(
        request, "films.html", found=found, q=q, show=show, sort=sort, per_page=PAGE,
        query=f"q={quote(q)}&show={show}&sort={sort}&folder={quote(folder)}", folder=folder,
    )  # fmt: skip


@router.get("/runs")
def runs(request: Request) -> Response:
    """Bulk runs, by the folder that their masters go to."""
    with house_of(request).catalog.read() as session:
        return render(request, "runs.html", runs=list_runs(session))


@router.get("/me")
def name(request: Request) -> Response:
    return render(request, "me.html")


@router.post("/me")
async def set_name(request: Request) -> Response:
    fields = await form_of(request)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        NAME_COOKIE, quote(clean_name(fields.get("name", ""))), max_age=_YEAR_S, httponly=True,
        samesite="strict",
    )  # fmt: skip
    return answer
