"""Tiny models, made once a session."""

from pathlib import Path

import pytest

from tests.captioners.tiny_models import tiny_blip, tiny_qwen, tiny_smolvlm


@pytest.fixture(scope="session")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny BLIP; treat it as read-only."""
    return tiny_blip(tmp_path_factory.mktemp("models") / "blip")


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny video-language model; treat it as read-only."""
    return tiny_qwen(tmp_path_factory.mktemp("models") / "qwen")


@pytest.fixture(scope="session")
def smolvlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny SmolVLM2; treat it as read-only."""
    return tiny_smolvlm(tmp_path_factory.mktemp("models") / "smolvlm")
