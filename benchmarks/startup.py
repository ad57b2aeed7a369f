"""From the command to the first restored frame: with the flow engine, plain, on a new and a used home.

    python -m benchmarks.startup [--runs 5]

The film is the bundled reel. A run on a used home asks for another seed each time, so that its takes
have to be made. Prints the median and the range in seconds of each case; also of `restar --help`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REEL = ROOT / "samples" / "reel.mkv"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--runs", type=int, default=5)
    runs = arguments.parse_args().runs
    print("| case | median s | least | most |\n| --- | ---: | ---: | ---: |")
    told("restar --help", [help_seconds() for _ in range(runs)])
    for name, options in (("with the engine", []), ("--plain", ["--plain"])):
        new, used = [], []
        for _ in range(runs):
            with tempfile.TemporaryDirectory(prefix="restar-startup-") as folder:
                new.append(first_frame(Path(folder), options, seed=1))
                used.append(first_frame(Path(folder), options, seed=2))
        told(f"first frame, {name}, new home", new)
        told(f"first frame, {name}, used home", used)


def told(name: str, seconds: list[float]) -> None:
    middle, least, most = statistics.median(seconds), min(seconds), max(seconds)
    print(f"| {name} | {middle:.2f} | {least:.2f} | {most:.2f} |", flush=True)


def help_seconds() -> float:
    command = [sys.executable, "-m", "cli", "--help"]
    began = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def first_frame(folder: Path, options: list[str], seed: int) -> float:
    """Run a restoration; return the seconds from its start until a restorer gave its first frame."""
    mark = folder / "mark"
    mark.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__)), str(mark), "restore", *options, str(REEL),
               "--recipe", "default", "--seed", str(seed), "-o", str(folder / "out")]  # fmt: skip
    env = {**os.environ, "RESTAR_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    began = time.time()
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return mark.stat().st_mtime - began


class _Watch:
    """Touches a file once the module `media.take` is there and its writer gets a first frame."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Patch the writer just before tasks.restore, which imports it, is imported."""
        if name != "tasks.restore":
            return
        sys.meta_path.remove(self)
        from media.take import TakeWriter

        write = TakeWriter.write

        def first(writer: TakeWriter, *frame: Any) -> None:
            self.mark.touch()
            TakeWriter.write = write  # type: ignore[method-assign]
            write(writer, *frame)

        TakeWriter.write = first  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    if sys.argv[2:3] == ["restore"]:
        sys.meta_path.insert(0, _Watch(Path(sys.argv.pop(1))))
        from cli import main as restar

        restar()
    else:
        main()
