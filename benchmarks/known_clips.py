"""Clips of which everything is known, to hold the measured facts against: drawn from a seed.

Pictures are "dead leaves" (ovals of every size that hide one another), which have the edges, the flat
places and the statistics of scales that photographs have (Lee, Mumford, Huang 2001). A camera moves over
a large one, a subject over that; exposure, tone, blur, grain, flicker and fades follow as in a print.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.degrade import degrade_frames, preset

__all__ = ["KnownClip", "known_clips", "worn", "worn_truth", "write_clip", "write_film"]

Picture = NDArray[np.float32]
RATE = 24
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_TINTS = ((1.0, 0.9, 0.74), (0.8, 0.93, 1.0))


@dataclass(frozen=True)
class KnownClip:
    """How a clip is made, and so which facts are true of it (a fact that is not given is not judged)."""

    seed: int
    size: tuple[int, int]
    frames: int
    truth: dict[str, str]
    grain: float
    flicker: float
    blur: float
    speed: float
    subject: bool
    crf: int


def known_clips(
    count: int, seed: int = 0, size: tuple[int, int] = (480, 360), frames: int = 48
) -> list[KnownClip]:
    """Return `count` clips, drawn so that every value of every fact comes up."""
    return [_drawn(np.random.default_rng([seed, n]), n, seed, size, frames) for n in range(count)]


def _drawn(
    rng: np.random.Generator, number: int, seed: int, size: tuple[int, int], frames: int
) -> KnownClip:
    card = number % 7 == 6
    ways = ["pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out"]
    camera = "static" if card or rng.random() < 0.4 else str(rng.choice(ways))
    subject = not card and rng.random() < 0.5
    speed = float(rng.uniform(0.12, 0.3) if rng.random() < 0.5 else rng.uniform(0.035, 0.07))
    grain = float(rng.uniform(5, 10) if rng.random() < 0.35 else 0)
    flicker = float(rng.uniform(0.03, 0.08) if rng.random() < 0.3 else 0)
    blur = float(rng.uniform(2.5, 4) if not card and rng.random() < 0.3 else 0)
    fade = str(rng.choice(["none", "none", "in", "out"]))
    brightness = str(rng.choice(["dark", "middle", "bright"])) if not card else ""
    contrast = str(rng.choice(["low", "high"])) if brightness == "middle" else ""
    truth = {
        "colour": str(rng.choice(["monochrome", "tinted"] if card else
                                 ["colour", "colour", "monochrome", "tinted"])),
        "camera": camera,
        "grain": "yes" if grain else "no",
        "flicker": "yes" if flicker else "no",
        "text_card": "yes" if card else "no",
        "fade_in": "yes" if fade == "in" else "no",
        "fade_out": "yes" if fade == "out" else "no",
    }  # fmt: skip
    if brightness:
        truth |= {"brightness": brightness, "sharpness": "soft" if blur else "sharp"}
    if contrast:
        truth |= {"contrast": contrast}
    if camera == "static":
        truth |= {"motion": "little" if subject else "still"}
    elif speed > 0.1 and "zoom" not in camera:
        truth |= {"motion": "much"}
    return KnownClip(
        seed * 10_000 + number, size, frames, truth, grain, flicker, blur,
        speed, subject or camera != "static", int(rng.integers(12, 22)),
    )  # fmt: skip


def write_clip(clip: KnownClip, path: Path, wear: str = "") -> Path:
    """Write a clip as H.264, worn by a preset of media.degrade if one is named."""
    if not wear:
        return write_film(pictures(clip), path, clip.crf)
    return write_film(worn(pictures(clip), wear, clip.seed), path, preset(wear, clip.seed).crf)


def worn(clean: Iterable[NDArray[np.uint8]], wear: str, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures as a preset of media.degrade leaves them."""
    for picture in degrade_frames(
        (p.astype(np.float32) / np.float32(255) for p in clean), preset(wear, seed), seed
    ):
        yield np.rint(255 * picture).astype(np.uint8)


def worn_truth(truth: Mapping[str, str], wear: str) -> dict[str, str]:
    """What is still known of a clip that was worn.

    `archive` fades (tone and contrast are others, gray turns warm), flickers, and has grain; `star` is
    soft, and of its noise nobody knows how much its copies left. Both are softened.
    """
    unknown = {"sharpness"} | ({"brightness", "contrast"} if wear == "archive" else {"grain"})
    known = {name: value for name, value in truth.items() if name not in unknown}
    if wear == "archive":
        known |= {"grain": "yes", "flicker": "yes"}
        if known.get("colour") == "monochrome":
            known["colour"] = "tinted"
    return known


