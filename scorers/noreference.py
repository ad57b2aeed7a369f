"""Quality of a take by itself, by pyiqa: what needs no source, and a learned distance to it.

These numbers sort takes and warn; they can't judge. On open opinions of enlarged video NIQE, MUSIQ and
CLIP-IQA+ prefer the better of two results less often than a coin would: they reward over-sharpening
(docs/scores.md). pyiqa (PolyForm Noncommercial and S-Lab licences) and torch are imported when a session
is started and not before. Nothing is ever downloaded: a file that is missing is named, with its place.
"""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from media.convert import scaled, to_rgb
from media.format import VideoFormat
from restar.errors import CheckpointError, PluginError
from restar.hashing import sha256_of_file
from scorers import Metric
from scorers.pair import Pair
from scorers.session import FrameScorer, FrameSession

__all__ = [
    "Brisque",
    "ClipIqa",
    "DistsToSource",
    "IlNiqe",
    "LpipsToSource",
    "Maniqa",
    "Musiq",
    "Niqe",
    "Piqe",
    "Topiq",
    "weights_folder",
]

_LICENCE = "PolyForm Noncommercial 1.0.0 + S-Lab 1.0"
_HUB, _CHECKPOINTS, _CLIP = "hub/pyiqa", "hub/checkpoints", "hub/clip"
_RN50 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"
_BACKBONE = "; its timm backbone in the Hugging Face cache"


def weights_folder() -> Path:
    """Return the folder below which torch and pyiqa look for files: TORCH_HOME, or its default."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


def _about(
    what: str,
    better: Any,
    range_: str,
    source: str,
    needs: tuple[str, ...] = (),
    parts: str = "",
    cost: float = 0.0,
) -> Metric:
    return Metric(
        what, "points", better, range_, licence=_LICENCE + parts, commercial_use=False,
        source=source, sampled=True, files=needs, cost=cost,
    )  # fmt: skip


class _PyiqaSession(FrameSession):
    """Measures the take's picture, or both at the source's size where the metric has two inputs."""

    def __init__(self, name: str, about: Metric, network: Any, least: int, paired: bool) -> None:
        super().__init__(name, about)
        self._network, self._least, self._paired = network, least, paired

    def see(self, pair: Pair) -> None:
        take = pair.take
        if self._paired and not pair.same_size:
            take = scaled(take, pair.source.width, pair.source.height, "area")
        if min(take.width, take.height) < self._least:
            return
        pictures = [to_rgb(take, pair.formats[1].colour)]
        if self._paired:
            pictures.append(to_rgb(pair.source, pair.formats[0].colour))
        value = _value(self._network, pictures)
        if value is not None:
            self.record(pair.index, value)


class _Pyiqa(FrameScorer):
    metric: ClassVar[str]
    least: ClassVar[int] = 32
    paired: ClassVar[bool] = False

    @staticmethod
    def options(folder: Path) -> dict[str, Any]:
        """What pyiqa is told; files that it has to read may be made in `folder`."""
        return {}

    def start(self, source: VideoFormat, take: VideoFormat) -> FrameSession:
        """Return the measuring; PluginError or CheckpointError say what is missing."""
        network = _network(self.name)
        return _PyiqaSession(self.name, self.about, network, self.least, self.paired)


class Niqe(_Pyiqa):
    """Distance of a picture's statistics from those of natural pictures (Mittal et al. 2013).

    Parameters of basicsr and iqa-torch (scorers/parameters/NOTICE). It rates the output of a GAN above
    the truth: never sort by it alone. At least two blocks of 96 x 96 pixels.
    """

    name = metric = "niqe"
    about = _about("naturalness", "lower", "about 2 to 15", "Mittal et al. 2013", cost=1490)
    least = 192

    @staticmethod
    def options(folder: Path) -> dict[str, Any]:
        import scipy.io

        with np.load(_parameters("niqe.npz"), allow_pickle=False) as data:
            content = {"mu_prisparam": data["mean"], "cov_prisparam": data["covariance"]}
        path = folder / "niqe.mat"
        scipy.io.savemat(path, content)
        return {"pretrained_model_path": str(path)}


class Brisque(_Pyiqa):
    """Distortion of a picture's statistics, by a support vector machine (Mittal et al. 2012).

    The machine of the package `brisque` 0.2.0 (scorers/parameters/NOTICE), with its own constant.
    """

    name = metric = "brisque"
    about = _about(
        "distortion of natural statistics", "lower", "about 0 to 100", "Mittal et al. 2012",
        cost=245,
    )  # fmt: skip

    @staticmethod
    def options(folder: Path) -> dict[str, Any]:
        import torch

        with np.load(_parameters("brisque.npz"), allow_pickle=False) as data:
            machine = tuple(torch.from_numpy(data[k]) for k in ("coefficients", "vectors"))
        path = folder / "brisque.pth"
        torch.save(machine, path)
        return {"pretrained_model_path": str(path)}


class Piqe(_Pyiqa):
    """Block-wise distortion (Venkatanath et al. 2015). It rates noise above clean pictures."""

    name = metric = "piqe"
    about = _about("distorted blocks", "lower", "0 to 100", "Venkatanath et al. 2015", cost=176)


class IlNiqe(_Pyiqa):
    """NIQE with colour, gradients and filters (Zhang et al. 2015)."""

    name = metric = "ilniqe"
    about = _about(
        "naturalness, with colour", "lower", "about 10 to 100", "Zhang et al. 2015",
        (f"{_HUB}/ILNIQE_templateModel.mat",),
    )  # fmt: skip
    least = 168


class Musiq(_Pyiqa):
    """Opinion by a multi-scale transformer (Ke et al. 2021), trained on KonIQ-10k."""

    name = metric = "musiq"
    about = _about(
        "opinion, learnt from KonIQ-10k", "higher", "0 to 100", "Ke et al. 2021",
        (f"{_HUB}/musiq_koniq_ckpt-e95806b9.pth",), "; weights Apache-2.0",
    )  # fmt: skip


class ClipIqa(_Pyiqa):
    """Opinion by CLIP's sense of "good photo" against "bad photo" (Wang et al. 2023)."""

    name = metric = "clipiqa"
    about = _about(
        "opinion, by CLIP", "higher", "0 to 1", "Wang et al. 2023", (f"{_CLIP}/RN50.pt",),
        "; weights MIT",
    )  # fmt: skip


