"""Weights: taken in strictly, recorded, checked; hostile files leave nothing behind."""

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextModel

from restar.errors import CheckpointError, UsageError
from star.checkpoint import build, load_published, to_published
from star.configuration import load_config
from star.denoiser import Network
from star.hub import fetch_weights
from star.install import Consent, check_weights, import_weights, init_weights
from star.known import KNOWN
from star.parts import load_part
from star.sizes import Sizes
from star.text import encode_prompts, text_config
from star.weights import find_weights, incoming, installed
from tests.star.conftest import SMALL
from tests.star.test_text import open_clip_state

YES = Consent(True, "tester")


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The path of the small network's configuration."""
    path = tmp_path / "small.json"
    path.write_text(json.dumps({"network": asdict(SMALL)}))
    return str(path)


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A small network's weights as the release names them."""
    torch.manual_seed(3)
    unet, control = build(SMALL)
    return to_published(unet.state_dict(), control.state_dict(), SMALL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "weights"


def saved(folder: Path, state: object, name: str = "light_deg.pt") -> Path:
    torch.save(state, folder / name)
    return folder / name


def left_in(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir()) if home.exists() else []


def test_takes_in_a_published_file(
    tmp_path: Path, home: Path, config: str, published: dict[str, Tensor]
) -> None:
    path = saved(tmp_path, {"state_dict": published})
    made = import_weights(home, path, "mine", YES, config=config)
    record = made.record
    assert (record.parts, record.trained, record.licence) == (("unet", "controlnet"), True, "MIT")
    assert (record.accepted_by, record.source) == ("tester", "light_deg.pt")
    assert record.accepted_at and record.source_sha256
    assert record.parameters == sum(tensor.numel() for tensor in published.values())
    assert left_in(home) == ["mine"]
    assert check_weights(home, "mine").record == record
    again = Network(load_part(made, "unet"), load_part(made, "controlnet"))
    first = Network(*load_published(path, SMALL))
    inputs = (torch.randn(1, 4, 2, 6, 4), torch.tensor([7]), torch.randn(1, 3, 12))
    with torch.no_grad():
        assert torch.equal(again(*inputs, inputs[0]), first(*inputs, inputs[0]))
    assert load_part(made, "unet", torch.bfloat16).dtype == torch.bfloat16


def test_safetensors_and_half_precision_are_kept(
    tmp_path: Path, home: Path, config: str, published: dict[str, Tensor]
) -> None:
    half = {name: tensor.half().contiguous() for name, tensor in published.items()}
    save_file(half, tmp_path / "w.safetensors")
    made = import_weights(home, tmp_path / "w.safetensors", "half", YES, config=config)
    stored = load_file(made.path / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_takes_in_its_own_folder(tmp_path: Path, home: Path) -> None:
    first = init_weights(home, "first", "tiny")
    again = import_weights(home, first.path, "again", Consent(True, "t", "CC0"))
    assert again.record.parts == first.record.parts
    assert again.record.licence == "CC0"
    assert again.record.files.keys() == first.record.files.keys()


class _Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str, str], Any], tuple[str, str]]:
        return open, (str(self.path), "w")


Spoil = Callable[[Path, dict[str, Tensor]], Path]
KEY = "input_blocks.0.0.weight"


def with_code(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, {**state, "evil": _Hostile(folder / "was-run")})


def code_only(folder: Path, _state: dict[str, Tensor]) -> Path:
    path = folder / "light_deg.pt"
    path.write_bytes(pickle.dumps(_Hostile(folder / "was-run")))
    return path


def cut_short(folder: Path, state: dict[str, Tensor]) -> Path:
    path = saved(folder, state)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def cut_safetensors(folder: Path, state: dict[str, Tensor]) -> Path:
    path = folder / "light.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    path.write_bytes(path.read_bytes()[:-10])
    return path


def lies_about_its_header(folder: Path, _state: dict[str, Tensor]) -> Path:
    path = folder / "light.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    return path


def no_weights(folder: Path, _state: dict[str, Tensor]) -> Path:
    path = folder / "notes.pt"
    path.write_text("a shopping list")
    return path


def empty(folder: Path, _state: dict[str, Tensor]) -> Path:
    path = folder / "light.pt"
    path.touch()
    return path


def other_zip(folder: Path, _state: dict[str, Tensor]) -> Path:
    path = folder / "light.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    return path


def without_a_key(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, {name: tensor for name, tensor in state.items() if name != KEY})


def with_a_key(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, {**state, "loop.weight": torch.ones(1)})


