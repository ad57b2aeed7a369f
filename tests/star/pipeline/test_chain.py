"""The pipeline: any length, any size, the same noise every time, windows that do not show."""

from dataclasses import replace

import pytest
import torch

from restar.errors import NotFiniteError
from star.denoiser import Denoiser
from star.noise import FrameNoise
from star.pipeline.chain import Chain
from star.pipeline.frame import frame_for
from star.pipeline.models import Model, Published, Steps, Tiny
from star.pipeline.noise import ByFrame, WholeClip
from star.pipeline.placement import place
from star.sampling import Progress, sample
from tests.star.pipeline.moving import TEXT, chain_of, clip, placement_of, restored, ways_for


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_any_number_of_frames_comes_out_and_the_same_each_time(model: Model, frames: int) -> None:
    given = clip(frames)
    made = restored(model, given)
    assert made.shape == (frames, 3, 24, 32)
    assert bool(made.isfinite().all())
    assert torch.equal(restored(model, given), made)


@pytest.mark.parametrize("frames", [33, 40, 200])
def test_lengths_at_which_the_release_crashes_and_long_ones(tiny: Tiny, frames: int) -> None:
    made = restored(tiny, clip(frames, 5, 6), window=32, overlap=4)
    assert made.shape == (frames, 3, 10, 12)


@pytest.mark.parametrize(("height", "width"), [(2, 3), (11, 13), (9, 30)])
def test_odd_sizes_come_out_whole(model: Model, height: int, width: int) -> None:
    assert restored(model, clip(3, height, width)).shape == (3, 3, 2 * height, 2 * width)


def test_a_scene_in_one_window_is_the_sampler_over_the_whole_clip(published: Published) -> None:
    """The wave through the chain is what `star.sampling.sample` gives at once, bit for bit."""
    given = clip(4)
    ways = ways_for(published, window=8)
    chain = chain_of(published, ways, given)
    items = list(chain.encoded((n, frame) for n, frame in enumerate(given)))
    text, negative = chain.told(TEXT, "blurred")
    hint = torch.stack([one.hint for one in items], 1)[None]
    denoise = Denoiser(
        published.predict, published.schedule, text, negative, hint, guidance=ways.guidance
    )
    start = published.begin(
        hint[0].transpose(0, 1),
        lambda: torch.stack([chain.noise.start(one.number) for one in items]),
        ways.steps,
    )

    def noise(step: int, _sigma: torch.Tensor, _following: torch.Tensor) -> torch.Tensor:
        return torch.stack([chain.noise.step(one.number, step) for one in items], 1)[None]

    kept: list[Progress] = []
    with torch.no_grad():
        x = start.transpose(0, 1)[None]
        whole = sample(chain.sampler, denoise, x, noise, kept.append)
        for progress in kept[:-1]:  # a resume at every step of the way
            again = sample(chain.sampler, denoise, x, noise, resume=progress)
            assert torch.equal(again, whole)
    stages = iter(items)
    for step in range(len(chain.sampler.plan)):
        stages = chain.step(stages, step, text, negative)
    assert torch.equal(torch.stack([one.x for one in stages], 1)[None], whole)


def noises(chain: Chain[int], frame: int) -> list[torch.Tensor]:
    noise = chain.noise
    rows, columns = chain.frame.own
    top, left = chain.frame.top // chain.frame.factor, chain.frame.left // chain.frame.factor
    made = [noise.start(frame), noise.sample(frame), noise.step(frame, 0), noise.step(frame, 1)]
    return [one[:, top : top + rows, left : left + columns] for one in made]


def test_noise_belongs_to_the_frame(published: Published) -> None:
    """Alone, in a longer part, in another window, in tiles, padded otherwise: the same, bit for bit."""
    alone = chain_of(published, ways_for(published), clip(3), first=110)
    others = {
        "a longer part": chain_of(published, ways_for(published), clip(40), first=100),
        "another window": chain_of(published, ways_for(published, window=32), clip(3), first=110),
        "tiles": chain_of(
            published, ways_for(published, tile=4, tile_overlap=2), clip(3), first=110
        ),
        "padded": chain_of(published, ways_for(published, padding="reference"), clip(3), first=110),
    }
    for name, other in others.items():
        for one, same in zip(noises(alone, 111), noises(other, 111), strict=True):
            assert torch.equal(one, same), name
    assert not torch.equal(noises(alone, 111)[0], noises(alone, 112)[0])
    assert not torch.equal(noises(alone, 111)[0], noises(alone, 111)[2])


