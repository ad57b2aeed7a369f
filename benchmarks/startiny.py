"""Takes of star-tiny for calibration: the network itself over a whole clip, one step, no windows.

What restar's restorer adds around it (windows, tiles, resume) is exact by test; what a scorer has to see
is the pictures that this network makes.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import star
from star.noise import FrameNoise
from star.sampling import ddim
from star.schedule import few_step_plan
from star.text import encode_prompts
from star.tinymodel import TinyStar, enlarged, load_tiny
from star.tinyprompt import measure, prompt_for

__all__ = ["star_tiny"]

Picture = NDArray[np.float32]


@torch.inference_mode()
def star_tiny(pictures: Sequence[Picture], scale: int = 2) -> list[Picture]:
    """Return pictures (h, w, 3), 0..1, enlarged by star-tiny."""
    model = _model()
    height, width = pictures[0].shape[:2]
    frames = torch.from_numpy(_padded(np.stack(pictures), scale)).permute(0, 3, 1, 2) * 2 - 1
    large = enlarged(frames, scale)[None]
    text = encode_prompts(model.text, [prompt_for(scale, measure(frames))])
    hint = model.hint(large)
    advice = model.network.advice(text, hint)

    def denoise(x: torch.Tensor, t: int, _step: int) -> torch.Tensor:
        times = torch.tensor([t])
        return model.schedule.clean(x, times, model.network.velocity(x, times, text, hint, advice))

    start = FrameNoise(0).clip(0, len(pictures), "start", 0, tuple(hint[0, :, 0].shape))
    plan = few_step_plan(model.schedule, 1)
    made = model.restored(ddim(denoise, start, plan, model.schedule), large)
    shown = (made[0].clamp(-1, 1).permute(0, 2, 3, 1) / 2 + 0.5).numpy()
    return [np.ascontiguousarray(p[: scale * height, : scale * width]) for p in shown]


def _padded(clip: Picture, scale: int) -> Picture:
    """A clip with edges repeated below and to the right, of a size that the network takes."""
    height, width = (side * scale // 4 for side in clip.shape[1:3])
    down, right = (2 - height) % 4 * 4 // scale, -width % 4 * 4 // scale
    return np.pad(clip, ((0, 0), (0, down), (0, right), (0, 0)), "edge")


@lru_cache(maxsize=1)
def _model() -> TinyStar:
    return load_tiny(Path(star.__file__).parent / "star-tiny.safetensors")[0]
