"""The denoiser: from a noised latent, a time and a text to the clean latent that the network sees in it.

`Network` joins the UNet and its ControlNet; `Denoiser` adds guidance and windows, and looks at every
result: NaN and infinity stop the work where they begin, with the step, the window and the layer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from restar.errors import NotFiniteError, UsageError
from star.controlnet import StarControlNet
from star.guidance import guide
from star.schedule import Schedule
from star.unet import StarUNet
from star.windows import Window, join_by_cuts, windows

__all__ = ["Denoiser", "Guidance", "Network", "Predict", "first_bad_layer"]

# (x, t, text, hint) -> v; shapes as for StarUNet, t is (b,).
Predict = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Network:
    """The UNet with what its ControlNet says of the hint."""

    unet: StarUNet
    control: StarControlNet | None = None

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> Tensor:
        """Return the velocity (b, c, f, h, w) of `x`; shapes as for StarUNet and StarControlNet."""
        if self.control is None:
            return self.unet(x, t, text)
        residuals, middle = self.control(x, t, text, hint)
        return self.unet(x, t, text, residuals, middle)


@dataclass(frozen=True)
class Guidance:
    """How far to go away from the negative text; a scale of 1 leaves the negative text out."""

    scale: float = 7.5
    rescale: float | None = 0.2


@dataclass(frozen=True)
class Denoiser:
    """Gives x_0 for a clip of any length: guided, window by window, cut together as published.

    `text` and `negative` are (b, words, width), `hint` (b, c, f, h, w) or None. `length` is how many
    frames a window holds; without one the clip is one window. `one_pass` asks the network for both
    texts at once, as one batch: twice the memory, and better use of a GPU that small windows leave idle.
    """

    predict: Predict
    schedule: Schedule
    text: Tensor
    negative: Tensor | None = None
    hint: Tensor | None = None
    guidance: Guidance = field(default_factory=Guidance)
    length: int | None = None
    one_pass: bool = False

    def __call__(self, x: Tensor, t: int, step: int) -> Tensor:
        """Return x_0 (b, c, f, h, w) for `x` of that shape at time `t`; raise NotFiniteError for NaN."""
        over = self.windows(x.shape[2])
        return join_by_cuts([self.clean(x, t, step, window) for window in over], over)

    def windows(self, frames: int) -> list[Window]:
        """Return the windows over a clip of so many frames."""
        return [(0, frames)] if self.length is None else windows(frames, self.length)

    def clean(self, x: Tensor, t: int, step: int, window: Window) -> Tensor:
        """Return x_0 of one window's frames."""
        hint = None if self.hint is None else self.hint[:, :, slice(*window)]
        return self.clean_of(x[:, :, slice(*window)], t, hint, (step, window))

    def clean_of(
        self, part: Tensor, t: int, hint: Tensor | None, place: tuple[int, Window]
    ) -> Tensor:
        """Return x_0 of a part that is given with its hint; `place` (step, frames) names it in errors."""
        times = torch.full((len(part),), t, device=part.device, dtype=torch.long)
        if self.guidance.scale == 1:
            v = self.checked(part, times, self.text, hint, place)
        else:
            v = guide(
                *self.towards_and_away(part, times, hint, place),
                self.guidance.scale,
                self.guidance.rescale,
            )
        return self.schedule.clean(part, times, v)

    def towards_and_away(
        self, x: Tensor, t: Tensor, hint: Tensor | None, place: tuple[int, Window]
    ) -> tuple[Tensor, Tensor]:
        """Return the velocities by the text and by the negative text."""
        if self.negative is None:
            raise UsageError(
                f"guidance of {self.guidance.scale:g} needs a negative text; give one, or scale 1"
            )
        if not self.one_pass:
            towards = self.checked(x, t, self.text, hint, place)
            return towards, self.checked(x, t, self.negative, hint, place)
        twice = [None if one is None else torch.cat([one, one]) for one in (x, t, hint)]
        texts = torch.cat([self.text.expand(len(x), -1, -1), self.negative.expand(len(x), -1, -1)])
        both = self.checked(twice[0], twice[1], texts, twice[2], place)  # type: ignore[arg-type]
        towards, away = both.chunk(2)
        return towards, away

    def checked(
        self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None, place: tuple[int, Window]
    ) -> Tensor:
        """Return the velocity; raise NotFiniteError, naming step, window and layer, unless all finite."""
        v = self.predict(x, t, text, hint)
        if bool(torch.isfinite(v).all()):
            return v
        step, (start, end) = place
        given = {"latent": x, "text": text, "hint": hint}
        bad = next((k for k, g in given.items() if g is not None and not g.isfinite().all()), None)
        if bad is not None:
            cause = f"came in with the {bad}"
        else:
            cause = f"began in {self.layer(x, t, text, hint)}"
        raise NotFiniteError(
            f"NaN or infinity in sampling step {step + 1}, window of frames {start}-{end - 1} "
            f"(time {int(t[0])}): it {cause}. A lower precision overflows first: try float32"
        )

    def layer(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> str:
        """Return the name of the layer that first gave NaN or infinity, by running once more."""
        nets = [getattr(self.predict, name, None) for name in ("control", "unet")]
        models = {type(net).__name__: net for net in nets if isinstance(net, nn.Module)}
        found = first_bad_layer(models, lambda: self.predict(x, t, text, hint))
        return found or "the network, but not when it ran a second time (unstable hardware?)"


def first_bad_layer(models: dict[str, nn.Module], run: Callable[[], object]) -> str | None:
    """Return which layer of `models` first gives NaN or infinity while `run` runs; None if none does.

    The name is the module's path, "StarUNet.down_blocks.0.resnets.1.conv1"; weights that are
    themselves NaN are said so.
    """
    handles, found = [], []

    def watch(name: str) -> Callable[[nn.Module, object, object], None]:
        def look(module: nn.Module, _given: object, made: object) -> None:
            if isinstance(made, Tensor) and not made.isfinite().all():
                broken = any(not weight.isfinite().all() for weight in module.parameters())
                found.append(
                    f"layer {name}{' (its weights are NaN or infinite)' if broken else ''}"
                )
                raise _FoundError

        return look

    for root, model in models.items():
        for path, module in model.named_modules():
            if next(module.children(), None) is None:
                handles.append(module.register_forward_hook(watch(f"{root}.{path}")))
    try:
        with torch.no_grad():
            run()
    except _FoundError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


class _FoundError(Exception):
    """Ends the second run of a network at the layer that was looked for."""