def test_noise_goes_on_around_the_picture_mirrored() -> None:
    frame = frame_for(20, 20, 8, 2)
    made = ByFrame(1, 4, frame).start(7)
    assert made.shape == (4, frame.rows, frame.columns)
    own = FrameNoise(1).frame(7, "start", 0, (4, 3, 3))
    assert torch.equal(made[:, :3, :3], own)
    assert torch.equal(made[:, 3], made[:, 1])


def test_reference_noise_moves_when_the_clip_does(published: Published) -> None:
    frame = frame_for(16, 16, 8, 2)
    plan = published.sampler(Steps("normal", 2, 899)).plan
    one, other = (WholeClip(3, 4, frame, 0, count, plan) for count in (4, 5))
    assert not torch.equal(one.start(1), other.start(1))
    assert one.step(0, 0).shape == (4, frame.rows, frame.columns)
    assert float(torch.stack([one.step(n, 0) for n in range(4)]).std()) == pytest.approx(1, abs=0.2)


def test_trimming_a_frame_leaves_the_others_alone(tiny: Tiny) -> None:
    """Norms of star-tiny know one position only, so far from the cut nothing changes at all."""
    whole = restored(tiny, clip(20), first=100, steps=Steps("few", 2))
    trimmed = restored(tiny, clip(19, first=1), first=101, steps=Steps("few", 2))
    assert float((whole[1:] - trimmed)[8:].abs().mean()) < 0.02 * float(whole.std())


def seams(made: torch.Tensor, joints: list[int]) -> torch.Tensor:
    """The jump from frame to frame at each joint, against that of its four neighbours."""
    change = made.diff(dim=0).abs().mean((1, 2, 3))
    around = torch.stack([change.roll(n) for n in (2, 1, -1, -2)]).mean(0)
    return (change / around)[[at - 1 for at in joints if 2 < at < len(made) - 2]]


def joints_of(chain: Chain[int]) -> list[int]:
    """Where a window begins or ends inside the scene."""
    edges = {edge for window in chain.over.windows for edge in window}
    return sorted(edges - {0, chain.count})


@pytest.mark.parametrize(("window", "overlap"), [(8, 4), (8, 2), (12, 3)])
def test_joints_of_windows_do_not_show(shipped: Tiny, window: int, overlap: int) -> None:
    """On moving material each joint jumps at most 1.1 times as far as without windows, by neighbours."""
    given = clip(26, 20, 28)
    joints = joints_of(chain_of(shipped, ways_for(shipped, window=window, overlap=overlap), given))
    made = restored(shipped, given, window=window, overlap=overlap)
    whole = restored(shipped, given, window=26)
    assert len(joints) >= 4
    assert float((seams(made, joints) / seams(whole, joints)).max()) < 1.1


def test_joints_do_not_show_where_a_network_makes_nothing_but_noise(published: Published) -> None:
    given = clip(26, 10, 14)
    joints = joints_of(chain_of(published, ways_for(published, window=8, overlap=4), given))
    made = restored(published, given, window=8, overlap=4, decode_window=4, decode_overlap=2)
    assert float(seams(made, joints).mean()) < 1.1


def test_islands_of_the_decoder_show_and_overlapping_windows_do_not(published: Published) -> None:
    given = clip(18, 10, 14)
    clean = torch.stack(
        [
            one.hint
            for one in chain_of(published, ways_for(published), given).encoded(enumerate(given))
        ]
    )
    chain = chain_of(published, ways_for(published), given)

    def decoded(window: int, overlap: int) -> torch.Tensor:
        chain.ways = replace(chain.ways, decode_window=window, decode_overlap=overlap)
        items = chain.encoded(enumerate(given))
        return torch.stack([p for _, p in chain.decoded(replace(i, x=i.hint) for i in items)])

    whole = published.decode(clean, clean)[..., :20, :28].detach()
    islands, windows = ((decoded(*sizes) - whole).abs() for sizes in ((3, 0), (6, 3)))
    assert float(windows.mean()) < float(islands.mean())
    joints = [3, 6, 9, 12, 15]
    assert float((seams(decoded(6, 3), joints) / seams(whole, joints)).max()) < 1.1


def test_windows_and_tiles_change_little(shipped: Tiny) -> None:
    """Attention spans a window, so results depend on it: docs/star.md says how little."""
    given = clip(14, 24, 32)
    whole = restored(shipped, given, window=16)
    for changes in ({"window": 8, "overlap": 2}, {"window": 16, "tile": 12, "tile_overlap": 4}):
        off = restored(shipped, given, **changes) - whole
        assert 0 < float(off.abs().mean()) < 0.02 * float(whole.std())


