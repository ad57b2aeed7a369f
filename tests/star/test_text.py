"""Prompts, their tokens, and the text tower."""

import logging

import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from restar.errors import CheckpointError
from star.text import encode_ids, encode_prompts, from_open_clip, text_config
from star.tokens import CONTEXT, END, PAD, START, merges, pieces, tokenize

PROMPTS = (
    "", "a street in Berlin, 1927", "It's the CAMERAMAN's 2nd reel -- 35mm!", "Ünïcödé naïve café",
    "  much   white\nspace ", "雨の東京 🎬", "half-tone (screen) #5 & more; 50%", "x" * 60,
)  # fmt: skip


@pytest.fixture(scope="module")
def theirs() -> CLIPTokenizer:
    """Return transformers' own tokenizer on the vocabulary that ships."""
    vocabulary = [*pieces(), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer({piece: n for n, piece in enumerate(vocabulary)}, merges())


@pytest.mark.parametrize("prompt", PROMPTS)
def test_plain_prompts_come_out_as_in_transformers(theirs: CLIPTokenizer, prompt: str) -> None:
    found = tokenize(prompt)
    assert list(found.ids[: found.used]) == theirs(prompt)["input_ids"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_shape_of_the_ids(prompt: str) -> None:
    found = tokenize(prompt)
    assert len(found.ids) == CONTEXT
    assert found.ids[0] == START
    assert found.ids[found.used - 1] == END
    assert set(found.ids[found.used :]) <= {PAD}
    assert not found.cut


def test_says_what_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    words = [f"word{n}" for n in range(40)]
    with caplog.at_level(logging.WARNING):
        found = tokenize(" ".join(words))
    assert (len(found.ids), found.used, found.ids[-1]) == (77, 77, END)
    assert found.cut.endswith("word 3 9")
    assert "77 tokens" in caplog.text
    assert found.cut in caplog.text


def test_a_prompt_that_just_fits_is_not_cut(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert tokenize("x " * 75).used == 77
        assert tokenize("x " * 75).cut == ""
        assert not caplog.records
        assert tokenize("x " * 76).cut == "x"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf&eacute; &amp;amp; bar", "café & bar"),
        ("â€œquotedâ€\x9d", '"quoted"'),
        ("A\u00a0B", "a b"),
    ],
)
def test_mends_text_as_open_clip_does(one: str, other: str) -> None:
    assert tokenize(one).ids == tokenize(other).ids


@pytest.mark.parametrize("prompt", ["\ud800", "\x00", "\u200b" * 9, "<end_of_text>", "a" * 100_000])
def test_takes_any_text(prompt: str) -> None:
    assert len(tokenize(prompt).ids) == CONTEXT


@pytest.fixture(scope="module")
def tower() -> CLIPTextModel:
    torch.manual_seed(0)
    return CLIPTextModel(text_config(width=16, layers=3, heads=2)).eval()


def test_reads_the_layer_before_the_last(tower: CLIPTextModel) -> None:
    ids = torch.tensor([tokenize("a dog").ids])
    states = tower(input_ids=ids, output_hidden_states=True).hidden_states
    assert len(states) == 4
    torch.testing.assert_close(encode_ids(tower, ids), tower.final_layer_norm(states[2]))


def test_encodes_prompts_alone_and_together(tower: CLIPTextModel) -> None:
    found = encode_prompts(tower, ["a dog", "a cat"])
    assert found.shape == (2, 77, 16)
    torch.testing.assert_close(found[1:], encode_prompts(tower, ["a cat"]))
    assert not found.requires_grad


def open_clip_state(tower: CLIPTextModel) -> dict[str, torch.Tensor]:
    """Return a tower's weights under OpenCLIP's names."""
    state, made = tower.state_dict(), {}
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}  # fmt: skip
    for layer in range(3):
        ours, theirs = f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            parts = [state[f"{ours}self_attn.{part}_proj.{kind}"] for part in "qkv"]
            made[f"{theirs}attn.in_proj_{kind}"] = torch.cat(parts)
            for name, other in names.items():
                made[f"{theirs}{other}.{kind}"] = state[f"{ours}{name}.{kind}"]
    for kind in ("weight", "bias"):
        made[f"ln_final.{kind}"] = state[f"final_layer_norm.{kind}"]
    made["positional_embedding"] = state["embeddings.position_embedding.weight"]
    made["token_embedding.weight"] = state["embeddings.token_embedding.weight"]
    return made


def test_takes_open_clip_names(tower: CLIPTextModel) -> None:
    theirs = open_clip_state(tower) | {"logit_scale": torch.ones(()), "visual.proj": torch.ones(2)}
    config, state = from_open_clip(theirs, heads=2)
    again = CLIPTextModel(config).eval()
    again.load_state_dict(state, strict=True)
    assert torch.equal(encode_prompts(again, ["a dog"]), encode_prompts(tower, ["a dog"]))


def test_refuses_other_names(tower: CLIPTextModel) -> None:
    state = open_clip_state(tower)
    with pytest.raises(CheckpointError, match=r"'transformer\.resblocks\.0\.extra'"):
        from_open_clip({**state, "transformer.resblocks.0.extra": torch.ones(1)})
    state.pop("ln_final.weight")
    with pytest.raises(CheckpointError, match=r"'ln_final\.weight' is missing"):
        from_open_clip(state)
