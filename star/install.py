"""Bringing weights into an installation: from a published file or folder, from the hub, or untrained.

Whatever comes in is checked key by key before it is kept, converted to safetensors, and recorded with
its source, licence and sha256 (`star.weights`). Pickles are read for tensors only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restar.errors import CheckpointError
from restar.hashing import sha256_of_file
from restar.progress import track
from star.checkpoint import build, check_state, convert, keys_of, read_state, shapes_of
from star.configuration import ModelConfig, load_config
from star.licences import LICENCES, OWN, Licence, accepted, licence_called
from star.parts import check_part, config_of, meta_model, parameters, save_part
from star.text import from_open_clip, text_config, text_part
from star.weights import (
    PARTS,
    Installed,
    Part,
    WeightsRecord,
    find_weights,
    incoming,
    record_of,
    verify_files,
    write_record,
)

__all__ = ["Consent", "check_weights", "import_weights", "init_weights", "kind_of"]

_VAE_FILES = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
)
_TEXT_FILES = ("model.safetensors", "model.fp16.safetensors")
_OPEN_CLIP_MARKS = ("positional_embedding", "token_embedding.weight")


@dataclass(frozen=True)
class Consent:
    """Whether the user accepts the licence, who that is, and the licence where it is another one."""

    yes: bool = False
    by: str = ""
    licence: str | None = None

    def given(self, kind: str, what: str) -> Licence:
        """Return the licence of this kind of weights; raise UsageError unless it is accepted."""
        licence = LICENCES[kind] if self.licence is None else licence_called(self.licence)
        return accepted(licence, what, self.yes)


# What is to be written: the parts with their networks (on meta) and tensors.
_Contents = dict[Part, tuple[nn.Module, Mapping[str, Tensor]]]


def import_weights(
    home: Path,
    source: Path,
    name: str,
    consent: Consent,
    config: str = "published",
    force: bool = False,
    origin: str = "",
) -> Installed:
    """Take in a published denoiser (.pt or .safetensors), an OpenCLIP file, or a VAE or text folder.

    `config` names the denoiser's configuration; `origin` is where `source` came from. Raises
    UsageError before anything is read unless the licence is accepted, and CheckpointError, naming the
    first key that differs, for a file that is damaged, hostile or another one. Then nothing is kept.
    """
    kind = kind_of(source)
    licence = consent.given(kind, f"{source.name} ({kind})")
    with incoming(home, name, force) as folder:
        with track(f"reading {source.name}", "steps"):
            contents = _CONTENTS[kind](source, load_config(config))
        digest = _digest(source)
        _write(folder, contents)
        record = _record(folder, name, contents, licence, consent.by).model_copy(
            update={"source": origin or source.name, "source_sha256": digest, "trained": True}
        )
        write_record(folder, record)
    return find_weights(home, name)


def init_weights(
    home: Path, name: str, config: str, seed: int = 0, force: bool = False
) -> Installed:
    """Make a whole model with untrained weights, for trials: what it restores is noise."""
    sizes = load_config(config)
    with incoming(home, name, force) as folder:
        with torch.random.fork_rng(devices=[]), track(f"making {name}", "parts"):
            torch.manual_seed(seed)
            unet, control = build(sizes.network)
            contents: _Contents = {"unet": (unet, unet.state_dict())}
            contents["controlnet"] = (control, control.state_dict())
            for part, settings in (("vae", sizes.vae), ("text_encoder", sizes.text)):
                if settings:
                    model = _untrained(part, settings)
                    contents[part] = (model, model.state_dict())  # type: ignore[index]
        _write(folder, contents)
        record = _record(folder, name, contents, OWN, "").model_copy(
            update={
                "source": f"restar weights init --config {config} --seed {seed}",
                "note": "untrained: what it restores is noise",
            }
        )
        write_record(folder, record)
    return find_weights(home, name)


def check_weights(home: Path, name: str) -> Installed:
    """Return weights if every file is as it was installed and every tensor as its network needs it."""
    weights = find_weights(home, name)
    total = sum(file.bytes for file in weights.record.files.values())
    with track(f"hashing {name}", "bytes", total) as advance:
        verify_files(weights, advance)
    with track(f"checking {name}", "parts", len(weights.record.parts)) as advance:
        for part in weights.record.parts:
            check_part(weights.part(part), part)
            advance(1)
    return weights


def kind_of(source: Path) -> str:
    """Return what a path holds, "denoiser", "vae" or "text", by a look that loads no weights.

    Raises CheckpointError for what is none of them.
    """
    if source.is_file():
        return "denoiser" if not _looks_like_text(source) else "text"
    if not source.is_dir():
        raise CheckpointError(f"{source}: no such file or folder; give the downloaded weights")
    if (source / "unet").is_dir() and (source / "controlnet").is_dir():
        return "denoiser"
    config = config_of(source)
    if config.get("_class_name") == "AutoencoderKLTemporalDecoder":
        return "vae"
    if str(config.get("model_type")).startswith("clip"):
        return "text"
    raise CheckpointError(
        f"{source}: its config.json is of {config.get('_class_name') or config.get('model_type')}; "
        "there are AutoencoderKLTemporalDecoder (the VAE) and CLIP (the text tower)"
    )


def _denoiser(source: Path, config: ModelConfig) -> _Contents:
    if source.is_dir():
        return {part: _checked(source / part, part) for part in PARTS if (source / part).is_dir()}
    state = read_state(source)
    unet, control = convert(state, config.network, source.name)
    models = build(config.network, device="meta")
    return {"unet": (models[0], unet), "controlnet": (models[1], control)}


def _vae(source: Path, _config: ModelConfig) -> _Contents:
    model = meta_model("vae", config_of(source), str(source / "config.json"))
    state = read_state(_file_in(source, _VAE_FILES))
    check_state(state, shapes_of(model), source.name)
    return {"vae": (model, state)}


def _text(source: Path, _config: ModelConfig) -> _Contents:
    if source.is_dir():
        model = meta_model("text_encoder", config_of(source), str(source / "config.json"))
        state = text_part(read_state(_file_in(source, _TEXT_FILES)))
    else:
        config, state = from_open_clip(read_state(source))
        model = meta_model("text_encoder", config.to_dict(), source.name)
    check_state(state, shapes_of(model), source.name)
    return {"text_encoder": (model, state)}


_CONTENTS: dict[str, Callable[[Path, ModelConfig], _Contents]] = {
    "denoiser": _denoiser,
    "vae": _vae,
    "text": _text,
}


def _checked(path: Path, part: Part) -> tuple[nn.Module, Mapping[str, Tensor]]:
    model = meta_model(part, config_of(path), str(path / "config.json"))
    state = read_state(_file_in(path, (*_VAE_FILES, *_TEXT_FILES)))
    check_state(state, shapes_of(model), str(path))
    return model, state


def _looks_like_text(source: Path) -> bool:
    """Return whether a file's keys are OpenCLIP's; a file that can't be read is refused later."""
    try:
        names = keys_of(source)
    except CheckpointError:
        return False
    return all(mark in names for mark in _OPEN_CLIP_MARKS)