def other_shape(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, {**state, KEY: torch.ones(16, 4, 5, 5)})


def with_nan(folder: Path, state: dict[str, Tensor]) -> Path:
    spoilt = state[KEY].clone()
    spoilt[3, 1, 1, 1] = float("nan")
    return saved(folder, {**state, KEY: spoilt})


def whole_numbers(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, {**state, KEY: state[KEY].long()})


def no_tensor(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, {**state, KEY: "here was a tensor"})


def a_list(folder: Path, state: dict[str, Tensor]) -> Path:
    return saved(folder, list(state.values()))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (with_code, "nothing in it was run"),
        (code_only, "nothing in it was run"),
        (cut_short, "light_deg.pt"),
        (cut_safetensors, "not a whole safetensors file"),
        (lies_about_its_header, "not a whole safetensors file"),
        (no_weights, "notes.pt"),
        (empty, "light.pt"),
        (other_zip, "light.pt"),
        (without_a_key, rf"'{KEY}' is missing; 1 missing and 0 unknown"),
        (with_a_key, r"'loop\.weight' is no part"),
        (other_shape, rf"'{KEY}' is of shape \(16, 4, 5, 5\)"),
        (with_nan, f"'{KEY}' holds NaN"),
        (whole_numbers, f"'{KEY}' holds torch.int64"),
        (no_tensor, f"'{KEY}' is a str"),
        (a_list, "holds a list"),
    ],
)
def test_refuses_hostile_and_damaged_files(
    tmp_path: Path, home: Path, config: str, published: dict[str, Tensor], spoil: Spoil, says: str
) -> None:
    path = spoil(tmp_path, published)
    with pytest.raises(CheckpointError, match=says):
        import_weights(home, path, "mine", YES, config=config)
    assert left_in(home) == []
    assert not (tmp_path / "was-run").exists()


def test_a_file_of_another_size_is_refused_by_its_first_key(
    tmp_path: Path, home: Path, published: dict[str, Tensor]
) -> None:
    with pytest.raises(CheckpointError, match=r"is of shape|is missing"):
        import_weights(home, saved(tmp_path, published), "mine", YES, config="tiny")
    assert left_in(home) == []


def test_a_licence_is_shown_before_anything_is_read(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"not even weights")
    with pytest.raises(UsageError, match=r"MIT.*github.com/NJU-PCALab/STAR.*--accept-licence"):
        import_weights(home, path, "mine", Consent())
    with pytest.raises(UsageError, match="licence CC BY-NC"):
        import_weights(home, path, "mine", Consent(licence="CC BY-NC"))
    with pytest.raises(UsageError, match="--licence is empty"):
        import_weights(home, path, "mine", Consent(licence=" "))
    for known in KNOWN:
        with pytest.raises(UsageError, match=r"--accept-licence"):
            fetch_weights(home, known.name, Consent())
    assert left_in(home) == []


def vae_folder(folder: Path) -> Path:
    AutoencoderKLTemporalDecoder(**load_config("tiny").vae).save_pretrained(folder)
    return folder


def test_takes_in_the_vae(tmp_path: Path, home: Path) -> None:
    made = import_weights(home, vae_folder(tmp_path / "vae"), "svd-vae", YES)
    assert made.record.parts == ("vae",)
    assert "Stability" in made.record.licence
    assert not made.record.commercial_use
    check_weights(home, "svd-vae")
    vae = load_part(made, "vae")
    assert vae.config.scaling_factor == 0.18215
    with pytest.raises(CheckpointError, match="hold vae, no unet"):
        made.part("unet")


def test_refuses_vae_folders_that_are_not_whole(tmp_path: Path, home: Path) -> None:
    folder = vae_folder(tmp_path / "vae")
    weights = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({k: v for k, v in tensors.items() if k != "quant_conv.bias"}, weights)
    with pytest.raises(CheckpointError, match=r"'quant_conv\.bias' is missing"):
        import_weights(home, folder, "v", YES)
    weights.rename(folder / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no pickles"):
        import_weights(home, folder, "v", YES)
    config = json.loads((folder / "config.json").read_text())
    for change in (
        {"block_out_channels": [10**9]},
        {"layers_per_block": "x"},
        {"latent_channels": []},
    ):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=r"config\.json"):
            import_weights(home, folder, "v", YES)
    (folder / "config.json").write_text(json.dumps({**config, "_class_name": "Other"}))
    with pytest.raises(CheckpointError, match="is of Other"):
        import_weights(home, folder, "v", YES)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        import_weights(home, folder, "v", YES)
    assert left_in(home) == []


