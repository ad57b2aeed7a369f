"""Films to look through: a page of them at a time, found, filtered and sorted by the database.

A catalog may hold ten thousand films and a million scenes. So each query either counts for the films of
one page only, or reads an index that holds nothing but what it asks for (flagged scenes, what a person
chose, jobs by their state).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Select, Text, cast, except_, func, or_, select, text
from sqlalchemy.orm import Session

from catalog.base import OPEN, JobState, RestorationState, TakeState
from catalog.models import (
    FLAGGED,
    FilmRow,
    JobRow,
    MasterRow,
    MasterState,
    RecipeRow,
    RestorationRow,
    RestorationSceneRow,
    SelectionRow,
    TakeRow,
)
from catalog.reviews import RULE_PERSON

__all__ = [
    "PAGE",
    "FilmCard",
    "FilmPage",
    "Run",
    "Show",
    "Sort",
    "film_cards",
    "film_name",
    "film_rate",
    "list_films",
    "list_runs",
    "undecided_scenes",
]

PAGE = 24
Show = Literal["all", "decide", "work", "failed", "done"]
Sort = Literal["risk", "newest", "title"]
SHOWS: tuple[str, ...] = get_args(Show)
SORTS: tuple[str, ...] = get_args(Sort)


@dataclass(frozen=True)
class FilmCard:
    """A film at a glance. Figures of scenes are those of its newest restoration.

    `undecided` counts flagged scenes about which no person has decided; `gpu_seconds` is that of all
    the film's takes.
    """

    id: str
    name: str
    title: str
    accession: str
    reel: str
    frames: int
    rate: Fraction | None
    restorations: int = 0
    restoration: str = ""
    recipe: str = ""
    done: bool = False
    scenes: int = 0
    chosen: int = 0
    flagged: int = 0
    undecided: int = 0
    jobs: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    master: str = ""
    master_at: datetime | None = None

    @property
    def heading(self) -> str:
        return self.title or self.name

    @property
    def open_jobs(self) -> int:
        return sum(self.jobs.get(state, 0) for state in OPEN)

    @property
    def strip(self) -> list[int]:
        """Frames that show the film in little, evenly spread."""
        count = min(_STRIP, self.frames)
        return [(2 * i + 1) * self.frames // (2 * count) for i in range(count)]


@dataclass(frozen=True)
class FilmPage:
    """Films of one page, and how many there are in all."""

    cards: list[FilmCard]
    total: int
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))


def list_films(
    session: Session,
    *,
    search: str = "",
    show: Show = "all",
    sort: Sort = "risk",
    page: int = 1,
    folder: str = "",
) -> FilmPage:
    """Return a page of films whose title, accession, reel, path or id holds `search`.

    `decide`: a flagged scene waits for a person; `work`: jobs are open; `failed`: one failed; `done`:
    there is a master of what is chosen. By risk, the film with most undecided flagged scenes is first.
    `folder`: only films whose masters go there.
    """
    current = _current().cte("current")
    risk = _risk().subquery("risk")
    query = (
        select(FilmRow.id)
        .outerjoin(current, current.c.film_id == FilmRow.id)
        .where(*_found(search.strip()))
    )
    if sort == "risk" or show == "decide":
        query = query.outerjoin(risk, risk.c.restoration_id == current.c.restoration_id)
    if show != "all":
        query = query.where(_shown(show, current.c.restoration_id, risk.c.count))
    if folder:
        query = query.where(_goes_to(folder, current.c.restoration_id))
    order: list[Any] = [FilmRow.registered_at.desc(), FilmRow.id]
    if sort == "risk":
        order.insert(0, func.coalesce(risk.c.count, 0).desc())
    elif sort == "title":
        order = [func.lower(FilmRow.title), FilmRow.accession, *order]
    query = query.add_columns(func.count().over()).order_by(*order).limit(PAGE)
    rows: Sequence[Any] = session.execute(query.offset(PAGE * (page - 1))).all()
    if not rows and page > 1:  # of a list that has become shorter
        return list_films(session, search=search, show=show, sort=sort, folder=folder)
    ids, total = [row[0] for row in rows], rows[0][1] if rows else 0
    return FilmPage(film_cards(session, ids), total, page)


@dataclass(frozen=True)
class Run:
    """Films whose masters go into one folder, as those of a bulk run do: how many, and how they stand."""

    folder: str
    films: int
    done: int
    undecided: int


def list_runs(session: Session) -> list[Run]:
    """Return the folders of masters with how their films stand, those first that need most of people."""
    risk = _by(session, _risk())
    found: dict[str, list[tuple[bool, int]]] = {}
    current = _current().cte("current")
    rows = session.execute(
        select(RestorationRow.id, RestorationRow.output, RestorationRow.state).join(
            current, current.c.restoration_id == RestorationRow.id
        )
    )
    for restoration_id, output, state in rows:
        if output:
            stands = (state is RestorationState.DONE, risk.get(restoration_id, 0))
            found.setdefault(str(Path(output).parent), []).append(stands)
    runs = [
        Run(folder, len(films), sum(done for done, _ in films), sum(open_ for _, open_ in films))
        for folder, films in found.items()
    ]
    return sorted(runs, key=lambda run: (-run.undecided, run.done - run.films, run.folder))


def film_cards(session: Session, ids: Sequence[str]) -> list[FilmCard]:
    """Return these films at a glance, in this order; one that is not there is left out."""
    films = {row.id: row for row in session.execute(_heads(ids))}
    of_film: dict[str, tuple[str, str, bool]] = {}
    counts: dict[str, int] = {}
    for film_id, restoration_id, state, recipe in session.execute(
        select(RestorationRow.film_id, RestorationRow.id, RestorationRow.state, RecipeRow.name)
        .join(RecipeRow, RecipeRow.sha256 == RestorationRow.recipe_sha256)
        .where(RestorationRow.film_id.in_(ids))
        .order_by(RestorationRow.opened_at, RestorationRow.id)
    ):
        of_film[film_id] = (restoration_id, recipe, state is RestorationState.DONE)
        counts[film_id] = counts.get(film_id, 0) + 1
    ours = [one[0] for one in of_film.values()]
    scenes = _by(session, _scenes(ours))
    chosen = _by(session, _chosen(ours))
    flagged = _by(session, _flagged(ours))
    undecided = _by(session, _undecided(ours))
    jobs = _jobs(session, ours)
    costs = _costs(session, ids)
    masters = _masters(session, ours)
    cards = []
    for film_id in ids:
        row = films.get(film_id)
        if row is None:
            continue
        restoration, recipe, done = of_film.get(film_id, ("", "", False))
        master, made_at = masters.get(restoration, ("", None))
        seconds, gpu_seconds = costs.get(film_id, (0.0, 0.0))
        cards.append(
            FilmCard(
                id=film_id, name=Path(row.paths[-1]).name, title=row.title,
                accession=row.accession, reel=row.reel, frames=row.frames,
                rate=film_rate(row.media), restorations=counts.get(film_id, 0),
                restoration=restoration, recipe=recipe, done=done,
                scenes=scenes.get(restoration, 0), chosen=chosen.get(restoration, 0),
                flagged=flagged.get(restoration, 0), undecided=undecided.get(restoration, 0),
                jobs=jobs.get(restoration, {}), seconds=seconds, gpu_seconds=gpu_seconds,
                master=master, master_at=made_at,
            )
        )  # fmt: skip
    return cards


def undecided_scenes(restoration_id: str) -> Select[int]:
    """Return the query for the flagged scenes of a restoration that no person has decided about."""
    return (
        select(RestorationSceneRow.number)
        .where(RestorationSceneRow.restoration_id == restoration_id, text(FLAGGED))
        .where(~_by_person())
        .order_by(RestorationSceneRow.number)
    )


def film_rate(media: dict[str, Any]) -> Fraction | None:
    """Return the frames a second that a film says, from what was recorded at ingest."""
    streams = media.get("streams") or [{}]
    rate = streams[min(media.get("picture", 0), len(streams) - 1)].get("rate")
    return Fraction(rate) if rate else None


def film_name(film: FilmRow) -> str:
    """Return how a film is called among people: its title, else its file's name."""
    return film.title or Path(film.paths[-1]).name


