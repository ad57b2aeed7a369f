"""One restoration, and one scene of it, as people look at them: cards, takes, masters, what was decided.

Only the columns that are shown are read: a film of a thousand scenes is one page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog.base import OPEN, JobKind, JobState, MasterState, TakeState
from catalog.browse import undecided_scenes
from catalog.events import EventType, restoration_stream
from catalog.models import (
    EventRow,
    FilmRow,
    JobRow,
    MasterRow,
    MasterTakeRow,
    RecipeRow,
    RestorationRow,
    RestorationSceneRow,
    ReviewRow,
    ScoreRow,
    SelectionRow,
    ShotListRow,
    TakeRow,
)
from catalog.shots import latest_shot_list
from restar.errors import UsageError

__all__ = [
    "FilmSheet",
    "MasterSheet",
    "SceneCard",
    "SceneSheet",
    "TakeSheet",
    "film_sheet",
    "find_master_by_id",
    "masters_of",
    "masters_with",
    "restoration_by_id",
    "scene_sheet",
]


@dataclass(frozen=True)
class SceneCard:
    """A scene at a glance. `rule` and `chosen_by` say who or what chose its take."""

    number: int
    start: int
    end: int
    flags: list[str]
    caption: str = ""
    take_id: int | None = None
    rule: str = ""
    chosen_by: str = ""
    state: str = ""
    error: str = ""

    @property
    def by_person(self) -> bool:
        return self.rule == "person"

    @property
    def open_flags(self) -> list[str]:
        """What it is flagged for, unless a person has decided about it."""
        return [] if self.by_person else self.flags

    @property
    def middle(self) -> int:
        return (self.start + self.end) // 2


@dataclass(frozen=True)
class MasterSheet:
    """A master, and how each stream of the film came into it (`conformance`, from its event)."""

    row: MasterRow
    conformance: list[dict[str, Any]] = field(default_factory=list)
    made_by: str = ""

    @property
    def stands(self) -> bool:
        return self.row.state is MasterState.OK


@dataclass(frozen=True)
class FilmSheet:
    """A restoration of a film. `shot_version` is its shot list's, `newest_version` the film's newest."""

    film: FilmRow
    restoration: RestorationRow
    recipe: str
    shot_version: int
    newest_version: int
    others: list[tuple[str, str]]
    scenes: list[SceneCard]


@dataclass(frozen=True)
class TakeSheet:
    """A take with all that is recorded of it; `scores` by metric, `reviews` oldest first."""

    row: TakeRow
    scores: dict[str, ScoreRow]
    reviews: list[ReviewRow]
    selected: bool = False
    wanted: bool = False
    fits: bool = True

    @property
    def rejected(self) -> bool:
        """Whether the last word of a person on it was no."""
        return bool(self.reviews) and self.reviews[-1].decision.value == "reject"


@dataclass(frozen=True)
class SceneSheet:
    """A scene of a restoration with every take of its frames, those of this restoration first."""

    film: FilmRow
    restoration: RestorationRow
    recipe: RecipeRow
    scene: RestorationSceneRow
    count: int
    selection: SelectionRow | None
    takes: list[TakeSheet]
    jobs: list[JobRow]
    flagged: tuple[int | None, int | None]


def restoration_by_id(session: Session, restoration_id: str) -> RestorationRow:
    """Return a restoration by its whole id; raise UsageError if there is none."""
    row = session.get(RestorationRow, restoration_id)
    if row is None:
        raise UsageError(f"there is no restoration {restoration_id[:12]} in the catalog")
    return row


def film_sheet(session: Session, restoration_id: str) -> FilmSheet:
    """Return a restoration with its scenes; raise UsageError if there is none of that id."""
    restoration = restoration_by_id(session, restoration_id)
    film = session.get_one(FilmRow, restoration.film_id)
    newest = latest_shot_list(session, film.id)
    others = session.execute(
        select(RestorationRow.id, RecipeRow.name)
        .join(RecipeRow, RecipeRow.sha256 == RestorationRow.recipe_sha256)
        .where(RestorationRow.film_id == film.id)
        .order_by(RestorationRow.opened_at.desc(), RestorationRow.id.desc())
    )
    shots = session.get_one(ShotListRow, restoration.shot_list_id)
    names = dict(others.all())
    return FilmSheet(
        film=film,
        restoration=restoration,
        recipe=names[restoration.id],
        shot_version=shots.version,
        newest_version=newest.version if newest else shots.version,
        others=list(names.items()),
        scenes=_cards(session, restoration_id),
    )


def scene_sheet(session: Session, restoration_id: str, number: int) -> SceneSheet:
    """Return a scene with its takes; raise UsageError if there is no such scene."""
    restoration = restoration_by_id(session, restoration_id)
    scene = session.get(RestorationSceneRow, (restoration_id, number))
    count = _count(session, restoration_id)
    if scene is None:
        raise UsageError(f"there is no scene {number}: this restoration has scenes 1 to {count}")
    selection = session.get(SelectionRow, (restoration_id, number))
    jobs = session.scalars(
        select(JobRow)
        .where(JobRow.restoration_id == restoration_id, JobRow.scene_number == number)
        .where(JobRow.state.in_((*OPEN, JobState.FAILED)))
        .order_by(JobRow.id)
    ).all()
    return SceneSheet(
        film=session.get_one(FilmRow, restoration.film_id),
        restoration=restoration,
        recipe=session.get_one(RecipeRow, restoration.recipe_sha256),
        scene=scene,
        count=count,
        selection=selection,
        takes=_takes(session, restoration, scene, selection),
        jobs=list(jobs),
        flagged=_flagged_beside(session, restoration_id, number),
    )


def masters_of(session: Session, restoration_id: str) -> list[MasterSheet]:
    """Return a restoration's masters, newest first, each with its conformance table."""
    rows = session.scalars(
        select(MasterRow)
        .where(MasterRow.restoration_id == restoration_id)
        .order_by(MasterRow.made_at.desc(), MasterRow.id)
    ).all()
    events = session.scalars(
        select(EventRow)
        .where(EventRow.stream == restoration_stream(restoration_id))
        .where(EventRow.type == EventType.CREATION.value)
        .order_by(EventRow.number)
    ).all()
    told = {event.detail.get("master"): event for event in events}
    return [
        MasterSheet(row, event.detail.get("streams", []), event.agent)
        if (event := told.get(row.id)) is not None
        else MasterSheet(row)
        for row in rows
    ]


