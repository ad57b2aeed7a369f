"""A text tower small enough to ship: the same CLIPTextModel, that knows only the words it was taught.

A table of CLIP's whole vocabulary would be as large as the rest of a small model, and nearly all of it
untrained. So the table has a row for each word of the training texts and one for every other word;
token ids stay CLIP's, so `star.text` encodes prompts with this tower as with the published one.
"""

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextModel

from star.text import text_config
from star.tinyprompt import Condition, prompt_for
from star.tokens import END, PAD, START, tokenize

__all__ = ["KnownWords", "encode_with_gradient", "known_ids", "tiny_tower"]


class KnownWords(nn.Module):
    """An embedding of CLIP's token ids that has rows for some; all others share the first row."""

    rows: Tensor

    def __init__(self, ids: Sequence[int], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(len(ids) + 1, width) * 0.02)
        rows = torch.zeros(END + 1, dtype=torch.long)
        rows[torch.tensor(list(ids))] = torch.arange(1, len(ids) + 1)
        self.register_buffer("rows", rows, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(self.rows[ids], self.weight)


def tiny_tower(width: int = 64, layers: int = 2, heads: int = 2, inner: int = 64) -> CLIPTextModel:
    """Return a tower for the words of `star.tinyprompt`, freshly initialised."""
    tower = CLIPTextModel(text_config(width, layers, heads, vocabulary=END + 1, inner=inner))
    embeddings = tower.embeddings
    embeddings.token_embedding = KnownWords(known_ids(), width)
    return tower


@cache
def known_ids() -> tuple[int, ...]:
    """Return the token ids of every text that `prompt_for` can make, and of start, end and padding."""
    texts = [prompt_for(scale, Condition(n, n, n)) for scale in (2, 4) for n in range(10)]
    return tuple(sorted({PAD, START, END}.union(*(tokenize(text).ids for text in texts))))


def encode_with_gradient(tower: CLIPTextModel, ids: Tensor) -> Tensor:
    """Return what `star.text.encode_ids` gives, (n, words, width), with its gradient."""
    states = tower(input_ids=ids, output_hidden_states=True).hidden_states
    return tower.final_layer_norm(states[-2])
