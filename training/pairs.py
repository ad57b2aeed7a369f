"""Clips on disk with their worn twins and texts: from folders that are matched by name, or a manifest.

Whatever has no counterpart, another length or another scale than 2 or 4 is refused before a run
begins, by name: a run that learns from pairs that don't belong together learns nonsense, and in silence.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from media.convert import to_rgb
from restar.errors import MediaError, UsageError
from star.tinymodel import SCALES

__all__ = ["Pair", "find_pairs", "frames_of", "length_of", "listed_pairs"]

_FILMS = {".mp4", ".mkv", ".mov", ".avi", ".webm"}
_COLUMNS = ("gt", "lq", "text")


@dataclass(frozen=True)
class Pair:
    """A wanted clip's file, maybe its worn twin's and its text's."""

    gt: Path
    lq: Path | None
    text: str | None


def find_pairs(folder: Path, held_out: Sequence[str] = ()) -> list[Pair]:
    """Return what is in folder/gt with its twins in folder/lq and folder/text, matched by name.

    Either every clip has a twin or none has; a twin without its clip is refused, and so are two files
    of one name. Raises UsageError naming the first that has no counterpart, or a pair that differs in
    length or is not larger by 2 or 4.
    """
    truth = _by_name(folder / "gt", _FILMS)
    if not truth:
        raise UsageError(f"{folder / 'gt'}: holds no clips ({', '.join(sorted(_FILMS))})")
    worn, texts = _by_name(folder / "lq", _FILMS), _by_name(folder / "text", {".txt"})
    for name, twins in (("lq", worn), ("text", texts)):
        extra = sorted(twins.keys() - truth.keys())
        missing = sorted(truth.keys() - twins.keys()) if twins else []
        if extra:
            raise UsageError(f"{twins[extra[0]]}: has no clip of that name in {folder / 'gt'}")
        if missing:
            raise UsageError(f"{truth[missing[0]]}: has no counterpart in {folder / name}")
    pairs = []
    for name, path in sorted(truth.items()):
        if path.name in held_out:
            continue
        text = texts[name].read_text("utf-8").strip() if texts else None
        pairs.append(Pair(path, worn.get(name), text))
        _check_pair(pairs[-1])
    return pairs


def listed_pairs(manifest: Path, held_out: Sequence[str] = ()) -> list[Pair]:
    """Return the pairs of a CSV file, columns gt and maybe lq and text; paths are from its folder.

    `text` is the text itself. A cell that is empty says there is none. Raises UsageError, naming the
    line, for a column that is unknown, a file that is missing, and pairs that don't fit.
    """
    try:
        with manifest.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            unknown = [name for name in rows.fieldnames or () if name not in _COLUMNS]
            if unknown or "gt" not in (rows.fieldnames or ()):
                what = f"no column '{unknown[0]}'" if unknown else "a column gt is missing"
                raise UsageError(f"{manifest}: {what}; it has gt, and maybe lq and text")
            pairs = [
                pair
                for number, row in enumerate(rows, 2)
                if (pair := _listed(row, manifest, number)).gt.name not in held_out
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{manifest}: can't be read as a list of clips ({error})") from None
    if not pairs:
        raise UsageError(f"{manifest}: lists no clips")
    return pairs


def _listed(row: dict[str | None, str | None], manifest: Path, number: int) -> Pair:
    if None in row or not row["gt"]:
        what = "more cells than columns" if None in row else "no gt"
        raise UsageError(f"{manifest}, line {number}: {what}")
    files = [None if not row.get(k) else manifest.parent / str(row[k]) for k in ("gt", "lq")]
    for file in files:
        if file is not None and not file.is_file():
            raise UsageError(f"{manifest}, line {number}: {file}: no such file")
    truth, worn = files
    assert truth is not None  # noqa: S101
    pair = Pair(truth, worn, row.get("text") or None)
    _check_pair(pair)
    return pair


def _check_pair(pair: Pair) -> None:
    if pair.lq is None:
        return
    lengths = (length_of(pair.gt), length_of(pair.lq))
    if lengths[0] != lengths[1]:
        raise UsageError(f"{pair.lq}: {lengths[1]} frames, but {pair.gt} has {lengths[0]}")
    (height, width), (low, narrow) = (frames_of(p, 0, 1).shape[1:3] for p in (pair.gt, pair.lq))
    if not any((height, width) == (low * scale, narrow * scale) for scale in SCALES):
        raise UsageError(
            f"{pair.lq}: {narrow}x{low} is not a half or a quarter of {pair.gt}'s {width}x{height}"
        )


def _by_name(folder: Path, suffixes: set[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in suffixes:
            if path.stem in found:
                raise UsageError(f"{path}: {found[path.stem].name} has the same name; rename one")
            found[path.stem] = path
    return found


@lru_cache(maxsize=4096)
def length_of(path: Path) -> int:
    """Return how many frames a clip has, by its packets: nothing is decoded."""
    try:
        with av.open(path) as container:
            return sum(1 for packet in container.demux(video=0) if packet.size)
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise MediaError(f"{path}: can't be read as a clip ({error})") from None


def frames_of(path: Path, first: int, count: int) -> NDArray[np.uint8]:
    """Return frames (t, h, w, 3); decoding stops after the last, which is repeated at the end."""
    made: list[NDArray[np.uint8]] = []
    try:
        with av.open(path) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index >= first:
                    made.append(np.rint(np.clip(to_rgb(frame), 0, 1) * 255).astype(np.uint8))
                if len(made) == count:
                    break
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise MediaError(f"{path}: can't be read as a clip ({error})") from None
    if not made:
        raise MediaError(f"{path}: holds no frame {first}")
    return np.stack(made + [made[-1]] * (count - len(made)))
