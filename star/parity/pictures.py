"""What is computed on pictures: the colour fixes, and the frequency loss."""

from einops import rearrange
from torch import Tensor

from restar.errors import CheckpointError
from star.colour import adain, split_bands, to_pictures, wavelet
from star.frequency import band_losses, by_magnitude, time_weight, weighted_loss
from star.parity.record import BLOCK, Fixtures, Folder

__all__ = ["run_colour", "run_frequency"]


def run_colour(_folder: Folder, file: Fixtures) -> None:
    """Run each group of a file by the keys that it has."""
    for name in sorted({key.split("/")[0] for key in file.tensors}):
        with file.trying(name):
            if f"{name}/image" in file:
                detail, coarse = split_bands(file[f"{name}/image"])
                file.judge(name, BLOCK, {f"{name}/high": detail, f"{name}/low": coarse})
            elif f"{name}/in_bcfhw" in file:
                made = to_pictures(file[f"{name}/in_bcfhw"])
                file.judge(name, BLOCK, {f"{name}/out_fhwc": made})
            elif f"{name}/target_0_255_THWC" in file:
                run_fixes(file, name)
            else:
                raise CheckpointError("not known here and not run")


def run_fixes(file: Fixtures, name: str) -> None:
    """Run those fixes that were recorded; pictures there are 0..255, their source -1..1."""
    pictures = rearrange(file[f"{name}/target_0_255_THWC"], "n h w c -> n c h w") / 255
    source = (file[f"{name}/source_m1_1_TCHW"] + 1) / 2
    for fix in (adain, wavelet):
        key = f"{name}/{fix.__name__}"
        if key in file:
            file.judge(key, BLOCK, {key: back(fix(pictures, source))})


def back(pictures: Tensor) -> Tensor:
    return rearrange(pictures, "n c h w -> n h w c") * 255


def run_frequency(_folder: Folder, file: Fixtures) -> None:
    """Compare the bands of two clips, the losses between them and their weights in time."""
    bands = {
        f"{name}_{band}": value
        for name in ("gt", "pred")
        for band, value in zip(("low", "high"), by_magnitude(file[name]), strict=True)
    }
    file.judge("bands", BLOCK, bands)
    low, high = band_losses(file["pred"], file["gt"], by_magnitude)
    times = file["t"]
    losses = {"loss_low": low, "loss_high": high, "loss_t": weighted_loss(low, high, times)}
    file.judge("losses", BLOCK, losses)
    file.judge("weight in time", BLOCK, {"weight_t": time_weight(times)})
