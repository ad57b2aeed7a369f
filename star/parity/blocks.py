"""Single blocks: each is known by the names and shapes of its weights, not by what it is called."""

from collections.abc import Mapping
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from restar.errors import CheckpointError
from star.blocks import (
    CroppedUpsample,
    SpatialTransformer,
    TemporalTransformer,
    downsample,
    residual_block,
    temporal_conv,
    time_sinusoid,
)
from star.liem import SpatialGate, TemporalGate
from star.names import RESIDUAL
from star.parity.recipe import recipe
from star.parity.record import BLOCK, Fixtures, Folder, error_of

__all__ = ["run"]

GROUPS = 32
_SINUSOID = "sinusoidal"
Weights = Mapping[str, Tensor]


def run(folder: Folder, file: Fixtures) -> None:
    """Run every block of a file `<block>/in0.., <block>/w/<param>, <block>/out`."""
    info = folder.json("model_info.json")
    for name in sorted({key.split("/")[0] for key in file.tensors}):
        with file.trying(name):
            if name == _SINUSOID:
                run_sinusoid(file)
            else:
                run_block(file, name, weights_of(file, name, info), info.get("config", {}))


def weights_of(file: Fixtures, name: str, info: Mapping[str, Any]) -> Weights:
    """Return a block's weights, stored or by recipe."""
    stored = file.under(f"{name}/w/")
    shapes = info.get("blocks_without_stored_weights", {}).get(name)
    if stored:
        return {key: tensor.float() for key, tensor in stored.items()}
    if shapes is None:
        raise CheckpointError("has neither stored weights nor a list of names and shapes")
    return recipe(f"{info['seed']}:{name}", shapes)


def run_sinusoid(file: Fixtures) -> None:
    """Compare the features of times, of each width in the file."""
    times = file[f"{_SINUSOID}/t"]
    for key in [k for k in file.tensors if k.startswith(f"{_SINUSOID}/dim")]:
        width = int(key.removeprefix(f"{_SINUSOID}/dim"))
        file.judge(key, BLOCK, {key: time_sinusoid(times, width)})


def run_block(file: Fixtures, name: str, weights: Weights, config: Mapping[str, Any]) -> None:
    """Compare one block's outputs, with the number of heads that the folder says or that fits."""
    count = sum(1 for key in file.tensors if key.startswith(f"{name}/in"))
    given = [file[f"{name}/in{index}"] for index in range(count)]
    wanted = file[f"{name}/out"]
    tried: list[tuple[float, str, dict[str, Tensor]]] = []
    for heads in possible_heads(weights, config):
        outputs = compute(weights, given, heads, config)
        note = f"({heads} heads)" if heads else ""
        tried.append((error_of(outputs["out"], wanted), note, outputs))
        if tried[-1][0] <= BLOCK:
            break
    _, note, best = min(tried, key=lambda one: one[0])
    file.judge(name, BLOCK, {f"{name}/{key}": value for key, value in best.items()}, note)


