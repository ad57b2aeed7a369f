"""The captioning models that restar knows by name, and where a model's files are looked for.

Nothing is ever downloaded by itself: a model is a folder that somebody put there. It has to hold weights
as safetensors (data, no code), a config and a processor; code that comes with a model is never run.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from restar.errors import CheckpointError
from restar.hashing import sha256_of_file

__all__ = ["MODELS", "KnownModel", "find_model", "model_sha256", "present_models"]


@dataclass(frozen=True)
class KnownModel:
    """A model: its licence, parameters in millions, and memory that it needs (GB, at 16 bit)."""

    name: str
    repository: str
    licence: str
    commercial_use: bool
    parameters: int
    memory: float
    sees: str
    note: str = ""


# In the order of preference of `auto`: the best first that a workstation can hold. Memory of SmolVLM2
# is that of its model cards (video inference); of the others, weights at 16 bit and a fifth on top.
MODELS: tuple[KnownModel, ...] = (
    KnownModel("smolvlm2-2.2b", "HuggingFaceTB/SmolVLM2-2.2B-Instruct", "Apache-2.0", True,
               2250, 5.2, "video", "needs the package num2words"),
    KnownModel("qwen3-vl-2b", "Qwen/Qwen3-VL-2B-Instruct", "Apache-2.0", True, 2130, 5.1, "video"),
    KnownModel("qwen2-vl-2b", "Qwen/Qwen2-VL-2B-Instruct", "Apache-2.0", True, 2210, 5.3, "video"),
    KnownModel("qwen2.5-vl-7b", "Qwen/Qwen2.5-VL-7B-Instruct", "Apache-2.0", True,
               8290, 19.9, "video"),
    KnownModel("qwen2.5-vl-3b", "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen Research License", False,
               3750, 9.0, "video", "not for commercial use"),
    KnownModel("smolvlm2-500m", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "Apache-2.0", True,
               507, 1.8, "video", "needs the package num2words"),
    KnownModel("blip-large", "Salesforce/blip-image-captioning-large", "BSD-3-Clause", True,
               470, 1.1, "images"),
    KnownModel("smolvlm2-256m", "HuggingFaceTB/SmolVLM2-256M-Video-Instruct", "Apache-2.0", True,
               256, 1.4, "video", "needs the package num2words"),
    KnownModel("blip-base", "Salesforce/blip-image-captioning-base", "BSD-3-Clause", True,
               247, 0.6, "images"),
)  # fmt: skip

_PROCESSORS = ("processor_config.json", "preprocessor_config.json")


def find_model(name: str, weights: Path | None) -> Path:
    """Return the folder of a model that is named by a path, by our table, or as owner/name.

    `weights` is restar's folder of weights. Raises CheckpointError that says how to get it, or what
    the folder lacks.
    """
    for folder in _places(name, weights):
        if folder.is_dir():
            _check(folder)
            return folder
    known = _known(name)
    repository = known.repository if known else name
    if "/" not in repository:
        names = ", ".join(model.name for model in MODELS)
        raise CheckpointError(
            f"captioner transformers: no model '{name}': name a folder, owner/name, or one of {names}"
        )
    target = (weights or Path("weights")) / repository.rpartition("/")[2]
    raise CheckpointError(
        f"captioner transformers: model {name} is not here; get it with `hf download {repository} "
        f'--local-dir {target}`, or choose captioner = "facts", which needs no model'
    )


def present_models(weights: Path | None) -> list[KnownModel]:
    """Return the models of our table whose files are here, the best first."""
    found = []
    for model in MODELS:
        try:
            find_model(model.name, weights)
        except CheckpointError:
            continue
        found.append(model)
    return found


def model_sha256(folder: Path) -> str:
    """Return one hash over all weights and settings of a model's folder."""
    files = sorted(
        path for path in folder.iterdir()
        if path.suffix in {".safetensors", ".json", ".jinja", ".txt", ".model"}
    )  # fmt: skip
    stats = ((path, path.stat()) for path in files)
    return _hash_of(tuple((str(p), s.st_size, s.st_mtime_ns) for p, s in stats))


@lru_cache(maxsize=16)
def _hash_of(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _size, _time in files:
        digest.update(Path(path).name.encode() + b"\0" + sha256_of_file(Path(path)).encode())
    return digest.hexdigest()


def _places(name: str, weights: Path | None) -> list[Path]:
    if not name:
        return []
    known = _known(name)
    repository = known.repository if known else name
    places = [Path(name).expanduser()] if not known else []
    if weights is not None:
        places += [weights / name, weights / repository.rpartition("/")[2], weights / repository]
    return [*places, *_in_hub_cache(repository)]


def _in_hub_cache(repository: str) -> list[Path]:
    """Where `hf download` without a folder leaves a repository (newest snapshot last written)."""
    home = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    folder = hub / f"models--{repository.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return []
    return [folder / "snapshots" / revision] if revision.isalnum() else []


def _known(name: str) -> KnownModel | None:
    return next((model for model in MODELS if name in {model.name, model.repository}), None)


def _check(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: holds no config.json, so it is no model of transformers")
    if not any((folder / name).is_file() for name in _PROCESSORS):
        raise CheckpointError(
            f"{folder}: holds no processor ({' or '.join(_PROCESSORS)}); copy the whole repository"
        )
    if not list(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{folder}: holds no weights as safetensors (pickled ones are not read: they can run code)"
        )
