"""How well flags find faults: good takes of real clips, with and without faults put into them.

    python -m benchmarks.calibrate measure --cache DIR [--workers 2]
    python -m benchmarks.calibrate thresholds --cache DIR
    python -m benchmarks.calibrate rates --cache DIR

`measure` fetches the footage if it is missing and measures every take; `thresholds` proposes limits
from the clips that are not held out; `rates` tells detection and false alarms of the limits that
restar ships, on the clips that are. docs/scores.md has its tables.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, clips
from benchmarks.faults import FAULTS, STRENGTHS, WHERE
from media.convert import from_rgb, scaled, to_rgb
from media.degrade import CopyPass, Degradation, PrintWear, degrade_frames
from media.format import ColourTags, VideoFormat
from scorers import ScoreSeries, scorer
from scorers.flags import RULES
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
    return [cv2.bilateralFilter(p, 5, 0.08, 1.5) for p in pictures]


def sharpened(picture: Picture) -> Picture:
    return np.asarray(picture + 0.4 * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2)))


def source_pairs(source: list[Picture]) -> list[Pair]:
    """The source beside itself: what is known of it is used for every take."""
    video = VideoFormat(source[0].shape[1], source[0].shape[0], "yuv420p", colour=_TAGS)
    pairs: list[Pair] = []
    for index, picture in enumerate(source):
        frame = from_rgb(np.clip(picture, 0, 1), video)
        pairs.append(Pair(index, frame, frame, (video, video), pairs[-1] if pairs else None))
        for name in ("luma", "source_small", "source_flow_luma", "flow"):
            getattr(pairs[-1], name)
    return pairs


def measure(source: list[Pair], take: list[Picture]) -> list[ScoreSeries]:
    """Return what every measure that flags are raised by says of a take."""
    video = VideoFormat(take[0].shape[1], take[0].shape[0], "yuv420p", colour=_TAGS)
    members = [scorer(name) for name in sorted({rule.scorer for rule in RULES} | {"warp-error"})]
    sessions = [member.start(source[0].formats[0], video) for member in members]
    before = None
    for pair, picture in zip(source, take, strict=True):
        frame = from_rgb(np.clip(picture, 0, 1), video)
        before = pair.beside(frame, video, before)
        for session in sessions:
            session.see(before)
    return [session.finish() for session in sessions]


def of_clip(clip: Clip) -> list[dict[str, Any]]:
    """Measure all takes of a clip: each good one, and each fault in some of them."""
    cv2.setNumThreads(1)
    seed = sum(clip.name.encode())
    clean = [np.asarray(p, np.float32) / 255 for p in clip.load()]
    made = [(kind, source_pairs(source), take) for kind, source, take in goods(clean, seed)]
    rows = [(kind, "", "", measure(source, take)) for kind, source, take in made]
    for number, (fault, put) in enumerate(FAULTS.items()):
        for strength, word in enumerate(STRENGTHS):
            for turn in range(2 if word == "medium" else 1):
                kind, source, take = made[(number + seed + 3 * turn + strength) % len(made)]
                random = np.random.default_rng((seed, number, strength, turn))
                faulty = [np.clip(p, 0, 1) for p in put(take, random, strength)]
                rows.append((kind, fault, word, measure(source, faulty)))
    return [
        {"clip": clip.name, "held_out": clip.held_out, "good": good, "fault": fault,
         "strength": word, "series": [asdict(one) for one in series]}
        for good, fault, word, series in rows
    ]  # fmt: skip


def run_measure(cache: Path, workers: int) -> None:
    """Measure every clip; a clip that was measured before is not measured again."""
    folder = cache / "measured"
    folder.mkdir(exist_ok=True)
    wanted = [clip for clip in clips(cache) if not (folder / f"{clip.name}.json").exists()]
    with ProcessPoolExecutor(workers) as pool:
        for clip, rows in zip(wanted, pool.map(of_clip, wanted), strict=True):
            part = folder / f"{clip.name}.part"
            part.write_text(json.dumps(rows), encoding="utf-8")
            part.rename(folder / f"{clip.name}.json")
            print(f"{clip.name}: {len(rows)} takes", flush=True)


if __name__ == "__main__":
    import sys
    run_measure(Path(sys.argv[1]), 2)
