"""Model configurations: the sizes of the denoiser, the VAE and the text tower, from JSON.

`published` is the released network's, `tiny` one for trials and tests; a file of the same layout makes
any other. A configuration is data from anywhere: its numbers are bounded before anything is built.
"""

import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from restar.errors import CheckpointError, UsageError
from star.sizes import Sizes

__all__ = ["CONFIGS", "ModelConfig", "bounded", "load_config", "named_sizes"]

CONFIGS = ("published", "tiny")

_LARGEST = 1_000_000  # no size, count or width of a model of this kind comes near
_MOST_BYTES = 1 << 20
_DEEPEST = 8


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: `network` for the UNet and the ControlNet; keyword arguments for the other two."""

    name: str
    network: Sizes
    vae: dict[str, Any] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)


def load_config(name: str) -> ModelConfig:
    """Return a configuration that ships, by name, or that of a JSON file, by path.

    Raises UsageError for a name that is neither, CheckpointError for a file that makes no model.
    """
    if name in CONFIGS:
        text = resources.files("star").joinpath("configs", f"{name}.json").read_text("utf-8")
        return _config(name, json.loads(text))
    path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"no model configuration is called '{name}'; there are {', '.join(CONFIGS)}, or give the "
            "path of a JSON file"
        )
    return _config(path.stem, read_json(path))


def named_sizes(name: str) -> Sizes:
    """Return the sizes of the denoiser in a configuration."""
    return load_config(name).network


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a configuration file; raise CheckpointError for anything else."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{path}: over 1 MiB, which no model configuration is")
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a model configuration ({error})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a model configuration (no JSON object)")
    bounded(content, str(path))
    return content


def bounded(value: Any, what: str, depth: int = 0) -> None:
    """Raise CheckpointError for numbers, lists or nesting that no model has."""
    if depth > _DEEPEST:
        raise CheckpointError(f"{what}: nested too deeply for a model configuration")
    if isinstance(value, dict | list):
        if len(value) > 1000:
            raise CheckpointError(f"{what}: {len(value)} entries are too many for a configuration")
        for one in value.values() if isinstance(value, dict) else value:
            bounded(one, what, depth + 1)
    if isinstance(value, int | float) and abs(value) > _LARGEST:
        raise CheckpointError(f"{what}: {value} is no size of a model")


def _config(name: str, content: dict[str, Any]) -> ModelConfig:
    unknown = sorted(content.keys() - {"network", "vae", "text"})
    parts = {key: content.get(key, {}) for key in ("network", "vae", "text")}
    if unknown or not all(isinstance(part, dict) for part in parts.values()):
        raise CheckpointError(
            f"model configuration {name}: needs the objects network, vae and text"
            + (f", not '{unknown[0]}'" if unknown else "")
        )
    missing = sorted(parts["network"].keys() - Sizes.__dataclass_fields__)
    if missing:
        known = ", ".join(Sizes.__dataclass_fields__)
        raise CheckpointError(f"model configuration {name}: no '{missing[0]}'; there are {known}")
    return ModelConfig(name, Sizes.of(parts["network"]), parts["vae"], parts["text"])
