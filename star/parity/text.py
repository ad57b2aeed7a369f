"""The text tower, on weights under OpenCLIP's names and the recorded token ids."""

import torch
from torch import Tensor
from transformers import CLIPTextModel

from restar.errors import CheckpointError
from star.parity.record import NET, Fixtures, Folder, error_of
from star.text import encode_ids, from_open_clip

__all__ = ["run"]

_OUT = "out_penultimate_ln_final"
_USED = "token_embedding.used_rows"


def run(folder: Folder, file: Fixtures) -> None:
    """Run the tower of a file."""
    ids, weights = file["ids"], file.under("w.")
    if _USED in weights:
        weights["token_embedding.weight"] = spread(weights.pop(_USED), file["used_ids"], ids)
    told = folder.json("model_info.json").get("config", {})
    made, heads = best(weights, ids, file[_OUT], told.get("text_heads"))
    file.judge("text tower", NET, {_OUT: made}, f"({heads} heads)")


def spread(rows: Tensor, used: Tensor, ids: Tensor) -> Tensor:
    """Return a whole table of embeddings from the rows that the ids use."""
    table = torch.zeros(int(max(used.max(), ids.max())) + 1, rows.shape[1])
    table[used] = rows.float()
    return table


def best(
    weights: dict[str, Tensor], ids: Tensor, wanted: Tensor, heads: int | None
) -> tuple[Tensor, int]:
    """Return the tower's output and its number of heads.

    The weights do not tell how many heads there are; where the folder doesn't either, it is the one
    of the width's divisors that fits. The wrong ones are off by more than half.
    """
    width = weights["positional_embedding"].shape[1]
    possible = [heads] if heads else [n for n in range(1, width + 1) if width % n == 0]
    tried = [(run_tower(weights, ids, count), count) for count in possible]
    if not tried:
        raise CheckpointError("the text tower has no width")
    return min(tried, key=lambda made: error_of(made[0], wanted))


def run_tower(weights: dict[str, Tensor], ids: Tensor, heads: int) -> Tensor:
    config, state = from_open_clip(weights, heads)
    tower = CLIPTextModel(config)
    tower.load_state_dict({key: value.float() for key, value in state.items()}, strict=True)
    return encode_ids(tower.eval(), ids)
