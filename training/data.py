"""What a network learns from: clips with their worn twins and texts, each made from a number.

Sample n of a run depends on the run's seed and on n alone, not on workers, order or what came before,
so a run that is resumed sees what an uninterrupted one would have seen. Photographs become clips by
camera motion and are worn on the fly; pairs are read from folders, matched by name, and only the frames
that a sample uses are decoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from media.convert import to_rgb
from restar.errors import MediaError, UsageError
from star.tinymodel import enlarged
from star.tinyprompt import measure, prompt_for
from star.tokens import tokenize
from training.config import DataConfig
from training.motion import camera_clip, textured_place
from training.wear import draw_wear, worn_pair

__all__ = ["Batch", "Pair", "Samples", "find_pairs", "find_photos", "loader"]

_PHOTOS = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
_FILMS = {".mp4", ".mkv", ".mov", ".avi", ".webm"}
_NO_LEVELS = 0.1  # share of texts without levels, so that the model copes with a text of a person
_ALIGN = 8  # a place in the wanted picture that is a whole pixel of every input and latent
_LARGEST_SIDE = 3000


@dataclass(frozen=True)
class Batch:
    """Clips: `wanted` and `large` (b, f, 3, h, w) in -1..1, token ids (b, words)."""

    wanted: Tensor
    large: Tensor
    ids: Tensor


@dataclass(frozen=True)
class Pair:
    """A wanted clip's file, maybe its worn twin's and its text's."""

    gt: Path
    lq: Path | None
    text: str | None


class Samples(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Sample n -> (wanted (f, 3, h, w), enlarged input of that shape, token ids)."""

    def __init__(self, data: DataConfig, seed: int, count: int) -> None:
        self.data, self.seed, self.count = data, seed, count
        self.photos = find_photos(data.photos, data.held_out)
        self.pairs = [] if data.pairs is None else find_pairs(data.pairs, data.held_out)
        for name, size in (("height", data.height), ("width", data.width)):
            if size % _ALIGN:
                raise UsageError(f"data.{name} {size}: choose a multiple of {_ALIGN}")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        random = np.random.default_rng([self.seed, number])
        scale = 2 if random.random() < self.data.x2_share else 4
        source = int(random.integers(len(self.photos) + len(self.pairs)))
        if source < len(self.photos):
            size = (self.data.height, self.data.width)
            clip = camera_clip(_photo(self.photos[source]), self.data.frames, size, random)
            wanted, given, told = *self._worn(clip, scale, random), None
        else:
            pair = self.pairs[source - len(self.photos)]
            wanted, given, scale = self._read(pair, scale, random)
            told = pair.text
        worn = _tensor(given)
        text = told if told is not None else _text(worn, scale, random)
        ids = torch.tensor(tokenize(text).ids)
        return _tensor(wanted), enlarged(worn, scale), ids

    def _worn(
        self, clip: NDArray[np.uint8], scale: int, random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        kinds, shares = zip(*self.data.wear.items(), strict=True)
        kind = str(random.choice(kinds, p=np.array(shares) / sum(shares)))
        return worn_pair(clip, draw_wear(kind, scale, int(random.integers(2**31))))

    def _read(
        self, pair: Pair, scale: int, random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
        """Return a pair's crops and its scale: that of its files where there are two."""
        length = _length(pair.gt)
        first = int(random.integers(max(1, length - self.data.frames + 1)))
        whole = _frames(pair.gt, first, self.data.frames)
        size = (self.data.height, self.data.width)
        top, left = (n // _ALIGN * _ALIGN for n in textured_place(whole[0], size, random))
        clip = whole[:, top : top + size[0], left : left + size[1]]
        if pair.lq is None:
            wanted, given = self._worn(clip, scale, random)
            return wanted, given, scale
        worn = _frames(pair.lq, first, self.data.frames)
        scale = whole.shape[1] // worn.shape[1]
        rows, columns = (
            slice(at // scale, (at + n) // scale) for at, n in zip((top, left), size, strict=True)
        )
        return clip, worn[:, rows, columns], scale


class _From(Sampler[int]):
    """Numbers from where a run is resumed; of every `places` blocks of a batch, those of one place."""

    def __init__(self, first: int, end: int, batch: int, place: tuple[int, int]) -> None:
        self.first, self.end, self.batch, self.place = first, end, batch, place

    def __iter__(self) -> Iterator[int]:
        index, places = self.place
        for block in range(self.first + index * self.batch, self.end, places * self.batch):
            yield from range(block, min(block + self.batch, self.end))


def loader(
    samples: Samples, first: int, batch: int, workers: int, place: tuple[int, int] = (0, 1)
) -> "DataLoader[Any]":
    """Return batches of the samples from number `first` on, in order.

    `place` is (index, count) of the devices that share the samples.
    """
    return DataLoader(
        samples,
        batch_size=batch,
        sampler=_From(first, len(samples), batch, place),
        num_workers=workers,
        collate_fn=_stacked,
        drop_last=True,
        multiprocessing_context="spawn" if workers else None,
    )


def find_photos(folders: Sequence[Path], held_out: Sequence[str]) -> list[Path]:
    """Return the photographs in folders, in the order of their names, without those held out.

    Raises UsageError for a folder that is missing or holds none.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder of photographs")
        here = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PHOTOS and p.is_file())
        if not here:
            raise UsageError(f"{folder}: holds no photographs ({', '.join(sorted(_PHOTOS))})")
        found += [path for path in here if path.name not in held_out]
    return found


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


def _check_pair(pair: Pair) -> None:
    if pair.lq is None:
        return
    lengths = (_length(pair.gt), _length(pair.lq))
    if lengths[0] != lengths[1]:
        raise UsageError(f"{pair.lq}: {lengths[1]} frames, but {pair.gt} has {lengths[0]}")
    (height, width), (low, narrow) = (_frames(p, 0, 1).shape[1:3] for p in (pair.gt, pair.lq))
    if not any((height, width) == (low * scale, narrow * scale) for scale in (2, 4)):
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


def _text(worn: Tensor, scale: int, random: np.random.Generator) -> str:
    return prompt_for(scale, None if random.random() < _NO_LEVELS else measure(worn))


def _tensor(clip: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _stacked(samples: list[tuple[Tensor, Tensor, Tensor]]) -> Batch:
    wanted, large, ids = (torch.stack(part) for part in zip(*samples, strict=True))
    return Batch(wanted, large, ids)


@lru_cache(maxsize=16)
def _photo(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError(f"{path}: can't be read as a photograph; take it out of the folder")
    shrink = _LARGEST_SIDE / max(picture.shape[:2])
    if shrink < 1:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)


@lru_cache(maxsize=4096)
def _length(path: Path) -> int:
    """Return how many frames a clip has, by its packets: nothing is decoded."""
    try:
        with av.open(path) as container:
            return sum(1 for packet in container.demux(video=0) if packet.size)
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise MediaError(f"{path}: can't be read as a clip ({error})") from None


def _frames(path: Path, first: int, count: int) -> NDArray[np.uint8]:
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
