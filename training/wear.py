"""How training clips are worn: the project's one degrader, its parameters drawn around the presets.

What a restoration model must not do is moving or regrading the picture: weave and fading are for steps
that a person chooses. So the picture to reach carries the weave and the fading of its worn twin, which
the degrader makes alike for both since it is keyed by seed, frame and purpose.
"""

import io
from dataclasses import dataclass, replace
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import from_rgb, to_rgb
from media.degrade import CopyPass, Degradation, PrintWear, degrade_clip, preset
from media.format import ColourTags, VideoFormat
from restar.errors import UsageError

__all__ = ["KINDS", "Kind", "Wear", "compressed", "draw_wear", "grain_in", "worn_pair"]

Clip = NDArray[np.float32]
Kind = Literal["archive", "star", "clean"]
KINDS: tuple[Kind, ...] = ("archive", "star", "clean")


@dataclass(frozen=True)
class Wear:
    """One draw: what is done, and `before`, by how much the picture is made smaller before that.

    A film is often worn at a resolution between the truth's and the input's; `before` times the
    degradation's own downscale is the scale of the pair.
    """

    what: Degradation
    seed: int
    before: int = 1

    @property
    def scale(self) -> int:
        return self.before * self.what.downscale


def draw_wear(kind: str, scale: int, seed: int) -> Wear:
    """Return the parameters for one clip, drawn by the seed around those of a preset."""
    random = np.random.default_rng([seed, 7])
    if kind == "clean":
        # Half of them by area alone, the others through a soft or a ringing chain and light H.264.
        if random.random() < 0.5:
            return Wear(Degradation(downscale=scale), seed)
        blur = float(random.uniform(0.2, 0.35 * scale))
        crf = int(random.integers(12, 24))
        return Wear(Degradation(passes=(CopyPass(blur, blur),), downscale=scale, crf=crf), seed)
    if kind == "star":
        return Wear(replace(preset("star", seed), downscale=scale), seed)
    if kind != "archive":
        raise UsageError(f"wear '{kind}' is not known: choose one of {', '.join(KINDS)}")
    before = 2 if scale == 4 and random.random() < 0.5 else 1
    wear = PrintWear(
        weave=float(random.uniform(0, 0.8)),
        fade=float(random.uniform(0, 0.8)) if random.random() < 0.6 else 0.0,
        flicker=float(random.uniform(0, 0.07)),
        scratches=float(random.uniform(0, 2.5)) if random.random() < 0.7 else 0.0,
        dust=float(random.uniform(0, 4)) if random.random() < 0.8 else 0.0,
        hairs=float(random.uniform(0, 0.3)),
        grain=float(random.uniform(0.01, 0.08)),
        grain_size=float(random.uniform(0.5, 1.6)),
    )
    blur = float(random.uniform(0.2, 1.3))
    jpeg = int(random.integers(50, 96)) if random.random() < 0.7 else 0
    copy = CopyPass(blur_x=blur, blur_y=blur, jpeg=jpeg)
    crf = int(random.integers(14, 29))
    return Wear(Degradation(wear, (copy,), downscale=scale // before, crf=crf), seed, before)


def worn_pair(
    clip: NDArray[np.uint8], wear: Wear, first: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (wanted, given) for a clip (t, h, w, 3), RGB uint8; `given` is smaller by the scale."""
    truth = clip.astype(np.float32) / np.float32(255)
    wanted = truth
    kept = wear.what.wear
    if kept.weave or kept.fade:
        only = PrintWear(weave=kept.weave * wear.before, fade=kept.fade)
        wanted = degrade_clip(truth, Degradation(only), wear.seed, first)
    given = degrade_clip(_smaller(truth, wear.before), wear.what, wear.seed, first)
    if wear.what.crf:
        given = compressed(given, wear.what.crf)
    return _eight(wanted), _eight(given)


def grain_in(clip: NDArray[np.uint8], wear: Wear, first: int = 0) -> Clip:
    """Return the grain alone of a clip's worn twin, as large as that, RGB in -1..1, before any coding."""
    small = _smaller(clip.astype(np.float32) / np.float32(255), wear.before)
    smooth = replace(wear.what, wear=replace(wear.what.wear, grain=0.0))
    both = (degrade_clip(small, what, wear.seed, first) for what in (wear.what, smooth))
    return next(both) - next(both)


def compressed(clip: Clip, crf: int) -> Clip:
    """Return a clip (t, h, w, 3), RGB in 0..1, after H.264 at this CRF, as degraded films are coded."""
    height, width = clip.shape[1:3]
    video = VideoFormat(width, height, "yuv420p", colour=ColourTags("smpte170m", "tv"))
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=24)
        assert isinstance(stream, av.VideoStream)  # noqa: S101
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # With mbtree x264 gives this or that stream for one and the same tiny clip (seen at 96x72, 13 of
        # 40 times): samples have to come from their number alone.
        stream.options = {
            "crf": str(crf), "preset": "slow", "threads": "1", "x264-params": "mbtree=0",
        }  # fmt: skip
        for number, picture in enumerate(clip):
            frame = from_rgb(picture, video)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as coded:
        made = [to_rgb(frame) for frame in coded.decode(video=0)]
    return np.clip(np.stack(made), 0, 1).astype(np.float32)


def _smaller(clip: Clip, by: int) -> Clip:
    if by == 1:
        return clip
    size = (clip.shape[2] // by, clip.shape[1] // by)
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip]
    return np.stack(small).astype(np.float32)


def _eight(clip: Clip) -> NDArray[np.uint8]:
    return np.rint(np.clip(clip, 0, 1) * 255).astype(np.uint8)
