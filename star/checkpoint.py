"""Published checkpoints in, safetensors out: strict, by name and by shape.

The release loads its file with `strict=False`, which hides a wrong one, and unpickles it, which runs
whatever it holds. Here nothing is unpickled but tensors, every key is accounted for, and a file that
is not what it claims to be is refused naming the first key that differs.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from restar.errors import CheckpointError
from star.controlnet import StarControlNet
from star.names import controlnet_names, published_shape, rename, to_ours, unet_names
from star.sizes import Sizes
from star.unet import StarUNet

__all__ = [
    "build",
    "check_shapes",
    "check_state",
    "check_tensor",
    "convert",
    "keys_of",
    "load_published",
    "published_shapes",
    "read_state",
    "shapes_of",
    "to_published",
]

State = dict[str, Tensor]


def load_published(
    path: Path, sizes: Sizes, dtype: torch.dtype = torch.float32
) -> tuple[StarUNet, StarControlNet]:
    """Return the two networks with the weights of a published file, in eval mode.

    Raises CheckpointError for a file that is damaged, holds code, or differs in any key or shape.
    """
    state = read_state(path)
    unet_state, control_state = convert(state, sizes, path.name)
    unet, control = build(sizes, device="meta")
    for model, weights in ((unet, unet_state), (control, control_state)):
        cast = {name: tensor.to(dtype) for name, tensor in weights.items()}
        model.load_state_dict(cast, strict=True, assign=True)
        model.eval()
    return unet, control


def read_state(path: Path) -> State:
    """Return the tensors of a .safetensors or a PyTorch file, on the CPU; no code in it is run.

    Raises CheckpointError for a file that is missing, cut short, of neither kind, or that holds
    anything but tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of the downloaded weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from None
    except (OSError, MemoryError) as error:
        raise CheckpointError(f"{path}: can't be read ({error})") from None
    except Exception as error:  # a pickle from anywhere makes its reader raise anything
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: holds something other than tensors, or is damaged or cut short; it was not loaded "
            f"and nothing in it was run. Take the file from its publisher again ({said})"
        ) from None
    return flat_state(loaded, path)


def keys_of(path: Path) -> set[str]:
    """Return the names in a file, reading no tensors of a .safetensors; raises as `read_state`."""
    if path.suffix != ".safetensors":
        return set(read_state(path))
    try:
        with safe_open(path, "pt") as file:
            return set(file.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from None


def convert(state: Mapping[str, Tensor], sizes: Sizes, what: str) -> tuple[State, State]:
    """Return the UNet's and the ControlNet's tensors under our names; `what` names the source.

    Raises CheckpointError naming the first key that is missing, of another shape, or too many.
    """
    check_state(state, published_shapes(sizes), what)
    unet, control = (
        {ours: to_ours(state[theirs], ours) for ours, theirs in table.items()}
        for table in key_tables(sizes)
    )
    return unet, control


def to_published(unet: Mapping[str, Tensor], control: Mapping[str, Tensor], sizes: Sizes) -> State:
    """Return one state dict under the published names and shapes: `convert`, backwards."""
    made: State = {}
    for state, table in zip((unet, control), key_tables(sizes), strict=True):
        for ours, theirs in table.items():
            made[theirs] = state[ours].reshape(published_shape(tuple(state[ours].shape), ours))
    return made


def check_state(
    state: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise CheckpointError unless `state` has exactly the wanted names, shapes and finite floats."""
    check_shapes({name: tuple(tensor.shape) for name, tensor in state.items()}, wanted, what)
    for name in wanted:
        check_tensor(name, state[name], what)


def check_shapes(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise CheckpointError, naming the first key that differs, unless names and shapes are equal."""
    for name, shape in wanted.items():
        if name not in found:
            raise CheckpointError(
                f"{what}: '{name}' is missing; {count_of(wanted, found)}. Is this the right file?"
            )
        if found[name] != shape:
            raise CheckpointError(
                f"{what}: '{name}' is of shape {found[name]}, but this network's is {shape}; choose the "
                "configuration that the file was made with"
            )
    extra = next((name for name in found if name not in wanted), None)
    if extra is not None:
        raise CheckpointError(
            f"{what}: '{extra}' is no part of this network; {count_of(wanted, found)}"
        )


def check_tensor(name: str, tensor: Tensor, what: str) -> None:
    """Raise CheckpointError unless a tensor holds finite floating-point numbers."""
    if not tensor.is_floating_point():
        raise CheckpointError(f"{what}: '{name}' holds {tensor.dtype}, not floating-point weights")
    if not tensor.is_meta and not torch.isfinite(tensor).all():
        raise CheckpointError(f"{what}: '{name}' holds NaN or infinity; take the file again")


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor of a network."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def published_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Return every published name of a network of these sizes with its shape, UNet first."""
    return dict(_published_shapes(sizes))


def build(sizes: Sizes, device: str = "cpu") -> tuple[StarUNet, StarControlNet]:
    """Return both networks, freshly initialised; on "meta" without any memory for weights."""
    config = asdict(sizes)
    unet = {key: value for key, value in config.items() if key != "hint_channels"}
    control = {key: value for key, value in config.items() if key != "out_channels"}
    with torch.device(device):
        return StarUNet(**unet), StarControlNet(**control)


def key_tables(sizes: Sizes) -> tuple[dict[str, str], dict[str, str]]:
    """Return our keys -> published keys, of the UNet and of the ControlNet."""
    unet, control = _meta(sizes)
    return rename(unet, unet_names(sizes)), rename(control, controlnet_names(sizes))


def flat_state(loaded: object, path: Path) -> State:
    """Return the dictionary of tensors in what a file held: itself, or its entry 'state_dict'."""
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict):
        raise CheckpointError(
            f"{path}: holds a {type(loaded).__name__}, not a dictionary of tensors"
        )
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path}: entry '{name}' is a {type(value).__name__}, not a tensor"
            )
    return loaded


def count_of(wanted: Iterable[str], state: Iterable[str]) -> str:
    wanted, state = set(wanted), set(state)
    return f"{len(wanted - state)} missing and {len(state - wanted)} unknown of {len(wanted)} keys"


@cache
def _meta(sizes: Sizes) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    unet, control = build(sizes, device="meta")
    return shapes_of(unet), shapes_of(control)


@cache
def _published_shapes(sizes: Sizes) -> tuple[tuple[str, tuple[int, ...]], ...]:
    found = []
    for shapes, table in zip(_meta(sizes), key_tables(sizes), strict=True):
        found += [(table[key], published_shape(shape, key)) for key, shape in shapes.items()]
    return tuple(found)
