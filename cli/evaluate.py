"""`restar train --eval`: held-out clips restored by a star-tiny, measured by the scorers, as tables.

Against Lanczos (OpenCV's, of 8 taps): it is what an archive has without any of this, and a gain over it
is what a model is for.
"""

import csv
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import from_rgb
from media.format import VideoFormat
from restar.progress import track
from scorers.pair import Pair
from scorers.reference import against_reference, change_error, detail_spectrum
from star.tinymodel import TinyStar, load_tiny
from star.tinyprompt import prompt_for
from training.held import PARTS, Held, held_clips, restored, said, without

__all__ = ["Row", "evaluated", "measured", "tables", "write_rows"]

Clip = NDArray[np.uint8]

# Codes of 8 bits: below it, frame differences count as none, and a quotient of two would say nothing.
_UNSEEN = 0.1


@dataclass(frozen=True)
class Row:
    """One way of restoring one held-out clip, against Lanczos.

    `psnr` and `ssim` are what it has over Lanczos (dB, and 1 = equal), `changes` its error of frame
    differences over that of Lanczos, `spectrum` how far the fine half of its spectrum is from the
    truth's (mean of |dB|), `moved` by how much it differs from the plain way (rms in codes).
    """

    group: str
    clip: str
    way: str
    psnr: float
    ssim: float
    changes: float
    spectrum: float
    moved: float
    seconds: float


def evaluated(weights: Path, folder: Path, *, every: int = 3) -> Iterator[Row]:
    """Yield a row for each clip and way; raise RestarError for weights or clips that can't be read.

    One clip in `every` (0 = none) is restored in other ways too: four steps, another seed in four
    steps, other prompts, and without the ControlNet, the UNet, LIEM.
    """
    model, _ = load_tiny(weights)
    clips = list(held_clips(folder))
    with track("evaluating", "clips", len(clips)) as advance:
        for number, held in enumerate(clips):
            yield from _rows(model, held, bool(every) and number % every == 0)
            advance(1)


def _rows(model: TinyStar, held: Held, ways: bool) -> Iterator[Row]:
    size = held.wanted.shape[2], held.wanted.shape[1]
    lanczos = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_LANCZOS4) for f in held.given])
    base = measured(held.wanted, lanczos)
    plain: Clip | None = None
    for way, made, seconds in _ways(model, held, ways):
        found = measured(held.wanted, made)
        plain = made if plain is None else plain
        moved = float(np.sqrt(np.square(made.astype(np.float32) - plain).mean()))
        changes = max(_UNSEEN, found["changes"]) / max(_UNSEEN, base["changes"])
        yield Row(
            held.group,
            held.name,
            way,
            found["psnr"] - base["psnr"],
            found["ssim"] - base["ssim"],
            changes,
            found["spectrum"],
            moved,
            seconds,
        )
    yield Row(held.group, held.name, "Lanczos", 0, 0, 1, base["spectrum"], 0, 0)


def _ways(model: TinyStar, held: Held, every: bool) -> Iterator[tuple[str, Clip, float]]:
    began = time.perf_counter()
    yield "1 step", (plain := restored(model, held)), _since(began, plain)
    if not every:
        return
    for seed, way in ((0, "4 steps"), (1, "4 steps, another seed")):
        began = time.perf_counter()
        yield way, (made := restored(model, held, steps=4, seed=seed)), _since(began, made)
    yield "prompt without levels", restored(model, held, text=prompt_for(held.scale)), 0
    for noise in (0, 9):
        yield f"noise {noise} said", restored(model, held, text=said(held, noise)), 0
    for part in PARTS:
        with without(model, part):
            yield f"without {part}", restored(model, held), 0


def _since(began: float, made: Clip) -> float:
    return (time.perf_counter() - began) / len(made)


def measured(truth: Clip, take: Clip) -> dict[str, float]:
    """Return PSNR (all of R'G'B'), SSIM, error of changes and of the spectrum's fine half, by name."""
    video = VideoFormat(truth.shape[2], truth.shape[1], "gbrp")
    scores = against_reference(_pairs(truth, take, video), ("psnr-to-source", "ssim-to-source"))
    lumas = [_luma(clip) for clip in (truth, take)]
    half = [detail_spectrum(luma)[4:] for luma in lumas]
    return {
        "psnr": float(np.mean(scores["psnr-to-source"].values)),
        "ssim": float(np.mean(scores["ssim-to-source"].values)),
        "changes": change_error(truth.astype(np.float32), take.astype(np.float32)),
        "spectrum": float(np.abs(10 * np.log10(half[1] / half[0])).mean()),
    }


def _pairs(truth: Clip, take: Clip, video: VideoFormat) -> Iterator[Pair]:
    before: Pair | None = None
    for index, (one, other) in enumerate(zip(truth, take, strict=True)):
        before = Pair(index, _frame(one, video), _frame(other, video), (video, video), before)
        yield before


def _frame(picture: Clip, video: VideoFormat) -> av.VideoFrame:
    return from_rgb(picture.astype(np.float32) / np.float32(255), video)


def _luma(clip: Clip) -> NDArray[np.float32]:
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray((clip.astype(np.float32) / np.float32(255)) @ weights, np.float32)


def tables(rows: list[Row]) -> str:
    """Return what was found, as Markdown: each group in one step, then each other way."""
    lines = [
        "| one step | clips | mean PSNR | worst clip | SSIM | frame differences | s a frame |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for group in dict.fromkeys(row.group for row in rows):
        here = [row for row in rows if (row.group, row.way) == (group, "1 step")]
        worst = min(here, key=lambda row: row.psnr)
        lines.append(
            f"| {group} | {len(here)} | {_mean(here, 'psnr'):+.2f} dB | {worst.psnr:+.2f} "
            f"({worst.clip}) | {_mean(here, 'ssim'):+.4f} | {100 * _mean(here, 'changes') - 100:+.0f} % "
            f"| {_mean(here, 'seconds'):.2f} |"
        )
    lines += [
        "",
        "| way | group | mean PSNR | differs by | frame differences | spectrum off by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    compared = {(row.group, row.clip) for row in rows if row.way == "4 steps"}
    rows = [row for row in rows if (row.group, row.clip) in compared]
    for way in dict.fromkeys(row.way for row in rows):
        for group in dict.fromkeys(row.group for row in rows):
            here = [row for row in rows if (row.group, row.way) == (group, way)]
            if not here:
                continue
            lines.append(
                f"| {way} | {group} | {_mean(here, 'psnr'):+.2f} dB | {_mean(here, 'moved'):.2f} codes "
                f"| {100 * _mean(here, 'changes') - 100:+.0f} % | {_mean(here, 'spectrum'):.2f} dB |"
            )
    return "\n".join(lines)


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write every row as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(Row.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _mean(rows: list[Row], name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows]))
