"""The loop: batches in, steps, an average of the weights, curves and checkpoints out; resumed exactly.

Everything random of step n comes from the run's seed and n, so a run that was stopped and goes on gives
the losses of one that was not. A checkpoint is written beside the old one and takes its place whole.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from restar.errors import CheckpointError, RestarError, UsageError
from restar.hashing import sha256_of
from star.controlnet import StarControlNet
from star.schedule import few_step_plan
from star.unet import StarUNet
from training.config import LossConfig, TrainConfig
from training.data import Batch, Samples, loader
from training.kits import Kit
from training.loss import Losses, star_losses

__all__ = ["Report", "Trainer"]

_LOWEST = 0.02  # of the rate, at the end of the decay
_KEY = "restar training 1"


@dataclass(frozen=True)
class Report:
    """One optimiser step: its number from 1, mean losses, gradient's norm before clipping, rate."""

    step: int
    velocity: float
    frequency: float
    norm: float
    rate: float


class Objective(nn.Module):
    """From a batch to its losses, so that a wrapper for many devices sees one forward."""

    def __init__(self, kit: Kit, settings: LossConfig) -> None:
        super().__init__()
        self.model = kit.model
        self.kit, self.settings = kit, settings

    def forward(self, batch: Batch, t: Tensor, seed: int) -> Losses:
        """Return the losses at times `t` (b,) with noise from `seed`."""
        kit = self.kit
        with torch.autocast(t.device.type, enabled=False):
            x0, hint = kit.latents(batch.wanted, batch.large)
            random = torch.Generator().manual_seed(seed)
            noise = torch.randn(x0.shape, generator=random).to(x0.device)
            x = kit.schedule.diffuse(x0, t, noise)
        velocity = kit.velocity(x, t, kit.words(batch.ids), hint)
        with torch.autocast(t.device.type, enabled=False):
            return star_losses(
                kit.schedule, velocity.float(), x, x0, noise, t, self.settings, kit.pictures
            )


