"""The published checkpoint's names for what this package calls as diffusers does, and its shapes.

The published UNet counts its layers through (`input_blocks.7.2`), diffusers counts levels and rows
(`down_blocks.2.temp_attentions.0`). Both follow from the same `Sizes`, so the table is computed, not
stored, and serves networks of any size. One shape differs: temporal projections are 1x1 convolutions
there and linear maps here.
"""

from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from star.sizes import Sizes

__all__ = ["CONTROLNET", "RESIDUAL", "controlnet_names", "rename", "unet_names"]

Pair = tuple[str, str]

# The ControlNet's weights lie in the same file, under this prefix.
CONTROLNET = "VideoControlNet."

# Inside a residual block: the published name and ours. The misspelling is theirs.
RESIDUAL: tuple[Pair, ...] = (
    ("in_layers.0", "resnets.{row}.norm1"),
    ("in_layers.2", "resnets.{row}.conv1"),
    ("emb_layers.1", "resnets.{row}.time_emb_proj"),
    ("out_layers.0", "resnets.{row}.norm2"),
    ("out_layers.3", "resnets.{row}.conv2"),
    ("skip_connection", "resnets.{row}.conv_shortcut"),
    ("temopral_conv", "temp_convs.{row}"),
)


def unet_names(sizes: Sizes) -> dict[str, str]:
    """Return the UNet's modules: ours -> published."""
    pairs = [*encoder_pairs(sizes), *decoder_pairs(sizes)]
    pairs += [("out.0", "conv_norm_out"), ("out.2", "conv_out")]
    return {ours: theirs for theirs, ours in pairs}


def controlnet_names(sizes: Sizes) -> dict[str, str]:
    """Return the ControlNet's modules: ours -> published, with the prefix of the file."""
    entries = len(sizes.widths) * (sizes.layers_per_level + 1)
    pairs = [*encoder_pairs(sizes), ("input_hint_block", "hint_conv")]
    pairs += [(f"zero_convs.{n}.0", f"controlnet_down_blocks.{n}") for n in range(entries)]
    pairs += [("middle_block_out.0", "controlnet_mid_block")]
    return {ours: CONTROLNET + theirs for theirs, ours in pairs}


def rename(keys: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return each of our keys with its published name, by the longest module that the table knows."""
    return {key: _renamed(key, names) for key in keys}


def to_ours(tensor: Tensor, key: str) -> Tensor:
    """Return a published tensor in our shape; `key` is our name of it."""
    if is_temporal_projection(key) and tensor.ndim == 3 and tensor.shape[-1] == 1:
        return tensor.squeeze(-1)
    return tensor


def published_shape(shape: tuple[int, ...], key: str) -> tuple[int, ...]:
    """Return the published shape of our tensor `key`."""
    return (*shape, 1) if is_temporal_projection(key) else shape


def is_temporal_projection(key: str) -> bool:
    parts = key.split(".")
    temporal = "temp_attentions" in parts or "transformer_in" in parts
    return temporal and parts[-1] == "weight" and parts[-2] in ("proj_in", "proj_out")


def encoder_pairs(sizes: Sizes) -> Iterator[Pair]:
    """Yield (published, ours) of the encoder and the middle, in the published order."""
    yield ("time_embed.0", "time_embedding.linear_1")
    yield ("time_embed.2", "time_embedding.linear_2")
    yield ("input_blocks.0.0", "conv_in")
    yield ("input_blocks.0.1", "transformer_in")
    count = 1
    for level in range(len(sizes.widths)):
        for row in range(sizes.layers_per_level):
            yield from row_pairs(f"input_blocks.{count}", f"down_blocks.{level}", row)
            count += 1
        if level < len(sizes.widths) - 1:
            yield (f"input_blocks.{count}.op", f"down_blocks.{level}.downsamplers.0.conv")
            count += 1
    yield from residual_pairs("middle_block.0", "mid_block", 0)
    yield ("middle_block.1", "mid_block.attentions.0")
    yield ("middle_block.2", "mid_block.temp_attentions.0")
    yield from residual_pairs("middle_block.3", "mid_block", 1)


def decoder_pairs(sizes: Sizes) -> Iterator[Pair]:
    """Yield (published, ours) of the decoder, coarsest level first."""
    rows = sizes.layers_per_level + 1
    for step, level in enumerate(reversed(range(len(sizes.widths)))):
        for row in range(rows):
            yield from row_pairs(f"output_blocks.{step * rows + row}", f"up_blocks.{step}", row)
        place = 3 if level < sizes.attention_levels else 1
        last = step * rows + rows - 1
        yield (f"output_blocks.{last}.{place}.conv", f"up_blocks.{step}.upsamplers.0.conv")


def row_pairs(theirs: str, ours: str, row: int) -> Iterator[Pair]:
    yield from residual_pairs(f"{theirs}.0", ours, row)
    yield (f"{theirs}.1", f"{ours}.attentions.{row}")
    yield (f"{theirs}.2", f"{ours}.temp_attentions.{row}")


def residual_pairs(theirs: str, ours: str, row: int) -> Iterator[Pair]:
    for their_part, our_part in RESIDUAL:
        yield (f"{theirs}.{their_part}", f"{ours}.{our_part.format(row=row)}")


def _renamed(key: str, names: Mapping[str, str]) -> str:
    module = key
    while "." in module:
        module = module.rpartition(".")[0]
        if module in names:
            return names[module] + key[len(module) :]
    raise KeyError(f"{key} has no published name")