def find_master_by_id(session: Session, master_id: str) -> MasterRow:
    """Return a master by its whole id; raise UsageError if there is none."""
    row = session.get(MasterRow, master_id)
    if row is None:
        raise UsageError(f"there is no master {master_id[:12]} in the catalog")
    return row


def masters_with(session: Session, take_id: int) -> list[MasterRow]:
    """Return the masters in which a take stands."""
    query = (
        select(MasterRow)
        .join(MasterTakeRow, MasterTakeRow.master_id == MasterRow.id)
        .where(MasterTakeRow.take_id == take_id)
        .distinct()
        .order_by(MasterRow.made_at.desc(), MasterRow.id)
    )
    return list(session.scalars(query))


def _cards(session: Session, restoration_id: str) -> list[SceneCard]:
    work = _work(session, restoration_id)
    scene = RestorationSceneRow
    rows = session.execute(
        select(
            scene.number, scene.start, scene.end, scene.flags, scene.caption, TakeRow.id,
            SelectionRow.rule, SelectionRow.decided_by,
        )
        .outerjoin(
            SelectionRow,
            (SelectionRow.restoration_id == scene.restoration_id)
            & (SelectionRow.scene_number == scene.number),
        )
        .outerjoin(TakeRow, (TakeRow.id == SelectionRow.take_id) & (TakeRow.state == TakeState.OK))
        .where(scene.restoration_id == restoration_id)
        .order_by(scene.number)
    )  # fmt: skip
    return [
        SceneCard(
            number, start, end, flags, caption or "", take, rule or "", by or "",
            *work.get(number, ("", "")),
        )
        for number, start, end, flags, caption, take, rule, by in rows
    ]  # fmt: skip


