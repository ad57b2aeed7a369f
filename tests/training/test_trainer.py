"""A run goes on exactly, learns what the recipe says alone, and refuses what is not its own."""

from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from restar.errors import CheckpointError, UsageError
from star.tinymodel import TINY_SIZES, TinyStar, load_tiny, save_tiny
from training.config import ModelConfig, TrainConfig, load_config
from training.kits import PublishedKit, TinyKit, make_kit
from training.pictures import smoothed
from training.reading import teach_reading
from training.run import CHECKPOINT, run_training
from training.trainer import Report, Trainer

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def fresh(config: TrainConfig) -> Trainer:
    torch.manual_seed(0)
    return Trainer(config, make_kit(config.model))


def published(photos: Path, folder: Path, **run: object) -> TrainConfig:
    """The published recipe, with star/'s smallest sizes and one small clip a step."""
    told = load_config(CONFIGS / "star-published.toml").model_dump()
    told["model"]["config"] = "tiny"
    told["data"] |= {
        "photos": (photos,), "pairs": None, "frames": 2, "height": 48, "width": 64, "workers": 0,
    }  # fmt: skip
    told["run"] |= {"steps": 1, "precision": "no", **run}
    return TrainConfig.model_validate(told | {"folder": folder})


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_has_the_losses_of_one_that_went_through(
    config: TrainConfig, tmp_path: Path, accumulate: int
) -> None:
    told = config.model_copy(
        update={
            "run": config.run.model_copy(update={"accumulate": accumulate}),
            "loss": config.loss.model_copy(update={"first_only": 1, "first_share": 0.5}),
        }
    )
    through = list(fresh(told).train())

    first = fresh(told)
    begun = list(first.train(until=2))
    first.save(tmp_path / CHECKPOINT)
    torch.manual_seed(99)  # the state of global generators must not matter
    second = Trainer(told, make_kit(told.model))
    second.resume(tmp_path / CHECKPOINT)
    assert [*begun, *second.train()] == through
    assert [r.step for r in through] == [1, 2, 3, 4]
    assert len({r.velocity for r in through}) == 4


def test_accumulating_is_one_larger_batch(config: TrainConfig) -> None:
    """Two micro-batches of one clip step as one batch of their mean gradient would."""
    update = {"accumulate": 2, "steps": 1, "clip": 1e6}
    told = config.model_copy(update={"run": config.run.model_copy(update=update)})
    trainer = fresh(told)
    report = next(trainer.train())

    by_hand = fresh(told)
    total = []
    batches = [by_hand.samples[n] for n in (0, 1)]
    for micro, (wanted, large, ids) in enumerate(batches):
        from training.data import Batch

        times, seed = by_hand.drawn(micro)
        losses = by_hand.objective(Batch(wanted[None], large[None], ids[None]), times, seed)
        (losses.total / 2).backward()
        total.append(losses.velocity.mean().item())
    norm = torch.nn.utils.clip_grad_norm_(by_hand.learning, 1e6)
    assert report.velocity == pytest.approx(sum(total) / 2, rel=1e-5)
    assert report.norm == pytest.approx(float(norm), rel=1e-4)


def test_a_run_learns(config: TrainConfig) -> None:
    """On one and the same clip the loss falls by a good part."""
    run = config.run.model_copy(update={"steps": 40, "rate": 2e-3, "warmup": 1, "decay": 0.0})
    trainer = fresh(config.model_copy(update={"run": run}))
    one = trainer.samples[0]
    trainer.samples = _Same(one)  # type: ignore[assignment]
    losses = [report.velocity for report in trainer.train()]
    assert losses[-1] < 0.9 * losses[0]


