"""The published weights that can be fetched: their names here, and where they lie."""

from dataclasses import dataclass
from typing import Literal

from restar.errors import UsageError
from star.licences import LICENCES

__all__ = ["KNOWN", "Known", "known_weights"]

Kind = Literal["denoiser", "vae", "text"]


@dataclass(frozen=True)
class Known:
    """One entry; `path` is what is taken in of the `files` that are downloaded."""

    name: str
    kind: Kind
    repository: str
    files: tuple[str, ...]
    path: str
    gigabytes: float
    what: str

    @property
    def licence(self) -> str:
        return LICENCES[self.kind].name


_STAR, _SVD = "SherryX/STAR", "stabilityai/stable-video-diffusion-img2vid"
_CLIP = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"

KNOWN: tuple[Known, ...] = (
    Known(
        "star-light", "denoiser", _STAR, ("I2VGen-XL-based/light_deg.pt",),
        "I2VGen-XL-based/light_deg.pt", 8.2, "STAR for lightly worn material",
    ),
    Known(
        "star-heavy", "denoiser", _STAR, ("I2VGen-XL-based/heavy_deg.pt",),
        "I2VGen-XL-based/heavy_deg.pt", 8.2, "STAR for heavily worn material",
    ),
    Known(
        "svd-vae", "vae", _SVD,
        ("vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
        "vae", 0.4, "the VAE of both, from Stable Video Diffusion",
    ),
    Known(
        "clip-h-text", "text", _CLIP, ("config.json", "model.safetensors"),
        ".", 3.9, "the text tower of both, CLIP ViT-H/14",
    ),
)  # fmt: skip


def known_weights(name: str) -> Known:
    """Return the entry of this name; raise UsageError for others."""
    for known in KNOWN:
        if known.name == name:
            return known
    raise UsageError(
        f"no weights called '{name}' can be fetched; there are {', '.join(k.name for k in KNOWN)}. "
        "A file of your own: `restar weights import FILE --as NAME`"
    )
