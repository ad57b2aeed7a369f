"""After out of memory: the scene is wanted with smaller windows, where its recipe leaves them to `auto`.

That is another spec. It is recorded with the scene, so that whoever plans it again comes to the same, and
as a hint for restorations that are opened later.
"""

import logging

from sqlalchemy.orm import Session

from catalog.events import EventType, append, restoration_stream
from catalog.hints import note_memory_hint
from catalog.jobs import finish
from catalog.models import RestorationRow
from catalog.restorations import lock_restoration, restoration_scene, set_overrides
from flows.bench import Bench, Ready
from flows.chains import Chains, size_of
from flows.wants import want_scene
from tasks.plan import shrunk

__all__ = ["want_less"]

_log = logging.getLogger("restar.drain")


def want_less(bench: Bench, ready: Ready, error: BaseException) -> bool:
    """Want the scene of a job with less memory, and end the job; False where there is nothing less."""
    lease, film, scene, recipe = ready.lease, ready.film, ready.scene, ready.recipe
    assert film is not None and scene is not None and recipe is not None  # noqa: S101
    assert ready.spec is not None  # noqa: S101
    less = shrunk(film, recipe, ready.spec) if "role" not in lease.payload else None
    if less is None:
        return False
    bench.workshop.release()
    bench.model = ""
    before = {
        number: {name: ready.spec.steps[int(number)].options.get(name) for name in answers}
        for number, answers in less.items()
    }
    overrides = {**scene.overrides, "settled": less}
    with bench.house.catalog.read() as session:
        restoration = session.get_one(RestorationRow, str(lease.restoration_id))
    _, plan = Chains(bench.house, film, restoration, members=bench.members).chain(scene)

    def record(session: Session) -> None:
        lock_restoration(session, restoration.id)
        now = restoration_scene(session, restoration.id, scene.number)
        finish(session, lease)
        if now.overrides != scene.overrides:  # a person's newer wish has a job of its own
            return
        set_overrides(session, restoration.id, scene.number, overrides)
        note_memory_hint(session, recipe.sha256, size_of(film), less)
        append(
            session,
            restoration_stream(restoration.id),
            EventType.POLICY_ASSIGNMENT,
            film_id=restoration.film_id,
            agent=bench.house.who,
            detail={
                "scene": scene.number, "reason": f"out of memory: {error}", "before": before,
                "after": less,
            },
        )  # fmt: skip
        want_scene(session, bench.house, restoration, now, plan, recipe, priority=lease.priority)

    bench.leases.commit(lease, record)
    _log.warning("scene %d ran out of memory; it is tried with smaller windows", scene.number)
    return True
