"""The documentation names what is there: commands, tables, links; and nothing that is not."""

import re
from pathlib import Path

import pytest
import typer

from catalog.models import Base
from cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md"),
                *ROOT.glob("samples/*.md")])  # fmt: skip


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if f"`restar {name}" not in text] == []


def test_every_table_is_drawn_and_explained() -> None:
    text = (ROOT / "docs" / "catalog.md").read_text()
    drawing, _, prose = text.partition("| table |")
    tables = set(Base.metadata.tables)
    assert [name for name in tables if f"`{name}`" not in prose] == []
    drawn = set(re.findall(r"^ {4}(\w+) [|o}]", drawing, re.M))
    assert drawn <= tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    targets += re.findall(r'(?:src|href)="([^"#]+)"', page.read_text())
    inner = [target for target in targets if "://" not in target]
    assert [target for target in inner if not (page.parent / target).exists()] == []


def test_the_samples_are_as_described() -> None:
    reel = ROOT / "samples" / "reel.mkv"
    assert reel.stat().st_size < 3_000_000
    text = (ROOT / "samples" / "README.md").read_text()
    for words in ("Blender Foundation", "creativecommons.org/licenses/by/3.0", "Changes made"):
        assert words in text