def write_film(
    made: Iterable[NDArray[np.uint8]], path: Path, crf: int, rate: Fraction | int = RATE
) -> Path:
    """Write R'G'B' pictures as H.264."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        for picture in made:
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))
    return path


def pictures(clip: KnownClip) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of a clip, RGB, 0..255."""
    rng = np.random.default_rng([7, clip.seed])
    width, height = clip.size
    card = clip.truth["text_card"] == "yes"
    canvas = _card(rng, width, height) if card else _leaves(rng, 3 * width, 3 * height, 900)
    subject = _leaves(rng, width // 6, width // 6, 40)
    canvas = _exposed(_toned(canvas, clip.truth["colour"]), clip, card)
    subject = _exposed(_toned(subject, clip.truth["colour"]), clip, card)
    for number in range(clip.frames):
        picture = canvas if card else _view(canvas, clip, number)
        if clip.subject:
            picture = _with_subject(picture, subject, number, clip)
        if clip.blur:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), clip.blur), np.float32)
        if clip.flicker:
            picture = picture * np.float32(1 + clip.flicker * rng.standard_normal())
        if clip.grain:
            noise = cv2.GaussianBlur(
                rng.standard_normal((height, width), dtype=np.float32), (0, 0), 0.6
            )
            picture = picture + (clip.grain / 255 * noise / noise.std())[..., None]
        picture = picture * np.float32(_fade(clip, number))
        yield np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _leaves(rng: np.random.Generator, width: int, height: int, count: int) -> Picture:
    picture = np.full((height, width, 3), 0.5, np.float32)
    sizes = 4 / (rng.random(count) ** 0.75 + 0.02)
    for size in np.sort(sizes * width / 260)[::-1]:
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (max(1, int(size * rng.uniform(0.5, 1))), max(1, int(size)))
        value = np.clip(rng.normal(0.5, 0.27) + rng.normal(0, 0.18, 3), 0.02, 0.98)
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360,
                    [float(v) for v in value], -1, cv2.LINE_AA)  # fmt: skip
    shade = cv2.resize(
        rng.normal(1, 0.08, (9, 12)).astype(np.float32), (width, height),
        interpolation=cv2.INTER_CUBIC,
    )  # fmt: skip
    return picture * shade[..., None]


_WORDS_TEXT = """
THE LOST CITY A FILM BY AND SO THEY CAME TO RIVER NEXT MORNING WHEN ALL WAS QUIET
"""
_WORDS = _WORDS_TEXT.split()


def _card(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Two to six lines of letters on an even ground, at times with a frame around them."""
    ink, ground = (0.92, 0.06) if rng.random() < 0.7 else (0.1, 0.85)
    picture = np.full((height, width), ground * 255, np.uint8)
    lines = int(rng.integers(2, 6))
    font = int(
        rng.choice([cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX])
    )
    scale = height / 360 * rng.uniform(0.7, 1.1)
    for line in range(lines):
        text = " ".join(rng.choice(_WORDS, int(rng.integers(2, 4))))
        text = text if rng.random() < 0.5 else text.capitalize()
        (wide, _), _ = cv2.getTextSize(text, font, scale, 2)
        at = (max(4, (width - wide) // 2), round(height * (line + 1.2) / (lines + 1)))
        cv2.putText(
            picture, text, at, font, scale, ink * 255, max(1, round(2 * scale)), cv2.LINE_AA
        )
    if rng.random() < 0.3:
        cv2.rectangle(picture, (12, 12), (width - 12, height - 12), ink * 255, 2)
    return np.repeat((picture / np.float32(255))[..., None], 3, axis=2)


def _toned(picture: Picture, tone: str) -> Picture:
    if tone == "colour":
        return picture
    return np.repeat((picture @ _LUMA)[..., None], 3, axis=2)


def _exposed(picture: Picture, clip: KnownClip, card: bool) -> Picture:
    """Set the mean and the range of luma."""
    if card:
        tint = np.array(_TINTS[clip.seed % 2], np.float32)
        return picture * tint if clip.truth["colour"] == "tinted" else picture
    mean = {"dark": 38, "middle": 112, "bright": 186}[clip.truth["brightness"]] / 255
    contrast = clip.truth.get("contrast")
    sigma = {"low": 13, "high": 62}.get(contrast or "", 20 if mean < 0.3 else 28) / 255
    luma = picture @ _LUMA
    gain = np.float32(sigma / float(luma.std()))
    made: Picture = (picture - np.float32(luma.mean())) * gain + np.float32(mean)
    if clip.truth["colour"] == "tinted":  # a tint is a product of what the picture is
        tint = np.array(_TINTS[clip.seed % 2], np.float32)
        made = np.clip(made, 0, 0.98) * (tint / float(tint @ _LUMA))
    return made.astype(np.float32)


def _view(canvas: Picture, clip: KnownClip, number: int) -> Picture:
    width, height = clip.size
    way, along = clip.truth["camera"], clip.speed * number / RATE * width
    x, y, zoom = float(width), float(height), 1.0
    if "pan" in way:
        x += along if way.endswith("right") else -along
    elif "tilt" in way:
        y += along if way.endswith("down") else -along
    elif "zoom" in way:
        zoom = float(np.exp((1 if way.endswith("in") else -1) * 2 * clip.speed * number / RATE))
    x, y = x % (2 * width), y % (2 * height)
    centre = (x + width / 2, y + height / 2)
    matrix = np.array(
        [[1 / zoom, 0, centre[0] - width / 2 / zoom], [0, 1 / zoom, centre[1] - height / 2 / zoom]]
    )
    if zoom < 1:  # no aliasing where the picture shrinks
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.4 / zoom), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(canvas, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
    )


def _with_subject(picture: Picture, subject: Picture, number: int, clip: KnownClip) -> Picture:
    """A patch that goes to and fro over less than a tenth of the picture."""
    size = subject.shape[0]
    height, width = picture.shape[:2]
    x = round(width * (0.45 + 0.08 * np.sin(number / RATE * 2.2)))
    y = round(height * 0.4)
    made = picture.copy()
    made[y : y + size, x : x + size] = subject[: height - y]
    return made


def _fade(clip: KnownClip, number: int) -> float:
    length = clip.frames // 3
    if clip.truth["fade_in"] == "yes":
        return min(1.0, number / length)
    if clip.truth["fade_out"] == "yes":
        return min(1.0, (clip.frames - 1 - number) / length)
    return 1.0
