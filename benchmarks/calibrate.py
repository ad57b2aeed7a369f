"""How well flags find faults: good takes of real clips, with and without faults put into them.

    python -m benchmarks.calibrate measure --cache DIR [--workers 2]
    python -m benchmarks.calibrate thresholds --cache DIR
    python -m benchmarks.calibrate rates --cache DIR
    python -m benchmarks.calibrate star-tiny --cache DIR [--workers 1]

`measure` fetches the footage if it is missing and measures every take; `thresholds` proposes limits
from the clips that are not held out; `rates` tells detection and false alarms of the limits that
restar ships, on the clips that are; `star-tiny` tells what good takes of star-tiny on these are flagged
for. docs/scores.md has the tables.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, clips
from benchmarks.faults import FAULTS, OTHERS, STRENGTHS, WHERE
from media.convert import from_rgb, scaled, to_rgb
from media.degrade import CopyPass, Degradation, PrintWear, degrade_frames
from media.format import ColourTags, VideoFormat
from scorers import ScoreSeries, scorer
from scorers.flags import RULES, Rule, find_flags
from scorers.pair import Pair

Picture = NDArray[np.float32]
Good = tuple[list[Picture], list[Picture]]

_TAGS = ColourTags("bt709", "tv", "bt709", "bt709")
_WORN = PrintWear(flicker=0.03, grain=0.04, grain_size=0.9, dust=0.6)
_COPIED = (CopyPass(blur_x=0.6, blur_y=0.6, noise=2 / 255, jpeg=80),)


def goods(clean: list[Picture], seed: int) -> Iterator[tuple[str, list[Picture], list[Picture]]]:
    """Yield (name, source, take) for every kind of good take of a clip."""
    small = list(degrade_frames(clean, Degradation(downscale=2), seed))
    copied = list(degrade_frames(clean, Degradation(passes=_COPIED, downscale=2), seed))
    worn = list(degrade_frames(clean, Degradation(wear=_WORN, passes=_COPIED), seed))
    noisy = list(degrade_frames(clean, Degradation(passes=(CopyPass(noise=6 / 255),)), seed))
    worn_small = list(degrade_frames(clean, Degradation(_WORN, _COPIED, 2), seed))
    yield "resize-x2", small, [enlarged(p) for p in small]
    yield "identity", copied, copied
    yield "clean-of-copy-x2", copied, clean
    yield "clean-of-worn", worn, clean
    yield "resize-x2-of-worn", worn_small, [enlarged(p) for p in worn_small]
    yield "denoised", noisy, smoothed(noisy)
    yield "clean-of-worn-x2", worn_small, clean
    yield "sharpened-x2", small, [sharpened(enlarged(p)) for p in small]


def enlarged(picture: Picture) -> Picture:
    video = VideoFormat(picture.shape[1], picture.shape[0], "yuv420p", colour=_TAGS)
    frame = scaled(from_rgb(picture, video), 2 * video.width, 2 * video.height, "lanczos")
    return to_rgb(frame)


def smoothed(pictures: Sequence[Picture]) -> list[Picture]:
    """An edge-keeping denoiser's result."""
    return [np.asarray(cv2.bilateralFilter(p, 5, 0.08, 1.5), np.float32) for p in pictures]


def sharpened(picture: Picture) -> Picture:
    return np.asarray(picture + 0.4 * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2)))


def source_pairs(source: list[Picture]) -> list[Pair]:
    """The source beside itself: what is known of it is used for every take."""
    video = VideoFormat(source[0].shape[1], source[0].shape[0], "yuv420p", colour=_TAGS)
    pairs: list[Pair] = []
    for index, picture in enumerate(source):
        frame = from_rgb(np.clip(picture, 0, 1), video)
        pairs.append(Pair(index, frame, frame, (video, video), pairs[-1] if pairs else None))
        for name in ("luma", "source_tiles", "source_flat", "source_flow_luma", "flow"):
            getattr(pairs[-1], name)
    return pairs


def measure(source: list[Pair], take: list[Picture], only: Sequence[str]) -> list[ScoreSeries]:
    """Return what some measures say of a take; without `only` every one that flags are raised by."""
    video = VideoFormat(take[0].shape[1], take[0].shape[0], "yuv420p", colour=_TAGS)
    members = [scorer(name) for name in only or sorted({r.scorer for r in RULES} | {"warp-error"})]
    sessions = [member.start(source[0].formats[0], video) for member in members]
    before = None
    for pair, picture in zip(source, take, strict=True):
        frame = from_rgb(np.clip(picture, 0, 1), video)
        before = pair.beside(frame, video, before)
        for session in sessions:
            session.see(before)
    return [session.finish() for session in sessions]


