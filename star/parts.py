"""The parts of a model on disk: each a folder that the libraries' own `from_pretrained` reads.

A part is written and checked strictly: a network is laid out from its configuration without memory
("meta"), and its names and shapes are what a file has to hold, no more and no less.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel
from transformers.utils.logging import disable_progress_bar

from restar.errors import CheckpointError
from star.checkpoint import check_shapes, check_tensor, shapes_of
from star.configuration import bounded, read_json
from star.controlnet import StarControlNet
from star.sizes import Sizes
from star.unet import StarUNet
from star.weights import Installed, Part

__all__ = ["check_part", "config_of", "load_part", "meta_model", "parameters", "save_part"]

_FILES: dict[Part, str] = {
    "unet": "diffusion_pytorch_model.safetensors",
    "controlnet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}
_CLASSES: dict[Part, Any] = {
    "unet": StarUNet,
    "controlnet": StarControlNet,
    "vae": AutoencoderKLTemporalDecoder,
    "text_encoder": CLIPTextModel,
}


def load_part(
    weights: Installed,
    part: Part,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Any:
    """Return a part as its class (StarUNet, StarControlNet, AutoencoderKLTemporalDecoder, CLIPTextModel).

    In eval mode. Raises CheckpointError where it is not among these weights or can't be read.
    """
    path = weights.part(part)
    check_names(path, part)
    disable_progress_bar()
    keyword = "dtype" if part == "text_encoder" else "torch_dtype"
    try:
        model = _CLASSES[part].from_pretrained(path, local_files_only=True, **{keyword: dtype})
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path}: can't be read as {part} ({_first_line(error)})") from None
    return model.to(device).eval()


def meta_model(part: Part, config: Mapping[str, Any], what: str) -> nn.Module:
    """Return the part's network without memory for weights.

    Raises CheckpointError, naming `what`, for a configuration that makes no such network.
    """
    bounded(dict(config), what)
    try:
        with torch.device("meta"):
            if part == "text_encoder":
                made: nn.Module = CLIPTextModel(CLIPTextConfig(**_text_config(config, what)))
            elif part == "vae":
                made = AutoencoderKLTemporalDecoder(**_vae_config(config))
            else:
                Sizes.of(config)
                made = _CLASSES[part](**{k: v for k, v in config.items() if not k.startswith("_")})
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{what}: makes no {part} ({_first_line(error)})") from None
    return made


def save_part(folder: Path, part: Part, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Write a part's configuration and weights; `model` may be on meta, `state` is what is written."""
    folder.mkdir(parents=True)
    if part == "text_encoder":
        model.config.save_pretrained(folder)  # type: ignore[union-attr, operator]
    else:
        model.save_config(folder)  # type: ignore[operator]
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / _FILES[part], metadata={"format": "pt"})


def check_part(path: Path, part: Part) -> int:
    """Return how many parameters a part has; raise CheckpointError for the first key that is wrong.

    Every tensor is read: names, shapes, and that all numbers are finite.
    """
    check_names(path, part)
    count = 0
    with _opened(path / _FILES[part]) as file:
        for name in file.keys():  # noqa: SIM118
            tensor = file.get_tensor(name)
            check_tensor(name, tensor, str(path))
            count += tensor.numel()
    return count


def check_names(path: Path, part: Part) -> None:
    """Raise CheckpointError unless a part's file has exactly its network's names and shapes."""
    model = meta_model(part, config_of(path), str(path / "config.json"))
    with _opened(path / _FILES[part]) as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    check_shapes(found, shapes_of(model), str(path))


def config_of(path: Path) -> dict[str, Any]:
    """Return a part's configuration; raise CheckpointError where there is none."""
    if not (path / "config.json").is_file():
        raise CheckpointError(f"{path}: holds no config.json")
    return read_json(path / "config.json")


def parameters(model: nn.Module) -> int:
    """Return how many parameters a network has."""
    return sum(weight.numel() for weight in model.parameters())


def _text_config(config: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return a text tower's configuration, of a whole CLIP's too; raise CheckpointError for huge ones."""
    inner = config.get("text_config", config)
    if not isinstance(inner, Mapping):
        raise CheckpointError(f"{what}: holds no text_config")
    kept = {k: v for k, v in inner.items() if k not in ("architectures", "auto_map", "model_type")}
    limits = {"num_hidden_layers": 64, "hidden_size": 8192, "vocab_size": 200_000}
    for key, most in limits.items():
        if key in kept and not (type(kept[key]) is int and 0 < kept[key] <= most):
            raise CheckpointError(f"{what}: {key} {kept[key]!r} is not that of a text tower")
    return json.loads(json.dumps(kept))


def _vae_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in config.items()
        if not key.startswith("_")
    }


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path}: is missing; only safetensors files are read, no pickles")
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
