"""Lists of films: a folder, or a CSV file with a line for each film, its recipe, names and priority.

A list is read whole and checked before any work is begun: an unknown column, a recipe that is not
there or a number that is none is named with its line. That a film can't be read is not the list's
fault; it is found out when its turn comes, and stops no other.
"""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from media.parts import IMAGES, SOUNDS, film_files
from restar.errors import MediaError, UsageError
from restar.film import Identifiers
from restar.recipe import Recipe, load_recipe

__all__ = ["COLUMNS", "FILMS", "Entry", "read_list"]

FILMS = frozenset({
    ".3gp", ".avi", ".dv", ".flv", ".m2ts", ".m2v", ".m4v", ".mj2", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})  # fmt: skip
"""Suffixes of what is taken for a film in a folder; a CSV file may name any file."""

_NAMES = ("accession", "title", "reel", "generation", "rights")
COLUMNS = ("film", "recipe", "priority", "allow_damaged", *_NAMES)
_YES, _NO = ("yes", "true", "1"), ("", "no", "false", "0")
_MOST_BYTES = 64 << 20
_PRIORITY = 1_000_000


@dataclass(frozen=True)
class Entry:
    """A film of a list and what is asked for it. `line` is its line in a CSV file (0 in a folder)."""

    path: Path
    recipe: Recipe
    priority: int = 0
    allow_damaged: bool = False
    identifiers: Identifiers = field(default_factory=Identifiers)
    line: int = 0


def read_list(
    path: Path, recipe: Recipe, priority: int = 0, skip: frozenset[Path] = frozenset()
) -> list[Entry]:
    """Return the films of a folder or a CSV file, highest priority first, else in their order.

    `recipe` and `priority` are those of films for which the file says none. `skip` are absolute paths
    of files and folders that are not taken from a folder. Raises UsageError or RecipeError.
    """
    if path.is_dir():
        entries = [Entry(film, recipe, priority) for film in _films_in(path.absolute(), skip)]
        if not entries:
            raise UsageError(f"{path}: holds no films (files such as .mkv, .mov, .mxf, or images)")
    elif path.suffix.lower() == ".csv":
        entries = _from_csv(path, recipe, priority)
    else:
        raise UsageError(f"{path}: give a folder of films, or a .csv file that lists them")
    return sorted(entries, key=lambda entry: -entry.priority)


def _films_in(folder: Path, skip: frozenset[Path]) -> Iterator[Path]:
    """Films below a folder, by name. A manifest stands for the files that it names."""
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and here / f not in skip)
        names = sorted(f for f in files if not f.startswith(".") and here / f not in skip)
        if any(Path(name).suffix.lower() in IMAGES for name in names) and here != folder:
            only_images = {Path(n).suffix.lower() for n in names} <= IMAGES | SOUNDS
            if only_images:
                found.append(here)
                continue
        found += [here / n for n in names if Path(n).suffix.lower() in FILMS | {".toml"}]
    manifests = [path for path in found if path.suffix.lower() == ".toml"]
    named: set[Path] = set()
    for manifest in manifests:
        try:
            files_of = film_files(manifest)
        except UsageError:  # another sort of TOML file
            found.remove(manifest)
        except MediaError:
            continue  # it says what is wrong when its turn comes
        else:
            named |= {file.absolute() for file in files_of.all}
            named |= {file.absolute().parent for file in files_of.pictures[:1] if files_of.sounds}
            if files_of.kind == "sequence":
                named.add(files_of.pictures[0].absolute().parent)
    yield from sorted(path for path in found if path not in named)


def _from_csv(path: Path, recipe: Recipe, priority: int) -> list[Entry]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: too large for a list of films")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
        if unknown or "film" not in (reader.fieldnames or ()):
            what = f"unknown column '{unknown[0]}'" if unknown else "has no column 'film'"
            raise UsageError(f"{path}: {what}; the first line names columns: {','.join(COLUMNS)}")
        recipes: dict[str, Recipe] = {}
        entries = []
        for row in reader:
            line = reader.line_num
            if None in row or None in row.values():
                raise UsageError(f"{path}, line {line}: has not as many fields as the first line")
            entries.append(_entry(path, line, row, recipe, priority, recipes))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}") from None
    if not entries:
        raise UsageError(f"{path}: lists no films")
    return entries


def _entry(
    path: Path,
    line: int,
    row: dict[str, str],
    recipe: Recipe,
    priority: int,
    recipes: dict[str, Recipe],
) -> Entry:
    said = {name: value.strip() for name, value in row.items()}
    if not said["film"]:
        raise UsageError(f"{path}, line {line}: names no film")
    here = path.absolute().parent
    name = said.get("recipe", "")
    if name:
        if name not in recipes:
            beside = here / name
            recipes[name] = load_recipe(str(beside) if beside.suffix == ".toml" else name)
        recipe = recipes[name]
    damaged = said.get("allow_damaged", "").lower()
    if damaged not in _YES + _NO:
        raise UsageError(f"{path}, line {line}: allow_damaged is yes or no, not '{damaged}'")
    return Entry(
        path=here / said["film"],
        recipe=recipe,
        priority=_priority(path, line, said.get("priority", ""), priority),
        allow_damaged=damaged in _YES,
        identifiers=Identifiers(**{key: said.get(key, "") for key in _NAMES}),
        line=line,
    )


def _priority(path: Path, line: int, text: str, default: int) -> int:
    try:
        number = int(text) if text else default
    except ValueError:
        number = _PRIORITY + 1
    if abs(number) > _PRIORITY:
        raise UsageError(f"{path}, line {line}: priority is a whole number, not '{text}'")
    return number
