"""Samples depend on their number alone; pairs are matched by name, and mismatches are refused."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.star_tiny_data import write_clip
from media.degrade import Degradation, PrintWear
from restar.errors import UsageError
from star.tinyprompt import measure
from training.config import DataConfig
from training.data import Samples, find_pairs, find_photos, loader
from training.motion import camera_clip
from training.steering import said_noise, share_left
from training.wear import KINDS, Wear, compressed, draw_wear, grain_in, worn_pair


def data_of(photos: Path, **more: object) -> DataConfig:
    return DataConfig.model_validate(
        {"photos": (photos,), "frames": 2, "height": 48, "width": 64, "workers": 0, **more}
    )


def test_a_sample_is_the_same_whatever_came_before(photos: Path) -> None:
    samples = Samples(data_of(photos), seed=3, count=8)
    inorder = list(loader(samples, 0, 2, 0))
    resumed = list(loader(samples, 4, 2, 0))
    assert len(inorder) == 4
    assert torch.equal(inorder[3].wanted, resumed[1].wanted)
    assert torch.equal(inorder[3].large, resumed[1].large)
    assert torch.equal(inorder[3].ids, resumed[1].ids)
    assert not torch.equal(inorder[0].wanted, inorder[1].wanted)
    assert inorder[0].wanted.shape == inorder[0].large.shape == (2, 2, 3, 48, 64)


def test_devices_share_the_samples_without_overlap(photos: Path) -> None:
    samples = Samples(data_of(photos), seed=3, count=8)
    whole = [b.wanted for b in loader(samples, 0, 1, 0)]
    shared = [[b.wanted for b in loader(samples, 0, 1, 0, (place, 2))] for place in (0, 1)]
    for number, wanted in enumerate(whole):
        assert torch.equal(wanted, shared[number % 2][number // 2])


def test_other_seed_other_samples(photos: Path) -> None:
    one, two = (Samples(data_of(photos), seed=s, count=1)[0][0] for s in (1, 2))
    assert not torch.equal(one, two)


def test_held_out_photographs_are_never_used(photos: Path) -> None:
    assert [p.name for p in find_photos([photos], ["one.png"])] == ["two.png"]


def test_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no photographs"):
        find_photos([tmp_path], [])


def test_a_small_photograph_is_refused_with_the_size_that_is_needed() -> None:
    with pytest.raises(UsageError, match="it needs 144x136"):
        camera_clip(np.zeros((50, 60, 3), np.uint8), 2, (56, 64), np.random.default_rng(0))


def test_camera_moves_and_stays_sharp() -> None:
    random = np.random.default_rng(1)
    photo = random.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    clips = [camera_clip(photo, 3, (32, 40), np.random.default_rng(n)) for n in range(8)]
    assert any(not np.array_equal(clip[0], clip[2]) for clip in clips)
    assert all(clip.shape == (3, 32, 40, 3) and clip.std() > 5 for clip in clips)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [2, 4])
def test_worn_pairs_have_the_scale(kind: str, scale: int) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    for seed in range(4):
        wear = draw_wear(kind, scale, seed)
        assert wear.scale == scale
        wanted, given = worn_pair(clip, wear)
        assert wanted.shape == clip.shape
        assert given.shape == (2, 32 // scale, 48 // scale, 3)


def test_clean_pairs_keep_the_wanted_picture() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    wanted, given = worn_pair(clip, Wear(Degradation(downscale=2), 0))
    assert np.array_equal(wanted, clip)
    means = clip.reshape(2, 16, 2, 24, 2, 3).mean((2, 4))
    assert np.abs(given - means).max() <= 1


def test_noise_is_measured_where_it_is() -> None:
    random = torch.Generator().manual_seed(0)
    calm = torch.linspace(-0.5, 0.5, 64).expand(2, 3, 48, 64)
    levels = [
        measure(calm + sigma * torch.randn(calm.shape, generator=random)).noise
        for sigma in (0.0, 0.02, 0.1)
    ]
    assert levels[0] == 0
    assert levels[0] < levels[1] < levels[2]


def test_texture_that_moves_is_no_noise_and_grain_on_it_is() -> None:
    """A single frame can't tell them apart; successive frames can."""
    random = torch.Generator().manual_seed(2)
    ground = F.avg_pool2d(torch.randn(1, 3, 130, 130, generator=random), 3, stride=1) * 0.6
    moving = torch.cat([ground[..., n : n + 96, 2 * n : 2 * n + 96] for n in range(5)])
    grain = 0.1 * torch.randn(moving.shape, generator=random)
    assert measure(moving[:1]).noise >= 6
    assert measure(moving).noise == 0
    assert measure(moving + grain).noise >= 6


