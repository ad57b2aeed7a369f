"""Small pictures of frames for people: in their display shape, as JPEG, side by side."""

from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import to_rgb
from media.format import VideoFormat

__all__ = ["Picture", "beside", "heat_svg", "jpeg", "small_picture"]

Picture = NDArray[np.uint8]
_BAND = 26  # pixels of a label


def small_picture(frame: av.VideoFrame, video: VideoFormat, height: int) -> Picture:
    """Return a frame as BGR (height, w, 3), 0..255, in the shape that it is shown in."""
    shape = Fraction(frame.width, frame.height) * (video.sar or 1)
    size = (max(1, round(height * shape)), height)
    how = cv2.INTER_AREA if frame.height > height else cv2.INTER_CUBIC
    picture = cv2.resize(to_rgb(frame, video.colour)[..., ::-1], size, interpolation=how)
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def beside(pictures: list[Picture], label: str) -> Picture:
    """Return pictures of one height side by side under a line of text."""
    row = np.concatenate(pictures, axis=1)
    band = np.full((_BAND, row.shape[1], 3), 24, np.uint8)
    cv2.putText(
        band, label, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (225, 230, 233), 1, cv2.LINE_AA
    )
    return np.concatenate([band, row])


def jpeg(picture: Picture, quality: int = 88) -> bytes:
    """Return a BGR picture as JPEG."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done  # noqa: S101  a picture in memory always encodes
    return data.tobytes()


def heat_svg(heat: Sequence[Sequence[float]], better: str) -> str:
    """Return tiles as an SVG to lie over a picture: the worse a tile, the redder, the worst framed."""
    sign = -1 if better == "higher" else 1
    values = [sign * value for row in heat for value in row]
    low, high = min(values), max(values)
    columns = len(heat[0])
    cells = []
    for number, value in enumerate(values):
        part = (value - low) / (high - low) if high > low else 0.0
        row, column = divmod(number, columns)
        edge = ' class="worst"' if value == high and high > low else ""
        cells.append(
            f'<rect{edge} x="{column}" y="{row}" width="1" height="1" '
            f'fill-opacity="{0.72 * part**2:.2f}"/>'
        )
    return (
        f'<svg class="heat" viewBox="0 0 {columns} {len(heat)}" preserveAspectRatio="none">'
        f"{''.join(cells)}</svg>"
    )
