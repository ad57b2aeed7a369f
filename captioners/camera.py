"""How a camera moved between two small pictures: Lucas-Kanade on a grid, and the similarity that fits it.

A pan, a tilt, a zoom or a turn moves every point by one rule; what moves otherwise is a subject. The rule
is fitted by reweighted least squares, and how many points follow it tells a camera from a crowd.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MOTION_WIDTH", "motion_between"]

Small = NDArray[np.uint8]

MOTION_WIDTH = 112  # pixels of the pictures; enough for what a camera does


def motion_between(before: Small, after: Small) -> dict[str, float]:
    """Fit content's shift and growth to the paths of a grid of points; widths and parts."""
    height, width = after.shape
    if min(height, width) < 24:
        return {}
    means = float(before.mean()), float(after.mean())
    if min(means) > 8:  # a flicker is no motion
        after = np.asarray(cv2.convertScaleAbs(after, alpha=means[0] / means[1]), np.uint8)
    start = _grid(width, height)
    end, found, error = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
        before, after, start, None, winSize=(13, 13), maxLevel=3,
        criteria=(3, 6, 0.03), minEigThreshold=1e-3,
    )  # fmt: skip
    good = (found.ravel() == 1) & (error.ravel() < 12)
    count = int(good.sum())
    if count < 12:
        return {"points": float(count)}
    at = (start[good, 0] - (width / 2, height / 2)) / width
    path = (end[good, 0] - start[good, 0]) / width
    pan, tilt, zoom, agreed = _similarity(at, path)
    lengths = np.sort(np.hypot(path[:, 0], path[:, 1]))
    return {
        "pan": pan, "tilt": tilt, "zoom": zoom, "agreed": agreed,
        "moved": float(lengths[count // 2]), "farthest": float(lengths[count - 2]),
        "points": float(count),
    }  # fmt: skip


@lru_cache(maxsize=4)
def _grid(width: int, height: int) -> NDArray[np.float32]:
    """Points (n, 1, 2) spread evenly over a picture."""
    columns, rows = 10, max(5, round(10 * height / width))
    xs = (np.arange(columns, dtype=np.float32) + 0.5) * width / columns
    ys = (np.arange(rows, dtype=np.float32) + 0.5) * height / rows
    return np.asarray(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 1, 2), np.float32)


def _similarity(at: NDArray[np.float32], path: NDArray[np.float32]) -> tuple[float, ...]:
    """Return shift x, y, growth and the part of the points that agree, by reweighted least squares.

    Points and paths are complex numbers: a path is shift + (growth + i turn) * point.
    """
    points = at[:, 0] + 1j * at[:, 1]
    paths = path[:, 0] + 1j * path[:, 1]
    shift, growth = complex(_middle(path[:, 0]), _middle(path[:, 1])), 0j
    for _ in range(4):
        far = np.abs(paths - shift - growth * points)
        scale = max(_AGREES, 1.5 * _middle(far))
        weight = 1 / (1 + (far / scale) ** 2) ** 2
        weight /= weight.sum()
        centre, middle = weight @ points, weight @ paths
        around = points - centre
        growth = (weight * around.conj()) @ (paths - middle) / (weight @ np.abs(around) ** 2 + 1e-9)
        shift = middle - growth * centre
    agreed = float(np.mean(np.abs(paths - shift - growth * points) < _AGREES))
    return float(shift.real), float(shift.imag), float(growth.real), agreed


def _middle(values: NDArray[np.floating]) -> float:
    """The middle value, of an even number the upper; np.median takes ten times as long."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


_AGREES = 1.2 / MOTION_WIDTH  # widths by which a point may be off a camera's path
