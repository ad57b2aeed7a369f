"""Proxies of scenes: which there are, and jobs for those that somebody wants to look at.

A proxy belongs to a film, not to a restoration: every restoration that uses the same take, or cuts the
film at the same frames, looks at the same one. So its job waits for no restoration's phases either.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.base import OPEN, JobKind, JobState
from catalog.jobs import Lease, NewJob, dedupe_key, enqueue, finish
from catalog.models import JobRow, ProxyRow
from catalog.types import insert_missing, now
from restar.hashing import sha256_of

__all__ = ["NewProxy", "ProxyOf", "commit_proxy", "find_proxies", "proxy_states", "want_proxies"]


@dataclass(frozen=True)
class ProxyOf:
    """What is shown: frames [start, end) of a film's source, of its plain resize, or of a take.

    `format` is the take's format that the plain resize is made in (media.format.TakeFormat as data).
    """

    kind: Literal["source", "resize", "take"]
    film_id: str
    start: int
    end: int
    take_key: str = ""
    format: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the proxy is known by."""
        if self.kind == "take":
            return f"take:{self.take_key}"
        where = f"{self.kind}:{self.film_id}:{self.start}-{self.end}"
        return where if self.kind == "source" else f"{where}:{sha256_of(self.format)[:16]}"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ProxyOf":
        return cls(**data)


@dataclass(frozen=True)
class NewProxy:
    """A proxy whose file and index are in the store."""

    sha256: str
    index_sha256: str
    bytes: int
    frames: int


def want_proxies(session: Session, wanted: Sequence[ProxyOf], algorithm: int) -> int:
    """Queue jobs for the proxies that are not there, or are of an older version; return how many."""
    there = find_proxies(session, wanted, algorithm)
    missing = [one for one in wanted if one.key not in there]
    for one in missing:
        job = NewJob(
            JobKind.PROXY,
            dedupe_key(JobKind.PROXY, algorithm, one.key),
            film_id=one.film_id,
            payload={"proxy": asdict(one)},
            cost=float(one.end - one.start) / 10,
        )
        enqueue(session, job, reopen=True)
    return len(missing)


def find_proxies(
    session: Session, wanted: Sequence[ProxyOf], algorithm: int
) -> dict[str, ProxyRow]:
    """Return the proxies that are there, by key."""
    rows = session.scalars(
        select(ProxyRow).where(
            ProxyRow.of.in_([one.key for one in wanted]), ProxyRow.algorithm == algorithm
        )
    )
    return {row.of: row for row in rows}


def proxy_states(session: Session, wanted: Sequence[ProxyOf], algorithm: int) -> dict[str, str]:
    """Return how it stands with each proxy: "ready", "queued", "under way", why it failed, or ""."""
    there = find_proxies(session, wanted, algorithm)
    keys = {dedupe_key(JobKind.PROXY, algorithm, one.key): one.key for one in wanted}
    jobs = {
        keys[row.dedupe_key]: row
        for row in session.scalars(select(JobRow).where(JobRow.dedupe_key.in_(keys)))
    }
    return {one.key: "ready" if one.key in there else _told(jobs.get(one.key)) for one in wanted}


def commit_proxy(
    session: Session, lease: Lease, of: ProxyOf, proxy: NewProxy, algorithm: int
) -> None:
    """Record a proxy that was made, in the place of an older version, and end its job."""
    finish(session, lease)
    values = {**asdict(proxy), "algorithm": algorithm}
    if not insert_missing(
        session, ProxyRow, {"of": of.key, "film_id": of.film_id, **values}, ["of"]
    ):
        row = session.get_one(ProxyRow, of.key)
        for name, value in values.items():
            setattr(row, name, value)
        row.made_at = now()
        session.flush()


def _told(job: JobRow | None) -> str:
    if job is None:
        return ""
    if job.state in OPEN:
        return "under way" if job.state is JobState.LEASED else "queued"
    return f"failed: {job.error}" if job.state is JobState.FAILED else ""
