"""`file`: captions that somebody wrote down beside the film, or keeps in a folder of their own.

For film `reel.mkv` it reads `reel.captions.json`, `reel.captions.csv` or `reel.captions.txt`, the first
that is there. A text for one scene stands before a text for the whole film.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captioners import Caption, SceneView
from restar.errors import PluginError, RecipeError, UsageError
from restar.hashing import sha256_of
from restar.prompt import MOST_CHARACTERS, clean
from restar.recipe import explain
from restar.textfile import read_text
from restar.timeline import parse_scenes

__all__ = ["File", "Options", "read_captions"]

VERSION = 1
ENDINGS = (".captions.json", ".captions.csv", ".captions.txt")
_MOST_BYTES = 16 << 20


class Options(BaseModel):
    """The options of the captioner `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        default="", max_length=4_000,
        description="A file, or a folder of them; without it: the film's own folder.",
    )  # fmt: skip


class File:
    """Captions from a sidecar file; a scene that the file does not name has an empty one."""

    name = "file"

    def revision(self, options: dict[str, Any]) -> str:
        """Return the version and a hash of the options; a caption's own text is in its hash, too."""
        return f"file-{VERSION}-{sha256_of(_checked(options).path)[:16]}"

    def stills(self, options: dict[str, Any]) -> int:
        """Return 0: it looks at a file."""
        _checked(options)
        return 0

    def caption(self, stills: Sequence[NDArray[np.uint8]], options: dict[str, Any]) -> Caption:
        """Return an empty caption: without a film there is no file to look into."""
        return self.describe([SceneView(tuple(stills))], options)[0]

    def describe(self, scenes: Sequence[SceneView], options: dict[str, Any]) -> list[Caption]:
        """Return each scene's text.

        Raises PluginError where there is no file, UsageError where it can't be read.
        """
        chosen, revision = _checked(options), self.revision(options)
        read: dict[Path | None, dict[int, str]] = {None: {}}
        captions = []
        for scene in scenes:
            if scene.film not in read and scene.film is not None:
                read[scene.film] = read_captions(_found(scene.film, chosen.path))
            texts = read[scene.film]
            captions.append(Caption(texts.get(scene.number, texts.get(0, "")), revision, "file"))
        return captions


def read_captions(path: Path) -> dict[int, str]:
    """Return texts by scene number; 0 is the whole film. Raises UsageError naming what is wrong.

    .json: {"film": "...", "scenes": {"3": "...", "5-7": "..."}}; .csv: columns scene and caption
    (an empty scene is the film); .txt: lines `3: ...` or `5-7: ...`, and lines without a number, which
    are joined, for the film.
    """
    text = read_text(path, _MOST_BYTES, "a file of captions")
    readers = {".json": _from_json, ".csv": _from_csv, ".txt": _from_text}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: captions are .json, .csv or .txt")
    captions: dict[int, str] = {}
    for scenes, caption in reader(path, text):
        if len(caption) > MOST_CHARACTERS:
            raise UsageError(
                f"{path}: the caption of scene {scenes or 'film'} is over 10,000 characters"
            )
        for number in parse_scenes(scenes) if scenes else (0,):
            captions[number] = clean(caption)
    return captions


def _from_json(path: Path, text: str) -> list[tuple[str, str]]:
    try:
        data = json.loads(text)
        scenes = data.get("scenes", {})
        found = [("", data["film"])] if "film" in data else []
        found += [(str(number), caption) for number, caption in scenes.items()]
        if not all(isinstance(caption, str) for _, caption in found):
            raise ValueError("a caption is not text")
    except (ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f'{path}: not captions as JSON ({error}); write {{"scenes": {{"1": "a street"}}}}'
        ) from None
    return found


def _from_csv(path: Path, text: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    if not {"scene", "caption"} <= set(rows.fieldnames or ()):
        raise UsageError(f"{path}: its first line has to be scene,caption")
    try:
        return [((row["scene"] or "").strip(), row["caption"] or "") for row in rows]
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num}: {error}") from None


_LINE = re.compile(r"\s*(\d[\d,\s-]*):\s*(.*)")


def _from_text(_path: Path, text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    film: list[str] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            found.append((match[1].strip(), match[2]))
        elif line.strip():
            film.append(line)
    return [("", " ".join(film)), *found] if film else found


def _found(film: Path, where: str) -> Path:
    place = Path(where).expanduser() if where else film.parent
    place = place if place.is_absolute() else film.parent / place
    if place.is_file():
        return place
    for ending in ENDINGS:
        path = place / f"{film.stem}{ending}"
        if path.is_file():
            return path
    raise PluginError(
        f"captioner file: there is no {film.stem}{ENDINGS[0]} (.csv, .txt) in {place}; write one, or "
        "choose another captioner"
    )


def _checked(options: dict[str, Any]) -> Options:
    try:
        return Options.model_validate(options)
    except ValidationError as error:
        raise RecipeError(f"captioner file: {explain(error, Options)}") from None
