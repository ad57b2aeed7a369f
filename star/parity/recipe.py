"""Weights by recipe: the numbers of a network that need no file, since a seed and a name make them.

Every tensor is drawn from a generator of its own, so a network of any size has the same weights
wherever it is made. LIEM's are set so that its gates are near 0.001: the norm that follows divides
larger ones out, and a missing gate would not show.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from restar.errors import CheckpointError

__all__ = ["check_sums", "recipe", "recipe_tensor"]

_SPATIAL_GATE, _TEMPORAL_GATE = (1, 2, 7, 7), (1, 2)


def recipe(seed: str, shapes: Mapping[str, Iterable[int]]) -> dict[str, Tensor]:
    """Return the tensors (float32) of these names and shapes."""
    return {name: recipe_tensor(seed, name, tuple(shape)) for name, shape in shapes.items()}


def recipe_tensor(seed: str, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return one tensor: normal, of deviation 1 / sqrt(inputs); scales near 1, offsets near 0."""
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]
    stream = np.random.Generator(np.random.PCG64(int.from_bytes(key, "little")))
    drawn = torch.from_numpy(stream.standard_normal(shape, dtype=np.float32))
    if shape == _SPATIAL_GATE:
        drawn = drawn * 0.02
        drawn[:, 0] -= 0.055
    elif shape == _TEMPORAL_GATE:
        drawn = drawn * 0.3
        drawn[0, 0] -= 2.5
    elif len(shape) == 1:
        drawn = 1 + 0.1 * drawn if name.endswith("weight") else 0.05 * drawn
    else:
        drawn = drawn / math.sqrt(math.prod(shape[1:]))
    return drawn


def check_sums(state: Mapping[str, Tensor], sums: Mapping[str, Sequence[float]]) -> None:
    """Raise CheckpointError where a tensor's sum, or that of its sizes, is not the recorded one."""
    for name, (total, second) in sums.items():
        if name not in state:
            raise CheckpointError(f"'{name}' is to be checked and there is no such tensor")
        tensor = state[name].double()
        found = float(tensor.sum())
        sizes = float(tensor.abs().sum())
        allowed = 1e-6 * max(1.0, sizes)
        if abs(found - total) > allowed or abs(sizes - second) > allowed:
            raise CheckpointError(
                f"'{name}' adds up to {found:.9g} and its sizes to {sizes:.9g}; the folder says "
                f"{total:.9g} and {second:.9g}"
            )
