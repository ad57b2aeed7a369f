"""Frames by exact index: the same frames again from anywhere, and damage never passes in silence."""

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from media import ffmpeg
from media.frames import (
    FrameIndex,
    IndexWriter,
    decode_range,
    frame_md5,
    index_film,
    nominal_step,
)
from media.probe import probe
from restar.errors import DamagedMediaError, MediaError, UsageError
from restar.timeline import FrameRange
from tests.films import FILMS, run_ffmpeg
from tests.kinds import KINDS, MADE

Film = Callable[[str], Path]


def index_of(path: Path, folder: Path) -> FrameIndex:
    info = probe(path)
    target = folder / "index.npy"
    with IndexWriter(target, nominal_step(info)) as writer:
        deque(index_film(path, info, writer), maxlen=0)
    return FrameIndex.load(target, info.video.time_base)


def framemd5(path: Path) -> list[tuple[int, str]]:
    """ffmpeg's own list of (PTS, MD5) of a film's pictures."""
    text = ffmpeg.run(
        [
            *["-noautorotate", "-copyts", "-i", ffmpeg.file_url(path)],
            *["-map", f"0:{probe(path).picture}"],
            *["-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framemd5", "-"],
        ],
        "framemd5",
    )
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[5].strip()) for row in rows]


@pytest.mark.parametrize("name", FILMS)
def test_the_index_is_what_ffmpeg_says(film: Film, name: str, tmp_path: Path) -> None:
    index = index_of(film(name), tmp_path)
    ours = [(index.pts(n), index.md5(n).hex()) for n in range(index.count)]
    assert ours == framemd5(film(name))


@pytest.mark.parametrize("name", [*KINDS, *MADE])
def test_any_part_of_any_kind_is_what_ffmpeg_says(kind: Film, name: str, tmp_path: Path) -> None:
    """Another program decodes the same pictures, and a seek into the film finds them."""
    path = kind(name)
    index = index_of(path, tmp_path)
    ours = [index.md5(n).hex() for n in range(index.count)]
    if name not in {"rgb555.avi", "padding.nut"}:  # ffmpeg counts bits that mean nothing
        assert ours == [md5 for _, md5 in framemd5(path)]
    for start, end in ((index.count // 2, index.count), (index.count - 1, index.count), (1, 2)):
        frames = FrameRange(start, end) if start < end <= index.count else FrameRange(0, 1)
        got = [frame_md5(f).hex() for f in decode_range(path, probe(path), index, frames)]
        assert got == ours[frames.start : frames.end]


@pytest.mark.parametrize("wanted", [(0, 1), (0, 36), (11, 13), (12, 30), (35, 36)])
def test_any_range_is_the_frames_of_the_whole(
    film: Film, wanted: tuple[int, int], tmp_path: Path
) -> None:
    path = film("cfr_aac")
    index = index_of(path, tmp_path)
    assert index.count == 36
    frames = list(decode_range(path, probe(path), index, FrameRange(*wanted)))
    assert [frame_md5(f) for f in frames] == [index.md5(n) for n in range(*wanted)]
    assert [f.pts for f in frames] == [index.pts(n) for n in range(*wanted)]


def test_a_range_beyond_the_film_is_refused(film: Film, tmp_path: Path) -> None:
    path = film("one_frame")
    index = index_of(path, tmp_path)
    with pytest.raises(UsageError, match="beyond its 1 frames"):
        list(decode_range(path, probe(path), index, FrameRange(0, 2)))


def test_another_film_under_the_same_name_is_noticed(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film("cfr_aac").read_bytes())
    index = index_of(path, tmp_path)
    run_ffmpeg([*FILMS["cfr_aac"][1], "-vf", "negate", str(path)])
    with pytest.raises(DamagedMediaError, match="was the file changed"):
        list(decode_range(path, probe(path), index, FrameRange(20, 22)))


@pytest.mark.parametrize("name", ["cfr_aac", "vfr", "odd_gray"])
def test_a_file_that_ends_early_is_refused(film: Film, name: str, tmp_path: Path) -> None:
    whole = film(name).read_bytes()
    path = tmp_path / film(name).name
    if path.suffix == ".mp4":  # its index is at the end: move it first, as a download cut short has
        run_ffmpeg(["-i", str(film(name)), "-c", "copy", "-movflags", "+faststart", str(path)])
        whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(MediaError) as error:
        index_of(path, tmp_path)
    assert "ends early" in str(error.value) or "does not decode" in str(error.value)


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.npy").write_bytes(b"\x93NUMPY junk")
    with pytest.raises(MediaError, match="not a frame index"):
        FrameIndex.load(tmp_path / "index.npy", Fraction(1, 25))


def test_durations_are_filled_in(film: Film, tmp_path: Path) -> None:
    index = index_of(film("vfr"), tmp_path)
    assert all(index.duration(n) > 0 for n in range(index.count))
