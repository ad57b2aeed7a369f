"""Running a whole folder: which file is whose, in which order, and what nobody knew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from restar.errors import UsageError
from restar.progress import track
from star.parity import blocks, diffusion, endtoend, nets, pictures, tables, text
from star.parity.record import Fixtures, Folder, Result, dump

__all__ = ["run_parity"]

# A runner takes a folder and one of its files and yields what it did with it.
Runner = Callable[[Folder, Fixtures], None]

_TENSORS: tuple[tuple[str, Runner], ...] = (
    ("blocks", blocks.run),
    ("schedule", diffusion.run_schedule),
    ("diffusion_ops", diffusion.run_operations),
    ("sampler_", diffusion.run_sampler),
    ("e2e_", endtoend.run),
    ("color_fix", pictures.run_colour),
    ("df_loss", pictures.run_frequency),
    ("text_encoder", text.run),
)
_TABLES: dict[str, Callable[[Folder, str], list[Result]]] = {
    "pad_chunk.json": tables.run_windows,
    "state_dict_full.json": tables.run_state_dict,
    "text_tokens.json": tables.run_tokens,
}
_INFO = {
    "model_info.json": nets.check_info,
    "sampler_info.json": diffusion.check_info,
    "e2e_info.json": endtoend.check_info,
}
_TEXTS = (".md", ".txt")


def run_parity(folder: Path, out: Path | None = None) -> Iterator[Result]:
    """Yield the verdict on every fixture of a folder, file by file.

    With `out`, what was computed for NAME.safetensors is written to that name there. Raises UsageError
    for a folder that isn't one, or that would be overwritten.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that holds the fixtures")
    if out is not None and out.resolve() == folder.resolve():
        raise UsageError(f"{out} is the folder of the fixtures itself; dump to another one")
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is not a folder; dump to another one")
    what = Folder(folder)
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    with track("parity", "files", len(names)) as advance, torch.no_grad(), one_thread():
        for name in names:
            yield from _run_file(what, name, out)
            advance(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums come out alike on every machine, and small nets are faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run_file(folder: Folder, name: str, out: Path | None) -> list[Result]:
    if name.endswith(_TEXTS):
        return []
    if name in _TABLES:
        return _guarded(name, lambda: _TABLES[name](folder, name))
    if name in _INFO:
        return _guarded(name, lambda: _INFO[name](folder.json(name)) or [])
    runner = _runner(folder, name)
    if runner is None:
        return [Result(name, "-", float("inf"), 0.0, "unknown kind of file: it was not run")]
    return _guarded(name, lambda: _run_tensors(folder, name, runner, out))


def _run_tensors(folder: Folder, name: str, runner: Runner, out: Path | None) -> list[Result]:
    fixtures = folder.tensors(name)
    with fixtures.trying("-"):
        runner(folder, fixtures)
    left = fixtures.left_over()
    if left and not fixtures.stopped:
        note = f"not known here and not run: {', '.join(left[:5])}"
        fixtures.verdict("-", float("inf"), 0.0, f"{note} ({len(left)} keys)")
    if out is not None:
        dump(fixtures, out)
    return fixtures.results


def _runner(folder: Folder, name: str) -> Runner | None:
    stem, _, suffix = name.rpartition(".")
    if suffix != "safetensors":
        return None
    if stem in nets.names(folder):
        return nets.run
    return next((runner for begin, runner in _TENSORS if stem.startswith(begin)), None)


def _guarded(name: str, run: Callable[[], list[Result]]) -> list[Result]:
    try:
        return run()
    except Exception as error:
        said = " ".join(str(error).split())
        return [Result(name, "-", float("inf"), 0.0, f"{type(error).__name__}: {said}")]