_STRIP = 6


def _current() -> Select[str, str]:
    """The newest restoration of each film."""
    newest = (
        select(RestorationRow.id)
        .where(RestorationRow.film_id == FilmRow.id)
        .order_by(RestorationRow.opened_at.desc(), RestorationRow.id.desc())
        .limit(1)
        .correlate(FilmRow)
        .scalar_subquery()
    )
    return select(FilmRow.id.label("film_id"), newest.label("restoration_id"))


def _found(search: str) -> list[ColumnElement[bool]]:
    if not search:
        return []
    parts = (FilmRow.title, FilmRow.accession, FilmRow.reel, cast(FilmRow.paths, Text))
    holds = [part.icontains(search, autoescape=True) for part in parts]
    return [or_(*holds, FilmRow.id.startswith(search.lower(), autoescape=True))]


def _shown(show: Show, restoration: Any, risk: ColumnElement[int]) -> ColumnElement[bool]:
    if show == "decide":
        return risk > 0
    if show == "done":
        return (
            select(RestorationRow.id)
            .where(RestorationRow.id == restoration, RestorationRow.state == RestorationState.DONE)
            .exists()
        )
    states = (JobState.FAILED,) if show == "failed" else OPEN
    return (
        select(JobRow.id)
        .where(JobRow.restoration_id == restoration, JobRow.state.in_(states))
        .exists()
    )


