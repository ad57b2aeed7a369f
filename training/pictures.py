"""What a person looks at while a model learns: strips of one sample, and the curves as a picture."""

import csv
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restar.errors import RestarError
from training.data import Batch
from training.kits import Kit

__all__ = ["draw_curves", "strip", "write_strip"]

_SMOOTH = 0.9


@torch.no_grad()
def strip(kit: Kit, batch: Batch) -> NDArray[np.uint8]:
    """Return enlarged | restored in one step | wanted, (h, 3 w, 3), RGB: a clip's middle frame."""
    device = batch.wanted.device
    with torch.autocast(device.type, enabled=False):
        x0, hint = kit.latents(batch.wanted[:1], batch.large[:1])
        last = torch.full((1,), len(kit.schedule.sigmas) - 1, device=device)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)).to(device)
        x = kit.schedule.diffuse(x0, last, noise)
        v = kit.velocity(x, last, kit.words(batch.ids[:1]), hint)
        made = kit.restored(kit.schedule.clean(x, last, v.float()), batch.large[:1])
    middle = batch.wanted.shape[1] // 2
    row = torch.cat([clip[0, middle] for clip in (batch.large, made, batch.wanted)], -1)
    return _eight(row)


def write_strip(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture (h, w, 3) as a file of its suffix's kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1])):
        raise RestarError(f"{path}: can't be written")


def draw_curves(table: Path, picture: Path) -> None:
    """Draw the losses and the learning rate of a run's CSV file over its steps, smoothed and not."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    with table.open(encoding="utf-8", newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    if not rows:
        return
    steps = [row["step"] for row in rows]
    figure, panes = pyplot.subplots(3, 1, figsize=(7, 7), sharex=True, layout="constrained")
    for pane, name in zip(panes, ("velocity", "frequency", "rate"), strict=True):
        values = [row[name] for row in rows]
        pane.plot(steps, values, color="0.75" if name != "rate" else "C0", linewidth=1)
        if name != "rate":
            pane.plot(steps, smoothed(values), color="C0")
        pane.set_ylabel(name)
        pane.grid(alpha=0.3)
    panes[-1].set_xlabel("step")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)


def smoothed(values: list[float]) -> list[float]:
    """Return the running mean of values, each older one counting a tenth less than the next."""
    made, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = _SMOOTH * total + value, _SMOOTH * weight + 1
        made.append(total / weight)
    return made


def _eight(picture: Tensor) -> NDArray[np.uint8]:
    eight = ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return eight.permute(1, 2, 0).cpu().numpy()
