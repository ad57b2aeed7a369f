"""The one degrader: makes a clean clip look like a worn print that was badly scanned and copied.

For the sample reel, for training pairs and for benchmarks alike, so that all mean the same by "worn".
A print is worn first (gate weave, fading, flicker, scratches, dust, grain), then goes through one or
two passes of a copying chain (blur, resizing, noise, JPEG), as in the second-order model of Real-ESRGAN
(Wang et al. 2021, section 3.2) with one set of parameters for a whole clip, as in RealBasicVSR (Chan
et al. 2022, section 3.3). Everything random is keyed by (seed, absolute frame, purpose): a frame is
the same whichever frames were made before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from restar.errors import UsageError
from restar.hashing import sha256_of

__all__ = [
    "PRESETS",
    "CopyPass",
    "Degradation",
    "PrintWear",
    "degrade_clip",
    "degrade_frames",
    "output_size",
    "preset",
    "with_changes",
]

Picture = NDArray[np.float32]
PresetName = Literal["archive", "star", "clean"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)


@dataclass(frozen=True)
class PrintWear:
    """What years of projection did to the print. Lengths are in pixels of the picture that is worn.

    `dust` and `hairs` count for each frame, `scratches` those that run at a time; `weave`, `grain`,
    `flicker` and `fade` are strengths (0 = none), grain and flicker as parts of full scale.
    """

    weave: float = 0.0
    fade: float = 0.0
    flicker: float = 0.0
    scratches: float = 0.0
    dust: float = 0.0
    hairs: float = 0.0
    grain: float = 0.0
    grain_size: float = 1.0


@dataclass(frozen=True)
class CopyPass:
    """One copy of a copy: an elliptic blur, a resize there and back, noise, JPEG (0 = none)."""

    blur_x: float = 0.0
    blur_y: float = 0.0
    angle: float = 0.0
    resize: float = 1.0
    noise: float = 0.0
    jpeg: int = 0


@dataclass(frozen=True)
class Degradation:
    """Every parameter of a degradation; `crf` is x264's for the film that is written (0 = none)."""

    wear: PrintWear = field(default_factory=PrintWear)
    passes: tuple[CopyPass, ...] = ()
    downscale: int = 1
    crf: int = 0


def preset(name: str, seed: int) -> Degradation:
    """Return the parameters of a preset; those of `star` are drawn by the seed.

    archive: a worn print, for the eye. star: Real-ESRGAN's ranges, x4, for training. clean: only
    smaller by 4. Raises UsageError for another name.
    """
    if name == "archive":
        wear = PrintWear(0.6, 0.5, 0.05, 1.5, 2.4, 0.15, 0.05, 0.9)
        copies = (CopyPass(blur_x=0.8, blur_y=0.8, jpeg=72),)
        return Degradation(wear, copies, downscale=2, crf=21)
    if name == "star":
        return _drawn(_random(seed, 0, "preset"))
    if name == "clean":
        return Degradation(downscale=4)
    raise UsageError(f"preset '{name}' is not known: choose one of {', '.join(PRESETS)}")


