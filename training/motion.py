"""Clips from photographs: a camera that pans, turns, zooms and shakes over a still picture.

Photographs are sharper and more varied than most film that may be trained on; a moving camera gives
a clip whose frames show the same thing at other sub-pixel places, which is what a video model learns
to use. Half of the clips have a second layer that moves at another speed, so that things pass in
front of others. Pictures are only ever made smaller: an enlarged photograph is a soft target.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from restar.errors import UsageError

__all__ = ["camera_clip", "textured_place"]

Picture = NDArray[np.float32]

_MARGIN = 40  # pixels of picture around a view, for the camera to move into
_TRIES = 4
_LARGEST_SHRINK = 2.5


def camera_clip(
    photo: NDArray[np.uint8], frames: int, size: tuple[int, int], random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a clip (frames, h, w, 3) of `size` (h, w) from an RGB photograph (H, W, 3), both uint8.

    Raises UsageError for a photograph that is smaller than a clip and its margin.
    """
    layers = [_layer(photo, size, random)]
    if random.random() < 0.5:
        layers.append(_layer(photo, size, random))
    paths = [_path(frames, random) for _ in layers]
    mask = _blob(layers[0].shape[:2], random)
    clip = []
    for frame in range(frames):
        view = _view(layers[0], paths[0].at(frame), size)
        if len(layers) > 1:
            cover = _view(mask, paths[1].at(frame), size)[..., None]
            view = view * (1 - cover) + _view(layers[1], paths[1].at(frame), size) * cover
        clip.append(np.rint(np.clip(view, 0, 255)).astype(np.uint8))
    return np.stack(clip)


def textured_place(
    picture: NDArray[np.uint8], size: tuple[int, int], random: np.random.Generator
) -> tuple[int, int]:
    """Return (top, left) of the one of a few random places of `size` that has most detail.

    Half of all random crops are flat and teach next to nothing.
    """
    height, width = picture.shape[:2]
    best, found = -1.0, (0, 0)
    for _ in range(_TRIES):
        top = int(random.integers(height - size[0] + 1))
        left = int(random.integers(width - size[1] + 1))
        part = picture[top : top + size[0], left : left + size[1], 1].astype(np.float32)
        detail = float(np.abs(np.diff(part, axis=0)).mean() + np.abs(np.diff(part, axis=1)).mean())
        if detail > best:
            best, found = detail, (top, left)
    return found


@dataclass(frozen=True)
class _Path:
    """Where the camera is at each frame: shift in pixels, angle in radians, zoom (1 = none)."""

    speed: tuple[float, float]
    bend: tuple[float, float]
    shake: NDArray[np.float64]
    turn: float
    zoom: float
    middle: float

    def at(self, frame: int) -> tuple[float, float, float, float]:
        time = frame - self.middle
        x, y = (
            v * time + b * time * time + s
            for v, b, s in zip(self.speed, self.bend, self.shake[frame], strict=True)
        )
        return (
            float(x),
            float(y),
            self.turn * time,
            float(np.exp(-abs(self.zoom) + self.zoom * time / max(self.middle, 1))),
        )


def _path(frames: int, random: np.random.Generator) -> _Path:
    fast = float(random.choice([0.0, 0.7, 2.0, 4.5], p=[0.1, 0.4, 0.35, 0.15]))
    heading = random.uniform(0, 2 * np.pi)
    jitter = float(random.choice([0.0, 0.3, 1.0], p=[0.4, 0.4, 0.2]))
    turning = random.random() < 0.35
    return _Path(
        (fast * float(np.cos(heading)), fast * float(np.sin(heading))),
        (float(random.normal(0, 0.05)), float(random.normal(0, 0.05))),
        np.clip(random.normal(0, jitter, (frames, 2)), -3, 3),
        float(random.normal(0, 0.004)) if turning else 0.0,
        float(random.normal(0, 0.012)) if random.random() < 0.35 else 0.0,
        (frames - 1) / 2,
    )


def _layer(photo: NDArray[np.uint8], size: tuple[int, int], random: np.random.Generator) -> Picture:
    """Return a part of the photograph, made smaller by a random factor, with the camera's margin."""
    wanted = (size[0] + 2 * _MARGIN, size[1] + 2 * _MARGIN)
    most = min(photo.shape[0] / wanted[0], photo.shape[1] / wanted[1], _LARGEST_SHRINK)
    if most < 1:
        raise UsageError(
            f"a photograph of {photo.shape[1]}x{photo.shape[0]} is too small for clips of "
            f"{size[1]}x{size[0]}; it needs {wanted[1]}x{wanted[0]}"
        )
    shrink = float(random.uniform(1.0, most))
    taken = (int(wanted[0] * shrink), int(wanted[1] * shrink))
    top, left = textured_place(photo, taken, random)
    part = photo[top : top + taken[0], left : left + taken[1]]
    if random.random() < 0.5:
        part = part[:, ::-1]
    small = cv2.resize(np.ascontiguousarray(part), wanted[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _view(
    layer: Picture, place: tuple[float, float, float, float], size: tuple[int, int]
) -> Picture:
    """Return what the camera sees of a layer; cubic, so that moving does not soften."""
    x, y, angle, zoom = place
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([layer.shape[1] / 2 + x, layer.shape[0] / 2 + y])
    shift = centre - turn @ np.array([size[1] / 2, size[0] / 2])
    matrix = np.concatenate([turn, shift[:, None]], 1)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        layer, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, np.float32)


def _blob(size: tuple[int, int], random: np.random.Generator) -> Picture:
    """Return a mask (h, w) in 0..1: one irregular thing with an edge of about a pixel."""
    height, width = size
    mask = np.zeros(size, np.float32)
    angles = np.sort(random.uniform(0, 2 * np.pi, 9))
    reach = random.uniform(0.12, 0.4, 9) * min(size)
    centre = random.uniform((0.3 * width, 0.3 * height), (0.7 * width, 0.7 * height))
    outline = centre + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.7), np.float32)
