"""What a network learns from: clips with their worn twins and texts, each made from a number.

Sample n of a run depends on the run's seed and on n alone, not on workers, order or what came before,
so a run that is resumed sees what an uninterrupted one would have seen. Photographs become clips by
camera motion and are worn on the fly; pairs are read from folders, matched by name, and only the frames
that a sample uses are decoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from restar.errors import MediaError, UsageError
from star.tinymodel import enlarged
from star.tinyprompt import Condition, measure, prompt_for
from star.tokens import tokenize
from training.config import DataConfig
from training.motion import camera_clip, textured_place
from training.pairs import Pair, find_pairs, frames_of, length_of, listed_pairs
from training.reading import after_other_words
from training.steering import said_noise, share_left
from training.wear import Wear, draw_wear, grain_in, worn_pair

__all__ = ["Batch", "Samples", "find_photos", "loader", "stacked"]

_PHOTOS = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
_NO_LEVELS = 0.1  # share of texts without levels, so that the model copes with a text of a person
_ALIGN = 8  # a place in the wanted picture that is a whole pixel of every input and latent
_LARGEST_SIDE = 2400


@dataclass(frozen=True)
class Batch:
    """Clips: `wanted` and `large` (b, f, 3, h, w) in -1..1, token ids (b, words)."""

    wanted: Tensor
    large: Tensor
    ids: Tensor


@dataclass(frozen=True)
class _Pair:
    """A clip (f, h, w, 3) and its smaller twin, RGB uint8; where it was worn here: of what, and how."""

    wanted: NDArray[np.uint8]
    given: NDArray[np.uint8]
    scale: int
    clip: NDArray[np.uint8] | None = None
    wear: Wear | None = None

    def grain(self) -> NDArray[np.float32] | None:
        """Return the twin's grain, -1..1; None where it has none that is known."""
        if self.clip is None or self.wear is None or not self.wear.what.wear.grain:
            return None
        return grain_in(self.clip, self.wear)


