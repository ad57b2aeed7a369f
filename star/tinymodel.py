"""star-tiny as a whole: codec, text tower, UNet and ControlNet, saved and loaded as one file, strictly.

What it computes is `StarUNet`'s velocity of the residual between the wanted and the enlarged picture.
`latents` and `pictures` go from one to the other; whoever restores or trains uses the same two.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from restar.errors import CheckpointError, UsageError
from star.patchcodec import PatchCodec
from star.schedule import Schedule
from star.sizes import Sizes
from star.tiny import TinyControlNet, TinyNetwork, TinyUNet
from star.tinytext import encode_with_gradient, tiny_tower

__all__ = [
    "DONE_SHARE",
    "SCALES",
    "START_NOISE",
    "TINY_SIZES",
    "TinyStar",
    "enlarged",
    "load_tiny",
    "save_tiny",
]

SCALES = (2, 4)
# Of the noise that a walk of several steps begins with, star-tiny gets this part: all of it would come
# out as grain (docs/star-tiny.md). One step begins where nothing of the latent is seen, and is the same.
START_NOISE = 0.1
# Of what the network would change, this part is done. It costs 0.07 dB at most in the mean and takes half
# of the loss off where the network is wrong, as on rock that it takes for grain (docs/star-tiny.md).
DONE_SHARE = 0.9
TINY_SIZES = Sizes(
    in_channels=48,
    out_channels=48,
    hint_channels=48,
    base_channels=48,
    multipliers=(1, 1, 2),
    layers_per_level=1,
    attention_levels=0,
    head_dim=24,
    first_heads=1,
    text_dim=64,
    groups=16,
    dropout=0.0,
    liem_position="after_norm",
    pooled_heads=4,
)
_FORMAT = "star-tiny 1"


class TinyStar(nn.Module):
    """The four parts; `codec` holds no weights but the scales of its channels."""

    def __init__(self, sizes: Sizes = TINY_SIZES, codec: PatchCodec | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        self.codec = codec or PatchCodec()
        self.schedule = Schedule.published()
        config = asdict(sizes)
        common = {k: v for k, v in config.items() if not k.endswith("_channels")}
        common["base_channels"] = sizes.base_channels
        unet = TinyUNet(
            in_channels=sizes.in_channels + sizes.hint_channels,
            out_channels=sizes.out_channels,
            **common,
        )
        control = TinyControlNet(
            in_channels=sizes.in_channels, hint_channels=sizes.hint_channels, **common
        )
        self.network = TinyNetwork(unet, control, self.schedule)
        self.text = tiny_tower(sizes.text_dim)

    def latents(self, wanted: Tensor, large: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x_0, hint), (b, c, f, h/4, w/4), for clips (b, f, 3, h, w) in -1..1."""
        residual = self._coded(wanted - large) / _wide(self.codec.residual_std)
        return residual, self.hint(large)

    def hint(self, large: Tensor) -> Tensor:
        """Return the hint (b, c, f, h/4, w/4) of an enlarged clip (b, f, 3, h, w) in -1..1."""
        return self._coded(large) / _wide(self.codec.hint_std)

    def residual(self, x0: Tensor) -> Tensor:
        """Return what to add to the enlarged clip, (b, f, 3, h, w), for a latent x_0."""
        frames = (x0 * _wide(self.codec.residual_std)).transpose(1, 2)
        made = self.codec.decode(frames.flatten(0, 1)).sample
        return made.unflatten(0, frames.shape[:2])

    def restored(self, x0: Tensor, large: Tensor) -> Tensor:
        """Return the clip (b, f, 3, h, w) that a latent x_0 stands for beside the enlarged one."""
        return large + DONE_SHARE * self.residual(x0)

    def words(self, ids: Tensor) -> Tensor:
        """Return the text (b, words, width) for token ids (b, words), with its gradient."""
        return encode_with_gradient(self.text, ids)

    def _coded(self, clip: Tensor) -> Tensor:
        made = self.codec.encode(clip.flatten(0, 1)).latent_dist.mean
        return made.unflatten(0, clip.shape[:2]).transpose(1, 2)


def enlarged(frames: Tensor, scale: int) -> Tensor:
    """Return frames (n, 3, h, w) enlarged by 2 or 4, bicubic: what star-tiny adds its residual to."""
    if scale not in SCALES:
        raise UsageError(f"star-tiny enlarges by 2 or 4, not by {scale}")
    return F.interpolate(frames, scale_factor=scale, mode="bicubic", align_corners=False)


def save_tiny(model: TinyStar, path: Path, note: dict[str, Any], dtype: torch.dtype) -> None:
    """Write the model's weights and sizes as one safetensors file; `note` is kept in its header."""
    codec = {k: model.codec.config[k] for k in ("patch", "hint_scale", "residual_scale")}
    told = {"sizes": asdict(model.sizes), "codec": codec, "note": note}
    state = {k: v.detach().to(dtype).contiguous() for k, v in model.state_dict().items()}
    part = path.with_name(f".{path.name}.part")
    save_file(state, part, {"format": _FORMAT, "star-tiny": json.dumps(told)})
    part.replace(path)


def load_tiny(path: Path) -> tuple[TinyStar, dict[str, Any]]:
    """Return the model in a file, float32 and in eval mode, and its note; every tensor must be there.

    Raises CheckpointError for a file that is missing, damaged or of another model.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of star-tiny's weights")
    try:
        with safe_open(path, "pt") as file:
            head = file.metadata() or {}
            if head.get("format") != _FORMAT:
                raise CheckpointError(
                    f"{path}: not a star-tiny file; choose one that was made by it"
                )
            told = json.loads(head["star-tiny"])
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        model = TinyStar(Sizes.of(told["sizes"]), PatchCodec(**told["codec"]))
        model.load_state_dict(state, strict=True)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not whole star-tiny weights ({said})") from None
    if not all(bool(v.isfinite().all()) for v in state.values()):
        raise CheckpointError(f"{path}: holds NaN or infinity; take the file anew")
    return model.eval(), told["note"]


def _wide(scale: Tensor) -> Tensor:
    return scale.view(1, -1, 1, 1, 1)
