"""Where a model's parts are and in which numbers they work: devices, precision, offload, speed.

Nothing here changes what is computed but `precision`, which is in the spec; the rest is settings.
`model` offload keeps on the device only the part that is at work; `sequential` only the layer that is
(accelerate's). Both give the same numbers as none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from restar.errors import UsageError
from star.denoiser import Predict

__all__ = ["OFFLOADS", "PRECISIONS", "Offload", "Placement", "Precision", "place", "the_device"]

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
Offload = Literal["none", "model", "sequential"]
OFFLOADS: tuple[str, ...] = get_args(Offload)

_PART = 4  # windows that are gathered before a model is exchanged for another


@dataclass
class Placement:
    """A model's parts on a device. `using(name)` has a part ready inside the block."""

    device: torch.device
    dtype: torch.dtype
    offload: Offload = "none"
    parts: dict[str, nn.Module] = field(default_factory=dict)
    _here: str = ""

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Have a part on the device; with `model` offload every other one goes first."""
        if self.offload == "model" and self._here != name:
            if self._here:
                self.parts[self._here].to("cpu")
            self.parts[name].to(self.device)
            self._here = name
        yield

    def part(self, window: int) -> int:
        """Return how many frames to gather before the next part of the model works at them."""
        return 1 if self.offload == "none" else _PART * window

    def given(self, tensor: Tensor) -> Tensor:
        """Return a tensor as the codec takes it: float16 is too narrow for the published VAE."""
        wide = torch.float32 if self.dtype == torch.float16 else self.dtype
        return tensor.to(self.device, wide)

    def cast(self, predict: Predict) -> Predict:
        """Return the network told and giving float32, whatever it works in."""
        return predict if self.dtype == torch.float32 else _Cast(predict, self.dtype)


class _Cast:
    def __init__(self, predict: Predict, dtype: torch.dtype) -> None:
        self.predict, self.dtype = predict, dtype
        self.unet = getattr(predict, "unet", None)
        self.control = getattr(predict, "control", None)

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> Tensor:
        given = None if hint is None else hint.to(self.dtype)
        return self.predict(x.to(self.dtype), t, text.to(self.dtype), given).float()


def the_device(wanted: str) -> torch.device:
    """Return a device by name; `auto` is a GPU where there is one. Raises UsageError if not here."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"RESTAR_STAR_DEVICE {wanted}: there is no such GPU; `restar doctor`")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("RESTAR_STAR_DEVICE mps: this is no Apple computer with a Metal GPU")
    return device


def place(
    parts: dict[str, nn.Module],
    device: torch.device,
    precision: Precision,
    offload: Offload = "none",
    *,
    compiled: bool = False,
    channels_last: bool = False,
) -> Placement:
    """Bring parts to a device, or ready to be brought; return their placement."""
    dtype = getattr(torch, precision)
    placed = Placement(device, dtype, offload, dict(parts))
    for name, part in parts.items():
        _in_numbers(part, torch.float32 if name == "codec" and dtype == torch.float16 else dtype)
        if channels_last:
            _channels_last(part)
    if offload == "sequential":
        from accelerate import cpu_offload

        for name, part in parts.items():
            if name != "text":  # it works once a scene, and stays in main memory
                cpu_offload(part, execution_device=device)
    elif offload == "none":
        for part in parts.values():
            part.to(device)
    if compiled:
        for part in _networks(parts["denoiser"]):
            part.compile(dynamic=False)
    return placed


def _in_numbers(part: nn.Module, dtype: torch.dtype) -> None:
    if any(weight.dtype != dtype for weight in part.parameters()):
        nn.Module.to(part, dtype=dtype)  # past diffusers' own, which warns of what does not matter


def _channels_last(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)


def _networks(denoiser: nn.Module) -> list[Any]:
    """The UNet and the ControlNet: each is compiled as a whole."""
    if isinstance(denoiser, nn.ModuleList):
        return list(denoiser)
    return [denoiser.unet, denoiser.control]
