"""What is equal or not: windows, paddings, names and shapes of weights, token ids."""

from collections.abc import Callable, Mapping
from typing import Any

from star.checkpoint import published_shapes
from star.configuration import named_sizes
from star.names import CONTROLNET
from star.parity.record import Folder, Result, check_keys
from star.tokens import tokens_of
from star.windows import (
    accepts_height,
    accepts_width,
    kept_ranges,
    published_padding,
    published_size,
    windows,
)

__all__ = ["run_state_dict", "run_tokens", "run_windows"]

_RESIZED = "adjust_resolution(unused by inference_sr.py)"
_HEIGHTS = "accepted_latent_heights_up_to_"
_WINDOWS = (
    "pad_columns", "pad", "pad_note", _RESIZED, "chunks", "chunks_note", "chunk_crashes",
    "longest_chunk_over_max",
)  # fmt: skip
_STATE = ("source", "n_tensors", "counts", "shapes", "module_type_counts")
_TOKENS = ("tokenizer", "items", "negative_prompt", "positive_prompt", "n_tokens_used")
Differences = list[str]


def run_windows(folder: Folder, name: str) -> list[Result]:
    """Compare the tables of paddings, sizes and windows."""
    table = folder.json(name)
    heights = [key for key in table if key.startswith(_HEIGHTS)]
    check_keys(name, table, [*_WINDOWS, *heights])
    parts: dict[str, Callable[[], Differences]] = {
        "padding": lambda: paddings(table.get("pad", [])),
        "accepted heights": lambda: [d for key in heights for d in accepted(key, table[key])],
        "sizes": lambda: sizes(table.get(_RESIZED, [])),
        "windows": lambda: all_windows(table.get("chunks", {})),
        "windows where the release crashes": lambda: crashes(table.get("chunk_crashes", [])),
        "longest window": lambda: longest(table),
    }
    return [verdict(name, part, differ()) for part, differ in parts.items()]


def paddings(rows: list[list[Any]]) -> Differences:
    found = []
    for row in rows:
        height, width, *wanted = row
        left, right, top, bottom = published_padding(height, width)
        padded = (height + top + bottom, width + left + right)
        fits = accepts_height(padded[0] // 8) and accepts_width(padded[1] // 8)
        if [left, right, top, bottom, *padded, fits] != wanted:
            found.append(f"{width}x{height}")
    return found


def accepted(key: str, wanted: list[int]) -> Differences:
    last = int(key.removeprefix(_HEIGHTS))
    made = [height for height in range(1, last + 1) if accepts_height(height)]
    return [] if made == wanted else [f"heights up to {last}"]


def sizes(rows: list[list[int]]) -> Differences:
    return [str(row) for row in rows if [*row[:3], *published_size(*row[:3])] != row]


def all_windows(table: Mapping[str, Any]) -> Differences:
    """Compare windows and the frames kept of each; where the release crashes, with what it made."""
    found = []
    for key, wanted in table.items():
        frames, length = map(int, key.split(","))
        over = windows(frames, length)
        if wanted is None:
            same = over == [(0, frames)]
        else:
            same = [list(window) for window in over] == wanted["chunks"]
            kept = [list(window) for window in kept_ranges(over)]
            same = same and kept == wanted.get("kept_global_ranges", kept)
        if not same:
            found.append(f"{frames} frames by {length}")
    return found


def crashes(keys: list[str]) -> Differences:
    """Return where this program gives no windows that cover the clip."""
    found = []
    for key in keys:
        frames, length = map(int, key.split(","))
        kept = kept_ranges(windows(frames, length))
        covered = [frame for begin, end in kept for frame in range(begin, end)]
        if covered != list(range(frames)):
            found.append(key)
    return found


def longest(table: Mapping[str, Any]) -> Differences:
    """Compare how much longer than asked for a window gets over all clips of the table."""
    if "longest_chunk_over_max" not in table:
        return []
    ratios = []
    for key in table.get("chunks", {}):
        frames, length = map(int, key.split(","))
        if frames > length:
            ratios.append(max((end - begin) / length for begin, end in windows(frames, length)))
    wanted = table["longest_chunk_over_max"][0]
    return [] if ratios and max(ratios) == wanted else [f"{max(ratios, default=0)}, not {wanted}"]


def run_state_dict(folder: Folder, name: str) -> list[Result]:
    """Compare every name and shape of the full-size network, and the counts of its parameters."""
    table = folder.json(name)
    check_keys(name, table, _STATE)
    made = published_shapes(named_sizes("published"))
    wanted = {key: tuple(shape) for key, shape in table["shapes"].items()}
    differ = [key for key in [*wanted, *made] if made.get(key) != wanted.get(key)]
    counts = parameter_counts(made)
    check_keys(f"{name}, counts", table.get("counts", {}), counts)
    wrong = [key for key, count in table.get("counts", {}).items() if counts[key] != count]
    if table.get("n_tensors", len(made)) != len(made):
        wrong.append("n_tensors")
    return [verdict(name, "names and shapes", differ), verdict(name, "parameters", wrong)]


def parameter_counts(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return how many parameters the parts of a network have, by its published names."""
    sizes = {key: _product(shape) for key, shape in shapes.items()}
    control = {key: size for key, size in sizes.items() if key.startswith(CONTROLNET)}
    unet = {key: size for key, size in sizes.items() if key not in control}
    gates_unet, gates_control = (
        {key: size for key, size in part.items() if ".local" in key} for part in (unet, control)
    )
    return {
        "total": sum(sizes.values()),
        "unet_total": sum(unet.values()),
        "controlnet_total": sum(control.values()),
        "liem_total": sum(gates_unet.values()) + sum(gates_control.values()),
        "liem_unet": sum(gates_unet.values()),
        "liem_controlnet": sum(gates_control.values()),
        "liem_tensors_unet": len(gates_unet),
        "liem_tensors_controlnet": len(gates_control),
        "trained_by_train_sr": sum(control.values()) + sum(gates_unet.values()),
    }


def run_tokens(folder: Folder, name: str) -> list[Result]:
    """Compare the token ids of each prompt, and how many are used."""
    table = folder.json(name)
    check_keys(name, table, _TOKENS)
    items = table.get("items", [])
    for item in items:
        check_keys(f"{name}, items", item, ("text", "ids"))
    made = [tokens_of(item["text"], len(item["ids"])) for item in items]
    pairs = list(zip(items, made, strict=True))
    differ = [item["text"][:40] for item, tokens in pairs if list(tokens.ids) != item["ids"]]
    used = table.get("n_tokens_used", [tokens.used for tokens in made])
    wrong = [] if used == [tokens.used for tokens in made] else ["n_tokens_used"]
    return [verdict(name, f"{len(items)} prompts", [*differ, *wrong])]


def verdict(file: str, fixture: str, differ: Differences) -> Result:
    """Return a verdict on what has to be equal; the error is how many differ."""
    shown = ", ".join(differ[:3])
    note = f"differ: {shown}{' ...' if len(differ) > 3 else ''}" if differ else ""
    return Result(file, fixture, float(len(differ)), 0.0, note)


def _product(shape: tuple[int, ...]) -> int:
    made = 1
    for size in shape:
        made *= size
    return made
