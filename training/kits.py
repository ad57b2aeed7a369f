"""What a trainer needs to know of a model: how pictures become latents, what predicts, what learns.

star-tiny learns as a whole, on the residual to the enlarged input. Of a model of the published shape
ControlNet and LIEM learn, on the VAE's latent of the picture itself (arXiv 2501.02976, section 4.1);
the UNet, the VAE and the text tower are frozen: in eval mode (the release leaves dropout on in its
frozen network) and without gradients of their own.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import AutoencoderKLTemporalDecoder
from torch import Tensor, nn
from transformers import CLIPTextModel

from restar.errors import UsageError
from star.checkpoint import build, load_published
from star.configuration import load_config
from star.denoiser import Network
from star.patchcodec import PatchCodec
from star.schedule import Schedule
from star.text import encode_ids, text_config
from star.tinymodel import TINY_SIZES, TinyStar, load_tiny
from star.tokens import END
from training.config import ModelConfig

__all__ = ["Kit", "PublishedKit", "TinyKit", "make_kit", "with_pools"]


class Kit(Protocol):
    """A model as the trainer uses it; clips are (b, f, 3, h, w) in -1..1, latents (b, c, f, h, w)."""

    model: nn.Module
    schedule: Schedule

    def latents(self, wanted: Tensor, large: Tensor) -> tuple[Tensor, Tensor]: ...
    def words(self, ids: Tensor) -> Tensor: ...
    def velocity(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor) -> Tensor: ...
    def pictures(self, latent: Tensor) -> Tensor: ...
    def restored(self, x0: Tensor, large: Tensor) -> Tensor: ...


class TinyKit:
    """star-tiny."""

    def __init__(self, model: TinyStar) -> None:
        self.model: nn.Module = model
        self.tiny, self.schedule = model, model.schedule

    def latents(self, wanted: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residual's latent and the hint."""
        return self.tiny.latents(wanted, large)

    def words(self, ids: Tensor) -> Tensor:
        """Return the text, with its gradient: the tower learns too."""
        return self.tiny.words(ids)

    def velocity(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor) -> Tensor:
        """Return what the network predicts."""
        made: Tensor = self.tiny.network(x, t, text, hint)
        return made

    def pictures(self, latent: Tensor) -> Tensor:
        """Return the residual's pictures (b, 3, f, h, w), brought to a deviation of about 1."""
        return self.tiny.residual(latent).transpose(1, 2) / self.unit

    def restored(self, x0: Tensor, large: Tensor) -> Tensor:
        """Return the clip (b, f, 3, h, w) that a latent stands for beside the enlarged one."""
        return self.tiny.restored(x0, large)

    @property
    def unit(self) -> float:
        """The residual's standard deviation over all channels."""
        return float(self.tiny.codec.residual_std.square().mean().sqrt())


class PublishedKit:
    """UNet, ControlNet, VAE and text tower of the published shape."""

    def __init__(
        self, network: Network, vae: AutoencoderKLTemporalDecoder, text: CLIPTextModel
    ) -> None:
        assert network.control is not None  # noqa: S101
        self.network, self.vae, self.text = network, vae.eval(), text.eval()
        self.model: nn.Module = nn.ModuleDict({"unet": network.unet, "control": network.control})
        self.schedule = Schedule.published()
        for frozen in (vae, text):
            frozen.requires_grad_(False)

    @torch.no_grad()
    def latents(self, wanted: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents of the wanted and of the enlarged clip, one frame at a time."""
        return self._coded(wanted), self._coded(large)

    def words(self, ids: Tensor) -> Tensor:
        """Return the text of a frozen tower."""
        return encode_ids(self.text, ids)

    def velocity(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor) -> Tensor:
        """Return what the network predicts."""
        return self.network(x, t, text, hint)

    def pictures(self, latent: Tensor) -> Tensor:
        """Return decoded pictures (b, 3, f, h, w), with their gradient to the latent."""
        frames = latent.transpose(1, 2) / self.vae.config.scaling_factor
        made = self.vae.decode(frames.flatten(0, 1), num_frames=frames.shape[1]).sample
        return made.unflatten(0, frames.shape[:2]).transpose(1, 2)

    def restored(self, x0: Tensor, _large: Tensor) -> Tensor:
        """Return the clip (b, f, 3, h, w) that a latent stands for."""
        return self.pictures(x0).transpose(1, 2)

    def _coded(self, clip: Tensor) -> Tensor:
        frames = [self.vae.encode(f[None]).latent_dist.mean for f in clip.flatten(0, 1)]
        latents = torch.cat(frames) * self.vae.config.scaling_factor
        return latents.unflatten(0, clip.shape[:2]).transpose(1, 2)


def make_kit(config: ModelConfig, scales: dict[str, list[float]] | None = None) -> Kit:
    """Return the model of a configuration, with what is to learn open and everything else frozen.

    `scales` are the codec's for a fresh star-tiny. Raises UsageError or CheckpointError.
    """
    if config.kind == "star-tiny":
        if config.train != "all":
            raise UsageError('star-tiny is trained as a whole: write train = "all"')
        if config.weights is not None:
            return TinyKit(with_pools(load_tiny(config.weights)[0]).train())
        return TinyKit(TinyStar(codec=PatchCodec(**(scales or {}))).train())
    if config.reading:
        raise UsageError("model.reading is star-tiny's; a published text tower can read")
    kit = _published(config)
    open_for_training(kit, config.train)
    return kit


def with_pools(model: TinyStar) -> TinyStar:
    """Return the model; one that hears its text in the middle alone gets pools and gives what it gave."""
    if model.sizes.pooled_heads:
        return model
    sizes = replace(model.sizes, pooled_heads=TINY_SIZES.pooled_heads)
    grown = TinyStar(sizes, model.codec)
    fresh = {k: w for k, w in grown.state_dict().items() if ".text_pool." in k}
    grown.load_state_dict(model.state_dict() | fresh, strict=True)
    return grown


def open_for_training(kit: PublishedKit, train: str) -> None:
    """Open ControlNet and LIEM, or everything; freeze and put in eval mode what does not learn."""
    kit.model.train().requires_grad_(True)
    if train == "all":
        return
    unet = kit.network.unet
    unet.requires_grad_(False).eval()
    for name, weight in unet.named_parameters():
        if ".local1." in name or ".local2." in name:
            weight.requires_grad_(True)


def _published(config: ModelConfig) -> PublishedKit:
    sizes = load_config(config.config)
    if config.weights is not None:
        unet, control = load_published(Path(config.weights), sizes.network)
    else:
        unet, control = build(sizes.network)
    vae = AutoencoderKLTemporalDecoder(**_vae(sizes.vae))
    told: dict[str, Any] = {"vocabulary": END + 1, **sizes.text}
    return PublishedKit(Network(unet, control), vae, CLIPTextModel(text_config(**told)))


def _vae(config: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
