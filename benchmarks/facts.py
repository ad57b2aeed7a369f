"""Measures the facts: how many are stated, how many of those are wrong, and what measuring costs.

python -m benchmarks.facts --clips 60              on generated clips, everything known
python -m benchmarks.facts --films FILM...         what is stated of the scenes of films
python -m benchmarks.facts --labelled FOLDER       on scenes that a person looked at (real_facts.json)
    with --blind                                   on those of them that nothing was set on
    with --gray                                    made black-and-white
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
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Look:
    """Which of the labelled scenes are held against facts, and what is done to them before.

    `blind`: those that nothing was set on, else the others. `every`: only each so many-eth. `wear`: worn
    by this preset, each scene by itself, of no more than `most` frames. `gray`: black-and-white first.
    """

    blind: bool = False
    every: int = 1
    wear: str = ""
    most: int = 10_000
    gray: bool = False

    def of(self, scenes: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
        """The scenes of a film that are looked at, with their numbers."""
        chosen = enumerate(scenes)
        return [
            (n, one) for n, one in chosen
            if n % self.every == 0 and bool(one.get("blind")) == self.blind
        ]  # fmt: skip

    def truth(self, scene: dict[str, Any]) -> dict[str, str]:
        known = {**scene["truth"], **({"colour": "monochrome"} if self.gray else {})}
        start, end = scene["frames"]
        if (self.wear or self.gray) and end - start > self.most:
            known.pop("fade_out", None)  # its end is not among the frames that are looked at
        return worn_truth(known, self.wear) if self.wear else known


def labelled(folder: Path, look: Look) -> Tally:
    """Facts of real scenes, by what a person saw in them (benchmarks/real_facts.json)."""
    tally = Tally()
    labels = json.loads((Path(__file__).parent / "real_facts.json").read_text(encoding="utf-8"))
    for name, all_scenes in labels["films"].items():
        paths, scenes = sorted(folder.rglob(name)), look.of(all_scenes)
        if not paths:
            print(f"{name}: not below {folder}", file=sys.stderr)
        elif look.wear or look.gray:
            for scene, film in _made_scenes(paths[0], scenes, look):
                stated = facts_of(film, FrameRange(0, len(film.frames))).to_json()
                tally.add(f"{name} {scene['frames']}", look.truth(scene), stated)
        elif scenes:
            film = measure(paths[0], max(scene["frames"][1] for _, scene in scenes))
            for _, scene in scenes:
                stated = facts_of(film, FrameRange(*scene["frames"])).to_json()
                tally.add(f"{name} {scene['frames']}", look.truth(scene), stated)
    return tally


def _made_scenes(
    path: Path, scenes: list[tuple[int, dict[str, Any]]], look: Look
) -> Iterator[tuple[dict[str, Any], MeasuredFilm]]:
    """Scenes of a film, grayed and worn and measured; a label holds for its first frames as for all."""
    info = probe(path)
    frames, at = decode_all(path, info), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, scene in scenes:
            start, end = scene["frames"]
            end = min(end, start + look.most)
            shown = (to_rgb(frame) for frame in islice(frames, start - at, end - at))
            made: Iterator[NDArray[np.uint8]] = (
                np.rint(255 * (_grayed(p) if look.gray else p)).astype(np.uint8) for p in shown
            )
            crf = 18
            if look.wear:
                made = worn(made, look.wear, number)
                crf = preset(look.wear, number).crf
            target = Path(folder) / "made.mp4"
            write_film(made, target, crf, info.video.rate or Fraction(25))
            at = end
            yield scene, measure(target)


def _grayed(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    luma = picture @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.repeat(luma[..., None], 3, axis=2)


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
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="only each so many-eth labelled scene")
    parser.add_argument(
        "--most", type=int, default=72, help="frames of a labelled scene, with --worn or --gray"
    )
    parser.add_argument("--cost", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    if chosen.clips:
        generated(chosen.clips, chosen.seed, chosen.worn).show()
    if chosen.labelled:
        most = chosen.most if chosen.worn or chosen.gray else 10_000
        look = Look(chosen.blind, chosen.every, chosen.worn, most, chosen.gray)
        labelled(chosen.labelled, look).show()
    if chosen.films:
        show_films(chosen.films)
    if chosen.cost:
        cost(chosen.cost)


if __name__ == "__main__":
    main()
