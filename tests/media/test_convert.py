"""Pixel formats: what is repacked comes back bit for bit, what is converted is rounded to nearest."""

from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media import pixfmt
from media.convert import (
    assumed,
    ffv1_pix_fmts,
    format_of,
    from_rgb,
    full_range,
    lossless_equivalent,
    planar,
    planes,
    scaled,
    to_format,
    to_rgb,
)
from media.format import ColourTags, VideoFormat
from media.samples import repacked, tagged
from restar.errors import MediaError

REPACKED = sorted({**pixfmt._REPACKED, **pixfmt._BIG_ENDIAN})
MATRICES = ("bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc")


def video(pix_fmt: str, size: tuple[int, int] = (24, 16), **tags: Any) -> VideoFormat:
    return VideoFormat(*size, pix_fmt, colour=ColourTags(**tags))


def noise(pix_fmt: str, seed: int = 0, size: tuple[int, int] = (24, 16)) -> av.VideoFrame:
    """Random samples over all codes of a format that FFV1 has; padding bytes are left at 0."""
    rng = np.random.default_rng(seed)
    planar = pixfmt.UNPACKED.get(pix_fmt, pix_fmt)
    frame = av.VideoFrame(*size, planar)
    frame.pts = 7
    for component, samples in zip(frame.format.components, planes(frame), strict=True):
        samples[:] = rng.integers(0, 1 << component.bits, samples.shape)
    return repacked(frame, pix_fmt)


