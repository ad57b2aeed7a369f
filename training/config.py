"""What a training run is told: one TOML file, checked before anything is loaded or decoded."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restar.errors import UsageError

__all__ = ["DataConfig", "LossConfig", "ModelConfig", "RunConfig", "TrainConfig", "load_config"]

_MOST_BYTES = 1 << 16


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(_Section):
    """Which model, and which part of it learns."""

    kind: Literal["star-tiny", "star"] = Field(description="star-tiny, or a model of star's sizes.")
    config: str = Field(default="published", description="Sizes of `star`: a name or a JSON file.")
    weights: Path | None = Field(default=None, description="Weights to begin with; none = fresh.")
    train: Literal["all", "control+liem"] = Field(
        default="all", description="control+liem = ControlNet and every LIEM; the rest is frozen."
    )
    reading: int = Field(
        default=0,
        ge=0,
        description="Steps in which star-tiny's text tower first learns to read, from texts alone.",
    )


class DataConfig(_Section):
    """Where pictures come from and what is done to them."""

    photos: tuple[Path, ...] = Field(default=(), description="Folders of photographs.")
    pairs: Path | None = Field(
        default=None, description="A folder with gt/, and maybe lq/ and text/, matched by name."
    )
    manifest: Path | None = Field(
        default=None, description="A CSV file of pairs: gt, and maybe lq and text."
    )
    pairs_share: float | None = Field(
        default=None, ge=0, le=1, description="Share of samples from pairs; none = by their number."
    )
    held_out: tuple[str, ...] = Field(default=(), description="File names that are never used.")
    frames: int = Field(default=5, ge=1, le=64)
    height: int = Field(default=104, ge=16, le=4096, description="Of the wanted picture.")
    width: int = Field(default=128, ge=16, le=4096)
    margin: int = Field(
        default=0,
        ge=0,
        le=512,
        description="Pixels around it that are worn and measured too, then cut off.",
    )
    x2_share: float = Field(default=0.35, ge=0, le=1)
    wear: dict[Literal["archive", "star", "clean"], float] = Field(
        default={"archive": 0.45, "star": 0.15, "clean": 0.4},
        description="How often each kind of wear is drawn.",
    )
    steered_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of texts that say another noise level, with the grain to leave in for it.",
    )
    workers: int = Field(default=1, ge=0, le=64)


class LossConfig(_Section):
    """The loss: velocity, and the frequency term beside it."""

    first_share: float = Field(
        default=0.6, ge=0, le=1, description="Share of samples at the noisiest time (L1-like)."
    )
    first_only: int = Field(default=300, ge=0, description="Steps at the noisiest time alone.")
    frequency: Literal["none", "radius", "magnitude"] = "radius"
    power: float = Field(default=2.0, gt=0)
    few_steps: Literal[0, 2, 4] = Field(
        default=0,
        description="Below the noisiest time, learn those of so many equal steps alone; 0 = any time.",
    )
    steady: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the error of frame differences, at the noisiest time.",
    )
    harm: float = Field(
        default=0.0,
        ge=0,
        description="Extra weight of clips that come out worse than the enlarged input.",
    )
    relative: bool = Field(
        default=False,
        description="At the noisiest time, count a clip's error as a share of the enlarged input's.",
    )


class RunConfig(_Section):
    """How long, how fast, how often."""

    steps: int = Field(ge=1)
    batch: int = Field(default=2, ge=1, le=1024)
    accumulate: int = Field(default=1, ge=1, le=1024)
    rate: float = Field(default=1e-3, gt=0, le=1)
    warmup: int = Field(default=60, ge=1)
    decay: float = Field(default=0.25, ge=0, le=1, description="Last share of steps; falls to 2 %.")
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.998, ge=0, lt=1)
    precision: Literal["no", "bf16", "fp16"] = "no"
    checkpoint_every: int = Field(default=200, ge=1)
    log_every: int = Field(default=25, ge=1)
    gradient_checkpointing: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)


class TrainConfig(_Section):
    """A whole run; `folder` gets checkpoints, curves and strips."""

    folder: Path
    held: Path | None = Field(
        default=None, description="Clips for --eval: in each folder of it gt/ and lq/, by name."
    )
    model: ModelConfig
    data: DataConfig
    loss: LossConfig = Field(default_factory=LossConfig)
    run: RunConfig


def load_config(path: Path) -> TrainConfig:
    """Return the configuration in a TOML file; paths in it are relative to the file.

    Raises UsageError for a file that is missing, no TOML, or holds a key or value that is not valid.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: larger than 64 KiB, so not a training configuration")
        content = tomllib.loads(path.read_text("utf-8"))
        config = TrainConfig.model_validate(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "top level"
        raise UsageError(f"{path}: '{where}': {first['msg']}") from None
    return _placed(config, path.parent)


def _placed(config: TrainConfig, base: Path) -> TrainConfig:
    data, model = config.data, config.model
    photos = tuple(base / p for p in data.photos)
    pairs, manifest, weights, held = (
        None if path is None else base / path
        for path in (data.pairs, data.manifest, model.weights, config.held)
    )
    if not photos and pairs is None and manifest is None:
        raise UsageError("training configuration: data needs `photos`, `pairs` or a `manifest`")
    return config.model_copy(
        update={
            "folder": base / config.folder,
            "held": held,
            "data": data.model_copy(
                update={"photos": photos, "pairs": pairs, "manifest": manifest}
            ),
            "model": model.model_copy(update={"weights": weights}),
        }
    )
