"""The report is one page that is complete in itself, and shows names from outside as text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.prepare import Order
from flows.restore import restore_film
from restar.film import Identifiers
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.house import open_house

SLIDER = (
    "input", "oninput", "this.parentNode.style.setProperty('--at', this.value + '%')"
)  # fmt: skip
TAGS = {"script", "iframe", "object", "embed", "link", "form"}


class Page(HTMLParser):
    """Collects what a page would load or run, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            ours = (tag, name, value) == SLIDER
            assert ours or not name.startswith("on"), f"<{tag} {name}> would run something"
            if name in {"src", "href", "srcset", "data", "action", "poster"}:
                self.loads.append(value or "")

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture
def page(settings: Settings, scenes: Path, tmp_path: Path) -> Page:
    film = tmp_path / "<script>alert(1)</script> & 'Früh'.mp4".replace("/", "∕")
    film.write_bytes(scenes.read_bytes())
    with open_house(settings) as house:
        order = Order(
            recipe=load_recipe("default"),
            output=tmp_path / "out",
            identifiers=Identifiers(accession="A<b>1</b>"),
        )
        master = restore_film(house, film, order)
    return Page(master.with_suffix(".report.html").read_text(encoding="utf-8"))


def test_it_loads_and_runs_nothing(page: Page) -> None:
    assert not TAGS & set(page.tags)
    assert page.loads
    assert all(re.match(r"data:image/|#", target) for target in page.loads)


def test_it_shows_what_an_archive_asks_for(page: Page) -> None:
    assert "<script>alert(1)" in page.said, "the name is shown, as text"
    for words in (
        "before and after",
        "Scores along the film",
        "Streams",
        "What ran",
        "Hashes",
        "aac",
        "ffv1",
        "resize",
    ):
        assert words in page.said
    assert len(re.findall(r"Scene \d", page.said)) >= 4
    assert len([tag for tag in page.tags if tag == "img"]) >= 8, "before and after of each scene"
    assert re.search(r"\b[0-9a-f]{64}\b", page.said)
