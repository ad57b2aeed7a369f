"""The schedule, the plans, guidance and the sampler, the last with a stand-in for the network."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from restar.errors import CheckpointError
from star.denoiser import Denoiser, Guidance, Predict
from star.guidance import guide
from star.noise import NoiseSource, brownian, no_noise, recorded
from star.parity.fake import FakeModel
from star.parity.record import BLOCK, EXACT, Fixtures, Folder, check_keys
from star.sampling import dpmpp_2m_sde
from star.schedule import START, Plan, Schedule, log_snr, make_plan
from star.windows import join_by_cuts

__all__ = ["check_info", "run_operations", "run_plan", "run_sampler", "run_schedule"]

_INFO = (
    "set", "config", "fake_model", "runs", "plans", "normal_mode_steps_whose_eval_count_differs",
)  # fmt: skip
_RUN = (
    "shape", "mode", "steps", "noise", "chunks", "guide", "rescale", "model_calls", "t_per_denoise",
    "final_stats", "max_chunk_len", "t_max", "seed",
)  # fmt: skip
_PLAN = ("t_max", "solver_mode", "steps_arg", "n_model_evals", "t_model")
_CHUNK = "x0_first_step_chunk"


def check_info(info: Mapping[str, Any]) -> None:
    """Raise CheckpointError for an entry that is not known, or a count of steps that is not ours."""
    check_keys("sampler_info.json", info, _INFO)
    for name, run in info.get("runs", {}).items():
        check_keys(f"sampler_info.json, run {name}", run, _RUN)
    for name, plan in info.get("plans", {}).items():
        check_keys(f"sampler_info.json, plan {name}", plan, _PLAN)
    schedule = Schedule.published()
    for key, count in info.get(_INFO[-1], {}).items():
        start, steps = map(int, key.split(":"))
        if len(make_plan(schedule, "normal", steps, start)) != count:
            raise CheckpointError(
                f"sampler_info.json: a normal plan {key} has not {count} steps here"
            )


def run_schedule(folder: Folder, file: Fixtures) -> None:
    """Compare the tables, and each plan that sampler_info.json describes."""
    run_tables(file)
    plans = folder.json("sampler_info.json").get("plans", {})
    schedule = Schedule.published()
    for name in sorted({k.split("/")[1] for k in file.tensors if k.startswith("sampling/")}):
        with file.trying(f"plan {name}"):
            if name not in plans:
                raise CheckpointError("sampler_info.json does not say how this plan is made")
            how = plans[name]
            plan = make_plan(schedule, how["solver_mode"], how["steps_arg"], how["t_max"])
            if plan.model_times.tolist() != how.get("t_model", plan.model_times.tolist()):
                raise CheckpointError(f"steps at {plan.model_times.tolist()}, not {how['t_model']}")
            values = {"sigmas_ve": plan.ve_sigmas, "t_float": plan.times}
            under = f"sampling/{name}"
            file.judge(f"plan {name}", BLOCK, {f"{under}/{k}": v for k, v in values.items()})
            file.judge(f"plan {name} times", EXACT, {f"{under}/t_model": plan.model_times})


def run_tables(file: Fixtures) -> None:
    for key, wanted in file.tensors.items():
        count = len(wanted)
        whole = Schedule.published()
        made = whole if count == len(whole.sigmas) else Schedule.of_formula(count)
        tables = {
            "sigmas_vp": made.sigmas,
            "alphas_vp": made.alphas,
            "sigmas_ve": made.ve_sigmas,
        }
        of = {f"{name}_{count}": table for name, table in tables.items()}
        of |= {"logsnr_f32": log_snr(count), "sigmas_raw_before_zero_snr": made.sigmas}
        if key in of:
            file.judge(key, BLOCK, {key: of[key]})


def run_operations(folder: Folder, file: Fixtures) -> None:
    """Compare diffusing, the velocity, x_0 from it, and guidance over the stand-in network."""
    schedule = Schedule.published()
    t, x0, noise = file["t"], file["x0"], file["noise"]
    xt = schedule.diffuse(x0, t, noise)
    file.judge("diffuse", BLOCK, {"xt": xt})
    file.judge("velocity", BLOCK, {"velocity": schedule.velocity(x0, t, noise)})
    # Recorded with the noise in the place of the velocity.
    file.judge("x0_from_v", BLOCK, {"x0_from_v": schedule.clean(xt, t, noise)})
    tags = {key.split("/")[1] for key in file.tensors if key.count("/") == 2}
    if not tags:
        return
    text, negative, hint = (file[f"cfg/{key}"] for key in ("y", "neg_y", "hint"))
    model = fake_model(folder)
    towards, away = model(xt, t, text, hint), model(xt, t, negative, hint)
    for tag in sorted(tags):
        with file.trying(f"cfg {tag}"):
            scale, rescale = guidance_of(tag)
            v = towards if scale is None else guide(towards, away, scale, rescale)
            clean = schedule.clean(xt, t, v)
            mean, variance = schedule.posterior(xt, t, clean)
            values = {"x0": clean, "eps": schedule.noise(xt, t, clean), "mu": mean, "var": variance}
            file.judge(f"cfg {tag}", BLOCK, {f"cfg/{tag}/{k}": v for k, v in values.items()})


def guidance_of(tag: str) -> tuple[float | None, float | None]:
    """Return (scale, rescale) of "g7.5_r0.2", "g7.5_none", "g1" or "none"."""
    if tag == "none":
        return None, None
    found = re.fullmatch(r"g([\d.]+)(?:_(?:none|r([\d.]+)))?", tag)
    if found is None:
        raise CheckpointError("not known here and not run")
    return float(found[1]), None if found[2] is None else float(found[2])


def run_sampler(folder: Folder, file: Fixtures) -> None:
    """Run the sampler on the stand-in network, as sampler_info.json says for this file."""
    info = folder.json("sampler_info.json")
    name = file.name.removeprefix("sampler_").removesuffix(".safetensors")
    if name not in info.get("runs", {}):
        raise CheckpointError(f"sampler_info.json describes no run '{name}'")
    config, how = info.get("config", {}), info["runs"][name]
    length = how.get("max_chunk_len", config.get("max_len")) if how["chunks"] else None
    calls = _Counted(fake_model(folder))
    denoiser = Denoiser(
        calls, Schedule.published(), file["y"], file["neg_y"], file["lr_latent"],
        Guidance(how["guide"], how["rescale"]), length,
    )  # fmt: skip
    plan = make_plan(denoiser.schedule, how["mode"], how["steps"], how.get("t_max", START))
    values = run_plan(file, denoiser, plan, how, int(how.get("seed", config.get("brown", 0))))
    final = values.pop("final")
    file.judge("steps", BLOCK, values)
    file.judge("final", BLOCK, {"final": final})
    check_run(how, plan, denoiser, file["lr_latent"].shape[2])
    if how.get("model_calls", calls.count) != calls.count:
        raise CheckpointError(f"{calls.count} calls of the network, not {how['model_calls']}")


def run_plan(
    file: Fixtures,
    denoiser: Denoiser,
    plan: Plan,
    how: Mapping[str, Any],
    seed: int,
    under: str = "",
) -> dict[str, Tensor]:
    """Sample, and return everything that was seen on the way, under the fixtures' keys."""
    latent, start = file[f"{under}lr_latent"], plan.model_times[:1]
    x = denoiser.schedule.diffuse(latent, start, file[f"{under}eps"])
    seen = {"noised_lr": x}
    source = noise_source(file, how["noise"], x, plan, seed, under)

    def denoise(given: Tensor, t: int, step: int) -> Tensor:
        seen[f"xin.{step}"] = given
        if step == 0 and f"{under}{_CHUNK}.0" in file:
            over = denoiser.windows(given.shape[2])
            parts = [denoiser.clean(given, t, step, window) for window in over]
            seen.update({f"{_CHUNK}.{n}": part for n, part in enumerate(parts)})
            seen["x0.0"] = join_by_cuts(parts, over)
        else:
            seen[f"x0.{step}"] = denoiser(given, t, step)
        return seen[f"x0.{step}"]

    def noise(step: int, sigma: Tensor, following: Tensor) -> Tensor:
        seen[f"noise.{step}"] = source(step, sigma, following)
        return seen[f"noise.{step}"]

    seen["final"] = dpmpp_2m_sde(denoise, x, plan, noise)
    return {f"{under}{key}" if key != "final" else key: value for key, value in seen.items()}


