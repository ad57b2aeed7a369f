"""Commits: what an agent made, recorded with all that follows from it in one transaction, or not at all.

Each begins with the fence: if the job's owner and attempt are no longer the agent's, LeaseLost is
raised and the transaction undone. So work may be done more than once, but is committed exactly once.
The commit that leaves a restoration with nothing to wait for also queues its assembly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from catalog.events import EventType, Outcome, append, film_stream, head_of, restoration_stream
from catalog.jobs import Lease, close_queued, dedupe_key, finish
from catalog.models import (
    JobKind,
    JobState,
    MasterRow,
    MasterState,
    MasterTakeRow,
    MetricLicenceRow,
    RestorationSceneRow,
    RestorationState,
    ScoreRow,
    SelectionRow,
    TakeRow,
    TakeState,
)
from catalog.restorations import (
    enqueue_assemble,
    find_take,
    lock_restoration,
    restoration_scenes,
    select_take,
    set_words,
)
from catalog.turns import lock_in_order
from catalog.types import insert_missing, now, plain_text
from restar.hashing import sha256_of

__all__ = [
    "MasterFile",
    "NewScore",
    "NewTake",
    "commit_caption",
    "commit_master",
    "commit_scores",
    "commit_take",
    "mark_take_lost",
    "record_scores",
    "reuse_take",
    "scores_of",
]


@dataclass(frozen=True)
class NewTake:
    """A take whose file and frame checksums are in the store.

    `seconds` is how long it took, `gpu_seconds` how long it had a GPU to itself (0 without one).
    """

    take_key: str
    film_id: str
    start: int
    end: int
    spec: dict[str, Any]
    sha256: str
    checksums_sha256: str
    bytes: int
    seconds: float
    environment: str
    agent_id: int | None = None
    gpu_seconds: float = 0.0


@dataclass(frozen=True)
class NewScore:
    """What a metric measured on a take; numbers in `summary` are finite."""

    metric: str
    summary: dict[str, Any]
    algorithm: int = 1
    licence: str = ""
    commercial_use: bool = True
    series_sha256: str | None = None


@dataclass(frozen=True)
class MasterFile:
    """A master that was written, verified and put in its place. `framemd5` digests all frames' MD5."""

    path: str
    sha256: str
    bytes: int
    framemd5: str


def commit_take(
    session: Session, lease: Lease, take: NewTake, *, agent: str, software: str = ""
) -> TakeRow:
    """Record a take that was made: its row, its one `restoration` event, its selections, the job.

    It is selected in every scene that wants its key, also of other restorations; their queued jobs
    for it are done with that. If another agent recorded the same take meanwhile, that one stays and
    there is no second event.
    """
    restorations = _lock_all(session, lease, take.take_key)
    more = finish(session, lease)
    row, made = _record(session, take)
    if made:
        append(
            session,
            restoration_stream(_restoration(lease)),
            EventType.RESTORATION,
            film_id=take.film_id,
            agent=agent,
            software=software,
            detail={
                "scene": lease.scene_number,
                "frames": [take.start, take.end],
                "take_key": take.take_key,
                "sha256": take.sha256,
                "environment": take.environment,
                "seconds": round(take.seconds, 3),
                "gpu_seconds": round(take.gpu_seconds, 3),
                "attempt": lease.attempt,
            },
        )
    _use(session, lease, row, restorations, more)
    return row


def reuse_take(session: Session, lease: Lease, take_key: str) -> TakeRow | None:
    """Finish a job whose take was made meanwhile for another restoration: there is no event.

    Returns None, and leaves the job as it is, if there is no such take.
    """
    if find_take(session, take_key) is None:
        return None
    restorations = _lock_all(session, lease, take_key)
    more = finish(session, lease)
    row = find_take(session, take_key)
    assert row is not None  # noqa: S101  (a take is lost only under the lock of its restorations)
    _use(session, lease, row, restorations, more)
    return row


def commit_caption(
    session: Session,
    lease: Lease,
    caption: str,
    prompt: str,
    captioner: str = "",
    *,
    record: Mapping[str, Any] | None = None,
    marks: Sequence[str] = (),
) -> None:
    """Record a scene's caption and the prompt made of it. `want` follows, in the same transaction."""
    finish(session, lease)
    lock_restoration(session, _restoration(lease))
    assert lease.scene_number is not None  # noqa: S101  a caption job names its scene
    set_words(
        session, _restoration(lease), lease.scene_number, caption=caption, captioner=captioner,
        prompt=prompt, record=record, marks=marks,
    )  # fmt: skip


