"""What exactness costs: an identity run against one decode, one FFV1 encode and one FFV1 decode.

    python benchmarks/identity.py [--seconds 60]
    python benchmarks/identity.py --scenes 1000

The first bar: the run costs at most 1.3 times the sum of the three, each timed alone in the same run,
by the same settings and threads. Start-up is told apart, and processor seconds beside those of the
clock: on a machine that does other things, those tell more. The second bar: our own code adds at most
30 ms to a scene at 1,000 scenes, measured on tiny frames where nothing else costs anything.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from catalog.shots import latest_shot_list, save_shot_list
from flows.prepare import Order
from flows.restore import restore_film
from media.format import TakeFormat
from media.frames import decode_all
from media.probe import probe
from media.take import TakeWriter
from restar.film import Scene
from restar.recipe import Recipe, load_recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.films import run_ffmpeg


class Cost(NamedTuple):
    """Seconds by the clock, and seconds that processors were at work: the load of others shows."""

    clock: float
    busy: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--scenes", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.scenes:
            overhead(Path(folder), options.scenes)
        else:
            cost(Path(folder), options.seconds)


def cost(folder: Path, seconds: int) -> None:
    source = folder / "film.mp4"
    look = f"testsrc2=s=1280x720:r=25:d={seconds},noise=alls=6:allf=t"
    run_ffmpeg(["-f", "lavfi", "-i", look, "-f", "lavfi", "-i", f"sine=d={seconds}",
                "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac",
                str(source)])  # fmt: skip
    info = probe(source)
    take = folder / "take.mkv"

    def encode() -> None:
        with TakeWriter(take, TakeFormat(info.format), Fraction(25)) as writer:
            for frame in decode_all(source, info):
                writer.write(frame)
            writer.finish()

    parts = {
        "one decode": timed(lambda: sum(1 for _ in decode_all(source, info))),
        "the same and one FFV1 encode": timed(encode),
        "one FFV1 decode": timed(lambda: sum(1 for _ in decode_all(take, probe(take)))),
        "start-up of the command": timed(lambda: subprocess.run(
            [sys.executable, "-m", "cli", "recipes"], check=True, stdout=subprocess.DEVNULL)),
        "the identity run": timed(lambda: identity(folder, source)),
    }  # fmt: skip
    print(f"{seconds} s of 1280x720, each by the clock and in processor seconds:")
    for name, part in parts.items():
        print(f"{name:30} {part.clock:7.1f} s {part.busy:7.1f} s")
    _, both, ffv1, _, run = parts.values()
    clock, busy = (run.clock / (both.clock + ffv1.clock), run.busy / (both.busy + ffv1.busy))
    print(f"the run is {clock:.2f} times the sum of decode, encode and decode, {busy:.2f} in "
          f"processor seconds (bar: 1.3); load {os.getloadavg()[0]:.0f}")  # fmt: skip


def overhead(folder: Path, count: int) -> None:
    """Time a film of `count` scenes of one frame each against the same film as one scene."""
    source = folder / "film.mkv"
    run_ffmpeg(["-f", "lavfi", "-i", f"testsrc2=s=32x32:r=25,trim=end_frame={count}",
                "-c:v", "ffv1", "-level", "3", "-g", "1", str(source)])  # fmt: skip
    scenes = [Scene(n + 1, n, n + 1) for n in range(count)]
    seconds = [scenes_run(folder, source, name, scenes) for name, scenes in
               (("one", [Scene(1, 0, count)]), ("many", scenes))]  # fmt: skip
    one, many = seconds
    clock, busy = (1000 * (a - b) / (count - 1) for a, b in
                   ((many.clock, one.clock), (many.busy, one.busy)))  # fmt: skip
    print(
        f"one scene {one.clock:.1f} s, {count} scenes {many.clock:.1f} s: {clock:.1f} ms a scene "
        f"(bar: 30), {busy:.1f} ms of it the processor's; load {os.getloadavg()[0]:.0f}"
    )


def scenes_run(folder: Path, source: Path, name: str, scenes: list[Scene]) -> Cost:
    from tasks.ingest import ingest

    settings = Settings(home=folder / name, database="", store=None)
    with open_house(settings) as house:
        film = ingest(house, path=source)
        with house.catalog.begin() as session:
            before = latest_shot_list(session, film)
            save_shot_list(session, film, scenes, detector="benchmark", parameters={},
                           made_by="benchmark", parent=before.id if before else None)  # fmt: skip
        order = Order(recipe(), folder / name / "out")
        return timed(lambda: restore_film(house, source, order))


def identity(folder: Path, source: Path) -> Path:
    settings = Settings(home=folder / "home", database="", store=None)
    with open_house(settings) as house:
        return restore_film(house, source, Order(recipe(), folder / "out"))


def recipe() -> Recipe:
    """Identity without what is made for people: no access copy, no report, no scores."""
    chosen = load_recipe("identity")
    deliver = chosen.deliver.model_copy(update={"access": "none", "report": False})
    score = chosen.score.model_copy(update={"scorers": ()})
    return chosen.model_copy(update={"deliver": deliver, "score": score})


def timed(work: Callable[[], object]) -> Cost:
    began, before = time.monotonic(), os.times()
    work()
    after = os.times()
    busy = sum(after[:4]) - sum(before[:4])  # children too
    return Cost(time.monotonic() - began, busy)


if __name__ == "__main__":
    main()
