"""The restorer `star`: a restorer by the contract, told by its card, with options that are checked."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from media.convert import planes, to_rgb
from media.format import ColourTags, VideoFormat
from media.synthetic import moving_pictures
from restar.errors import CheckpointError, RecipeError
from restar.settings import load_settings
from restar.spec import ResolvedStep
from restar.timeline import FrameRange
from restorers import ModelLicence, StepContext, licence_of, needs_of
from restorers.contract import RestorerContract
from restorers.star import Star
from restorers.star.card import hardly_gains, with_strength
from restorers.star.settle import predicted
from restorers.star.weights import chosen_weights
from star.install import init_weights

VIDEO = VideoFormat(48, 32, "yuv420p", colour=ColourTags("bt709", "tv", "bt709", "bt709"))
QUICK = {"model": "trial", "scale": 1, "plan": "normal", "steps": 1, "guidance": 1.0, "window": 3,
         "overlap": 1, "decode_window": 2, "decode_overlap": 1}  # fmt: skip


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with untrained weights of a small STAR, called `trial`."""
    home = tmp_path_factory.mktemp("home")
    init_weights(home / "weights", "trial", "tiny", seed=1)
    return home


@pytest.fixture(autouse=True)
def _home(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RESTAR_HOME", str(weights))
    monkeypatch.setenv("RESTAR_STAR_DEVICE", "cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def star() -> Star:
    return Star()


class TestSmallStar(RestorerContract):
    """The published shape, untrained."""

    options: ClassVar[dict[str, Any]] = QUICK
    look_ahead = 14

    @pytest.fixture
    def restorer(self, star: Star) -> Star:
        return star


class TestStarTiny(RestorerContract):
    """star-tiny, on one format in colour and on gray."""

    options: ClassVar[dict[str, Any]] = {
        "model": "star-tiny",
        "scale": 2,
        "window": 3,
        "overlap": 1,
    }
    formats = ("8 bit", "gray")
    look_ahead = 14

    @pytest.fixture
    def restorer(self, star: Star) -> Star:
        return star


def resolved(star: Star, video: VideoFormat = VIDEO, **options: Any) -> ResolvedStep:
    return star.resolve(options, video)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "../up"}, "'model' is not valid"),
        ({"scale": 3}, "star-tiny enlarges by 2 or 4, not by 3"),
        ({"scale": 9}, "'scale' is not valid"),
        ({"window": 1}, "window"),
        ({"window": 8, "overlap": 5}, "overlap 5 is more than half of window 8"),
        ({"decode_window": 2, "decode_overlap": 2}, "decode_overlap 2 is more than half"),
        ({"tile": 64, "tile_overlap": 40}, "tile_overlap 40 is more than half of tile 64"),
        ({"guidance": 7.5}, "without guidance"),
        ({"plan": "few", "steps": 3}, "1, 2 or 4 steps, not 3"),
        ({"plan": "fast", "noise_level": 400}, "plan normal"),
        ({"noise_level": 1000}, "'noise_level' is not valid"),
        ({"guidance_from": 10, "guidance_until": 20}, "later time"),
        ({"guidance_rescale": 1.5}, "'guidance_rescale' is not valid"),
        ({"precision": "int8"}, "'precision' is not valid"),
        ({"colour": "vivid"}, "'colour' is not valid"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(
    star: Star, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RecipeError, match="step star: ") as caught:
        resolved(star, **options)
    assert says in str(caught.value)


def test_everything_auto_is_answered_and_written(star: Star) -> None:
    step = resolved(star)
    assert step.options["model"] == "star-tiny"
    assert (step.options["plan"], step.options["steps"]) == ("few", 1)
    for name in (*Star.settles, "guidance"):
        assert step.options[name] != "auto", name
    assert len(step.model_sha256) == 64
    assert resolved(star, **step.options) == step


def test_answers_that_were_kept_are_not_judged_by_this_host(
    star: Star, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {name: resolved(star).options[name] for name in Star.settles}
    monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", "300")
    with pytest.raises(RecipeError, match="more than the 300 MiB"):
        resolved(star)
    with pytest.raises(RecipeError, match="more than the 300 MiB"):
        resolved(star, **kept)  # somebody's own choice is
    step = star.resolve({"model": "star-tiny", "scale": 4}, VIDEO, kept)
    assert {name: step.options[name] for name in kept} == kept


def test_the_licence_of_the_weights_is_told(star: Star) -> None:
    assert licence_of(resolved(star)) == ModelLicence(
        "star-tiny", "Apache-2.0", True, "ships with restar, docs/star-tiny.md"
    )
    trial = licence_of(resolved(star, **QUICK))
    assert trial is not None
    assert trial.name == "trial"
    assert trial.licence
    assert licence_of(ResolvedStep("identity", 1, {})) is None


def test_the_default_is_star_light_where_it_is_installed_whole(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTAR_HOME", str(tmp_path))
    assert resolved(star).options["model"] == "star-tiny"
    init_weights(tmp_path / "weights", "star-light", "tiny")
    step = resolved(star)
    assert step.options["model"] == "star-light"
    assert step.options["plan"] == "fast"
    assert step.options["untrained"] is True


def test_missing_weights_are_named_with_the_way_to_get_them(star: Star) -> None:
    with pytest.raises(CheckpointError) as caught:
        resolved(star, model="star-heavy")
    said = str(caught.value)
    for part in ("star-heavy (unet and controlnet, 8.2 GB)", "svd-vae (vae", "clip-h-text"):
        assert part in said
    assert "`restar weights fetch svd-vae --accept-licence`" in said
    with pytest.raises(CheckpointError, match="import FILE --as mine"):
        resolved(star, model="mine")


def test_other_weights_than_the_specs_are_refused(star: Star) -> None:
    step = replace(resolved(star, scale=2), model_sha256="0" * 64)
    context = StepContext(FrameRange(0, 1), step, VIDEO, star.output(step, VIDEO), 0)
    with pytest.raises(CheckpointError, match="are not those of the spec"):
        next(star.restore(moving_pictures(VIDEO, 1), context))


@pytest.mark.parametrize("size", [(1, 40), (40, 1)])
def test_crops_of_one_row_or_column_are_refused(star: Star, size: tuple[int, int]) -> None:
    with pytest.raises(RecipeError, match="show nothing"):
        resolved(star, VideoFormat(*size, "gray"))


def test_alpha_is_not_dropped(star: Star) -> None:
    with pytest.raises(RecipeError, match="alpha"):
        resolved(star, VideoFormat(48, 32, "yuva420p"))


def test_a_memory_limit_shortens_windows_then_cuts_tiles(
    star: Star, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = VideoFormat(320, 240, "yuv420p")
    whole = resolved(star, large)
    home = Path("nowhere")
    weights = chosen_weights(star_options(whole), home)
    need = predicted(star_options(whole), weights, large)
    assert needs_of(star, whole, large).memory_bytes == need
    sizes = []
    for limit in (need - 1, int(0.6 * need), int(0.45 * need)):
        monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", str(limit >> 20))
        step = resolved(star, large)
        assert predicted(star_options(step), weights, large) <= limit
        sizes.append((step.options["window"], step.options["tile"]))
    assert sizes[0] == (12, 0)
    assert sizes[-1][1] > 0
    with pytest.raises(RecipeError, match="RESTAR_STAR_MEMORY_MIB"):
        resolved(star, large, window=16, tile=0)
    monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", "300")
    with pytest.raises(RecipeError, match="more than the 300 MiB"):
        resolved(star, large)


def test_guidance_takes_one_pass_on_a_gpu_that_has_room(
    star: Star, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided = {**QUICK, "guidance": 7.5, "window": 32, "decode_window": 1, "decode_overlap": 0}
    assert resolved(star, **guided).options["guidance_passes"] == "two"
    monkeypatch.setenv("RESTAR_STAR_DEVICE", "cuda")
    monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", "100000")
    large = VideoFormat(320, 240, "yuv420p")
    one = resolved(star, large, **guided)
    assert one.options["guidance_passes"] == "one"
    weights = chosen_weights(star_options(one), load_settings().weights_root)
    need = predicted(star_options(one), weights, large)
    monkeypatch.setenv("RESTAR_STAR_MEMORY_MIB", str((need >> 20) - 1))
    two = resolved(star, large, **guided)
    assert two.options["guidance_passes"] == "two"
    assert two.options["window"] == one.options["window"]
    less = star.smaller(one, large)
    assert less is not None
    assert less["guidance_passes"] == "two"
    assert not {"window", "tile"} & set(less)
    with pytest.raises(RecipeError, match="windows of 32 frames"):
        resolved(star, large, **guided, guidance_passes="one", tile=0)
    asked = resolved(star, large, **guided, guidance_passes="one")
    assert asked.options["guidance_passes"] == "one", "what a person named stays"
    assert asked.options["tile"] > 0


def test_after_out_of_memory_there_is_a_smaller_way(star: Star) -> None:
    large = VideoFormat(320, 240, "yuv420p")
    step = resolved(star, large)
    less = star.smaller(step, large)
    assert less is not None
    assert set(less) <= set(Star.settles)
    after = replace(step, options={**step.options, **less})
    assert needs_of(star, after, large).memory_bytes < needs_of(star, step, large).memory_bytes
    assert resolved(star, large, **after.options) == after


def star_options(step: ResolvedStep) -> Any:
    from restorers.star.options import checked

    return checked(step.options)


def test_what_star_tiny_is_told_is_measured(star: Star) -> None:
    step = resolved(star, scale=4)
    assert star.prompt_template(step) == "film enlarged x4, {condition}"
    random = np.random.default_rng(1)
    flat = np.full((5, 32, 48, 3), 0.5, np.float32)
    noisy = (flat + random.normal(0, 0.08, flat.shape)).astype(np.float32)
    clean, worn = (star.condition(step, list(clip)) for clip in (flat, noisy))
    assert clean is not None
    assert worn is not None
    assert clean.startswith("noise 0")
    assert int(worn[6]) >= 4
    assert star.condition(step, [flat[0, :5, :5]]) is None
    trial = resolved(star, **QUICK)
    assert star.condition(trial, list(flat)) is None
    assert star.prompt_template(trial) == "{caption}"
    assert star.count_tokens("a good video") == 3


def test_clean_film_at_x2_gets_a_resize_where_that_is_wished(star: Star) -> None:
    clean, worn = (f"film enlarged x2, noise {n}, sharpness 5, flicker 0" for n in (0, 6))
    step = resolved(star, scale=2, clean="resize")
    instead = star.instead(step, clean)
    assert instead is not None
    assert (instead[0].use, instead[0].options["scale"]) == ("resize", 2)
    assert "little to gain" in instead[1]
    assert star.instead(step, worn) is None
    assert star.instead(resolved(star, scale=2), clean) is None
    assert star.instead(resolved(star, scale=4, clean="resize"), clean.replace("x2", "x4")) is None
    assert star.instead(resolved(star, **QUICK, clean="resize"), clean) is None
    assert hardly_gains(2, "a person's own words") == ""


def test_strength_says_less_noise(star: Star) -> None:
    told = "a horse. film enlarged x4, noise 5, sharpness 6, flicker 5"
    assert with_strength(told, 1) == told
    assert with_strength(told, 0) == told.replace("noise 5", "noise 0")
    assert with_strength(told, 0.5) == told.replace("noise 5", "noise 3")
    assert with_strength("a person's own words", 0.5) == "a person's own words"
    assert resolved(star, strength=0.5).options["strength"] == 0.5
    with pytest.raises(RecipeError, match="'trial' is not told it"):
        resolved(star, **QUICK, strength=0.5)


def test_monochrome_in_colour_planes_stays_neutral(star: Star) -> None:
    step = resolved(star, **{**QUICK, "colour": "none"})
    gray = VideoFormat(48, 32, "yuv420p", Fraction(1), VIDEO.colour)
    frames = []
    for frame in moving_pictures(gray, 4):
        for plane in planes(frame)[1:]:
            plane[:] = 128
        frames.append(frame)
    context = StepContext(FrameRange(0, 4), step, gray, star.output(step, gray), 3)
    for frame in star.restore(iter(frames), context):
        assert {int(value) for plane in planes(frame)[1:] for value in np.unique(plane)} == {128}


def test_pictures_get_sharper_not_brighter(star: Star) -> None:
    """star-tiny as it ships, on a smooth moving picture: nothing is invented, nothing moves."""
    step = resolved(star, scale=2)
    context = StepContext(FrameRange(0, 5), step, VIDEO, star.output(step, VIDEO), 0,
                          "film enlarged x2, noise 4, sharpness 5, flicker 0")  # fmt: skip
    source = list(moving_pictures(VIDEO, 5))
    made = list(star.restore(iter(source), context))
    for before, after in zip(source, made, strict=True):
        assert (after.width, after.height) == (96, 64)
        small = to_rgb(after).reshape(32, 2, 48, 2, 3).mean((1, 3))
        assert abs(float((small - to_rgb(before)).mean())) < 0.01
        assert float(np.abs(small - to_rgb(before)).mean()) < 0.04


def test_out_of_memory_of_the_processor_is_told_as_such(
    star: Star, monkeypatch: pytest.MonkeyPatch
) -> None:
    from star.pipeline.chain import Chain

    def fails(*_: object, **__: object) -> Iterator[Any]:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
        yield

    monkeypatch.setattr(Chain, "run", fails)
    step = resolved(star, scale=2)
    context = StepContext(FrameRange(0, 1), step, VIDEO, star.output(step, VIDEO), 0)
    with pytest.raises(MemoryError, match="can't allocate"):
        next(star.restore(moving_pictures(VIDEO, 1), context))
