"""Is a frame a text card (a title, an intertitle, credits)? A generative restorer redraws its letters.

A card is letters on a ground: nearly all pixels have the ground's level, and what differs from it are
many strokes of like height, set in lines with clear space between them. Faces, night scenes, test
patterns and drawings fail one of these; text over a picture is not called a card.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["is_text_card"]

_LEAST_LETTERS = 6


def is_text_card(luma: NDArray[np.uint8]) -> bool:
    """Whether a picture (h, w), 0..255, some 320 pixels wide, is a card."""
    height, width = luma.shape
    if height < 40 or width < 60:
        return False
    counts = np.bincount(luma.ravel(), minlength=256)
    smooth = np.convolve(counts, np.ones(25), "same")
    ground = int(np.argmax(smooth))
    if smooth[ground] < 0.6 * luma.size:
        return False
    strokes = (cv2.absdiff(luma, np.full_like(luma, ground)) > 60).astype(np.uint8)
    share = float(strokes.mean())
    if not 0.004 < share < 0.3:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    boxes = stats[1:]
    boxes = boxes[boxes[:, cv2.CC_STAT_AREA] >= 4]
    tall = boxes[:, cv2.CC_STAT_HEIGHT]
    wide = boxes[:, cv2.CC_STAT_WIDTH]
    hollow = boxes[:, cv2.CC_STAT_AREA] < 0.2 * tall * wide
    inner = ~(hollow & (wide > width / 2) & (tall > height / 2))  # not the frame around a text
    boxes, tall, wide = boxes[inner], tall[inner], wide[inner]
    letters = boxes[(tall >= 4) & (tall <= height / 5) & (wide <= width / 3)]
    return len(letters) >= _LEAST_LETTERS and _are_set(letters, boxes, height)


def _are_set(letters: NDArray[np.int32], boxes: NDArray[np.int32], height: int) -> bool:
    """Whether most boxes are letters of like height that stand in lines."""
    heights = letters[:, cv2.CC_STAT_HEIGHT].astype(float)
    usual = float(np.median(heights))
    alike = (heights > 0.5 * usual) & (heights < 1.8 * usual)
    if (
        alike.mean() < 0.7
        or letters[:, cv2.CC_STAT_AREA].sum() < 0.5 * boxes[:, cv2.CC_STAT_AREA].sum()
    ):
        return False
    rows = np.zeros(height, bool)
    for top, tall in letters[:, [cv2.CC_STAT_TOP, cv2.CC_STAT_HEIGHT]]:
        rows[top : top + tall] = True
    if rows.mean() > 0.75:  # no clear space between lines: spots all over the picture
        return False
    feet = letters[:, cv2.CC_STAT_TOP] + letters[:, cv2.CC_STAT_HEIGHT]
    feet = np.sort(feet[alike])
    lines = np.split(feet, np.flatnonzero(np.diff(feet) > max(1.0, 0.35 * usual)) + 1)
    standing = sum(len(line) for line in lines if len(line) >= 3)
    return standing >= 0.7 * len(feet) and len(lines) <= height / usual