class Topiq(_Pyiqa):
    """Opinion by attention from semantics to distortion (Chen et al. 2024), trained on KonIQ-10k."""

    name, metric = "topiq", "topiq_nr"
    about = _about(
        "opinion, learnt from KonIQ-10k", "higher", "0 to 1", "Chen et al. 2024",
        (f"{_HUB}/cfanet_nr_koniq_res50-9a73138b.pth",), _BACKBONE,
    )  # fmt: skip
    least = 64


class Maniqa(_Pyiqa):
    """Opinion by a vision transformer over dimensions (Yang et al. 2022), trained on KonIQ-10k."""

    name = metric = "maniqa"
    about = _about(
        "opinion, learnt from KonIQ-10k", "higher", "0 to 1", "Yang et al. 2022",
        (f"{_HUB}/ckpt_koniq10k.pt",), _BACKBONE,
    )  # fmt: skip
    least = 224


class LpipsToSource(_Pyiqa):
    """Learned distance of the take degraded back (Zhang et al. 2018; AlexNet, version 0.1)."""

    name, metric = "lpips-to-source", "lpips"
    about = _about(
        "fidelity to the source: learned distance of the take degraded back", "lower", "0 to 1",
        "Zhang et al. 2018",
        (f"{_HUB}/LPIPS_v0.1_alex-df73285e.pth", f"{_CHECKPOINTS}/alexnet-owt-7be5be79.pth"),
        "; weights BSD-2-Clause and BSD-3-Clause",
    )  # fmt: skip
    paired = True


class DistsToSource(_Pyiqa):
    """Distance of structure and texture of the take degraded back (Ding et al. 2020)."""

    name, metric = "dists-to-source", "dists"
    about = _about(
        "fidelity to the source: structure and texture, learned", "lower", "0 to 1",
        "Ding et al. 2020",
        (f"{_HUB}/DISTS_weights-f5e65c96.pth", f"{_CHECKPOINTS}/vgg16-397923af.pth"),
        "; weights MIT and BSD-3-Clause",
    )  # fmt: skip
    paired = True


@lru_cache(maxsize=8)
def _network(name: str) -> Any:
    """A metric's network, made once a process."""
    member = next(kind for kind in _Pyiqa.__subclasses__() if kind.name == name)
    needs = [weights_folder() / name for name in member.about.files]
    missing = [path for path in needs if not path.is_file()]
    try:
        import pyiqa
        import torch
    except ImportError as error:
        raise PluginError(
            f"scorer {member.name}: {error.name} is not installed: pip install 'restar[iqa]' "
            f"(licence: {_LICENCE}: not for commercial use)"
        ) from None
    if missing:
        raise CheckpointError(
            f"scorer {member.name}: its weights are not here: put {missing[0].name} in "
            f"{missing[0].parent} (restar downloads nothing)"
        )
    for path in needs:
        _refuse_code(path, torch)
    with tempfile.TemporaryDirectory() as folder, _offline(), redirect_stdout(StringIO()):
        try:
            options = member.options(Path(folder))
            network = pyiqa.create_metric(member.metric, device="cpu", **options)
        except Exception as error:  # timm, torch and pyiqa each raise their own
            raise CheckpointError(
                f"scorer {member.name}: does not load ({type(error).__name__}: {error})"
            ) from None
    if member is Brisque:
        with np.load(_parameters("brisque.npz"), allow_pickle=False) as data:
            network.net.rho = float(data["rho"])
    return network


def _refuse_code(path: Path, torch: Any) -> None:
    """Weights may hold numbers only. RN50.pt is a program (TorchScript), so known by its hash alone."""
    if path.suffix == ".mat":
        return
    if path.parent.name == "clip":  # pyiqa would fetch the right one in the place of another
        if sha256_of_file(path) != _RN50:
            raise CheckpointError(f"{path}: not the file of OpenAI's CLIP; take it from there anew")
        return
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle can raise anything
        raise CheckpointError(f"{path}: holds more than weights, or is damaged ({error})") from None


@contextmanager
def _offline() -> Iterator[None]:
    """Let no library go out for what is missing."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _value(network: Any, pictures: list[NDArray[np.float32]]) -> float | None:
    """The metric of R'G'B' pictures (h, w, 3), 0..1; None where it has none (one colour, say)."""
    import torch

    inputs = [torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)[None])) for p in pictures]
    try:
        value = float(network(*inputs))
    except (RuntimeError, AssertionError):  # a matrix that has no inverse, a picture too small
        return None
    return value if math.isfinite(value) else None


def _parameters(name: str) -> Path:
    return Path(str(files("scorers") / "parameters" / name))
