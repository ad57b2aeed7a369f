"""Everything at once, by Prefect's API, on one machine: `restar up`, six films, a redo, no orphans.

    python -m benchmarks.whole [--keep DIR]

The films are a good one, its duplicate, a broken one, another format, one in a watch folder, and one by
STAR (`star-tiny`) where that restorer is installed. The nightly schedule is fired by hand with the
parameters that it would have; one scene is redone; then Ctrl-C. Prints how long each step took.
"""

import argparse
import tempfile
import time
from pathlib import Path

from flows.bulk import State, how_it_stands
from media import ffmpeg
from restar.plugins import plugin_names
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.filmlist import Entry
from tasks.house import open_house
from tests.films import scenes_film
from tests.flows.upstairs import Up

QUICK = (
    'name = "quick"\nrestore.steps = [{ use = "resize", options = { scale = 2 } }]\n'
    'deliver = { access = "none" }\n'
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--keep", type=Path, help="Work here, and leave everything.")
    keep = arguments.parse_args().keep
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        whole(keep.absolute())
        return
    with tempfile.TemporaryDirectory(prefix="restar-whole-") as folder:
        whole(Path(folder))


def whole(folder: Path) -> None:
    films, incoming, out = folder / "films", folder / "incoming", folder / "out"
    for one in (films, incoming):
        one.mkdir()
    first = scenes_film(films / "first.mp4")
    (films / "twin.mp4").write_bytes(first.read_bytes())
    (films / "broken.mov").write_text("no film")
    _pattern("testsrc", films / "chart.mkv")
    _pattern("mandelbrot", incoming / "zoom.mkv")
    recipe, star = folder / "quick.toml", "star-tiny"
    recipe.write_text(QUICK)
    wanted = [Entry(films / n, load_recipe(str(recipe))) for n in ("first.mp4", "chart.mkv")]
    wanted.append(Entry(incoming / "zoom.mkv", load_recipe(str(recipe))))
    began = time.monotonic()
    everything = Up(folder, seconds=900)
    try:
        everything.wait_until_up()
        began = _told("up", began)
        common = {"recipe": str(recipe), "output": str(out)}
        everything.completed(everything.run("bulk/bulk", source=str(films), **common))
        began = _told("bulk: two films queued, a duplicate and a broken one told", began)
        watching = everything.run("watch/watch", folder=str(incoming), settle_seconds=2, **common)
        everything.completed(watching)
        began = _told("watch: one film taken", began)
        if "star" in plugin_names("restorers"):
            small = _pattern("testsrc2", folder / "star.mkv")
            wanted.append(Entry(small, load_recipe(star)))
            prepared = everything.run(
                "prepare/prepare", film=str(small), recipe=star, output=str(out)
            )
            everything.completed(prepared)
            began = _told("prepare: one film for STAR", began)
        settings = Settings(home=everything.home, database="", store=None)
        with open_house(settings) as house:

            def done() -> bool:
                states = [how_it_stands(house, one, out).state for one in wanted]
                return all(state in (State.DONE, State.FLAGGED) for state in states)

            everything.wait(done, "all masters")
        began = _told(f"{len(wanted)} masters by an agent of the pool gpu", began)
        master = out / "first.quick.mkv"
        before = master.stat().st_mtime_ns
        everything.completed(everything.run("redo/redo", film=str(first), scenes="2"))
        everything.wait(lambda: _changed(master, before), "the master joined anew")
        began = _told("redo of one scene, master joined anew", began)
        runs = [run for run in everything.all_of("flow_runs") if run["start_time"]]
        print(f"{len(runs)} runs in the pools {sorted({r['work_pool_name'] for r in runs})}")
    finally:
        everything.close()
    _told("Ctrl-C, nothing left", began)


def _changed(path: Path, before: int) -> bool:
    try:
        return path.stat().st_mtime_ns != before
    except FileNotFoundError:
        return False


def _pattern(name: str, path: Path) -> Path:
    source = f"{name}=s=96x64:r=25"
    ffmpeg.run(["-y", "-f", "lavfi", "-i", source, "-t", "2", "-c:v", "ffv1", str(path)], "a film")
    return path


def _told(what: str, began: float) -> float:
    now = time.monotonic()
    print(f"{what}: {now - began:.0f} s", flush=True)
    return now


if __name__ == "__main__":
    main()