def raw(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """The bytes of each plane, without what lies beyond the width."""
    out = []
    for number, plane in enumerate(frame.planes):
        inside = [c for c in frame.format.components if c.plane == number]
        bits = frame.format.padded_bits_per_pixel
        if len(frame.planes) > 1:
            bits = sum(-(-c.bits // 8) * 8 for c in inside)
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : plane.height
        ]
        out.append(rows[:, : plane.width * bits // 8].copy())
    return out


def same(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    pairs = zip(raw(one), raw(other), strict=True)
    return one.format.name == other.format.name and all(np.array_equal(a, b) for a, b in pairs)


def flat(pix_fmt: str, codes: tuple[int, ...], **tags: Any) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, pix_fmt)
    for code, samples in zip(codes, planes(frame), strict=True):
        samples[:] = code
    return tagged(frame, None, ColourTags(**tags))


def codes(frame: av.VideoFrame) -> tuple[int, ...]:
    for samples in planes(frame):
        assert (samples == samples[0, 0]).all()
    return tuple(int(samples[0, 0]) for samples in planes(frame))


@pytest.mark.parametrize("pix_fmt", sorted(ffv1_pix_fmts()))
def test_what_ffv1_takes_is_its_own_equivalent(pix_fmt: str) -> None:
    assert lossless_equivalent(pix_fmt) == pix_fmt


@pytest.mark.parametrize("range_", ["tv", "pc", None])
@pytest.mark.parametrize("pix_fmt", REPACKED)
def test_a_lossless_equivalent_gives_the_original_back(pix_fmt: str, range_: str | None) -> None:
    equal = lossless_equivalent(pix_fmt)
    assert equal in ffv1_pix_fmts()
    for seed in range(3):
        if pix_fmt in {"rgb8", "bgr8"} or "555" in pix_fmt or "565" in pix_fmt:
            original = random_bytes(pix_fmt, seed)
        else:
            held = tagged(noise(equal, seed), None, ColourTags(range=range_))
            original = to_format(held, video(pix_fmt, range=range_))
            assert same(to_format(original, video(equal, range=range_)), held)
        there = to_format(original, video(equal, range=range_))
        back = to_format(there, video(pix_fmt, range=range_))
        assert same(back, original)


def random_bytes(pix_fmt: str, seed: int) -> av.VideoFrame:
    """Random codes of a format with fewer bits than its equivalent; its unused top bit is 0."""
    frame = av.VideoFrame(24, 16, pix_fmt)
    (plane,) = frame.planes
    data = np.random.default_rng(seed).integers(0, 256, plane.buffer_size, np.uint8)
    if "555" in pix_fmt:
        data[1::2] &= 0x7F
    plane.update(data.tobytes())
    return frame


def test_repacking_is_right_every_time() -> None:
    """libswscale's threads race here: with two, a few of 1500 frames come out wrong."""
    held, packed = noise("yuv422p"), video("yuyv422")
    first = to_format(held, packed)
    assert all(same(to_format(held, packed), first) for _ in range(1500))


@pytest.mark.parametrize("pix_fmt", ["monob", "xyz12le", "gray32le", "bayer_rggb8"])
def test_what_ffv1_cannot_hold_has_no_equivalent_and_is_not_converted(pix_fmt: str) -> None:
    assert lossless_equivalent(pix_fmt) is None
    with pytest.raises(MediaError, match=f"{pix_fmt} can't be converted here; transcode"):
        from_rgb(np.zeros((4, 4, 3)), video(pix_fmt))


def test_a_palette_is_held_as_its_colours() -> None:
    assert lossless_equivalent("pal8") == "bgra"
    frame = av.VideoFrame(4, 2, "pal8")
    entries = np.random.default_rng(0).integers(0, 256, (256, 4), np.uint8)
    frame.planes[1].update(entries.tobytes())
    np.frombuffer(memoryview(frame.planes[0]), np.uint8)[:4] = (9, 0, 255, 1)
    (seen,) = raw(to_format(frame, video("bgra", (4, 2))))
    assert np.array_equal(seen[0].reshape(4, 4), entries[[9, 0, 255, 1]])


@pytest.mark.parametrize("pix_fmt", ["rgb24", "rgb0", "0bgr", "gbrp"])
def test_the_byte_that_ffv1_does_not_code_is_what_it_decodes_to(pix_fmt: str) -> None:
    (seen,) = raw(to_format(to_format(noise("bgr0"), video(pix_fmt)), video("bgr0")))
    assert (seen.reshape(-1, 4)[:, 3] == 0).all()


def test_the_same_format_is_the_same_frame() -> None:
    frame = noise("yuv420p")
    assert to_format(frame, video("yuv420p", range="pc")) is frame


def test_times_and_tags_go_along() -> None:
    frame = noise("yuv422p10le")
    frame = tagged(frame, frame, ColourTags("bt470bg", "tv", "bt470bg", "smpte170m"))
    for pix_fmt in ("yuv422p12le", "p210le"):
        other = to_format(frame, format_of(frame))
        other = to_format(frame, VideoFormat(24, 16, pix_fmt, colour=format_of(frame).colour))
        assert other.pts == 7
        assert format_of(other).colour == format_of(frame).colour
    assert format_of(frame).colour.matrix == "bt470bg"


def test_yuvj_is_full_range_whatever_the_tag() -> None:
    assert full_range("yuvj420p", None) == "pc"
    assert full_range("yuv420p", None) is None
    frame = to_format(flat("yuvj420p", (3, 255, 0)), video("yuv420p", range="pc"))
    assert codes(frame) == (3, 255, 0)
    assert format_of(frame).colour.range == "pc"
    deeper = to_format(flat("yuvj420p", (255, 7, 128)), video("yuv420p10le"))
    assert codes(deeper) == (1023, 27, 512)
    assert format_of(deeper).colour.range == "pc"
    deeper = to_format(flat("yuvj420p", (255, 128, 128)), video("yuv420p10le", range="tv"))
    assert codes(deeper) == (940, 512, 512)


@given(
    code=st.integers(0, 1023),
    kind=st.sampled_from(["yuv444p", "yuv420p", "yuv422p", "gray", "gbrp"]),
    range_=st.sampled_from(["tv", "pc"]),
    shallow=st.sampled_from([8, 9]),
)
@settings(max_examples=150, deadline=None)
def test_depth_falls_by_rounding_to_nearest(
    code: int, kind: str, range_: str, shallow: int
) -> None:
    if shallow == 9 and kind == "gbrp":
        kind = "yuv444p"
    source = f"{kind}10le"
    target = kind if shallow == 8 else f"{kind}9le"
    if target == "gbrp":
        target = "bgr0"
    count = 1 if kind == "gray" else 3
    result = to_format(flat(source, (code,) * count, range=range_), video(target, range=range_))
    got = codes(planar(result))
    full = range_ == "pc" or kind == "gbrp"
    top = (1 << shallow) - 1
    unit = 1 << (10 - shallow)
    luma = code * top / 1023 if full else code / unit
    chroma = (code - 512) * top / 1023 + (1 << (shallow - 1)) if full else code / unit
    exact = [luma] + [luma if kind == "gbrp" else chroma] * (count - 1)
    for value, wanted in zip(got, exact, strict=True):
        assert abs(value - min(max(wanted, 0), top)) <= 0.5 + 1e-3


@given(code=st.integers(0, 255), range_=st.sampled_from(["tv", "pc"]))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("deep", ["yuv420p10le", "yuv420p12le", "yuv420p16le"])
def test_more_depth_and_back_changes_nothing(deep: str, code: int, range_: str) -> None:
    frame = flat("yuv420p", (code, 255 - code, code // 2), range=range_)
    there = to_format(frame, video(deep, range=range_))
    assert same(to_format(there, video("yuv420p", range=range_)), frame)


def test_range_is_converted_where_format_and_range_change() -> None:
    black, white = (flat("yuv420p", (y, 128, 128), range="tv") for y in (16, 235))
    assert codes(to_format(black, video("yuv420p10le", range="pc"))) == (0, 512, 512)
    assert codes(to_format(white, video("yuv420p10le", range="pc"))) == (1023, 512, 512)


@given(
    seed=st.integers(0, 2**32 - 1),
    matrix=st.sampled_from(MATRICES),
    range_=st.sampled_from(["tv", "pc"]),
    bits=st.sampled_from([8, 10, 12, 16]),
)
@settings(max_examples=80, deadline=None)
def test_rgb_to_444_and_back_is_within_rounding(
    seed: int, matrix: str, range_: str, bits: int
) -> None:
    """Half a code in Y', Cb, Cr each, by the inverse matrix: at most 0.5 + 0.5 * 1.9 codes."""
    pix_fmt = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    rgb = np.random.default_rng(seed).random((5, 7, 3), np.float32)
    frame = from_rgb(rgb, video(pix_fmt, matrix=matrix, range=range_))
    assert format_of(frame).colour.matrix == matrix
    error = np.abs(to_rgb(frame) - rgb).max()
    unit = 1 << (bits - 8)
    luma, chroma = (219 * unit, 224 * unit) if range_ == "tv" else ((256 * unit - 1),) * 2
    assert error <= 0.5 / luma + 0.5 * 1.9 / chroma + 1e-6
    assert error > 0.5 / luma / 4 or bits == 16


@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([8, 10, 12, 14, 16]))
@settings(max_examples=30, deadline=None)
def test_rgb_to_rgb_is_within_half_a_code(seed: int, bits: int) -> None:
    rgb = np.random.default_rng(seed).random((6, 4, 3), np.float32)
    frame = from_rgb(rgb, video("bgr0" if bits == 8 else f"gbrp{bits}le"))
    assert np.abs(to_rgb(frame) - rgb).max() <= 0.5 / ((1 << bits) - 1) + 1e-6


@pytest.mark.parametrize(
    ("matrix", "colour", "wanted"),
    [  # 8 bit limited codes of the primaries, by ITU-R BT.601 and BT.709
        ("smpte170m", (1, 0, 0), (81, 90, 240)),
        ("smpte170m", (0, 0, 1), (41, 240, 110)),
        ("bt709", (1, 0, 0), (63, 102, 240)),
        ("bt709", (0, 1, 0), (173, 42, 26)),
        ("bt709", (1, 1, 1), (235, 128, 128)),
        ("bt2020nc", (0, 0, 0), (16, 128, 128)),
    ],
)
def test_primaries_have_the_codes_of_the_standards(
    matrix: str, colour: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    rgb = np.broadcast_to(np.array(colour, np.float32), (16, 16, 3))
    assert codes(from_rgb(rgb, video("yuv420p", matrix=matrix, range="tv"))) == wanted


def test_ffmpeg_agrees_on_a_picture_between_rgb_and_yuv() -> None:
    """libswscale's own conversion, an independent one, is within its error of ours."""
    y, x = np.mgrid[:32, :48] / 48
    rgb = np.stack((x, y, 1 - x), axis=-1).astype(np.float32)
    ours = from_rgb(rgb, video("yuv444p", (48, 32), matrix="bt709", range="tv"))
    theirs = from_rgb(rgb, video("bgr0", (48, 32))).reformat(
        format="yuv444p",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="MPEG",
        interpolation=Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
    )
    for a, b in zip(planes(ours), planes(theirs), strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "yuv411p", "yuv440p", "yuv410p"])
def test_subsampled_chroma_is_smooth_where_the_picture_is(pix_fmt: str) -> None:
    y, x = np.mgrid[:48, :64] / 64
    rgb = np.stack((0.2 + 0.6 * x, 0.2 + 0.6 * y, 0.5 - 0.2 * x), axis=-1).astype(np.float32)
    back = to_rgb(from_rgb(rgb, video(pix_fmt, (64, 48), matrix="bt709", range="tv")))
    inside = (slice(8, -8), slice(8, -8))
    shallow = pix_fmt in {"yuv411p", "yuv410p"}  # no deep format to resample their chroma in
    assert np.abs(back - rgb)[inside].max() < (3.3 if shallow else 2.2) / 219


@pytest.mark.parametrize(("location", "column"), [("left", 32.0), ("center", 32.5)])
def test_chroma_lies_where_its_siting_says(location: str, column: float) -> None:
    frame = flat_chroma_impulse()
    tags = ColourTags(matrix="bt709", range="pc", chroma_location=location)
    chroma = planes(to_format(frame, VideoFormat(64, 48, "yuv444p", colour=tags)))[1] - 128.0
    assert (chroma * np.arange(64)).sum() / chroma.sum() == pytest.approx(column, abs=0.05)


def flat_chroma_impulse() -> av.VideoFrame:
    frame = av.VideoFrame(64, 48, "yuv420p")
    for samples, code in zip(planes(frame), (100, 128, 128), strict=True):
        samples[:] = code
    planes(frame)[1][12, 16] = 228
    return frame


def test_gray_has_its_own_range() -> None:
    assert codes(to_format(flat("gray", (255,)), video("gray10le"))) == (1023,)
    limited = flat("gray", (235,), range="tv")
    assert codes(to_format(limited, video("gray10le", range="tv"))) == (940,)
    assert to_rgb(limited).max() == 1
    assert codes(to_format(limited, video("yuv420p", range="tv"))) == (235, 128, 128)
    colour = flat("yuv420p", (235, 90, 200), range="tv")
    assert codes(to_format(colour, video("gray", range="pc"))) == (255,)


def test_alpha_is_kept_where_both_have_it() -> None:
    rgb = np.full((4, 4, 3), 0.5)
    opaque = from_rgb(rgb, video("bgra", (4, 4)))
    assert (planes(planar(opaque))[3] == 255).all()
    half = planar(opaque)
    planes(half)[3][:] = 77
    deep = to_format(half, video("gbrap16le", (4, 4)))
    assert (planes(deep)[3] == 77 * 257).all()
    assert len(planes(to_format(half, video("gbrp16le", (4, 4))))) == 3


def test_what_tags_leave_open_is_assumed_and_told() -> None:
    assert assumed(video("yuv420p", (720, 576))).matrix == "smpte170m"
    assert assumed(video("yuv420p", (1280, 720))).matrix == "bt709"
    assert assumed(video("yuv420p", (1280, 720), matrix="fcc")).matrix == "fcc"
    assert assumed(video("yuv420p")).range == "tv"
    assert assumed(video("yuvj420p")) == ColourTags("smpte170m", "pc", chroma_location="center")
    assert assumed(video("gray")).range == "pc"
    assert assumed(video("bgr0", range="tv")).range == "pc"
    untagged, tagged = flat("yuv444p", (81, 90, 240)), flat("yuv444p", (63, 102, 240))
    assert to_rgb(untagged)[0, 0] == pytest.approx((1, 0, 0), abs=0.01)
    red = to_rgb(tagged, ColourTags(matrix="bt709"))[0, 0]
    assert red == pytest.approx((1, 0, 0), abs=0.01)


def test_an_unknown_matrix_is_refused() -> None:
    with pytest.raises(MediaError, match="matrix ictcp can't be converted"):
        to_rgb(flat("yuv444p", (1, 2, 3), matrix="ictcp"))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 3), (17, 9)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gray", "bgr0", "yuv410p", "nv12"])
def test_any_size_is_converted_and_scaled(pix_fmt: str, size: tuple[int, int]) -> None:
    frame = from_rgb(np.full((size[1], size[0], 3), 0.25), video(pix_fmt, size, range="tv"))
    assert to_rgb(frame).shape == (size[1], size[0], 3)
    larger = scaled(frame, size[0] * 3, size[1] * 3, "lanczos")
    assert (larger.width, larger.height) == (size[0] * 3, size[1] * 3)
    assert codes(larger) == codes(planar(frame))
