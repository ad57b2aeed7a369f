"""Small text files that people wrote: read whole up to a limit, or refused in one line."""

from pathlib import Path

from restar.errors import UsageError

__all__ = ["read_text"]


def read_text(path: Path, most: int, what: str) -> str:
    """Return the text of a UTF-8 file (with or without its mark) of at most `most` bytes.

    Raises UsageError for one that is larger, is not UTF-8, or can't be read; `what` says what it
    should be ("a shot list").
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise UsageError(f"{path}: too large for {what}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
