"""Recipes: what a person chooses for a restoration, as data that is checked and never run.

A recipe is a TOML file in five sections. Only `restore` and `prompt` reach the pixels, through the
spec of each scene (restar.spec); `score`, `select` and `deliver` may change without any scene being
made again. A step names a restorer plug-in and its options; the plug-in's own model checks these.
"""

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from restar.errors import RecipeError
from restar.hashing import sha256_of
from restar.prompt import FIELDS

__all__ = [
    "STANDARD_SCORERS",
    "Deliver",
    "Prompt",
    "Recipe",
    "Restore",
    "Score",
    "Select",
    "Step",
    "built_in_recipes",
    "load_recipe",
    "parse_recipe",
    "recipe_text",
]

MAX_RECIPE_BYTES = 1 << 16
_DEEPEST_KEY = 64

_KEY = re.compile(r"[\w\s.\"'\[\]-]*")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Scalar = bool | int | float | str
Option = Scalar | list[Scalar]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Step(_Section):
    """One step of the chain: a restorer's name and its options."""

    use: Name = Field(description="Name of a restorer (see `restar doctor`).")
    options: dict[str, Option] = Field(
        default_factory=dict, description="Options of that restorer; each restorer lists its own."
    )


class Restore(_Section):
    """How pixels are made. Everything here is in the spec of every take."""

    steps: tuple[Step, ...] = Field(min_length=1, max_length=16, description="Run in this order.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of everything that is drawn.")
    text_cards: Literal["restore", "resize"] = Field(
        default="restore",
        description="What becomes of titles and intertitles: restore = as of any scene; resize = "
        "steps that may invent give way to a plain resize, so that no letter is redrawn.",
    )
    pixel_format: Name = Field(
        default="auto",
        description="Pixel format of takes and master, such as yuv422p10le; auto = the restorer's.",
    )

    @property
    def rounds(self) -> bool:
        """Whether a person chose the pixel format, and with it that a film in floats is rounded."""
        return self.pixel_format != "auto"


class Prompt(_Section):
    """Who captions a scene, and the text that guides a restorer which listens to text."""

    captioner: Name = Field(
        default="auto", description="Name of a captioner; auto = the best that is present."
    )
    options: dict[str, Option] = Field(
        default_factory=dict, description="Options of that captioner; each lists its own."
    )
    text: str = Field(
        default="", max_length=10_000, description="Caption of the captioner `fixed`."
    )
    template: str | None = Field(
        default=None,
        max_length=10_000,
        description="Prompt, with {caption}, {facts} (what the picture measurably shows) and "
        "{condition} (grain, flicker, softness); none = the model's own, else {caption}.",
    )
    negative: str = Field(default="", max_length=10_000, description="Negative prompt.")
    limit: int = Field(
        default=75, ge=1, le=4_000, description="Most tokens of a prompt; the cut is recorded."
    )
    names: Literal["leave out", "keep"] = Field(
        default="leave out",
        description="Names of places, brands, persons, and lettering, in a captioner's words.",
    )
    block: tuple[str, ...] = Field(
        default=(), max_length=1_000, description="Further words to leave out."
    )
    allow: tuple[str, ...] = Field(
        default=(), max_length=1_000, description="Words never to leave out."
    )
    guard: bool = Field(
        default=True,
        description="Have takes captioned, too, and flag `caption-drift` where they show another "
        "content (needs a captioner that looks).",
    )

    @field_validator("template")
    @classmethod
    def _knows_its_fields(cls, template: str | None) -> str | None:
        unknown = set(re.findall(r"\{(\w*)\}", template or "")) - set(FIELDS)
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise ValueError(f"unknown {{{min(unknown)}}}; known: {known}")
        return template


# The scorers that need no weights and by which flags are raised, and the two of fidelity.
STANDARD_SCORERS = (
    "psnr-to-source", "ssim-to-source", "blank", "frozen", "frame-order", "seam-jump", "flicker",
    "warp-error", "colour-drift", "displacement", "detail-kept", "detail-gain",
    "overshoot", "tile-edges", "invented-detail",
)  # fmt: skip


class Score(_Section):
    """What is measured on a take, and from where on it is flagged (docs/scores.md)."""

    scorers: tuple[Name, ...] = Field(
        default=STANDARD_SCORERS, max_length=64, description="See `restar metrics`; [] = none."
    )
    frames: int = Field(
        default=5,
        ge=0,
        le=100_000,
        description="Frames of a scene, evenly spread, that dear measures see; 0 = all.",
    )
    thresholds: dict[str, float] = Field(
        default_factory=dict,
        description="Limit of a flag, or of a scorer's mean, in the place of restar's own.",
    )
    ignore: tuple[Name, ...] = Field(
        default=(), max_length=64, description="Flags that are not raised."
    )


