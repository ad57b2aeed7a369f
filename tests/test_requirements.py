"""The base installs without torch, and has all that it imports: its lock is held against the code."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {path.parent.name for path in ROOT.glob("*/__init__.py")}
EXTRAS = {"star", "captions", "iqa", "postgres", "s3", "review"}


def plain(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {plain(package): version for package, version in pins}


def wanted(requirements: list[str]) -> set[str]:
    return {plain(re.split(r"[\[<>=!~; ]", one)[0]) for one in requirements}


@cache
def distributions() -> dict[str, list[str]]:
    return {module: [plain(d) for d in names] for module, names in packages_distributions().items()}


def imported() -> Iterator[tuple[Path, str]]:
    """Every module of others that a package of ours imports, also inside a function."""
    for package in sorted(OURS - {"tests", "benchmarks"}):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name == "contract.py":  # for those who write plug-ins, with pytest
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in {one.partition(".")[0] for one in names}:
                    if name not in OURS and name not in sys.stdlib_module_names:
                        yield path.relative_to(ROOT), name


def test_what_is_imported_is_declared() -> None:
    extras = set().union(*(wanted(PROJECT["optional-dependencies"][one]) for one in EXTRAS))
    declared = wanted(PROJECT["dependencies"]) | extras
    through_another = {"click", "starlette", "pydantic-core"}
    missing = {
        f"{path}: {name}"
        for path, name in imported()
        if not set(distributions().get(name, [])) & (declared | through_another)
    }
    assert missing == set()


@pytest.mark.parametrize("name", ["base", "all"])
def test_each_lock_has_what_is_declared(name: str) -> None:
    needed = wanted(PROJECT["dependencies"])
    if name == "all":
        groups = PROJECT["optional-dependencies"]
        needed |= set().union(*(wanted(groups[one]) for one in (*EXTRAS, "dev")))
    assert needed - set(locked(name)) == set()


def test_the_base_has_no_torch_and_no_licence_that_forbids_commerce() -> None:
    assert not {"torch", "torchvision", "diffusers", "transformers", "pyiqa"} & set(locked("base"))


def test_one_opencv_and_one_pair_of_torch() -> None:
    pins = locked("all")
    assert [name for name in pins if name.startswith("opencv")] == ["opencv-python-headless"]
    assert {name: pins[name].rpartition(".")[0] for name in ("torch", "torchvision")} == {
        "torch": "2.14", "torchvision": "0.29"
    }  # fmt: skip


def test_both_locks_agree() -> None:
    everything = locked("all")
    differing = {k: (v, everything.get(k)) for k, v in locked("base").items()
                 if everything.get(k) != v}  # fmt: skip
    assert differing == {}
