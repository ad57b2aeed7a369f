"""The captioner `transformers`, on tiny models: processor, batch, generate, devices, bad folders."""

import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from captioners import SceneView
from captioners.contract import CaptionerContract
from captioners.models import MODELS, find_model, model_sha256, present_models
from captioners.vision import Vision
from restar.errors import CheckpointError, PluginError, UsageError

WARM = Vision()
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=["blip", "qwen", "smolvlm"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def options(folder: Path) -> dict[str, Any]:
    return {"model": str(folder), "frames": 3, "words": 8, "device": "cpu"}


def scene(seed: int, stills: int = 3) -> SceneView:
    rng = np.random.default_rng(seed)
    return SceneView(tuple(rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(stills)))


class TestContractOfBlip(CaptionerContract):
    @pytest.fixture(autouse=True)
    def _options(self, blip: Path) -> None:
        common = {"model": str(blip), "words": 4, "device": "cpu"}
        type(self).options = {**common, "frames": 2}
        type(self).other_options = {**common, "frames": 3}

    @pytest.fixture
    def captioner(self) -> Vision:
        return WARM


class TestContractOfQwen(CaptionerContract):
    @pytest.fixture(autouse=True)
    def _options(self, qwen: Path) -> None:
        common = {"model": str(qwen), "frames": 2, "device": "cpu", "words": 4}
        type(self).options = common
        type(self).other_options = {**common, "instruction": "What is shown?"}

    @pytest.fixture
    def captioner(self) -> Vision:
        return WARM


def test_what_is_seen_decides_what_is_said(qwen: Path) -> None:
    options = {"model": str(qwen), "frames": 3, "words": 12, "device": "cpu"}
    said = {Vision().caption(scene(seed).stills, options).text for seed in range(4)}
    assert len(said) > 1


def test_a_batch_says_what_single_scenes_say(options: dict[str, Any]) -> None:
    scenes = [scene(seed) for seed in range(5)]
    captioner = Vision()
    single = [captioner.caption(one.stills, options) for one in scenes]
    assert captioner.describe(scenes, {**options, "batch": 2}) == single
    assert captioner.describe(scenes, {**options, "batch": 5}) == single


def test_scenes_of_different_lengths_go_in_one_batch(options: dict[str, Any]) -> None:
    scenes = [scene(1, 3), scene(2, 1), scene(3, 2)]
    captioner = Vision()
    single = [captioner.caption(one.stills, options).text for one in scenes]
    assert [c.text for c in captioner.describe(scenes, {**options, "batch": 3})] == single


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_moves_to_device_and_dtype(options: dict[str, Any], device: str, dtype: str) -> None:
    captioner = Vision()
    captioner.caption(scene(1).stills, options)
    moved = captioner.caption(scene(1).stills, {**options, "device": device, "dtype": dtype})
    model = captioner._parts[1]  # type: ignore[index]
    assert model.device.type == device
    assert model.dtype == getattr(torch, dtype)
    assert moved.text


def test_free_lets_go_of_the_model_and_it_comes_back(options: dict[str, Any]) -> None:
    captioner = Vision()
    before = captioner.caption(scene(1).stills, options)
    kept = weakref.ref(captioner._parts[1])  # type: ignore[index]
    captioner.free()
    gc.collect()
    assert kept() is None
    captioner.free()
    assert captioner.caption(scene(1).stills, options) == before


def test_the_tower_gives_a_vector_for_each_word(options: dict[str, Any]) -> None:
    vectors = Vision().tower(["horse", "street", "horse"], options)
    assert vectors.shape[0] == 3
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[1])


def test_a_scene_without_a_frame_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="without a frame"):
        Vision().caption([], options)


def test_where_the_model_runs_is_not_in_the_revision(options: dict[str, Any]) -> None:
    captioner = Vision()
    here = captioner.revision(options)
    assert captioner.revision({**options, "device": "cuda", "batch": 7}) == here
    assert captioner.revision({**options, "words": 9}) != here
    assert captioner.revision({**options, "dtype": "bfloat16"}) != here


def test_other_weights_are_another_revision(qwen: Path, tmp_path: Path) -> None:
    other = tmp_path / qwen.name
    shutil.copytree(qwen, other)
    assert model_sha256(other) == model_sha256(qwen)
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(data)
    assert model_sha256(other) != model_sha256(qwen)


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("config.json", "no config.json"),
        ("processor_config.json", "no processor"),
        ("model.safetensors", "no weights as safetensors"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(
    qwen: Path, tmp_path: Path, lacks: str, says: str
) -> None:
    part = tmp_path / "part"
    shutil.copytree(qwen, part)
    (part / lacks).unlink()
    if lacks.startswith("model"):
        torch.save({}, part / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=says):
        Vision().revision({"model": str(part)})


def test_code_that_comes_with_a_model_is_not_run(qwen: Path, tmp_path: Path) -> None:
    bad, proof = tmp_path / "bad", tmp_path / "it ran"
    shutil.copytree(qwen, bad)
    config = json.loads((bad / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    (bad / "config.json").write_text(json.dumps(config))
    (bad / "evil.py").write_text(f"open({str(proof)!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises(CheckpointError, match="can't be loaded"):
        Vision().caption(scene(1).stills, {"model": str(bad), "device": "cpu"})
    assert not proof.exists()


def test_damaged_weights_are_refused(qwen: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(qwen, bad)
    (bad / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match="can't be loaded"):
        Vision().caption(scene(1).stills, {"model": str(bad), "device": "cpu"})


def test_an_absent_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        Vision(tmp_path).revision({"model": "smolvlm2-500m"})
    assert "hf download HuggingFaceTB/SmolVLM2-500M-Video-Instruct" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(CheckpointError, match="name a folder, owner/name, or one of"):
        Vision(tmp_path).revision({"model": "nonsense"})


def test_a_named_model_is_found_in_weights_and_in_the_hub_s_cache(
    blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert present_models(tmp_path) == []
    shutil.copytree(blip, tmp_path / "blip-image-captioning-base")
    assert [model.name for model in present_models(tmp_path)] == ["blip-base"]
    shutil.rmtree(tmp_path / "blip-image-captioning-base")
    cached = tmp_path / "hf" / "hub" / "models--Salesforce--blip-image-captioning-base"
    shutil.copytree(blip, cached / "snapshots" / "abc123")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc123")
    assert find_model("blip-base", tmp_path) == cached / "snapshots" / "abc123"


def test_a_gpu_that_is_not_there_is_named(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PluginError, match="cuda:3: there is no such GPU"):
        Vision().caption(scene(1).stills, {**options, "device": "cuda:3"})


def test_too_little_memory_says_what_to_change(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("captioners.vision._generate", full)
    with pytest.raises(PluginError, match="does not fit into the memory"):
        Vision().caption(scene(1).stills, options)


def test_what_is_said_is_cleaned(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("_chat", "_plain"):
        monkeypatch.setattr(
            f"captioners.vision.{path}",
            lambda *_: ["  a\x00 <b>man</b>\n\x1b[31m walks " + "x" * 20_000],
        )
    text = Vision().caption(scene(1).stills, options).text
    assert text.startswith("a <b>man</b> [31m walks xxx")
    assert len(text) == 10_000


def test_the_table_tells_licence_size_and_memory() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.licence
        assert model.memory > model.parameters * 2e-3  # more than its weights at 16 bit
        assert model.sees in {"video", "images"}