def possible_heads(weights: Weights, config: Mapping[str, Any]) -> list[int]:
    """Return the numbers of heads that a block may have, likeliest first; [0] where it has none.

    The weights do not tell, and the folder tells one number for all blocks that not all of them have.
    A wrong number is off by a quarter or more, so to try the others hides no other fault.
    """
    if "proj_in.weight" not in weights:
        return [0]
    inner = len(weights["proj_in.weight"])
    blocks = config.get("blk", {})
    sizes = [size for size in (blocks.get("dh"), config.get("head_dim")) if size]
    told = [inner // int(size) for size in sizes if inner % int(size) == 0]
    others = [count for count in range(1, inner + 1) if inner % count == 0]
    return list(dict.fromkeys([*told, *others]))


def compute(
    weights: Weights, given: list[Tensor], heads: int, config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the outputs of the block that has these weights."""
    x = given[0]
    if "in_layers.0.weight" in weights:
        return residual(weights, x, given[1], int(config["blk"]["f"]))
    if "conv1.0.weight" in weights:
        clip = rearrange(x, "b c f h w -> (b f) c h w")
        layer = loaded(temporal_conv(x.shape[1], GROUPS, 0.0), weights)
        made = layer(clip, num_frames=x.shape[2])
        return {"out": rearrange(made, "(b f) c h w -> b c f h w", f=x.shape[2])}
    if "proj_in.weight" in weights:
        return transformer(weights, given, heads)
    if "op.weight" in weights:
        renamed = {key.replace("op.", "conv."): tensor for key, tensor in weights.items()}
        return {"out": loaded(downsample(x.shape[1]), renamed)(x)}
    if "conv.weight" in weights:
        return {"out": loaded(CroppedUpsample(x.shape[1]), weights)(x)}
    if "conv1.weight" in weights:
        return {"out": gate(weights, x)}
    raise CheckpointError(f"no block is known with weights {', '.join(sorted(weights)[:3])} ...")


def residual(weights: Weights, x: Tensor, time: Tensor, frames: int) -> dict[str, Tensor]:
    """Return a row's output, and that of its spatial part."""
    names = {theirs: ours.format(row=0).split(".", 2) for theirs, ours in RESIDUAL}
    parts: dict[str, dict[str, Tensor]] = {"resnets": {}, "temp_convs": {}}
    for key, tensor in weights.items():
        theirs = next((t for t in names if key.startswith(f"{t}.")), None)
        if theirs is None:
            raise CheckpointError(f"'{key}' is no part of a residual block")
        kind, _, *rest = names[theirs]
        parts[kind][".".join([*rest, key.removeprefix(f"{theirs}.")])] = tensor
    width = len(parts["resnets"]["conv1.weight"])
    spatial = loaded(
        residual_block(x.shape[1], width, time.shape[1], GROUPS, 0.0), parts["resnets"]
    )(x, time)
    made = {"out_spatial_only": spatial}
    if parts["temp_convs"]:
        layer = loaded(temporal_conv(width, GROUPS, 0.0), parts["temp_convs"])
        made["out"] = layer(spatial, num_frames=frames)
    else:
        made["out"] = spatial
    return made


def transformer(weights: Weights, given: list[Tensor], heads: int) -> dict[str, Tensor]:
    """Return a spatial transformer's output, or a temporal one's: its projections are convolutions."""
    x, project = given[0], weights["proj_in.weight"]
    size = len(project) // heads
    if project.ndim == 2:
        text = given[1]
        spatial = SpatialTransformer(x.shape[1], heads, size, text.shape[2], GROUPS, "before_norm")
        return {"out": loaded(spatial, weights)(x, text)}
    flat = {
        key: tensor.squeeze(-1) if tensor.ndim == 3 else tensor for key, tensor in weights.items()
    }
    temporal = TemporalTransformer(x.shape[1], heads, size, GROUPS, "before_norm")
    frames = x.shape[2]
    made = loaded(temporal, flat)(rearrange(x, "b c f h w -> (b f) c h w"), frames)
    return {"out": rearrange(made, "(b f) c h w -> b c f h w", f=frames)}


def gate(weights: Weights, x: Tensor) -> Tensor:
    """Return LIEM's result: in space for (n, c, h, w), in time for (n, frames, c)."""
    if weights["conv1.weight"].ndim == 2:
        return loaded(TemporalGate(), weights)(x)
    tokens = rearrange(x, "n c h w -> n (h w) c")
    made = loaded(SpatialGate(), weights)(tokens, (x.shape[2], x.shape[3]))
    return rearrange(made, "n (h w) c -> n c h w", h=x.shape[2])


def loaded(module: nn.Module, weights: Weights) -> Any:
    """Return the module with these weights and no others, in eval mode."""
    module.load_state_dict(dict(weights), strict=True)
    return module.eval()
