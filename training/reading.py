"""Teaching star-tiny's text tower to read, before any picture: from texts alone to the levels they say.

A level is one digit among other words, and which level it is stands in the word before. Pictures teach
that slowly, since they show how worn they are themselves; texts teach it in minutes. What is learned is
what the network gets beside the time (`TextPool`, without its exit, which stays at zero) and the tower.
"""

import numpy as np
import torch
from torch import Tensor, nn

from restar.progress import track
from star.blocks import TextPool
from star.tinymodel import SCALES, TinyStar
from star.tinyprompt import Condition, prompt_for
from star.tokens import tokenize

__all__ = ["after_other_words", "teach_reading"]

_BATCH, _RATE = 32, 2e-3
_OTHER_WORDS = 0.3  # share of texts before which other words stand, as a scene's caption does
_CAPTIONS = (1000, 40_000)  # token ids of common words, almost none of which star-tiny tells apart


def teach_reading(model: TinyStar, steps: int, seed: int = 0) -> float:
    """Train the tower and the pools to tell scale and levels; return the last steps' mean error.

    The error is squared, where 1 is that of a guess that reads nothing.
    """
    pools = [m for m in model.network.modules() if isinstance(m, TextPool)]
    heads = nn.ModuleList(nn.Linear(pool.inner.out_features, 4) for pool in pools)
    learning = [w for part in (model.text, *pools, heads) for w in part.parameters()]
    exits = {id(w) for pool in pools for w in pool.exit.parameters()}
    optimizer = torch.optim.AdamW([w for w in learning if id(w) not in exits], _RATE)
    random = np.random.default_rng([seed, 11])
    errors = []
    with track("reading", "steps", steps) as advance:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * min(1.0, 2 * (1 - step / steps))
            ids, told = _texts(random)
            text = model.words(ids)
            made = [head(pool.hidden(text)) for pool, head in zip(pools, heads, strict=True)]
            loss = torch.stack([(one - told).square().mean() for one in made]).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            errors.append(float(loss.detach()))
            advance(1)
    return float(np.mean(errors[-50:]))


def after_other_words(ids: Tensor, random: np.random.Generator) -> Tensor:
    """Return token ids (words,), sometimes with other words before them, as people's captions are."""
    if random.random() >= _OTHER_WORDS:
        return ids
    words = torch.from_numpy(random.integers(*_CAPTIONS, int(random.integers(1, 20))))
    return torch.cat([ids[:1], words, ids[1:]])[: len(ids)]


def _texts(random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return token ids (n, words), and scale and levels (n, 4), brought to a deviation of about 1."""
    ids, told = [], []
    for _ in range(_BATCH):
        scale, levels = int(random.choice(SCALES)), [int(n) for n in random.integers(0, 10, 3)]
        words = torch.as_tensor(tokenize(prompt_for(scale, Condition(*levels))).ids)
        ids.append(after_other_words(words, random))
        told.append([scale - 3, *((n - 4.5) / 2.9 for n in levels)])
    return torch.stack(ids), torch.tensor(told)
