"""A folder of generated photographs, and a configuration of the smallest run."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.config import DataConfig, ModelConfig, RunConfig, TrainConfig


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of noise that is smooth at several scales."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        picture = np.zeros((200, 220, 3), np.float32)
        for size in (5, 20, 80):
            grain = random.standard_normal((size, size, 3)).astype(np.float32)
            picture += cv2.resize(grain, (220, 200), interpolation=cv2.INTER_CUBIC)
        eight = np.clip(128 + 40 * picture, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / name), eight)
    return folder


@pytest.fixture
def config(photos: Path, tmp_path: Path) -> TrainConfig:
    """star-tiny at its own size, on crops of 56x64."""
    return TrainConfig(
        folder=tmp_path / "run",
        model=ModelConfig(kind="star-tiny"),
        data=DataConfig(photos=(photos,), frames=2, height=56, width=64, workers=0),
        run=RunConfig(steps=4, batch=1, warmup=2, checkpoint_every=2, log_every=1),
    )
