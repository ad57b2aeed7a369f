"""Four agents on two hundred scenes of two films at once: each scene once, each film its share."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from catalog.models import TakeRow
from catalog.shots import save_shot_list
from flows.prepare import Order
from restar.film import Scene
from tasks.ingest import ingest
from tests.films import run_ffmpeg
from tests.flows.nursery import until
from tests.flows.world import World, framemd5, slow

pytestmark = pytest.mark.kill
SCENES, FRAMES, AGENTS = 100, 2, 4


def film(path: Path, source: str) -> Path:
    seconds = SCENES * FRAMES / 25
    run_ffmpeg(
        ["-f", "lavfi", "-i", f"{source}=s=48x32:r=25:d={seconds}", "-c:v", "ffv1", str(path)]
    )
    return path


def test_four_agents_on_two_hundred_scenes(world: World, tmp_path: Path) -> None:
    films = [film(tmp_path / "a.mkv", "testsrc"), film(tmp_path / "b.mkv", "testsrc2")]
    cuts = [Scene(n + 1, n * FRAMES, (n + 1) * FRAMES) for n in range(SCENES)]
    for path in films:
        with world.house() as house:
            identifiers = Order(slow(), tmp_path).identifiers
            film_id = ingest(house, path=path, identifiers=identifiers)
            with house.catalog.begin() as session:
                save_shot_list(session, film_id, cuts, detector="t", parameters={}, made_by="t")
        world.queue(film=path)

    agents = [world.agent(idle=3) for _ in range(AGENTS)]
    until(world.all_done, "both masters")
    for agent in agents:
        if agent.running:  # it may have left: nothing to do for 3 s
            agent.signal(15)
    assert {agent.wait() for agent in agents} <= {0, 75}

    assert len(world.log.read_text().split()) == 2 * SCENES, "a scene was begun twice"
    assert {job.attempt for job in world.jobs()} == {1}
    with world.catalog.read() as session:
        order = list(session.scalars(select(TakeRow.film_id).order_by(TakeRow.id)))
        workers = set(session.scalars(select(TakeRow.agent_id)))
    assert len(order) == 2 * SCENES
    assert len(workers) == AGENTS
    first = order[0]
    for done in range(40, 2 * SCENES, 20):
        share = order[:done].count(first) / done
        assert 0.4 <= share <= 0.6, f"{share:.0%} of the first {done} takes are of one film"
    out = tmp_path / "out"
    for path in films:
        assert framemd5(out / f"{path.stem}.slow.mkv") == framemd5(path)
        (out / f"{path.stem}.slow.mkv").unlink()
    shutil.rmtree(out)
