"""Stand-ins for weights that can't be had where tests run: files of the right names, keys and shapes.

What they hold is drawn at random, one number for each output of a layer (so that a file is small), and
what a metric says with them means nothing: they show that its files are found, read and used.
"""

from pathlib import Path
from typing import Any

__all__ = ["put_standins"]


def put_standins(torch_home: Path, hub: Path) -> None:
    """Write stand-ins below TORCH_HOME and the cache of the Hugging Face hub."""
    import pyiqa
    import torch
    import torchvision

    torch.manual_seed(7)
    folder = torch_home / "hub" / "pyiqa"
    checkpoints = torch_home / "hub" / "checkpoints"
    for one in (folder, checkpoints):
        one.mkdir(parents=True)

    alexnet, vgg = torchvision.models.alexnet(), torchvision.models.vgg16()
    torch.save(_thin(alexnet.state_dict()), checkpoints / "alexnet-owt-7be5be79.pth")
    torch.save(_thin(vgg.state_dict()), checkpoints / "vgg16-397923af.pth")
    channels = (64, 192, 384, 256, 256)
    lines = {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1) for n, c in enumerate(channels)}
    torch.save(lines, folder / "LPIPS_v0.1_alex-df73285e.pth")
    parts = {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
    torch.save(parts, folder / "DISTS_weights-f5e65c96.pth")

    musiq = pyiqa.create_metric("musiq", pretrained=False, device="cpu").net
    torch.save(_thin(musiq.state_dict()), folder / "musiq_koniq_ckpt-e95806b9.pth")
    _put_topiq(folder, hub)


def _put_topiq(folder: Path, hub: Path) -> None:
    import pyiqa
    import timm
    import torch

    backbone = timm.create_model("resnet50", pretrained=False)
    name = backbone.default_cfg["hf_hub_id"].replace("/", "--")
    revision = "0" * 40
    place = hub / f"models--{name}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    (place / "snapshots" / revision).mkdir(parents=True)
    target = place / "snapshots" / revision / "pytorch_model.bin"
    torch.save(_thin(backbone.state_dict()), target)
    topiq = pyiqa.create_metric("topiq_nr", pretrained=False, backbone_pretrain=False, device="cpu")
    state = {"params": _thin(topiq.net.state_dict())}
    torch.save(state, folder / "cfanet_nr_koniq_res50-9a73138b.pth")


def _thin(state: dict[str, Any]) -> dict[str, Any]:
    """The same keys and shapes, with one number for each first index where there is more."""
    import torch

    thin = {}
    for name, value in state.items():
        if value.ndim > 1 and value.is_floating_point():
            scale = 1 / value[0].numel() ** 0.5
            column = scale * torch.randn(value.shape[0], *(1,) * (value.ndim - 1))
            thin[name] = column.expand(value.shape)
        else:
            thin[name] = value.clone()
    return thin
