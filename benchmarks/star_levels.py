"""Which noise levels star-tiny is told of held-out clips: python -m benchmarks.star_levels HELD...

HELD is a folder of groups as benchmarks.star_tiny_data writes them. For each group a line with the level
of every clip. A clean clip should have a low one, whatever its texture: a network that is told of noise
where there is none smooths rock and leaves away, and a clean scene at x2 is better off with a resize.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch

from star.tinyprompt import measure
from training.held import held_clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("held", type=Path, nargs="+")
    for folder in parser.parse_args().held:
        levels: dict[str, list[int]] = defaultdict(list)
        for held in held_clips(folder):
            frames = torch.from_numpy(held.given).permute(0, 3, 1, 2).float() / 127.5 - 1
            levels[held.group].append(measure(frames).noise)
        for group, found in levels.items():
            print(f"| {folder.name} | {group} | {' '.join(map(str, found))} |")


if __name__ == "__main__":
    main()