def noise_source(
    file: Fixtures, kind: str, x: Tensor, plan: Plan, seed: int, under: str
) -> NoiseSource:
    """Return the noise that a run was recorded with."""
    if kind == "s_noise0":
        return no_noise(x)
    if kind == "recorded":
        count = sum(1 for key in file.tensors if key.startswith(f"{under}noise."))
        return recorded([file[f"{under}noise.{step}"] for step in range(count)])
    if kind == "brownian":
        torch.manual_seed(seed)
        return brownian(x, plan.ve_sigmas)
    raise CheckpointError(f"noise '{kind}' is not known here")


def check_run(how: Mapping[str, Any], plan: Plan, denoiser: Denoiser, frames: int) -> None:
    """Raise CheckpointError where a run's steps or windows are not the recorded ones."""
    times = plan.model_times.tolist()
    if how.get("t_per_denoise", times) != times:
        raise CheckpointError(f"steps at {times}, not at {how['t_per_denoise']}")
    made = [list(window) for window in denoiser.windows(frames)]
    if how.get("chunks") and made != how["chunks"]:
        raise CheckpointError(f"windows {made}, not {how['chunks']}")


def fake_model(folder: Folder) -> FakeModel:
    """Return the stand-in that sampler_info.json describes."""
    return FakeModel.of(folder.json("sampler_info.json").get("fake_model", ""))


class _Counted:
    """Counts how often a network is asked."""

    def __init__(self, predict: Predict) -> None:
        self.predict, self.count = predict, 0

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> Tensor:
        self.count += 1
        return self.predict(x, t, text, hint)
