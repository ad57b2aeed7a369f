"""Faults that are put into good takes on purpose, each at three strengths, to see which are found.

A fault takes and gives R'G'B' pictures, float32 0..1, and draws what it needs from a generator, so
that the same clip always gets the same fault. `WHERE` says which flag has to find it.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FAULTS", "OTHERS", "STRENGTHS", "WHERE"]

Picture = NDArray[np.float32]
Random = np.random.Generator
Fault = Callable[[Sequence[Picture], Random, int], list[Picture]]
STRENGTHS = ("weak", "medium", "strong")
_CODE = 1 / 255


def over_sharpened(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Unsharp masking over 1.2 pixels, by 0.75, 1.5 and 3 times."""
    amount = (0.75, 1.5, 3.0)[strength]
    return [p + amount * (p - cv2.GaussianBlur(p, (0, 0), 1.2)) for p in pictures]


def seam_of_tone(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """From some frame on all is 2, 4 or 8 codes brighter or darker."""
    step = (2, 4, 8)[strength] * _CODE * random.choice((-1, 1))
    seam = _inner(pictures, random)
    return [p + (step if n >= seam else 0) for n, p in enumerate(pictures)]


def seam_of_place(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """From some frame on the picture stands 0.25, 0.5 or 1 pixels elsewhere."""
    angle = random.uniform(0, 2 * np.pi)
    dx, dy = (0.25, 0.5, 1.0)[strength] * np.array([np.cos(angle), np.sin(angle)])
    move = np.array([[1, 0, dx], [0, 1, dy]])
    seam = _inner(pictures, random)
    return [_moved(p, move) if n >= seam else p for n, p in enumerate(pictures)]


def colour_cast(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Two of the three colours grow and fall by 2, 4 or 8 %."""
    part = (0.02, 0.04, 0.08)[strength]
    gains = random.permutation(np.array([1 + part, 1.0, 1 - part], np.float32))
    return [p * gains for p in pictures]


def flickering(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Each frame's brightness is off by 1, 2 or 4 % (standard deviation)."""
    gains = 1 + (0.01, 0.02, 0.04)[strength] * random.standard_normal(len(pictures))
    return [p * np.float32(g) for p, g in zip(pictures, gains, strict=True)]


def invented_texture(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """A still, fine texture of 3, 6 or 12 codes (rms) over a ninth of the picture."""
    height, width = pictures[0].shape[:2]
    noise = random.standard_normal((height // 3, width // 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 0.8) - cv2.GaussianBlur(noise, (0, 0), 2.0)
    texture *= (3, 6, 12)[strength] * _CODE / float(texture.std())
    y, x = random.integers(height * 2 // 3), random.integers(width * 2 // 3)
    made = [p.copy() for p in pictures]
    for picture in made:
        picture[y : y + height // 3, x : x + width // 3] += texture[..., None]
    return made


def frozen(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """The picture stands still for 3, 6 or 10 frames."""
    start = _inner(pictures, random, (3, 6, 10)[strength])
    made = list(pictures)
    for n in range(start, start + (3, 6, 10)[strength]):
        made[n] = made[start - 1]
    return made


def repeated(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """1, 2 or 4 single frames are each the one before."""
    made = list(pictures)
    for start in random.choice(range(2, len(pictures) - 1, 2), (1, 2, 4)[strength], replace=False):
        made[start] = made[start - 1]
    return made


def swapped(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """1, 2 or 4 pairs of neighbours have changed places."""
    made = list(pictures)
    for start in random.choice(range(2, len(pictures) - 2, 3), (1, 2, 4)[strength], replace=False):
        made[start], made[start + 1] = made[start + 1], made[start]
    return made


def black(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """1, 2 or 4 frames are black."""
    made = list(pictures)
    start = _inner(pictures, random, 4)
    for n in range(start, start + (1, 2, 4)[strength]):
        made[n] = np.zeros_like(made[n])
    return made


def halved(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Reduced 1.5, 2 or 3 times, and enlarged again."""
    height, width = pictures[0].shape[:2]
    by = (1.5, 2.0, 3.0)[strength]
    small = (round(width / by), round(height / by))
    reduced = (cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in pictures)
    return [
        cv2.resize(p, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        for p in reduced
    ]


def tile_edges(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """A grid of 4 x 3 tiles, each off by up to 1, 2 or 4 codes."""
    height, width = pictures[0].shape[:2]
    steps = random.uniform(-1, 1, (3, 4)).astype(np.float32) * (1, 2, 4)[strength] * _CODE
    offset = np.repeat(np.repeat(steps, -(-height // 3), 0), -(-width // 4), 1)[:height, :width]
    return [p + offset[..., None] for p in pictures]


def displaced(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """The picture stands 0.25, 0.5 or 1 pixels elsewhere, in every frame."""
    angle = random.uniform(0, 2 * np.pi)
    dx, dy = (0.25, 0.5, 1.0)[strength] * np.array([np.cos(angle), np.sin(angle)])
    return [_moved(p, np.array([[1, 0, dx], [0, 1, dy]])) for p in pictures]


def enlarged(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Cropped and enlarged by 0.5, 1 or 2 %."""
    height, width = pictures[0].shape[:2]
    by = 1 + (0.005, 0.01, 0.02)[strength]
    move = np.array([[by, 0, (1 - by) * width / 2], [0, by, (1 - by) * height / 2]])
    return [_moved(p, move) for p in pictures]


def dropped(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """From some frame on the take is 1, 2 or 3 frames early; at the end it stands still."""
    seam, by = _inner(pictures, random, 8), (1, 2, 3)[strength]
    return [pictures[min(n + by * (n >= seam), len(pictures) - 1)] for n in range(len(pictures))]


def doubled(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """A frame is shown 1, 2 or 3 times more, and all that follow are late."""
    seam, by = _inner(pictures, random, 8), (1, 2, 3)[strength]
    return [pictures[n if n < seam else max(seam - 1, n - by)] for n in range(len(pictures))]


def posterised(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """64, 32 or 16 levels in the place of all."""
    levels = (63, 31, 15)[strength]
    return [np.rint(p * np.float32(levels)) / np.float32(levels) for p in pictures]


def ringing(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Echoes beside edges at 3 and 6 pixels, of 10, 20 or 40 %."""
    part = (0.1, 0.2, 0.4)[strength]
    kernel = np.zeros((1, 13), np.float32)
    kernel[0, [0, 3, 6, 9, 12]] = np.array([part / 2, -part, 1 + part, -part, part / 2])
    border = cv2.BORDER_REFLECT_101
    return [
        np.asarray(cv2.filter2D(p, -1, kernel, borderType=border), np.float32) for p in pictures
    ]


def inverted(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """A negative."""
    return [1 - p for p in pictures]


def woven(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Every second line is of the frame 1, 2 or 3 later, as with fields in the wrong order."""
    made = [p.copy() for p in pictures]
    for n, picture in enumerate(made):
        picture[1::2] = pictures[min(n + (1, 2, 3)[strength], len(pictures) - 1)][1::2]
    return made


def other_matrix(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Y'CbCr of BT.601 read as BT.709."""
    ycc, back = (np.array(m, np.float32) for m in (_BT601, np.linalg.inv(_BT709)))
    return [np.asarray(cv2.transform(p, back @ ycc), np.float32) for p in pictures]


def other_range(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """Codes of limited range read as full range."""
    return [(16 + 219 * p) / np.float32(255) for p in pictures]


def boiling(pictures: Sequence[Picture], random: Random, strength: int) -> list[Picture]:
    """A fine texture of 3, 6 or 12 codes (rms) all over, another in every frame."""
    height, width = pictures[0].shape[:2]
    made = []
    for picture in pictures:
        noise = random.standard_normal((height, width)).astype(np.float32)
        texture = cv2.GaussianBlur(noise, (0, 0), 0.8) - cv2.GaussianBlur(noise, (0, 0), 2.0)
        texture *= (3, 6, 12)[strength] * _CODE / float(texture.std())
        made.append(picture + texture[..., None])
    return made


_BT601 = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
_BT709 = [[0.2126, 0.7152, 0.0722], [-0.114572, -0.385428, 0.5], [0.5, -0.454153, -0.045847]]

FAULTS: dict[str, Fault] = {
    f.__name__.replace("_", "-"): f
    for f in (
        seam_of_tone, seam_of_place, colour_cast, flickering, frozen, repeated, swapped, black,
        halved, tile_edges, over_sharpened, invented_texture,
    )
}  # fmt: skip
# What was thought of later; tried at medium strength only.
OTHERS: dict[str, Fault] = {
    f.__name__.replace("_", "-"): f
    for f in (
        displaced, enlarged, dropped, doubled, posterised, ringing, inverted, woven, other_matrix,
        other_range, boiling,
    )
}  # fmt: skip
WHERE = {
    "seam-of-tone": ("seam-jump",),
    "seam-of-place": ("seam-jump",),
    "colour-cast": ("colour-cast",),
    "flickering": ("flicker",),
    "frozen": ("frozen",),
    "repeated": ("frozen", "wrong-order"),
    "swapped": ("wrong-order",),
    "black": ("blank",),
    "halved": ("lost-detail",),
    "tile-edges": ("tile-edges",),
    "over-sharpened": ("over-sharpened",),
    "invented-texture": ("invented-detail",),
    "displaced": ("displaced",),
    "enlarged": ("displaced",),
    "dropped": ("wrong-order", "frozen"),
    "doubled": ("frozen", "wrong-order"),
    "posterised": ("invented-detail",),
    "ringing": ("over-sharpened", "invented-detail"),
    "inverted": ("blank", "colour-cast"),
    "woven": ("wrong-order", "invented-detail", "unsteady", "displaced"),
    "other-matrix": ("colour-cast",),
    "other-range": ("colour-cast",),
    "boiling": ("unsteady", "invented-detail"),
}


def _inner(pictures: Sequence[Picture], random: Random, length: int = 1) -> int:
    return int(random.integers(4, len(pictures) - length - 3))


def _moved(picture: Picture, move: NDArray[np.float64]) -> Picture:
    height, width = picture.shape[:2]
    moved = cv2.warpAffine(
        picture, move, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)