def _work(session: Session, restoration_id: str) -> dict[int, tuple[str, str]]:
    """What is to be done at each scene, or what failed there and why."""
    states = (*OPEN, JobState.FAILED)
    rows = session.execute(
        select(JobRow.scene_number, JobRow.kind, JobRow.state, JobRow.error)
        .where(JobRow.restoration_id == restoration_id, JobRow.state.in_(states))
        .where(JobRow.scene_number.is_not(None))
        .order_by((JobRow.state == JobState.LEASED), JobRow.phase.desc(), JobRow.id)
    )
    names = {JobState.LEASED: "under way", JobState.QUEUED: "queued", JobState.FAILED: "failed"}
    return {
        number: (f"{kind.value} {names[state]}", (error or "") if state is JobState.FAILED else "")
        for number, kind, state, error in rows
        if number is not None
    }


def _count(session: Session, restoration_id: str) -> int:
    query = select(func.max(RestorationSceneRow.number)).where(
        RestorationSceneRow.restoration_id == restoration_id
    )
    return session.scalar(query) or 0


def _takes(
    session: Session,
    restoration: RestorationRow,
    scene: RestorationSceneRow,
    selection: SelectionRow | None,
) -> list[TakeSheet]:
    rows = session.scalars(
        select(TakeRow)
        .where(TakeRow.film_id == restoration.film_id, TakeRow.state == TakeState.OK)
        .where(TakeRow.start == scene.start, TakeRow.end == scene.end)
        .order_by(TakeRow.made_at, TakeRow.id)
    ).all()
    scores = _scores(session, [row.id for row in rows])
    reviews: dict[int, list[ReviewRow]] = {}
    for review in session.scalars(
        select(ReviewRow)
        .where(ReviewRow.restoration_id == restoration.id, ReviewRow.scene_number == scene.number)
        .order_by(ReviewRow.id)
    ):
        reviews.setdefault(review.take_id, []).append(review)
    ours = _keys_of(session, restoration.id, scene)
    sheets = [
        TakeSheet(
            row=row,
            scores=scores.get(row.id, {}),
            reviews=reviews.get(row.id, []),
            selected=selection is not None and selection.take_id == row.id,
            wanted=row.take_key == scene.wanted_take_key,
            fits=row.spec["format"] == restoration.take_format,
        )
        for row in rows
    ]
    return sorted(
        sheets, key=lambda s: (not s.selected, not s.wanted, s.row.take_key not in ours, not s.fits)
    )


def _keys_of(session: Session, restoration_id: str, scene: RestorationSceneRow) -> set[str]:
    """The keys of the takes that were made for this scene of this restoration."""
    jobs = session.scalars(
        select(JobRow.payload).where(
            JobRow.restoration_id == restoration_id,
            JobRow.scene_number == scene.number,
            JobRow.kind == JobKind.RESTORE,
        )
    )
    return {str(payload.get("take_key")) for payload in jobs}


def _scores(session: Session, take_ids: Sequence[int]) -> dict[int, dict[str, ScoreRow]]:
    found: dict[int, dict[str, ScoreRow]] = {}
    for row in session.scalars(
        select(ScoreRow).where(ScoreRow.take_id.in_(take_ids)).order_by(ScoreRow.algorithm)
    ):
        found.setdefault(row.take_id, {})[row.metric] = row
    return found


def _flagged_beside(
    session: Session, restoration_id: str, number: int
) -> tuple[int | None, int | None]:
    """The nearest flagged scenes that no person has decided about, before and after one."""
    numbers = session.scalars(undecided_scenes(restoration_id)).all()
    before = max((one for one in numbers if one < number), default=None)
    after = min((one for one in numbers if one > number), default=None)
    return before, after
