"""What `auto` comes to: by the model, by the device, and by the memory that may be used.

The limit is a setting, or most of what the device has in all; never what happens to be free, or the same
command would give other pixels the next time. What is found here stands in the spec.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import psutil

from media.format import VideoFormat
from restar.errors import RecipeError
from restar.settings import Settings, load_settings
from restorers.star.options import AUTO, Options
from restorers.star.weights import Chosen, tiny_path

if TYPE_CHECKING:
    from star.pipeline.memory import Appetite, Load

__all__ = ["memory_limit", "predicted", "settled", "smaller"]

_TINY_SCALES = (2, 4)
_OF_PROCESSOR, _OF_GPU = 0.6, 0.9  # others work on a processor's memory too


def settled(
    options: Options, weights: Chosen, source: VideoFormat, *, within_memory: bool = True
) -> Options:
    """Return the options with every `auto` answered; raise RecipeError for what the model can't do.

    Raises RecipeError too where no window is small enough for the memory limit, if it is asked for.
    """
    settings = load_settings()
    chosen = options.model_copy(
        update={"model": weights.name, "untrained": weights.untrained}
        | _answers(options, weights.is_tiny, settings)
    )
    if weights.is_tiny:
        _check_tiny(chosen)
    elif options.strength != 1:
        raise RecipeError(
            f"step star: strength is what star-tiny is told, and '{weights.name}' is not told it; leave "
            "it out, or choose model star-tiny"
        )
    if within_memory:
        chosen = _within_memory(options, chosen, weights, source, memory_limit(settings))
    shared = {
        name: min(int(getattr(chosen, name)), int(getattr(chosen, size)) // 2)
        for name, size in (("overlap", "window"), ("decode_overlap", "decode_window"))
        if getattr(options, name) == AUTO
    }
    return Options.model_validate({**chosen.model_dump(), **shared})


def predicted(options: Options, weights: Chosen, source: VideoFormat) -> int:
    """Return the bytes that resolved options are predicted to take."""
    return _load(options, weights, source).bytes(_appetite(weights, options.precision))


def smaller(options: Options, weights: Chosen, source: VideoFormat) -> Options | None:
    """Return options that take clearly less memory, for after it ran out; None where there are none."""
    from star.pipeline.memory import BASE_BYTES, fitting

    load, appetite = _load(options, weights, source), _appetite(weights, options.precision)
    whole = load.bytes(appetite)
    less = whole - (whole - BASE_BYTES - appetite.weights) // 5
    found = fitting(load, appetite, less, _step(weights), fixed_window=False)
    return None if found is None else _as_options(options, found, weights)


def memory_limit(settings: Settings) -> int:
    """Return the bytes that STAR may use on this host's device."""
    if settings.star_memory_mib:
        return settings.star_memory_mib << 20
    if _on_gpu(settings):
        import torch

        from star.pipeline.placement import the_device

        device = the_device(settings.star_device)
        if device.type == "cuda":
            return int(_OF_GPU * torch.cuda.get_device_properties(device).total_memory)
    return int(_OF_PROCESSOR * psutil.virtual_memory().total)


def _answers(options: Options, tiny: bool, settings: Settings) -> dict[str, Any]:
    plan = options.plan if options.plan != AUTO else ("few" if tiny else "fast")
    answers = {
        "plan": plan,
        "steps": 1 if plan == "few" else 15,
        "guidance": 1.0 if tiny else 7.5,
        "guidance_passes": "one" if _on_gpu(settings) and not tiny else "two",
        "window": 16 if tiny else 32,
        "overlap": 2 if tiny else 8,
        "decode_window": 2 if tiny else 8,
        "decode_overlap": 0 if tiny else 3,
        "tile": 0,
        "tile_overlap": 64 if tiny else 128,
        "precision": "bfloat16" if _on_gpu(settings) and not tiny else "float32",
    }
    return {name: value for name, value in answers.items() if getattr(options, name) == AUTO}


def _check_tiny(options: Options) -> None:
    if options.scale not in _TINY_SCALES:
        raise RecipeError(
            f"step star: star-tiny enlarges by 2 or 4, not by {options.scale}; choose one of them, or "
            "other weights"
        )
    if options.guidance != 1 or options.plan != "few":
        raise RecipeError(
            "step star: star-tiny was trained for few steps without guidance; leave plan and guidance out"
        )


