"""Captions come out of the pictures whole, in files that another program (libav) reads."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.captions import _Clock, write_captions
from media.index import _RECORD, FrameIndex
from media.marks import MarksWriter
from media.probe import MediaInfo, StreamInfo

NTSC = Fraction(30000, 1001)
PAIR = b"\xfc\x94\x2c"  # a pair of the first field


def film(rate: Fraction, frames: int, timecode: str = "") -> tuple[MediaInfo, FrameIndex]:
    tags = {"TIMECODE": timecode} if timecode else {}
    picture = StreamInfo(0, "video", "mpeg2video", 1 / rate, metadata=tags)
    records = np.zeros(frames, _RECORD)
    records["pts"] = np.arange(frames)
    return MediaInfo("mpeg", 0, (picture,), (), {}, 0), FrameIndex(records, 1 / rate)


def written(
    folder: Path, data: list[bytes], rate: Fraction = NTSC, timecode: str = ""
) -> dict[str, Path]:
    with MarksWriter(folder / "marks") as marks:
        for one in data:
            marks.add({"A53_CC": one} if one else {})
    info, index = film(rate, len(data), timecode)
    return {f.suffix: f for f in write_captions(info, index, folder / "marks", folder)}


def read(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def times(path: Path) -> list[str]:
    return [line.split("\t")[0] for line in path.read_text().splitlines() if "\t" in line]


CONSTRUCTS = st.lists(
    st.tuples(st.integers(0xF8, 0xFF), st.integers(0, 255), st.integers(0, 255)).map(bytes),
    min_size=1, max_size=20,
).map(b"".join)  # fmt: skip


@given(st.lists(st.one_of(st.just(b""), CONSTRUCTS, st.just(PAIR)), min_size=2, max_size=40))
def test_every_byte_is_in_the_mcc(data: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        files = written(Path(name), data)
        wanted = [one for one in data if one]
        assert (read(files[".mcc"]) if files else []) == wanted
        if files:
            places = [n for n, one in enumerate(data) if one]
            assert times(files[".mcc"]) == [f"00:00:{n // 30:02}:{n % 30:02}" for n in places]


def test_the_first_field_is_in_the_scc(tmp_path: Path) -> None:
    null, second, digital = b"\xfc\x80\x80", b"\xfd\x41\x42", b"\xfe\x01\x02"
    data = [PAIR + second, PAIR + digital, null, b"", b"\xfc\xc1\xc2", null]
    files = written(tmp_path, data)
    assert times(files[".scc"]) == ["00:00:00:00", "00:00:00:04"]
    assert b"".join(read(files[".scc"])) == PAIR + PAIR + b"\xfc\xc1\xc2"


def test_captions_of_a_rate_without_cea_608_have_no_scc(tmp_path: Path) -> None:
    assert list(written(tmp_path, [PAIR] * 3, Fraction(25))) == [".mcc"]


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(120)])
def test_a_rate_that_captions_do_not_know(tmp_path: Path, rate: Fraction) -> None:
    assert written(tmp_path, [PAIR] * 3, rate) == {}


def test_a_film_without_captions_has_no_files(tmp_path: Path) -> None:
    assert written(tmp_path, [b""] * 3) == {}


def test_the_film_s_own_timecode_is_kept(tmp_path: Path) -> None:
    files = written(tmp_path, [PAIR] * 4, timecode="00:59:59;28")
    assert times(files[".mcc"]) == ["00:59:59;28", "00:59:59;29", "01:00:00;00", "01:00:00;01"]
    assert "Time Code Rate=30DF" in files[".mcc"].read_text()


def test_drop_frame_timecode_keeps_to_the_clock() -> None:
    """SMPTE ST 12-1: two numbers are left out each minute but every tenth."""
    clock = _Clock.of(NTSC, "00:00:00;00")
    assert clock.at(1799) == "00:00:59;29"
    assert clock.at(1800) == "00:01:00;02"
    assert clock.at(17982) == "00:10:00;00"
    seen = [clock.at(n) for n in range(40_000)]
    assert all(a < b for a, b in pairwise(seen))
    assert not any(t.endswith((";00", ";01")) and t[6:8] == "00" and t[4] != "0" for t in seen)


@given(st.integers(0, 2_000_000), st.sampled_from([NTSC, 2 * NTSC]))
def test_a_timecode_is_the_one_that_it_begins_with(frame: int, rate: Fraction) -> None:
    told = _Clock.of(rate, "00:00:00;00").at(frame)
    assert _Clock.of(rate, told).at(0) == told
    assert cast("int", _Clock.of(rate, told).first) % (86400 * round(rate)) >= 0
