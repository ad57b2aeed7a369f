"""What has changed since a moment ago, at the cost of a few look-ups, whatever the catalog's size.

Pages of the review room stay open while agents work. Rather than reading everything again to see whether
it differs, these ends of tables are looked at: the newest event, score and job, and what agents hold.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalog.base import JobState
from catalog.models import AgentRow, EventRow, JobRow, ProxyRow, ScoreRow, TakeRow

__all__ = ["Change", "Pulse", "changes_since", "pulse_of"]

_MOST_FILMS = 100


@dataclass(frozen=True)
class Pulse:
    """The ends of the tables at one moment."""

    event: int
    score: int
    queue: tuple[object, ...]


@dataclass(frozen=True)
class Change:
    """Which films have something new, and whether the queue or an agent has."""

    films: tuple[str, ...] = ()
    queue: bool = False

    def __bool__(self) -> bool:
        return bool(self.films) or self.queue


def pulse_of(session: Session) -> Pulse:
    """Return the ends of the tables now."""
    held = session.execute(
        select(JobRow.id, JobRow.attempt).where(JobRow.state == JobState.LEASED).order_by(JobRow.id)
    ).all()
    agents = session.execute(
        select(func.sum(AgentRow.jobs), func.count(), func.count(AgentRow.ended_at))
    ).one()
    newest = [
        session.scalar(select(func.max(column)))
        for column in (EventRow.id, ScoreRow.id, JobRow.id, ProxyRow.made_at)
    ]
    event, score, *rest = newest
    queue = (*(tuple(row) for row in held), tuple(agents), *rest)
    return Pulse(event or 0, score or 0, queue)


def changes_since(session: Session, before: Pulse) -> tuple[Pulse, Change]:
    """Return the ends of the tables now, and what came since `before`."""
    after = pulse_of(session)
    films: list[str] = []
    if after.event > before.event:
        films += session.scalars(
            select(EventRow.film_id).where(EventRow.id > before.event).distinct().limit(_MOST_FILMS)
        )
    if after.score > before.score:
        films += session.scalars(
            select(TakeRow.film_id)
            .join(ScoreRow, ScoreRow.take_id == TakeRow.id)
            .where(ScoreRow.id > before.score)
            .distinct()
            .limit(_MOST_FILMS)
        )
    return after, Change(tuple(dict.fromkeys(films)), after.queue != before.queue)
