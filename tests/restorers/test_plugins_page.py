"""docs/plugins.md tells the truth: its package installs, is found, and passes the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from captioners.contract import CaptionerContract
from restar.recipe import parse_recipe
from restorers.contract import RestorerContract
from restorers.resize import LARGEST, Options
from scorers.contract import ScorerContract

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The page's package, written out and installed in a folder of its own, and how to run it."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    site = folder / "site"
    arguments = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *arguments, str(folder)]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    path = os.pathsep.join((str(site), str(ROOT)))
    return folder, {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_page_shows_a_whole_package() -> None:
    assert list(FILES) == [
        "pyproject.toml",
        "faded_film.py",
        "tests/conftest.py",
        "tests/test_contract.py",
    ]


def test_its_package_passes_the_contract(installed: tuple[Path, dict[str, str]]) -> None:
    folder, environment = installed
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"\d{3} passed", ran.stdout)


def test_its_members_are_found_by_name(installed: tuple[Path, dict[str, str]]) -> None:
    folder, environment = installed
    code = (
        "from captioners import captioner; from restorers import restorer; "
        "from scorers import scorer; "
        "print(restorer('levels').name, captioner('brightness').name, scorer('pulse').name)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert ran.stdout.split() == ["levels", "brightness", "pulse"]


def test_its_recipe_is_one() -> None:
    (text,) = re.findall(r"^```toml\n(name = .*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    recipe = parse_recipe(text.encode(), "docs/plugins.md")
    assert [step.use for step in recipe.restore.steps] == ["levels", "resize"]


def test_the_page_names_what_there_is() -> None:
    for suite in (RestorerContract, CaptionerContract, ScorerContract):
        assert f"`{suite.__name__}`" in PAGE
    for name in Options.model_fields:
        assert f"`{name}`" in PAGE
    assert f"1 to {LARGEST}" in PAGE