@pytest.fixture(scope="module")
def tower() -> CLIPTextModel:
    torch.manual_seed(0)
    return CLIPTextModel(text_config(width=64, layers=3)).eval()


def test_takes_in_the_text_tower_of_either_library(
    tmp_path: Path, home: Path, tower: CLIPTextModel
) -> None:
    wanted = encode_prompts(tower, ["a dog"])
    config = {"model_type": "clip", "text_config": tower.config.to_dict(), "vision_config": {}}
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text(json.dumps(config))
    state = {f"text_model.{k}": v.contiguous() for k, v in tower.state_dict().items()}
    save_file({**state, "visual_projection.weight": torch.ones(2, 2), "logit_scale": torch.ones(())},
              tmp_path / "hub" / "model.safetensors")  # fmt: skip
    whole = {**open_clip_state(tower), "visual.proj": torch.ones(3), "logit_scale": torch.ones(())}
    sources = (tmp_path / "hub", saved(tmp_path, whole, "open_clip_pytorch_model.bin"))
    for number, source in enumerate(sources):
        made = import_weights(home, source, f"text-{number}", YES)
        assert made.record.parts == ("text_encoder",)
        check_weights(home, f"text-{number}")
        again = load_part(made, "text_encoder")
        torch.testing.assert_close(encode_prompts(again, ["a dog"]), wanted)


def test_makes_untrained_weights_that_say_so(home: Path) -> None:
    made = init_weights(home, "try", "tiny", seed=5)
    assert not made.record.trained
    assert "untrained" in made.record.note
    assert made.record.parts == ("unet", "controlnet", "vae", "text_encoder")
    same, other = init_weights(home, "same", "tiny", seed=5), init_weights(home, "other", "tiny")
    assert made.record.sha256 == same.record.sha256 != other.record.sha256
    here, broken = installed(home)
    assert [one.record.name for one in here] == ["other", "same", "try"]
    assert broken == []


def test_a_taken_name_is_kept_unless_forced(home: Path) -> None:
    first = init_weights(home, "try", "tiny")
    with pytest.raises(UsageError, match="--force"):
        init_weights(home, "try", "tiny", seed=1)
    assert find_weights(home, "try").record == first.record
    assert init_weights(home, "try", "tiny", seed=1, force=True).record != first.record
    assert left_in(home) == ["try"]


def test_what_fails_midway_keeps_what_was_there(home: Path) -> None:
    first = init_weights(home, "try", "tiny")
    with pytest.raises(ZeroDivisionError), incoming(home, "try", force=True) as folder:
        (folder / "half").write_bytes(b"x")
        raise ZeroDivisionError
    assert left_in(home) == ["try"]
    assert check_weights(home, "try").record == first.record


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ä", "-x", "A", "x" * 65, ".hidden", "a\n"])
def test_refuses_names_that_are_none(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't name weights"):
        init_weights(home, name, "tiny")
    with pytest.raises(UsageError, match="can't name weights"):
        find_weights(home, name)


def test_missing_weights_say_how_to_get_them(home: Path) -> None:
    with pytest.raises(CheckpointError, match="restar weights fetch star-light"):
        find_weights(home, "star-light")


def test_check_finds_what_was_changed(home: Path) -> None:
    made = init_weights(home, "try", "tiny")
    file = made.path / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="is not what was installed"):
        check_weights(home, "try")
    file.write_bytes(whole)
    check_weights(home, "try")
    (made.path / "unet" / "more.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"more\.safetensors was not installed"):
        check_weights(home, "try")
    (made.path / "unet" / "more.safetensors").unlink()
    file.unlink()
    with pytest.raises(CheckpointError, match="is gone"):
        check_weights(home, "try")
    with pytest.raises(CheckpointError, match="is missing"):
        load_part(made, "unet")
    (made.path / "weights.json").write_text("{")
    with pytest.raises(CheckpointError, match="can't be read"):
        find_weights(home, "try")
    assert len(installed(home)[1]) == 1


def test_sizes_come_from_a_million_up() -> None:
    counts = []
    for config in (Sizes(base_channels=32, multipliers=(1, 2), layers_per_level=1, head_dim=16,
                         text_dim=64, groups=16), load_config("published").network):  # fmt: skip
        models = build(config, device="meta")
        counts.append(sum(p.numel() for model in models for p in model.parameters()))
    assert 1e6 < counts[0] < 4e6
    assert counts[1] == 2_041_121_910
