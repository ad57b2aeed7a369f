"""Parity: recorded numbers are met, nothing passes unseen, and planted faults are found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import star.guidance
import star.liem
from star.parity import Result, run_parity
from star.parity.record import error_of
from star.schedule import Schedule
from tests.star.conftest import REFERENCE
from tests.star.variants import change, make_variant


def failed(folder: Path) -> dict[str, Result]:
    found = [result for result in run_parity(folder) if not result.passed]
    return {f"{result.file} {result.fixture}": result for result in found}


def part_of_reference(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        shutil.copy(REFERENCE / name, folder / name)
    return folder


def test_meets_every_recorded_number(tmp_path: Path) -> None:
    results = list(run_parity(REFERENCE, tmp_path / "dump"))
    assert len(results) > 70
    assert [result for result in results if not result.passed] == []
    for path in REFERENCE.glob("*.safetensors"):
        recorded, made = load_file(path), load_file(tmp_path / "dump" / path.name)
        outputs = {key for key in recorded if is_output(path.stem, key)}
        assert outputs <= made.keys()
        assert made.keys() <= recorded.keys()
        for key, value in made.items():
            assert value.shape == recorded[key].shape
            assert value.dtype == recorded[key].dtype
            assert error_of(value, recorded[key]) < 2e-5


def is_output(file: str, key: str) -> bool:
    last = key.rsplit("/", maxsplit=1)[-1]
    begins = ("out", "control.", "final", "adain", "wavelet", "pred_", "gt_", "loss_", "sigmas_",
              "alphas_")  # fmt: skip
    exact = ("high", "low", "velocity", "xt", "x0_from_v", "t_model")
    return (
        last.startswith(begins)
        or last in exact
        or (file.startswith("sampler_") and last.startswith("x0."))
        or (key.startswith("cfg/") and last == "x0")
    )


def test_takes_other_seeds_sizes_batches_and_plans(tmp_path: Path) -> None:
    for seed, batch, frames in ((1, 1, 1), (2, 3, 4)):
        folder = make_variant(tmp_path / str(seed), seed, batch, frames)
        results = list(run_parity(folder))
        assert [result for result in results if not result.passed] == []
        assert {result.file.partition(".")[0] for result in results} == {
            "blocks", "color_fix", "net_other", "sampler_a", "sampler_b", "sampler_c",
        }  # fmt: skip


def test_what_a_folder_does_not_hold_is_no_error(tmp_path: Path) -> None:
    folder = part_of_reference(tmp_path / "f", "df_loss.safetensors", "README.md")
    assert failed(folder) == {}


def test_says_what_it_does_not_know(tmp_path: Path) -> None:
    folder = part_of_reference(tmp_path / "f", "df_loss.safetensors", "sampler_info.json")
    change(folder / "df_loss.safetensors", "loss_other", torch.zeros(1))
    (folder / "inner").mkdir()
    (folder / "inner" / "more.safetensors").write_bytes(b"")
    content = json.loads((folder / "sampler_info.json").read_text())
    content["plans"]["fast15"]["eta"] = 0
    (folder / "sampler_info.json").write_text(json.dumps(content))
    found = failed(folder)
    assert "loss_other" in found["df_loss.safetensors -"].note
    assert "not run" in found["inner/more.safetensors -"].note
    assert "'eta'" in found["sampler_info.json -"].note
    assert len(found) == 3


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("diffusion_ops.safetensors", "sampler_info.json"),
        ("sampler_fast_recorded.safetensors", "sampler_info.json"),
        ("blocks.safetensors", "model_info.json"),
        ("e2e_tiny.safetensors", "e2e_info.json"),
    ],
)
def test_fixtures_whose_description_is_missing_fail(
    tmp_path: Path, name: str, without: str
) -> None:
    folder = part_of_reference(tmp_path / "f", name)
    assert not (folder / without).exists()
    assert failed(folder)


def test_damaged_files_fail(tmp_path: Path) -> None:
    folder = part_of_reference(tmp_path / "f", "schedule.safetensors", "text_tokens.json")
    whole = (folder / "schedule.safetensors").read_bytes()
    (folder / "schedule.safetensors").write_bytes(whole[:-100])
    (folder / "text_tokens.json").write_text("{")
    assert set(failed(folder)) == {"schedule.safetensors -", "text_tokens.json -"}


NET = ("net_recipe.safetensors", "model_info.json")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return part_of_reference(tmp_path / "f", *NET)


def no_gate(_self: object, tokens: Tensor, _size: object = None) -> Tensor:
    return tokens


def test_finds_a_missing_liem(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(star.liem.SpatialGate, "forward", no_gate)
    assert failed(net)["net_recipe.safetensors out"].error > 0.01
    monkeypatch.undo()
    monkeypatch.setattr(star.liem.TemporalGate, "forward", no_gate)
    assert failed(net)["net_recipe.safetensors out"].error > 0.01


def test_finds_max_and_mean_swapped(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = star.liem.extremes
    monkeypatch.setattr(star.liem, "extremes", lambda tokens: right(tokens).flip(-1))
    assert failed(net)["net_recipe.safetensors out"].error > 0.01


def test_finds_liem_on_the_other_side_of_the_norm(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = star.liem.gated_norm
    swapped = {"before_norm": "after_norm"}
    for module in ("star.blocks.gated_norm",):
        monkeypatch.setattr(
            module, lambda norm, gate, x, size, where: right(norm, gate, x, size, swapped[where])
        )
    assert failed(net)["net_recipe.safetensors out"].error > 0.01


def test_finds_one_corrupted_weight(tmp_path: Path) -> None:
    folder = make_variant(tmp_path / "f")
    path, key = folder / "net_other.safetensors", "w.output_blocks.3.0.out_layers.3.weight"
    weight = load_file(path)[key]
    weight[0, 0, 1, 1] += 0.1
    change(path, key, weight)
    found = failed(folder)
    assert set(found) == {"net_other.safetensors out", "net_other.safetensors out_no_hint"}


def wrong_sign(_self: Schedule, xt: Tensor, t: Tensor, v: Tensor) -> Tensor:
    alpha, sigma = _self.at(t, xt)
    return alpha * xt + sigma * v


def no_drift(x: Tensor, *_others: object) -> Tensor:
    return x


def swapped_guidance(towards: Tensor, away: Tensor, scale: float, rescale: float | None) -> Tensor:
    return star.guidance.guide(away, towards, scale, rescale)


@pytest.mark.parametrize(
    ("where", "fault", "fails"),
    [
        ("star.schedule.Schedule.clean", wrong_sign, "diffusion_ops.safetensors x0_from_v"),
        ("star.schedule.Schedule.clean", wrong_sign, "sampler_fast_recorded.safetensors final"),
        ("star.denoiser.guide", swapped_guidance, "sampler_fast_recorded.safetensors final"),
        ("star.parity.diffusion.guide", swapped_guidance, "diffusion_ops.safetensors cfg g7.5_r0.2"),
        ("star.sampling._second_order", no_drift, "sampler_fast_recorded.safetensors final"),
    ],
)  # fmt: skip
def test_finds_faults_in_the_diffusion(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    fault: Callable[..., Tensor],
    fails: str,
) -> None:
    names = ("diffusion_ops.safetensors", "sampler_fast_recorded.safetensors", "sampler_info.json")
    folder = part_of_reference(tmp_path / "f", *names)
    monkeypatch.setattr(where, fault)
    assert fails in failed(folder)


def test_finds_a_wrong_sign_of_the_velocity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = part_of_reference(tmp_path / "f", "diffusion_ops.safetensors", "sampler_info.json")
    right = Schedule.velocity
    monkeypatch.setattr(Schedule, "velocity", lambda *given: -right(*given))
    assert set(failed(folder)) == {"diffusion_ops.safetensors velocity"}


@pytest.mark.parametrize(
    ("value", "wanted", "error"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]), 0.5),
        (torch.zeros(2), torch.zeros(2), 0.0),
        (torch.tensor([1e-3]), torch.zeros(1), 1e-3),
        (torch.zeros(2), torch.zeros(3), float("inf")),
        (torch.tensor([float("nan")]), torch.ones(1), float("inf")),
        (torch.tensor([1.0, float("inf")]), torch.tensor([1.0, float("inf")]), 0.0),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, float("inf")]), float("inf")),
        (torch.tensor([3]), torch.tensor([5]), 2.0),
    ],
)
def test_measures_errors(value: Tensor, wanted: Tensor, error: float) -> None:
    assert error_of(value, wanted) == pytest.approx(error)