def with_changes(base: Degradation, changes: Iterable[str]) -> Degradation:
    """Return parameters with some set anew, as in ["wear.grain=0.1", "passes.0.jpeg=50", "crf=30"].

    Raises UsageError for a name that does not exist or a value that is not of its kind.
    """
    data = _ADAPTER.dump_python(base, mode="json")
    for change in changes:
        path, equals, value = change.partition("=")
        place: Any = data
        *parents, last = path.split(".")
        try:
            for name in parents:
                place = place[int(name)] if isinstance(place, list) else place[name]
            if not equals or not isinstance(place, dict) or last not in place:
                raise KeyError
        except (KeyError, IndexError, ValueError):
            raise UsageError(
                f"'{change}': write name=value, where a name is one of {', '.join(_names(data))}"
            ) from None
        place[last] = value
    try:
        return _checked(_ADAPTER.validate_python(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: {first['msg']} (got {first['input']!r})") from None


def degrade_frames(
    frames: Iterable[Picture], what: Degradation, seed: int, first_frame: int = 0
) -> Iterator[Picture]:
    """Yield degraded pictures, one for each, holding one at a time.

    Pictures are RGB (h, w, 3), float32 in 0..1, gamma-encoded; `first_frame` is the absolute number
    of the first. The video compression (`crf`) belongs to the file that is written, not to this.
    """
    for number, picture in enumerate(frames, start=first_frame):
        worn = _worn(picture.astype(np.float32), what.wear, seed, number)
        for order, copy in enumerate(what.passes):
            worn = _copied(worn, copy, seed, number, order)
        if what.downscale > 1:
            width, height = output_size(worn.shape[1], worn.shape[0], what)
            worn = _resized(worn, width, height, cv2.INTER_AREA)
        yield np.clip(worn, 0.0, 1.0).astype(np.float32)


def degrade_clip(clip: Picture, what: Degradation, seed: int, first_frame: int = 0) -> Picture:
    """Return a degraded clip; (t, h, w, 3) RGB float32 in 0..1 both ways."""
    return np.stack(list(degrade_frames(clip, what, seed, first_frame)))


def output_size(width: int, height: int, what: Degradation) -> tuple[int, int]:
    """Return the size that pictures of (width, height) come out with: whole and even."""
    return tuple(max(2, round(n / what.downscale / 2) * 2) for n in (width, height))  # type: ignore[return-value]


def _worn(picture: Picture, wear: PrintWear, seed: int, frame: int) -> Picture:
    height, width = picture.shape[:2]
    if wear.weave:
        dx, dy = (wear.weave * _wander(seed, frame, f"weave {axis}", 5) for axis in "xy")
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        moved = cv2.warpAffine(
            picture, shift, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        picture = np.asarray(moved, np.float32)
    if wear.fade:
        # Dyes fade at different speeds, cyan first: contrast goes, and what stays turns warm.
        floor = np.array([0.10, 0.075, 0.06], np.float32) * wear.fade
        ceiling = np.array([1.0, 0.93, 0.80], np.float32) ** wear.fade
        picture = floor + picture * (ceiling - floor)
    if wear.flicker:
        gain = 1 + wear.flicker * (
            _wander(seed, frame, "flicker slow", 9) + 0.5 * _wander(seed, frame, "flicker", 1)
        )
        picture = np.clip(picture, 0, None) ** 2.2 * np.float32(gain)
        picture = picture ** np.float32(1 / 2.2)
    if wear.grain:
        picture = _grained(picture, wear, seed, frame)
    if wear.scratches:
        picture = _scratched(picture, wear.scratches, seed, frame)
    if wear.dust or wear.hairs:
        picture = _dusty(picture, wear, seed, frame)
    return picture.astype(np.float32)


def _grained(picture: Picture, wear: PrintWear, seed: int, frame: int) -> Picture:
    """Silver grain: correlated over a pixel or two, strongest in the middle tones."""
    height, width = picture.shape[:2]
    random = _random(seed, frame, "grain")
    luma = random.standard_normal((height, width, 1), dtype=np.float32)
    colour = random.standard_normal((height, width, 3), dtype=np.float32)
    noise = 0.85 * luma + 0.35 * colour
    if wear.grain_size > 0:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), wear.grain_size), np.float32)
        noise /= max(float(noise.std()), 1e-6)
    middle = 4 * np.clip(picture, 0, 1) * (1 - np.clip(picture, 0, 1))
    grained: Picture = picture + wear.grain * noise * (0.35 + 0.65 * middle)
    return grained


_SCRATCH_SLOT = 36  # frames; a scratch lives for part of up to three slots


def _scratched(picture: Picture, density: float, seed: int, frame: int) -> Picture:
    """Vertical lines that a projector's gate cut over many frames, wandering a little."""
    height, width = picture.shape[:2]
    rows = np.arange(height, dtype=np.float32)
    columns = np.arange(width, dtype=np.float32)
    for slot in range(frame // _SCRATCH_SLOT - 2, frame // _SCRATCH_SLOT + 1):
        random = _random(seed, slot, "scratch")
        for number in range(int(random.poisson(density / 2))):
            begin = slot * _SCRATCH_SLOT + int(random.integers(_SCRATCH_SLOT))
            length = int(random.integers(_SCRATCH_SLOT // 2, 2 * _SCRATCH_SLOT))
            x, slant = random.uniform(0.05, 0.95) * width, random.normal(0, 0.004)
            strength = random.uniform(0.15, 0.5) * (1 if random.random() < 0.7 else -1)
            breadth = random.uniform(0.5, 1.4) * max(height / 270, 0.7)
            if not begin <= frame < begin + length:
                continue
            at = x + 1.5 * _wander(seed, frame, f"scratch {slot} {number}", 4) + slant * rows
            profile = np.exp(-(((columns[None, :] - at[:, None]) / breadth) ** 2))
            fade = 0.6 + 0.4 * np.sin(rows / height * random.uniform(2, 9) + frame / 3)
            picture = picture + (strength * profile * fade[:, None])[..., None]
    return picture.astype(np.float32)


def _dusty(picture: Picture, wear: PrintWear, seed: int, frame: int) -> Picture:
    """Specks and hairs of one frame: dirt on the print is dark, dirt on the negative is white."""
    height, width = picture.shape[:2]
    random = _random(seed, frame, "dust")
    unit = height / 270
    for strength in (-1.0, 1.0):
        mask = np.zeros((height, width), np.float32)
        for _ in range(int(random.poisson(wear.dust / 2))):
            _speck(mask, random, unit)
        for _ in range(int(random.poisson(wear.hairs / 2))):
            _hair(mask, random, unit)
        cover = 0.9 * np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.6 * max(unit, 0.7)))[..., None]
        picture = picture * (1 - cover) + (0.04 if strength < 0 else 0.97) * cover
    return picture.astype(np.float32)


def _speck(mask: Picture, random: np.random.Generator, unit: float) -> None:
    height, width = mask.shape
    centre = random.uniform((0, 0), (width, height))
    radius = unit * float(np.clip(random.lognormal(0.3, 0.6), 0.6, 6))
    angles = np.sort(random.uniform(0, 2 * np.pi, 7))
    reach = radius * random.uniform(0.5, 1.2, 7)
    outline = centre + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.round(outline * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], float(random.uniform(0.6, 1)), cv2.LINE_AA, 4)


