"""Moving test material, and a chain over it."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from star.denoiser import Guidance
from star.pipeline.chain import Chain, Ways
from star.pipeline.models import Model, Steps, Tiny
from star.pipeline.placement import Placement, place

__all__ = ["chain_of", "clip", "placement_of", "restored", "ways_for"]

TEXT = "film enlarged x2, noise 3, sharpness 5, flicker 1"


def clip(frames: int, height: int = 12, width: int = 16, first: int = 0) -> Tensor:
    """A pattern that moves by a pixel a frame, (f, 3, h, w) in -1..1; frame n is the same in any clip."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    made = []
    for number in range(first, first + frames):
        waves = [
            torch.sin((x + number) / 3 + n) * torch.cos((y - number) / (4 + n)) for n in range(3)
        ]
        made.append(torch.stack(waves) * 0.7)
    return torch.stack(made)


def ways_for(model: Model, **changes: object) -> Ways:
    tiny = isinstance(model, Tiny)
    steps = Steps("few", 1) if tiny else Steps("normal", 2, 899)
    guidance = Guidance(1.0, None) if tiny else Guidance(3.0, 0.2)
    ways = Ways(2, steps, 4, 2, 3, 1, guidance=guidance)
    return replace(ways, **changes)  # type: ignore[arg-type]


def placement_of(model: Model) -> Placement:
    return place(model.parts, torch.device("cpu"), "float32")


def chain_of(
    model: Model, ways: Ways, frames: Tensor, first: int = 100, seed: int = 5
) -> Chain[int]:
    size = (frames.shape[-2], frames.shape[-1])
    return Chain(
        model, ways, placement_of(model), seed=seed, first=first, count=len(frames), size=size
    )


def restored(
    model: Model, frames: Tensor, first: int = 100, seed: int = 5, **changes: object
) -> Tensor:
    chain = chain_of(model, ways_for(model, **changes), frames, first, seed)

    def given() -> Iterator[tuple[int, Tensor]]:
        yield from enumerate(frames)

    made = list(chain.run(given(), TEXT, "blurred"))
    assert [number for number, _ in made] == list(range(len(frames)))
    return torch.stack([picture for _, picture in made])
