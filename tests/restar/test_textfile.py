"""A text file is read whole, or refused in one line."""

from pathlib import Path

import pytest

from restar.errors import UsageError
from restar.textfile import read_text


def test_it_is_read_with_and_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + "Gr\u00fc\u00dfe".encode())
        assert read_text(path, 100, "a text") == "Gr\u00fc\u00dfe"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"x" * 11, "too large for a text"), (b"\xff\xfe", "not UTF-8 text"), (None, "No such file")],
)
def test_another_is_refused(tmp_path: Path, data: bytes | None, says: str) -> None:
    path = tmp_path / "some.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=f"some.txt: {says}"):
        read_text(path, 10, "a text")
