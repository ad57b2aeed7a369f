"""Proxies: every frame by itself, the right colours and shape, whatever the film is."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.convert import format_of, to_rgb
from media.format import ColourTags, VideoFormat
from media.frames import decode_all
from media.probe import probe
from media.proxy import ProxyWriter, index_of, proxy_format
from media.synthetic import moving_pictures
from restar.errors import VerificationError

BT709 = ColourTags("bt709", "tv", "bt709", "bt709")
KINDS = {
    "4:2:0": VideoFormat(64, 48, "yuv420p", colour=BT709),
    "601, full range, SAR": VideoFormat(
        64, 48, "yuv422p", Fraction(16, 15), ColourTags("smpte170m", "pc")
    ),
    "10 bit 4:2:2": VideoFormat(64, 48, "yuv422p10le", colour=BT709),
    "2020, 12 bit": VideoFormat(64, 48, "yuv444p12le", colour=ColourTags("bt2020nc", "tv")),
    "odd gray": VideoFormat(37, 23, "gray"),
    "untagged RGB, odd": VideoFormat(63, 45, "gbrp"),
    "alpha": VideoFormat(64, 48, "yuva444p", colour=BT709),
    "larger than 1080 lines": VideoFormat(96, 2160, "yuv420p", colour=BT709),
}


def written(path: Path, video: VideoFormat, count: int) -> list[av.VideoFrame]:
    frames = list(moving_pictures(video, count))
    with ProxyWriter(path, video, Fraction(24)) as writer:
        for frame in frames:
            writer.write(frame)
    return frames


@pytest.mark.parametrize("kind", KINDS)
def test_each_frame_is_found_by_its_bytes_and_looks_as_it_did(kind: str, tmp_path: Path) -> None:
    video, path = KINDS[kind], tmp_path / "proxy.mp4"
    frames = written(path, video, 7)
    index = index_of(path, video, 7)
    target = proxy_format(video)
    assert (index["width"], index["height"]) == (target.width, target.height)
    assert index["sar"] == list((video.sar or Fraction(1)).as_integer_ratio())
    assert index["codec"].startswith("avc1.")
    assert target.height <= 1080
    made = probe(path)
    assert made.format.pix_fmt == "yuv420p"
    assert made.format.colour == replace(target.colour, chroma_location=None)
    data = path.read_bytes()
    shown = list(decode_all(path, made))
    for number, (before, after) in enumerate(zip(frames, shown, strict=True)):
        at, size = index["at"][number], index["size"][number]
        packet = av.Packet(data[at : at + size])
        context = av.CodecContext.create("h264", "r")
        context.extradata = made_extradata(path)
        (alone,) = [*context.decode(packet), *context.decode(None)]
        assert np.array_equal(alone.to_ndarray(), after.to_ndarray()), "a frame needs another one"
        ours, theirs = to_rgb(before, video.colour), to_rgb(after, made.format.colour)
        theirs = theirs[: target.height, : target.width]
        error = np.abs(ours.mean((0, 1)) - theirs.mean((0, 1))).max()
        assert error < 1.5 / 255, f"frame {number}: colours are {255 * error:.1f} off"
        if ours.shape == theirs.shape:
            assert np.abs(ours.mean(2) - theirs.mean(2)).mean() < 6 / 255
    assert format_of(shown[0]).colour.range == "tv"


def made_extradata(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.extradata or b""


def test_a_proxy_of_another_length_is_refused_and_a_broken_one_removed(tmp_path: Path) -> None:
    video, path = KINDS["4:2:0"], tmp_path / "proxy.mp4"
    written(path, video, 5)
    with pytest.raises(VerificationError, match="holds 5 frames, not 6"):
        index_of(path, video, 6)
    with pytest.raises(ZeroDivisionError), ProxyWriter(tmp_path / "b.mp4", video, Fraction(24)):
        raise ZeroDivisionError
    assert not (tmp_path / "b.mp4").exists()
