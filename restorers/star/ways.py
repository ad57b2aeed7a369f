"""From resolved options to the pipeline's terms, and from weights to a model that is in its place.

Imports torch; so it is imported where work begins.
"""

import logging
import os

import torch

from restar.errors import CheckpointError
from restar.memory import keep_large
from restar.settings import Settings, load_settings
from restorers.star.options import Options
from restorers.star.weights import Chosen, tiny_path
from star.denoiser import Guidance
from star.parts import load_part
from star.pipeline.chain import Ways
from star.pipeline.models import Model, Published, Steps, Tiny
from star.pipeline.placement import Placement, place, the_device
from star.tinymodel import load_tiny

__all__ = ["loaded_model", "ways_of"]

_log = logging.getLogger("restar.star")


def ways_of(options: Options, model: Model) -> Ways:
    """Return the ways of options that are resolved: none of them `auto`."""
    few = options.plan == "few"
    steps = Steps(options.plan, int(options.steps), 999 if few else options.noise_level)  # type: ignore[arg-type]
    scale = float(options.guidance)
    return Ways(
        scale=options.scale,
        steps=steps,
        window=int(options.window),
        overlap=int(options.overlap),
        decode_window=int(options.decode_window),
        decode_overlap=int(options.decode_overlap),
        tile=int(options.tile) // model.factor,
        tile_overlap=int(options.tile_overlap) // model.factor,
        blend=options.blend,
        guidance=Guidance(scale, options.guidance_rescale if scale != 1 else None),
        interval=(options.guidance_until, options.guidance_from),
        one_pass=options.guidance_passes == "one",
        padding=options.pad,
        encoding=options.encoding,
        noise=options.noise,
    )


def loaded_model(weights: Chosen, options: Options) -> tuple[Model, Placement]:
    """Return the model, loaded, and its placement by the settings of this host."""
    settings = load_settings()
    if weights.untrained:
        _log.warning("weights '%s' are untrained: what they restore is noise", weights.name)
    device = the_device(settings.star_device)
    make_deterministic(settings)
    if device.type == "cpu":
        keep_large()  # windows of a scene are of one size: half the time of a scene was clearing pages
    model: Model
    if weights.is_tiny:
        model = Tiny(load_tiny(tiny_path())[0])
    else:
        dtype = getattr(torch, options.precision)
        codec = torch.float32 if dtype == torch.float16 else dtype
        found = weights.parts
        try:
            unet, control = (load_part(found[p], p, dtype) for p in ("unet", "controlnet"))
            vae = load_part(found["vae"], "vae", codec)
            text = load_part(found["text_encoder"], "text_encoder", dtype)
        except KeyError as error:
            raise CheckpointError(f"step star: weights '{weights.name}' hold no {error}") from None
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        tile, overlap = int(options.tile) // factor, int(options.tile_overlap) // factor
        model = Published(unet, control, vae, text, tile, overlap)
    placement = place(
        model.parts,
        device,
        options.precision,  # type: ignore[arg-type]
        settings.star_offload,  # type: ignore[arg-type]
        compiled=settings.star_compile,
        channels_last=settings.star_channels_last,
    )
    return model, placement


def make_deterministic(settings: Settings) -> None:
    """Let torch refuse what gives other bytes each time, unless the settings allow it."""
    if settings.star_deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.star_deterministic)
    torch.backends.cudnn.benchmark = False
