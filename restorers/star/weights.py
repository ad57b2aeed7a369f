"""Which weights a step `star` works with: star-tiny, which ships, or installed ones with their parts.

Nothing is loaded here, and no torch imported. What is missing is said by name, with the commands that
bring it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from restar.errors import CheckpointError
from restar.hashing import sha256_of, sha256_of_file
from restorers import ModelLicence
from restorers.star.options import AUTO, TINY, Options
from star.known import KNOWN
from star.weights import PARTS, Installed, Part, find_weights

__all__ = ["DEFAULT", "Chosen", "chosen_weights", "tiny_path"]

DEFAULT = "star-light"
_ELSEWHERE: dict[Part, str] = {"vae": "svd-vae", "text_encoder": "clip-h-text"}


@dataclass(frozen=True)
class Chosen:
    """The weights of a step. `parts` is empty for star-tiny; `sha256` is the model's in the spec."""

    name: str
    sha256: str
    parts: Mapping[Part, Installed]
    untrained: bool = False

    @property
    def is_tiny(self) -> bool:
        return self.name == TINY

    @property
    def licence(self) -> ModelLicence:
        """star-tiny's own, or what was accepted when the parts were brought in."""
        if self.is_tiny:
            return ModelLicence(TINY, "Apache-2.0", True, "ships with restar, docs/star-tiny.md")
        records = {one.record.name: one.record for one in self.parts.values()}
        licences = dict.fromkeys(record.licence for record in records.values())
        return ModelLicence(
            ", ".join(records),
            "; ".join(licences),
            all(record.commercial_use for record in records.values()),
            ", ".join(record.source for record in records.values() if record.source),
        )


def chosen_weights(options: Options, home: Path) -> Chosen:
    """Return the weights that a step's options name, in a weights folder.

    Raises CheckpointError saying which are missing and how to get them.
    """
    if options.model == TINY or (options.model == AUTO and not _is_whole(options, home)):
        return Chosen(TINY, _tiny_sha256(tiny_path()), {})
    name = DEFAULT if options.model == AUTO else options.model
    parts, missing = _found(name, options, home)
    if missing:
        raise CheckpointError(_how_to_get(name, missing))
    sums = {part: one.record.sha256 for part, one in parts.items()}
    untrained = not all(one.record.trained for one in parts.values())
    return Chosen(name, sha256_of(sums), parts, untrained)


def tiny_path() -> Path:
    """Return where star-tiny's weights are."""
    return Path(str(resources.files("star") / "star-tiny.safetensors"))


def _tiny_sha256(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        raise CheckpointError(
            f"{path}: star-tiny's weights are gone; install restar again"
        ) from None
    return _hashed(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _hashed(path: Path, _changed: int, _size: int) -> str:
    return sha256_of_file(path)


def _is_whole(options: Options, home: Path) -> bool:
    return not _found(DEFAULT, options, home)[1]


def _found(
    name: str, options: Options, home: Path
) -> tuple[dict[Part, Installed], dict[str, list[Part]]]:
    """The parts that are here, and those that are not, by the weights that would hold them."""
    own = _installed(home, name)
    named: dict[Part, str] = {"vae": options.vae, "text_encoder": options.text_encoder}
    parts: dict[Part, Installed] = {}
    missing: dict[str, list[Part]] = {}
    for part in PARTS:
        wanted = named.get(part, AUTO)
        if wanted == AUTO:
            has_it = own is not None and part in own.record.parts
            wanted = name if has_it else _ELSEWHERE.get(part, name)
        holder = _installed(home, wanted)
        if holder is not None and part in holder.record.parts:
            parts[part] = holder
        else:
            missing.setdefault(wanted, []).append(part)
    return parts, missing


def _installed(home: Path, name: str) -> Installed | None:
    return find_weights(home, name) if (home / name).is_dir() else None


def _how_to_get(name: str, missing: Mapping[str, list[Part]]) -> str:
    sizes = {known.name: f", {known.gigabytes:g} GB" for known in KNOWN}
    lacking = "; ".join(
        f"{weights} ({' and '.join(parts)}{sizes.get(weights, '')})"
        for weights, parts in missing.items()
    )
    known = [weights for weights in missing if weights in sizes]
    others = [weights for weights in missing if weights not in sizes]
    ways = [f"`restar weights fetch {one} --accept-licence`" for one in known]
    ways += [f"`restar weights import FILE --as {one}`" for one in others]
    return (
        f"step star: model {name} lacks weights: {lacking}. To get them: {', '.join(ways)} (docs/star.md "
        "says what they are and under which licences). Without them: `--recipe star-tiny`"
    )