class Select(_Section):
    """Which take of a scene goes into the master."""

    rule: Literal["first", "best", "ask"] = Field(
        default="first",
        description="first = the take as it is made, flags only warn; best = of first and second "
        "try the one with fewer flags, then the better by `by`; ask = a flagged take waits for a "
        "person, with a plain resize beside it.",
    )
    by: Name = Field(default="psnr-to-source", description="Scorer by which `best` chooses.")
    second_try: dict[str, Option] = Field(
        default_factory=dict,
        description="Options of the last step (and `seed`) for another try where the first is "
        "flagged; {} = none.",
    )


class Deliver(_Section):
    """What leaves the house: the master's container, and copies made from the master."""

    container: Literal["matroska", "mov"] = Field(
        default="matroska",
        description="Container of the master: matroska, or mov (exact times; files in a sidecar).",
    )
    access: Literal["none", "h264"] = Field(
        default="h264", description="Access copy beside the master: none, or H.264 in MP4."
    )
    access_crf: int = Field(default=18, ge=0, le=51, description="Quality of the access copy.")
    report: bool = Field(default=True, description="Write report.html beside the master.")


class Recipe(_Section):
    """A recipe as written by a person."""

    name: Name
    description: str = Field(default="", max_length=2_000)
    restore: Restore
    prompt: Prompt = Field(default_factory=Prompt)
    score: Score = Field(default_factory=Score)
    select: Select = Field(default_factory=Select)
    deliver: Deliver = Field(default_factory=Deliver)

    @property
    def sha256(self) -> str:
        """The hash of the whole recipe, by which the catalog knows it."""
        return sha256_of(self.model_dump(mode="json"))


def load_recipe(name_or_path: str) -> Recipe:
    """Return a built-in recipe by name, or the recipe in a .toml file.

    Raises RecipeError when there is none, or where a key or a value is not valid.
    """
    return parse_recipe(_bytes_of(name_or_path), name_or_path)


def recipe_text(name_or_path: str) -> str:
    """Return a recipe as it is written, to be copied and changed; raise RecipeError as above."""
    return _bytes_of(name_or_path).decode("utf-8")


def built_in_recipes() -> tuple[Recipe, ...]:
    """Return the recipes that ship with restar, by name."""
    folder = resources.files("restar") / "recipes"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(parse_recipe(file.read_bytes(), file.name) for file in files)


def parse_recipe(data: bytes, where: str) -> Recipe:
    """Return the recipe in TOML bytes; `where` names them in errors. Nothing in it is evaluated."""
    try:
        text = data.decode("utf-8")
        _refuse_endless_keys(text, where)
        return Recipe.model_validate(tomllib.loads(text))
    except UnicodeDecodeError:
        raise RecipeError(f"recipe {where}: not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"recipe {where}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise RecipeError(f"recipe {where}: {explain(error, Recipe)}") from None


def _bytes_of(name_or_path: str) -> bytes:
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.parent != Path():
        try:
            if path.stat().st_size > MAX_RECIPE_BYTES:
                raise RecipeError(f"recipe {path}: larger than 64 KiB, so not a recipe")
            return path.read_bytes()
        except OSError as error:
            raise RecipeError(f"recipe {path}: {error.strerror or error}") from None
    file = resources.files("restar") / "recipes" / f"{path.name}.toml"
    if not file.is_file():
        known = ", ".join(recipe.name for recipe in built_in_recipes())
        raise RecipeError(
            f"recipe '{name_or_path}' is not known: choose one of {known}, or give a .toml file"
        )
    return file.read_bytes()


def _refuse_endless_keys(text: str, where: str) -> None:
    """tomllib's time grows with the square of a key's parts: 64 KiB of them would take minutes."""
    for number, line in enumerate(text.splitlines(), start=1):
        key = line.partition("=")[0]
        if key.count(".") > _DEEPEST_KEY and _KEY.fullmatch(key):
            raise RecipeError(
                f"recipe {where}: not valid TOML: line {number} is no key of a recipe"
            )


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first fault of a validation as one sentence, with the keys that would be valid."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "top level"
    if first["type"] == "extra_forbidden":
        known = ", ".join(_fields_at(model, first["loc"][:-1]))
        return f"unknown key '{place}'; known here: {known}"
    if first["type"] == "missing":
        return f"key '{place}' is missing"
    return f"'{place}' is not valid: {first['msg']} (got {_short(first['input'])})"


def _fields_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    for part in loc:
        if isinstance(part, int):
            continue
        annotation: Any = model.model_fields[part].annotation
        for candidate in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
