"""Probing: what a file holds, and what is refused before anything is done."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from media.probe import probe
from restar.errors import MediaError
from tests.films import run_ffmpeg

Film = Callable[[str], Path]


def test_a_film_with_sound(film: Film) -> None:
    info = probe(film("cfr_aac"))
    assert [s.kind for s in info.streams] == ["video", "audio"]
    assert info.video.rate == Fraction(24000, 1001)
    assert info.format.pix_fmt == "yuv420p"
    assert (info.format.width, info.format.height) == (128, 96)
    assert (info.format.colour.matrix, info.format.colour.range) == ("bt709", "tv")
    assert info.streams[1].metadata["language"] == "ger"
    assert info.metadata["title"] == "Round trip"


def test_unspecified_tags_stay_unspecified(film: Film) -> None:
    colour = probe(film("vfr")).format.colour
    assert (colour.matrix, colour.primaries, colour.transfer) == (None, None, None)


def test_sample_aspect_ratio(film: Film) -> None:
    assert probe(film("odd_gray")).format.sar == Fraction(1232, 1179)


def refused(path: Path, words: str) -> None:
    with pytest.raises(MediaError, match=words) as error:
        probe(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "none.mkv", "no such file")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "folder")


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mkv"
    path.touch()
    refused(path, "empty")


def test_not_media(tmp_path: Path) -> None:
    path = tmp_path / "letter.mkv"
    path.write_text("Dear archive, " * 100)
    refused(path, "not a film")


def test_audio_only(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    run_ffmpeg(["-f", "lavfi", "-i", "sine=d=0.1", str(path)])
    refused(path, "no moving pictures, only audio")


def test_a_playlist_never_opens_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        probe(path)


def test_a_name_that_looks_like_a_filter_is_a_name(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "concat:a|b%03d;$(x).mkv"
    path.write_bytes(film("vfr").read_bytes())
    assert probe(path).video.codec == "h264"
