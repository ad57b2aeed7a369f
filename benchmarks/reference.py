"""A take against its pristine reference: PSNR, SSIM, E_warp (DIS-based), VMAF; LPIPS, DISTS with weights.

python -m benchmarks.reference REFERENCE TAKE [--metric lpips-to-source]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from media.frames import decode_all
from media.probe import probe
from scorers.pair import Pair
from scorers.reference import REFERENCE_SCORERS, against_reference, vmaf


def main() -> None:
    """Print the mean and the worst frame of each measure."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("reference", type=Path)
    arguments.add_argument("take", type=Path)
    arguments.add_argument(
        "--metric", action="append", default=[], help="one more, as lpips-to-source"
    )
    given = arguments.parse_args()
    names = (*REFERENCE_SCORERS, *given.metric)
    found = against_reference(pairs(given.reference, given.take), names)
    for name, series in found.items():
        worst = series.worst
        told = "not applicable" if worst is None else (
            f"{series.mean:.4g} {series.unit}, worst {worst[1]:.4g} at frame {worst[0]}"
        )  # fmt: skip
        print(f"{name.removesuffix('-to-source'):12} {told}")
    values = vmaf(given.reference, given.take)
    low = min(values)
    print(
        f"{'vmaf':12} {sum(values) / len(values):.4g}, worst {low:.4g} at frame {values.index(low)}"
    )


def pairs(reference: Path, take: Path) -> Iterator[Pair]:
    """Decode both once, side by side."""
    infos = probe(reference), probe(take)
    formats = infos[0].format, infos[1].format
    before = None
    frames = zip(decode_all(reference, infos[0]), decode_all(take, infos[1]), strict=True)
    for index, (source, picture) in enumerate(frames):
        before = Pair(index, source, picture, formats, before)
        yield before


if __name__ == "__main__":
    main()
