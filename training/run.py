"""A whole run: a kit and a trainer from a configuration, checkpoints as it goes, weights at the end."""

import logging
from pathlib import Path

import numpy as np
import torch

from restar.progress import track
from star.tinymodel import save_tiny
from training.config import TrainConfig
from training.data import Samples, loader
from training.kits import Kit, TinyKit, make_kit
from training.trainer import Report, Trainer, append_curve

__all__ = ["CHECKPOINT", "codec_scales", "export", "run_training"]

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"
_WEIGHTS = "weights.safetensors"
_MEASURED = 64  # samples from which a fresh star-tiny's scales are measured
_SMALLEST = 0.02  # below it a channel holds rounding, not pictures

_logger = logging.getLogger("restar.training")


def run_training(config: TrainConfig, *, resume: bool = False, until: int | None = None) -> Path:
    """Train, and return the file of the averaged weights; raise RestarError where it can't go on."""
    config.folder.mkdir(parents=True, exist_ok=True)
    kit = make_kit(config.model, _scales(config))
    trainer = Trainer(config, kit)
    checkpoint = config.folder / CHECKPOINT
    if resume:
        trainer.resume(checkpoint)
    run, seen = config.run, []
    try:
        with track("training", "steps", run.steps) as advance:
            advance(trainer.step)
            for report in trainer.train(until):
                seen.append(report)
                advance(1)
                if report.step % run.log_every == 0:
                    append_curve(config.folder / CURVE, _mean(seen))
                    seen.clear()
                if report.step % run.checkpoint_every == 0:
                    trainer.save(checkpoint)
    except KeyboardInterrupt:
        trainer.save(checkpoint)
        raise
    trainer.save(checkpoint)
    return export(trainer, kit, config.folder / _WEIGHTS)


def export(trainer: Trainer, kit: Kit, path: Path) -> Path:
    """Write the averaged weights: star-tiny as its own file, else the parts that learned."""
    back = trainer.averaged()
    try:
        if isinstance(kit, TinyKit):
            save_tiny(kit.tiny, path, {"steps": trainer.step}, torch.float16)
        else:
            from safetensors.torch import save_file

            opened = {
                k: w.detach().contiguous()
                for k, w in kit.model.named_parameters()
                if w.requires_grad
            }
            save_file(opened, path)
    finally:
        back()
    return path


def codec_scales(samples: Samples) -> dict[str, list[float]]:
    """Return the deviations of the codec's channels, of the hint and of the residual, over samples."""
    from star.tinymodel import TinyStar

    plain = TinyStar()
    hints, residuals = [], []
    for batch in loader(samples, 0, 1, 0):
        residual, hint = plain.latents(batch.wanted, batch.large)
        hints.append(hint[0].flatten(1))
        residuals.append(residual[0].flatten(1))
    return {
        name: torch.cat(parts, 1).std(1).clamp(min=_SMALLEST).tolist()
        for name, parts in (("hint_scale", hints), ("residual_scale", residuals))
    }


def _scales(config: TrainConfig) -> dict[str, list[float]] | None:
    if config.model.kind != "star-tiny" or config.model.weights is not None:
        return None
    return codec_scales(Samples(config.data, config.run.seed, _MEASURED))


def _mean(reports: list[Report]) -> Report:
    last = reports[-1]
    velocity, frequency, norm = (
        float(np.mean([getattr(r, name) for r in reports]))
        for name in ("velocity", "frequency", "norm")
    )
    return Report(last.step, velocity, frequency, norm, last.rate)
