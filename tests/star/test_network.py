"""The UNet, the ControlNet and the denoiser around them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from restar.errors import CheckpointError, RestarError, UsageError
from star.checkpoint import build, convert, published_shapes, to_published
from star.configuration import load_config, named_sizes
from star.controlnet import StarControlNet
from star.denoiser import Denoiser, Guidance, Network, first_bad_layer
from star.parity.recipe import recipe
from star.schedule import Schedule
from star.sizes import Sizes
from star.unet import StarUNet
from tests.star.conftest import REFERENCE, SMALL


def made(sizes: Sizes = SMALL) -> Network:
    """Return networks without a weight that is zero."""
    unet, control = build(sizes)
    for model in (unet, control):
        shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        model.load_state_dict(recipe("small", shapes))
        model.eval()
    return Network(unet, control)


def given(
    batch: int = 1, frames: int = 3, sizes: Sizes = SMALL
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, hint = torch.randn(2, batch, 4, frames, 6, 4).unbind(0)
    return x, torch.full((batch,), 400), torch.randn(batch, 7, sizes.text_dim), hint


def test_full_size_state_dict_loads_strictly_without_memory() -> None:
    listed = json.loads((REFERENCE / "state_dict_full.json").read_text())
    wanted = {key: tuple(shape) for key, shape in listed["shapes"].items()}
    sizes = named_sizes("published")
    assert published_shapes(sizes) == wanted
    unet, control = build(sizes, device="meta")
    state = {key: torch.empty(shape, device="meta") for key, shape in wanted.items()}
    ours = convert(state, sizes, "published")
    for model, weights, count in zip(
        (unet, control), ours, (1_411_235_496, 629_886_414), strict=True
    ):
        assert model.load_state_dict(weights, strict=True, assign=True).missing_keys == []
        assert sum(weight.numel() for weight in model.parameters()) == count
    back = to_published(unet.state_dict(), control.state_dict(), sizes)
    assert {key: tuple(tensor.shape) for key, tensor in back.items()} == wanted


@torch.no_grad()
def test_a_batch_gives_what_its_clips_give_alone() -> None:
    net = made()
    x, t, text, hint = given(batch=3)
    t = torch.tensor([3, 400, 998])
    together = net(x, t, text, hint)
    for n in range(3):
        one = slice(n, n + 1)
        torch.testing.assert_close(together[one], net(x[one], t[one], text[one], hint[one]))


@torch.no_grad()
def test_untrained_controlnet_changes_nothing() -> None:
    unet, control = build(SMALL)
    x, t, text, hint = given()
    both = Network(unet.eval(), control.eval())(x, t, text, hint)
    torch.testing.assert_close(both, Network(unet)(x, t, text, None))


@pytest.mark.parametrize("position", ["before_norm", "after_norm"])
@torch.no_grad()
def test_save_and_load(tmp_path: Path, position: str) -> None:
    net = made(replace(SMALL, liem_position=position))  # type: ignore[arg-type]
    assert net.control is not None
    net.unet.save_pretrained(tmp_path / "unet")
    net.control.save_pretrained(tmp_path / "control")
    again = Network(
        StarUNet.from_pretrained(tmp_path / "unet").eval(),
        StarControlNet.from_pretrained(tmp_path / "control").eval(),
    )
    assert again.unet.sizes.liem_position == position
    inputs = given()
    assert torch.equal(net(*inputs), again(*inputs))


def test_gate_has_a_gradient_only_after_the_norm() -> None:
    sizes = {p: replace(SMALL, liem_position=p) for p in ("before_norm", "after_norm")}  # type: ignore[arg-type]
    steep = {}
    for position, one in sizes.items():
        torch.manual_seed(1)
        unet, _ = build(one)
        x, t, text, _hint = given()
        unet.eval()(x, t, text).square().mean().backward()
        gates = [p.grad.abs().max() for name, p in unet.named_parameters() if ".local" in name]
        steep[position] = float(max(gates))
    assert steep["after_norm"] > 20 * steep["before_norm"]


def test_recomputing_activations_gives_the_same_gradients() -> None:
    unet, _ = build(SMALL)
    x, t, text, _hint = given()
    found = []
    for recompute in (False, True):
        unet.zero_grad()
        if recompute:
            unet.enable_gradient_checkpointing()
        unet.eval()(x, t, text).square().mean().backward()
        found.append({name: p.grad.clone() for name, p in unet.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 4, 0, 6, 4), "at least one frame"),
        ((1, 3, 2, 6, 4), "needs (batch, 4"),
        ((4, 2, 6, 4), "needs (batch, 4"),
        ((1, 4, 2, 5, 4), "2 more than a multiple of 2"),
        ((1, 4, 2, 6, 3), "multiple of 2"),
    ],
)
def test_refuses_latents_that_it_cannot_take(shape: tuple[int, ...], says: str) -> None:
    net = made()
    with pytest.raises(UsageError, match=says.replace("(", r"\(")):
        net(torch.zeros(shape), torch.zeros(1, dtype=torch.long), torch.zeros(1, 7, 12), None)


def test_refuses_other_wrong_inputs() -> None:
    net = made()
    x, t, text, hint = given()
    with pytest.raises(UsageError, match="one for each of 1 clips"):
        net(x, t.repeat(2), text, hint)
    with pytest.raises(UsageError, match="text of shape"):
        net(x, t, text[..., :5], hint)
    with pytest.raises(UsageError, match="hint of shape"):
        net(x, t, text, hint[:, :, :1])


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"base_channels": 0}, "base_channels"),
        ({"base_channels": 10**9}, "no size of a model"),
        ({"base_channels": 20_000}, "base_channels"),
        ({"base_channels": 48}, "a width of 48"),
        ({"multipliers": []}, "multipliers"),
        ({"multipliers": [1] * 99}, "multipliers"),
        ({"head_dim": "64"}, "head_dim"),
        ({"layers_per_level": 400}, "layers_per_level"),
        ({"dropout": 2}, "dropout"),
        ({"liem_position": "beside"}, "liem_position"),
        ({"head_dim": 4096}, "heads of 4096"),
        ({"other": 1}, "no 'other'"),
    ],
)
def test_refuses_configurations_that_make_no_network(
    tmp_path: Path, config: dict[str, object], says: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"network": config}))
    with pytest.raises(CheckpointError, match=says):
        load_config(str(path))


def test_refuses_files_that_are_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    for text in (
        "{",
        "[]",
        '{"nets": {}}',
        '{"network": 3}',
        "[" * 100_000,
        '{"vae": {"a": 1e12}}',
    ):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"c(\.json)?"):
            load_config(str(path))
    with pytest.raises(UsageError, match="published, tiny"):
        load_config("nothing")


class _Predict:
    """A stand-in that spoils one window."""

    def __init__(self, bad_from: int) -> None:
        self.bad_from, self.calls = bad_from, 0

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, hint: Tensor | None) -> Tensor:
        self.calls += 1
        return x / (self.calls < self.bad_from)


def denoiser(predict: object, **changes: object) -> Denoiser:
    text = torch.zeros(1, 7, 12)
    plain = Denoiser(predict, Schedule.published(), text, guidance=Guidance(1))  # type: ignore[arg-type]
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_nan_stops_with_step_and_window() -> None:
    x = torch.ones(1, 4, 20, 2, 2)
    with pytest.raises(RestarError, match=r"step 3, window of frames 4-11 \(time 77\)"):
        denoiser(_Predict(2), length=8)(x, 77, 2)


@torch.no_grad()
def test_nan_stops_with_the_layer() -> None:
    net = made()
    x, _t, text, hint = given()
    net.unet.mid_block.resnets[1].conv1.weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(RestarError, match=r"layer StarUNet\.mid_block\.resnets\.1\.conv1 \(its we"):
        denoiser(net, text=text, hint=hint)(x, 5, 0)


@torch.no_grad()
def test_nan_that_came_in_is_said_so() -> None:
    net = made()
    x, _t, text, hint = given()
    for name in ("latent", "hint", "text"):
        tensors = {"latent": x.clone(), "hint": hint.clone(), "text": text.clone()}
        tensors[name].flatten()[3] = float("inf")
        with pytest.raises(RestarError, match=f"came in with the {name}"):
            denoiser(net, text=tensors["text"], hint=tensors["hint"])(tensors["latent"], 5, 0)


def test_layers_are_not_watched_afterwards() -> None:
    layer = nn.Linear(2, 2)
    assert first_bad_layer({"a": layer}, lambda: layer(torch.ones(1, 2))) is None
    assert not layer._forward_hooks
    layer.weight.data.fill_(float("nan"))
    found = first_bad_layer({"a": nn.Sequential(layer)}, lambda: layer(torch.ones(1, 2)))
    assert found == "layer a.0 (its weights are NaN or infinite)"
    assert not layer._forward_hooks


def test_guidance_needs_a_negative_text() -> None:
    with pytest.raises(UsageError, match="negative"):
        denoiser(_Predict(9), guidance=Guidance(2.0))(torch.ones(1, 4, 1, 2, 2), 5, 0)
