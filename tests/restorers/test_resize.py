"""Resize shifts nothing, changes no flat colour, and knows light from codes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.convert import format_of, from_rgb, planar, planes, to_rgb
from media.format import ColourTags, VideoFormat
from media.pixfmt import ffv1_pix_fmts
from media.synthetic import digest, moving_pictures
from restar.errors import MediaError, RecipeError
from restar.timeline import FrameRange
from restorers import StepContext, restorer
from restorers.contract import RestorerContract
from restorers.resize import Resize

INTEGERS = sorted(f for f in ffv1_pix_fmts() if "f16" not in f and "f32" not in f and f != "ya8")


class TestContractGamma(RestorerContract):
    @pytest.fixture
    def restorer(self) -> Resize:
        return Resize()


class TestContractLinear(TestContractGamma):
    options: ClassVar[dict[str, Any]] = {"scale": 3, "light": "linear"}


class TestContractUntouched(TestContractGamma):
    options: ClassVar[dict[str, Any]] = {"scale": 1}


def video(pix_fmt: str, width: int = 32, height: int = 24, **tags: str) -> VideoFormat:
    return VideoFormat(width, height, pix_fmt, colour=ColourTags(**tags))


def resized(
    frames: Iterable[av.VideoFrame], source: VideoFormat, pix_fmt: str = "", **options: Any
) -> list[av.VideoFrame]:
    member = Resize()
    step = member.resolve(options, source)
    target = member.output(step, source)
    target = replace(target, pix_fmt=pix_fmt or target.pix_fmt)
    context = StepContext(FrameRange(0, 9), step, source, target, 0)
    return list(member.restore(iter(frames), context))


def frame_of(
    pix_fmt: str, samples: list[NDArray[Any] | int], size: tuple[int, int]
) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pix_fmt)
    for plane, values in zip(planes(frame), samples, strict=True):
        plane[:] = values
    return frame


@pytest.mark.parametrize("pix_fmt", INTEGERS)
def test_a_flat_picture_stays_exactly_flat(pix_fmt: str) -> None:
    """Odd size, scale 3, random and extreme codes, every format."""
    rng = np.random.default_rng(5)
    source = video(pix_fmt, 17, 11)
    for number in range(6):
        frame = planar(av.VideoFrame(17, 11, pix_fmt))
        wanted = []
        for component, samples in zip(frame.format.components, planes(frame), strict=True):
            top = (1 << component.bits) - 1
            wanted.append((0, top, int(rng.integers(0, top + 1)))[min(number, 2)])
            samples[:] = wanted[-1]
        (larger,) = resized([frame], source, scale=3)
        assert larger.format.name == pix_fmt
        if pix_fmt == "bgr0":
            wanted = wanted[:3]
        for code, samples in zip(wanted, planes(planar(larger)), strict=True):
            assert (samples == code).all()


@given(
    rgb=st.tuples(*[st.floats(0, 1, width=32)] * 3),
    pix_fmt=st.sampled_from(["yuv420p", "yuv422p10le", "yuv444p12le", "gray", "bgr0", "gbrp16le"]),
    transfer=st.sampled_from([None, "bt709", "iec61966-2-1", "bt470bg"]),
)
@settings(max_examples=60, deadline=None)
def test_a_flat_picture_stays_flat_as_light(
    rgb: tuple[float, ...], pix_fmt: str, transfer: str | None
) -> None:
    source = replace(video(pix_fmt), colour=ColourTags("bt709", "tv", transfer=transfer))
    frame = from_rgb(np.broadcast_to(np.array(rgb), (24, 32, 3)), source)
    (larger,) = resized([frame], source, scale=2, light="linear")
    for before, after in zip(planes(planar(frame)), planes(planar(larger)), strict=True):
        assert (after == after[0, 0]).all()
        near = 1 if frame.format.components[0].bits <= 12 else 2
        assert abs(int(after[0, 0]) - int(before[0, 0])) <= near  # in gamut only by rounding


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("pix_fmt", ["gray16le", "yuv444p16le", "gbrp16le"])
def test_an_impulse_is_centred_and_symmetric(pix_fmt: str, scale: int) -> None:
    """Sample n of the source lies at scale * (n + 1/2) - 1/2: no half-pixel of false phase."""
    dot = np.zeros((24, 32), np.uint16)
    dot[11, 13] = 40000
    frame = frame_of(pix_fmt, [dot + 10000] * (1 if pix_fmt == "gray16le" else 3), (32, 24))
    (larger,) = resized([frame], video(pix_fmt), scale=scale)
    for samples in planes(larger):
        light = samples.astype(float) - 10000
        y, x = (scale * (n + 0.5) - 0.5 for n in (11, 13))
        rows, columns = light.sum(axis=1), light.sum(axis=0)
        total = light.sum()
        assert (columns * np.arange(32 * scale)).sum() / total == pytest.approx(x, abs=0.01)
        assert (rows * np.arange(24 * scale)).sum() / total == pytest.approx(y, abs=0.01)
        around = light[int(y) - 2 * scale : int(np.ceil(y)) + 2 * scale + 1]
        assert np.abs(around - around[::-1]).max() < 100  # coefficients have 14 bits
        assert total == pytest.approx(40000 * scale**2, rel=0.02)


@pytest.mark.parametrize("light", ["gamma", "linear"])
def test_a_ramp_stays_a_ramp_in_place(light: str) -> None:
    ramp = np.broadcast_to(np.arange(32) * 1000 + 8000, (24, 32)).astype(np.uint16)
    source = replace(video("gray16le"), colour=ColourTags(range="pc", transfer="linear"))
    (larger,) = resized([frame_of("gray16le", [ramp], (32, 24))], source, scale=2, light=light)
    wanted = 8000 + 1000 * ((np.arange(64) + 0.5) / 2 - 0.5)
    inside = slice(10, -10)
    error = planes(larger)[0].astype(float)[:, inside] - wanted[inside]
    assert np.abs(error).max() < 25  # Lanczos itself ripples on a ramp
    assert abs(error.mean()) < 0.6


@pytest.mark.parametrize(("place", "column"), [("left", 26.25), ("center", 26.5)])
def test_chroma_keeps_its_siting(place: str, column: float) -> None:
    """4:2:0 at the left: chroma 13 is over luma 26, which is luma 52.5 of twice the width."""
    chroma = np.full((24, 32), 128, np.uint8)
    chroma[11, 13] = 228
    source = replace(video("yuv420p", 64, 48), colour=ColourTags(chroma_location=place))
    (larger,) = resized([frame_of("yuv420p", [50, chroma, 128], (64, 48))], source, scale=2)
    _, cb, cr = (samples.astype(float) - 128 for samples in planes(larger))
    assert (cb * np.arange(64)).sum() / cb.sum() == pytest.approx(column, abs=0.04)
    assert (cr == 0).all()


def test_a_checkerboard_keeps_its_light_only_where_light_is_filtered() -> None:
    """Half the dots are lit: half the light, which is the code 0.5 ** (1 / 2.4) of a display."""
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8)
    source = replace(video("gray", 32, 32), colour=ColourTags(range="pc"))
    frame = frame_of("gray", [board], (32, 32))
    inside = (slice(16, -16), slice(16, -16))
    codes = {
        light: planes(resized([frame], source, "gray16le", scale=2, light=light)[0])[0] / 65535
        for light in ("gamma", "linear")
    }
    gamma, linear = (codes[light][inside] for light in ("gamma", "linear"))
    assert gamma.mean() == pytest.approx(0.5, abs=0.01)
    assert (linear**2.4).mean() == pytest.approx(0.5, abs=0.01)
    assert linear.mean() > gamma.mean() + 0.05


@pytest.mark.parametrize(
    ("transfer", "code"), [("iec61966-2-1", 0.7354), (None, 0.7492), ("bt470bg", 0.7807)]
)
def test_half_the_light_is_coded_by_the_transfer(transfer: str | None, code: float) -> None:
    """Between a black and a white half, the middle of the edge has half the light."""
    edge = np.zeros((8, 33), np.uint16)
    edge[:, 17:] = 65535
    edge[:, 16] = round(65535 * code)
    source = replace(video("gray16le", 33, 8), colour=ColourTags(range="pc", transfer=transfer))
    frame = frame_of("gray16le", [edge], (33, 8))
    (larger,) = resized([frame], source, scale=3, light="linear")
    assert planes(larger)[0][4, 49] / 65535 == pytest.approx(code, abs=0.001)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "bgr0", "gray16le"])
@pytest.mark.parametrize("light", ["gamma", "linear"])
def test_scale_1_gives_the_very_frames(pix_fmt: str, light: str) -> None:
    frames = [av.VideoFrame(32, 24, pix_fmt) for _ in range(2)]
    out = resized(frames, video(pix_fmt), scale=1, light=light)
    assert [a is b for a, b in zip(frames, out, strict=True)] == [True, True]


def test_a_deeper_target_is_rounded_once() -> None:
    source = video("yuv420p", matrix="bt709", range="tv")
    frame = next(moving_pictures(source, 1))
    (shallow,) = resized([frame], source, scale=2)
    (deep,) = resized([frame], source, "yuv420p12le", scale=2)
    codes = planes(deep)[0]
    assert (codes % 16 != 0).mean() > 0.5
    assert np.abs(codes / 16 - planes(shallow)[0]).max() <= 0.6


def test_both_lights_agree_on_a_smooth_picture() -> None:
    source = video("yuv420p", 64, 48, matrix="bt709", range="tv")
    y, x = np.mgrid[:48, :64] / 64
    rgb = np.stack((0.3 + 0.4 * x, 0.3 + 0.4 * y, 0.5 + 0 * x), axis=-1)
    frame = from_rgb(rgb, source)
    one, other = (
        to_rgb(resized([frame], source, scale=2, light=k)[0]) for k in ("gamma", "linear")
    )
    assert np.abs(one - other).max() < 0.02


def test_shape_and_tags_stay_and_a_guess_is_said_where_it_would_change() -> None:
    def output(source: VideoFormat, scale: int = 2) -> VideoFormat:
        return Resize().output(Resize().resolve({"scale": scale}, source), source)

    source = VideoFormat(720, 576, "yuvj420p", colour=ColourTags(transfer="smpte170m"))
    larger = output(source)
    assert (larger.width, larger.height, larger.pix_fmt) == (1440, 1152, "yuv420p")
    assert larger.colour == ColourTags("smpte170m", "pc", transfer="smpte170m")
    assert output(video("yuv420p", 320, 240)).colour.matrix is None
    assert output(video("yuv420p", 1920, 1080)).colour.matrix is None
    assert output(video("yuv420p", 720, 480), scale=1).colour.matrix is None
    assert output(video("bgr0", 720, 480)).colour.matrix is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 9}, "less than or equal to 8.*two resize steps in a row"),
        ({"scale": 0}, "greater than or equal to 1"),
        ({"scale": 1.5}, "'scale' is not valid"),
        ({"scale": True}, "'scale' is not valid"),
        ({"light": "moon"}, "'light' is not valid"),
        ({"size": 2}, "unknown key 'size'; known here: scale, light"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Resize().resolve(options, video("yuv420p"))


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (video("yuv420p", 4096, 2160), {"scale": 8}, "gives 32768x17280, more than a frame"),
        (video("xyz12le"), {}, "xyz12le can't be converted"),
        (video("gbrpf32le"), {}, "gbrpf32le can't be converted"),
        (video("yuv420p", transfer="smpte2084"), {"light": "linear"}, "use light = gamma"),
        (video("yuva420p"), {"light": "linear"}, "drop the alpha of yuva420p"),
        (video("yuv420p", matrix="ictcp"), {"light": "linear"}, "matrix ictcp can't be converted"),
    ],
)
def test_what_cannot_work_on_the_source_is_refused(
    source: VideoFormat, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        Resize().resolve(options, source)


def test_a_size_that_changes_midway_is_refused() -> None:
    source = video("yuv420p")
    frames = [*moving_pictures(source, 1), *moving_pictures(replace(source, width=48), 1)]
    with pytest.raises(MediaError, match="frame 1 is 48x24 in a film of 32x24"):
        resized(frames, source, scale=2)


def test_pixels_are_those_of_this_algorithm_version() -> None:
    """If this fails, pixels have changed: raise Resize.algorithm, then take the new digest."""
    y, x = np.mgrid[:24, :32]
    frame = frame_of("yuv420p", [(x * 37 + y * 91) % 251, (x[:12, :16] * 5 + y[:12, :16]) % 256, 99],
                     (32, 24))  # fmt: skip
    (larger,) = resized([frame], video("yuv420p"), scale=2)
    assert Resize.algorithm == 1
    assert format_of(larger).colour == ColourTags()
    assert digest(larger)[:16] == "5b0202e1e8fad0e8"


def test_it_is_found_by_name_and_wants_whole_frames() -> None:
    assert isinstance(restorer("resize"), Resize)
    assert Resize.needs_progressive