class _Same(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    def __init__(self, sample: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 100

    def __getitem__(self, _number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.sample


def test_the_published_recipe_opens_controlnet_and_liem_alone(photos: Path, tmp_path: Path) -> None:
    config = published(photos, tmp_path)
    kit = make_kit(config.model)
    assert isinstance(kit, PublishedKit)
    unet = kit.network.unet
    control = kit.network.control
    assert control is not None
    opened = [name for name, weight in unet.named_parameters() if weight.requires_grad]
    assert opened
    assert all(".local1." in name or ".local2." in name for name in opened)
    assert all(weight.requires_grad for weight in control.parameters())
    assert not any(module.training for module in unet.modules())

    before = {name: weight.clone() for name, weight in unet.named_parameters()}
    trainer = Trainer(config, kit)
    (report,) = trainer.train()
    assert report.step == 1
    assert report.norm > 0
    for name, weight in unet.named_parameters():
        moved = not torch.equal(weight, before[name])
        assert not (moved and name not in opened), f"{name} is frozen, but moved"
        if name not in opened:
            assert weight.grad is None
    for frozen in (kit.vae, kit.text):
        assert all(weight.grad is None for weight in frozen.parameters())
    assert any(bool(w.any()) for w in control.controlnet_mid_block.parameters())


def test_frequency_term_reaches_the_network_through_the_vae(photos: Path, tmp_path: Path) -> None:
    """The release decodes without a gradient; here the term alone moves the latent."""
    kit = make_kit(published(photos, tmp_path).model)
    latent = torch.randn(1, 4, 2, 6, 8, requires_grad=True)
    kit.pictures(latent).square().mean().backward()
    assert latent.grad is not None
    assert float(latent.grad.abs().max()) > 0


def test_a_checkpoint_of_other_settings_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    trainer = fresh(config)
    trainer.save(tmp_path / CHECKPOINT)
    run = config.run.model_copy(update={"rate": 5e-4})
    other = fresh(config.model_copy(update={"run": run}))
    with pytest.raises(CheckpointError, match="made with other settings"):
        other.resume(tmp_path / CHECKPOINT)


def test_a_damaged_checkpoint_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        fresh(config).resume(tmp_path / CHECKPOINT)


def test_a_checkpoint_that_is_missing_is_said(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        fresh(config).resume(tmp_path / CHECKPOINT)


def test_a_whole_run_leaves_weights_curve_and_checkpoint(config: TrainConfig) -> None:
    run_training(config, until=2)
    path = run_training(config, resume=True)
    lines = (config.folder / "curve.csv").read_text().splitlines()
    assert lines[0] == ",".join(Report.__dataclass_fields__)
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    model, note = load_tiny(path)
    assert note == {"steps": 4}
    assert isinstance(model, TinyStar)
    assert not [p for p in config.folder.iterdir() if p.name.startswith(".")]
    strips = sorted(p.name for p in (config.folder / "strips").iterdir())
    assert strips == ["000002.png", "000004.png"]
    picture = cv2.imread(str(config.folder / "strips" / strips[0]))
    assert picture is not None
    assert picture.shape == (56, 3 * 64, 3)
    curve = cv2.imread(str(config.folder / "curve.png"))
    assert curve is not None
    assert curve.std() > 5


def test_star_tiny_is_trained_as_a_whole() -> None:
    with pytest.raises(UsageError, match="trained as a whole"):
        make_kit(ModelConfig(kind="star-tiny", train="control+liem"))
    kit = make_kit(ModelConfig(kind="star-tiny"))
    assert isinstance(kit, TinyKit)
    assert all(weight.requires_grad for weight in kit.model.parameters())


def test_times_below_the_noisiest_are_those_of_few_steps(config: TrainConfig) -> None:
    loss = config.loss.model_copy(update={"first_only": 0, "first_share": 0.4, "few_steps": 4})
    run = config.run.model_copy(update={"batch": 200})
    times, _ = fresh(config.model_copy(update={"loss": loss, "run": run})).drawn(0)
    assert set(times.tolist()) == {999, 749, 499, 249}
    assert int((times == 999).sum()) in range(50, 110)


def test_weights_without_pools_are_given_them_and_restore_as_before(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old = TinyStar(replace(TINY_SIZES, pooled_heads=0))
    torch.nn.init.normal_(old.network.unet.conv_out.weight, std=0.02)
    save_tiny(old, tmp_path / "old.safetensors", {}, torch.float32)
    kit = make_kit(ModelConfig(kind="star-tiny", weights=tmp_path / "old.safetensors"))
    assert isinstance(kit, TinyKit)
    assert kit.tiny.sizes == TINY_SIZES
    hint, t, text = torch.randn(1, 48, 2, 14, 16), torch.tensor([999]), torch.randn(1, 77, 64)
    with torch.no_grad():
        before = old.network(hint, t, text, hint)
        assert torch.equal(kit.tiny.network(hint, t, text, hint), before)
        exit_of = kit.tiny.network.unet.text_pool.exit  # type: ignore[union-attr]
        torch.nn.init.normal_(exit_of.weight, std=0.1)
        assert not torch.equal(kit.tiny.network(hint, t, text, hint), before)


def test_the_tower_learns_to_read_levels_and_the_picture_stays_as_it_was() -> None:
    torch.manual_seed(0)
    model = TinyStar()
    exits = [w for n, w in model.named_parameters() if ".text_pool.exit." in n]
    early = teach_reading(model, 2)
    late = teach_reading(model, 120)
    assert early > 0.95
    assert late < 0.9 * early
    assert len(exits) == 4
    assert not any(bool(w.any()) for w in exits)


def test_reading_belongs_to_star_tiny() -> None:
    with pytest.raises(UsageError, match=r"model\.reading is star-tiny's"):
        make_kit(ModelConfig(kind="star", config="tiny", reading=3))


def test_configurations_that_ship_are_valid() -> None:
    tiny, large = (load_config(CONFIGS / f"star-{n}.toml") for n in ("tiny", "published"))
    assert tiny.model.kind == "star-tiny"
    assert (large.data.frames, large.data.height, large.data.width) == (32, 720, 1280)
    assert large.model.train == "control+liem"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("folder = 1", "'folder'"),
        (
            "folder = 'x'\n[model]\nkind='star-tiny'\n[data]\n[run]\nsteps=1",
            "needs `photos`, `pairs` or a `manifest`",
        ),
        ("folder = 'x'\nspeed = 3", "'speed'|'model'"),
        ("not toml", "not valid TOML"),
    ],
)
def test_faults_of_a_configuration_are_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        load_config(path)


def test_a_curve_is_smoothed_from_its_beginning() -> None:
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2, 2, 2])
    jagged = smoothed([0.0, 1.0] * 50)
    assert jagged[0] == 0
    assert jagged[1] == pytest.approx(1 / 1.9)
    assert abs(jagged[-1] - 0.5) < 0.05