def _untrained(part: str, settings: dict[str, Any]) -> nn.Module:
    if part == "text_encoder":
        from transformers import CLIPTextModel

        return CLIPTextModel(text_config(**settings))
    meta_model("vae", settings, "model configuration: vae")
    from diffusers import AutoencoderKLTemporalDecoder

    return AutoencoderKLTemporalDecoder(**settings)


def _file_in(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(
        f"{folder}: holds none of {', '.join(names)}; only safetensors files are read there, no pickles"
    )


def _digest(source: Path) -> str:
    """Return the sha256 of a file, or of the folder's files together."""
    if source.is_dir():
        return record_of(source)[1]
    with track(f"hashing {source.name}", "bytes", source.stat().st_size) as advance:
        return sha256_of_file(source, advance)


def _write(folder: Path, contents: _Contents) -> None:
    with track("writing", "parts", len(contents)) as advance:
        for part, (model, state) in contents.items():
            save_part(folder / part, part, model, state)
            advance(1)


def _record(
    folder: Path, name: str, contents: _Contents, licence: Licence, by: str
) -> WeightsRecord:
    files, sha256 = record_of(folder)
    return WeightsRecord(
        name=name,
        parts=tuple(contents),
        trained=False,
        source="",
        licence=licence.name,
        licence_url=licence.url,
        commercial_use=licence.commercial_use,
        accepted_by=by,
        accepted_at=datetime.now(UTC).isoformat(timespec="seconds") if by else "",
        parameters=sum(parameters(model) for model, _ in contents.values()),
        files=files,
        sha256=sha256,
    )
