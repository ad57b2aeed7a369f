"""pyiqa's members: parameters that come along, weights that don't, and nothing loaded unasked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from restar.errors import CheckpointError
from scorers import noreference, scorer
from tests.scorers.pairs import moving, scored

ROOT = Path(__file__).parents[2]


def natural(size: tuple[int, int] = (320, 240)) -> list[np.ndarray]:
    return moving(1, seed=4, size=size)


@pytest.mark.parametrize("name", ["niqe", "brisque"])
def test_blur_and_noise_are_worse(name: str) -> None:
    import cv2

    (clean,) = natural()
    noise = np.random.default_rng(0).normal(0, 0.12, clean.shape).astype(np.float32)
    values = [
        scored(scorer(name), [clean], [p.clip(0, 1)]).mean or 0.0
        for p in (clean, cv2.GaussianBlur(clean, (0, 0), 4), clean + noise)
    ]
    assert values[0] < min(values[1:])


def test_niqe_is_that_of_its_parameters() -> None:
    """iqa-torch 1.2.1's own code gives 6.17 (of Y) and 6.22 (of gray) for this picture."""
    (clean,) = natural()
    assert scored(scorer("niqe"), [clean], [clean]).mean == pytest.approx(6.2, abs=0.1)
    assert scored(scorer("brisque"), [clean], [clean]).mean == pytest.approx(43, abs=1)


def test_parameters_have_the_published_shape() -> None:
    with np.load(noreference._parameters("niqe.npz"), allow_pickle=False) as data:
        assert (data["mean"].shape, data["covariance"].shape) == ((1, 36), (36, 36))
        assert np.linalg.eigvalsh(data["covariance"]).min() > -1e-9
    with np.load(noreference._parameters("brisque.npz"), allow_pickle=False) as data:
        assert data["vectors"].shape == (770, 36)
        assert np.abs(data["coefficients"]).max() == 1024
        assert float(data["rho"]) == -155.845
    for name in ("LICENSE", "NOTICE"):
        assert "Apache License" in noreference._parameters(name).read_text()


def test_a_small_picture_has_no_niqe() -> None:
    small = moving(1, size=(180, 120))
    assert scored(scorer("niqe"), small, small).values == ()


def test_weights_that_hold_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "pyiqa" / "musiq_koniq_ckpt-e95806b9.pth"
    path.parent.mkdir(parents=True)
    torch.save({"params": Path("/tmp")}, path)  # noqa: S108  an object that is no tensor
    noreference._network.cache_clear()
    video = scorer("musiq")
    with pytest.raises(CheckpointError, match="holds more than weights"):
        scored(video, natural(), natural())
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="holds more than weights"):
        scored(video, natural(), natural())


def test_torch_is_loaded_only_where_it_is_asked_for() -> None:
    code = (
        "import sys; from scorers import scorer; from restar.recipe import STANDARD_SCORERS; "
        "[scorer(n) for n in STANDARD_SCORERS]; scorer('niqe').about; import tasks.score; "
        "print([m for m in ('torch', 'pyiqa', 'scipy') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]"
