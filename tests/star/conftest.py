"""Small networks, and one thread: sums come out alike, and other tests are not starved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from star.liem import SpatialGate, TemporalGate
from star.sizes import Sizes
from star.tinymodel import TinyStar

REFERENCE = Path(__file__).parent / "reference"

SMALL = Sizes(
    base_channels=16,
    multipliers=(1, 2),
    layers_per_level=1,
    attention_levels=1,
    head_dim=8,
    first_heads=3,
    text_dim=12,
    groups=8,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> TinyStar:
    """A star-tiny with an exit that is not zero, as after training."""
    torch.manual_seed(0)
    made = TinyStar()
    torch.nn.init.normal_(made.network.unet.conv_out.weight, std=0.02)
    for part in made.modules():
        if isinstance(part, SpatialGate | TemporalGate):
            torch.nn.init.normal_(part.conv1.weight)
    return made.eval()
