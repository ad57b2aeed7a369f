"""The sampler with a whole small network, and the VAE in chunks."""

from collections.abc import Mapping
from typing import Any

from diffusers import AutoencoderKLTemporalDecoder

from restar.errors import CheckpointError
from star.denoiser import Denoiser, Guidance
from star.parity.diffusion import check_run, run_plan
from star.parity.nets import load_net
from star.parity.recipe import recipe
from star.parity.record import END_TO_END, NET, Fixtures, Folder, check_keys
from star.schedule import START, Schedule, make_plan
from star.vae import decode, encode_frames

__all__ = ["check_info", "run"]

_INFO = ("set", "net", "seed", "guide", "rescale", "runs", "vae")
_RUN = (
    "frames", "h", "w", "mode", "steps", "chunks", "max_chunk_len", "fp32_vs_fp64_rel", "out_std",
    "n_noise", "guide", "rescale", "t_max", "noise", "seed", "net",
)  # fmt: skip
_VAE = (
    "config", "weights", "diffusers", "note", "chunk_vs_whole_rel", "n_params",
    "encode_batched_vs_single_rel",
)  # fmt: skip


def check_info(info: Mapping[str, Any]) -> None:
    """Raise CheckpointError for an entry that is not known."""
    check_keys("e2e_info.json", info, _INFO)
    check_keys("e2e_info.json, vae", info.get("vae", {}), _VAE)
    for name, run in info.get("runs", {}).items():
        check_keys(f"e2e_info.json, run {name}", run, _RUN)


def run(folder: Folder, file: Fixtures) -> None:
    """Run everything in one file: each run `<run>/...`, and the VAE under `vae/`."""
    info = folder.json("e2e_info.json")
    for name in sorted({key.split("/")[0] for key in file.tensors}):
        with file.trying(name):
            if name == "vae":
                run_vae(file, info["vae"], int(info["seed"]))
            elif name in info.get("runs", {}):
                run_net(folder, file, name, info | info["runs"][name])
            else:
                raise CheckpointError(f"e2e_info.json describes no run '{name}'")


def run_net(folder: Folder, file: Fixtures, name: str, how: Mapping[str, Any]) -> None:
    """Sample with the folder's net."""
    under = f"{name}/"
    denoiser = Denoiser(
        load_net(folder, how["net"]), Schedule.published(), file[f"{under}y"], file[f"{under}neg_y"],
        file[f"{under}lr_latent"], Guidance(how["guide"], how["rescale"]), how.get("max_chunk_len"),
    )  # fmt: skip
    plan = make_plan(denoiser.schedule, how["mode"], how["steps"], how.get("t_max", START))
    check_run(how, plan, denoiser, file[f"{under}lr_latent"].shape[2])
    kind = {"noise": how.get("noise", "recorded")}
    values = run_plan(file, denoiser, plan, kind, int(how.get("seed", 0)), under)
    values[f"{under}out"] = values.pop("final")
    file.judge(name, END_TO_END, values)


def run_vae(file: Fixtures, how: Mapping[str, Any], seed: int) -> None:
    """Encode, and decode in chunks of as many frames as the keys say."""
    vae = AutoencoderKLTemporalDecoder(**how["config"])
    shapes = {key: tuple(tensor.shape) for key, tensor in vae.state_dict().items()}
    vae.load_state_dict(recipe(f"{seed}:vae", shapes), strict=True)
    vae.eval()
    count = sum(tensor.numel() for tensor in vae.state_dict().values())
    if how.get("n_params", count) != count:
        raise CheckpointError(f"{count} parameters, not {how['n_params']}")
    if "vae/x" in file:
        found = encode_frames(vae, file["vae/x"])
        file.judge("vae encoder", NET, {"vae/mean": found.mean, "vae/std": found.std})
    for key in [k for k in file.tensors if k.startswith("vae/decode_")]:
        latents = file["vae/z"]
        length = chunk_of(key, len(latents))
        made = decode(vae, latents, length)
        file.judge(f"vae decoder, {length} frames at once", NET, {key: made})


def chunk_of(key: str, frames: int) -> int:
    """Return how many frames were decoded at once, by the key: decode_chunk3, decode_whole7."""
    kind, number = key.removeprefix("vae/decode_")[:5], key.removeprefix("vae/decode_")[5:]
    if kind not in ("chunk", "whole") or not (number.isdecimal() or kind == "whole"):
        raise CheckpointError(f"'{key}' is not known here and was not run")
    return frames if kind == "whole" else int(number)
