"""Against a pristine reference: VMAF by ffmpeg, the others by the same sessions."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from restar.errors import MediaError
from scorers.reference import against_reference, change_error, detail_spectrum, vmaf
from tests.films import run_ffmpeg
from tests.scorers.pairs import moving, pairs, twice


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("vmaf")
    clean, soft = folder / "clean's.mkv", folder / "soft.mkv"
    source = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=0.32"]
    run_ffmpeg([*source, "-c:v", "ffv1", str(clean)])
    run_ffmpeg([*source, "-vf", "gblur=sigma=2", "-c:v", "ffv1", str(soft)])
    return clean, soft


def test_vmaf_is_high_for_the_same_and_falls(films: tuple[Path, Path]) -> None:
    clean, soft = films
    same, worse = vmaf(clean, clean), vmaf(clean, soft)
    assert len(same) == len(worse) == 8
    assert min(same) > 95
    assert max(worse) < min(same) - 10


def test_a_film_that_can_not_be_read_is_named(films: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"VMAF of none\.mkv"):
        vmaf(films[0], tmp_path / "none.mkv")


def test_a_take_has_to_have_the_size_of_its_reference() -> None:
    pictures = moving(2)
    with pytest.raises(MediaError, match="384x216"):
        against_reference(pairs(pictures, twice(pictures)))


def test_the_reference_itself_is_perfect() -> None:
    pictures = moving(3)
    found = against_reference(pairs(pictures, pictures))
    assert {name: series.mean for name, series in found.items()} == {
        "psnr-to-source": 100.0,
        "ssim-to-source": 1.0,
        "warp-error": 0.0,
    }


def test_every_frame_is_looked_at() -> None:
    found = against_reference(pairs(moving(3), moving(3)))
    assert [series.frames for series in found.values()] == [(0, 1, 2), (0, 1, 2), (1, 2)]


def test_changes_are_wrong_where_flicker_is_and_not_where_all_is_lighter() -> None:
    clip = np.random.default_rng(0).random((4, 16, 20, 3)).astype(np.float32)
    assert change_error(clip, clip + 0.1) == pytest.approx(0, abs=1e-6)
    flickering = clip + np.array([0, 0.1, 0, 0.1], np.float32)[:, None, None, None]
    assert change_error(clip, flickering) == pytest.approx(0.1, rel=1e-4)
    assert change_error(clip[:1], clip[:1]) == 0


def test_spectrum_loses_its_fine_rings_by_blur_and_gains_them_by_noise() -> None:
    random = np.random.default_rng(0)
    clip = random.random((2, 64, 96)).astype(np.float32)
    plain = detail_spectrum(clip)
    soft = detail_spectrum(np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) for f in clip]))
    noisy = detail_spectrum(clip + random.standard_normal(clip.shape).astype(np.float32))
    assert plain.shape == (8,)
    assert soft[0] > 0.5 * plain[0]
    assert (soft[4:] < 0.1 * plain[4:]).all()
    assert (noisy[4:] > 3 * plain[4:]).all()
