"""What is read from a folder of fixtures, what was computed for it, and the verdicts.

`Fixtures` is one file of tensors. Each is asked for by its key; what nobody asked for is found out at
the end, so nothing in a folder passes by not being looked at.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from restar.errors import CheckpointError

__all__ = ["BLOCK", "END_TO_END", "EXACT", "NET", "Fixtures", "Folder", "Result", "error_of"]

# Limits of max |computed - recorded| / max |recorded|.
EXACT, BLOCK, NET, END_TO_END = 0.0, 1e-5, 2e-5, 2e-3


@dataclass(frozen=True)
class Result:
    """The verdict on one fixture of one file: the largest relative error, and what is allowed."""

    file: str
    fixture: str
    error: float
    limit: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.error <= self.limit


@dataclass
class Fixtures:
    """The tensors of one file, and what this program computed under the same keys."""

    name: str
    tensors: dict[str, Tensor]
    asked: set[str] = field(default_factory=set)
    computed: dict[str, Tensor] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    stopped: bool = False

    def __contains__(self, key: str) -> bool:
        return key in self.tensors

    def __getitem__(self, key: str) -> Tensor:
        """Return an input; raise CheckpointError where the file lacks it."""
        if key not in self.tensors:
            raise CheckpointError(f"{self.name} holds no '{key}'")
        self.asked.add(key)
        return self.tensors[key]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return all inputs whose key begins so, without that beginning."""
        found = {key: self[key] for key in self.tensors if key.startswith(prefix)}
        return {key.removeprefix(prefix): tensor for key, tensor in found.items()}

    def compare(self, key: str, value: Tensor) -> float:
        """Keep `value` as computed under `key` and return its error; 0 where nothing was recorded."""
        if key not in self.tensors:
            return 0.0
        wanted = self[key]
        self.computed[key] = value.detach().to(wanted.dtype).contiguous().clone()
        return error_of(value, wanted)

    def judge(
        self, fixture: str, limit: float, values: Mapping[str, Tensor], note: str = ""
    ) -> None:
        """Compare values by their keys; the verdict is on the worst, and says which it was."""
        errors = {key: self.compare(key, value) for key, value in values.items() if key in self}
        if errors:
            worst = max(errors, key=lambda key: (errors[key] != errors[key], errors[key]))
            told = note if errors[worst] <= limit else f"{worst} {note}".strip()
            self.verdict(fixture, errors[worst], limit, told)

    def verdict(self, fixture: str, error: float, limit: float, note: str = "") -> None:
        self.results.append(Result(self.name, fixture, error, limit, note))

    @contextmanager
    def trying(self, fixture: str) -> Iterator[None]:
        """Turn whatever goes wrong inside the block into a failure of this fixture."""
        try:
            yield
        except Exception as error:
            self.stopped = True
            said = " ".join(str(error).split())
            self.verdict(fixture, float("inf"), 0.0, f"{type(error).__name__}: {said}")

    def left_over(self) -> list[str]:
        """Return the keys that nobody asked for."""
        return sorted(self.tensors.keys() - self.asked)


@dataclass
class Folder:
    """A folder of fixtures. Files are read when they are asked for."""

    path: Path
    asked: set[str] = field(default_factory=set)

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in a JSON file, {} where there is none; raise CheckpointError for others."""
        path = self.path / name
        if not path.is_file():
            return {}
        self.asked.add(name)
        try:
            content = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: not JSON ({error})") from None
        if not isinstance(content, dict):
            raise CheckpointError(f"{path}: holds no object")
        return content

    def tensors(self, name: str) -> Fixtures:
        """Return a file's tensors; raise CheckpointError where it can't be read."""
        self.asked.add(name)
        try:
            return Fixtures(name, load_file(self.path / name))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{self.path / name}: not a whole safetensors file ({error})"
            ) from None


def error_of(value: Tensor, wanted: Tensor) -> float:
    """Return max |value - wanted| / max |wanted|; infinite for other shapes or other infinities."""
    if value.shape != wanted.shape:
        return float("inf")
    if not wanted.is_floating_point():
        return float((value.long() - wanted.long()).abs().max()) if wanted.numel() else 0.0
    found, wanted = value.double(), wanted.double()
    finite = wanted.isfinite()
    if not torch.equal(found[~finite], wanted[~finite]) or not found[finite].isfinite().all():
        return float("inf")
    if not finite.any():
        return 0.0
    difference = float((found[finite] - wanted[finite]).abs().max())
    largest = float(wanted[finite].abs().max())
    return difference / largest if largest else difference


def check_keys(what: str, found: Iterable[str], known: Iterable[str]) -> None:
    """Raise CheckpointError for a key that this program does not know."""
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise CheckpointError(f"{what}: '{unknown[0]}' is not known here and was not run")


def dump(fixtures: Fixtures, folder: Path) -> None:
    """Write what was computed, under the fixtures' own keys, to a file of the same name."""
    if fixtures.computed:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(fixtures.computed, folder / fixtures.name)