def test_tiles_of_the_published_net_add_up(published: Published) -> None:
    given = clip(3, 40, 32)
    chain = chain_of(published, ways_for(published, tile=6, tile_overlap=2), given)
    down, across = chain.tiles()
    assert len(down.windows) > 1
    assert len(across.windows) > 1
    step = 2 ** (published.levels - 1)
    assert all((end - start - 2) % step == 0 for start, end in down.windows)
    assert all((end - start) % step == 0 for start, end in across.windows)
    constant = torch.ones(1, 4, 3, chain.frame.rows, chain.frame.columns)

    class Same:
        def clean_of(self, part: torch.Tensor, *_: object) -> torch.Tensor:
            return part

    made = chain.clean(Same(), constant, constant, 0, (0, (0, 3)))  # type: ignore[arg-type]
    torch.testing.assert_close(made, constant)


def test_guidance_acts_in_its_interval_only(published: Published) -> None:
    given = clip(3)
    never = restored(published, given, interval=(0, 1))
    always = restored(published, given)
    none = restored(published, given, guidance=replace(ways_for(published).guidance, scale=1.0))
    assert torch.equal(never, none)
    assert not torch.equal(always, none)


def test_both_texts_in_one_pass_give_what_two_passes_give(published: Published) -> None:
    given = clip(5)
    two = restored(published, given)
    one = restored(published, given, one_pass=True)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-4)
    tiles = {"tile": 8, "tile_overlap": 2, "window": 3, "overlap": 1}
    torch.testing.assert_close(
        restored(published, given, one_pass=True, **tiles),
        restored(published, given, **tiles),
        rtol=0,
        atol=1e-4,
    )


def test_sampled_encoding_and_reference_noise_run(published: Published) -> None:
    given = clip(3)
    mode = restored(published, given)
    assert not torch.equal(restored(published, given, encoding="sampled"), mode)
    assert not torch.equal(restored(published, given, noise="reference"), mode)
    assert not torch.equal(restored(published, given, blend="cut", window=2, overlap=1), mode)


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offload_gives_what_none_gives(
    offload: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from star.install import init_weights
    from star.parts import load_part
    from star.weights import PARTS, find_weights

    home = tmp_path_factory.mktemp("offload")
    init_weights(home, "small", "tiny", seed=4)
    made = []
    for how in ("none", offload):
        model = Published(*(load_part(find_weights(home, "small"), part) for part in PARTS))
        placed = place(model.parts, torch.device("cpu"), "float32", how)  # type: ignore[arg-type]
        given = clip(5)
        chain: Chain[int] = Chain(
            model, ways_for(model), placed, seed=1, first=0, count=5, size=(12, 16)
        )
        made.append(torch.stack([p for _, p in chain.run(enumerate(given), TEXT, "")]))
    assert torch.equal(*made)


def test_lower_precision_stays_near(
    published: Published, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from star.install import init_weights
    from star.parts import load_part
    from star.weights import PARTS, find_weights

    home = tmp_path_factory.mktemp("precision")
    init_weights(home, "small", "tiny", seed=3)
    parts = (load_part(find_weights(home, "small"), part) for part in PARTS)
    model = Published(*parts)
    placed = place(model.parts, torch.device("cpu"), "bfloat16")
    given = clip(3)
    chain: Chain[int] = Chain(
        model, ways_for(model), placed, seed=5, first=100, count=3, size=(12, 16)
    )
    low = torch.stack([p for _, p in chain.run(enumerate(given), TEXT, "blurred")])
    high = restored(published, given)
    assert low.dtype == torch.float32
    assert 0 < float((low - high).abs().mean()) < 0.2 * float(high.std())


def test_nan_is_named_by_the_films_own_frames(published: Published) -> None:
    given = clip(6)
    given[4] = float("nan")
    with pytest.raises(NotFiniteError, match=r"frames 10\d-10\d .*came in with the"):
        restored(published, given)


def test_text_is_told_once_a_scene(published: Published) -> None:
    asked: list[list[str]] = []

    class Counting(Published):
        def words(self, texts: list[str]) -> torch.Tensor:
            asked.append(texts)
            return super().words(texts)

    counting = Counting(published.unet, published.control, published.vae, published.text)
    placement_of(counting)
    restored(counting, clip(9))
    assert asked == [[TEXT, "blurred"]]