def _within_memory(
    asked: Options, chosen: Options, weights: Chosen, source: VideoFormat, limit: int
) -> Options:
    """Shorten windows, then cut tiles, of what was left to `auto`, until it fits."""
    from star.pipeline.memory import fitting

    load, appetite = _load(chosen, weights, source), _appetite(weights, chosen.precision)
    if load.bytes(appetite) <= limit:
        return chosen
    found = None
    if AUTO in (asked.tile, asked.window, asked.guidance_passes):
        found = fitting(
            load, appetite, limit, _step(weights), asked.window != AUTO,
            fixed_passes=asked.guidance_passes != AUTO,
        )  # fmt: skip
    if found is None or (asked.tile != AUTO and found.tile != load.tile):
        tiles = f" and tiles of {chosen.tile}" if chosen.tile else ""
        raise RecipeError(
            f"step star: {source.width}x{source.height} x{chosen.scale} takes about "
            f"{load.bytes(appetite) >> 20} MiB in windows of {load.window} frames{tiles}, more than the "
            f"{limit >> 20} MiB that may be used; raise RESTAR_STAR_MEMORY_MIB, leave window and tile "
            "to auto, or choose a smaller scale"
        )
    return _as_options(chosen, found, weights)


def _as_options(options: Options, load: "Load", weights: Chosen) -> Options:
    factor = _factor(weights)
    tile = load.tile * factor
    overlap = int(options.overlap) if options.overlap != AUTO else 0
    return options.model_copy(
        update={
            "guidance_passes": "one" if load.passes_at_once > 1 else "two",
            "window": load.window,
            "overlap": min(overlap, load.window // 2),
            "decode_window": load.decode_window,
            "decode_overlap": min(int(options.decode_overlap), load.decode_window // 2),
            "tile": tile,
            "tile_overlap": min(int(options.tile_overlap), tile // 2),
        }
    )


def _load(options: Options, weights: Chosen, source: VideoFormat) -> "Load":
    from star.pipeline.frame import frame_for
    from star.pipeline.memory import Load

    factor, levels = _factor(weights), _levels(weights)
    size = (source.height * options.scale, source.width * options.scale)
    frame = frame_for(*size, factor, levels, options.pad)
    steps = {"few": int(options.steps), "fast": 14, "normal": int(options.steps)}[options.plan]
    return Load(
        frame.rows,
        frame.columns,
        steps,
        int(options.window),
        int(options.decode_window),
        int(options.tile) // factor,
        2 if options.guidance != 1 and options.guidance_passes == "one" else 1,
        options.colour == "steady",
    )


def _appetite(weights: Chosen, precision: str) -> "Appetite":
    settings = load_settings()
    key = tuple((part, str(one.path)) for part, one in weights.parts.items())
    return _measured(weights.sha256, key, precision, not _on_gpu(settings))


@lru_cache(maxsize=8)
def _measured(
    _sha256: str, parts: tuple[tuple[Any, str], ...], precision: str, on_processor: bool
) -> "Appetite":
    """Build the networks without memory and count."""
    import torch

    from star.denoiser import Network
    from star.parts import config_of, meta_model, parameters
    from star.pieces import run_whole
    from star.pipeline.memory import appetite_of
    from star.pipeline.models import Tiny
    from star.tinymodel import load_tiny

    dtype = getattr(torch, precision)
    each = dtype.itemsize
    if not parts:
        star, _ = load_tiny(tiny_path())
        tiny = Tiny(star)
        size = each * sum(parameters(part) for part in tiny.parts.values())
        width = star.sizes.text_dim
        network = star.network.to("meta", dtype)
        if not on_processor:
            run_whole(network)
        return appetite_of(
            network, None, size, tiny.channels, (77, width), tiny.factor, dtype, on_processor
        )
    from pathlib import Path

    folders = {part: Path(path) / part for part, path in parts}
    made: dict[str, Any] = {
        # past diffusers' own `to`, which warns of what does not matter here
        part: torch.nn.Module.to(meta_model(part, config_of(folder), str(folder)), "meta", dtype)
        for part, folder in folders.items()
    }
    size = each * sum(parameters(one) for one in made.values())
    sizes = made["unet"].sizes
    factor = 2 ** (len(made["vae"].config.block_out_channels) - 1)
    return appetite_of(
        Network(made["unet"], made["controlnet"]),
        made["vae"],
        size,
        sizes.in_channels,
        (77, sizes.text_dim),
        factor,
        dtype,
        on_processor,
    )


def _factor(weights: Chosen) -> int:
    if weights.is_tiny:
        return 4
    return 1 << (len(_config(weights, "vae")["block_out_channels"]) - 1)


def _levels(weights: Chosen) -> int:
    return 3 if weights.is_tiny else len(_config(weights, "unet")["multipliers"])


def _step(weights: Chosen) -> int:
    return 1 << (_levels(weights) - 1)


def _config(weights: Chosen, part: Any) -> dict[str, Any]:
    from star.parts import config_of

    return config_of(weights.parts[part].part(part))


def _on_gpu(settings: Settings) -> bool:
    """Whether the settings mean a CUDA GPU; this host may only queue the work for one that has it."""
    if settings.star_device != "auto":
        return settings.star_device.startswith("cuda")
    import torch

    return torch.cuda.is_available()
