"""Folders of fixtures with other seeds, widths, heads, shapes, batches, frames and plans.

Their numbers are this program's own, so they prove nothing of the published network; they prove that
`restar parity` takes nothing for granted that a folder says, and they can be spoilt on purpose.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from star.blocks import TemporalTransformer
from star.checkpoint import build, to_published
from star.colour import adain
from star.denoiser import Denoiser, Guidance, Network
from star.noise import brownian, no_noise, recorded
from star.parity.fake import FakeModel
from star.parity.recipe import recipe
from star.sampling import dpmpp_2m_sde
from star.schedule import Schedule, make_plan
from star.sizes import Sizes

__all__ = ["change", "make_variant"]

_FORMULA = (
    "v(x,t,y,hint) = (0.25+0.5*mean(y over dims 1,2))*x + 0.2*hint + 0.1*sin(t/99) "
    "+ 0.3*mean(x over c,f,h,w) + 0.01*k, k = frame index"
)


@torch.no_grad()
def make_variant(folder: Path, seed: int = 7, batch: int = 3, frames: int = 2) -> Path:
    """Write a folder with a net of another size, a block, two samplers and a colour fix."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    info: dict[str, Any] = {"seed": seed, "config": {"blk": {"f": frames, "dh": 8, "heads": 6}}}
    info["nets"] = {"net_other": _net(folder, seed, batch, frames)}
    info["blocks_without_stored_weights"] = {"temporal_transformer": _block(folder, seed, frames)}
    _write(folder / "model_info.json", info)
    _write(folder / "sampler_info.json", _samplers(folder, seed, batch))
    pictures, source = torch.rand(batch, 9, 7, 3) * 255, torch.rand(batch, 3, 4, 5) * 2 - 1
    made = adain(pictures.permute(0, 3, 1, 2) / 255, (source + 1) / 2).permute(0, 2, 3, 1) * 255
    save_file(
        {
            "any/target_0_255_THWC": pictures,
            "any/source_m1_1_TCHW": source,
            "any/adain": made.contiguous(),
        },
        folder / "color_fix.safetensors",
    )
    return folder


def change(path: Path, key: str, value: Tensor | None) -> None:
    """Replace a tensor of a fixture file, add it, or with None remove it."""
    tensors = load_file(path)
    tensors.pop(key, None)
    if value is not None:
        tensors[key] = value
    save_file(tensors, path)


def _net(folder: Path, seed: int, batch: int, frames: int) -> dict[str, Any]:
    sizes = Sizes(3, 5, 2, 64, (1, 1, 2), 1, 3, 16, 3, 24)
    models = build(sizes)
    for model in models:
        shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        model.load_state_dict(recipe(f"{seed}:w", shapes))
        model.eval()
    unet, control = models
    x = torch.randn(batch, 3, frames, 14, 4)
    t, text = torch.tensor([12, 500, 998][:batch]), torch.randn(batch, 5, 24)
    hint = torch.randn(batch, 2, frames, 14, 4)
    net = Network(unet, control)
    residuals, middle = control(x, t, text, hint)
    tensors = {"x": x, "t": t, "y": text, "hint": hint, "out": net(x, t, text, hint)}
    tensors |= {f"control.{n}": r for n, r in enumerate([*residuals, middle])}
    tensors["out_no_hint"] = net(x, t, text, None)
    published = to_published(unet.state_dict(), control.state_dict(), sizes)
    tensors |= {f"w.{name}": tensor for name, tensor in published.items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "net_other.safetensors")
    kw = {
        "in_dim": 3, "out_dim": 5, "dim": 64, "context_dim": 24, "dim_mult": [1, 1, 2],
        "num_heads": 3, "head_dim": 16, "num_res_blocks": 1, "y_dim": 9,
    }  # fmt: skip
    return {"kw": kw, "weights": "stored", "params": sum(t.numel() for t in published.values())}


def _block(folder: Path, seed: int, frames: int) -> dict[str, Any]:
    block = TemporalTransformer(32, 3, 16, 32, "before_norm")  # 6 heads of 8 are said, 3 are right
    shapes = {key: tuple(tensor.shape) for key, tensor in block.state_dict().items()}
    listed = {
        k: (*s, 1) if k.endswith(("in.weight", "out.weight")) else s for k, s in shapes.items()
    }
    weights = recipe(f"{seed}:temporal_transformer", listed)
    block.load_state_dict({key: weights[key].reshape(shape) for key, shape in shapes.items()})
    clip = torch.randn(1, 32, frames, 3, 5)
    made = block.eval()(clip[0].transpose(0, 1), frames).transpose(0, 1)[None].contiguous()
    save_file(
        {"temporal_transformer/in0": clip, "temporal_transformer/out": made},
        folder / "blocks.safetensors",
    )
    return listed


def _samplers(folder: Path, seed: int, batch: int) -> dict[str, Any]:
    runs: dict[str, Any] = {}
    settings = (
        ("a", "normal", 3, "recorded", 5, None, 3.0, None),
        ("b", "fast", 15, "brownian", 23, 9, 1.0, 0.5),
        ("c", "normal", 1, "s_noise0", 1, None, 7.5, 1.0),
    )
    schedule, model = Schedule.published(), FakeModel.of(_FORMULA)
    for name, mode, steps, noise, frames, length, scale, rescale in settings:
        latent, eps = torch.randn(2, batch, 6, frames, 3, 2).unbind(0)
        text, negative = torch.randn(2, batch, 4, 8).unbind(0)
        plan = make_plan(schedule, mode, steps)  # type: ignore[arg-type]
        x = schedule.diffuse(latent, plan.model_times[:1], eps)
        given = [torch.randn_like(x) for _ in range(len(plan) - 1)]
        torch.manual_seed(seed)
        sources = {"recorded": recorded(given), "s_noise0": no_noise(x)}
        source = sources.get(noise) or brownian(x, plan.ve_sigmas)
        guidance = Guidance(scale, rescale)
        denoiser = Denoiser(model, schedule, text, negative, latent, guidance, length)
        tensors = {"lr_latent": latent, "eps": eps, "y": text, "neg_y": negative}
        tensors["final"] = dpmpp_2m_sde(denoiser, x, plan, source)
        if noise == "recorded":
            tensors |= {f"noise.{n}": one for n, one in enumerate(given)}
        save_file(
            {k: v.contiguous() for k, v in tensors.items()}, folder / f"sampler_{name}.safetensors"
        )
        chunks = None if length is None else [list(one) for one in denoiser.windows(frames)]
        runs[name] = {
            "mode": mode, "steps": steps, "noise": noise, "chunks": chunks, "guide": scale,
            "rescale": rescale, "shape": list(latent.shape),
        }  # fmt: skip
    return {"config": {"brown": seed, "max_len": 9}, "fake_model": _FORMULA, "runs": runs}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), "utf-8")


def sizes_as_json(sizes: Sizes) -> dict[str, Any]:
    return {**asdict(sizes), "multipliers": list(sizes.multipliers)}
