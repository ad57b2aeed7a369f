"""Models small enough to be built in a test: the published shape, and star-tiny, both untrained."""

from importlib import resources
from pathlib import Path

import pytest
import torch

from star.install import init_weights
from star.parts import load_part
from star.pipeline.models import Model, Published, Tiny
from star.tinymodel import TinyStar, load_tiny
from star.weights import PARTS, find_weights


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """UNet, ControlNet, VAE and text tower of the size `tiny`."""
    home = tmp_path_factory.mktemp("weights")
    init_weights(home, "small", "tiny", seed=3)
    parts = [load_part(find_weights(home, "small"), part) for part in PARTS]
    return Published(*parts)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """star-tiny with an exit that is not zero, as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = TinyStar()
        torch.nn.init.normal_(made.network.unet.conv_out.weight, std=0.02)
    return Tiny(made.eval())


@pytest.fixture(scope="session")
def shipped() -> Tiny:
    """star-tiny as it ships, trained."""
    path = Path(str(resources.files("star") / "star-tiny.safetensors"))
    return Tiny(load_tiny(path)[0])


@pytest.fixture(params=["published", "tiny"])
def model(request: pytest.FixtureRequest) -> Model:
    found: Model = request.getfixturevalue(request.param)
    return found
