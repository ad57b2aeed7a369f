"""Measures against a pristine reference, for benchmarks: in an archive nobody has one.

A reference has the take's size. PSNR, SSIM, E_warp along the reference's flow (DIS-based, so not to be
compared with figures by a network's flow), VMAF by the libvmaf of the ffmpeg that is installed along;
LPIPS and DISTS where their weights are (scorers.noreference).
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media import ffmpeg
from restar.errors import MediaError
from scorers import ScoreSeries, ScoringSession, scorer
from scorers.pair import Pair
from scorers.session import FrameSession

__all__ = ["REFERENCE_SCORERS", "against_reference", "change_error", "detail_spectrum", "vmaf"]

REFERENCE_SCORERS = ("psnr-to-source", "ssim-to-source", "warp-error")


def against_reference(
    pairs: Iterable[Pair], names: Iterable[str] = REFERENCE_SCORERS
) -> dict[str, ScoreSeries]:
    """Return what scorers say of takes beside their reference, which stands in the source's place.

    Every frame is looked at, also by scorers that take samples of a scene: a clip has few. "warp-error"
    is then E_warp of the take less that of the reference, along the reference's motion. Raises MediaError
    where the sizes differ: a reference is not scaled.
    """
    sessions: list[ScoringSession] = []
    for pair in pairs:
        if not pair.same_size:
            raise MediaError(
                f"a take of {pair.take.width}x{pair.take.height} has no reference of "
                f"{pair.source.width}x{pair.source.height}; give one of the same size"
            )
        if not sessions:
            sessions = [scorer(name).start(*pair.formats) for name in names]
            for session in sessions:
                if isinstance(session, FrameSession):
                    session.every = 1
        for session in sessions:
            session.see(pair)
    return {series.name: series for series in (session.finish() for session in sessions)}


def change_error(reference: NDArray[np.float32], take: NDArray[np.float32]) -> float:
    """Return how far a clip's changes from frame to frame are from its reference's: mean, as given.

    Both are (f, h, w, ...); mean |(T_t - T_t-1) - (R_t - R_t-1)|, so grain and flicker that a reference
    does not have count in full, and motion that is right does not. 0 for a single frame.
    """
    if len(take) < 2:
        return 0.0
    changes = np.diff(take, axis=0) - np.diff(reference, axis=0)
    return float(np.abs(changes).mean())


def detail_spectrum(lumas: NDArray[np.float32], bands: int = 8) -> NDArray[np.float64]:
    """Return the mean power of a clip's lumas (f, h, w) in rings of spatial frequency, coarse to fine.

    The rings are of equal width up to the finest frequency of both axes (half a cycle a pixel); a Hann
    window keeps the frame's edge out. What a model blurs is missing from the fine rings, what it
    leaves of noise or makes up is too much in them.
    """
    height, width = lumas.shape[1:]
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    ring = np.minimum((radius * 2 * bands).astype(int), bands)
    count = np.bincount(ring.ravel(), minlength=bands + 1)
    total = np.zeros(bands + 1)
    for luma in lumas:
        power = np.square(np.abs(np.fft.rfft2((luma - luma.mean()) * window)))
        total += np.bincount(ring.ravel(), power.ravel(), bands + 1)
    return np.asarray((total / np.maximum(count, 1) / len(lumas))[:bands])


def vmaf(reference: Path, take: Path) -> list[float]:
    """Return VMAF of each frame (Netflix's model v0.6.1, 0 to 100), by ffmpeg's libvmaf.

    Both films have the same size and as many frames. Raises MediaError where this ffmpeg has no
    libvmaf, or can't read one of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "vmaf.json"
        graph = (
            "[0:v]settb=1/1000,setpts=N[take];[1:v]settb=1/1000,setpts=N[reference];"
            f"[take][reference]libvmaf=log_fmt=json:log_path={log.name}"
        )
        arguments = [
            "-i", ffmpeg.file_url(take), "-i", ffmpeg.file_url(reference),
            "-lavfi", graph, "-f", "null", "-",
        ]  # fmt: skip
        ffmpeg.run(arguments, f"VMAF of {take.name}", folder=Path(folder))
        data = json.loads(log.read_text(encoding="utf-8"))
    return [float(frame["metrics"]["vmaf"]) for frame in data["frames"]]
