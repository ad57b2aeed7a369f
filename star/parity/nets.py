"""Whole networks: the ControlNet's residuals and the velocity, with, without and with an empty hint."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from restar.errors import CheckpointError
from star.checkpoint import build, convert, published_shapes
from star.denoiser import Network
from star.names import CONTROLNET, controlnet_names, unet_names
from star.parity.recipe import check_sums, recipe
from star.parity.record import NET, Fixtures, Folder, check_keys
from star.sizes import Sizes

__all__ = ["check_info", "load_net", "names", "run"]

_INFO = (
    "set", "seed", "torch", "dtype", "mode", "config", "noise_floor", "liem_effect", "stats",
    "nets", "blocks_without_stored_weights",
)  # fmt: skip
_NET = ("kw", "params", "weights", "secs", "checks", "weight_names_shapes")

# The published network's arguments: our name, or what it has to be for our network to be the same.
_RENAMED = {
    "in_dim": "in_channels", "out_dim": "out_channels", "hint_dim": "hint_channels",
    "dim": "base_channels", "context_dim": "text_dim", "num_heads": "first_heads",
    "head_dim": "head_dim", "num_res_blocks": "layers_per_level",
}  # fmt: skip
_FIXED = {"temporal_attention": True, "temporal_attn_times": 1, "use_image_dataset": False}
_WITHOUT_EFFECT = ("y_dim", "dropout", "use_checkpoint", "training", "use_scale_shift_norm")


def check_info(info: Mapping[str, Any]) -> None:
    """Raise CheckpointError for an entry that is not known."""
    check_keys("model_info.json", info, _INFO)
    for name, net in info.get("nets", {}).items():
        check_keys(f"model_info.json, net {name}", net, _NET)


def names(folder: Folder) -> set[str]:
    """Return the names of the folder's nets; a file of such a name holds its fixtures."""
    return set(folder.json("model_info.json").get("nets", {}))


def run(folder: Folder, file: Fixtures) -> None:
    """Run one net's file."""
    name = file.name.removesuffix(".safetensors")
    net = load_net(folder, name, file)
    x, t, text, hint = (file[key] for key in ("x", "t", "y", "hint"))
    assert net.control is not None  # noqa: S101
    residuals, middle = net.control(x, t, text, hint)
    everything = [*residuals, middle]
    file.judge("control", NET, {f"control.{n}": value for n, value in enumerate(everything)})
    with recording(net, [k for k in file.tensors if k.startswith("act.")]) as seen:
        file.judge("out", NET, {"out": net(x, t, text, hint)})
    for key, value in seen.items():
        file.judge(key, NET, {key: value[: len(file[key])]})
    for key, other in (("out_zero_hint", torch.zeros_like(hint)), ("out_no_hint", None)):
        if key in file:
            file.judge(key, NET, {key: net(x, t, text, other)})


def load_net(folder: Folder, name: str, file: Fixtures | None = None) -> Network:
    """Return a net of the folder with its weights: those in its file, or the recipe's."""
    info = folder.json("model_info.json")
    if name not in info.get("nets", {}):
        raise CheckpointError(f"model_info.json describes no net '{name}'")
    net = info["nets"][name]
    if file is None and (folder.path / f"{name}.safetensors").is_file():
        file = folder.tensors(f"{name}.safetensors")
    state = {} if file is None else {k: v.float() for k, v in file.under("w.").items()}
    sizes = sizes_of(net["kw"], state)
    if not state:
        shapes = net.get("weight_names_shapes") or published_shapes(sizes)
        state = recipe(f"{info['seed']}:{name}", shapes)
    check_sums(state, net.get("checks", {}))
    ours = convert(state, sizes, name)
    made = Network(*build(sizes))
    for model, weights in zip((made.unet, made.control), ours, strict=True):
        assert model is not None  # noqa: S101
        model.load_state_dict(weights, strict=True)
        model.eval()
    count = sum(tensor.numel() for tensor in state.values())
    if net.get("params", count) != count:
        raise CheckpointError(f"net {name} has {count} parameters; the folder says {net['params']}")
    return made


def sizes_of(kw: Mapping[str, Any], state: Mapping[str, Tensor]) -> Sizes:
    """Return the sizes for the published network's arguments; raise CheckpointError for unknown ones."""
    check_keys("a net's kw", kw, [*_RENAMED, *_FIXED, *_WITHOUT_EFFECT, "dim_mult", "attn_scales"])
    for key, value in _FIXED.items():
        if kw.get(key, value) != value:
            raise CheckpointError(f"a net's kw: {key}={kw[key]} is not what this network does")
    config = {ours: kw[theirs] for theirs, ours in _RENAMED.items() if theirs in kw}
    if "dim_mult" in kw:
        config["multipliers"] = tuple(kw["dim_mult"])
    if "attn_scales" in kw:
        config["attention_levels"] = attention_levels(kw["attn_scales"])
    hint = state.get(f"{CONTROLNET}input_hint_block.weight")
    if hint is not None:
        config["hint_channels"] = hint.shape[1]
    return Sizes.of(config)


def attention_levels(scales: list[float]) -> int:
    """Return how many of the finest levels have attention; raise CheckpointError for gaps."""
    wanted = [1 / 2**level for level in range(len(scales))]
    if sorted(map(float, scales), reverse=True) != wanted:
        raise CheckpointError(
            f"a net's kw: attn_scales {scales} are not those of the finest levels"
        )
    return len(scales)


@contextmanager
def recording(net: Network, keys: list[str]) -> Iterator[dict[str, Tensor]]:
    """Keep what the layers give that the fixtures' `act.*` are of, while the block runs."""
    seen: dict[str, Tensor] = {}
    layers = {key: layer_of(net, key.removeprefix("act.")) for key in keys}

    def keep(key: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_layer: nn.Module, _given: object, made: Tensor) -> None:
            seen[key] = made

        return hook

    handles = [layer.register_forward_hook(keep(key)) for key, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class _Half:
    """The UNet or the ControlNet, its published module names, and their prefix."""

    model: nn.Module
    names: Mapping[str, str]
    prefix: str = ""

    def last(self, block: str) -> nn.Module:
        """Return the layer whose output is that of a published block."""
        modules = dict(self.model.named_modules())
        found = [
            ours
            for ours, theirs in self.names.items()
            if f"{theirs}.".startswith(f"{self.prefix}{block}.") and ours in modules
        ]
        if not found:
            raise CheckpointError(f"act: the network has no {self.prefix}{block}")
        return modules[found[-1]]


def layer_of(net: Network, what: str) -> nn.Module:
    """Return the layer whose output a fixture calls so: unet_in3, cn_time_embed, hint_embedding ..."""
    unet, control = net.unet, net.control
    assert control is not None  # noqa: S101
    if what == "hint_embedding":
        return control.hint_conv
    fits = re.fullmatch(r"(unet|cn)_(time_embed|conv_in|in|mid|mid_res|out)(\d*)", what)
    if fits is None:
        raise CheckpointError(f"act.{what} is not known here and was not run")
    model: Any = unet if fits[1] == "unet" else control
    half = (
        _Half(unet, unet_names(unet.sizes))
        if fits[1] == "unet"
        else _Half(control, controlnet_names(control.sizes), CONTROLNET)
    )
    if fits[2] == "time_embed":
        return model.time_embedding
    if fits[2] == "conv_in":
        return model.conv_in
    block = {
        "in": f"input_blocks.{fits[3]}",
        "mid": "middle_block",
        "mid_res": f"middle_block.{fits[3]}",
        "out": f"output_blocks.{fits[3]}",
    }[fits[2]]
    return half.last(block)
