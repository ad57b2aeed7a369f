"""One forward pass of the full-size network with random weights: python -m benchmarks.star_forward

2.04 billion parameters, UNet and ControlNet, on the processor: shows that it runs within 16 GiB, and
how long a pass takes. The figures in docs/star.md are this program's.
"""

import argparse
import resource
import time

import torch
from torch import nn

from star.checkpoint import build
from star.configuration import load_config
from star.denoiser import Network
from star.parts import parameters

LIMIT_GIB = 16.0


def main() -> None:
    """Run one pass and print a line; fail above the limit or where a number is not finite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--latent", default="32x34", help="width x height of the latent")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    given = parser.parse_args()
    width, height = map(int, given.latent.split("x"))
    dtype = getattr(torch, given.dtype)
    sizes = load_config("published").network
    unet, control = build(sizes, device="meta")
    random_weights(unet, dtype)
    random_weights(control, dtype)
    network = Network(unet, control)
    count = sum(parameters(model) for model in (network.unet, network.control) if model)
    x, hint = torch.randn(2, 1, 4, given.frames, height, width, dtype=dtype).unbind(0)
    text = torch.randn(1, 77, sizes.text_dim, dtype=dtype)
    ready = peak_gib()
    began = time.perf_counter()
    with torch.inference_mode():
        made = network(x, torch.tensor([899]), text, hint)
    seconds = time.perf_counter() - began
    print("| parameters | dtype | latent | frames | weights GiB | peak GiB | seconds | threads |")
    print("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {count:,} | {given.dtype} | {given.latent} | {given.frames} | {ready:.2f} "
        f"| {peak_gib():.2f} | {seconds:.1f} | {torch.get_num_threads()} |"
    )
    assert made.shape == x.shape
    assert made.isfinite().all()
    assert made.std() > 0
    assert peak_gib() <= LIMIT_GIB


def random_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Give a network weights in memory: uniform, of deviation 1 / sqrt(inputs)."""
    nn.Module.to(model, dtype=dtype).to_empty(device="cpu")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
            else:
                bound = (3 / weight[0].numel()) ** 0.5
                weight.uniform_(-bound, bound)
    model.eval()


def peak_gib() -> float:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
