"""Every scorer that comes along and needs no weights keeps the contract, whatever frames it gets."""

import math
from dataclasses import replace

import numpy as np
import pytest

from media.convert import from_rgb, scaled
from media.format import VideoFormat
from restar.plugins import plugin_names
from scorers import Pair, Scorer, scorer
from scorers.contract import ScorerContract
from scorers.flags import RULES, find_flags
from tests.scorers.pairs import VIDEO, moving, scored, twice

WEIGHTS = ("clipiqa", "dists-to-source", "ilniqe", "lpips-to-source", "maniqa", "musiq", "topiq")
PYIQA = ("brisque", "niqe", "piqe")
PLAIN = tuple(sorted(set(plugin_names("scorers")) - set(WEIGHTS) - set(PYIQA)))


@pytest.mark.parametrize("name", [*PLAIN, *PYIQA])
class TestContract(ScorerContract):
    @pytest.fixture
    def scorer(self, name: str) -> Scorer:
        return scorer(name)


PERFECT = {
    "psnr-to-source": 100.0, "ssim-to-source": 1.0, "blank": 0.0, "frame-order": -1.0, "frozen": 0.0,
    "flicker": 0.0, "seam-jump": 0.0, "warp-error": 0.0, "colour-drift": 0.0, "detail-kept": 1.0,
    "overshoot": 0.0, "tile-edges": 0.0, "displacement": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_an_identical_take_is_perfect(name: str) -> None:
    pictures = moving(8)
    series = scored(scorer(name), pictures, pictures)
    if name == "detail-gain":
        assert series.values == ()
    elif name == "invented-detail":
        assert max(series.values) < -20
    else:
        assert series.values
        assert series.values == pytest.approx([PERFECT[name]] * len(series.values), abs=1e-6)


@pytest.mark.parametrize("name", [*PLAIN, *PYIQA])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 17), (16, 16), (17, 9), (40, 25)])
@pytest.mark.parametrize("colour", [0.0, 0.4, 1.0])
def test_scenes_of_one_colour_and_tiny_ones_give_numbers_or_nothing(
    name: str, size: tuple[int, int], colour: float
) -> None:
    member = scorer(name)
    for larger in (1, 2):
        video = VideoFormat(*size, "yuv444p", colour=VIDEO.colour)
        take = replace(video, width=larger * size[0], height=larger * size[1])
        session, before = member.start(video, take), None
        for index in range(3):
            frames = [
                from_rgb(np.full((v.height, v.width, 3), colour, np.float32), v)
                for v in (video, take)
            ]
            before = Pair(index, frames[0], frames[1], (video, take), before)
            session.see(before)
        series = session.finish()
        assert all(math.isfinite(v) for v in series.values)


@pytest.mark.parametrize("name", PLAIN)
def test_frames_that_were_left_out_are_no_jump(name: str) -> None:
    """Without a pair before it a frame is a first one."""
    pictures = moving(12)
    member, gap = scorer(name), [0, 1, 2, 8, 9, 10]
    session, last = member.start(VIDEO, VIDEO), None
    for index in gap:
        frame = from_rgb(pictures[index], VIDEO)
        before = last if last is not None and last.index == index - 1 else None
        last = Pair(index, frame, frame, (VIDEO, VIDEO), before)
        session.see(last)
    series = session.finish()
    assert set(series.frames) <= set(gap)
    if name in PERFECT:
        assert series.values == pytest.approx([PERFECT[name]] * len(series.values), abs=1e-6)


def test_a_plain_resize_is_no_fault_of_any_kind() -> None:
    """Plain is what `resize` gives; a bicubic one is softer, and flagged `lost-detail` for it."""
    source = moving()
    video = replace(VIDEO, width=2 * VIDEO.width, height=2 * VIDEO.height)
    names = sorted({rule.scorer for rule in RULES})
    sessions = [scorer(name).start(VIDEO, video) for name in names]
    before = None
    for index, picture in enumerate(source):
        frame = from_rgb(picture, VIDEO)
        larger = scaled(frame, video.width, video.height, "lanczos")
        before = Pair(index, frame, larger, (VIDEO, video), before)
        for session in sessions:
            session.see(before)
    assert find_flags(session.finish() for session in sessions) == []
    soft = [scored(scorer(name), source, twice(source)) for name in names]
    assert {finding.flag for finding in find_flags(soft)} == {"lost-detail"}