def commit_scores(
    session: Session,
    lease: Lease,
    take_key: str,
    scores: Sequence[NewScore],
    *,
    flags: Sequence[str] = (),
) -> None:
    """Record what was measured on a take, and flag its scene if that take is still the wanted one."""
    finish(session, lease)
    restoration_id = _restoration(lease)
    lock_restoration(session, restoration_id)
    take = session.scalars(select(TakeRow).where(TakeRow.take_key == take_key)).one()
    record_scores(session, take, scores)
    session.execute(
        update(RestorationSceneRow)
        .where(
            RestorationSceneRow.restoration_id == restoration_id,
            RestorationSceneRow.number == lease.scene_number,
            RestorationSceneRow.wanted_take_key == take_key,
        )
        .values(flags=list(flags))
    )
    enqueue_assemble(session, restoration_id)


def record_scores(session: Session, take: TakeRow, scores: Sequence[NewScore]) -> None:
    """Record what was measured on a take, in the place of what the same metric said of it before."""
    for score in scores:
        licence = {"licence": score.licence, "commercial_use": score.commercial_use}
        insert_missing(session, MetricLicenceRow, {"metric": score.metric, **licence}, ["metric"])
        key = {"take_id": take.id, "metric": score.metric, "algorithm": score.algorithm}
        values = {
            "summary": score.summary,
            "licence": score.licence,
            "series_sha256": score.series_sha256,
        }
        if not insert_missing(session, ScoreRow, {**key, **values}, list(key)):
            session.execute(update(ScoreRow).filter_by(**key).values(**values, scored_at=now()))


def scores_of(session: Session, take: TakeRow) -> list[ScoreRow]:
    """Return a take's scores; of each metric that by the newest algorithm."""
    rows = session.scalars(
        select(ScoreRow).where(ScoreRow.take_id == take.id).order_by(ScoreRow.algorithm)
    )
    return list({row.metric: row for row in rows}.values())


def commit_master(
    session: Session,
    lease: Lease,
    master: MasterFile,
    takes: Mapping[int, TakeRow],
    *,
    agent: str,
    software: str = "",
    detail: Mapping[str, Any] | None = None,
) -> MasterRow:
    """Record a master, the takes that it was made of (by scene number), and its `creation` event.

    The row anchors the head and length of the restoration's events, this one included. An older
    master at the same path is superseded. The restoration is done if these are the wanted takes.
    """
    finish(session, lease)
    restoration = lock_restoration(session, _restoration(lease))
    scenes = restoration_scenes(session, restoration.id)
    if sorted(takes) != [scene.number for scene in scenes]:
        raise ValueError("a master is made of one take for every scene of its restoration")
    master = replace(master, path=plain_text(master.path))
    stream = restoration_stream(restoration.id)
    snapshot = [[scene.number, takes[scene.number].sha256] for scene in scenes]
    master_id = sha256_of({"restoration": restoration.id, "takes": snapshot, **asdict(master)})
    what = {"master": master_id, **asdict(master), "takes": len(scenes), **(detail or {})}
    append(
        session,
        stream,
        EventType.CREATION,
        film_id=restoration.film_id,
        agent=agent,
        software=software,
        detail=what,
    )
    row = _record_master(session, master_id, restoration.id, master)
    for scene in scenes:
        take = takes[scene.number]
        values = {
            "master_id": master_id,
            "scene_number": scene.number,
            "start": scene.start,
            "end": scene.end,
            "take_id": take.id,
            "take_key": take.take_key,
            "sha256": take.sha256,
        }
        insert_missing(session, MasterTakeRow, values, ["master_id", "scene_number"])
    if _selection(session, restoration.id) == {n: take.id for n, take in takes.items()}:
        restoration.state = RestorationState.DONE
    session.flush()
    return row


