"""From the measures of a film's frames to facts about one scene, each stated only where it is clear.

A fact is a value from a short list, or None: between "surely yes" and "surely no" lies a margin in which
nothing is said, since a wrong word in a prompt does more harm than a missing one. The margins were set
on generated clips and held against others and against real ones (benchmarks/facts.py measures both).
"""

from dataclasses import asdict, dataclass, fields
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from captioners.measure import MeasuredFilm
from restar.timeline import FrameRange

__all__ = ["SceneFacts", "facts_of"]

Floats = NDArray[np.floating]

YesNo = Literal["yes", "no"] | None
Colour = Literal["colour", "monochrome", "tinted"] | None
Motion = Literal["still", "little", "much"] | None
Camera = (
    Literal["static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out"] | None
)
Sharpness = Literal["sharp", "soft"] | None
Level = TypeVar("Level")


@dataclass(frozen=True)
class SceneFacts:
    """What was measured of a scene; None = not clear enough to be said."""

    colour: Colour = None
    brightness: Literal["dark", "middle", "bright"] | None = None
    contrast: Literal["low", "middle", "high"] | None = None
    motion: Motion = None
    camera: Camera = None
    grain: YesNo = None
    flicker: YesNo = None
    sharpness: Sharpness = None
    fade_in: YesNo = None
    fade_out: YesNo = None
    text_card: YesNo = None

    def to_json(self) -> dict[str, str]:
        """Return the facts that are stated."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))


def facts_of(film: MeasuredFilm, scene: FrameRange) -> SceneFacts:
    """Return the facts of a scene [start, end) of a measured film."""
    frames = film.frames[scene.start : scene.end]
    at = film.samples["frame"]
    samples = film.samples[(at >= scene.start) & (at < scene.end)]
    pairs = samples[(samples["before"] >= scene.start) & ~np.isnan(samples["moved"])]
    full = samples[~np.isnan(samples["low"])]
    if not len(frames):
        return SceneFacts()
    shown = full[(full["high"] - full["low"]) > 12] if len(full) else full  # faded to nothing: no
    lit = shown if len(shown) else full
    rate = float(film.rate)
    stands = _stands(pairs, rate)
    grain = _grain(lit, stands)
    return SceneFacts(
        colour=_colour(lit, _median(frames["mean"])),
        brightness=_three(
            _median(frames["mean"]), (55, 75, 140, 165), ("dark", "middle", "bright")
        ),
        contrast=_three(
            _median(lit["high"] - lit["low"]), (75, 95, 165, 195), ("low", "middle", "high")
        ),
        motion=_motion(pairs, rate, grain == "no"),
        camera=_camera(pairs, rate),
        grain=grain,
        flicker=_flicker(frames, stands, rate),
        sharpness=_sharpness(lit),
        fade_in=_fade(frames, rate),
        fade_out=_fade(frames[::-1], rate),
        text_card=_card(shown),
    )


def _three(
    value: float, bounds: tuple[float, float, float, float], names: tuple[Level, Level, Level]
) -> Level | None:
    """Name a value low, middle or high; None in the gaps between, and for NaN."""
    if value < bounds[0]:
        return names[0]
    if bounds[1] <= value <= bounds[2]:
        return names[1]
    return names[2] if value > bounds[3] else None


def _colour(samples: NDArray[np.void], brightness: float) -> Colour:
    """What is dark has little tint to show: there gray has to be grayer to be called that.

    Faded colours stray little, but through all of the scene; a tint by half as much at most.
    """
    if not len(samples):
        return None
    strayed, tint = float(np.max(samples["chroma"])), _median(samples["tint"])
    if strayed > 12 or _median(samples["chroma"]) > 5.5:
        return "colour"
    if strayed > 3:
        return None
    if tint < (2.5 if brightness > 75 else 0.8):
        return "monochrome"
    return "tinted" if tint > 4.5 else None


def _motion(pairs: NDArray[np.void], rate: float, clean: bool) -> Motion:
    """By the paths of a grid of points, in picture widths (a second); grain blurs where they end."""
    if not len(pairs):
        return None
    seconds = (pairs["frame"] - pairs["before"]) / rate
    speed = pairs["moved"] / seconds
    usual = _median(speed)
    if usual > 0.08:
        return "much"
    farthest = pairs["farthest"]
    if np.max(farthest) < 0.0055 and _median(farthest) < 0.003 and np.max(speed) < 0.006:
        return "still"
    return "little" if usual < 0.04 and _median(farthest) > (0.007 if clean else 0.03) else None


def _stands(pairs: NDArray[np.void], rate: float) -> bool:
    """Whether most of the picture stands still, whatever a subject does."""
    if not len(pairs):
        return False
    return _median(pairs["moved"] / ((pairs["frame"] - pairs["before"]) / rate)) < 0.012


def _camera(pairs: NDArray[np.void], rate: float) -> Camera:
    """One camera is told from moving subjects by how many of the points follow it."""
    if len(pairs) < 2 or np.median(pairs["agreed"]) < 0.75 or np.median(pairs["points"]) < 20:
        return None
    seconds = (pairs["frame"] - pairs["before"]) / rate
    pan, tilt, zoom = (pairs[name] / seconds for name in ("pan", "tilt", "zoom"))
    ways: dict[Camera, Floats] = {
        "pan left": pan, "pan right": -pan,  # a camera that turns right sees its picture go left
        "tilt up": tilt, "tilt down": -tilt,
        "zoom in": zoom / 2, "zoom out": -zoom / 2,
    }  # fmt: skip
    usual = {name: _median(speeds) for name, speeds in ways.items()}
    quick = [name for name, speed in usual.items() if speed > 0.012]
    if not quick and max(float(np.max(np.abs(v))) for v in ways.values()) < 0.012:
        return "static" if max(usual.values()) < 0.004 else None
    strongest = max(usual, key=lambda name: usual[name])
    steady = float(np.mean(ways[strongest] > 0.005))
    others = [v for name, v in usual.items() if name != strongest]
    if usual[strongest] > 0.02 and steady >= 0.8 and max(others) < 0.5 * usual[strongest]:
        return strongest
    return None


def _grain(samples: NDArray[np.void], stands: bool) -> YesNo:
    """Grain is new in every frame: texture stays, and moves with what it is on.

    Where the picture stands, what is new in a frame tells of grain that a copy made soft, too.
    """
    usable = samples[~np.isnan(samples["grain"]) & (samples["flat"] > 0.15)]
    if not len(usable):
        return None
    one = _median(usable["grain"])
    two = _median(usable["grain_still"])
    if two > 2.2 and one > (0.8 if stands else 2.2):
        return "yes"
    if one < 1.0:
        new = two > (1.2 if stands else 9.9 if one < 0.7 else 2.5)
        return None if new else "no"
    return "yes" if one > 1.15 and two > 3.5 else None


def _flicker(frames: NDArray[np.void], stands: bool, rate: float) -> YesNo:
    """Flicker is a change of the whole picture that turns back at once; a fade goes on.

    Told by how a cell's change turns from frame to frame: where most cells turn alike, it is the light's;
    what moves turns each cell in its own way. Where the picture stands less of it is clear.
    """
    change, level = frames["change"][1:], np.maximum(frames["mean"][1:], 12)
    if len(change) < 12:
        return None
    change = np.clip(change, -24, 24) / level
    back = np.diff(change) / 2  # a steady fade is gone, what alternates is kept whole
    strength = float(np.median(np.abs(back)))
    alternating = float(np.mean(change[1:] * change[:-1] < 0))
    turn, stray = np.abs(frames["turn"][2:]), np.maximum(frames["stray"][2:], 1e-5)
    together = 0.5 * _median(turn) > 0.0024 and _median(turn / stray) > 0.95 and alternating > 0.3
    clear = together or (strength > (0.0045 if stands else 0.009) and alternating > 0.4)
    if clear or strength > 0.015 or _breathes(frames, stands, rate):
        return "yes"
    return "no" if strength < 0.0018 else None


def _breathes(frames: NDArray[np.void], stands: bool, rate: float) -> bool:
    """Whether brightness swells and falls within a second, in all of the picture alike.

    Told by the mean against itself over a second, outside of fades. All of the picture: the median of
    its cells goes with the mean (by ranks), which a subject or a pan changes in some places more than in
    others.
    """
    lit = np.flatnonzero(frames["spread"] > 0.95 * float(np.quantile(frames["spread"], 0.75)))
    shown = frames[lit[0] : lit[-1] + 1] if len(lit) else frames[:0]
    second = round(rate) | 1
    if len(shown) < max(24, second):
        return False
    mean, change = shown["mean"].astype(float), shown["change"][1:].astype(float)
    padded = np.pad(mean, second // 2, mode="reflect", reflect_type="odd")
    slow = np.convolve(padded, np.ones(second) / second, "valid")
    swell = (mean - slow) / np.maximum(slow, 12)
    strength = 1.48 * float(np.median(np.abs(swell)))
    turns = float(np.sum(swell[1:] * swell[:-1] < 0)) * rate / len(mean)
    if strength < (0.005 if stands else 0.007) or turns < 2:
        return False
    ours, theirs = (np.argsort(np.argsort(values)) for values in (change, np.diff(mean)))
    return float(np.corrcoef(ours, theirs)[0, 1]) > (0.85 if stands else 0.95)


def _sharpness(samples: NDArray[np.void]) -> Sharpness:
    usable = samples[~np.isnan(samples["acuity"])]
    if not len(usable):
        return None
    grain = np.nan_to_num(usable["grain"], nan=9.0)
    if np.median(grain) > 1:  # noise is as fine as detail can be
        return None
    acuity = float(np.max(usable["acuity"]))  # the sharpest moment: movement softens the others
    if acuity < 0.175:
        return "soft"
    return "sharp" if acuity > 0.32 else None


def _fade(frames: NDArray[np.void], rate: float) -> YesNo:
    """Whether the scene grows out of an even black or white in a quarter second or more."""
    mean, spread = frames["mean"].astype(float), frames["spread"].astype(float)
    least = max(5, round(rate / 4))
    if len(mean) < 2 * least:
        return None
    whole = float(np.quantile(spread, 0.75))
    if whole < 10:
        return None
    if spread[0] > 0.5 * whole:  # dust and grain on a black are half a dim picture's spread
        return "no" if mean[0] >= 24 or whole > 20 else None
    if spread[0] > 0.15 * whole or not (mean[0] < 24 or mean[0] > 232):
        return None
    reached = int(np.argmax(spread > 0.85 * whole))
    begun = int(np.argmax(spread > 0.15 * whole))
    rising = np.diff(spread[begun : reached + 1])
    if reached - begun < least // 2 or not len(rising):
        return None
    return "yes" if np.mean(rising > -0.02 * whole) > 0.85 else None


def _card(samples: NDArray[np.void]) -> YesNo:
    if not len(samples):
        return None
    share = float(np.mean(samples["card"]))
    if share >= 0.7:
        return "yes"
    return "no" if share < 0.2 else None


def _median(values: Floats) -> float:
    return (
        float(np.nanmedian(values))
        if len(values) and not np.all(np.isnan(values))
        else float("nan")
    )
