"""Small pictures of frames for people: in their display shape, as JPEG, side by side."""

from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from media.convert import to_rgb
from media.format import VideoFormat

__all__ = ["Picture", "beside", "jpeg", "small_picture"]

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
