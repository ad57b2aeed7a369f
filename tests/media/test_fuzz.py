"""Mutated files: no crash, no hang, no unbounded memory; an error of ours, or a film that decodes."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kinds import make_kind

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = 12  # of each film
READ = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from media.frames import IndexWriter, index_film, nominal_step
from media.marks import MarksWriter
from media.parts import probe_film
from media.streams import plan_streams
from restar.errors import RestarError
for name in sys.argv[2:]:
    path, folder = Path(name), Path(sys.argv[1])
    try:
        info = probe_film(path)
        plan_streams(path, info)
        with (
            IndexWriter(folder / "index", nominal_step(info)) as writer,
            MarksWriter(folder / "marks") as marks,
        ):
            for number, _ in enumerate(index_film(path, info, writer, marks)):
                assert number < 100_000, "a small file gave no end of frames"
        print("film", path.name)
    except RestarError as error:
        assert "\\n" not in str(error).strip() or "ffmpeg says" in str(error), str(error)
        print("refused", path.name)
"""
SEEDS = ["sar.mp4", "adts.ts", "many sounds.mkv", "missing pts.avi", "op1a.mxf", "timecode track.mov",
         "gray10.mkv", "program stream.mpg", "vorbis.ogv", "moving.gif"]  # fmt: skip


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Turn bits, and cut, double or zero a part."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 8, 64))):
        head = rng.random() < 0.5
        out[rng.randrange(min(len(out), 600) if head else len(out))] ^= 1 << rng.randrange(8)
    start = rng.randrange(len(out))
    end = min(len(out), start + rng.randrange(1, 4000))
    match rng.randrange(5):
        case 0:
            del out[start:]
        case 1:
            out[start:start] = out[start:end]
        case 2:
            out[start:end] = bytes(end - start)
        case 3:
            del out[start:end]
    return bytes(out)


PLANTED = {
    "a crash": "import ctypes; ctypes.string_at(0)",
    "an error that is none of ours": "raise ValueError(path)",
    "an error of many lines": "raise RestarError('a\\nb')",
    "memory without bounds": "held = bytearray(7 << 30)",
    "no end": "resource.setrlimit(resource.RLIMIT_CPU, (2, 2))\n        while True: pass",
}


def read(folder: Path, paths: list[str], code: str = READ) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(folder), *paths],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(tmp_path: Path, fault: str) -> None:
    """What the runs below would show if the reader had it."""
    path = str(make_kind(tmp_path, "sar.mp4"))
    line = "info = probe_film(path)"
    assert READ.count(line) == 1
    assert read(tmp_path, [path], READ.replace(line, PLANTED[fault])).returncode != 0


@pytest.mark.parametrize("name", SEEDS)
def test_mutated_films_are_read_or_refused(tmp_path: Path, name: str) -> None:
    data = make_kind(tmp_path, name).read_bytes()
    rng = random.Random(f"restar {name}")  # noqa: S311  the same mutants each time
    paths = []
    for number in range(MUTANTS):
        path = tmp_path / f"{number}{Path(name).suffix}"
        path.write_bytes(mutated(data, rng))
        paths.append(str(path))
    run = read(tmp_path, paths)
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(run.stdout.splitlines()) == MUTANTS
