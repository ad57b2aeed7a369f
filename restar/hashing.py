"""Hashes that name things: files by their bytes, recipes and specs by their canonical JSON.

A name must never depend on the order of keys, on white space, or on how a float was typed, since a
take is used again exactly where its key is equal. Canonical JSON here is RFC 8785 in spirit: sorted
keys, no white space, UTF-8, no NaN or infinity; fractions travel as strings "24000/1001".
"""

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

__all__ = ["canonical_json", "sha256_of", "sha256_of_file"]

_CHUNK = 1 << 20


def canonical_json(value: Any) -> str:
    """Return `value` as canonical JSON; raise ValueError for NaN, TypeError for what is not data."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_plain,
    )


def sha256_of(value: Any) -> str:
    """Return the sha256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_of_file(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Return the sha256 of a file's bytes, read in pieces; `progress` is told bytes as they pass."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise TypeError(f"{type(value).__name__} is not data that can be hashed")
