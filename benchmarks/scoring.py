"""What scoring a take costs, against decoding source and take once and NIQE on ten frames.

    python -m benchmarks.scoring FILM [--frames 120] [--niqe]

Restores the film's first scene with `resize` in an installation of its own, then scores it. Processor
seconds of this process are told, since wall clocks of shared machines tell little.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from catalog.restorations import selected_takes
from flows.drain import drain
from flows.prepare import Order, prepare
from media.frames import decode_all, decode_range
from media.probe import probe
from restar.recipe import Score, load_recipe
from restar.settings import Settings
from restar.timeline import FrameRange
from tasks.house import open_film, open_house
from tasks.score import score_take


def main() -> None:
    """Print seconds and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("film", type=Path)
    arguments.add_argument("--niqe", action="store_true", help="with NIQE on five frames of each")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_house(Settings(home=Path(folder))) as house:
        recipe = load_recipe("default")
        quiet = recipe.model_copy(update={"score": Score(scorers=())})
        prepared = prepare(house, given.film, Order(quiet, Path(folder)))
        drain(house, prepared.restoration_id)
        film = open_film(house, prepared.film_id)
        with house.catalog.read() as session:
            take = max(selected_takes(session, prepared.restoration_id).values(),
                       key=lambda one: one.end - one.start)  # fmt: skip
        path = house.store.open_local(take.sha256)
        frames = FrameRange(take.start, take.end)
        began = _used()
        for _ in decode_range(film.path, film.info, film.index, frames):
            pass
        for _ in decode_all(path, probe(path)):
            pass
        decoding = _used() - began
        wanted = Score()
        niqe = 0.0
        if given.niqe:
            score_take(house, film, take, Score(scorers=("niqe",), frames=1), number=1)  # warm
            began = _used()
            score_take(house, film, take, Score(scorers=("niqe",)), number=1)
            niqe = _used() - began - decoding
            wanted = replace_scorers(wanted)
        began = _used()
        score_take(house, film, take, wanted, number=1)
        scoring = _used() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = take.spec["format"]["video"]
        print(f"{film.info.format.width}x{film.info.format.height} to {size['width']}x"
              f"{size['height']}, {frames.count} frames: decoding {decoding:.1f} s, NIQE "
              f"{niqe:.1f} s, scoring {scoring:.1f} s of processor: "
              f"{scoring / (decoding + niqe):.2f} times; peak {peak:.0f} MiB")  # fmt: skip


def replace_scorers(score: Score) -> Score:
    """The standard measures, and NIQE."""
    return score.model_copy(update={"scorers": (*score.scorers, "niqe")})


def _used() -> float:
    return time.process_time()


if __name__ == "__main__":
    main()