def _hair(mask: Picture, random: np.random.Generator, unit: float) -> None:
    height, width = mask.shape
    place = random.uniform((0, 0), (width, height))
    heading, bend = random.uniform(0, 2 * np.pi), random.normal(0, 0.12)
    points = [place]
    for _ in range(int(random.integers(8, 22))):
        heading += bend + random.normal(0, 0.1)
        points.append(points[-1] + 3 * unit * np.array([np.cos(heading), np.sin(heading)]))
    line = np.round(np.array(points) * 16).astype(np.int32)
    cv2.polylines(mask, [line], False, 0.8, max(1, round(0.8 * unit)), cv2.LINE_AA, 4)


def _copied(picture: Picture, copy: CopyPass, seed: int, frame: int, order: int) -> Picture:
    height, width = picture.shape[:2]
    if copy.blur_x or copy.blur_y:
        kernel = _kernel(copy.blur_x, copy.blur_y, copy.angle)
        blurred = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        picture = np.asarray(blurred, np.float32)
    if copy.resize != 1:
        small = (max(2, round(width * copy.resize)), max(2, round(height * copy.resize)))
        how = cv2.INTER_AREA if copy.resize < 1 else cv2.INTER_CUBIC
        picture = _resized(_resized(picture, *small, how), width, height, cv2.INTER_CUBIC)
    if copy.noise:
        random = _random(seed, frame, f"noise {order}")
        picture = picture + copy.noise * random.standard_normal(picture.shape, dtype=np.float32)
    if copy.jpeg:
        picture = _jpeg(picture, copy.jpeg)
    return picture.astype(np.float32)


def _jpeg(picture: Picture, quality: int) -> Picture:
    eight = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", eight[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
    return decoded[..., ::-1] / np.float32(255)


def _resized(picture: Picture, width: int, height: int, how: int) -> Picture:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.float32)


@lru_cache(maxsize=8)
def _kernel(blur_x: float, blur_y: float, angle: float) -> Picture:
    """A Gaussian of two standard deviations (pixels), turned by `angle` (radians); its sum is 1."""
    reach = max(1, round(3 * max(blur_x, blur_y)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((u / max(blur_x, 0.05)) ** 2 + (v / max(blur_y, 0.05)) ** 2))
    return np.asarray(kernel / kernel.sum(), np.float32)


def _drawn(random: np.random.Generator) -> Degradation:
    """Real-ESRGAN's ranges (its table of training settings), one draw for a whole clip."""

    def one(widest: float, noisiest: float, sizes: tuple[float, float]) -> CopyPass:
        first, second = random.uniform(0.2, widest, 2)
        if random.random() < 0.65:
            second = first  # isotropic, with Real-ESRGAN's share
        return CopyPass(
            blur_x=float(first),
            blur_y=float(second),
            angle=float(random.uniform(0, np.pi)),
            resize=float(random.uniform(*sizes)),
            noise=float(random.uniform(1, noisiest) / 255),
            jpeg=int(random.integers(30, 96)),
        )

    passes = (one(3.0, 30.0, (0.3, 1.5)), one(1.5, 25.0, (0.5, 1.2)))
    return Degradation(passes=passes, downscale=4, crf=int(random.integers(18, 31)))


def _wander(seed: int, frame: int, purpose: str, period: int) -> float:
    """A smooth random path over frames, about -1..1, with a new direction every `period` frames."""
    knot, along = divmod(frame, period)
    p0, p1, p2, p3 = (
        float(_random(seed, k, purpose).standard_normal()) * 0.5 for k in range(knot - 1, knot + 3)
    )
    t = along / period
    return p1 + 0.5 * t * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )


def _random(seed: int, frame: int, purpose: str) -> np.random.Generator:
    key = int(sha256_of([seed, frame, purpose])[:32], 16)
    return np.random.Generator(np.random.Philox(key=key))


def _checked(what: Degradation) -> Degradation:
    limits = (
        (what.downscale, 1, 16, "downscale"),
        (what.crf, 0, 51, "crf"),
        *((c.jpeg, 0, 100, "passes.jpeg") for c in what.passes),
        *((c.resize, 0.05, 4, "passes.resize") for c in what.passes),
        *((n, 0, 50, "passes.blur") for c in what.passes for n in (c.blur_x, c.blur_y)),
        *((value, 0, 100, f"wear.{name}") for name, value in vars(what.wear).items()),
    )
    for value, low, high, name in limits:
        if not low <= value <= high:
            raise UsageError(f"{name}: {value} is not from {low} to {high}")
    return replace(what)


def _names(data: Any, prefix: str = "") -> list[str]:
    if isinstance(data, dict):
        return [name for key, value in data.items() for name in _names(value, f"{prefix}{key}.")]
    if isinstance(data, list):
        return [n for i, value in enumerate(data) for n in _names(value, f"{prefix}{i}.")]
    return [prefix[:-1]]


_ADAPTER = TypeAdapter(Degradation)