def mark_take_lost(session: Session, take_key: str, reason: str, *, agent: str) -> None:
    """Record that a take's file is missing or altered: it is nowhere selected until made again.

    Adds a `fixity check` event with outcome `fail` to each restoration that had it selected, or to
    its film if none had. The next `want` of its key queues the job again.
    """
    take = session.scalars(select(TakeRow).where(TakeRow.take_key == take_key)).one()
    users = session.scalars(
        select(SelectionRow.restoration_id).where(SelectionRow.take_id == take.id).distinct()
    ).all()
    locked = [lock_restoration(session, restoration_id) for restoration_id in sorted(users)]
    session.refresh(take, with_for_update=True)
    if take.state is TakeState.LOST:
        return
    take.state = TakeState.LOST
    session.execute(delete(SelectionRow).where(SelectionRow.take_id == take.id))
    streams = [restoration_stream(row.id) for row in locked] or [film_stream(take.film_id)]
    for restoration in locked:
        restoration.state = RestorationState.OPEN
        close_queued(session, restoration.id, (JobKind.ASSEMBLE,))
    for stream in streams:
        append(
            session,
            stream,
            EventType.FIXITY_CHECK,
            film_id=take.film_id,
            agent=agent,
            outcome=Outcome.FAIL,
            detail={"take_key": take_key, "sha256": take.sha256, "reason": reason},
        )
    session.flush()


def _restoration(lease: Lease) -> str:
    if lease.restoration_id is None:
        raise ValueError(f"job {lease.id} ({lease.kind}) belongs to no restoration")
    return lease.restoration_id


def _lock_all(session: Session, lease: Lease, take_key: str) -> list[str]:
    """Hold every restoration that this take concerns, always in the same order."""
    wanting = select(RestorationSceneRow.restoration_id).where(
        RestorationSceneRow.wanted_take_key == take_key
    )
    concerned = {_restoration(lease), *session.scalars(wanting)}
    return lock_in_order(session, concerned)


def _record(session: Session, take: NewTake) -> tuple[TakeRow, bool]:
    """Insert a take, or revive a lost one; whether it was (not if an equal one is there)."""
    content = asdict(take)
    environment = content.pop("environment")
    values = {
        **content,
        "environment_sha256": environment,
        "spec_sha256": sha256_of(take.spec),
        "state": TakeState.OK,
    }
    made = insert_missing(session, TakeRow, values, ["take_key"])
    query = select(TakeRow).where(TakeRow.take_key == take.take_key)
    row = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()
    if not made and row.state is TakeState.LOST:
        for name, value in values.items():
            setattr(row, name, value)
        row.made_at, row.dropped_at = now(), None
        session.flush()
        session.refresh(row)
        made = True
    return row, made


def _use(
    session: Session, lease: Lease, take: TakeRow, restorations: Sequence[str], more: bool
) -> None:
    """Select a take wherever it is wanted, and queue the assemblies that waited for it.

    `more` says that the lease's own restoration has other work to do, so that its can't be due.
    """
    scenes = session.execute(
        select(RestorationSceneRow.restoration_id, RestorationSceneRow.number)
        .where(RestorationSceneRow.wanted_take_key == take.take_key)
        .where(RestorationSceneRow.restoration_id.in_(restorations))
        .order_by(RestorationSceneRow.restoration_id, RestorationSceneRow.number)
    ).all()
    for scene in scenes:
        select_take(session, scene.restoration_id, scene.number, take, decided_by="restar")
    for restoration_id in restorations:
        if restoration_id == lease.restoration_id and lease.kind is JobKind.RESTORE:
            if not more:  # the lease was its one job for this take
                enqueue_assemble(session, restoration_id)
            continue
        key = dedupe_key(JobKind.RESTORE, restoration_id, take.take_key)
        done = JobState.DONE
        close_queued(session, restoration_id, (JobKind.RESTORE,), only=key, state=done)
        enqueue_assemble(session, restoration_id)


def _record_master(
    session: Session, master_id: str, restoration_id: str, master: MasterFile
) -> MasterRow:
    session.execute(
        update(MasterRow)
        .where(MasterRow.path == master.path, MasterRow.state == MasterState.OK)
        .values(state=MasterState.SUPERSEDED)
    )
    head = head_of(session, restoration_stream(restoration_id))
    row = session.get(MasterRow, master_id, populate_existing=True)
    if row is None:
        row = MasterRow(id=master_id, restoration_id=restoration_id, **asdict(master))
        session.add(row)
    row.state, row.event_head, row.event_count = MasterState.OK, head.head, head.count
    row.made_at = now()
    session.flush()
    session.refresh(row)
    return row


def _selection(session: Session, restoration_id: str) -> dict[int, int]:
    rows = session.execute(
        select(SelectionRow.scene_number, SelectionRow.take_id).where(
            SelectionRow.restoration_id == restoration_id
        )
    )
    return dict(rows.all())
