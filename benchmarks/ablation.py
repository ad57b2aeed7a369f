"""LIEM and the frequency term, each with and without, on a smaller star-tiny: five cells.

python -m benchmarks.ablation CONFIG.toml OUT.csv [--seeds 0 1] trains each cell twice, from two
seeds, on the data of CONFIG, and measures on its held-out clips. So short a run says which way a part
pulls, if anything; the difference between two seeds says how much of that is chance.
"""

import argparse
import csv
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch import nn

from cli.evaluate import measured
from star.liem import Position
from star.patchcodec import PatchCodec
from star.tinymodel import TINY_SIZES, TinyStar
from training.config import TrainConfig, load_config
from training.data import Samples
from training.held import Held, held_clips, restored
from training.kits import TinyKit
from training.run import codec_scales
from training.trainer import Trainer

__all__ = ["CELLS", "Cell", "Result", "table"]

SEEDS = (0, 1)
_GROUPS = ("archive-x4", "clean-x4")
_PART = 128  # pixels: the middle of each held-out clip, of which three frames are restored


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    liem: Literal["none", "before_norm", "after_norm"]
    frequency: Literal["none", "radius", "magnitude"]


CELLS = (
    Cell("none", "none"),
    Cell("before_norm", "none"),
    Cell("after_norm", "none"),
    Cell("after_norm", "radius"),
    Cell("after_norm", "magnitude"),
)


@dataclass(frozen=True)
class Result:
    """One run: gains over Lanczos, in one and in four steps, over all held-out parts."""

    liem: str
    frequency: str
    seed: int
    steps: int
    psnr: float
    ssim: float
    changes: float
    psnr_4: float
    spectrum_4: float
    core_seconds: float


def main() -> None:
    """Train, measure, write the rows, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    told = parser.parse_args()
    cv2.setNumThreads(1)
    config = load_config(told.config)
    assert config.held is not None
    clips = [part(held) for held in held_clips(config.held) if held.group in _GROUPS]
    scales = codec_scales(Samples(config.data, config.run.seed, 32))
    results = []
    for seed in told.seeds:
        for cell in CELLS:
            results.append(trained(config, cell, seed, clips, scales))
            with told.out.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(Result.__dataclass_fields__))
                writer.writeheader()
                writer.writerows(asdict(result) for result in results)
    print(table(results))


def trained(
    config: TrainConfig, cell: Cell, seed: int, clips: list[Held], scales: dict[str, list[float]]
) -> Result:
    """Train one cell and measure it with its averaged weights."""
    began = time.process_time()
    run = config.run.model_copy(update={"seed": seed})
    loss = config.loss.model_copy(update={"frequency": cell.frequency})
    told = config.model_copy(update={"run": run, "loss": loss})
    torch.manual_seed(seed)
    model = small(cell, scales)
    trainer = Trainer(told, TinyKit(model.train()))
    for _ in trainer.train():
        pass
    trainer.averaged()
    model.eval()
    rows = [gains(model, held) for held in clips]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    spent = time.process_time() - began
    return Result(cell.liem, cell.frequency, seed, run.steps, core_seconds=spent, **means)


def small(cell: Cell, scales: dict[str, list[float]]) -> TinyStar:
    """Return a fresh star-tiny with narrower coarse levels, with LIEM where the cell has it."""
    position: Position = "before_norm" if cell.liem == "before_norm" else "after_norm"
    sizes = replace(TINY_SIZES, multipliers=(1, 1, 1), liem_position=position)
    model = TinyStar(sizes, PatchCodec(**scales))
    if cell.liem == "none":
        for block in list(model.network.modules()):
            for name in ("local1", "local2"):
                if isinstance(getattr(block, name, None), nn.Module):
                    setattr(block, name, None)
    return model


def gains(model: TinyStar, held: Held) -> dict[str, float]:
    size = held.wanted.shape[2], held.wanted.shape[1]
    lanczos = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_LANCZOS4) for f in held.given])
    base = measured(held.wanted, lanczos)
    one, four = (measured(held.wanted, restored(model, held, steps=n)) for n in (1, 4))
    return {
        "psnr": one["psnr"] - base["psnr"],
        "ssim": one["ssim"] - base["ssim"],
        "changes": one["changes"] / base["changes"],
        "psnr_4": four["psnr"] - base["psnr"],
        "spectrum_4": four["spectrum"],
    }


def part(held: Held) -> Held:
    """Return three frames of the middle of a clip."""
    top, left = ((side - _PART) // 2 // 8 * 8 for side in held.wanted.shape[1:3])
    clips = []
    for clip, by in ((held.wanted, 1), (held.given, held.scale)):
        rows, columns = (slice(at // by, (at + _PART) // by) for at in (top, left))
        clips.append(np.ascontiguousarray(clip[2:5, rows, columns]))
    return replace(held, wanted=clips[0], given=clips[1])


def table(results: list[Result]) -> str:
    """Return the cells' means as Markdown, and the noise: the mean distance of a cell's two seeds."""
    names = ("psnr", "ssim", "changes", "psnr_4", "spectrum_4")
    lines = [
        "| LIEM | DF | PSNR | SSIM | frame differences | PSNR in 4 steps | spectrum in 4 steps |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    spreads = []
    for cell in CELLS:
        runs = [r for r in results if (r.liem, r.frequency) == (cell.liem, cell.frequency)]
        if not runs:
            continue
        values = np.array([[getattr(run, name) for name in names] for run in runs])
        spreads.append(np.ptp(values, axis=0))
        lines.append(f"| {cell.liem} | {cell.frequency} | {_row(values.mean(0))} |")
    lines.append(f"| two seeds differ by | | {_row(np.mean(spreads, axis=0))} |")
    return "\n".join(lines)


def _row(values: "np.typing.NDArray[np.float64]") -> str:
    psnr, ssim, changes, psnr_4, spectrum = (float(value) for value in values)
    return f"{psnr:+.3f} dB | {ssim:+.4f} | {changes:.3f} | {psnr_4:+.3f} dB | {spectrum:.2f} dB"


if __name__ == "__main__":
    main()
