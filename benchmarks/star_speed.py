"""What a frame of star-tiny costs in the whole pipeline: python -m benchmarks.star_speed

Enlarging, the network in windows that overlap, decoding: 30 moving frames, as the restorer runs them
where nothing is chosen. Processor seconds do not depend on what else a machine does, as far as its caches
and its clock allow; a wall clock does.
"""

import argparse
import time

import torch

from media.convert import to_rgb
from media.format import VideoFormat
from media.synthetic import moving_pictures
from restorers.star.weights import tiny_path
from star.pipeline.chain import Chain, Ways
from star.pipeline.models import Steps, Tiny
from star.pipeline.placement import place
from star.tinymodel import load_tiny

WINDOW, OVERLAP = 16, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1280x960", help="of the result, width x height")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, choices=(1, 2, 4), default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    width, height = (int(side) // 4 for side in given.size.split("x"))
    model = Tiny(load_tiny(tiny_path())[0])
    placement = place(model.parts, torch.device("cpu"), "float32")
    source = moving_pictures(VideoFormat(width, height, "yuv420p"), given.frames)
    frames = [torch.from_numpy(to_rgb(f)).permute(2, 0, 1) * 2 - 1 for f in source]
    ways = Ways(4, Steps("few", given.steps), WINDOW, OVERLAP, 2, 0)
    chain: Chain[int] = Chain(
        model, ways, placement, seed=0, first=0, count=given.frames, size=(height, width)
    )
    text = "film enlarged x4, noise 3, sharpness 5, flicker 2"
    clock, processor = time.perf_counter(), time.process_time()
    made = sum(1 for _ in chain.run(enumerate(frames), text))
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(
        f"{made} frames of {given.size}, {given.steps} step(s), {given.threads} threads: "
        f"{processor / made:.2f} core-seconds and {clock / made:.2f} s a frame"
    )


if __name__ == "__main__":
    main()
