"""docs/pictures/star-tiny.jpg: held-out clips as input | Lanczos | star-tiny | truth, one a row.

python -m benchmarks.star_tiny_pictures WEIGHTS HELD OUT.jpg takes the middle of the middle frame, twice
as large, of six clips that may be shown (docs/star-tiny.md names their licences): two where star-tiny
gains most, two in between, and the two where it gains least.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from star.tinymodel import load_tiny
from training.held import Held, held_clips, restored
from training.pictures import write_strip

__all__ = ["SHOWN", "row"]

SHOWN = (
    ("archive-x4", "01-Fossa_by_Jasper_Roks"),
    ("archive-x4", "08-bbb-1690"),
    ("archive-x4", "00-Bridge_by_Sander_Klootwijk"),
    ("archive-x2", "05-pexels-7303782"),
    ("clean-x4", "02-picosdeeuropa_by_Aitzol_Berasategi"),
    ("clean-x2", "09-bbb-1850"),
)
_SIDE = (112, 160)
_LARGER = 2


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("held", type=Path)
    parser.add_argument("out", type=Path)
    told = parser.parse_args()
    model, _ = load_tiny(told.weights)
    clips = {(held.group, held.name): held for held in held_clips(told.held)}
    rows = [row(clips[key], restored(model, clips[key])) for key in SHOWN]
    write_strip(told.out, np.concatenate(rows))


def row(held: Held, made: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of a clip's middle frame in four ways, side by side."""
    middle = len(made) // 2
    given, wanted = held.given[middle], held.wanted[middle]
    size = (wanted.shape[1], wanted.shape[0])
    pictures = [
        cv2.resize(given, size, interpolation=cv2.INTER_NEAREST),
        cv2.resize(given, size, interpolation=cv2.INTER_LANCZOS4),
        made[middle],
        wanted,
    ]
    top, left = ((whole - side) // 2 for whole, side in zip(wanted.shape[:2], _SIDE, strict=True))
    parts = [p[top : top + _SIDE[0], left : left + _SIDE[1]] for p in pictures]
    larger = [part.repeat(_LARGER, 0).repeat(_LARGER, 1) for part in parts]
    return np.concatenate(larger, 1).astype(np.uint8)


if __name__ == "__main__":
    main()
