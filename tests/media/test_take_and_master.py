"""Takes are joined by their packets into a master that loses nothing of the film."""

from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from media.check import check_pictures, compare
from media.convert import full_range, lossless_equivalent
from media.format import ColourTags, TakeFormat, VideoFormat
from media.frames import FrameIndex, IndexWriter, decode_range, index_film
from media.marks import MarksWriter
from media.master import MasterPlan, write_master
from media.probe import MediaInfo, probe
from media.take import TakeWriter, WrittenTake
from restar.errors import MediaError, VerificationError
from restar.timeline import FrameRange
from tests.films import FILMS, run_ffmpeg

Film = Callable[[str], Path]


def native(info: MediaInfo) -> TakeFormat:
    video = info.format
    pix_fmt = lossless_equivalent(video.pix_fmt)
    assert pix_fmt is not None
    colour = ColourTags(
        **{**vars(video.colour), "range": full_range(video.pix_fmt, video.colour.range)}
    )
    return TakeFormat(VideoFormat(**{**vars(video), "pix_fmt": pix_fmt, "colour": colour}))


def master_of(
    path: Path, folder: Path, cuts: Sequence[int] = ()
) -> tuple[Path, list[WrittenTake], FrameIndex]:
    """Make an identity master of a film from takes cut at `cuts`."""
    info = probe(path)
    marks = folder / "marks"
    with IndexWriter(folder / "index.npy") as writer, MarksWriter(marks) as marked:
        count = sum(1 for _ in index_film(path, info, writer, marked))
    index = FrameIndex.load(folder / "index.npy", info.video.time_base)
    take_format = native(info)
    bounds = [0, *(c for c in cuts if c < count), count]
    takes = []
    for start, end in pairwise(bounds):
        with TakeWriter(folder / f"{start}.mkv", take_format, info.video.rate or Fraction(25)) as w:
            for frame in decode_range(path, info, index, FrameRange(start, end)):
                w.write(frame)
            takes.append(w.finish())
    master = folder / "master.mkv"
    plan = MasterPlan(path, info, index, [t.path for t in takes], take_format, marks)
    write_master(plan, master)
    return master, takes, index


@pytest.mark.parametrize("name", FILMS)
def test_an_identity_master_is_the_film(film: Film, name: str, tmp_path: Path) -> None:
    master, takes, index = master_of(film(name), tmp_path, cuts=(7, 8, 20))
    checks = compare(film(name), master)
    assert [c for c in checks if not c.equal] == []
    names = {c.name for c in checks}
    assert {"frames", "pixels", "PTS", "size", "SAR", "chapters"} <= names
    md5s = b"".join(t.md5s for t in takes)
    expected = [(index.time(n), md5s[16 * n : 16 * n + 16]) for n in range(index.count)]
    assert check_pictures(master, expected) == index.count


def test_a_wrong_pixel_a_lost_frame_and_a_late_one_are_seen(film: Film, tmp_path: Path) -> None:
    master, takes, index = master_of(film("cfr_aac"), tmp_path)
    right = [(index.time(n), takes[0].md5s[16 * n : 16 * n + 16]) for n in range(index.count)]
    with pytest.raises(VerificationError, match="pixels of frame 5"):
        check_pictures(master, [*right[:5], (right[5][0], right[6][1]), *right[6:]])
    with pytest.raises(VerificationError, match="more frames than the 35"):
        check_pictures(master, right[:-1])
    with pytest.raises(VerificationError, match="ends after 36"):
        check_pictures(master, [*right, right[0]])
    with pytest.raises(VerificationError, match="frame 9 is at another time"):
        late = (right[9][0] + Fraction(1, 100), right[9][1])
        check_pictures(master, [*right[:9], late, *right[10:]])


def test_compare_sees_each_planted_fault(film: Film, tmp_path: Path) -> None:
    source = film("cfr_aac")
    faults = {
        "pixels": ["-vf", "drawbox=w=2:h=2:t=fill", "-c:v", "ffv1", "-c:a", "copy"],
        "frames": ["-frames:v", "30", "-c", "copy"],
        "PTS": ["-c", "copy", "-bsf:v", "setts=ts=TS+if(gt(N\\,20)\\,1300\\,0)"],
        "tag title": ["-c", "copy", "-metadata", "title=other"],
        "audio 1 (aac) decoded": ["-c:v", "copy", "-c:a", "aac", "-b:a", "48k"],
        "audio 1 (aac)": ["-c:v", "copy", "-an"],
        "language audio 1": ["-c", "copy", "-metadata:s:a:0", "language=fra"],
        "SAR": ["-c", "copy", "-aspect", "2:1"],
    }
    for name, arguments in faults.items():
        wrong = tmp_path / "wrong.mkv"
        run_ffmpeg(["-i", str(source), *arguments, str(wrong)])
        assert name in {c.name for c in compare(source, wrong) if not c.equal}, name


def test_frames_that_matroska_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "fast.mp4"
    run_ffmpeg(["-f", "lavfi", "-i", "testsrc2=s=32x32:r=3000:d=0.01", "-c:v", "ffv1",
                "-f", "nut", str(source)])  # fmt: skip
    with pytest.raises(MediaError, match="MOV master"):
        master_of(source, tmp_path)
    assert not (tmp_path / "master.mkv").exists()


def test_a_take_of_another_setting_is_not_joined(film: Film, tmp_path: Path) -> None:
    path = film("one_frame")
    info = probe(path)
    with IndexWriter(tmp_path / "index.npy") as writer:
        deque(index_film(path, info, writer), maxlen=0)
    index = FrameIndex.load(tmp_path / "index.npy", info.video.time_base)
    take_format = native(info)
    paths = []
    for number, one in enumerate((take_format, TakeFormat(take_format.video, slices=9))):
        with TakeWriter(tmp_path / f"{number}.mkv", one, Fraction(25)) as w:
            w.write(next(iter(decode_range(path, info, index, FrameRange(0, 1)))))
            paths.append(w.finish().path)
    with pytest.raises(VerificationError, match="another setting"):
        write_master(MasterPlan(path, info, index, paths, take_format), tmp_path / "master.mkv")
    assert not (tmp_path / "master.mkv").exists()


def test_a_take_that_fails_leaves_no_file(film: Film, tmp_path: Path) -> None:
    take_format = native(probe(film("one_frame")))
    with (
        pytest.raises(RuntimeError),
        TakeWriter(tmp_path / "take.mkv", take_format, Fraction(25)),
    ):
        raise RuntimeError
    assert not (tmp_path / "take.mkv").exists()
