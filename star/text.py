"""The text tower: prompts to what the network attends to, by CLIP ViT-H's next-to-last layer.

The network was trained on the output of all layers but the last, put through the final norm
(OpenCLIP's "penultimate"); the last layer instead would be 57 % off. The tower is transformers' own
CLIPTextModel; weights under OpenCLIP's names are renamed.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from restar.errors import CheckpointError
from star.tokens import END, PAD, START, tokenize

__all__ = ["encode_ids", "encode_prompts", "from_open_clip", "text_config", "text_part"]

_HEAD = 64
_BLOCK = "transformer.resblocks."
_IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
_AROUND = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
# Parts of a whole CLIP that the text tower does not have, under either library's names.
_OTHER_PARTS = (
    "visual.", "vision_model.", "visual_projection.", "text_projection", "logit_scale",
    "logit_bias", "attn_mask", "text_model.embeddings.position_ids", "embeddings.position_ids",
)  # fmt: skip


@torch.no_grad()
def encode_prompts(tower: CLIPTextModel, prompts: Sequence[str]) -> Tensor:
    """Return (n, 77, width) for n prompts; what a prompt has over 77 tokens is cut with a warning."""
    device = tower.final_layer_norm.weight.device
    ids = torch.tensor([tokenize(prompt).ids for prompt in prompts], device=device)
    return encode_ids(tower, ids)


@torch.no_grad()
def encode_ids(tower: CLIPTextModel, ids: Tensor) -> Tensor:
    """Return (n, words, width) for token ids (n, words): the next-to-last layer, normed."""
    states = tower(input_ids=ids, output_hidden_states=True).hidden_states
    return tower.final_layer_norm(states[-2])


def text_config(
    width: int = 1024,
    layers: int = 24,
    heads: int | None = None,
    vocabulary: int = END + 1,
    words: int = 77,
    inner: int | None = None,
) -> CLIPTextConfig:
    """Return the configuration of a tower; the defaults are ViT-H's, the one that STAR reads."""
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner or 4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads or max(1, width // _HEAD),
        max_position_embeddings=words,
        hidden_act="gelu",
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        projection_dim=width,
    )


def from_open_clip(state: Mapping[str, Tensor], heads: int | None = None) -> tuple[
    CLIPTextConfig, dict[str, Tensor]
]:  # fmt: skip
    """Return the configuration and the weights, as transformers names them, of OpenCLIP's tower.

    Takes a whole OpenCLIP state dict or its text part. Raises CheckpointError naming a key that is
    missing or unknown.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in text_part(state).items():
        renamed.update(_renamed(name, tensor))
    for name in _AROUND.values():
        if name not in renamed:
            theirs = next(key for key, value in _AROUND.items() if value == name)
            raise CheckpointError(f"text tower: '{theirs}' is missing; is this an OpenCLIP file?")
    vocabulary, width = renamed["embeddings.token_embedding.weight"].shape
    inner = renamed.get("encoder.layers.0.mlp.fc1.bias")
    numbers = {int(name.split(".")[2]) for name in renamed if name.startswith("encoder.layers.")}
    config = text_config(
        width,
        max(numbers, default=-1) + 1,
        heads,
        vocabulary,
        len(renamed["embeddings.position_embedding.weight"]),
        None if inner is None else len(inner),
    )
    return config, renamed


def text_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the text tower's tensors of a whole CLIP, without transformers 4's prefix."""
    prefix = "text_model."
    kept = {name: t for name, t in state.items() if not name.startswith(_OTHER_PARTS)}
    return {name.removeprefix(prefix): tensor for name, tensor in kept.items()}


def _renamed(name: str, tensor: Tensor) -> Iterable[tuple[str, Tensor]]:
    if name in _AROUND:
        return [(_AROUND[name], tensor)]
    number, _, rest = name.removeprefix(_BLOCK).partition(".")
    if name.startswith(_BLOCK) and number.isdecimal():
        layer = f"encoder.layers.{number}."
        if rest in ("attn.in_proj_weight", "attn.in_proj_bias"):
            kind = rest.rpartition("_")[2]
            parts = zip("qkv", tensor.chunk(3), strict=True)
            return [(f"{layer}self_attn.{part}_proj.{kind}", piece) for part, piece in parts]
        module, _, kind = rest.rpartition(".")
        if module in _IN_BLOCK:
            return [(f"{layer}{_IN_BLOCK[module]}.{kind}", tensor)]
    raise CheckpointError(f"text tower: '{name}' is no part of OpenCLIP's text model")
