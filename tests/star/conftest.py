"""Small networks, and one thread: sums come out alike, and other tests are not starved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from star.sizes import Sizes

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