def test_frames_too_small_to_seek_movement_in_are_measured_by_themselves() -> None:
    random = torch.Generator().manual_seed(3)
    assert measure(0.1 * torch.randn(5, 3, 12, 40, generator=random)).noise >= 5


def test_flicker_is_measured_where_it_is() -> None:
    still = torch.zeros(4, 3, 16, 16)
    jumping = still + torch.tensor([0.0, 0.1, 0.0, 0.1]).view(4, 1, 1, 1)
    assert measure(still).flicker == 0
    assert measure(jumping).flicker >= 5


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for name in ("gt", "lq", "text"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(folder: Path, name: str, size: tuple[int, int], frames: int = 3) -> None:
    import av

    with av.open(folder / name, "w") as output:
        stream = output.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"  # type: ignore[union-attr]
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 40 * number + 20, np.uint8)
            picture[:, : size[0] // 2] += 30
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            output.mux(stream.encode(frame))  # type: ignore[union-attr]
        output.mux(stream.encode(None))  # type: ignore[union-attr]


def test_pairs_are_matched_by_name_and_read(pairs: Path) -> None:
    for name in ("b.mkv", "a.mkv"):
        put(pairs / "gt", name, (64, 48))
        put(pairs / "lq", name, (32, 24))
        (pairs / "text" / name.replace("mkv", "txt")).write_text(f"clip {name}")
    found = find_pairs(pairs)
    assert [(p.gt.name, p.lq.name if p.lq else "", p.text) for p in found] == [
        ("a.mkv", "a.mkv", "clip a.mkv"),
        ("b.mkv", "b.mkv", "clip b.mkv"),
    ]
    data = DataConfig(pairs=pairs, frames=2, height=40, width=48, workers=0)
    wanted, large, _ = Samples(data, 0, 4)[0]
    assert wanted.shape == large.shape == (2, 3, 40, 48)
    assert float((wanted - large).abs().mean()) < 0.05


def test_clip_without_its_twin_is_refused(pairs: Path) -> None:
    put(pairs / "gt", "a.mkv", (64, 48))
    put(pairs / "gt", "b.mkv", (64, 48))
    put(pairs / "lq", "a.mkv", (32, 24))
    with pytest.raises(UsageError, match=r"b\.mkv: has no counterpart in .*lq"):
        find_pairs(pairs)


def test_twin_without_its_clip_is_refused(pairs: Path) -> None:
    put(pairs / "gt", "a.mkv", (64, 48))
    put(pairs / "lq", "c.mkv", (32, 24))
    with pytest.raises(UsageError, match=r"c\.mkv: has no clip of that name"):
        find_pairs(pairs)


def test_pair_of_other_length_is_refused(pairs: Path) -> None:
    put(pairs / "gt", "a.mkv", (64, 48))
    put(pairs / "lq", "a.mkv", (32, 24), frames=2)
    with pytest.raises(UsageError, match="2 frames, but"):
        find_pairs(pairs)


def test_pair_of_other_size_is_refused(pairs: Path) -> None:
    put(pairs / "gt", "a.mkv", (64, 48))
    put(pairs / "lq", "a.mkv", (24, 24))
    with pytest.raises(UsageError, match="is not a half or a quarter"):
        find_pairs(pairs)


def test_two_clips_of_one_name_are_refused(pairs: Path) -> None:
    put(pairs / "gt", "a.mkv", (64, 48))
    put(pairs / "gt", "a.avi", (64, 48))
    with pytest.raises(UsageError, match="has the same name"):
        find_pairs(pairs)


def test_a_margin_is_worn_and_cut_off(photos: Path) -> None:
    data = data_of(photos, margin=8)
    wanted, large, _ = Samples(data, 0, 1)[0]
    assert wanted.shape == large.shape == (2, 3, 48, 64)
    with pytest.raises(UsageError, match=r"data\.margin 3: choose a multiple of 8"):
        Samples(data_of(photos, margin=3), 0, 1)


def test_wanted_and_given_show_the_same_place(photos: Path) -> None:
    """Whatever is cut and turned, a clean pair stays a pair."""
    samples = Samples(data_of(photos, margin=8, wear={"clean": 1}, x2_share=1), 0, 8)
    for number in range(8):
        wanted, large, _ = samples[number]
        same = (wanted - large).square().mean()
        turned = (wanted - large.flip(-1)).square().mean()
        assert float(same) < 0.5 * float(turned)


def test_the_share_of_pairs_is_kept(photos: Path, tmp_path: Path) -> None:
    clip = np.zeros((2, 48, 64, 3), np.uint8)
    write_clip(tmp_path / "gt" / "black.mkv", clip)
    wear = {"clean": 1}
    none, all_ = (
        Samples(data_of(photos, pairs=tmp_path, pairs_share=share, wear=wear), 0, 6)
        for share in (0, 1)
    )
    assert all(float(none[n][0].std()) > 0.01 for n in range(6))
    assert all(float(all_[n][0].std()) < 0.01 for n in range(6))


def test_the_same_clip_is_worn_the_same_each_time() -> None:
    """H.264 of tiny clips included, of which x264 makes several with its default settings."""
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    soft = np.asarray(cv2.GaussianBlur(photo, (0, 0), 2), np.uint8)
    clip = camera_clip(soft, 7, (72, 96), np.random.default_rng(1))
    made = {compressed(clip.astype(np.float32) / 255, 21).tobytes() for _ in range(12)}
    assert len(made) == 1


def test_a_text_that_says_less_noise_keeps_its_share_of_the_grain(photos: Path) -> None:
    """The picture to reach is the truth and grain; where more is said, the truth alone."""
    told = {"wear": {"archive": 1.0}, "frames": 2, "height": 96, "width": 96}
    plain = Samples(data_of(photos, **told), seed=5, count=12)
    other = Samples(data_of(photos, **told, steered_share=1.0), seed=5, count=12)
    kept = []
    for number in range(12):
        (truth, large, words), (wanted, same, said) = plain[number], other[number]
        assert torch.equal(large, same)
        assert not torch.equal(words, said)
        left, noise = wanted - truth, large - truth
        if bool(left.any()):
            kept.append(float(torch.corrcoef(torch.stack([left.flatten(), noise.flatten()]))[0, 1]))
    assert 2 <= len(kept) < 12
    assert min(kept) > 0.03  # by chance 0.004: 55 000 numbers


def test_grain_alone_is_what_the_grain_adds() -> None:
    clip = np.full((2, 64, 64, 3), 120, np.uint8)
    wear = Wear(Degradation(PrintWear(grain=0.05), downscale=2), seed=3)
    _, given = worn_pair(clip, wear)
    grain = grain_in(clip, wear)
    assert grain.shape == (2, 32, 32, 3)
    assert np.abs(grain * 255 - (given.astype(np.float32) - 120)).max() < 1.01
    assert grain.std() > 0.005


def test_levels_that_are_said() -> None:
    random = np.random.default_rng(0)
    drawn = [said_noise(5, True, random) for _ in range(300)]
    assert set(drawn) == {0, 1, 2, 3, 6, 7, 8, 9}
    assert 0.6 < np.mean(np.array(drawn) < 5) < 0.8
    assert min(said_noise(5, False, random) for _ in range(50)) == 6
    assert said_noise(9, False, random) == 9
    shares = [share_left(said, 5) for said in range(8)]
    assert shares[0] == 1
    assert shares[5:] == [0, 0, 0]
    assert all(one > other for one, other in pairwise(shares[:6]))
