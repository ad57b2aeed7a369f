"""Measures the facts: how many are stated, how many of those are wrong, and what measuring costs.

python -m benchmarks.facts --clips 60              on generated clips, everything known
python -m benchmarks.facts --films FILM...         what is stated of the scenes of films
python -m benchmarks.facts --labelled FOLDER       on scenes that a person looked at (real_facts.json)
    with --worn archive|star                       worn by a preset of media.degrade first
python -m benchmarks.facts --cost FILM...          the share on top of the ingest pass
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.known_clips import known_clips, worn, worn_truth, write_clip, write_film
from captioners.measure import MeasuredFilm, Measurer, measured
from captioners.scenefacts import facts_of
from media.convert import to_rgb
from media.degrade import preset
from media.frames import IndexWriter, decode_all, index_film
from media.probe import probe
from restar.timeline import FrameRange
from tasks.shots import ShotSettings, detect_scenes


class Tally:
    """Counts of facts whose truth is known: stated, and stated wrongly."""

    def __init__(self) -> None:
        self.known: Counter[str] = Counter()
        self.stated: Counter[str] = Counter()
        self.wrong: list[tuple[str, str, str, str]] = []

    def add(self, where: str, truth: Mapping[str, str], stated: Mapping[str, str]) -> None:
        for name, value in truth.items():
            self.known[name] += 1
            if name in stated:
                self.stated[name] += 1
                if stated[name] != value:
                    self.wrong.append((where, name, value, stated[name]))

    def show(self) -> None:
        wrong = Counter(name for _, name, _, _ in self.wrong)
        print("| fact | known | stated | wrong |\n| --- | ---: | ---: | ---: |")
        for name, known in self.known.items():
            print(f"| {name} | {known} | {self.stated[name]} | {wrong[name]} |")
        known, stated = self.known.total(), self.stated.total()
        print(
            f"| all | {known} | {stated} ({100 * stated / known:.1f} %) "
            f"| {len(self.wrong)} ({100 * len(self.wrong) / max(1, stated):.1f} %) |"
        )
        for one in self.wrong:
            print("wrong: {}: {} is {}, stated {}".format(*one))


def measure(path: Path, frames: int | None = None) -> MeasuredFilm:
    """Measure a film, or its first frames."""
    info = probe(path)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "measures.npz"
        with Measurer(target, info.video.rate or Fraction(25)) as measurer:
            for _ in measured(islice(decode_all(path, info), frames), measurer):
                pass
        return MeasuredFilm.load(target)


def generated(count: int, seed: int, wear: str = "") -> Tally:
    """Facts of generated clips of 480x360; of 320x240 where they are worn."""
    tally = Tally()
    size = (480, 360)
    if wear:
        size = (320 * preset(wear, seed).downscale, 240 * preset(wear, seed).downscale)
    with tempfile.TemporaryDirectory() as folder:
        for clip in known_clips(count, seed, size):
            path = write_clip(clip, Path(folder) / "clip.mp4", wear)
            film = measure(path)
            tally.add(
                f"clip {clip.seed}",
                worn_truth(clip.truth, wear) if wear else clip.truth,
                facts_of(film, FrameRange(0, clip.frames)).to_json(),
            )
    return tally


def labelled(folder: Path, wear: str = "", most: int = 10_000) -> Tally:
    """Facts of real scenes, by what a person saw in them (benchmarks/real_facts.json).

    Worn by a preset, if one is named: each scene by itself, of no more than `most` frames.
    """
    tally = Tally()
    labels = json.loads((Path(__file__).parent / "real_facts.json").read_text(encoding="utf-8"))
    for name, scenes in labels.items():
        paths = sorted(folder.rglob(name))
        if not paths:
            print(f"{name}: not below {folder}", file=sys.stderr)
            continue
        if wear:
            for scene, film in _worn_scenes(paths[0], scenes, wear, most):
                stated = facts_of(film, FrameRange(0, len(film.frames))).to_json()
                tally.add(f"{name} {scene['frames']}", worn_truth(scene["truth"], wear), stated)
            continue
        film = measure(paths[0], max(scene["frames"][1] for scene in scenes))
        for scene in scenes:
            stated = facts_of(film, FrameRange(*scene["frames"])).to_json()
            tally.add(f"{name} {scene['frames']}", scene["truth"], stated)
    return tally


def _worn_scenes(
    path: Path, scenes: list[dict[str, Any]], wear: str, most: int
) -> Iterator[tuple[dict[str, Any], MeasuredFilm]]:
    """Each scene of a film, worn and measured; its label holds for its first frames as for all."""
    info = probe(path)
    frames, at = decode_all(path, info), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, scene in enumerate(scenes):
            start, end = scene["frames"]
            end = min(end, start + most)
            clean = (
                np.rint(255 * to_rgb(frame)).astype(np.uint8)
                for frame in islice(frames, start - at, end - at)
            )
            target = Path(folder) / "worn.mp4"
            rate = info.video.rate or Fraction(25)
            write_film(worn(clean, wear, number), target, preset(wear, number).crf, rate)
            at = end
            yield scene, measure(target)


def show_films(films: list[Path]) -> None:
    for path in films:
        info = probe(path)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "measures.npz"
            with Measurer(target, info.video.rate or Fraction(25)) as measurer:
                frames = measured(decode_all(path, info), measurer)
                scenes = detect_scenes(
                    frames, info.format, info.video.rate or Fraction(25), ShotSettings()
                )
            film = MeasuredFilm.load(target)
        for scene in scenes:
            print(
                path.name,
                [scene.start, scene.end],
                facts_of(film, FrameRange(scene.start, scene.end)).to_json(),
            )


def cost(films: list[Path], rounds: int = 5) -> None:
    """Processor time of the whole process for one ingest pass, the least of some rounds."""
    print(
        "| film | frames | decode + checksums | + cuts | facts | share of decode | share of ingest |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path in films:
        info = probe(path)
        rate = info.video.rate or Fraction(25)
        times: dict[tuple[bool, bool], list[float]] = {}
        count = 0
        for _ in range(rounds):
            for cuts in (False, True):
                for facts in (False, True):
                    with tempfile.TemporaryDirectory() as folder:
                        began = time.process_time()
                        with (
                            IndexWriter(Path(folder) / "index.npy") as writer,
                            Measurer(Path(folder) / "measures.npz", rate) as measurer,
                        ):
                            frames = index_film(path, info, writer)
                            passed = measured(frames, measurer) if facts else frames
                            if cuts:
                                count = detect_scenes(passed, info.format, rate, ShotSettings())[
                                    -1
                                ].end
                            else:
                                for _frame in passed:
                                    pass
                        times.setdefault((cuts, facts), []).append(time.process_time() - began)
        least = {key: 1000 * min(values) / count for key, values in times.items()}
        plain, ingest = least[False, False], least[True, False]
        extra = min(least[False, True] - plain, least[True, True] - ingest)
        print(
            f"| {path.name} {info.format.width}x{info.format.height} | {count} | {plain:.2f} ms "
            f"| {ingest:.2f} ms | {extra:.2f} ms | {100 * (least[False, True] / plain - 1):.0f} % "
            f"| {100 * (least[True, True] / ingest - 1):.0f} % |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--films", type=Path, nargs="*", default=[])
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--worn", choices=("archive", "star"), default="")
    parser.add_argument(
        "--most", type=int, default=72, help="frames of a labelled scene, with --worn"
    )
    parser.add_argument("--cost", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    if chosen.clips:
        generated(chosen.clips, chosen.seed, chosen.worn).show()
    if chosen.labelled:
        labelled(chosen.labelled, chosen.worn, chosen.most).show()
    if chosen.films:
        show_films(chosen.films)
    if chosen.cost:
        cost(chosen.cost)


if __name__ == "__main__":
    main()