class Samples(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Sample n -> (wanted (f, 3, h, w), enlarged input of that shape, token ids)."""

    def __init__(self, data: DataConfig, seed: int, count: int) -> None:
        self.data, self.seed, self.count = data, seed, count
        self.photos = find_photos(data.photos, data.held_out)
        self.pairs: list[Pair] = []
        if data.pairs is not None:
            self.pairs += find_pairs(data.pairs, data.held_out)
        if data.manifest is not None:
            self.pairs += listed_pairs(data.manifest, data.held_out)
        sizes = (("height", data.height), ("width", data.width), ("margin", data.margin))
        for name, size in sizes:
            if size % _ALIGN:
                raise UsageError(f"data.{name} {size}: choose a multiple of {_ALIGN}")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        random = np.random.default_rng([self.seed, number])
        scale = 2 if random.random() < self.data.x2_share else 4
        told: str | None = None
        if self._from_photo(random):
            photo = _photo(self.photos[int(random.integers(len(self.photos)))])
            clip = camera_clip(photo, self.data.frames, self._around, random)
            pair = self._worn(clip, scale, random)
        else:
            listed = self.pairs[int(random.integers(len(self.pairs)))]
            pair, told = self._read(listed, scale, random), listed.text
        scale, left = pair.scale, None
        if told is None:
            found = measure(_tensor(pair.given))
            told = prompt_for(scale, None if random.random() < _NO_LEVELS else found)
            steering = np.random.default_rng([self.seed, number, 3])
            if steering.random() < self.data.steered_share:
                told, left = _steered(found, pair, steering)
        cut = _Cut.drawn(pair.wanted.shape, (self.data.height, self.data.width), random)
        wanted = _tensor(cut.of(pair.wanted, 1))
        if left is not None:
            grain = torch.from_numpy(np.ascontiguousarray(cut.of(left, scale))).permute(0, 3, 1, 2)
            wanted = (wanted + enlarged(2 * grain, scale)).clamp(-1, 1)
        ids = after_other_words(torch.tensor(tokenize(told).ids), random)
        return wanted, enlarged(_tensor(cut.of(pair.given, scale)), scale), ids

    @property
    def _around(self) -> tuple[int, int]:
        """How much of a clip is worn and measured: the wanted size and its margin."""
        return self.data.height + 2 * self.data.margin, self.data.width + 2 * self.data.margin

    def _from_photo(self, random: np.random.Generator) -> bool:
        share = self.data.pairs_share
        if not self.photos or not self.pairs:
            return bool(self.photos)
        if share is None:
            share = len(self.pairs) / (len(self.photos) + len(self.pairs))
        return bool(random.random() >= share)

    def _worn(self, clip: NDArray[np.uint8], scale: int, random: np.random.Generator) -> _Pair:
        kinds, shares = zip(*self.data.wear.items(), strict=True)
        kind = str(random.choice(kinds, p=np.array(shares) / sum(shares)))
        wear = draw_wear(kind, scale, int(random.integers(2**31)))
        return _Pair(*worn_pair(clip, wear), scale, clip, wear)

    def _read(self, pair: Pair, scale: int, random: np.random.Generator) -> _Pair:
        """Return a pair's crops; the scale is that of its files where there are two."""
        length = length_of(pair.gt)
        first = int(random.integers(max(1, length - self.data.frames + 1)))
        whole = frames_of(pair.gt, first, self.data.frames)
        height, width = whole.shape[1:3]
        size = (
            max(self.data.height, min(self._around[0], height // _ALIGN * _ALIGN)),
            max(self.data.width, min(self._around[1], width // _ALIGN * _ALIGN)),
        )
        top, left = (n // _ALIGN * _ALIGN for n in textured_place(whole[0], size, random))
        clip = whole[:, top : top + size[0], left : left + size[1]]
        if pair.lq is None:
            return self._worn(clip, scale, random)
        worn = frames_of(pair.lq, first, self.data.frames)
        scale = whole.shape[1] // worn.shape[1]
        rows, columns = (
            slice(at // scale, (at + n) // scale) for at, n in zip((top, left), size, strict=True)
        )
        return _Pair(clip, worn[:, rows, columns], scale)


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
        collate_fn=stacked,
        drop_last=True,
        multiprocessing_context="spawn" if workers else None,
    )


def stacked(samples: list[tuple[Tensor, Tensor, Tensor]]) -> Batch:
    """Return samples as one batch."""
    wanted, large, ids = (torch.stack(part) for part in zip(*samples, strict=True))
    return Batch(wanted, large, ids)


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


def _steered(
    found: Condition, pair: _Pair, random: np.random.Generator
) -> tuple[str, NDArray[np.float32] | None]:
    """Return a text with another noise level than was found, and the grain that is to stay, or None."""
    grain = pair.grain()
    said = said_noise(found.noise, grain is not None, random)
    share = share_left(said, found.noise)
    text = prompt_for(pair.scale, replace(found, noise=said))
    return text, None if grain is None or share == 0 else np.float32(share) * grain


@dataclass(frozen=True)
class _Cut:
    """A place of a wanted clip, which is one of its smaller twin too, turned by chance."""

    place: tuple[int, int]
    size: tuple[int, int]
    turned: tuple[int, ...]

    @classmethod
    def drawn(
        cls, shape: Sequence[int], size: tuple[int, int], random: np.random.Generator
    ) -> "_Cut":
        top, left = (
            int(random.integers((whole - n) // _ALIGN + 1)) * _ALIGN
            for whole, n in zip(shape[1:3], size, strict=True)
        )
        turned = tuple(axis for axis in (0, 2) if random.random() < 0.5)
        return cls((top, left), size, turned)

    def of(self, clip: NDArray[Any], by: int) -> NDArray[Any]:
        """Return the place of a clip (f, h, w, 3) that is smaller than the wanted one by `by`."""
        rows, columns = (
            slice(at // by, (at + n) // by) for at, n in zip(self.place, self.size, strict=True)
        )
        return np.flip(clip[:, rows, columns], self.turned)


def _tensor(clip: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2).float() / 127.5 - 1


@lru_cache(maxsize=96)  # at most 1.7 GB, of photographs of 6 megapixels 1 GB
def _photo(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError(f"{path}: can't be read as a photograph; take it out of the folder")
    shrink = _LARGEST_SIDE / max(picture.shape[:2])
    if shrink < 1:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)
