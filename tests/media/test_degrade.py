"""The degrader: the same by the same seed, whatever part of a film is degraded; presets as they say."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from media.degrade import (
    PRESETS,
    CopyPass,
    Degradation,
    PrintWear,
    degrade_clip,
    degrade_frames,
    output_size,
    preset,
    with_changes,
)
from media.degradefilm import degrade_film
from media.frames import decode_all, frame_md5
from media.probe import probe
from restar.errors import StoreError, UsageError

CLIP = np.clip(
    np.random.default_rng(3).random((6, 48, 64, 3), dtype=np.float32) * 0.3
    + np.linspace(0.2, 0.7, 64, dtype=np.float32)[None, None, :, None],
    0,
    1,
)
WORN = preset("archive", 0)


@pytest.mark.parametrize("name", PRESETS)
def test_the_same_seed_gives_the_same_clip(name: str) -> None:
    what = preset(name, 5)
    first = degrade_clip(CLIP, what, seed=5)
    assert np.array_equal(first, degrade_clip(CLIP, what, seed=5))
    width, height = output_size(64, 48, what)
    assert first.shape == (6, height, width, 3)
    assert first.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 1


def test_a_frame_is_the_same_whichever_came_before_it() -> None:
    whole = degrade_clip(CLIP, WORN, seed=5)
    part = degrade_clip(CLIP[2:4], WORN, seed=5, first_frame=2)
    assert np.array_equal(part, whole[2:4])


def test_another_seed_gives_another_clip() -> None:
    assert not np.array_equal(degrade_clip(CLIP, WORN, 1), degrade_clip(CLIP, WORN, 2))
    assert preset("star", 1) != preset("star", 2)


def test_no_degradation_leaves_the_clip_alone() -> None:
    assert np.array_equal(degrade_clip(CLIP, Degradation(), seed=1), CLIP)


def test_it_holds_one_frame_at_a_time() -> None:
    read = 0

    def frames():  # type: ignore[no-untyped-def]
        nonlocal read
        for frame in CLIP:
            read += 1
            yield frame

    for number, _ in enumerate(degrade_frames(frames(), WORN, seed=1), start=1):
        assert read == number


@pytest.mark.parametrize(
    "fault",
    [
        PrintWear(grain=0.1),
        PrintWear(flicker=0.2),
        PrintWear(fade=0.8),
        PrintWear(weave=3.0),
        PrintWear(scratches=40.0),
        PrintWear(dust=20.0),
        PrintWear(hairs=20.0),
    ],
    ids=lambda wear: next(k for k, v in asdict(wear).items() if v and k != "grain_size"),
)
def test_each_kind_of_wear_shows(fault: PrintWear) -> None:
    worn = degrade_clip(CLIP, Degradation(wear=fault), seed=4)
    assert float(np.abs(worn - CLIP).mean()) > 1e-3


def test_each_step_of_a_copy_shows() -> None:
    for fault in (
        CopyPass(blur_x=2, blur_y=1, angle=0.4),
        CopyPass(resize=0.5),
        CopyPass(noise=0.05),
        CopyPass(jpeg=20),
    ):
        made = degrade_clip(CLIP, Degradation(passes=(fault,)), seed=4)
        assert float(np.abs(made - CLIP).mean()) > 1e-3, fault


def test_grain_is_as_strong_as_it_says() -> None:
    gray = np.full((4, 96, 96, 3), 0.5, np.float32)
    worn = degrade_clip(gray, Degradation(wear=PrintWear(grain=0.05, grain_size=1.0)), seed=2)
    assert worn.mean() == pytest.approx(0.5, abs=0.01)
    assert worn.std() == pytest.approx(0.05, rel=0.35)


def test_parameters_are_changed_by_name() -> None:
    changed = with_changes(WORN, ["wear.grain=0.2", "passes.0.jpeg=50", "crf=30"])
    assert changed == replace(
        WORN,
        wear=replace(WORN.wear, grain=0.2),
        passes=(replace(WORN.passes[0], jpeg=50),),
        crf=30,
    )


@pytest.mark.parametrize(
    "change",
    ["wear.magic=1", "wear", "passes.9.jpeg=5", "crf=soft", "crf=99", "downscale=0", "wear=1",
     "wear.grain=nan", "wear.grain=inf", "wear.grain=-1", "passes.0.jpeg=101"],
)  # fmt: skip
def test_a_wrong_change_is_refused(change: str) -> None:
    with pytest.raises(UsageError):
        with_changes(WORN, [change])


def test_an_unknown_preset_names_those_that_are_there() -> None:
    with pytest.raises(UsageError, match="archive, star, clean"):
        preset("new", 0)


def test_a_film_is_made_again_from_its_parameters(scenes: Path, tmp_path: Path) -> None:
    what = preset("archive", 3)
    made = degrade_film(scenes, tmp_path / "a", what, preset="archive", seed=3)
    again = degrade_film(scenes, tmp_path / "b", what, preset="archive", seed=3)
    info, source = probe(made.film), probe(scenes)
    assert made.frames == 84
    assert (info.format.width, info.format.height) == (48, 32)
    assert [s.codec for s in info.others()] == [s.codec for s in source.others()]
    pictures = [
        [(f.pts, frame_md5(f)) for f in decode_all(path, probe(path))]
        for path in (made.film, again.film)
    ]
    assert pictures[0] == pictures[1]
    told = json.loads(made.parameters.read_text())
    assert told["seed"] == 3
    assert told["parameters"]["wear"] == asdict(what.wear)
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "scenes.archive.mkv", "scenes.archive.json"
    }  # fmt: skip


def test_it_never_writes_over_its_source(scenes: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.archive.mkv"
    source.write_bytes(scenes.read_bytes())
    twin = tmp_path / "x.mkv"
    twin.symlink_to(source)
    with pytest.raises(StoreError, match="is the film itself"):
        degrade_film(twin, tmp_path, WORN, preset="archive", seed=0)
    assert source.read_bytes() == scenes.read_bytes()