def of_clip(
    clip: Clip, only: Sequence[str] = (), faults: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Measure all takes of a clip: each good one, and each fault in some of them."""
    cv2.setNumThreads(1)
    seed = sum(clip.name.encode())
    clean = [np.asarray(p, np.float32) / np.float32(255) for p in clip.load()]
    made = [(kind, source_pairs(source), take) for kind, source, take in goods(clean, seed)]
    rows = [(kind, "", "", measure(source, take, only)) for kind, source, take in made]
    for number, (fault, put) in enumerate({**FAULTS, **OTHERS}.items()):
        if faults and fault not in faults:
            continue
        for strength, word in enumerate(STRENGTHS):
            for turn in range(_takes_of(fault, word)):
                kind, source, take = made[(number + seed + 3 * turn + strength) % len(made)]
                random = np.random.default_rng((seed, number, strength, turn))
                faulty = [np.clip(p, 0, 1) for p in put(take, random, strength)]
                rows.append((kind, fault, word, measure(source, faulty, only)))
    return [
        {"clip": clip.name, "held_out": clip.held_out, "good": good, "fault": fault,
         "strength": word, "series": [asdict(one) for one in series]}
        for good, fault, word, series in rows
    ]  # fmt: skip


def _takes_of(fault: str, strength: str) -> int:
    if fault in OTHERS:
        return int(strength == "medium")
    return 2 if strength == "medium" else 1


def run_measure(cache: Path, workers: int, only: Sequence[str], faults: Sequence[str] = ()) -> None:
    """Measure every clip that was not; with `only`, these measures anew, into what is there."""
    folder = cache / "measured"
    folder.mkdir(exist_ok=True)
    wanted = [c for c in clips(cache) if only or not (folder / f"{c.name}.json").exists()]
    wanted.sort(key=lambda clip: not clip.held_out)
    work = partial(of_clip, only=only, faults=faults)
    with ProcessPoolExecutor(workers) as pool:
        for clip, made in zip(wanted, pool.map(work, wanted), strict=True):
            path = folder / f"{clip.name}.json"
            there = json.loads(path.read_text()) if only and path.exists() else None
            rows = made if there is None else _put_into(there, made, only)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(rows), encoding="utf-8")
            part.rename(path)
            print(f"{clip.name}: {len(rows)} takes", flush=True)


def _put_into(
    there: list[dict[str, Any]], rows: list[dict[str, Any]], only: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows that are there, with what was measured anew in the place of what it was."""
    waiting = list(rows)
    for old in there:
        new = waiting[0] if waiting else {}
        if all(new.get(k) == old[k] for k in ("good", "fault", "strength")):
            kept = [one for one in old["series"] if one["name"] not in only]
            old["series"] = new["series"] + kept
            waiting.pop(0)
    assert not waiting, "takes that were measured before are others"
    return there


def run_star_tiny(cache: Path, workers: int) -> None:
    """Measure takes of star-tiny on held-out clips that were not, and print what they are flagged for."""
    folder = cache / "star-tiny"
    folder.mkdir(exist_ok=True)
    wanted = [c for c in clips(cache) if c.held_out and not (folder / f"{c.name}.json").exists()]
    with ProcessPoolExecutor(workers) as pool:
        for clip, rows in zip(wanted, pool.map(_of_star_tiny, wanted), strict=True):
            (folder / f"{clip.name}.json").write_text(json.dumps(rows), encoding="utf-8")
            print(f"{clip.name}: {len(rows)} takes", flush=True)
    _show_good(list(measured(cache, "star-tiny")))


def _of_star_tiny(clip: Clip, frames: int = 12) -> list[dict[str, Any]]:
    """Takes of a clip's first frames by star-tiny, x2: of a clean source and of a worn one."""
    import torch

    from benchmarks.startiny import star_tiny

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    seed = sum(clip.name.encode())
    clean = [np.asarray(p, np.float32) / np.float32(255) for p in clip.load()[:frames]]
    rows = []
    for kind, how in (
        ("star-tiny-x2", Degradation(downscale=2)),
        ("star-tiny-x2-of-worn", Degradation(_WORN, _COPIED, 2)),
    ):
        source = list(degrade_frames(clean, how, seed))
        series = measure(source_pairs(source), star_tiny(source), ())
        rows.append(
            {"clip": clip.name, "held_out": True, "good": kind, "fault": "", "strength": "",
             "series": [asdict(one) for one in series]}
        )  # fmt: skip
    return rows


def measured(cache: Path, folder: str = "measured") -> Iterator[dict[str, Any]]:
    """Yield every take that was measured, its series as such."""
    for path in sorted((cache / folder).glob("*.json")):
        for row in json.loads(path.read_text()):
            yield {**row, "series": [_series(one) for one in row["series"]]}


def flags_at(row: dict[str, Any], thresholds: dict[str, float] | None = None) -> set[str]:
    """Return the flags of a take."""
    return {finding.flag for finding in find_flags(row["series"], thresholds)}


def run_thresholds(cache: Path) -> None:
    """Propose for each rule the limit that lets 2 % of the good takes not held out pass over it."""
    rows = [row for row in measured(cache) if not row["held_out"]]
    good = [row for row in rows if not row["fault"]]
    for rule in RULES:
        values = sorted(v for row in good if (v := _extreme(row, rule)) is not None)
        faults = [f for f, flags in WHERE.items() if rule.flag in flags]
        bad = sorted(
            v for row in rows
            if row["fault"] in faults and row["strength"] == "medium"
            and (v := _extreme(row, rule)) is not None
        )  # fmt: skip
        if not values or not bad:
            print(f"{rule.flag:16} {rule.scorer:16} no faults are made for it")
            continue
        higher = (
            next(s for r in good for s in r["series"] if s.name == rule.scorer).better == "higher"
        )
        values, bad = (values[::-1], bad[::-1]) if higher else (values, bad)
        shown = [round(values[int(q * (len(values) - 1))], 2) for q in (0.5, 0.9, 0.95, 0.98, 1)]
        low = [round(bad[int(q * (len(bad) - 1))], 2) for q in (0, 0.05, 0.1, 0.2, 0.5)]
        print(f"{rule.flag:16} {rule.scorer:16} ships {rule.limit:<5} good 50 90 95 98 100 %: {shown}  "
              f"medium faults 0 5 10 20 50 %: {low}", flush=True)  # fmt: skip


def run_rates(cache: Path) -> None:
    """Print detection and false alarms on held-out clips, as docs/scores.md has them."""
    rows = [row for row in measured(cache) if row["held_out"]]
    good = [row for row in rows if not row["fault"]]
    print(f"{len({row['clip'] for row in rows})} clips, {len(good)} good takes, "
          f"{len(rows) - len(good)} with a fault\n")  # fmt: skip
    print("| fault | flag | weak | medium | strong | false alarms |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for fault, wanted in WHERE.items():
        found = []
        for strength in STRENGTHS:
            takes = [r for r in rows if (r["fault"], r["strength"]) == (fault, strength)]
            hits = sum(bool(flags_at(r) & set(wanted)) for r in takes)
            found.append(f"{_percent(hits, len(takes))} of {len(takes)}" if takes else "")
        wrong = sum(bool(flags_at(r) & set(wanted)) for r in good)
        print(
            f"| {fault} | {' or '.join(wanted)} | {' | '.join(found)} | {_percent(wrong, len(good))} |"
        )
    print()
    _show_good(good)


def _show_good(good: list[dict[str, Any]]) -> None:
    """Print what good takes are flagged for."""
    wrong = sum(bool(flags_at(r)) for r in good)
    print(f"Any flag on a good take: {_percent(wrong, len(good))}\n")
    print("| good take | takes | flagged |\n| --- | ---: | --- |")
    for kind in dict.fromkeys(row["good"] for row in good):
        takes = [row for row in good if row["good"] == kind]
        flags = [flag for row in takes for flag in sorted(flags_at(row))]
        told = ", ".join(f"{flags.count(f)} {f}" for f in dict.fromkeys(flags)) or "none"
        print(f"| {kind} | {len(takes)} | {told} |")


def _extreme(row: dict[str, Any], rule: Rule) -> float | None:
    series: ScoreSeries = next(one for one in row["series"] if one.name == rule.scorer)
    if not series.values:
        return None
    if rule.over == "window":
        return series.mean
    worst = series.worst
    return worst[1] if worst else None


def _series(data: dict[str, Any]) -> ScoreSeries:
    names = ("frames", "values", "tiles", "heat")
    told: dict[str, Any] = {k: tuple(v) if k in names else v for k, v in data.items()}
    return ScoreSeries(**told)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "n/a"


def main() -> None:
    """Do what the command line says."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("what", choices=("measure", "thresholds", "rates", "star-tiny"))
    arguments.add_argument("--cache", type=Path, required=True, help="folder of the footage")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--only", nargs="*", default=(), help="measure only these scorers, anew")
    arguments.add_argument("--faults", nargs="*", default=(), help="with --only: only these faults")
    given = arguments.parse_args()
    if given.what == "measure":
        run_measure(given.cache, given.workers, tuple(given.only), tuple(given.faults))
    elif given.what == "star-tiny":
        run_star_tiny(given.cache, given.workers)
    elif given.what == "thresholds":
        run_thresholds(given.cache)
    else:
        run_rates(given.cache)


if __name__ == "__main__":
    main()