def _goes_to(folder: str, restoration: Any) -> ColumnElement[bool]:
    """Whether a restoration's master lies right in a folder."""
    below = folder.rstrip("/") + "/"
    deeper = RestorationRow.output.startswith(below, autoescape=True) & func.substr(
        RestorationRow.output, len(below) + 1
    ).contains("/")
    return (
        select(RestorationRow.id)
        .where(RestorationRow.id == restoration)
        .where(RestorationRow.output.startswith(below, autoescape=True), ~deeper)
        .exists()
    )


def _heads(ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    return select(
        FilmRow.id, FilmRow.title, FilmRow.accession, FilmRow.reel, FilmRow.frames, FilmRow.paths,
        FilmRow.media,
    ).where(FilmRow.id.in_(ids))  # fmt: skip


def _scenes(ours: Sequence[str]) -> Select[str, int]:
    column = RestorationSceneRow.restoration_id
    return select(column, func.count()).where(column.in_(ours)).group_by(column)


def _chosen(ours: Sequence[str]) -> Select[str, int]:
    column = SelectionRow.restoration_id
    return (
        select(column, func.count())
        .join(TakeRow, TakeRow.id == SelectionRow.take_id)
        .where(column.in_(ours), TakeRow.state == TakeState.OK)
        .group_by(column)
    )


def _flagged(ours: Sequence[str]) -> Select[str, int]:
    column = RestorationSceneRow.restoration_id
    query = select(column, func.count().label("count")).where(text(FLAGGED))
    return query.where(column.in_(ours)).group_by(column)


def _undecided(ours: Sequence[str]) -> Select[str, int]:
    """Flagged scenes for which no person has chosen a take, counted by restoration."""
    return _flagged(ours).where(~_by_person())


def _risk() -> Select[str, int]:
    """The same for all restorations at once: what one index has and another has not."""
    flagged = select(RestorationSceneRow.restoration_id, RestorationSceneRow.number).where(
        text(FLAGGED)
    )
    decided = select(SelectionRow.restoration_id, SelectionRow.scene_number).where(
        text(f"rule = '{RULE_PERSON}'")
    )
    rest = except_(flagged, decided).subquery()
    return select(rest.c.restoration_id, func.count().label("count")).group_by(
        rest.c.restoration_id
    )


def _by_person() -> ColumnElement[bool]:
    return (
        select(SelectionRow.scene_number)
        .where(
            SelectionRow.restoration_id == RestorationSceneRow.restoration_id,
            SelectionRow.scene_number == RestorationSceneRow.number,
            text(f"selection.rule = '{RULE_PERSON}'"),
        )
        .exists()
    )


def _by(session: Session, query: Select[str, int]) -> dict[str, int]:
    return dict(session.execute(query).all())


def _jobs(session: Session, ours: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    states = (*OPEN, JobState.FAILED)
    for restoration_id, state, count in session.execute(
        select(JobRow.restoration_id, JobRow.state, func.count())
        .where(JobRow.restoration_id.in_(ours), JobRow.state.in_(states))
        .group_by(JobRow.restoration_id, JobRow.state)
    ):
        found.setdefault(str(restoration_id), {})[state.value] = count
    return found


def _costs(session: Session, ids: Sequence[str]) -> dict[str, tuple[float, float]]:
    rows = session.execute(
        select(TakeRow.film_id, func.sum(TakeRow.seconds), func.sum(TakeRow.gpu_seconds))
        .where(TakeRow.film_id.in_(ids))
        .group_by(TakeRow.film_id)
    )
    return {film_id: (seconds, gpu) for film_id, seconds, gpu in rows}


def _masters(session: Session, ours: Sequence[str]) -> dict[str, tuple[str, datetime]]:
    rows = session.execute(
        select(MasterRow.restoration_id, MasterRow.path, MasterRow.made_at)
        .where(MasterRow.restoration_id.in_(ours), MasterRow.state == MasterState.OK)
        .order_by(MasterRow.made_at, MasterRow.id)
    )
    return {restoration: (Path(path).name, made_at) for restoration, path, made_at in rows}