class Trainer:
    """A run of a configuration; `step` is how many optimiser steps are done."""

    def __init__(self, config: TrainConfig, kit: Kit, samples: Samples | None = None) -> None:
        run = config.run
        self.config, self.kit, self.step = config, kit, 0
        self.accelerator = Accelerator(
            mixed_precision=run.precision,
            gradient_accumulation_steps=run.accumulate,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        learning = [weight for weight in kit.model.parameters() if weight.requires_grad]
        if not learning:
            raise UsageError("training: nothing of this model is open; see model.train")
        if run.gradient_checkpointing:
            for part in kit.model.modules():
                if isinstance(part, StarUNet | StarControlNet):
                    part.enable_gradient_checkpointing()
        optimizer = torch.optim.AdamW(learning, run.rate, betas=(0.9, 0.99), weight_decay=0.01)
        objective = Objective(kit, config.loss)
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.learning = learning
        self.average = [weight.detach().clone() for weight in learning]
        count = run.steps * self.per_step
        self.samples = samples or Samples(config.data, run.seed, count)

    @property
    def per_step(self) -> int:
        """How many samples one optimiser step takes, over all devices."""
        run = self.config.run
        return run.batch * run.accumulate * self.accelerator.num_processes

    def train(self, until: int | None = None) -> Iterator[Report]:
        """Yield a report for each optimiser step until the end, or until so many are done."""
        run = self.config.run
        end = min(until or run.steps, run.steps)
        if self.step >= end:
            return
        places = self.accelerator.num_processes
        batches = iter(
            loader(
                self.samples,
                self.step * self.per_step,
                run.batch,
                self.config.data.workers,
                (self.accelerator.process_index, places),
            )
        )
        while self.step < end:
            yield self.one_step(batches)

    def one_step(self, batches: Iterator[Batch]) -> Report:
        """Take one optimiser step; raise RestarError where the loss is no number."""
        run, rate = self.config.run, self.rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        told: list[tuple[float, float]] = []
        norm = 0.0
        for micro in range(run.accumulate):
            batch = _to(next(batches), self.accelerator.device)
            times, seed = self.drawn(micro)
            torch.manual_seed(seed)  # dropout's
            with self.accelerator.accumulate(self.objective):
                losses: Losses = self.objective(batch, times, seed)
                if not bool(losses.total.isfinite()):
                    raise RestarError(
                        f"training: the loss is no number in step {self.step + 1}; the last checkpoint "
                        'is whole. Go on from it with a lower run.rate, or precision = "no"'
                    )
                self.accelerator.backward(losses.total)
                if self.accelerator.sync_gradients:
                    norm = float(self.accelerator.clip_grad_norm_(self.learning, run.clip))
                self.optimizer.step()
                self.optimizer.zero_grad()
            told.append((losses.velocity.mean().item(), losses.frequency.mean().item()))
        self.step += 1
        self.blend()
        velocity, frequency = np.mean(told, axis=0)
        return Report(self.step, float(velocity), float(frequency), norm, rate)

    def drawn(self, micro: int) -> tuple[Tensor, int]:
        """Return the times (batch,) and the noise's seed of one micro-batch on this device."""
        run, settings = self.config.run, self.config.loss
        key = [run.seed, self.step, micro, self.accelerator.process_index]
        random = np.random.default_rng(key)
        last = len(self.kit.schedule.sigmas) - 1
        if settings.few_steps:
            taken = few_step_plan(self.kit.schedule, settings.few_steps).model_times[1:]
            times = random.choice(taken.numpy(), run.batch)
        else:
            times = random.integers(1, last, run.batch)
        if self.step < settings.first_only:
            times[:] = last
        times[random.random(run.batch) < settings.first_share] = last
        seed = int(random.integers(2**62))
        return torch.from_numpy(times).to(self.accelerator.device), seed

    def rate(self) -> float:
        """Return the learning rate of the coming step: a warm-up, a plateau, a linear decay."""
        run = self.config.run
        up = min(1.0, (self.step + 1) / run.warmup)
        falling = max(1.0, run.decay * run.steps)
        return run.rate * up * max(_LOWEST, min(1.0, (run.steps - self.step) / falling))

    @torch.no_grad()
    def blend(self) -> None:
        """Move the average of the weights; it follows faster in the beginning."""
        share = min(self.config.run.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [w.detach() for w in self.learning], 1 - share)

    def save(self, path: Path) -> None:
        """Write everything that the run needs to go on."""
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "format": _KEY,
            "config": self.identity(),
            "step": self.step,
            "model": self.kit.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        torch.save(state, part)
        part.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint; raise CheckpointError for one of another run or a damaged one."""
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise CheckpointError(f"{path}: no checkpoint there; start without --resume") from None
        except Exception as error:
            said = (str(error).splitlines() or [""])[0]
            raise CheckpointError(f"{path}: not a whole checkpoint ({said})") from None
        if not isinstance(state, dict) or state.get("format") != _KEY:
            raise CheckpointError(f"{path}: not a checkpoint of `restar train`")
        if state["config"] != self.identity():
            raise CheckpointError(
                f"{path}: was made with other settings of model, data, loss or run; put them back, or "
                "choose another folder and begin with its weights (model.weights)"
            )
        self.kit.model.load_state_dict(state["model"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"] is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        for mine, theirs in zip(self.average, state["average"], strict=True):
            mine.copy_(theirs)
        self.step = int(state["step"])

    def identity(self) -> str:
        """Return a hash of what must be the same for a run to go on exactly."""
        told = self.config.model_dump(mode="json", exclude={"folder": True})
        told["data"].pop("workers")
        for key in ("checkpoint_every", "log_every"):
            told["run"].pop(key)
        return sha256_of(told | {"processes": self.accelerator.num_processes})

    @torch.no_grad()
    def averaged(self) -> Callable[[], None]:
        """Put the averaged weights into the model; the function that is returned takes them out."""
        kept = [weight.detach().clone() for weight in self.learning]
        for weight, mean in zip(self.learning, self.average, strict=True):
            weight.copy_(mean)

        def back() -> None:
            with torch.no_grad():
                for weight, mine in zip(self.learning, kept, strict=True):
                    weight.copy_(mine)

        return back


def append_curve(path: Path, report: Report) -> None:
    """Add one line to the CSV file of a run's curve."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(vars(report))
        writer.writerow(vars(report).values())


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(batch.wanted.to(device), batch.large.to(device), batch.ids.to(device))
