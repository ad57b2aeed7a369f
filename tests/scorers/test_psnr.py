"""PSNR is ffmpeg's, at the source's size, and always a number."""

import math
from dataclasses import replace

import av
import numpy as np
import pytest
from av.filter import Graph

from media.convert import deepest, from_rgb, planes, scaled, to_format
from media.format import ColourTags, VideoFormat
from media.synthetic import moving_pictures
from scorers import Pair, scorer
from scorers.contract import PAIRS, ScorerContract
from scorers.psnr import HIGHEST, PsnrToSource

SOURCE = PAIRS["same size"][0]


class TestContract(ScorerContract):
    @pytest.fixture
    def scorer(self) -> PsnrToSource:
        return PsnrToSource()


def psnr(source: av.VideoFrame, take: av.VideoFrame, video: VideoFormat = SOURCE) -> float:
    session = PsnrToSource().start(video, video)
    session.see(Pair(0, source, take, (video, video)))
    (value,) = session.finish().values
    return value


def noisy(frame: av.VideoFrame, amount: int) -> av.VideoFrame:
    other = to_format(frame, replace(SOURCE, pix_fmt="yuv420p16le"))
    rng = np.random.default_rng(1)
    for samples in planes(other):
        changed = samples.astype(int) + 256 * rng.integers(-amount, amount + 1, samples.shape)
        samples[:] = np.clip(changed, 0, 65535)
    return other


def ffmpeg_psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    graph = Graph()
    size = f"video_size={one.width}x{one.height}:pix_fmt={one.format.name}:time_base=1/1:range=tv"
    inputs = [graph.add("buffer", size + ":colorspace=bt709") for _ in range(2)]
    measure, sink = graph.add("psnr"), graph.add("buffersink")
    for number, node in enumerate(inputs):
        node.link_to(measure, 0, number)
    measure.link_to(sink)
    graph.configure()
    for node, frame in zip(inputs, (one, other), strict=True):
        frame.pts = 0
        node.push(frame)
    return float(graph.vpull().metadata["lavfi.psnr.psnr_avg"])


@pytest.mark.parametrize("amount", [1, 3, 30])
def test_it_is_the_psnr_of_ffmpeg(amount: int) -> None:
    frame = next(moving_pictures(SOURCE, 1))
    deep, other = to_format(frame, replace(SOURCE, pix_fmt="yuv420p16le")), noisy(frame, amount)
    assert psnr(frame, other) == pytest.approx(ffmpeg_psnr(deep, other), abs=0.01)


def test_it_falls_as_noise_grows() -> None:
    frame = next(moving_pictures(SOURCE, 1))
    values = [psnr(frame, noisy(frame, amount)) for amount in (0, 1, 2, 4, 8, 16)]
    assert values[0] == HIGHEST
    assert values == sorted(values, reverse=True)


def test_one_code_everywhere_has_the_psnr_of_arithmetic() -> None:
    video = VideoFormat(32, 32, "gray", colour=ColourTags(range="pc"))
    one, other = (from_rgb(np.full((32, 32, 3), code / 255), video) for code in (100, 101))
    assert psnr(one, other, video) == pytest.approx(20 * math.log10(255), abs=1e-6)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "bgr0", "gray16le", "yuv411p"])
def test_the_same_picture_larger_is_nearly_the_same(pix_fmt: str) -> None:
    video = replace(SOURCE, pix_fmt=pix_fmt, width=96, height=64)
    y, x = np.mgrid[:64, :96] / 96
    smooth = np.stack((0.5 + 0.3 * np.sin(x * 9), 0.5 + 0.3 * np.cos(y * 9), 1 - x), axis=-1)
    frame = from_rgb(smooth, video)
    larger = scaled(to_format(frame, replace(video, pix_fmt=deepest(pix_fmt))), 192, 128, "lanczos")
    assert psnr(frame, larger, video) > 45


def test_it_is_found_by_name() -> None:
    assert isinstance(scorer("psnr-to-source"), PsnrToSource)
