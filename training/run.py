"""A whole run: a kit and a trainer from a configuration, checkpoints as it goes, weights at the end."""

import logging
from pathlib import Path

import numpy as np
import torch

from restar.progress import track
from star.tinymodel import save_tiny
from training.config import TrainConfig
from training.data import Batch, Samples, loader, stacked
from training.kits import Kit, TinyKit, make_kit
from training.pictures import draw_curves, strip, write_strip
from training.reading import teach_reading
from training.trainer import Report, Trainer, append_curve

__all__ = ["CHECKPOINT", "WEIGHTS", "codec_scales", "export", "run_training"]

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"
WEIGHTS = "weights.safetensors"
_MEASURED = 64  # samples from which a fresh star-tiny's scales are measured
_SMALLEST = 0.02  # below it a channel holds rounding, not pictures

_logger = logging.getLogger("restar.training")


def run_training(config: TrainConfig, *, resume: bool = False, until: int | None = None) -> Path:
    """Train, and return the file of the averaged weights; raise RestarError where it can't go on."""
    config.folder.mkdir(parents=True, exist_ok=True)
    kit = make_kit(config.model, _scales(config))
    if config.model.reading and not resume and isinstance(kit, TinyKit):
        left = teach_reading(kit.tiny, config.model.reading, config.run.seed)
        _logger.info(
            "reading: what the levels are is told up to %.1f %% of their variance", 100 * left
        )
    trainer = Trainer(config, kit)
    if resume:
        trainer.resume(config.folder / CHECKPOINT)
    watch = _Watch(config, trainer)
    try:
        with track("training", "steps", config.run.steps) as advance:
            advance(trainer.step)
            for report in trainer.train(until):
                advance(1)
                watch.see(report)
    except KeyboardInterrupt:
        trainer.save(config.folder / CHECKPOINT)
        raise
    if trainer.step % config.run.checkpoint_every:
        watch.keep()
    weights = config.folder / WEIGHTS
    return export(trainer, kit, weights) if trainer.accelerator.is_main_process else weights


class _Watch:
    """Writes what a run leaves as it goes, from the first of its processes alone."""

    def __init__(self, config: TrainConfig, trainer: Trainer) -> None:
        self.config, self.trainer = config, trainer
        self.seen: list[Report] = []

    def see(self, report: Report) -> None:
        """Note one step; every so often a line of the curve, a checkpoint and a strip."""
        run = self.config.run
        self.seen.append(report)
        if report.step % run.log_every == 0:
            if self.trainer.accelerator.is_main_process:
                append_curve(self.config.folder / CURVE, _mean(self.seen))
            self.seen.clear()
        if report.step % run.checkpoint_every == 0:
            self.keep()

    def keep(self) -> None:
        """Write the checkpoint, a strip with the averaged weights, and the curve as a picture."""
        folder, trainer = self.config.folder, self.trainer
        trainer.save(folder / CHECKPOINT)
        if not trainer.accelerator.is_main_process:
            return
        back = trainer.averaged()
        try:
            picture = strip(trainer.kit, self._shown())
        finally:
            back()
        write_strip(folder / "strips" / f"{trainer.step:06}.png", picture)
        if (folder / CURVE).exists():
            draw_curves(folder / CURVE, folder / "curve.png")

    def _shown(self) -> Batch:
        """Return the sample that every strip of a run shows: one that comes after all others."""
        samples = self.trainer.samples
        batch = stacked([samples[len(samples)]])
        device = self.trainer.accelerator.device
        return Batch(batch.wanted.to(device), batch.large.to(device), batch.ids.to(device))


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
