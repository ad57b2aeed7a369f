"""Where star-tiny gains over a plain resize, and where it loses: by scale and by how worn a film is.

    python -m benchmarks.star_gain CLEAN_FILM [--first N] [--frames 7] [--scale 2]

Takes frames of a clean film, wears them from not at all to badly, restores them, and prints PSNR to the
clean frames against Lanczos (OpenCV's), with the levels that were measured on the worn frames. That
table decides where a scene is given a plain resize (restorers/star/card.py).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.convert import to_rgb
from media.degrade import CopyPass, Degradation, PrintWear
from media.frames import decode_all
from media.probe import probe
from restorers.star.card import measured_levels
from restorers.star.weights import tiny_path
from star.pipeline.chain import Chain, Ways
from star.pipeline.models import Steps, Tiny
from star.pipeline.placement import place
from star.tinymodel import load_tiny
from training.wear import Wear, worn_pair

Clip = NDArray[np.uint8]

SIZE = (384, 288)
WEARS = {
    "area alone": Degradation(),
    "soft": Degradation(passes=(CopyPass(0.8, 0.8),)),
    "H.264 18": Degradation(crf=18),
    "grain .01": Degradation(PrintWear(grain=0.01), crf=16),
    "grain .02": Degradation(PrintWear(grain=0.02), crf=16),
    "grain .03": Degradation(PrintWear(grain=0.03), crf=18),
    "grain .05": Degradation(PrintWear(grain=0.05), crf=20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--scale", type=int, choices=(2, 4), default=2)
    given = parser.parse_args()
    truth = read(given.film, given.first, given.frames)
    model = Tiny(load_tiny(tiny_path())[0])
    placement = place(model.parts, torch.device("cpu"), "float32")
    print(
        "| wear | levels | Lanczos dB | star-tiny dB | gain |\n| --- | --- | ---: | ---: | ---: |"
    )
    for name, wear in WEARS.items():
        wanted, worn = worn_pair(truth, Wear(replace(wear, downscale=given.scale), 5))
        levels = measured_levels([f.astype(np.float32) / 255 for f in worn])
        text = f"film enlarged x{given.scale}, {levels}"
        ways = Ways(given.scale, Steps("few", 1), 16, 2, 2, 0)
        chain: Chain[int] = Chain(
            model, ways, placement, seed=0, first=0, count=len(worn), size=worn.shape[1:3]
        )
        frames = torch.from_numpy(worn).permute(0, 3, 1, 2) / 127.5 - 1
        made = [picture for _, picture in chain.run(enumerate(frames), text)]
        bright = (torch.stack(made).permute(0, 2, 3, 1).numpy() + 1) * 127.5
        plain = [cv2.resize(f, SIZE, interpolation=cv2.INTER_LANCZOS4) for f in worn]
        before, after = psnr(np.stack(plain), wanted), psnr(np.rint(bright.clip(0, 255)), wanted)
        print(
            f"| {name} | {levels} | {before:.2f} | {after:.2f} | {after - before:+.2f} |",
            flush=True,
        )


def read(path: Path, first: int, count: int) -> Clip:
    """Frames (f, h, w, 3) of SIZE."""
    found = []
    for number, frame in enumerate(decode_all(path, probe(path))):
        if number >= first + count:
            break
        if number >= first:
            picture = np.rint(to_rgb(frame) * 255).astype(np.uint8)
            found.append(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA))
    return np.stack(found)


def psnr(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    off = one.astype(np.float64) - other.astype(np.float64)
    return float(10 * np.log10(255**2 / np.square(off).mean()))


if __name__ == "__main__":
    main()
